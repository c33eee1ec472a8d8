//! The HTTP side under load: against prototypes of the same durability, in turn, each with its load generator in
//! processes of their own on the same cores.

pub mod crowd;
mod daemon;
pub mod load;
pub mod memory;
mod part;
mod prototype;
pub mod shown;
pub mod watchers;

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use crate::measure::{Budget, Row, median};
use load::{Answered, Load};
use part::Part;

/// How often each pair is measured.
const PAIRS: usize = 7;

pub fn run() -> Vec<Row> {
    vec![posts("sending", Ours::start), posts("taking alone", Ours::taking), lone()]
}

/// `part NAME WHAT`: one of the processes of a bench.
pub fn part(args: &[String]) {
    let [name, what] = args else { panic!("a part's name, and what it is to do: {args:?}") };
    match name.as_str() {
        "daemon" => daemon::main(what),
        "taking" => prototype::take(what),
        "showing" => prototype::show(what),
        "load" => load::main(what),
        "crowd" => crowd::main(what),
        "watchers" => watchers::main(what),
        other => panic!("no such part: {other}"),
    }
}

/// Our daemon and a sender that sends at once, on a store that is new; the store goes with it.
pub struct Ours {
    pub address: SocketAddr,
    pub part: Part,
    pub folder: TempDir,
}

impl Ours {
    pub fn start() -> Self {
        Self::on(|folder| daemon::start(folder, ""))
    }

    /// Our daemon, which only takes.
    fn taking() -> Self {
        Self::on(daemon::taking)
    }

    fn on(start: impl FnOnce(&Path) -> (Part, SocketAddr)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (part, address) = start(folder.path());
        Self { address, part, folder }
    }
}

/// The same load on ours and on the prototype, in turn, each anew: pairs of what came of it.
fn in_turn(start: fn() -> Ours, load: impl Fn(SocketAddr) -> Load) -> Vec<(Answered, Answered)> {
    let ours = || load(start().address).run().whole();
    let theirs = || {
        let folder = tempfile::tempdir().expect("a folder");
        let (_part, address) = prototype::taking(folder.path());
        load(address).run().whole()
    };
    (0..PAIRS)
        .map(|turn| {
            if turn % 2 == 0 {
                let one = ours();
                (one, theirs())
            } else {
                let other = theirs();
                (ours(), other)
            }
        })
        .collect()
}

/// The medians of one figure of both, and of its ratio.
fn medians<T>(pairs: &[(T, T)], figure: impl Fn(&T) -> f64) -> (f64, f64, f64) {
    let of = |value: &dyn Fn(&(T, T)) -> f64| median(&mut pairs.iter().map(value).collect::<Vec<_>>());
    let (ours, theirs) = (of(&|(ours, _)| figure(ours)), of(&|(_, theirs)| figure(theirs)));
    (ours, theirs, of(&|(ours, theirs)| figure(ours) / figure(theirs)))
}

const CONNECTIONS: usize = 64;

fn posts(what: &str, start: fn() -> Ours) -> Row {
    let pairs = in_turn(start, |address| Load::posts(address, CONNECTIONS));
    let (ours, theirs, ratio) = medians(&pairs, |answered| answered.rate);
    Row {
        work: format!("POST 300 B until on disk, {CONNECTIONS} connections, {what}"),
        ours: format!("{ours:.0}/s"),
        floor: format!("{theirs:.0}/s"),
        against: "axum with group commit, which sends nothing".into(),
        ratio,
        budget: Budget::AtLeast(0.8),
    }
}

fn lone() -> Row {
    let pairs = in_turn(Ours::start, |address| Load::posts(address, 1));
    let (ours, theirs, ratio) = medians(&pairs, |answered| answered.p50);
    Row {
        work: "POST 300 B until on disk, one connection, p50".into(),
        ours: format!("{ours:.3} ms"),
        floor: format!("{theirs:.3} ms"),
        against: "axum with group commit, which sends nothing".into(),
        ratio,
        budget: Budget::AtMost(1.3),
    }
}
