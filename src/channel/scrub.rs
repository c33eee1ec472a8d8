//! Takes known secrets out of what the other side said, before it is kept or shown.

use std::collections::BTreeSet;

/// What stands where a secret stood.
const MASK: &str = "[secret]";

/// The shortest text that is taken for a secret; what is shorter occurs by chance.
const SHORTEST: usize = 6;

/// Secrets that must not be repeated.
#[derive(Clone, Default)]
pub struct Scrub(BTreeSet<String>);

impl Scrub {
    /// Also `secret`, unless it is too short to be one.
    pub fn add(&mut self, secret: &str) {
        if secret.len() >= SHORTEST {
            self.0.insert(secret.to_owned());
            // As some write it in JSON (PHP does).
            if secret.contains('/') {
                self.0.insert(secret.replace('/', r"\/"));
            }
        }
    }

    /// `text` without any of them.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let mut secrets: Vec<_> = self.0.iter().collect();
        // The longest first: a shorter one may be a part of it.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
    }
}

#[cfg(test)]
mod tests {
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
}
