//! Memory of a batch of a million rows, and of a pass over them. The floor is the bound itself.

use std::process::Stdio;

use crate::batch::write_rows;
use crate::measure::{Budget, Row, notifyctl, peak_mib};
use crate::smtp::Sink;

const ROWS: usize = 1_000_000;
const BOUND_MIB: f64 = 48.0;

pub fn run() -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = folder.path().join("rows.ndjson");
    write_rows(&rows, ROWS);
    let sink = Sink::start(&[]);
    let config = sink.config();
    let mut batch = notifyctl(folder.path(), &config);
    batch.args(["enqueue", "--batch"]).arg(&rows);
    let batch = peak_mib(&mut batch);
    let mut pass = notifyctl(folder.path(), &config);
    pass.arg("send-pending");
    let pass = peak_mib(&mut pass);
    let status = notifyctl(folder.path(), &config).args(["status", "--json"]).stdout(Stdio::piped()).output();
    let status = String::from_utf8(status.expect("status").stdout).expect("UTF-8");
    assert!(status.contains(&format!("\"sent\":{ROWS}")), "{status}");
    [("batch of a million rows", batch), ("pass over a million rows, SMTP", pass)]
        .map(|(work, peak)| Row {
            work: format!("memory: {work}"),
            ours: format!("{peak:.1} MiB"),
            floor: format!("{BOUND_MIB} MiB"),
            against: "the bound".into(),
            ratio: peak / BOUND_MIB,
            budget: Budget::AtMost(1.0),
        })
        .into()
}
