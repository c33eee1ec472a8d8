//! notifyctl: a durable notification queue for one server.
//!
//! One binary and one SQLite file. A shell line enqueues a notification and is done in milliseconds;
//! `send-pending`, run by cron, delivers it by mail, webhook, program or file, within the rate that the other
//! side allows, again and again until it is settled; `status` tells the truth about it.
//!
//! What users are promised (P1 to P12) is in `man/notifyctl.7`; this page is for those who change the code.
//!
//! # Map
//!
//! Imports point down only; `tests/suite/tidy.rs` holds the code to this table.
//!
//! | layer | module | owns |
//! | --- | --- | --- |
//! | 7 | `main` | arguments in, exit code out |
//! | 6 | [`cli`] | one file per subcommand; output; errors to exit codes |
//! | 5 | [`daemon`] | the order of starting and ending, signals, the service manager, maintenance |
//! | 4 | [`config`] | TOML and environment into the option structs of the modules below |
//! | 3 | [`delivery`] | claim, attempt, settle; limits; the tally. The only place that loops |
//! | 3 | [`http`] | what is accepted, and answered, over HTTP: connections, requests, group commit |
//! | 2 | [`store`] | the durable truth: reading, writing and administering half; SQLite; migrations |
//! | 2 | [`cache`] | Redis in front of the reading half: answers given again, never older than is said |
//! | 2 | [`channel`] | how one envelope leaves the host, once, and what the answer means |
//! | 1 | [`clock`], [`secret`], `tls`, [`units`], [`wire`] | the time; values that never print; whom TLS trusts; `"30s"` and `"50/10s"`; JSON shapes shown outside |
//! | 0 | [`model`] | nouns, the status machine, retry arithmetic, rate windows, [`model::settle()`]: pure functions |
//!
//! Three seams carry the design:
//!
//! - [`store::Store`] is synchronous, object-safe and batch-shaped: each method of its writing half is exactly one
//!   transaction and takes `now` from the caller. The reading half is a trait of its own, because it is all
//!   that a cache may ever wrap. One named thread owns the writing connection ([`store::Handle`]).
//! - [`channel::Channel`] tries once and returns a [`model::Verdict`], never an error: the other side's
//!   misbehaviour is data. It alone judges whether a failure is temporary.
//! - [`delivery`] decides first, in the pure function [`model::settle()`], and then writes, in one call
//!   ([`store::Writer::exchange`]), which also claims what comes next.
//!
//! # What is not there
//!
//! Each absence is relied on somewhere; most of them are held by a test.
//!
//! - No clock is read outside [`clock`] (it is handed around as [`clock::Clock`], or as a plain `now`), and no
//!   randomness is drawn in [`model`]: every rule can be tested by table and by property.
//! - [`model`] and [`config`] know no tokio: they decide and run nothing. No command but `send-pending`,
//!   `daemon`, `channel test` and `top` starts a runtime.
//! - [`store`] knows no channels and prints nothing; [`channel`] knows no store, no other channel, no retry and no
//!   rate. Neither logs what was told or to whom.
//! - [`delivery`] knows no clap and no signals: who stops it hands it a token. [`http`] knows neither channels nor the
//!   configuration: what a row needs of them comes as [`http::Rules`]. [`daemon`] knows no clap and prints nothing.
//! - Nothing but [`cli`] writes to standard output, and nothing there ends the process: errors come back
//!   as [`cli::Error`] and become an [`cli::Exit`] in one table.
//! - No transaction spans a network call, and none crosses the store's seam.
//! - No row is ever moved between tables to become due, no counter is found by scanning, and nothing random
//!   is indexed over finished rows: the cost of the hot paths does not grow with history.
//! - No shell is started, ever: programs get an argument array.
//! - No `unsafe`, no global state but the logger and the TLS provider.
//!
//! # Statuses
//!
//! [`model::Status::may_become`] is this picture as a function.
//!
//! ```text
//!              hold                     claim
//!   held <------------- pending -----------------> sending ----> sent
//!     |                 ^  ^  ^                      |
//!     +-----------------+  |  +----------------------+---------> dead
//!          release         |    deferred, unknown    |
//!                          |                         +---------> expired
//!     dead, expired,       |                         |
//!     cancelled -----------+                         +---------> held
//!                  requeue                             unknown, if on_unknown = "hold"
//!
//!   pending or held ----> cancelled     by cancel
//!   pending or held ----> expired       when its last useful moment has passed
//! ```
//!
//! # Hot paths
//!
//! - **One enqueue**, from process start to synced: arguments, configuration, one connection, one transaction.
//!   No async runtime, no TLS, no channel is built ([`channel::recipient::check`] judges recipients without
//!   one); what a recipient, a header or a file name may hold is decided in [`model::NewNotification::problems`].
//! - **A batch**: rows stream from the file into prepared inserts of one transaction, in constant memory.
//! - **A pass**: one [`store::Writer::exchange`] per round writes what has ended, gives back what was not begun and
//!   claims more; an acceptance waits for its commit a few milliseconds at most (a crash repeats what was
//!   not yet written). Attempts run side by side up to `max_in_flight` per channel, so that a channel
//!   that hangs costs its own places alone.
//! - **A post**: all requests that wait become one transaction on the thread that writes ([`store::Handle::enqueue`]), and the
//!   sender's exchange goes with them ([`store::Writer::enqueue_and_exchange`]): one sync for both, and what the
//!   sender has room for is inserted as claimed. Few that come one after the other are claimed together, every few
//!   milliseconds; whoever comes alone, or among many, at once.
//! - **Status**: counters kept by the transactions that change them.
//!
//! # Where to add
//!
//! - **A kind of channel**: a folder in `src/channel/` with `Options` and a type that implements
//!   [`channel::Channel`]; one variant in [`channel::Kind`] and [`channel::Options`]; its recipients in
//!   `channel/recipient.rs`; its keys in `config` and in `etc/notifyctl.toml`; a test against a real peer.
//! - **A command**: a file of its name in `src/cli/` with an `Args` struct, whose comments are its help, and
//!   `run`; a variant in `cli::Command`. `NOTIFYCTL_BLESS=1 cargo test --test suite papers::` writes its man page.
//! - **A column**: a new step `sql/sqlite/migrations/NNNN_….sql` (those that were released never change), the row structs in
//!   `store/rows.rs` or `store/params.rs`, the shape in `wire` if it is shown outside.
//! - **A database**: a folder below `sql/` with the same file names, a module in `store`, a variant of
//!   [`store::StoreUrl`], one line in the conformance suite.
//! - **A route**: a file in `src/http/` with its handler and what OpenAPI says of it, a line with its scope in
//!   `http/router.rs` and one in `http/openapi.rs`, a row in `tests/suite/http/scopes.rs`; `NOTIFYCTL_BLESS=1 cargo test --test
//!   suite http::document` writes `etc/openapi.json`.
//! - **A reason**: one line in [`model::outcome`]; it is then known to the store, the filters and the logs.

pub mod cache;
pub mod channel;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod delivery;
pub mod http;
pub mod model;
pub mod secret;
pub mod store;
mod tls;
pub mod units;
pub mod wire;
