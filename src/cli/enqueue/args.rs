//! The options of `enqueue`, and the row that they make: a whole one, or the defaults of a batch.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::ValueHint;
use serde_json::Value;

use super::{files, problems};
use crate::cli::{Error, Exit};
use crate::config::Config;
use crate::model::{Limits, Problem};
use crate::wire::row::{Builder, Field, Row, RowAttachment};

/// Enqueue notifications
///
/// Accepts one notification per recipient, or a whole batch, and ends as soon as it is safely stored;
/// `send-pending` delivers it. Prints one id per line.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  notifyctl enqueue --to ops@example.org --subject 'Backup done' 'All is well.'
  df -h | notifyctl enqueue --to ops@example.org --subject 'Disk space' --key \"df-$(date +%F)\"
  notifyctl enqueue --batch people.csv --subject 'Hello' --in 2h

Rows of a batch:
  JSON objects, one per line, or CSV whose first line names the fields. Where a row says nothing, the \
options and MESSAGE hold. The fields are:
    channel, user_id, subject, message, html, key, priority, ttl, in: texts, as in the options
    to: a recipient, or a list of them
    not_before: a time, as --at takes it
    headers: an object; in CSV also a column for each, such as header.X-Name
    attachments: a list of {\"name\", \"media_type\", \"content\"}, the content as base64, or of {\"path\"}: \
a file in the folder of the batch file or below it

Exit codes: 0 when all is stored and synced, or was known by its key; 65 when the input is wrong and \
nothing was enqueued, or when --skip-invalid left rows out; 66 when a file cannot be read; 75 when it \
may work later.")]
pub struct EnqueueArgs {
    /// The text, behind `--` when it begins with a hyphen; `-` or nothing reads it from standard input
    #[arg(value_name = "MESSAGE")]
    pub message: Option<OsString>,
    /// Who is told; may be given several times [default: the recipient of --user, or the channel's `to`]
    #[arg(long, value_name = "RECIPIENT", value_hint = ValueHint::EmailAddress)]
    pub to: Vec<OsString>,
    /// Your own id of the user who is told
    #[arg(long, value_name = "ID")]
    pub user: Option<OsString>,
    /// The channel [default: `defaults.channel` of the configuration]
    #[arg(long, value_name = "NAME")]
    pub channel: Option<OsString>,
    /// One line, for channels that have a subject
    #[arg(long, value_name = "TEXT")]
    pub subject: Option<OsString>,
    /// How much it hurries: critical, high, normal or low
    #[arg(long, value_name = "PRIORITY")]
    pub priority: Option<OsString>,
    /// Not before: `18:00`, `tomorrow 09:00`, `mon 09:00`, `2026-12-24 18:00` or RFC 3339
    #[arg(long, value_name = "TIME", conflicts_with = "wait")]
    pub at: Option<OsString>,
    /// Not before so much time has passed: `30m`, `2h 30m`
    #[arg(long = "in", id = "wait", value_name = "DURATION")]
    pub wait: Option<OsString>,
    /// How long it is useful, from its earliest moment on; then it expires
    #[arg(long, value_name = "DURATION")]
    pub ttl: Option<OsString>,
    /// Duplicate guard: the same key for the same recipient is enqueued once within `defaults.key_window`
    #[arg(long, value_name = "KEY")]
    pub key: Option<OsString>,
    /// A further header, as 'Name: value'; may be given several times
    #[arg(long = "header", value_name = "HEADER")]
    pub headers: Vec<OsString>,
    /// The message as HTML, beside the text
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
    /// A file that travels with it; may be given several times
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub attach: Vec<PathBuf>,
    /// Print JSON objects
    #[arg(long)]
    pub json: bool,
    /// Enqueue the rows of a file, or of standard input (`-`): all of them, or none
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Batches")]
    pub batch: Option<PathBuf>,
    /// What the batch is written in [default: by the file's name; JSON lines from standard input]
    #[arg(long, value_name = "FORMAT", requires = "batch", help_heading = "Batches")]
    pub format: Option<Format>,
    /// Enqueue the good rows though others are wrong; ends with 65 when there were some
    #[arg(long, requires = "batch", help_heading = "Batches")]
    pub skip_invalid: bool,
    /// How many wrong rows are reported
    #[arg(long, value_name = "N", default_value_t = 20, requires = "batch", help_heading = "Batches")]
    pub max_errors: u64,
}

/// What a batch is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object per line
    Ndjson,
    /// Comma-separated values, the fields' names in the first line
    Csv,
}

