//! Mail addresses as far as they have two spellings.

/// A recipient with its domain in ASCII (A-labels, RFC 5891), as channels of mail keep it; `None` where it is no mail
/// address, or has no other spelling.
#[must_use]
pub fn in_ascii(recipient: &str) -> Option<String> {
    let (local, rest) = recipient.rsplit_once('@')?;
    let (domain, end) = rest.strip_suffix('>').map_or((rest, ""), |domain| (domain, ">"));
    let ascii = idna::domain_to_ascii_strict(domain).ok().filter(|_| !domain.is_ascii())?;
    Some(format!("{local}@{ascii}{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_domain_beyond_ascii_has_another_spelling() {
        assert_eq!(in_ascii("bob@müller.example").as_deref(), Some("bob@xn--mller-kva.example"));
        assert_eq!(in_ascii("Bö <bö@MÜLLER.example>").as_deref(), Some("Bö <bö@xn--mller-kva.example>"));
        for one in ["bob@Example.org", "bö@example.org", "#über", "müller.example", "a@", "bob@mü ller"] {
            assert_eq!(in_ascii(one), None, "{one}");
        }
    }
}
