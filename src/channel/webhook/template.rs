//! The operator's template for the body: minijinja over the fields of `wire::envelope`.
//!
//! What a template prints is made fit for the content type, so that no message can break out of its
//! place: in JSON for the inside of a string, in a form for a value. `"text": "{{ subject }}: {{ message }}"`
//! is right whatever they hold, and so is `{{ message | tojson }}` without quotes around it. A name that
//! does not exist is an error; what is not set (`null`) prints nothing. In a form, what `tojson` gives is a value, too:
//! `payload={{ {"text": message} | tojson }}` is right as well.

use std::io::{self, Write};
use std::sync::Arc;

use minijinja::value::{Object, Serde};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, context, filters,
};
use serde::de::IgnoredAny;

use super::chain;
use crate::wire::envelope::{Attachment, Envelope};
use crate::wire::nearest;

/// How many steps one rendering may take; a loop over 100 attachments takes a few thousand.
const FUEL: u64 = 50_000;

/// How deep a rendering may go, macro within macro.
const DEPTH: usize = 50;

/// Bytes of stack for reading a template, of which the reader takes 150 steps down at most: several times what they need.
const STACK: usize = 16 << 20;

/// The most bytes of a body.
const LIMIT: usize = 32 << 20;

const NAME: &str = "body";

/// What the body is, as far as it matters for what a template prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// JSON, of whatever name.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// Anything else: printed as it is.
    Text,
}

impl Syntax {
    /// The one that a content type means.
    pub fn of(content_type: &str) -> Self {
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media_type.as_str() {
            "application/json" => Self::Json,
            "application/x-www-form-urlencoded" => Self::Form,
            other if other.ends_with("+json") => Self::Json,
            _ => Self::Text,
        }
    }
}

/// A template that can be used.
pub struct Template {
    environment: Environment<'static>,
    syntax: Syntax,
}

impl Template {
    /// The template `text`.
    ///
    /// # Errors
    /// With the line, when it is no template, when what it gives for an example is not of its syntax, or when it fails
    /// there and asks for what no notification, or no template, has.
    pub fn new(text: &str, syntax: Syntax) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| AutoEscape::Custom("syntax".into()));
        environment.set_formatter(move |out, state, value| print(syntax, out, state, value));
        environment.set_recursion_limit(DEPTH);
        if syntax == Syntax::Form {
            // It counts as safe, and a `%22` or a `+` within it would be read as something else.
            environment.add_filter("tojson", |value: &Value, indent, options| {
                filters::tojson(value, indent, options).map(|json| Value::from(json.to_string()))
            });
        }
        let read = || {
            environment.add_template_owned(NAME, text.to_owned())?;
            Ok::<_, Error>(environment.get_template(NAME)?.undeclared_variables(true))
        };
        // The reader goes down a step for each bracket that is open, further than a thread's usual stack reaches.
        let read = std::thread::scope(|scope| {
            let reader = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, read);
            reader.map(|reader| reader.join().expect("the reader does not panic"))
        });
        let names = read
            .map_err(|error| format!("cannot be read: {error}"))?
            .map_err(|error| format!("is not a template: {}", chain(&error)))?;
        let template = Self { environment, syntax };
        // An example need not hold what a template asks of the real ones, such as a header; but what it gives must be
        // right, and what none of them has, each of them would die of.
        match template.fill(&example()) {
            Ok(body) => template.check(&body)?,
            Err(error) if fails_always(&error) => return Err(format!("fails: {}", chain(&error))),
            // With every header there is, what is unknown may turn out to be asked for with a care for that.
            Err(_) if template.fill_with(with_every_header()).is_ok() => {}
            Err(_) => template.known(names)?,
        }
        Ok(template)
    }

    /// The body for `envelope`.
    ///
    /// # Errors
    /// With the line, when a name does not exist, it takes too many steps, or the result is too large
    /// or not of its syntax.
    pub fn render(&self, envelope: &Envelope) -> Result<Vec<u8>, String> {
        let body =
            self.fill(envelope).map_err(|error| format!("the body template fails: {}", chain(&error)))?;
        self.check(&body).map_err(|what| format!("the body template {what}"))?;
        Ok(body)
    }

    fn fill(&self, envelope: &Envelope) -> Result<Vec<u8>, Error> {
        self.fill_with(Value::from(Serde(envelope)))
    }

    fn fill_with(&self, fields: Value) -> Result<Vec<u8>, Error> {
        let mut body = Capped(Vec::new());
        self.environment.get_template(NAME)?.render_captured_to(fields, &mut body)?;
        Ok(body.0)
    }

    fn known(&self, names: impl IntoIterator<Item = String>) -> Result<(), String> {
        let example = serde_json::to_value(example()).map_err(|error| error.to_string())?;
        let fields: Vec<&str> =
            example.as_object().into_iter().flat_map(|it| it.keys().map(String::as_str)).collect();
        // As far as it is unknown: `user` of `user.name`, but all of `message.name`, for a text has no parts.
        let unknown = |name: String| {
            let root = name.split('.').next().unwrap_or_default();
            match example.get(root) {
                None if self.environment.globals().any(|(known, _)| known == root) => None,
                None => Some(root.to_owned()),
                Some(field) if root != name && (field.is_string() || field.is_number()) => Some(name),
                Some(_) => None,
            }
        };
        match names.into_iter().filter_map(unknown).min() {
            None => Ok(()),
            Some(name) => {
                let meant = match nearest(&name, fields.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are {}", fields.join(", ")),
                };
                Err(format!("asks for `{name}`, which no notification has; {meant}"))
            }
        }
    }

    fn check(&self, body: &[u8]) -> Result<(), String> {
        if self.syntax != Syntax::Json {
            return Ok(());
        }
        // The reader's own words could repeat a part of the message.
        serde_json::from_slice::<IgnoredAny>(body).map(drop).map_err(|error| {
            format!(
                "gives no JSON (line {} column {} of the result); write \"{{{{ message }}}}\" or {{{{ message | tojson }}}}",
                error.line(),
                error.column()
            )
        })
    }
}

