//! The commands that are put to the test, and how it is told whether each was done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::power::{Rows, rows};
use crate::receiver::Receiver;
use crate::support::Sandbox;

/// What was there after a command.
pub struct After<'a> {
    pub sandbox: &'a Sandbox,
    pub rows: Rows,
}

/// Whether what was asked for is there; an error when a part of it is.
type Done = fn(&After<'_>) -> Result<bool, String>;

/// One command.
pub struct Ordeal {
    pub name: &'static str,
    pub args: Vec<String>,
    /// Whether it finds a store.
    pub store: bool,
    /// `None` for one that changes nothing, or in parts.
    pub done: Option<Done>,
}

/// What a copy and a configuration are called.
const COPY: &str = "copy.db";
const SAMPLE: &str = "sample.toml";
const SINK: &str = "sink.jsonl";

/// Must never be told.
pub const SECRET: &str = "dG9wLXNlY3JldC1vZi10aGUtYmVuY2g";

/// The configuration: a file and a webhook, with a secret.
pub fn config(folder: &Path, receiver: &Receiver) -> String {
    format!(
        "[defaults]\nchannel = \"sink\"\n\
         [channels.sink]\nkind = \"file\"\nformat = \"jsonl\"\npath = \"{}\"\n\
         [channels.hook]\n{}headers = {{ Authorization = \"Bearer {SECRET}\" }}\n",
        folder.join(SINK).display(),
        receiver.webhook()
    )
}

/// The files that calls are about which others make on pipes and sockets too.
pub fn files(sandbox: &Sandbox) -> Vec<PathBuf> {
    ["notifyctl.toml", SINK, SAMPLE, "rows.ndjson"].map(|name| sandbox.path().join(name)).to_vec()
}

/// Makes the store that all but one of them find: three sent, three pending on each channel.
pub fn prepare(sandbox: &Sandbox) {
    for to in ["old1", "old2", "old3"] {
        sandbox.ok(&["enqueue", "--to", to, "hello"]);
    }
    sandbox.ok(&["send-pending"]);
    for n in 1..=3 {
        sandbox.ok(&["enqueue", "--to", &format!("p{n}"), "hello"]);
        sandbox.ok(&["enqueue", "--channel", "hook", "--to", &format!("w{n}"), "hello"]);
    }
    let rows: String = (0..20).map(|n| format!("{{\"to\":\"new{n}\",\"message\":\"m\"}}\n")).collect();
    std::fs::write(sandbox.path().join("rows.ndjson"), rows).expect("write the batch");
}

/// All of them.
pub fn all(sandbox: &Sandbox) -> Vec<Ordeal> {
    let path = |name: &str| sandbox.path().join(name).display().to_string();
    let args = |args: &[&str]| args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>();
    let one = |after: &After<'_>| Ok(after.rows.contains_key("new"));
    let batch = |after: &After<'_>| whole(after.rows.keys().filter(|to| to.starts_with("new")).count(), 20);
    let purged =
        |after: &After<'_>| whole(3 - after.rows.keys().filter(|to| to.starts_with("old")).count(), 3);
    let cancelled = |after: &After<'_>| Ok(after.rows["p1"].1 == "cancelled");
    let held = |after: &After<'_>| Ok(after.rows["p1"].1 == "held");
    let copied = |after: &After<'_>| match after.sandbox.path().join(COPY) {
        copy if copy.exists() => match rows(&copy) {
            Ok(copied) if copied == after.rows => Ok(true),
            other => Err(format!("a copy that is none: {other:?}")),
        },
        _ => Ok(false),
    };
    let made = |after: &After<'_>| match std::fs::read_to_string(after.sandbox.path().join(SAMPLE)) {
        Ok(text) if text == include_str!("../../../etc/notifyctl.toml") => Ok(true),
        Ok(text) => Err(format!("a configuration of {} bytes", text.len())),
        Err(_) => Ok(false),
    };
    let ordeal = |name, args, done| Ordeal { name, args, store: true, done };
    vec![
        Ordeal {
            store: false,
            ..ordeal("the first enqueue", args(&["enqueue", "--to", "new", "m"]), Some(one))
        },
        ordeal("enqueue", args(&["enqueue", "--to", "new", "m"]), Some(one)),
        ordeal("enqueue --batch", args(&["enqueue", "--batch", &path("rows.ndjson")]), Some(batch)),
        ordeal("send-pending, a file", args(&["send-pending", "--channel", "sink"]), None),
        ordeal("send-pending, a webhook", args(&["send-pending", "--channel", "hook"]), None),
        ordeal("status", args(&["status"]), None),
        ordeal("cancel", args(&["cancel", "4"]), Some(cancelled)),
        ordeal("hold", args(&["hold", "4"]), Some(held)),
        ordeal("purge", args(&["purge", "--older-than", "0s"]), Some(purged)),
        ordeal("db backup", args(&["db", "backup", &path(COPY)]), Some(copied)),
        ordeal("config init", args(&["config", "init", "--output", &path(SAMPLE)]), Some(made)),
    ]
}

fn whole(there: usize, all: usize) -> Result<bool, String> {
    match there {
        0 => Ok(false),
        n if n == all => Ok(true),
        n => Err(format!("{n} of {all}")),
    }
}

/// How often each recipient was told, by either channel, since the receiver had `seen` so many.
pub fn told(sandbox: &Sandbox, receiver: &Receiver, seen: usize) -> BTreeMap<String, u32> {
    let mut told = BTreeMap::new();
    let text = std::fs::read_to_string(sandbox.path().join(SINK)).unwrap_or_default();
    for line in text.lines() {
        // What a write that failed left is no delivery.
        let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        *told.entry(line["recipient"].as_str().expect("a recipient").to_owned()).or_default() += 1;
    }
    for arrival in receiver.arrivals().into_iter().skip(seen) {
        // The fifth, seventh and ninth that were enqueued.
        let (id, _) = arrival.stable_id.split_once('-').expect("number and store");
        let id: usize = id.parse().expect("a number");
        *told.entry(format!("w{}", (id - 3) / 2)).or_default() += 1;
    }
    told
}
