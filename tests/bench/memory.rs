//! Memory of a batch of a million rows, and of a pass over them. The floor is the bound itself.

use crate::batch::write_rows;
use crate::measure::{Budget, Row, notifyctl, peak_mib};

const ROWS: usize = 1_000_000;
const BOUND_MIB: f64 = 64.0;

pub fn run() -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = folder.path().join("rows.ndjson");
    write_rows(&rows, ROWS);
    let out = folder.path().join("out.jsonl");
    let config = format!(
        "[defaults]\nchannel = \"lines\"\n[channels.lines]\nkind = \"file\"\nformat = \"jsonl\"\npath = \"{}\"\n",
        out.display()
    );
    let mut batch = notifyctl(folder.path(), &config);
    batch.args(["enqueue", "--batch"]).arg(&rows);
    let batch = peak_mib(&mut batch);
    let mut pass = notifyctl(folder.path(), &config);
    pass.args(["send-pending", "--max-time", "60s"]);
    let pass = peak_mib(&mut pass);
    [("batch of a million rows", batch), ("pass over a million rows (60 s of it)", pass)]
        .map(|(work, peak)| Row {
            work: format!("memory: {work}"),
            ours: format!("{peak:.1} MiB"),
            floor: format!("{BOUND_MIB} MiB"),
            ratio: peak / BOUND_MIB,
            budget: Budget::AtMost(1.0),
        })
        .into()
}
