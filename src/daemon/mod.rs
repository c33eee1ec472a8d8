//! The long-running mode: one process that a service manager keeps alive.
//!
//! Owns the order of starting and ending, the signals, and the duties beside delivering. What it does is
//! split into roles, each of which can be switched off, so that several daemons may share one store:
//!
//! | role | what it does |
//! | --- | --- |
//! | `http` | takes notifications over HTTP, and answers what became of them ([`crate::http`]) |
//! | `sender` | delivers what is due, at once ([`crate::delivery::run`]) |
//! | `maintenance` | removes what its retention has run out for, once a day; one process on a store at a time |
//!
//! | signal | what happens |
//! | --- | --- |
//! | TERM, INT | drains: no more connections are taken, what was asked is answered; nothing more is claimed, what has not begun goes back, what is under way may end within `[daemon] drain`; a second one abandons that too |
//! | HUP | reads the configuration, and takes it if all of it can be used; else the old one holds, and the log says why |
//!
//! With a new configuration a new run begins at once, and the one before ends what it has under way: for as
//! long as its attempts last, a channel may have twice its `max_in_flight`. Rates are kept by the store.

mod backups;
mod error;
pub mod lanes;
mod maintenance;
mod manager;
mod reload;
mod sender;
mod signals;
mod web;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

pub use error::Error;
pub use reload::Reload;
pub use web::rules;

use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Role};
use crate::delivery;
use crate::http::{Handed, Metrics, Server};
use crate::secret;
use crate::store::{self, Access, ErrorKind, Handle, Worker};
use lanes::{Building, Built};
use maintenance::Maintenance;
use manager::Manager;
use reload::{New, Reading, Relog};
use sender::Runs;
use signals::{Signal, Signals};
use web::Wake;

/// The target of every line that is logged here.
pub const LOG_TARGET: &str = "notifyctl::daemon";

/// How long a sign of life holds that no sender gives.
const PRESENCE: Duration = delivery::BEAT.saturating_mul(6);

/// Runs the roles of `config` until a signal ends them.
///
/// Everything that was begun has ended and is settled when this returns `Ok`.
///
/// # Errors
/// When nothing can begin (no channel can be built, the store cannot be opened), or when the store fails in a
/// way that time does not cure. A service manager starts it again.
pub fn run(config: Config, handed: Handed, reload: Reload) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::system("start the runtime", error))?;
    let outcome = runtime.block_on(async {
        let Reload { read, log } = reload;
        let mut reading = Reading::by(read);
        let Some(daemon) = Daemon::start(config, handed, log, &mut reading).await? else { return Ok(()) };
        // One that never began is told by whoever started it alone.
        daemon.conduct(reading).await.inspect_err(|error| log::error!(target: LOG_TARGET, "ended: {error}"))
    });
    // A thread that hangs in the name service or on a dead disk is not waited for: its attempt is settled. Nor is one that
    // reads a configuration, and a command that it asked would be left to run for ever.
    secret::end_commands();
    runtime.shutdown_background();
    outcome
}

/// All roles of this process.
struct Daemon {
    config: Config,
    store: Handle,
    signals: Signals,
    runs: Runs,
    /// The channels of the next run, unless a reload brings others.
    building: Building,
    /// Without a sender: what says that it lives.
    presence: Option<Box<dyn Worker>>,
    maintenance: Option<Maintenance>,
    http: Option<Server>,
    wake: Wake,
    manager: Manager,
    log: Relog,
}

impl Daemon {
    /// `None` when a signal has ended it already.
    async fn start(
        config: Config,
        handed: Handed,
        log: Relog,
        reading: &mut Reading,
    ) -> Result<Option<Self>, Error> {
        let signals = Signals::listen().map_err(|error| Error::system("heed signals", error))?;
        let manager = Manager::of_this_process();
        let opened = store::open(&config.store, Access::Create, SystemClock.now())?;
        let (store, _thread) = Handle::start(opened, Arc::new(SystemClock))
            .map_err(|error| Error::system("start the store's thread", error))?;
        let maintenance = match config.daemon.roles.contains(&Role::Maintenance) {
            true => Some(Maintenance::start(&config)?),
            false => None,
        };
        let (wake, metrics) = (Wake::default(), Metrics::default());
        store.listen({
            let wake = wake.clone();
            move || wake.ring()
        });
        // Before anything is sent: where nobody can listen, nothing is half begun.
        let http = match config.daemon.roles.contains(&Role::Http) {
            true => Some(web::start(&config, &store, handed, &metrics)?),
            false => {
                if !handed.is_empty() {
                    log::warn!(
                        target: LOG_TARGET,
                        "sockets were handed over ($LISTEN_FDS), and nobody answers there: the role http is off"
                    );
                }
                None
            }
        };
        let (runs, presence) = (Runs::of(&config, &metrics, SystemClock.now()), None);
        let building = Building::default();
        let mut daemon =
            Self { config, store, signals, runs, building, presence, maintenance, http, wake, manager, log };
        if daemon.is_sender() {
            daemon.building.begin(&daemon.config);
            let built = loop {
                tokio::select! {
                    built = daemon.building.done() => break built,
                    signal = daemon.signals.next() => match signal {
                        Signal::Stop(name) => return daemon.stop(name).await.map(|()| None),
                        // What has been read already may be what was there before.
                        Signal::Reload => daemon.begin_reload(reading),
                    },
                }
            };
            daemon.send(built?).await?;
        } else {
            daemon.presence = Some(daemon.runs.appear(&daemon.store).await?.0);
        }
        let roles = daemon.config.daemon.roles_text();
        log::info!(
            target: LOG_TARGET,
            version = env!("CARGO_PKG_VERSION"),
            roles = roles.as_str(),
            store = daemon.config.store.url.to_string().as_str(),
            channels = names(&daemon.config).as_str();
            "started"
        );
        daemon.manager.ready(&format!("running: {roles}"));
        Ok(Some(daemon))
    }

