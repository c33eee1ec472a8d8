//! The annotated configuration and the man page say of every key what the code does.

use std::collections::{BTreeMap, BTreeSet};

use super::{Effective, around};
use crate::config::{keys, raw};

const SAMPLE: &str = include_str!("../../../etc/notifyctl.toml");
const PAGE: &str = include_str!("../../../man/notifyctl.toml.5");

/// What one line of the sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// A table that is there, or `#[table]`.
    Table,
    /// `#key = value`
    Default,
    /// `# key = value`
    Example,
    /// `# or: key = value`
    Or,
    /// Anything else.
    Words,
}

fn key_of(text: &str) -> Option<&str> {
    let (key, _) = text.split_once(" = ")?;
    key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_').then_some(key)
}

/// Every line with the text that is left when it is no longer commented out.
fn lines() -> impl Iterator<Item = (Line, &'static str)> {
    SAMPLE.lines().map(|line| {
        let bare = line.trim_start_matches('#');
        let text = bare.strip_prefix(' ').unwrap_or(bare);
        match text.strip_prefix("or: ") {
            Some(rest) if key_of(rest).is_some() => (Line::Or, rest),
            None if bare.starts_with('[') => (Line::Table, bare),
            None if key_of(bare).is_some() && line != bare => (Line::Default, bare),
            None if key_of(text).is_some() => (Line::Example, text),
            _ => (Line::Words, ""),
        }
    })
}

/// What holds with those lines of the sample, by key path.
fn holds(kept: &[Line]) -> BTreeMap<String, String> {
    let text: Vec<_> = lines().filter(|(line, _)| kept.contains(line)).map(|(_, text)| text).collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.toml");
    std::fs::write(&path, text.join("\n")).unwrap();
    let shown = Effective::load_in(Some(&path), &around(&[])).unwrap();
    shown.entries.iter().map(|entry| (entry.path(), entry.value.to_string())).collect()
}

/// Every key that the code knows, by the sample's table.
fn known() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let channel = |own: &[&'static str]| keys::of::<raw::Common>().iter().chain(own).copied().collect();
    let table = |keys: &[&'static str]| keys.iter().copied().collect();
    BTreeMap::from([
        ("store", table(keys::of::<raw::Store>())),
        ("defaults", table(keys::of::<raw::Defaults>())),
        ("limits", table(keys::of::<raw::MessageLimits>())),
        ("log", table(keys::of::<raw::Log>())),
        ("daemon", table(keys::of::<raw::Daemon>())),
        ("http", table(keys::of::<raw::Http>())),
        ("retention", table(keys::of::<raw::Retention>())),
        ("backup", table(keys::of::<raw::Backup>())),
        ("cache", table(keys::of::<raw::Cache>())),
        ("channels.relay", channel(keys::of::<raw::Smtp>())),
        ("channels.hook", channel(keys::of::<raw::Webhook>())),
        ("channels.program", channel(keys::of::<raw::Exec>())),
        ("channels.archive", channel(keys::of::<raw::File>())),
    ])
}

#[test]
fn the_sample_holds_every_key_that_the_code_knows_and_no_other() {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut table = "";
    for (line, text) in lines() {
        match line {
            Line::Table => table = text.trim_matches(['[', ']']),
            Line::Words => {}
            _ => assert!(
                found.entry(table).or_default().insert(key_of(text).unwrap()),
                "{table}: {text} twice"
            ),
        }
    }
    assert_eq!(found, known());
}

#[test]
fn every_default_in_the_sample_is_the_codes() {
    let examples = holds(&[Line::Table, Line::Example]);
    let all = holds(&[Line::Table, Line::Example, Line::Default]);
    assert_eq!(all, examples);
    // And what the code fills in by itself is in the sample.
    let documented: BTreeSet<_> = lines()
        .filter(|(line, _)| matches!(line, Line::Default | Line::Example))
        .filter_map(|(_, text)| key_of(text))
        .collect();
    let filled = examples.keys().filter_map(|path| path.rsplit('.').next());
    assert_eq!(filled.filter(|key| !documented.contains(key)).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn the_sample_as_it_is_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.toml");
    std::fs::write(&path, SAMPLE).unwrap();
    let values = |file| {
        let shown = Effective::load_in(file, &around(&[])).unwrap();
        shown.entries.into_iter().map(|entry| (entry.path(), entry.value)).collect::<Vec<_>>()
    };
    assert_eq!(values(Some(path.as_path())), values(None));
}

#[test]
fn what_stands_behind_or_is_right_too() {
    let mut table = "";
    let mut tried = 0;
    for (line, text) in lines() {
        match line {
            Line::Table => table = text,
            Line::Or => {
                let kind = match table {
                    "[cache]" => "url = \"redis://localhost\"",
                    "[channels.relay]" => "kind = \"smtp\"\nhost = \"h\"\nuser = \"u\"",
                    _ if text.starts_with("body_file") => "kind = \"webhook\"\nurl = \"https://example.org\"",
                    _ => "kind = \"webhook\"",
                };
                super::load(&format!("{table}\n{kind}\n{text}")).unwrap();
                tried += 1;
            }
            _ => {}
        }
    }
    assert_eq!(tried, 11);
}

#[test]
fn the_man_page_explains_every_key() {
    let items: BTreeSet<_> = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix(".It Cm "))
        .flat_map(|keys| keys.split(" , "))
        .collect();
    for (table, keys) in known() {
        for key in keys {
            assert!(items.contains(key), "{table}: {key} is not in man/notifyctl.toml.5");
        }
    }
}

#[test]
fn the_examples_of_the_man_page_can_be_used() {
    let example = PAGE.split_once(".Bd -literal -offset indent\n").unwrap().1.split_once(".Ed\n").unwrap().0;
    super::load(example).unwrap();
}
