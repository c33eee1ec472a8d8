//! What stands behind the `?`.

use crate::wire::nearest;

/// Why a parameter is none, with the one that was probably meant.
pub(super) fn unknown(name: &str, known: &[&str]) -> String {
    let meant = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known.join(", ")),
    };
    let name: String = name.chars().take(40).collect();
    format!("there is no parameter `{}`; {meant}", name.escape_debug())
}
