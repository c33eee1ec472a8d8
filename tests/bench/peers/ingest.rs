//! Posted over HTTP until it is on disk: how many a second, and how long the slowest hundredth waits.

use std::net::SocketAddr;
use std::process::Command;

use super::drivers::{node_driver, python};
use super::servers::{Redis, Server, Sync};
use super::table::Unit;
use super::{Attempt, Choice, Peer, Work};
use crate::http::Ours;
use crate::http::load::{Answered, Load};
use crate::measure::Budget;
use crate::ports::free_port;

/// Connections, few and many; and how often many ask ours in all, each second.
const FEW: usize = 64;
const MANY: usize = 1_000;
const STEADY: u32 = 10_000;

const PAIRS: usize = 3;

/// What is compared.
type Figure = fn(&Answered) -> f64;

pub fn rates(choice: &Choice) -> Work<'_> {
    let title = "Posted over HTTP until it is on disk, 64 connections";
    let rate: Figure = |answered| answered.rate;
    let budgets = [Budget::AtLeast(15.0), Budget::AtLeast(4.5)].map(Some);
    measure(
        work("ingest", title, Unit::Rate, choice),
        rate,
        budgets,
        |address| Load::posts(address, FEW),
        FEW,
    )
}

pub fn latencies(choice: &Choice) -> Work<'_> {
    let title = "The same, the slowest hundredth waits longer than";
    let budgets = [Budget::AtMost(0.1), Budget::AtMost(0.1)].map(Some);
    let posts = |address| Load::posts(address, FEW);
    measure(work("ingest", title, Unit::Each, choice), p99, budgets, posts, FEW)
}

/// At saturation each waits for all others; this is the wait of who asks more often than any of the others can answer.
pub fn steady(choice: &Choice) -> Work<'_> {
    let title = "The same, ours at 10,000 a second, the others at what they reach";
    let steady = |address| Load { rate: Some(STEADY), ..Load::posts(address, FEW) };
    measure(work("ingest", title, Unit::Each, choice), p99, [None, None], steady, FEW)
}

pub fn crowds(choice: &Choice) -> Work<'_> {
    let title = "The same, 1,000 connections: ours at 10,000 a second, the others at what they reach";
    let budgets = [Budget::AtMost(0.125), Budget::AtMost(0.125)].map(Some);
    let steady = |address| Load { rate: Some(STEADY), warm: 2.0, ..Load::posts(address, MANY) };
    measure(work("ingest", title, Unit::Each, choice), p99, budgets, steady, MANY)
}

fn p99(answered: &Answered) -> f64 {
    answered.p99 / 1e3
}

fn work<'a>(name: &'static str, title: &'static str, unit: Unit, choice: &'a Choice) -> Work<'a> {
    Work { name, title, unit, choice, lines: Vec::new() }
}

fn measure<'a>(
    mut work: Work<'a>,
    figure: Figure,
    [fastapi, express]: [Option<Budget>; 2],
    load: impl Fn(SocketAddr) -> Load,
    connections: usize,
) -> Work<'a> {
    // A store that is new each time: what waits to be sent from before would be sent beside it.
    let mut ours = || whole(&load(Ours::start().address), figure);
    let theirs = |address| whole(&Load { warm: 2.0, ..Load::posts(address, connections) }, figure);
    work.against(Peer { budget: fastapi, ..FASTAPI }, &mut ours, || {
        let redis = Redis::start(Sync::Always)?;
        let port = free_port();
        let mut uvicorn = python("uvicorn");
        uvicorn.args(["fastapi_peer:app", "--workers", "2", "--no-access-log", "--log-level", "error"]);
        uvicorn.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        let server = listening(uvicorn, &redis, port)?;
        Ok(move || {
            let _both = (&redis, &server);
            theirs(SocketAddr::from(([127, 0, 0, 1], port)))
        })
    });
    work.against(Peer { budget: express, ..EXPRESS }, &mut ours, || {
        let redis = Redis::start(Sync::Always)?;
        let port = free_port();
        let mut node = node_driver("express_peer.cjs");
        node.env("PORT", port.to_string());
        let server = listening(node, &redis, port)?;
        Ok(move || {
            let _both = (&redis, &server);
            theirs(SocketAddr::from(([127, 0, 0, 1], port)))
        })
    });
    work
}

/// The figure, when each was accepted.
fn whole(load: &Load, figure: Figure) -> Attempt<f64> {
    let answered = load.run();
    match answered.errors {
        0 if answered.rate > 0.0 => Ok(figure(&answered)),
        _ => Err(format!("{} of its requests were not accepted", answered.errors)),
    }
}

fn listening(mut command: Command, redis: &Redis, port: u16) -> Attempt<Server> {
    command.env("REDIS_PORT", redis.port().to_string());
    let mut server = Server::start(&command)?;
    server.wait("the peer", || std::net::TcpStream::connect(("127.0.0.1", port)).ok())?;
    Ok(server)
}

const FASTAPI: Peer = Peer {
    name: "FastAPI + Celery",
    packages: &["fastapi", "celery", "uvicorn", "redis"],
    how: "2 uvicorn workers; Redis, appendfsync always",
    budget: None,
    pairs: PAIRS,
};
const EXPRESS: Peer = Peer {
    name: "Express + BullMQ",
    packages: &["express", "bullmq", "redis"],
    how: "one Node process; Redis, appendfsync always",
    budget: None,
    pairs: PAIRS,
};
