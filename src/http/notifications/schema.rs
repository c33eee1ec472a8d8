//! What may be asked and is answered, for the OpenAPI document. The reading itself is `wire::row`'s, which takes no type's word for it.

use utoipa::ToSchema;

use super::posted::{Headers, To};
use crate::http::texts;
use crate::wire::words;

/// The fields of a notification. Null is as good as leaving one out.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only its shape is of interest")]
pub(super) struct Fields {
    /// The channel; the configured default one unless said otherwise.
    channel: Option<String>,
    /// Who is told: one, or a list, each of whom gets one; the recipient of `user_id`, or whom the channel tells.
    to: Option<To>,
    /// Your own id of the user who is told.
    user_id: Option<texts::Line>,
    /// One line, for channels that have a subject.
    subject: Option<texts::Line>,
    /// The text. This or `html` must be there.
    message: Option<texts::Text>,
    /// The same as HTML.
    html: Option<texts::Text>,
    /// How much it hurries; `normal` unless said otherwise.
    priority: Option<words::Priority>,
    /// Not before: RFC 3339, or `tomorrow 09:00` and the like on the clock of the server. Not beside `in`.
    not_before: Option<texts::Moment>,
    /// Not before so much time has passed: `30m`.
    r#in: Option<texts::Duration>,
    /// How long it is useful, from its earliest moment on: `2d`.
    ttl: Option<texts::TimeToLive>,
    /// Duplicate guard: the same key for the same recipient is enqueued once within a day, or as configured. With
    /// other words than at its first use the answer is 409.
    key: Option<texts::Key>,
    /// Further headers: `X-*`, `List-*`, `Reply-To` and some more.
    headers: Option<Headers>,
    /// Files that travel with it, together 10 MiB at most unless configured otherwise.
    #[schema(max_items = 100)]
    attachments: Option<Vec<File>>,
}

/// A file.
#[derive(ToSchema)]
#[schema(as = NewAttachment)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only its shape is of interest")]
pub(in crate::http) struct File {
    /// Its name, without a directory.
    name: texts::FileName,
    /// Its media type; by its name unless said otherwise.
    media_type: Option<texts::MediaType>,
    /// Its bytes.
    content: texts::Base64,
}

/// In which order a list comes.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "only its shape is of interest")]
pub(in crate::http) enum Order {
    Newest,
    Oldest,
}

/// What is accepted: one, or many with their batch.
#[derive(ToSchema)]
#[schema(as = Receipt)]
#[allow(dead_code, reason = "only its shape is of interest")]
#[serde(untagged)]
pub(in crate::http) enum Taken {
    One(crate::wire::Accepted),
    Many(crate::wire::AcceptedBatch),
}

/// What is settled: one, or a batch.
#[derive(ToSchema)]
#[schema(as = Settled)]
#[allow(dead_code, reason = "only its shape is of interest")]
#[serde(untagged)]
pub(in crate::http) enum Settled {
    One(Box<crate::wire::Notification>),
    Many(Box<crate::wire::Batch>),
}
