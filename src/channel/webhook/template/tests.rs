//! What a body template prints, and which ones are refused.

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
    let coded = "a%22, \"b%22:+&c=d";
    let template = r#"payload={{ {"text": message} | tojson }}&n={{ attempt }}"#;
    let form = render(template, Syntax::Form, &with_message(coded)).unwrap();
    let fields: Vec<_> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let json: serde_json::Value = serde_json::from_str(&fields[0].1).unwrap();
    assert_eq!((json, fields.len()), (serde_json::json!({ "text": coded }), 2));
    assert_eq!(render("{{ message }}", Syntax::Text, &with_message(evil)).unwrap(), evil);
}

#[test]
fn what_is_nested_deeply_is_read_or_refused_and_takes_nobody_down() {
    let nested = |open: &str, close: &str, depth: usize| {
        let text = format!("{{{{ {}1{} }}}}", open.repeat(depth), close.repeat(depth));
        Template::new(&text, Syntax::Text).map(drop)
    };
    for (open, close) in
        [("(", ")"), ("[", "]"), ("range(", ")"), ("{\"a\":", "}"), ("-[", "]"), ("not (", ")")]
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
    let template = r#"["{{ id }} {{ stable_id }} {{ channel }} {{ attempt }} {{ created_at }} {{ user_id }}
        {{ priority }} {{ recipient }} {{ html }} {{ headers["X-Example"] }}{% for a in attachments %}
        {{ a.name }} {{ a.media_type }} {{ a.size }} {{ a.content_base64 }}{% endfor %}", "{{ subject }}",
        {{ subject | tojson }}, {{ id }}, {{ headers }}, {{ subject is none }}]"#
        .replace("\n        ", " ");
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
        (
            r#"{"text": "{{ mesage }}"}"#,
            "asks for `mesage`, which no notification has; did you mean `message`?",
        ),
        ("{{ wibble }}", "asks for `wibble`, which no notification has; there are attachments, attempt, "),
        ("{% for i in range(2) %}{{ i }}{{ user.name }}{% endfor %}", "asks for `user`, which"),
        (r#""{{ recipient.email }}""#, "asks for `recipient.email`, which no notification has; there are "),
        (r#""{{ message | uper }}""#, "fails: unknown filter: filter uper is unknown (in body:1)"),
        (r#""{{ message is shouted }}""#, "fails: unknown test: "),
        (r#""{{ message.upper() }}""#, "fails: unknown method: "),
        (r#""{{ message | replace }}""#, "fails: missing argument"),
        (r#""{{ message | upper(1, 2) }}""#, "fails: too many arguments"),
        ("{% include '/etc/passwd' %}", "fails: template not found"),
        ("{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}", "ran out of fuel"),
    ] {
        let error = Template::new(template, Syntax::Json).err().expect(template);
        assert!(error.contains(said), "{template} {error}");
    }
}

#[test]
fn what_some_notification_may_have_is_not_refused() {
    for template in [
        "{{ headers.X }}",
        "{{ headers['X-None'] }}",
        "{{ attachments[7].name }}",
        "{% for one in attachments %}{{ one.nobody }}{% endfor %}",
        "{% set told = message %}{{ told }}{{ headers.X }}{{ range(3) }}",
        "{{ message | int }}",
        "{{ headers.X }}{{ title | default(subject) }}",
        "{{ headers['X-Url'] }}{% if title is defined %}{{ title }}{% endif %}",
    ] {
        let example_fails =
            Template::new(template, Syntax::Text).map(|built| built.render(&example()).is_err());
        assert_eq!(example_fails, Ok(true), "{template}");
    }
}

#[test]
fn what_fails_for_one_notification_says_where() {
    for (template, said) in [
        ("{% if 'xx' in message %}{{ nobody }}{% endif %}", "undefined value"),
        ("\n{{ headers['X-None'] }}", "(in body:2)"),
        ("{% if message | length > 99 %}{{ message | uper }}{% endif %}", "unknown filter"),
        (
            "{% if 'xx' in message %}{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}{% endif %}",
            "ran out of fuel",
        ),
        ("{% for i in range(9999) %}{{ message }}{% endfor %}", "the body is larger than 32 MiB"),
        ("{{ 'x' * 1000000000000 }}", "fails"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "fails"),
    ] {
        let message = "x".repeat(100_000);
        let error = render(template, Syntax::Text, &with_message(&message)).expect_err(template);
        assert!(error.starts_with("the body template fails: ") && error.contains(said), "{template} {error}");
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