/// Prints `value` as it may stand in the syntax; what a filter has made safe (`tojson`) is printed as it is.
fn print(syntax: Syntax, out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    if value.is_none() {
        return Ok(());
    }
    if value.is_safe() || matches!(state.auto_escape(), AutoEscape::None) {
        return Ok(write!(out, "{value}")?);
    }
    match (syntax, value.as_str()) {
        (Syntax::Json, text) => {
            let json = serde_json::to_string(value).map_err(io::Error::from).map_err(unprintable)?;
            // The inside of a string; the quotes stand in the template.
            out.write_str(if text.is_some() { &json[1..json.len() - 1] } else { &json })?;
        }
        (Syntax::Form, Some(text)) => {
            for part in url::form_urlencoded::byte_serialize(text.as_bytes()) {
                out.write_str(part)?;
            }
        }
        (Syntax::Form, None) => {
            for part in url::form_urlencoded::byte_serialize(value.to_string().as_bytes()) {
                out.write_str(part)?;
            }
        }
        (Syntax::Text, _) => write!(out, "{value}")?,
    }
    Ok(())
}

/// Whether it fails whatever is told: it asks for what there is in no template, or asks wrongly.
fn fails_always(error: &Error) -> bool {
    use ErrorKind as K;
    matches!(
        error.kind(),
        K::UnknownFilter
            | K::UnknownTest
            | K::UnknownMethod
            | K::TooManyArguments
            | K::MissingArgument
            | K::TemplateNotFound
            | K::OutOfFuel
    )
}

fn unprintable(error: io::Error) -> Error {
    Error::new(ErrorKind::BadSerialization, "a value cannot be printed").with_source(error)
}

/// A buffer that refuses to grow beyond [`LIMIT`].
struct Capped(Vec<u8>);

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LIMIT {
            return Err(io::Error::other(format!("the body is larger than {} MiB", LIMIT >> 20)));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An envelope with everything in it.
fn example() -> Envelope<'static> {
    Envelope {
        id: 1,
        stable_id: "1-example",
        channel: "example",
        attempt: 1,
        created_at: "2026-11-20T02:00:00.000Z".to_owned(),
        user_id: Some("example"),
        priority: "normal",
        recipient: "example",
        subject: Some("an \"example\""),
        message: "an \"example\"\nof two lines\n",
        html: Some("<p>example</p>"),
        headers: [("X-Example", "example".to_owned())].into(),
        attachments: vec![Attachment {
            name: "example.txt",
            media_type: "text/plain",
            size: 7,
            content: b"example",
        }],
    }
}

/// Headers among which there is each that is asked for.
#[derive(Debug)]
struct EveryHeader;

impl Object for EveryHeader {
    fn get_value(self: &Arc<Self>, _name: &Value) -> Option<Value> {
        Some("example".into())
    }
}

fn with_every_header() -> Value {
    let example = example();
    context! { headers => Value::from_object(EveryHeader), ..Value::from(Serde(&example)) }
}

#[cfg(test)]
mod tests;
