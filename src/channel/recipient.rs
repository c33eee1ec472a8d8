//! Which recipients a channel can reach; asked at enqueue, without building the channel, so it is cheap.
//!
//! Whether an address exists, and whether the relay can carry a non-ASCII one, only the relay can say.

use std::net::{Ipv4Addr, Ipv6Addr};

use lettre::Address;
use lettre::message::Mailbox;

use super::{Options, file};
use crate::model::Problem;

/// The most bytes of what stands before the `@` (RFC 5321 section 4.5.3.1.1).
const LOCAL_LIMIT: usize = 64;

/// The most bytes of what stands behind it (section 4.5.3.1.2).
const DOMAIN_LIMIT: usize = 255;

/// The most bytes of one part of a domain (RFC 1035 section 2.3.4).
const LABEL_LIMIT: usize = 63;

/// The most bytes of both together: a path of 256 without its angle brackets (section 4.5.3.1.3).
const ADDRESS_LIMIT: usize = 254;

/// The recipient as the channel wants it kept.
///
/// A channel that hands over mail wants a mail address: `a@b` or `Name <a@b>`, with or without quotes
/// around the name. Its domain comes back in A-labels; a domain without a dot is left to the relay, and so
/// is a non-ASCII part before the `@` (SMTPUTF8). Every other channel takes any single line.
///
/// # Errors
/// When this channel can never reach it. Says what is wrong and never repeats the recipient.
pub fn check(options: &Options, recipient: &str) -> Result<String, Problem> {
    match options {
        Options::Smtp(_) => address(recipient),
        Options::File(file) => match file.format {
            file::Format::Maildir => address(recipient),
            file::Format::Jsonl => line(recipient),
        },
        Options::Webhook(_) | Options::Exec(_) => line(recipient),
    }
}

/// The recipient of a mail, read back from how [`check`] keeps it.
///
/// # Errors
/// When it is no mail address.
pub fn mailbox(recipient: &str) -> Result<Mailbox, Problem> {
    let (name, address) = parts(recipient)?;
    let name = name.map(unquoted).transpose()?.filter(|name| !name.is_empty());
    Ok(Mailbox::new(name, parse(address)?))
}

fn line(recipient: &str) -> Result<String, Problem> {
    match recipient.contains(char::is_control) {
        true => Err(problem("holds a control character (a line break, a tab or NUL); remove it")),
        false => Ok(recipient.to_owned()),
    }
}

fn address(recipient: &str) -> Result<String, Problem> {
    if is_plain(recipient) {
        return Ok(recipient.to_owned());
    }
    let recipient = line(recipient)?;
    let (name, address) = parts(&recipient)?;
    let address = parse(address)?;
    match name.filter(|name| !name.is_empty()) {
        Some(name) => {
            unquoted(name)?;
            Ok(format!("{name} <{address}>"))
        }
        None => Ok(address.to_string()),
    }
}

/// Whether it is an address of the plainest form, as most are: letters, digits, `_`, `+`, `-` and single dots before the
/// `@`, a host's name behind it. [`parse`] takes every such one as it is; it took half of the time of checking a row.
fn is_plain(address: &str) -> bool {
    let Some((local, domain)) = address.split_once('@') else { return false };
    let is_atom = |atom: &str| {
        !atom.is_empty() && atom.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'-'))
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_LIMIT
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    local.len() <= LOCAL_LIMIT
        && address.len() <= ADDRESS_LIMIT
        && !local.starts_with('-')
        && local.split('.').all(is_atom)
        && domain.split('.').all(is_label)
}

/// The name, as it is written, and the address.
fn parts(recipient: &str) -> Result<(Option<&str>, &str), Problem> {
    let recipient = recipient.trim();
    match recipient.strip_suffix('>') {
        Some(rest) => match rest.rsplit_once('<') {
            Some((name, address)) => Ok((Some(name.trim()), address.trim())),
            None => Err(problem("has a `>` without a `<`; write `Name <a@example.org>`")),
        },
        None => Ok((None, recipient)),
    }
}

