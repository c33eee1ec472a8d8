//! What stands behind the `?`: read alike, and refused in the same words, wherever it may stand.

use std::str::FromStr;

use crate::wire::nearest;

/// Looks at the names: each must be one of `known`, and come once unless it is one of `lists`.
///
/// # Errors
/// Says which one is wrong, for people.
pub(super) fn check(given: &[(String, String)], known: &[&str], lists: &[&str]) -> Result<(), String> {
    for (at, (name, _)) in given.iter().enumerate() {
        if !known.contains(&name.as_str()) {
            return Err(unknown(name, known));
        }
        if !lists.contains(&name.as_str()) && given[..at].iter().any(|(other, _)| other == name) {
            return Err(format!("{name}: is given twice"));
        }
    }
    Ok(())
}

/// Adds to a list what stands in one of its values: a word, or several with commas between.
///
/// # Errors
/// When one is no word of it; an empty one is none either, lest a script's empty variable ask for everything.
pub(super) fn add<T: FromStr + PartialEq>(list: &mut Vec<T>, value: &str) -> Result<(), T::Err> {
    for word in value.split(',') {
        let word = word.parse()?;
        if !list.contains(&word) {
            list.push(word);
        }
    }
    Ok(())
}

/// Why a parameter is none, with the one that was probably meant.
pub(super) fn unknown(name: &str, known: &[&str]) -> String {
    let meant = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known.join(", ")),
    };
    let name: String = name.chars().take(40).collect();
    format!("there is no parameter `{}`; {meant}", name.escape_debug())
}
