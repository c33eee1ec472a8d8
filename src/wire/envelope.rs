//! One notification as a program reads it: on the standard input of an `exec` channel, in the body of a
//! `webhook` channel, as a line of a `file` channel's JSON lines, and as the names in a body template.

use std::collections::BTreeMap;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};

use crate::model::Id;

/// One notification, for one attempt. Every field is always there; what is not set is `null`, or empty.
#[derive(Debug, Clone, Serialize)]
pub struct Envelope<'a> {
    /// Its number in the store.
    pub id: Id,
    /// The same on every attempt, unlike any other's in any store: tells a repetition from a new one.
    pub stable_id: &'a str,
    /// The channel's configured name.
    pub channel: &'a str,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When it was enqueued, RFC 3339 in UTC.
    pub created_at: String,
    /// The caller's id of the user who is told.
    pub user_id: Option<&'a str>,
    /// `critical`, `high`, `normal` or `low`.
    pub priority: &'static str,
    /// Who is told.
    pub recipient: &'a str,
    /// One line.
    pub subject: Option<&'a str>,
    /// The text.
    pub message: &'a str,
    /// The same as HTML.
    pub html: Option<&'a str>,
    /// Further headers: name to value; the values of a repeated name are joined by `, `.
    pub headers: BTreeMap<&'a str, String>,
    /// Files that travel with it.
    pub attachments: Vec<Attachment<'a>>,
}

/// A file that travels with a notification.
#[derive(Debug, Clone, Serialize)]
pub struct Attachment<'a> {
    /// The file's name, without a directory.
    pub name: &'a str,
    /// The media type, such as `application/pdf`.
    pub media_type: &'a str,
    /// How many bytes it holds.
    pub size: usize,
    /// The bytes in base64 (RFC 4648 section 4, padded, without line breaks).
    #[serde(rename = "content_base64", serialize_with = "as_base64")]
    pub content: &'a [u8],
}

fn as_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(bytes, &STANDARD))
}

/// The headers as [`Envelope`] shows them.
#[must_use]
pub fn headers(headers: &[(String, String)]) -> BTreeMap<&str, String> {
    let mut shown = BTreeMap::<&str, String>::new();
    for (name, value) in headers {
        shown
            .entry(name)
            .and_modify(|before| {
                before.push_str(", ");
                before.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape is a promise: what is added may be added here, nothing may change.
    #[test]
    fn the_shape_is_as_documented() {
        let given = [("X-A", "1"), ("X-B", "3"), ("X-A", "2")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let envelope = Envelope {
            id: 17,
            stable_id: "17-5f0c",
            channel: "hook",
            attempt: 2,
            created_at: "2026-11-20T02:00:00.000Z".into(),
            user_id: None,
            priority: "high",
            recipient: "ops",
            subject: Some("disk"),
            message: "full 🔥\n.\n",
            html: None,
            headers: headers(&given),
            attachments: vec![Attachment {
                name: "a.bin",
                media_type: "application/x",
                size: 2,
                content: b"\0\xff",
            }],
        };
        let expected = concat!(
            r#"{"id":17,"stable_id":"17-5f0c","channel":"hook","attempt":2,"#,
            r#""created_at":"2026-11-20T02:00:00.000Z","user_id":null,"priority":"high","recipient":"ops","#,
            r#""subject":"disk","message":"full 🔥\n.\n","html":null,"headers":{"X-A":"1, 2","X-B":"3"},"#,
            r#""attachments":[{"name":"a.bin","media_type":"application/x","size":2,"content_base64":"AP8="}]}"#,
        );
        assert_eq!(serde_json::to_string(&envelope).unwrap(), expected);
    }
}
