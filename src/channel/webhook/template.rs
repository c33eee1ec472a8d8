//! The operator's template for the body: minijinja over the fields of `wire::envelope`.
//!
//! What a template prints is made fit for the content type, so that no message can break out of its
//! place: in JSON for the inside of a string, in a form for a value. `"text": "{{ subject }}: {{ message }}"`
//! is right whatever they hold, and so is `{{ message | tojson }}` without quotes around it. A name that
//! does not exist is an error; what is not set (`null`) prints nothing.

use std::io::{self, Write};

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, Output, State, UndefinedBehavior, Value};
use serde::de::IgnoredAny;

use super::chain;
use crate::wire::envelope::{Attachment, Envelope};

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
    /// With the line, when it is no template, or when what it gives for an example is not of its syntax.
    pub fn new(text: &str, syntax: Syntax) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| AutoEscape::Custom("syntax".into()));
        environment.set_formatter(move |out, state, value| print(syntax, out, state, value));
        environment.set_recursion_limit(DEPTH);
        let read = || environment.add_template_owned(NAME, text.to_owned());
        // The reader goes down a step for each bracket that is open, further than a thread's usual stack reaches.
        let read = std::thread::scope(|scope| {
            let reader = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, read);
            reader.map(|reader| reader.join().expect("the reader does not panic"))
        });
        read.map_err(|error| format!("cannot be read: {error}"))?
            .map_err(|error| format!("is not a template: {}", chain(&error)))?;
        let template = Self { environment, syntax };
        // An example need not hold what a template asks of the real ones; but what it gives must be right.
        if let Ok(body) = template.fill(&example()) {
            template.check(&body)?;
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
        let mut body = Capped(Vec::new());
        self.environment.get_template(NAME)?.render_captured_to(Value::from(Serde(envelope)), &mut body)?;
        Ok(body.0)
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

fn unprintable(error: io::Error) -> Error {
    Error::new(minijinja::ErrorKind::BadSerialization, "a value cannot be printed").with_source(error)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn render(text: &str, syntax: Syntax, envelope: &Envelope) -> Result<String, String> {
        Template::new(text, syntax)?.render(envelope).map(|body| String::from_utf8(body).unwrap())
    }

    fn with_message(message: &str) -> Envelope<'_> {
        Envelope { message, subject: None, ..example() }
    }

    #[test]
    fn what_is_printed_fits_its_place() {
        let evil = "a\"}, \"b\": {\\\n\u{2028}ü&=<";
        for (template, syntax, expected) in [
            (r#"{"text": "> {{ message }}"}"#, Syntax::Json, format!("> {evil}")),
            (r#"{"text": {{ message | tojson }}}"#, Syntax::Json, evil.to_owned()),
            (r#"{"text": {{ ("> " ~ message) | tojson }}}"#, Syntax::Json, format!("> {evil}")),
            (r#"{"text": "{{ message | upper }}"}"#, Syntax::Json, evil.to_uppercase()),
            (r#"{"text": "{% for x in [message] %}{{ x }}{% endfor %}"}"#, Syntax::Json, evil.to_owned()),
            (r#"{"text": "{% set x %}{{ message }}{% endset %}{{ x }}"}"#, Syntax::Json, evil.to_owned()),
        ] {
            let body = render(template, syntax, &with_message(evil)).unwrap();
            let json: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(json, serde_json::json!({ "text": expected }), "{template}");
        }
        let form = render("text={{ message }}&n={{ attempt }}", Syntax::Form, &with_message(evil)).unwrap();
        let fields: Vec<_> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        assert_eq!(fields, [("text".into(), evil.into()), ("n".into(), "1".to_owned())]);
        assert_eq!(render("{{ message }}", Syntax::Text, &with_message(evil)).unwrap(), evil);
    }

    #[test]
    fn what_is_nested_deeply_is_read_or_refused_and_takes_nobody_down() {
        let nested = |open: &str, close: &str, depth: usize| {
            let text = format!("{{{{ {}1{} }}}}", open.repeat(depth), close.repeat(depth));
            Template::new(&text, Syntax::Text).map(drop)
        };
        for (open, close) in
            [("(", ")"), ("[", "]"), ("f(", ")"), ("{\"a\":", "}"), ("-[", "]"), ("not (", ")")]
        {
            assert_eq!(nested(open, close, 3), Ok(()), "{open}");
            // As deep as the reader goes, and deeper.
            for depth in [70, 140, 148, 10_000] {
                let _ = nested(open, close, depth);
            }
            assert!(nested(open, close, 10_000).is_err(), "{open}");
        }
        let endless = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}";
        assert!(render(endless, Syntax::Text, &with_message("m")).unwrap_err().contains("fails"));
    }

    #[test]
    fn every_field_has_its_name_and_what_is_not_set_prints_nothing() {
        let template =
            r#"["{{ id }} {{ stable_id }} {{ channel }} {{ attempt }} {{ created_at }} {{ user_id }}
            {{ priority }} {{ recipient }} {{ html }} {{ headers["X-Example"] }}{% for a in attachments %}
            {{ a.name }} {{ a.media_type }} {{ a.size }} {{ a.content_base64 }}{% endfor %}", "{{ subject }}",
            {{ subject | tojson }}, {{ id }}, {{ headers }}, {{ subject is none }}]"#
                .replace("\n            ", " ");
        let body = render(&template, Syntax::Json, &with_message("")).unwrap();
        let expected = concat!(
            r#"["1 1-example example 1 2026-11-20T02:00:00.000Z example normal example <p>example</p> "#,
            r#"example example.txt text/plain 7 ZXhhbXBsZQ==", "", null, 1, {"X-Example":"example"}, true]"#
        );
        assert_eq!(body, expected);
    }

    #[test]
    fn what_cannot_be_a_body_is_refused_when_it_is_built() {
        for (template, said) in [
            ("{{ message", "is not a template: syntax error: "),
            ("{% include 'x' %", "is not a template"),
            (r#"{"text": {{ message }}}"#, "gives no JSON (line 1 column "),
            ("{{ message }}", "gives no JSON"),
            ("", "gives no JSON"),
        ] {
            let error = Template::new(template, Syntax::Json).err().expect(template);
            assert!(error.contains(said), "{template} {error}");
        }
    }

    #[test]
    fn what_fails_for_one_notification_says_where() {
        for (template, said) in [
            ("{{ nobody }}", "undefined value"),
            ("\n{{ headers['X-None'] }}", "(in body:2)"),
            ("{% include '/etc/passwd' %}", "template not found"),
            (
                "{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}",
                "ran out of fuel",
            ),
            ("{% for i in range(9999) %}{{ message }}{% endfor %}", "the body is larger than 32 MiB"),
            ("{{ 'x' * 1000000000000 }}", "fails"),
            ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "fails"),
        ] {
            let message = "x".repeat(100_000);
            let error = render(template, Syntax::Text, &with_message(&message)).expect_err(template);
            assert!(
                error.starts_with("the body template fails: ") && error.contains(said),
                "{template} {error}"
            );
            assert!(!error.contains("xxx"), "{error}");
        }
        let unquoted = "{\"text\": {{ message | int }}}";
        assert!(render(unquoted, Syntax::Json, &with_message("17")).is_ok());
        assert!(render(unquoted, Syntax::Json, &with_message("many")).unwrap_err().contains("fails"));
    }

    #[test]
    fn the_content_type_says_the_syntax() {
        for (content_type, syntax) in [
            ("application/json", Syntax::Json),
            ("Application/JSON; charset=utf-8", Syntax::Json),
            ("application/vnd.api+json", Syntax::Json),
            ("application/x-www-form-urlencoded", Syntax::Form),
            ("text/plain", Syntax::Text),
            ("", Syntax::Text),
        ] {
            assert_eq!(Syntax::of(content_type), syntax, "{content_type}");
        }
    }

    fn syntax() -> impl Strategy<Value = Syntax> {
        prop::sample::select(vec![Syntax::Json, Syntax::Form, Syntax::Text])
    }

    /// Pieces that a template is made of, and anything between them.
    fn template() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            prop::sample::select(vec![
                "{{",
                "}}",
                "{%",
                "%}",
                "{#",
                "#}",
                "-",
                " ",
                "|",
                "\"",
                "'",
                "message",
                "for x in",
                "endfor",
                "if",
                "endif",
                "set x =",
                "x",
                "[",
                "]",
                "headers",
                ".",
                "(",
                ")",
                "~",
                "*",
                "99999999",
                "tojson",
                "e",
                "range",
                "attachments",
                "|batch(0)",
                "|indent(-1)",
                "|replace",
                "{{ message }}",
                "1e400",
                "raw",
                "endraw",
                "macro",
                "in",
                "not",
                "none",
                "%d",
                "|format",
                "|slice",
                "|round(400)",
            ])
            .prop_map(str::to_owned),
            ".{0,3}",
        ];
        prop::collection::vec(piece, 0..25).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_template_panics(text in template(), syntax in syntax(), message in ".{0,40}") {
            let _ = render(&text, syntax, &with_message(&message));
        }

        #[test]
        fn no_message_breaks_out_of_its_string(message in any::<String>(), subject in any::<String>()) {
            let envelope = Envelope { subject: Some(&subject), ..with_message(&message) };
            let text = r#"{"a": "{{ subject }}/{{ message }}", "b": "{{ recipient }}"}"#;
            let body = render(text, Syntax::Json, &envelope).unwrap();
            let json: serde_json::Value = serde_json::from_str(&body).unwrap();
            prop_assert_eq!(json, serde_json::json!({"a": format!("{subject}/{message}"), "b": "example"}));
        }
    }
}