impl EnqueueArgs {
    /// Everything but the message as a row; reads the files that it names.
    ///
    /// # Errors
    /// When a file cannot be read. What else is wrong with the options is in the row.
    pub fn row(&self, limits: &Limits) -> Result<Row, Error> {
        let mut builder = Builder::default();
        let scalars = [
            (Field::Channel, &self.channel),
            (Field::UserId, &self.user),
            (Field::Subject, &self.subject),
            (Field::Priority, &self.priority),
            (Field::NotBefore, &self.at),
            (Field::In, &self.wait),
            (Field::Ttl, &self.ttl),
            (Field::Key, &self.key),
        ];
        for (field, value) in scalars {
            match value.as_deref().map(|value| text(field, value)) {
                None => {}
                Some(Ok(text)) => builder.set_text(field, text.to_owned()),
                Some(Err(problem)) => builder.problem(problem),
            }
        }
        self.recipients(&mut builder);
        self.header_pairs(&mut builder);
        let mut row = builder.finish();
        if let Some(path) = &self.html {
            row.html = Some(files::text("html", path, limits.message)?);
        }
        let mut size = 0;
        for path in &self.attach {
            let attachment = files::attachment(path, limits.attachments)?;
            size += attachment.content.len();
            row.attachments.push(RowAttachment::Content(attachment));
            if size > limits.attachments {
                // Refused for its size when it is checked; the others need not be read for that.
                break;
            }
        }
        Ok(row)
    }

    fn recipients(&self, builder: &mut Builder) {
        let mut all = Vec::with_capacity(self.to.len());
        for to in &self.to {
            match text(Field::To, to) {
                Ok(to) => all.push(Value::from(to)),
                Err(problem) => builder.problem(problem),
            }
        }
        if !all.is_empty() {
            builder.set(Field::To, Value::Array(all));
        }
    }

    fn header_pairs(&self, builder: &mut Builder) {
        for header in &self.headers {
            match text(Field::Headers, header).map(|header| header.split_once(':')) {
                Ok(Some((name, value))) => builder.header(name.to_owned(), value.trim().to_owned()),
                Ok(None) => {
                    let what = "one has no colon; write 'Name: value'";
                    builder.problem(Problem::new(Field::Headers.name(), what));
                }
                Err(problem) => builder.problem(problem),
            }
        }
    }

    /// The channel that the options name, or the configured default.
    ///
    /// # Errors
    /// 64 when the options name one that is not configured, 78 when the configuration does.
    pub fn check_channel(&self, config: &Config) -> Result<(), Error> {
        let (name, exit, where_from) = match &self.channel {
            None => (config.defaults.channel.as_str(), Exit::Config, "defaults.channel"),
            Some(name) => match text(Field::Channel, name) {
                Ok(name) => (name, Exit::Usage, "--channel"),
                Err(problem) => return Err(problems::refused(&[problem])),
            },
        };
        match config.unknown_channel(name) {
            None => Ok(()),
            Some(what) => Err(Error::new(exit, format!("{where_from}: {what}"))),
        }
    }
}

/// An option's value as text.
pub fn text(field: Field, value: &OsStr) -> Result<&str, Problem> {
    std::str::from_utf8(value.as_encoded_bytes()).map_err(|error| not_utf8(field.name(), &error))
}

/// Bytes that are not text, and where.
pub fn not_utf8(field: &'static str, error: &std::str::Utf8Error) -> Problem {
    Problem::new(field, format!("is not UTF-8 from byte {} on", error.valid_up_to() + 1))
}
