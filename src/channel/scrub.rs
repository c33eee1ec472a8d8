//! Takes known secrets out of what the other side said, before it is kept or shown.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands where a secret stood.
const MASK: &str = "[secret]";

/// The shortest text that is taken for a secret; what is shorter occurs by chance.
const SHORTEST: usize = 6;

/// What need not be encoded in a URL (RFC 3986 section 2.3); some encode it all the same.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Secrets that must not be repeated.
#[derive(Clone, Default)]
pub struct Scrub(BTreeSet<String>);

impl Scrub {
    /// Also `secret`, unless it is too short to be one.
    pub fn add(&mut self, secret: &str) {
        if secret.len() >= SHORTEST {
            self.0.insert(secret.to_owned());
            // As some write it in JSON (PHP does).
            self.0.insert(secret.replace('/', r"\/"));
            self.0.extend(percent_encoded(secret));
            self.0.extend(base64_encoded(secret));
        }
    }

    /// `text` without any of them.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        let mut found: Vec<_> = self.0.iter().filter(|secret| text.contains(secret.as_str())).collect();
        // The longest first: a shorter one may be a part of it.
        found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        found.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
    }
}

/// As it stands in a URL, or in a form.
fn percent_encoded(secret: &str) -> [String; 4] {
    let encoded = |set| {
        let parts: Vec<_> = utf8_percent_encode(secret, set).collect();
        // Both cases of the digits mean the same.
        let lower =
            |part: &&str| if part.starts_with('%') { part.to_ascii_lowercase() } else { (*part).to_owned() };
        [parts.concat(), parts.iter().map(lower).collect()]
    };
    let ([one, other], [one_more, last]) = (encoded(KEPT), encoded(NON_ALPHANUMERIC));
    [one, other, one_more, last]
}

/// As it stands in base64: whole, and the part of it that is the same within something longer, wherever the groups of three
/// bytes begin there.
fn base64_encoded(secret: &str) -> impl Iterator<Item = String> {
    [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD].into_iter().flat_map(move |code| {
        let within = (0..3).filter_map(move |skipped| {
            let bytes = secret.as_bytes().get(skipped..)?;
            Some(code.encode(&bytes[..bytes.len() / 3 * 3])).filter(|text| text.len() >= SHORTEST)
        });
        within.chain([code.encode(secret)])
    })
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn the_longest_goes_first_and_chance_is_left_alone() {
        let mut scrub = Scrub::default();
        for secret in ["hunter2", "hunter2-and-more", "a"] {
            scrub.add(secret);
        }
        scrub.add("ab/cd/ef");
        assert_eq!(scrub.apply(r#""ab/cd/ef" "ab\/cd\/ef""#), r#""[secret]" "[secret]""#);
        assert_eq!(scrub.apply("a hunter2-and-more, hunter2!"), "a [secret], [secret]!");
    }

    #[test]
    fn a_secret_is_known_by_what_programs_make_of_it() {
        let mut scrub = Scrub::default();
        scrub.add("kéy/ab?~12+x");
        for said in [
            "k%C3%A9y%2Fab%3F~12%2Bx",
            "k%c3%a9y%2fab%3f~12%2bx",
            "k%C3%A9y%2Fab%3F%7E12%2Bx",
            r"kéy\/ab?~12+x",
            "a8OpeS9hYj9+MTIreA==",
            "a8OpeS9hYj9-MTIreA",
        ] {
            assert_eq!(scrub.apply(&format!("no: {said}")).trim_end_matches('='), "no: [secret]", "{said}");
        }
        // Within something longer: of what is left, one group of letters at each end may belong to it.
        for before in ["", "u", "us", "use"] {
            let left = scrub.apply(&STANDARD.encode(format!("{before}kéy/ab?~12+x:more")));
            let neighbours = STANDARD.encode(format!("{before}:more"));
            assert!(left.contains(MASK) && left.len() <= neighbours.len() + MASK.len() + 8, "{left}");
        }
        assert_eq!(scrub.apply("a8Op is its beginning"), "a8Op is its beginning");
    }
}
