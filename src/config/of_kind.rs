//! The options of each kind of channel from its keys.

use std::time::Duration;

use super::build::Fault;
use super::raw::{self, AbsolutePath, Number, OfKind, Secret, Word};
use crate::channel::smtp::{Mechanism, Timeouts};
use crate::channel::{Options, exec, file, smtp, webhook};
use crate::secret::Source;
use crate::units::Period;

/// Options, and the limit of time for one attempt; `timeout` is what is configured. What depends on other
/// keys is filled in.
pub(super) fn options(raw: &mut OfKind, timeout: Option<Duration>) -> Result<(Options, Duration), Fault> {
    Ok(match raw {
        OfKind::Smtp(raw) => {
            let timeout = timeout.unwrap_or(Timeouts::COMMAND);
            (Options::Smtp(smtp(raw, timeout)?), timeout)
        }
        OfKind::Webhook(raw) => {
            let timeout = timeout.unwrap_or(webhook::Options::TIMEOUT);
            (Options::Webhook(webhook(raw, timeout)?), timeout)
        }
        OfKind::Exec(raw) => {
            let timeout = timeout.unwrap_or(exec::Options::TIMEOUT);
            (Options::Exec(exec(raw, timeout)?), timeout)
        }
        OfKind::File(raw) => {
            let timeout = timeout.unwrap_or(file::Options::TIMEOUT);
            (Options::File(file(raw, timeout)?), timeout)
        }
    })
}

fn smtp(raw: &mut raw::Smtp, timeout: Duration) -> Result<smtp::Options, Fault> {
    let host = match raw.host.clone() {
        Some(host) if !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            host
        }
        Some(_) => return Err(Fault::new("host", "is not the name or the address of a host")),
        None => return Err(missing("host is missing: the name of the mail relay")),
    };
    let port = raw.port.map(|port| port.0);
    if port == Some(0) {
        return Err(Fault::new("port", "must be within 1 and 65535"));
    }
    let password = one_of([
        ("password", raw.password.as_ref().map(|Secret(password)| Source::Inline(password.clone()))),
        ("password_file", raw.password_file.as_ref().map(at)),
        ("password_command", raw.password_command.clone().map(Source::Command)),
        ("password_credential", raw.password_credential.clone().map(Source::Credential)),
        ("token_command", raw.token_command.clone().map(Source::Command)),
    ])?;
    let auth = mechanism(raw)?;
    match (&raw.user, &password) {
        (Some(_), None) => {
            let what = "is set, and no password: set password_file, password_command or password_credential";
            return Err(Fault::new("user", what));
        }
        (None, Some((key, _))) => return Err(Fault::new(key, "is set, and no user that it belongs to")),
        _ => {}
    }
    let options = smtp::Options {
        port,
        tls: raw.tls.as_ref().map(|word| word.0),
        ca_file: raw.ca_file.as_ref().map(|word| word.0.0.clone()),
        user: raw.user.clone(),
        password: password.map(|(_, source)| source),
        auth,
        from: raw.from.as_ref().map(|word| word.0.0.clone()),
        hello: raw.hello.clone(),
        timeouts: Timeouts::within(timeout),
        ..smtp::Options::new(host)
    };
    raw.port = Some(Number(options.port()));
    raw.tls = Some(Word(options.tls()));
    Ok(options)
}

/// A token logs in by XOAUTH2 and by nothing else.
fn mechanism(raw: &mut raw::Smtp) -> Result<Mechanism, Fault> {
    let usual = match raw.token_command {
        Some(_) => Mechanism::Xoauth2,
        None => Mechanism::default(),
    };
    let Word(auth) = *raw.auth.get_or_insert(Word(usual));
    match raw.token_command.is_some() && auth != Mechanism::Xoauth2 {
        true => Err(Fault::new("auth", "must be \"xoauth2\" with token_command, or be left out")),
        false => Ok(auth),
    }
}

fn webhook(raw: &raw::Webhook, timeout: Duration) -> Result<webhook::Options, Fault> {
    let url = one_of([
        ("url", raw.url.as_ref().map(|Secret(url)| Source::Inline(url.clone()))),
        ("url_file", raw.url_file.as_ref().map(at)),
        ("url_command", raw.url_command.clone().map(Source::Command)),
        ("url_credential", raw.url_credential.clone().map(Source::Credential)),
    ])?;
    let (_, url) = url.ok_or_else(|| missing("url is missing (or url_file, when the URL is a secret)"))?;
    if !raw.method.bytes().all(|b| b.is_ascii_uppercase()) || raw.method.is_empty() {
        return Err(Fault::new("method", "is not a method like \"POST\" or \"PUT\""));
    }
    let mut headers: Vec<_> =
        raw.headers.iter().map(|(name, Secret(value))| (name.clone(), value.clone())).collect();
    if let Some(media_type) = &raw.content_type {
        if raw.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
            return Err(Fault::new("content_type", "is set by `headers` too; keep one of the two"));
        }
        headers.push(("content-type".to_owned(), media_type.as_str().into()));
    }
    let body = match (&raw.body, &raw.body_file) {
        (Some(_), Some(_)) => {
            return Err(Fault::new("body_file", "and `body` are both set; keep one of the two"));
        }
        (Some(text), None) => Some(webhook::Body::Inline(text.clone())),
        (None, Some(file)) => Some(webhook::Body::File(file.0.0.clone())),
        (None, None) => None,
    };
    let secrets_file = raw.secrets_file.as_ref().map(|word| word.0.0.clone());
    let ca_file = raw.ca_file.as_ref().map(|word| word.0.0.clone());
    Ok(webhook::Options { url, method: raw.method.clone(), headers, body, secrets_file, ca_file, timeout })
}

fn exec(raw: &raw::Exec, timeout: Duration) -> Result<exec::Options, Fault> {
    match raw.command.first() {
        None => return Err(missing("command is missing: [\"/path/to/program\", \"argument\"]")),
        Some(program) if program.is_empty() => return Err(Fault::new("command", "names no program")),
        Some(_) => {}
    }
    let Period(kill_after) = raw.kill_after;
    let env = raw.env.iter().map(|(name, Secret(value))| (name.clone(), value.clone())).collect();
    Ok(exec::Options { command: raw.command.clone(), env, timeout, kill_after })
}

fn file(raw: &raw::File, timeout: Duration) -> Result<file::Options, Fault> {
    let Some(Word(AbsolutePath(path))) = &raw.path else {
        return Err(missing("path is missing: the folder of the Maildir, or the file of JSON lines"));
    };
    let from = raw.from.as_ref().map(|word| word.0.0.clone());
    Ok(file::Options { path: path.clone(), format: raw.format.0, from, timeout })
}

fn missing(what: &str) -> Fault {
    Fault { key: None, what: what.to_owned() }
}

pub(super) fn at(word: &Word<AbsolutePath>) -> Source {
    Source::File(word.0.0.clone())
}

/// The one that is set, if any is.
pub(super) fn one_of<const N: usize>(
    places: [(&'static str, Option<Source>); N],
) -> Result<Option<(&'static str, Source)>, Fault> {
    let mut set = places.into_iter().filter_map(|(key, source)| Some((key, source?)));
    let first = set.next();
    if let (Some((one, _)), Some((other, _))) = (&first, set.next()) {
        return Err(Fault::new(other, format!("and `{one}` are both set; keep one of the two")));
    }
    if let Some((key, Source::Command(argv))) = &first
        && argv.first().is_none_or(String::is_empty)
    {
        return Err(Fault::new(key, "names no program: [\"/path/to/program\", \"argument\"]"));
    }
    Ok(first)
}
