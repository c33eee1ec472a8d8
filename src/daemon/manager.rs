//! What the service manager is told (sd_notify(3)); without one, nobody.

use sd_notify::NotifyState;

use super::LOG_TARGET;

/// The way to the service manager.
#[derive(Clone, Copy)]
pub(super) struct Manager;

impl Manager {
    /// Everything stands: what depends on us may begin.
    pub(super) fn ready(self, status: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The configuration is read anew; [`Manager::ready`] ends it.
    pub(super) fn reloading(self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => log::warn!(target: LOG_TARGET, "read the monotonic clock: {error}"),
        }
    }

    /// The end has begun.
    pub(super) fn stopping(self) {
        tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
    }

    /// The sending loop moves.
    pub(super) fn alive(self) {
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    // Whoever does not listen misses nothing that matters here.
    if let Err(error) = sd_notify::notify(states) {
        log::debug!(target: LOG_TARGET, "tell the service manager: {error}");
    }
}
