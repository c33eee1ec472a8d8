//! From options to what a request is made of, and which parts of them are secrets.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use percent_encoding::percent_decode_str;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::Body;
use super::signature::Signer;
use super::template::{Syntax, Template};
use crate::channel::scrub::Scrub;
use crate::secret::Source;

/// The methods that may carry a body.
const METHODS: [Method; 5] = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::GET];

/// Headers that belong to the connection or to the signature, not to the operator.
const OURS: [&str; 10] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "upgrade",
    "expect",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
];

/// A part of a URL's path that is at least this long, in bytes, is taken for a token.
const TOKEN: usize = 16;

/// The largest file that is taken for a template, in bytes.
const TEMPLATE_LIMIT: u64 = 1 << 20;

/// # Errors
/// Where and what is wrong, never the URL itself.
pub fn url(source: &Source, scrub: &mut Scrub) -> Result<Url, String> {
    let text = source.read().map_err(|error| error.to_string())?;
    let url = Url::parse(text.expose_secret().trim())
        .map_err(|error| format!("is not a URL ({error}); write one like https://example.org/hook"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("has the scheme `{}`; https and http are known", url.scheme()));
    }
    hide(&url, text.expose_secret().trim(), scrub);
    Ok(url)
}

/// The other side may repeat any part of it: whole, without the host, or the token alone, decoded or not.
fn hide(url: &Url, text: &str, scrub: &mut Scrub) {
    scrub.add(text);
    scrub.add(url.as_str());
    if url.path().len() > 1 {
        scrub.add(url.path());
    }
    for token in url.path().split(['/', ':']).filter(|part| part.len() >= TOKEN) {
        add_decoded(token, scrub);
    }
    for (_, value) in url.query_pairs() {
        scrub.add(&value);
    }
    scrub.add(url.query().unwrap_or_default());
    scrub.add(url.username());
    add_decoded(url.password().unwrap_or_default(), scrub);
}

fn add_decoded(text: &str, scrub: &mut Scrub) {
    scrub.add(text);
    // As a query would be read, which knows `%41` and nothing else that stands in a path.
    for (name, _) in url::form_urlencoded::parse(text.replace('+', "%2B").as_bytes()) {
        scrub.add(&name);
    }
}

/// # Errors
/// What would be right.
pub fn method(text: &str) -> Result<Method, String> {
    let known = METHODS.into_iter().find(|method| method.as_str() == text.to_ascii_uppercase());
    known.ok_or_else(|| format!("`{text}` is not one of POST, PUT, PATCH, DELETE, GET"))
}

/// The configured headers, and those of ours that are not among them; the URL's user and password are one.
///
/// # Errors
/// Names the header, never its value.
pub fn headers(given: &[(String, SecretString)], url: &Url, scrub: &mut Scrub) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let key =
            HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is not a header's name"))?;
        if OURS.contains(&key.as_str()) {
            return Err(format!("`{name}` is notifyctl's to set"));
        }
        let mut checked = HeaderValue::try_from(value.expose_secret())
            .map_err(|_| format!("the value of `{name}` holds a line break or another control character"))?;
        if key != CONTENT_TYPE {
            checked.set_sensitive(true);
            scrub.add(value.expose_secret());
            // `Bearer …`: the token alone.
            value.expose_secret().split_whitespace().skip(1).for_each(|word| scrub.add(word));
        }
        headers.append(key, checked);
    }
    for (name, ours) in [
        (CONTENT_TYPE, "application/json"),
        (ACCEPT, "*/*"),
        (USER_AGENT, concat!("notifyctl/", env!("CARGO_PKG_VERSION"))),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(ours));
    }
    if !url.username().is_empty() || url.password().is_some() {
        headers.entry(AUTHORIZATION).or_insert(basic(url, scrub));
    }
    Ok(headers)
}

/// User and password as RFC 7617 has them.
fn basic(url: &Url, scrub: &mut Scrub) -> HeaderValue {
    let mut plain = Zeroizing::new(percent_decode_str(url.username()).collect::<Vec<_>>());
    plain.push(b':');
    plain.extend(percent_decode_str(url.password().unwrap_or_default()));
    let encoded = STANDARD.encode(&*plain);
    scrub.add(&encoded);
    let mut value = HeaderValue::try_from(format!("Basic {encoded}")).expect("letters and digits");
    value.set_sensitive(true);
    value
}

/// # Errors
/// Where and what is wrong.
pub fn template(body: Option<&Body>, headers: &HeaderMap) -> Result<Option<Template>, String> {
    let text = match body {
        None => return Ok(None),
        Some(Body::Inline(text)) => text.clone(),
        Some(Body::File(path)) => read(path).map_err(|error| format!("{}: {error}", path.display()))?,
    };
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Template::new(&text, Syntax::of(content_type.unwrap_or_default())).map(Some)
}

fn read(path: &Path) -> std::io::Result<String> {
    let about = std::fs::metadata(path)?;
    if !about.is_file() || about.len() > TEMPLATE_LIMIT {
        return Err(std::io::Error::other("not a regular file of at most 1 MiB"));
    }
    std::fs::read_to_string(path)
}

/// # Errors
/// Where and what is wrong, never a secret.
pub fn signer(file: &Path, scrub: &mut Scrub) -> Result<Signer, String> {
    let (signer, secrets) = Signer::read(file)?;
    for secret in &secrets {
        scrub.add(secret.expose_secret());
        scrub.add(secret.expose_secret().trim_start_matches("whsec_"));
    }
    Ok(signer)
}

/// Where a redirect leads, as far as it can be shown: what follows the host may be a token.
pub fn origin(from: &Url, target: &str) -> String {
    match from.join(target) {
        Ok(url) => url.origin().ascii_serialization(),
        Err(_) => "something that is not a URL".to_owned(),
    }
}