/// A name without the quotes that RFC 5322 section 3.2.4 allows around it.
fn unquoted(name: &str) -> Result<String, Problem> {
    let bad = || problem("has a name with a loose quote or angle bracket; write `\"Name\" <a@example.org>`");
    match name.strip_prefix('"') {
        None if name.contains(['"', '<', '>']) => Err(bad()),
        None => Ok(name.to_owned()),
        Some(rest) => {
            let inner = rest.strip_suffix('"').ok_or_else(bad)?;
            let mut plain = String::with_capacity(inner.len());
            let mut characters = inner.chars();
            while let Some(c) = characters.next() {
                match c {
                    '\\' => plain.push(characters.next().ok_or_else(bad)?),
                    '"' => return Err(bad()),
                    c => plain.push(c),
                }
            }
            Ok(plain.trim().to_owned())
        }
    }
}

fn parse(address: &str) -> Result<Address, Problem> {
    let Some((local, domain)) = address.rsplit_once('@') else {
        return Err(problem("has no `@`; write a mail address such as root@localhost"));
    };
    if local.is_empty() || domain.is_empty() {
        return Err(problem("has nothing before or nothing behind its `@`"));
    }
    if local.len() > LOCAL_LIMIT {
        return Err(problem(&format!("has more than {LOCAL_LIMIT} bytes before its `@`")));
    }
    if local.starts_with('-') {
        // Mail programs that are handed it as an argument would take it for an option.
        return Err(problem("starts with a `-`, which mail programs take for an option"));
    }
    if !local.starts_with('"') && local.contains([',', ';', '@', ' ']) {
        return Err(problem("is more than one address; give one recipient at a time"));
    }
    let domain = a_labels(domain)?;
    if local.len() + 1 + domain.len() > ADDRESS_LIMIT {
        return Err(problem(&format!("is longer than {ADDRESS_LIMIT} bytes")));
    }
    Address::new(local, domain)
        .map_err(|_| problem("is not a mail address; write one such as name@example.org"))
}

/// Whether it is the address of a host in brackets (RFC 5321 section 4.1.3).
fn is_literal(domain: &str) -> bool {
    let Some(inner) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else { return false };
    let version_6 = || inner.strip_prefix("IPv6:").is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok());
    inner.parse::<Ipv4Addr>().is_ok() || version_6()
}

/// The domain in ASCII (RFC 5891), or an address literal as it is.
fn a_labels(domain: &str) -> Result<String, Problem> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if domain.len() <= DOMAIN_LIMIT && (is_literal(domain) || domain.bytes().all(is_plain)) {
        return Ok(domain.to_owned());
    }
    let not_a_domain = || problem("has no valid domain behind its `@`");
    if domain.is_ascii() {
        return Err(not_a_domain());
    }
    idna::domain_to_ascii_strict(domain)
        .ok()
        .filter(|ascii| ascii.len() <= DOMAIN_LIMIT)
        .ok_or_else(not_a_domain)
}

