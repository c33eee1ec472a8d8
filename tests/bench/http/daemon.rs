//! Ours: the daemon's HTTP side and its sender over a channel that does nothing, as one process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use notifyctl::clock::{Clock, SystemClock};
use notifyctl::config::Config;
use notifyctl::daemon;
use notifyctl::http::{Handed, Metrics, Parts, Server};
use notifyctl::store::{self, Access, Handle};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::part::{self, Part, say};
use crate::pass;

/// What is started.
#[derive(Serialize, Deserialize)]
pub struct Daemon {
    /// Where its store lies.
    pub folder: PathBuf,
    /// What is configured beside it.
    pub config: String,
    /// Whether it sends; else it only takes.
    pub sends: bool,
}

/// The channel is known, and never used: what is sent goes nowhere.
const CONFIG: &str = "[http]\nlisten = \"127.0.0.1:0\"\nloopback_without_token = true\naddress_limit = \"off\"\n\
    max_connections = 12000\nmax_pending = 100000000\n[channels.noop]\nkind = \"exec\"\ncommand = [\"/bin/true\"]\n";

/// Starts it on the store in `folder`; `more` is configured beside the usual.
pub fn start(folder: &Path, more: &str) -> (Part, std::net::SocketAddr) {
    let config = format!("{CONFIG}{more}");
    part::server("daemon", &Daemon { folder: folder.to_owned(), config, sends: true })
}

/// Starts one that only takes.
pub fn taking(folder: &Path) -> (Part, std::net::SocketAddr) {
    part::server("daemon", &Daemon { folder: folder.to_owned(), config: CONFIG.to_owned(), sends: false })
}

/// `part daemon DAEMON`.
pub fn main(what: &str) {
    let Daemon { folder, config, sends } = serde_json::from_str(what).expect("a daemon");
    let file = folder.join("notifyctl.toml");
    let store = format!("[store]\nurl = \"sqlite://{}\"\n", folder.join("n.db").display());
    std::fs::write(&file, store + &config).expect("write the configuration");
    let config = Config::load(Some(&file)).expect("a configuration");
    let (store, _thread) = Handle::start(pass::open(&folder), Arc::new(SystemClock)).expect("start");
    let open = || store::open(&config.store, Access::Read, SystemClock.now()).expect("open");
    let wake = Arc::new(Notify::new());
    let bell = Arc::clone(&wake);
    store.listen(move || bell.notify_one());
    let server = Server::start(Parts {
        options: config.http.clone(),
        handed: Handed::default(),
        store: store.clone(),
        readers: (0..2).map(|_| open()).collect(),
        watcher: open(),
        rules: daemon::rules(&config),
        metrics: Metrics::default(),
        cache: config.cache.clone(),
    });
    let server = server.expect("a server");
    if sends {
        std::thread::spawn(move || pass::send(store, &wake));
    }
    say(&server.address().expect("an address"));
    part::stay();
}
