//! `notifyctl top`: watch the store live on a terminal, and steer it by keys.
//!
//! Reads the store itself, so it needs no daemon. It keeps a connection that only reads; what a key asks for is one
//! call on another one.

mod draw;
mod sample;
mod view;

use std::io::IsTerminal;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::sync::mpsc;

use super::face::{count, one_line};
use super::{Context, Error, Exit};
use crate::clock::since_boot;
use crate::model::Status;
use crate::store::{Access, Filter, Selection};
use crate::units;
use sample::Source;
use view::{Act, Then, View};

/// Watch the store live on a terminal, and steer it
///
/// Counts per channel, what is sent and what dies over time, ages, limits in use, pauses, the latest dead with their
/// reasons, and who delivers. Needs no daemon, and costs next to nothing while nothing happens. `?` shows
/// the keys.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0; 64 without a terminal; 66 when there is no store yet; 75 when it is not where it was any \
    more.\n\n\
    Keys:\n  \
    q quits; arrows, j and k select; Tab goes to the other pane; / shows only channels whose name holds a word; \
    h holds the selected channel, r releases it; R requeues what is dead there, or the selected notification, once y \
    confirms it; ? shows all of this."
)]
pub struct TopArgs {
    /// How often it looks
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = units::duration)]
    interval: Duration,
}

/// Looking more often would only cost; less often is not live.
const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3_600);

/// The most that one key requeues.
const MOST: usize = 10_000;

/// Runs it.
pub fn run(context: &mut Context, args: &TopArgs) -> Result<Exit, Error> {
    if !context.out.is_terminal() || !std::io::stdin().is_terminal() {
        return Err(Error::new(Exit::Usage, "top needs a terminal").hint(
            "`notifyctl status --json` tells a program the same; `notifyctl check` is for monitoring",
        ));
    }
    if !INTERVALS.contains(&args.interval) {
        return Err(Error::new(Exit::Usage, "--interval must be within 100ms and 1h"));
    }
    let config = context.config()?.clone();
    let store = context.store(Access::Read)?;
    let source = Source::new(store, config, context.now())?;
    let colour = context.out.face(context.now()).colour;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| broken(&error))?;
    // From here on the terminal is ours; it is given back whatever happens, a panic included.
    let mut terminal = ratatui::try_init().map_err(|error| broken(&error))?;
    let outcome = runtime.block_on(watch(context, &mut terminal, source, args.interval, colour));
    ratatui::restore();
    // The thread that waits for keys ends with the process.
    runtime.shutdown_background();
    outcome.map(|()| Exit::Ok)
}

fn broken(error: &std::io::Error) -> Error {
    Error::new(Exit::IoErr, format!("use the terminal: {error}"))
}

/// What ends or moves the loop.
enum Next {
    Event(Event),
    Look,
    End,
}

async fn watch(
    context: &Context,
    terminal: &mut DefaultTerminal,
    mut source: Source,
    interval: Duration,
    colour: bool,
) -> Result<(), Error> {
    let mut events = events();
    let mut signals = Signals::listen().map_err(|error| broken(&error))?;
    let mut clock = tokio::time::interval(interval);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    clock.tick().await;
    let (mut view, mut looked) = (View::new(), since_boot());
    loop {
        let now = context.now();
        terminal
            .draw(|frame| draw::draw(frame, &draw::Scene { view: &view, source: &source, now, colour }))
            .map_err(|error| broken(&error))?;
        let next = tokio::select! {
            event = events.recv() => event.map_or(Next::End, Next::Event),
            _ = clock.tick() => Next::Look,
            () = signals.any() => Next::End,
        };
        let then = match next {
            Next::End => return Ok(()),
            Next::Event(Event::Key(key)) if key.kind == KeyEventKind::Press => view.key(key, &source.sample),
            Next::Event(_) => Then::Nothing,
            Next::Look => {
                let took = since_boot().saturating_sub(looked);
                looked += took;
                // It may be busy for a moment: what was seen last stays.
                view.blind = match source.look(context.now(), took) {
                    // What a key asks for would be done to another store than is shown.
                    Err(error) if source.is_moved() => return Err(error),
                    looked => looked.err().map(|error| one_line(&error.to_string())),
                };
                Then::Nothing
            }
        };
        match then {
            Then::Quit => return Ok(()),
            Then::Nothing => {}
            Then::Do(act) => {
                view.message =
                    Some(perform(context, &source, act).map_err(|error| one_line(&error.to_string())));
                clock.reset_immediately();
            }
        }
    }
}

/// What is pressed, from a thread that waits for it.
fn events() -> mpsc::Receiver<Event> {
    let (sender, events) = mpsc::channel(16);
    std::thread::spawn(move || {
        // A terminal that is gone ends it, and with it the loop.
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    events
}

/// Signals that end it in order.
struct Signals([tokio::signal::unix::Signal; 3]);

impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self([
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn any(&mut self) {
        let [terminate, interrupt, hangup] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Does what a key asked for, and says what came of it.
fn perform(context: &Context, source: &Source, act: Act) -> Result<String, Error> {
    let now = context.now();
    let mut store = source.writer(now)?;
    Ok(match act {
        Act::Hold(name) => {
            store.hold_channel(now, &name, "held in notifyctl top")?;
            format!("{} is held; r releases it", one_line(&name))
        }
        Act::Release(name) => match store.release_channel(now, &name)? {
            true => format!("{} is released", one_line(&name)),
            false => format!("nothing held {} back", one_line(&name)),
        },
        Act::RequeueOne(id) => {
            let changed = store.requeue(now, &Selection::Ids(vec![id]))?;
            match changed.changed.len() {
                0 => format!("{id} is not dead any more"),
                _ => format!("{id} is requeued"),
            }
        }
        Act::RequeueAll(name, _) => {
            let filter =
                Filter { statuses: vec![Status::Dead], channel: Some(name.clone()), ..Filter::default() };
            let changed = store.requeue(now, &Selection::Matching { filter, limit: MOST })?;
            format!("{} on {} are requeued", count(changed.changed.len() as u64), one_line(&name))
        }
    })
}
