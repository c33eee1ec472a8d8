//! Speed as ratios: each of ours against a floor or a peer, in turn, in the same run.
//!
//! `cargo bench` runs all, `cargo bench --bench ratios -- NAME…` some. Machines are shared and noisy: read the ratios
//! (medians of pairs), not the absolutes. A budget that is missed is printed, and ends with exit code 1.
//! `NOTIFYCTL_BLESS=1` writes the README's table of what was run.

#![expect(clippy::print_stdout, reason = "a benchmark has nothing else to say it on")]

mod batch;
mod enqueue;
mod floor;
mod history;
mod http;
mod idle;
mod measure;
mod memory;
mod pass;
mod peers;
#[path = "../support/ports.rs"]
mod ports;
mod readme;
mod shells;
mod smtp;
mod webhook;

use std::process::ExitCode;

use measure::Row;

type Bench = fn() -> Vec<Row>;

const BENCHES: &[(&str, Bench)] = &[
    ("enqueue", enqueue::run),
    ("shells", shells::run),
    ("batch", batch::run),
    ("pass", pass::run),
    ("smtp", smtp::run),
    ("webhook", webhook::run),
    ("memory", memory::run),
    ("idle", idle::run),
    ("history", history::run),
    ("http", http::run),
    ("shown", http::shown::run),
    ("crowd", http::crowd::run),
    ("watchers", http::watchers::run),
    ("resident", http::memory::run),
    ("soak", http::memory::soak),
];

/// What runs only when it is named.
const BY_NAME: &[&str] = &["soak"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [floor, rest @ ..] = args.as_slice()
        && floor == "floor"
    {
        floor::main(rest);
        return ExitCode::SUCCESS;
    }
    if let [part, rest @ ..] = args.as_slice()
        && part == "part"
    {
        http::part(rest);
        return ExitCode::SUCCESS;
    }
    if let [compare, rest @ ..] = args.as_slice()
        && compare == "compare"
    {
        return peers::main(rest);
    }
    let mut rows = Vec::new();
    println!("{:<52} {:>12} {:>12} {:>8} {:>8}", "work", "ours", "floor", "ratio", "budget");
    for &(name, bench) in BENCHES {
        let wanted =
            if args.is_empty() { !BY_NAME.contains(&name) } else { args.iter().any(|arg| arg == name) };
        if !wanted {
            continue;
        }
        for row in bench() {
            println!("{row}");
            rows.push(row);
        }
    }
    if std::env::var_os("NOTIFYCTL_BLESS").is_some() {
        readme::put(
            "<!-- cargo bench writes this -->",
            &format!("{}.\n\n{}\n", readme::setting(), readme::table(&rows)),
        );
    }
    let missed = rows.iter().any(|row| !row.kept());
    ExitCode::from(u8::from(missed))
}
