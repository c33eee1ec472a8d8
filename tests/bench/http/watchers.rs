//! A thousand who watch live by WebSocket, each one notification, as somebody does who waits for it.

use std::net::SocketAddr;

use futures_util::StreamExt;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio_tungstenite::client_async;

use super::load::{Answered, Load};
use super::part::{self, Part, say};
use super::{Ours, PAIRS, medians};
use crate::measure::{Budget, Row};

const WATCHERS: usize = 1_000;

pub fn run() -> Vec<Row> {
    let rates = |watchers: usize| {
        let ours = Ours::start();
        let watching = Watchers { address: ours.address, count: watchers };
        let mut part = Part::start("watchers", &watching);
        let _there: bool = part.hear();
        let load = Load::posts(ours.address, 64);
        let answered: Answered = load.run().whole();
        (answered.rate, sent(&ours) / (load.warm + load.seconds))
    };
    let pairs: Vec<_> = (0..PAIRS)
        .map(|turn| {
            if turn % 2 == 0 {
                let with = rates(WATCHERS);
                (with, rates(0))
            } else {
                let none = rates(0);
                (rates(WATCHERS), none)
            }
        })
        .collect();
    let row = |what: &str, figure: &dyn Fn(&(f64, f64)) -> f64| {
        let (ours, none, ratio) = medians(&pairs, figure);
        Row {
            work: format!("{WATCHERS} live watchers, what is {what} beside them"),
            ours: format!("{ours:.0}/s"),
            floor: format!("{none:.0}/s"),
            against: "the same with none".into(),
            ratio,
            budget: Budget::AtLeast(0.9),
        }
    };
    vec![row("enqueued", &|rates| rates.0), row("sent", &|rates| rates.1)]
}

/// How many have been sent.
fn sent(ours: &Ours) -> f64 {
    let database = ours.folder.path().join("n.db");
    let connection =
        Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("open the store");
    connection.query_row("SELECT sum(sent) FROM channels", [], |row| row.get(0)).expect("ask")
}

/// Who watches.
#[derive(Serialize, Deserialize)]
struct Watchers {
    address: SocketAddr,
    count: usize,
}

/// `part watchers WATCHERS`: says when all are there.
pub fn main(watchers: &str) {
    let Watchers { address, count } = serde_json::from_str(watchers).expect("watchers");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut all = JoinSet::new();
        for id in 1..=count {
            let stream = tokio::net::TcpStream::connect(address).await.expect("connect");
            let url = format!("ws://127.0.0.1:{}/v1/events?id={id}", address.port());
            let (mut socket, _) = client_async(url, stream).await.expect("a watcher");
            socket.next().await.expect("a first line").expect("a first line");
            all.spawn(async move { while let Some(Ok(_)) = socket.next().await {} });
        }
        say(&true);
        tokio::task::spawn_blocking(part::stay).await.expect("an end");
    });
    // Those who watch are not waited for.
    std::process::exit(0);
}
