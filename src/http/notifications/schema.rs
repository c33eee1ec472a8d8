//! What may be posted, for the OpenAPI document. The reading itself is `wire::row`'s, which takes no type's word for it.

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// One notification per recipient.
#[derive(ToSchema)]
#[schema(as = NewNotification)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only its shape is of interest")]
pub(in crate::http) struct Row {
    /// The channel; the configured default one unless said otherwise.
    channel: Option<String>,
    /// Who is told: one, or a list, each of whom gets one; the recipient of `user_id`, or whom the channel tells.
    #[schema(value_type = Option<To>)]
    to: Option<String>,
    /// Your own id of the user who is told.
    user_id: Option<String>,
    /// One line, for channels that have a subject.
    subject: Option<String>,
    /// The text. This or `html` must be there.
    message: Option<String>,
    /// The same as HTML.
    html: Option<String>,
    /// How much it hurries: critical, high, normal (unless said otherwise) or low.
    #[schema(value_type = Option<Priority>)]
    priority: Option<String>,
    /// Not before: RFC 3339, or `tomorrow 09:00` and the like on the clock of the server.
    not_before: Option<String>,
    /// Not before so much time has passed: `30m`.
    r#in: Option<String>,
    /// How long it is useful, from its earliest moment on: `2d`.
    ttl: Option<String>,
    /// Duplicate guard: the same key for the same recipient is enqueued once within a day, or as configured. With
    /// other words than at its first use the answer is 409.
    key: Option<String>,
    /// Further headers.
    headers: Option<BTreeMap<String, String>>,
    /// Files that travel with it.
    attachments: Option<Vec<File>>,
}

/// One recipient, or several.
#[derive(ToSchema)]
#[schema(as = Recipients)]
#[allow(dead_code, reason = "only its shape is of interest")]
#[serde(untagged)]
pub(in crate::http) enum To {
    One(String),
    Many(Vec<String>),
}

/// How much it hurries.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "only its shape is of interest")]
pub(in crate::http) enum Priority {
    Critical,
    High,
    Normal,
    Low,
}

/// A file.
#[derive(ToSchema)]
#[schema(as = NewAttachment)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only its shape is of interest")]
pub(in crate::http) struct File {
    /// Its name, without a directory.
    name: String,
    /// Its media type; by its name unless said otherwise.
    media_type: Option<String>,
    /// Its bytes as base64.
    #[schema(format = Byte)]
    content: String,
}

/// One notification, or many.
#[derive(ToSchema)]
#[schema(as = Posted)]
#[allow(dead_code, reason = "only its shape is of interest")]
#[serde(untagged)]
pub(in crate::http) enum Posted {
    One(Box<Row>),
    Many(Vec<Row>),
}

/// What is accepted: one, or many with their batch.
#[derive(ToSchema)]
#[schema(as = Accepted)]
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
