//! A row's attachments: bytes that came with it, or a file that it names.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_PAD_INDIFFERENT;
use serde_json::{Map, Value};

use super::build::kind_of;
use crate::model::{Attachment, Problem};

/// One attachment of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowAttachment {
    /// It came with the row.
    Content(Attachment),
    /// A file; only the shell's own batch files may name one, which is for the [`super::Intake`] to judge.
    Path(String),
}

/// The media type that a file's name suggests; `application/octet-stream` when it suggests none.
#[must_use]
pub fn media_type(name: &str) -> &'static str {
    mime_guess::from_path(name).first_raw().unwrap_or("application/octet-stream")
}

/// Reads `{"name", "media_type"?, "content"}`, the content as base64, or `{"path"}`.
pub(super) fn read(value: Value) -> Result<RowAttachment, Problem> {
    let Value::Object(mut fields) = value else {
        return Err(wrong(format!("one is {}; write an object with name and content", kind_of(&value))));
    };
    let path = text(&mut fields, "path")?;
    let name = text(&mut fields, "name")?;
    let media = text(&mut fields, "media_type")?;
    let content = text(&mut fields, "content")?;
    if !fields.is_empty() {
        return Err(wrong("one has an unknown field; there are name, media_type and content, or path"));
    }
    match (path, name, content) {
        (Some(path), None, None) if media.is_none() => Ok(RowAttachment::Path(path)),
        (None, Some(name), Some(content)) => {
            let content = STANDARD_PAD_INDIFFERENT
                .decode(content)
                .map_err(|error| wrong(format!("a content is not base64: {error}")))?;
            let media_type = media.unwrap_or_else(|| media_type(&name).to_owned());
            if media_type.parse::<mime_guess::Mime>().is_err() {
                return Err(wrong("a media_type is not one, such as `application/pdf`"));
            }
            Ok(RowAttachment::Content(Attachment { name, media_type, content }))
        }
        _ => Err(wrong("one needs name and content (base64), or a path alone")),
    }
}

fn text(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Problem> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong(format!("a {name} is {}; write a text", kind_of(&other)))),
    }
}

fn wrong(what: impl Into<String>) -> Problem {
    Problem::new("attachments", what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn content_is_decoded_and_the_media_type_follows_from_the_name() {
        for content in ["aGk=", "aGk"] {
            let read = read(json!({"name": "a.pdf", "content": content})).unwrap();
            let wanted = Attachment {
                name: "a.pdf".into(),
                media_type: "application/pdf".into(),
                content: b"hi".to_vec(),
            };
            assert_eq!(read, RowAttachment::Content(wanted));
        }
        assert_eq!(read(json!({"path": "b/c.txt"})), Ok(RowAttachment::Path("b/c.txt".into())));
        assert_eq!(media_type("x.unheard-of"), "application/octet-stream");
    }

    #[test]
    fn what_is_not_an_attachment_is_refused_without_repeating_it() {
        for (value, said) in [
            (json!("a.pdf"), "one is a text; write an object with name and content"),
            (json!({"name": "a"}), "one needs name and content (base64), or a path alone"),
            (json!({"path": "a", "name": "b"}), "one needs name and content (base64), or a path alone"),
            (json!({"name": "a", "content": 7}), "a content is a number; write a text"),
            (json!({"name": "a", "content": "?"}), "a content is not base64"),
            (json!({"name": "a", "content": "", "media_type": "x\r\ny"}), "a media_type is not one"),
            (json!({"name": "a", "content": "", "size": 1}), "one has an unknown field"),
        ] {
            let problem = read(value).unwrap_err();
            assert!(problem.what.starts_with(said), "{problem}");
        }
    }
}
