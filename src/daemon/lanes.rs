//! From configured channels to the engine's lanes.

use std::thread;

use tokio::task::JoinHandle;

use super::Error;
use crate::channel::BuildError;
use crate::config::{ChannelConfig, Config};
use crate::delivery::Lane;

/// How many are built side by side. Each may ask a program for a secret, for ten seconds: one after the other they would add up.
const TOGETHER: usize = 16;

/// Builds them; one that cannot be built does not stop the others.
#[must_use]
pub fn build(channels: impl IntoIterator<Item = (String, ChannelConfig)>) -> (Vec<Lane>, Vec<BuildError>) {
    let (mut lanes, mut unfit) = (Vec::new(), Vec::new());
    let mut left = channels.into_iter();
    loop {
        let some: Vec<_> = left.by_ref().take(TOGETHER).collect();
        if some.is_empty() {
            return (lanes, unfit);
        }
        for built in together(some) {
            match built {
                Ok(lane) => lanes.push(lane),
                Err(error) => unfit.push(error),
            }
        }
    }
}

/// All of them at once, in their order.
fn together(mut channels: Vec<(String, ChannelConfig)>) -> Vec<Result<Lane, BuildError>> {
    let Some((name, config)) = channels.pop() else { return Vec::new() };
    thread::scope(|scope| {
        let begun: Vec<_> =
            channels.into_iter().map(|(name, config)| scope.spawn(|| one(name, config))).collect();
        // The last one needs no thread; nor does a channel that is alone.
        let last = one(name, config);
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        begun.into_iter().map(join).chain([last]).collect()
    })
}

fn one(name: String, config: ChannelConfig) -> Result<Lane, BuildError> {
    Ok(Lane {
        channel: config.options.build(&name)?,
        name,
        longest_attempt: config.options.longest_attempt(),
        policy: config.policy,
        rates: config.rates,
        max_in_flight: config.max_in_flight,
    })
}

/// What could be built, and what could not.
pub(super) struct Built {
    pub(super) lanes: Vec<Lane>,
    pub(super) unfit: Vec<BuildError>,
}

/// The lanes of a configuration, as they are being built beside what goes on: a command that is asked for a secret may take ten
/// seconds, and no signal waits for that.
#[derive(Default)]
pub(super) struct Building(Option<JoinHandle<Built>>);

impl Building {
    /// Begins, in place of what is under way.
    pub(super) fn begin(&mut self, config: &Config) {
        let channels = config.channels.clone();
        self.0 = Some(tokio::task::spawn_blocking(|| {
            let (lanes, unfit) = build(channels);
            Built { lanes, unfit }
        }));
    }

    /// Waits for what is built; for ever when nothing is. Nothing is lost when the answer is not waited for.
    pub(super) async fn done(&mut self) -> Result<Built, Error> {
        let Some(building) = &mut self.0 else { return std::future::pending().await };
        let built = building.await;
        self.0 = None;
        built.map_err(|error| Error::system("build the channels", std::io::Error::other(error)))
    }
}