fn problem(what: &str) -> Problem {
    Problem::new("to", what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::channel::{Kind, smtp};

    fn mail(recipient: &str) -> Result<String, Problem> {
        let options = Options::Smtp(smtp::Options::new("localhost"));
        assert_eq!(options.kind(), Kind::Smtp);
        check(&options, recipient)
    }

    #[test]
    fn addresses_are_kept_with_their_domain_in_a_labels() {
        for (given, kept) in [
            ("ops@example.org", "ops@example.org"),
            (" ops@example.org ", "ops@example.org"),
            ("root@localhost", "root@localhost"),
            ("<ops@example.org>", "ops@example.org"),
            ("Ops Team <ops@example.org>", "Ops Team <ops@example.org>"),
            ("\"Team, Ops\" <ops@example.org>", "\"Team, Ops\" <ops@example.org>"),
            ("Jürgen <j@bücher.example>", "Jürgen <j@xn--bcher-kva.example>"),
            ("j@BÜCHER.example", "j@xn--bcher-kva.example"),
            ("jürgen@example.org", "jürgen@example.org"),
            ("用户@例え.jp", "用户@xn--r8jz45g.jp"),
            ("\"a b\"@example.org", "\"a b\"@example.org"),
            ("a@[127.0.0.1]", "a@[127.0.0.1]"),
            ("a@[IPv6:::1]", "a@[IPv6:::1]"),
            ("user+tag@example.org", "user+tag@example.org"),
        ] {
            assert_eq!(mail(given).as_deref(), Ok(kept), "{given}");
            let again = mail(kept).unwrap();
            assert_eq!(again, kept, "checking twice changes nothing");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        let long_local = format!("{}@example.org", "x".repeat(65));
        let long_domain = format!("x@{}.org", "y.".repeat(130));
        for given in [
            "",
            "zebra",
            "@zebra",
            "zebra@",
            "-zebra@example.org",
            "zebra@-example.org",
            "zebra@exa mple.org",
            "zebra@example..org",
            "ze bra@example.org",
            "zebra@example.org, other@example.org",
            "zebra@example.org>",
            "a\"b <zebra@example.org>",
            "\"a <zebra@example.org>",
            "x <y> <zebra@example.org>",
            "zebra@example.org\r\nBcc: x@example.org",
            "zebra\u{0}@example.org",
            "zebra@exam\u{200e}ple.org",
            "zebra@a/b",
            "zebra@[127.0.0.1:]",
            "zebra@[::1]",
            &long_local,
            &long_domain,
        ] {
            let problem = mail(given).expect_err(given);
            assert_eq!(problem.field, "to");
            assert!(!problem.what.contains("zebra") && !problem.what.contains("xxx"), "{problem}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_at_a_look_is_what_a_parser_takes_as_it_is(
            address in "[a-zA-Z0-9._+-]{1,66}@[a-zA-Z0-9._-]{1,70}(\\.[a-z0-9-]{0,64}){0,4}",
        ) {
            let parsed = parse(&address).map(|address| address.to_string());
            prop_assert!(!is_plain(&address) || parsed.as_deref() == Ok(address.as_str()), "{address}: {parsed:?}");
        }
    }

    #[test]
    fn what_most_are_is_taken_at_a_look() {
        for plain in ["a@b", "root@localhost", "user+tag@example.org", "first.last_2@mail-1.example.co.uk"] {
            assert!(is_plain(plain), "{plain}");
        }
        for other in
            [".a@b", "a..b@c", "a.@b", "-a@b", "a@b.", "a@.b", "a@-b", "a@b-", "a@b_c", "a@b@c", "a b@c"]
        {
            assert!(!is_plain(other), "{other}");
        }
    }

    #[test]
    fn the_name_comes_back_without_its_quotes() {
        for (kept, name) in [
            ("a@b", None),
            ("<a@b>", None),
            ("\"\" <a@b>", None),
            ("Ops <a@b>", Some("Ops")),
            (r#""Team, \"Ops\" \\" <a@b>"#, Some(r#"Team, "Ops" \"#)),
            ("O'Brien, J. (x) <a@b>", Some("O'Brien, J. (x)")),
        ] {
            assert_eq!(mailbox(kept).unwrap().name.as_deref(), name, "{kept}");
        }
    }

    #[test]
    fn a_channel_without_mail_takes_any_single_line() {
        let mut options = file::Options::new("/tmp/x");
        assert!(check(&Options::File(options.clone()), "not an address").is_err());
        options.format = file::Format::Jsonl;
        let options = Options::File(options);
        assert_eq!(check(&options, "not an address").as_deref(), Ok("not an address"));
        assert!(check(&options, "two\nlines").is_err());
    }
}
