//! A browser of the test's own: Debian's Chromium, driven by `browser.py`; gone when dropped.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use super::python;

/// A browser with one page.
pub struct Browser {
    child: Child,
    /// `None` at the end: it ends when nobody speaks any more.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Browser {
    /// Opens `url` in a window of that many pixels.
    pub fn open(url: &str, width: u32) -> Self {
        let mut child = python()
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/browser.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the browser");
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut browser = Self { child, orders, answers };
        browser.tell(&json!({"do": "open", "url": url, "width": width}));
        browser
    }

    #[track_caller]
    fn tell(&mut self, order: &Value) -> Value {
        writeln!(self.orders.as_mut().expect("it listens"), "{order}").expect("tell the browser");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        let mut answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{order}: {line:?}"));
        assert!(answer.get("error").is_none(), "{order}: {answer}");
        answer["is"].take()
    }

    /// Waits until the text at the place holds `text`.
    #[track_caller]
    pub fn shows(&mut self, place: &str, text: &str) {
        self.tell(&json!({"do": "shows", "in": place, "text": text}));
    }

    /// The text that is to be seen at the place now.
    #[track_caller]
    pub fn text(&mut self, place: &str) -> String {
        let text = self.tell(&json!({"do": "text", "in": place}));
        text.as_str().expect("a text").to_owned()
    }

    /// Types `text` into the field, and presses the button.
    #[track_caller]
    pub fn submit(&mut self, field: &str, text: &str, button: &str) {
        self.tell(&json!({"do": "fill", "in": field, "text": text}));
        self.click(button);
    }

    #[track_caller]
    pub fn click(&mut self, place: &str) {
        self.tell(&json!({"do": "click", "in": place}));
    }

    #[track_caller]
    pub fn reload(&mut self) {
        self.tell(&json!({"do": "reload"}));
    }

    #[track_caller]
    pub fn set_width(&mut self, width: u32) {
        self.tell(&json!({"do": "width", "width": width}));
    }

    /// What a script gives.
    #[track_caller]
    pub fn run(&mut self, script: &str) -> Value {
        self.tell(&json!({"do": "run", "script": script}))
    }

    /// What the page complained of (errors, warnings, dialogs, violations of its policy), and the hosts it has asked, since
    /// the last time.
    #[track_caller]
    pub fn heard(&mut self) -> (Vec<String>, Vec<String>) {
        let heard = self.tell(&json!({"do": "heard"}));
        let texts = |key: &str| serde_json::from_value(heard[key].clone()).expect("texts");
        (texts("troubles"), texts("hosts"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.orders.take());
        // It closes the browser, which a kill would leave behind.
        let _ = self.child.wait();
    }
}
