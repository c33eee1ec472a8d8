//! `notifyctl daemon`: take requests and deliver at once, for as long as it runs.

use std::io;
use std::sync::Arc;

use log::Log as _;

use super::{Context, Error, Exit};
use crate::config::Config;
use crate::daemon::Reload;
use crate::{daemon, http};

/// Run for ever: take notifications over HTTP, deliver at once what is due, and tidy up
///
/// For a service manager: stays in the foreground, logs where [log] says, and tells systemd when it is ready.
/// What any process on this host enqueues is attempted within a fraction of a second. Passes of
/// `send-pending` may run beside it, and so may other daemons on the same store. What one does is said by
/// `[daemon] roles`.
///
/// Over HTTP it shows a page at `/`, takes notifications at `/v1/notifications`, and says how it is at `/healthz`,
/// `/readyz` and, for Prometheus, `/metrics`; `/v1/openapi.json` tells of each path what it needs.
///
/// TERM and INT end it in time: nothing more begins, what has not begun is given back, and what is under way
/// gets `[daemon] drain`; a second signal abandons that too. HUP reads the configuration again and takes it if all of it can
/// be used; otherwise the old one holds and the log says why. What needs a restart is named there: `[store]`, `[cache]`,
/// `[daemon] roles`, `[log]` but for `level`, and `[http]` but for `token_limit`, `address_limit`, `proxies`, `cors_origins`,
/// `max_body` and `max_pending`.
///
/// Sockets that systemd listens on for it ($LISTEN_FDS) are taken in place of `[http] listen` and `socket`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 a signal ended it, and everything is settled; 74 the store failed; 75 the store \
        is busy, unreachable, full or not where it was, somebody else listens where it should, or its address is not \
        there; 77 it may not listen there, or not use the store; 78 the configuration cannot be used."
)]
pub struct DaemonArgs {}

/// Runs it.
pub fn run(context: &mut Context, DaemonArgs {}: DaemonArgs) -> Result<Exit, Error> {
    // Before anything else: what is started while the configuration is read must not inherit them.
    let handed = http::Handed::take().map_err(|error| not_heard(&error))?;
    let file = context.global.config.clone();
    let config = context.config()?.clone();
    let logging = context.logging()?;
    logging
        .hand_over(&config.log)
        .map_err(|error| Error::new(Exit::TempFail, format!("start a thread for the log: {error}")))?;
    let log = logging.clone();
    let reload = Reload {
        read: Arc::new(move || Config::load(file.as_deref())),
        log: Box::new(move |log| logging.change(log)),
    };
    let ended = daemon::run(config, handed, reload);
    log.flush();
    ended?;
    Ok(Exit::Ok)
}

impl From<daemon::Error> for Error {
    fn from(error: daemon::Error) -> Self {
        match error {
            daemon::Error::NoChannel => {
                Self::new(Exit::Config, error.to_string()).hint("`notifyctl config check` says what is wrong")
            }
            daemon::Error::Store(error) | daemon::Error::Http(http::Error::Store(error)) => error.into(),
            daemon::Error::Http(error) => not_heard(&error),
            daemon::Error::Delivery(error) => error.into(),
            daemon::Error::Stopped(_) => Self::internal(error.to_string()),
            daemon::Error::Backup { .. } | daemon::Error::System { .. } => {
                Self::new(Exit::TempFail, error.to_string())
            }
        }
    }
}

/// What a socket needs.
const FOLDER: &str = "http.socket lies in a folder that must be there, and be writable for the daemon's user; \
                      below /run systemd makes one: RuntimeDirectory=";

/// Nobody could speak to it.
fn not_heard(error: &http::Error) -> Error {
    let (exit, hint) = match error {
        http::Error::Listen { place, kind, .. } => match kind {
            io::ErrorKind::AddrInUse => (
                Exit::TempFail,
                "another daemon may run already; http.listen and http.socket name the place, daemon.roles leaves it out",
            ),
            // A socket is told from an address by its path.
            io::ErrorKind::PermissionDenied if place.starts_with('/') => (Exit::NoPerm, FOLDER),
            io::ErrorKind::NotFound => (Exit::Config, FOLDER),
            io::ErrorKind::PermissionDenied => (
                Exit::NoPerm,
                "ports below 1024 are root's: set http.listen to another one, or let systemd listen (notifyctl.socket)",
            ),
            io::ErrorKind::AddrNotAvailable => {
                (Exit::TempFail, "set http.listen to one of this host's; one that comes later is tried again")
            }
            _ => (Exit::Config, "http.listen and http.socket say where to listen"),
        },
        http::Error::Access(_) => (Exit::Config, "`notifyctl config show` says where it stands"),
        _ => (Exit::TempFail, "the system is short of something; try again"),
    };
    Error::new(exit, error.to_string()).hint(hint)
}
