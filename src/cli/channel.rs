//! `notifyctl channel`: Look at, hold, release and test channels.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};

use super::face::{Face, Paint, count, one_line};
use super::interrupt::Interrupt;
use super::output::say;
use super::selection::unknown_channel;
use super::table::{Column, Table};
use super::{Context, Error, Exit, status};
use crate::channel::{self, Envelope};
use crate::config::{ChannelConfig, Config};
use crate::model::{Content, Outcome, Priority, Status, Timestamp, Verdict};
use crate::store::{self, Access, ErrorKind, Store, shapes};
use crate::wire;

/// Look at, hold, release and test channels
#[derive(Debug, clap::Args)]
pub struct ChannelArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the channels: kind, what holds them back, rates
    List {
        /// Write JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Stop a whole channel; what is pending on it waits until it is released
    Hold {
        /// The channel
        #[arg(value_name = "NAME")]
        name: String,
        /// Why; shown by `status` and `why`
        #[arg(long, value_name = "TEXT", default_value = "held by an operator")]
        reason: String,
    },
    /// Let a held channel go, and forget the trouble it had
    Release {
        /// The channel
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Make one attempt with a small test notification, past the queue
    ///
    /// Stores nothing, and is not counted against the channel's rate.
    #[command(after_help = "Exit codes: 0 when it was sent; 1 when it was rejected, or nobody saw its end; \
        75 when it was deferred; 78 when the channel cannot be built.")]
    Test {
        /// The channel
        #[arg(value_name = "NAME")]
        name: String,
        /// Who is told
        #[arg(long, value_name = "RECIPIENT")]
        to: String,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs it.
pub fn run(context: &mut Context, args: ChannelArgs) -> Result<Exit, Error> {
    match args.command {
        Command::List { json } => list(context, json),
        Command::Hold { name, reason } => hold(context, &name, &reason),
        Command::Release { name } => release(context, &name),
        Command::Test { name, to, json } => test(context, &name, &to, json),
    }
}

fn list(context: &mut Context, json: bool) -> Result<Exit, Error> {
    let config = context.config()?.clone();
    let now = context.now();
    let channels = match existing(&config, now)? {
        Some(store) => channels(&config, &*store, now)?,
        None => configured(&config, now),
    };
    if json {
        channels.iter().try_for_each(|channel| context.out.json(channel))?;
        return Ok(Exit::Ok);
    }
    let face = context.out.face(now);
    let lines = lines(&channels, &face);
    lines.into_iter().try_for_each(|line| context.out.line(line))?;
    Ok(Exit::Ok)
}

/// The store; `None` before the first enqueue, when the configuration can be looked at all the same.
fn existing(config: &Config, now: Timestamp) -> Result<Option<Box<dyn Store>>, Error> {
    match store::open(&config.store, Access::Read, now) {
        Ok(store) => Ok(Some(store)),
        Err(error) if error.kind == ErrorKind::Missing => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn configured(config: &Config, now: Timestamp) -> Vec<wire::Channel> {
    let channel = |(name, channel): (&String, &ChannelConfig)| wire::Channel {
        name: name.clone(),
        kind: Some(channel.options.kind().to_string()),
        default: config.defaults.channel == *name,
        max_in_flight: Some(channel.max_in_flight),
        retry: Some(channel.policy.retry.to_string()),
        held: None,
        trouble: None,
        rates: shapes::rates(Some(&channel.rates), None, now),
    };
    config.channels.iter().map(channel).collect()
}

/// What is configured, with what the store keeps of it; and what only the store knows.
fn channels(config: &Config, store: &dyn Store, now: Timestamp) -> Result<Vec<wire::Channel>, Error> {
    let status = shapes::status(store, &config.configured(), config.store.url.to_string(), now)?;
    let mut channels = configured(config, now);
    let known: BTreeSet<String> = channels.iter().map(|channel| channel.name.clone()).collect();
    for name in status.channels.keys().filter(|name| !known.contains(*name)) {
        channels.push(wire::Channel {
            name: name.clone(),
            kind: None,
            default: false,
            max_in_flight: None,
            retry: None,
            held: None,
            trouble: None,
            rates: Vec::new(),
        });
    }
    for channel in &mut channels {
        if let Some(found) = status.channels.get(&channel.name) {
            channel.held.clone_from(&found.held);
            channel.trouble.clone_from(&found.trouble);
            channel.rates.clone_from(&found.rates);
        }
    }
    Ok(channels)
}

const COLUMNS: [Column; 6] = [
    Column::word("channel"),
    Column::word("kind"),
    Column::number("max in flight"),
    Column::text("rate"),
    Column::text("retry"),
    Column::word("now"),
];

/// What a narrow terminal does without, by place.
const SPARE: [usize; 3] = [2, 4, 3];

fn lines(channels: &[wire::Channel], face: &Face) -> Vec<String> {
    let mut table = Table::new(*face, &COLUMNS);
    for channel in channels {
        let name = if channel.default { format!("{} *", channel.name) } else { channel.name.clone() };
        let rates: Vec<&str> = channel.rates.iter().map(|rate| rate.rate.as_str()).collect();
        table.row([
            (Paint::Plain, name),
            (Paint::Plain, channel.kind.clone().unwrap_or_else(|| "-".into())),
            (Paint::Plain, channel.max_in_flight.map(|n| n.to_string()).unwrap_or_default()),
            (Paint::Plain, rates.join(", ")),
            (Paint::Plain, channel.retry.clone().unwrap_or_default()),
            word(channel),
        ]);
    }
    let mut lines: Vec<String> = table.fit(&SPARE).lines().collect();
    if channels.iter().any(|channel| channel.default) {
        let note = face.wrap("* meant when a notification names no channel", 2);
        lines.extend(note.into_iter().map(|line| face.paint(Paint::Dim, line)));
    }
    for channel in channels {
        let name = one_line(&channel.name);
        if let Some(hold) = &channel.held {
            let held = format!("{name} is held since {}: {}", face.since(hold.since), one_line(&hold.reason));
            lines.extend(face.wrap(&held, 4));
        }
        if let Some(trouble) = &channel.trouble {
            lines.extend(face.wrap(&format!("{name} {}", status::trouble_line(trouble, face)), 4));
        }
    }
    lines
}

fn word(channel: &wire::Channel) -> (Paint, String) {
    let (paint, word) = if channel.kind.is_none() {
        (Paint::Warn, "not configured")
    } else if channel.held.is_some() {
        (Paint::Warn, "held")
    } else if channel.trouble.is_some() {
        (Paint::Bad, "in trouble")
    } else if channel.rates.iter().any(|rate| rate.next_free_at.is_some()) {
        (Paint::Busy, "at its rate")
    } else {
        (Paint::Good, "free")
    };
    (paint, word.to_owned())
}

fn hold(context: &mut Context, name: &str, reason: &str) -> Result<Exit, Error> {
    let config = context.config()?.clone();
    let now = context.now();
    let mut store = context.store(Access::Create)?;
    known(&config, &*store, name)?;
    store.hold_channel(now, name, reason)?;
    let pending = store.counts()?.channels.get(name).map_or(0, |counts| counts.of(Status::Pending));
    say(format_args!(
        "{name} is held, with {} pending; `notifyctl channel release {name}` lets it go",
        count(pending)
    ));
    Ok(Exit::Ok)
}

fn release(context: &mut Context, name: &str) -> Result<Exit, Error> {
    let config = context.config()?.clone();
    let now = context.now();
    let mut store = context.store(Access::Existing)?;
    known(&config, &*store, name)?;
    let pending = store.counts()?.channels.get(name).map_or(0, |counts| counts.of(Status::Pending));
    match store.release_channel(now, name)? {
        true => say(format_args!("{name} is released, with {} pending", count(pending))),
        false => say(format_args!("nothing held {name} back")),
    }
    Ok(Exit::Ok)
}

/// A slip in a name must not look like a channel that is held.
fn known(config: &Config, store: &dyn Store, name: &str) -> Result<(), Error> {
    let mut known: BTreeSet<String> = store.counts()?.channels.into_keys().collect();
    known.extend(config.channels.keys().cloned());
    match known.contains(name) {
        true => Ok(()),
        false => Err(unknown(name, known.iter().map(String::as_str))),
    }
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    Error::new(Exit::NoInput, unknown_channel(name, known)).hint("`notifyctl channel list` shows them all")
}

fn test(context: &mut Context, name: &str, to: &str, json: bool) -> Result<Exit, Error> {
    let config = context.config()?.clone();
    let now = context.now();
    let configured =
        config.channels.get(name).ok_or_else(|| unknown(name, config.channels.keys().map(String::as_str)))?;
    let recipient = channel::recipient::check(&configured.options, to)
        .map_err(|problem| Error::new(Exit::DataErr, format!("--to {}", problem.what)))?;
    let domain = match existing(&config, now)? {
        Some(store) => store.identity()?.message_domain,
        None => "localhost".to_owned(),
    };
    let interrupt = Interrupt::heed()?;
    let channel = configured.options.build(name).map_err(|error| {
        Error::new(Exit::Config, error.to_string())
            .hint("`notifyctl config check` checks the whole configuration")
    })?;
    let envelope = envelope(name, recipient, domain, now)?;
    let begun = Instant::now();
    let verdict = attempt(&channel, &envelope, &interrupt)?;
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let shape = wire::Test {
        channel: name.to_owned(),
        outcome: verdict.outcome,
        reason: verdict.reason,
        detail: verdict.detail,
        took_ms,
    };
    match json {
        true => context.out.json(&shape)?,
        false => {
            let face = context.out.face(now);
            face.wrap(&test_line(&shape, &face), 4)
                .into_iter()
                .try_for_each(|line| context.out.line(line))?;
        }
    }
    Ok(match verdict.outcome {
        Outcome::Sent => Exit::Ok,
        Outcome::Deferred => Exit::TempFail,
        Outcome::Rejected | Outcome::Unknown => Exit::Negative,
    })
}

/// `sent in 12 ms: 250 2.0.0 Ok: queued as 4F2`.
fn test_line(test: &wire::Test, face: &Face) -> String {
    let paint = match test.outcome {
        Outcome::Sent => Paint::Good,
        Outcome::Deferred | Outcome::Unknown => Paint::Warn,
        Outcome::Rejected => Paint::Bad,
    };
    let reason = match test.outcome {
        Outcome::Sent => String::new(),
        _ => format!(" ({})", test.reason),
    };
    let words = if test.detail.is_empty() { String::new() } else { format!(": {}", one_line(&test.detail)) };
    format!("{}{reason} in {} ms{words}", face.paint(paint, test.outcome), count(test.took_ms))
}

fn envelope(
    name: &str,
    recipient: String,
    message_domain: String,
    now: Timestamp,
) -> Result<Envelope, Error> {
    let random = getrandom::u64().map_err(|error| Error::internal(format!("get random bytes: {error}")))?;
    Ok(Envelope {
        id: 0,
        // Unlike any stored one's, and unlike that of the test before.
        stable_id: format!("test-{random:016x}"),
        message_domain,
        channel: name.to_owned(),
        attempt: 1,
        created_at: now,
        user_id: None,
        priority: Priority::Normal,
        content: Content {
            recipient,
            subject: Some("notifyctl test".to_owned()),
            message: format!("This is a test of the channel {name}. Nothing has happened.\n"),
            ..Content::default()
        },
    })
}

/// A signal ends it, and what it has started: a program has a process group of its own.
fn attempt(
    channel: &Arc<dyn channel::Channel>,
    envelope: &Envelope,
    interrupt: &Interrupt,
) -> Result<Verdict, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::internal(format!("start the runtime: {error}")))?;
    let verdict = runtime.block_on(async {
        let signal = a_signal().map_err(|error| Error::new(Exit::TempFail, format!("heed signals: {error}")))?;
        interrupt.leave();
        tokio::select! {
            verdict = channel.attempt(envelope) => {
                channel.close().await;
                Ok(verdict)
            }
            () = signal => Err(Error::new(Exit::TempFail, "a signal ended the test; nobody saw whether it went out")),
        }
    });
    // A thread that hangs in the name service or on a dead disk is not waited for.
    runtime.shutdown_background();
    verdict
}

/// Comes with the first INT, TERM or HUP.
fn a_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}
