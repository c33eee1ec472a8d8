//! `notifyctl why`: Say why a notification has not been sent yet.

mod obstacles;

pub use obstacles::idle_since;
use obstacles::{Facts, obstacles};

use super::face::{Face, Paint, one_line};
use super::{Context, Error, Exit, standing};
use crate::channel::Kind;
use crate::config::Config;
use crate::model::{Id, Status, Timestamp};
use crate::store::{self, Access, Reader, shapes};
use crate::wire::{self, Obstacle};

/// Say why a notification has not been sent yet
///
/// Every reason at once, with the moment at which it clears and what to do about it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0, or 66 when an id does not exist.")]
pub struct WhyArgs {
    /// Which notifications
    #[arg(value_name = "ID", required = true, value_parser = clap::value_parser!(Id).range(1..))]
    ids: Vec<Id>,
    /// Write JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(context: &mut Context, args: WhyArgs) -> Result<Exit, Error> {
    let config = context.config()?.clone();
    let store = context.store(Access::Read)?;
    let face = context.out.face(context.now());
    let mut missing = Vec::new();
    for id in args.ids {
        let Some(row) = store.get(id)? else {
            missing.push(id);
            continue;
        };
        let found = Found::gather(&*store, &config, row, face.now)?;
        let obstacles = obstacles(&found.facts(face.now));
        let row = &found.row.summary;
        if args.json {
            context.out.json(&wire::Why { id, status: row.status, obstacles })?;
        } else {
            let headline = match row.status {
                Status::Sent => standing::line(row, found.last(), &face),
                _ => format!("to {} by {}", one_line(&row.recipient), one_line(&row.channel)),
            };
            let headline = format!("{id} is {}, {headline}", face.status(row.status));
            face.wrap(&headline, 4).into_iter().try_for_each(|line| context.out.line(line))?;
            obstacles.iter().flat_map(|one| lines(one, &face)).try_for_each(|line| context.out.line(line))?;
        }
    }
    standing::all_known(&missing)
}

fn lines(obstacle: &Obstacle, face: &Face) -> Vec<String> {
    let what = &obstacle.what;
    let line = match obstacle.clears_at {
        Some(at) if at > face.now => format!("  - {what}; clears {}", face.at(at)),
        _ => format!("  - {what}"),
    };
    let mut lines = face.wrap(&line, 4);
    if let Some(hint) = &obstacle.hint {
        lines.push(format!("    {}", face.paint(Paint::Dim, hint)));
    }
    lines
}

/// What was read of a notification and of all that may stand in its way.
struct Found {
    row: store::Notification,
    attempts: Vec<store::Attempt>,
    kind: Option<Kind>,
    state: Option<store::ChannelState>,
    rates: Vec<wire::Rate>,
    pending: u64,
    sending: u64,
    last_pass: Option<Timestamp>,
}

impl Found {
    fn gather(
        reader: &dyn Reader,
        config: &Config,
        row: store::Notification,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let name = &row.summary.channel;
        let configured = config.channels.get(name);
        let state = reader.channels(now)?.into_iter().find(|state| state.channel == *name);
        let counts = reader.counts()?;
        Ok(Self {
            attempts: reader.attempts(row.summary.id)?,
            kind: configured.map(|channel| channel.options.kind()),
            rates: shapes::rates(configured.map(|channel| channel.rates.as_slice()), state.as_ref(), now),
            pending: counts.channels.get(name).map_or(0, |channel| channel.of(Status::Pending)),
            sending: counts.of(Status::Sending),
            last_pass: shapes::sender_seen_at(reader, now)?,
            state,
            row,
        })
    }

    fn last(&self) -> Option<&store::Attempt> {
        self.attempts.iter().rev().find(|attempt| attempt.ended_at.is_some())
    }

    fn facts(&self, now: Timestamp) -> Facts<'_> {
        Facts {
            now,
            row: &self.row.summary,
            not_before: self.row.not_before,
            worker: self.row.worker.as_deref(),
            lease_expires_at: self.row.lease_expires_at,
            under_way: self.attempts.last().filter(|attempt| attempt.ended_at.is_none()),
            last: self.last(),
            kind: self.kind,
            state: self.state.as_ref(),
            rates: &self.rates,
            pending: self.pending,
            sending: self.sending,
            last_pass: self.last_pass,
        }
    }
}
