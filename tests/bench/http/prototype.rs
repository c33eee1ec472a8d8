//! The floors: as little as takes the same notification as durably, or shows one, over the same axum in the same build.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{self, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use notifyctl::clock::{Clock, SystemClock};
use notifyctl::model::Id;
use notifyctl::store::{self, shapes};
use notifyctl::wire;
use rusqlite::{Connection, TransactionBehavior, params};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use super::part::{self, Part, say};
use crate::pass;

/// What waits, and what goes into one commit, at most.
const QUEUE: usize = 4_096;
const TOGETHER: usize = 512;

/// Starts the one that takes, on a store of our own schema in `folder`.
pub fn taking(folder: &Path) -> (Part, SocketAddr) {
    part::server("taking", &folder)
}

/// Starts the one that shows the first notification of the store in `folder`, whatever is asked for.
pub fn showing(folder: &Path) -> (Part, SocketAddr) {
    part::server("showing", &folder)
}

#[derive(Deserialize)]
struct Posted {
    channel: String,
    to: String,
    subject: Option<String>,
    message: String,
}

type Queue = mpsc::Sender<(Posted, oneshot::Sender<Id>)>;

/// `part taking FOLDER`.
pub fn take(folder: &str) {
    let folder: PathBuf = serde_json::from_str(folder).expect("a folder");
    drop(pass::open(&folder));
    let connection = Connection::open(folder.join("n.db")).expect("open");
    connection
        .execute_batch("PRAGMA synchronous = full; PRAGMA wal_autocheckpoint = 4000")
        .expect("settings");
    let (queue, waiting) = mpsc::channel(QUEUE);
    std::thread::spawn(move || commit(connection, waiting));
    serve(Router::new().route("/v1/notifications", post(accept)).with_state(queue));
}

async fn accept(
    State(queue): State<Queue>,
    Json(posted): Json<Posted>,
) -> Result<(StatusCode, Json<wire::Accepted>), StatusCode> {
    let (answer, id) = oneshot::channel();
    queue.send((posted, answer)).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let id = id.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok((StatusCode::ACCEPTED, Json(wire::Accepted::new(id, true))))
}

/// What comes while one commit is under way goes with the next.
fn commit(mut connection: Connection, mut waiting: mpsc::Receiver<(Posted, oneshot::Sender<Id>)>) {
    let statement = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/sqlite/enqueue.sql"));
    while let Some(first) = waiting.blocking_recv() {
        let now = SystemClock.now().0;
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).expect("begin");
        let (mut answers, mut next) = (Vec::new(), Some(first));
        while let Some((posted, answer)) = next {
            let mut insert = transaction.prepare_cached(statement).expect("prepare");
            let values = params![
                Option::<String>::None,
                posted.message,
                posted.channel,
                posted.to,
                posted.subject,
                Option::<String>::None,
                0,
                2,
                Option::<i64>::None,
                now,
                Option::<i64>::None,
                Option::<i64>::None,
                now,
            ];
            answers.push((insert.insert(values).expect("insert"), answer));
            next = (answers.len() < TOGETHER).then(|| waiting.try_recv().ok()).flatten();
        }
        transaction.commit().expect("commit");
        for (id, answer) in answers {
            let _ = answer.send(id);
        }
    }
}

type Shown = (store::Notification, Vec<store::Attempt>);

/// `part showing FOLDER`.
pub fn show(folder: &str) {
    let folder: PathBuf = serde_json::from_str(folder).expect("a folder");
    let store = pass::open(&folder);
    let row = store.get(1).expect("read").expect("the first");
    let shown: Shown = (row, store.attempts(1).expect("read"));
    drop(store);
    serve(Router::new().route("/v1/notifications/{id}", get(one)).with_state(Arc::new(shown)));
}

async fn one(
    State(shown): State<Arc<Shown>>,
    extract::Path(id): extract::Path<Id>,
) -> Json<wire::Notification> {
    let (mut row, attempts) = (*shown).clone();
    row.summary.id = id;
    Json(shapes::notification(row, format!("{id}.bench"), attempts))
}

fn serve(router: Router) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    say(&listener.local_addr().expect("an address"));
    let listener = listener.tap_io(|stream| _ = stream.set_nodelay(true));
    runtime.spawn(async move { axum::serve(listener, router).await });
    part::stay();
}
