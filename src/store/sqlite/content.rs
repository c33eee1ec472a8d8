//! Reading the content of a notification back: its own columns, and its parts when it has any.

use rusqlite::types::Type;
use rusqlite::{Connection, Row};

use super::sql::sql;
use crate::model::{Attachment, Content, Id};
use crate::store::Attached;

/// Where among the parts the message stands, when it does not stand in the row itself.
pub(super) const MESSAGE: i64 = -1;

/// The longest message, in bytes, that stands in the row itself. Each claim and each settlement writes the row
/// anew, a longer one over pages of its own.
pub(super) const MESSAGE_IN_ROW: usize = 2 * 1024;

/// Where among the parts the HTML stands; attachments follow.
pub(super) const HTML: i64 = 0;

/// Reads the five columns recipient, subject, message, headers, parts from column `first`; the parts
/// themselves are not read. Answers with the number of parts too.
pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<(Content, i64)> {
    let headers: Option<String> = row.get(first + 3)?;
    let headers = match headers {
        None => Vec::new(),
        Some(text) => serde_json::from_str(&text).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(first + 3, Type::Text, Box::new(error))
        })?,
    };
    let content = Content {
        recipient: row.get(first)?,
        subject: row.get(first + 1)?,
        message: row.get(first + 2)?,
        headers,
        html: None,
        attachments: Vec::new(),
    };
    Ok((content, row.get(first + 4)?))
}

/// Reads the parts of a notification into its content.
pub(super) fn read_parts(connection: &Connection, id: Id, content: &mut Content) -> rusqlite::Result<()> {
    let mut parts = connection.prepare_cached(sql!("parts"))?;
    let mut rows = parts.query([id])?;
    while let Some(row) = rows.next()? {
        let position: i64 = row.get(0)?;
        let bytes: Vec<u8> = row.get(3)?;
        match position {
            MESSAGE => content.message = text(bytes)?,
            HTML => content.html = Some(text(bytes)?),
            _ => content.attachments.push(Attachment {
                name: row.get(1)?,
                media_type: row.get(2)?,
                content: bytes,
            }),
        }
    }
    Ok(())
}

/// Reads the texts among the parts of a notification into its content, and of its attachments what is shown.
pub(super) fn read_texts(
    connection: &Connection,
    id: Id,
    content: &mut Content,
) -> rusqlite::Result<Vec<Attached>> {
    let mut attached = Vec::new();
    let mut parts = connection.prepare_cached(sql!("parts_shown"))?;
    let mut rows = parts.query([id])?;
    while let Some(row) = rows.next()? {
        match row.get(0)? {
            MESSAGE => content.message = text(row.get(3)?)?,
            HTML => content.html = Some(text(row.get(3)?)?),
            _ => attached.push(Attached { name: row.get(1)?, media_type: row.get(2)?, size: row.get(4)? }),
        }
    }
    Ok(attached)
}

fn text(bytes: Vec<u8>) -> rusqlite::Result<String> {
    String::from_utf8(bytes)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(3, Type::Blob, Box::new(error)))
}
