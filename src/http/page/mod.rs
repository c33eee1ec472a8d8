//! `GET /`: a page for people, and the files that it is made of, all of them in the binary.
//!
//! The page is public and holds nothing: what it shows it asks of `/v1`, like any other program, with the token of whoever
//! looks. It shows and changes nothing. Nothing is loaded from elsewhere, no script stands in a page, and what was told
//! and to whom is never taken for HTML: the policy below holds the browser to it.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest, Sha256};

use super::endpoint::Routes;

/// Own files alone, nothing inline, in nobody's frame; no text becomes HTML or a script (trusted types).
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
     trusted-types 'none'",
);

/// Asked for again each time, and sent again only when it is another one: no browser shows the page of an older notifyctl.
const CACHING: HeaderValue = HeaderValue::from_static("no-cache");

/// One file.
struct File {
    path: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! file {
    ($name:literal, $media_type:expr) => {
        File {
            path: concat!("/page/", $name),
            media_type: $media_type,
            bytes: include_bytes!(concat!("files/", $name)),
        }
    };
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// All of them; the first one is also what `/` answers with.
const FILES: &[File] = &[
    File { path: "/", media_type: HTML, bytes: include_bytes!("files/index.html") },
    file!("app.js", SCRIPT),
    file!("api.js", SCRIPT),
    file!("chart.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("live.js", SCRIPT),
    file!("one.js", SCRIPT),
    file!("overview.js", SCRIPT),
    file!("table.js", SCRIPT),
    file!("style.css", STYLE),
    file!("icon.svg", "image/svg+xml"),
    // https://github.com/leeoniya/uPlot, as it is published.
    file!("uPlot.iife.min.js", SCRIPT),
    file!("uPlot.min.css", STYLE),
    file!("uPlot.LICENSE", "text/plain; charset=utf-8"),
];

/// `routes` with those of the page.
pub(super) fn add(routes: Routes) -> Routes {
    FILES.iter().fold(routes, |routes, file| {
        let tag = tag(file.bytes);
        routes.open(file.path, move |headers: HeaderMap| async move { answer(file, &tag, &headers) })
    })
}

/// What tells a file from any other.
fn tag(bytes: &[u8]) -> HeaderValue {
    let text = format!("\"{}\"", BASE64.encode(Sha256::digest(bytes)));
    // Letters and digits always are one.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("\"\""))
}

fn answer(file: &'static File, tag: &HeaderValue, headers: &HeaderMap) -> Response {
    const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
    let about: [(HeaderName, HeaderValue); 5] = [
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, CACHING),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (HeaderName::from_static("cross-origin-opener-policy"), SAME_ORIGIN),
        (HeaderName::from_static("cross-origin-resource-policy"), SAME_ORIGIN),
    ];
    if is_known(tag, headers) {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, [(header::CONTENT_TYPE, file.media_type)], file.bytes).into_response()
}

/// Whether whoever asks has it already (`If-None-Match`, compared weakly).
fn is_known(tag: &HeaderValue, headers: &HeaderMap) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut known = known.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    known.any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag.as_bytes()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(of: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
        let own = FILES.iter().filter(move |file| file.media_type == of && !file.path.contains("uPlot"));
        own.map(|file| (file.path, std::str::from_utf8(file.bytes).expect("UTF-8")))
    }

    #[test]
    fn what_was_told_is_never_made_into_html() {
        let ways = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "parseFromString",
            "setHTML",
            "eval(",
        ];
        assert!(own(SCRIPT).count() > 5);
        for (path, text) in own(SCRIPT) {
            for way in ways {
                assert!(!text.contains(way), "{path}: {way}");
            }
        }
        let (_, html) = own(HTML).next().expect("a page");
        for inline in ["style=", "<style", "onclick", "onload", "onerror", "onsubmit", "javascript:"] {
            assert!(!html.contains(inline), "{inline}");
        }
        assert_eq!(html.matches("<script src=").count(), html.matches("<script").count());
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for (path, text) in own(HTML).chain(own(SCRIPT)).chain(own(STYLE)) {
            for way in ["http://", "https://", "\"//", "@import", "url("] {
                assert!(!text.contains(way), "{path}: {way}");
            }
        }
        for (path, text) in own(HTML).chain(own(SCRIPT)) {
            let imports = text.lines().filter(|line| line.starts_with("import "));
            for from in imports.filter_map(|line| line.rsplit_once(" from ")).map(|(_, from)| from) {
                let name = from.trim_matches(['"', ';', '.']);
                assert!(FILES.iter().any(|file| file.path == format!("/page{name}")), "{path}: {from}");
            }
            for part in text.split('"').filter(|part| part.starts_with("page/")) {
                assert!(FILES.iter().any(|file| file.path == format!("/{part}")), "{path}: {part}");
            }
        }
    }

    #[test]
    fn a_tag_tells_a_file_from_any_other() {
        let asks = |text: &'static str| {
            HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(text))])
        };
        let tag = HeaderValue::from_static("\"a\"");
        for (text, known) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
        ] {
            assert_eq!(is_known(&tag, &asks(text)), known, "{text}");
        }
        assert!(!is_known(&tag, &HeaderMap::new()));
        assert_ne!(super::tag(b"a"), super::tag(b"b"));
    }
}
