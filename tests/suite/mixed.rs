//! The main job whole: ten thousand mixed notifications, two passes side by side, a real Postfix; each arrives
//! once, as it was enqueued.

use std::fmt::Write as _;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notifyctl::model::Priority;
use notifyctl::store::{Access, Options, open};
use serde_json::{Value, json};

use crate::postfix::read_back;
use crate::support::Sandbox;
use crate::support::mail_server::postfix::Postfix;

const COUNT: usize = 10_000;

/// The n-th of a mixture: what mail software likes to change, every kind in turn, each told apart by its number.
fn row(n: usize) -> Value {
    let text = match n % 8 {
        0 => format!("plain {n}"),
        1 => format!("Grüße {n}, 日本語, \u{1f514}\n"),
        2 => format!("{n}\n.\n..two dots\n.\n"),
        3 => format!("{n} {}\n", "x".repeat(2_000)),
        4 => format!("{n} {}", "ä".repeat(1_500)),
        5 => format!("From {n}\n>From\n\n\nblanks at the end  \n\t\n"),
        6 => format!("{n}\n{}", "line\n".repeat(50)),
        _ => format!("with files {n}\n"),
    };
    let mut row = json!({
        "to": format!("user{n}@example.org"), "subject": format!("No. {n} – für alle"), "message": text,
        "priority": Priority::ALL[n % 4].as_str(),
    });
    if n % 8 == 7 {
        row["html"] = json!(format!("<p>with <b>files</b> {n}</p>\n.\n"));
        row["attachments"] = json!([
            { "name": "bytes.bin", "content": STANDARD.encode((0..=255).cycle().take(n % 3_000).collect::<Vec<u8>>()) },
            { "name": "Prüfung.txt", "media_type": "text/plain", "content": STANDARD.encode("line\n.\n") },
        ]);
    }
    row
}

#[test]
fn ten_thousand_mixed_notifications_arrive_exactly_once_and_byte_equal_through_two_passes() {
    let postfix = Postfix::start();
    let sandbox = Sandbox::new();
    sandbox.configure(&format!(
        "[defaults]\nchannel = \"relay\"\n[channels.relay]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\n\
         tls = \"none\"\nfrom = \"notifyctl@example.org\"\nmax_in_flight = 8\n",
        postfix.plain
    ));
    let rows: Vec<Value> = (0..COUNT).map(row).collect();
    let mut lines = String::new();
    rows.iter().for_each(|row| writeln!(lines, "{row}").expect("a string"));
    std::fs::write(sandbox.path().join("rows.ndjson"), lines).expect("write the batch");
    sandbox.ok(&["enqueue", "--batch", "rows.ndjson"]);

    let pass = || {
        let mut pass = sandbox.notifyctl();
        pass.args(["send-pending", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        pass.spawn().expect("start a pass")
    };
    let passes = [pass(), pass()];
    let sent: Vec<u64> = passes
        .into_iter()
        .map(|pass| {
            let output = pass.wait_with_output().expect("it ends");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let tally: Value = serde_json::from_slice(&output.stdout).expect("a tally");
            tally["sent"].as_u64().expect("a number")
        })
        .collect();
    assert_eq!(sent.iter().sum::<u64>(), COUNT as u64, "{sent:?}");
    assert!(sent.iter().all(|sent| *sent > 0), "both passes must have worked: {sent:?}");

    let found = read_back(&postfix.mails(COUNT));
    assert_eq!(found.len(), COUNT, "no Message-ID twice");
    let by_recipient: std::collections::HashMap<&str, &Value> =
        found.values().map(|mail| (mail["to"].as_str().expect("a recipient"), mail)).collect();
    for row in &rows {
        let mail = by_recipient[row["to"].as_str().expect("a recipient")];
        assert_eq!(mail["text"], row["message"], "{row}");
        assert_eq!(mail["subject"], row["subject"], "{row}");
        assert_eq!(mail["html"], row["html"], "{row}");
        assert_eq!(mail["defects"], json!([]), "{row}");
        for file in row["attachments"].as_array().into_iter().flatten() {
            assert_eq!(mail["files"][file["name"].as_str().expect("a name")], file["content"], "{row}");
        }
    }

    let url = format!("sqlite://{}", sandbox.db().display()).parse().expect("a URL");
    let options = Options { url, busy_timeout: std::time::Duration::from_secs(5) };
    let store = open(&options, Access::Read, notifyctl::model::Timestamp(0)).expect("open");
    assert_eq!(store.check().expect("check"), []);
    assert_eq!(sandbox.ok(&["status", "--batch", "1", "--json"]).matches("\"sent\":10000").count(), 1);
}