    fn is_sender(&self) -> bool {
        self.config.daemon.roles.contains(&Role::Sender)
    }

    fn begin_reload(&self, reading: &mut Reading) {
        self.manager.reloading();
        reading.begin(self.is_sender());
    }

    /// Begins to deliver on every channel that could be built.
    async fn send(&mut self, Built { lanes, unfit }: Built) -> Result<(), Error> {
        for error in &unfit {
            log::error!(target: LOG_TARGET, "{error}; what is pending there waits until a reload finds it right");
        }
        if lanes.is_empty() {
            return Err(Error::NoChannel);
        }
        self.runs.begin(&self.store, lanes, &self.config, &self.manager, &self.wake).await
    }

    async fn conduct(mut self, mut reading: Reading) -> Result<(), Error> {
        let mut alive = tokio::time::interval(delivery::BEAT);
        // Not all those that a sender gave in its place, when it is gone.
        alive.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut moved = pin!(moved(self.store.clone()));
        loop {
            tokio::select! {
                signal = self.signals.next() => match signal {
                    Signal::Reload => self.begin_reload(&mut reading),
                    Signal::Stop(name) => return self.stop(name).await,
                },
                new = reading.done() => self.reload(new).await,
                built = self.building.done() => self.send(built?).await?,
                // Its sender meets the same, and says what it had under way.
                error = &mut moved, if !self.runs.sends() => return Err(Error::Store(error)),
                (claims, ended) = self.runs.ended() => match ended {
                    Err(error) if claims => return Err(Error::Delivery(error)),
                    // It stood still for longer than its lease (a machine that slept): others may have taken over.
                    Ok(_) if claims => self.building.begin(&self.config),
                    Ok(_) => {}
                    Err(error) => log::error!(target: LOG_TARGET, "end of the run before the reload: {error}"),
                },
                // With a sender, its own loop says so.
                _ = alive.tick(), if !self.runs.sends() => {
                    self.manager.alive();
                    if let Some(worker) = &self.presence {
                        // One that cannot be left makes this process look silent, which is the truth.
                        let _ = worker.beat(PRESENCE);
                    }
                }
            }
        }
    }

    /// Takes a new configuration, or keeps the old one and says why.
    async fn reload(&mut self, new: Result<New, String>) {
        let taken = match new {
            Ok(new) => self.take(new).await,
            Err(why) => Err(why),
        };
        match taken {
            Ok(()) => log::info!(target: LOG_TARGET, "reloaded"),
            Err(why) => log::error!(target: LOG_TARGET, "reload refused, the old configuration holds: {why}"),
        }
        self.manager.ready(&format!("running: {}", self.config.daemon.roles_text()));
    }

    async fn take(&mut self, New { config: new, lanes }: New) -> Result<(), String> {
        reload::refuse_unfit(&self.config, &new)?;
        if self.is_sender() {
            let begun = self.runs.begin(&self.store, lanes, &new, &self.manager, &self.wake).await;
            begun.map_err(|error| error.to_string())?;
            self.building = Building::default();
        }
        if let Some(maintenance) = &self.maintenance {
            maintenance.reload(&new);
        }
        if let Some(http) = &self.http {
            http.reload(rules(&new), new.http.admission.clone());
        }
        (self.log)(&new.log);
        self.config = new;
        Ok(())
    }

    /// Drains, within the bound; a second signal cuts it short.
    async fn stop(mut self, signal: &'static str) -> Result<(), Error> {
        log::info!(target: LOG_TARGET, signal; "draining");
        self.manager.stopping();
        self.runs.drain();
        let bound = self.config.daemon.drain;
        let mut answering = self.http.take().map(|http| Box::pin(http.stop(bound)));
        let mut outcome = Ok(());
        while !self.runs.all_ended() || answering.is_some() {
            tokio::select! {
                () = async { answering.as_mut().expect("asked before").await }, if answering.is_some() => {
                    answering = None;
                }
                (_, ended) = self.runs.ended() => {
                    outcome = outcome.and(ended.map(drop).map_err(Error::Delivery));
                }
                again = self.signals.next() => if let Signal::Stop(name) = again {
                    log::warn!(target: LOG_TARGET, signal = name; "abandoning what is under way");
                    self.runs.abandon();
                    answering = None;
                },
            }
        }
        if let Some(maintenance) = self.maintenance.take() {
            maintenance.stop().await;
        }
        log::info!(target: LOG_TARGET, signal; "ended");
        outcome
    }
}

/// Comes back when the store is not where it was opened any more: what is taken from then on, nobody finds again.
async fn moved(store: Handle) -> store::Error {
    loop {
        tokio::time::sleep(delivery::BEAT).await;
        if let Ok(Err(error)) = store.call(|store| store.version()).await
            && error.kind == ErrorKind::Moved
        {
            return error;
        }
    }
}

/// The channels by their names, for one line.
fn names(config: &Config) -> String {
    const SHOWN: usize = 20;
    let mut names: Vec<_> = config.channels.keys().take(SHOWN).cloned().collect();
    match config.channels.len() - names.len() {
        0 => {}
        more => names.push(format!("and {more} more")),
    }
    names.join(",")
}
