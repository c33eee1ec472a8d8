//! The statements, compiled in from `sql/sqlite/`.

/// The text of `sql/sqlite/NAME.sql`.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/sqlite/", $name, ".sql"))
    };
}

pub(super) use sql;
