//! INT, TERM and HUP while a program may be asked for a secret: it has a process group of its own, which neither a terminal's
//! Ctrl-C nor a `kill` of this process reaches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::{Error, Exit};
use crate::secret;

/// What a signal does from now on: it ends the programs that are asked, and then this process, as it always would.
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Heeds signals until the end of this process, or until somebody else does.
    ///
    /// # Errors
    /// When the system gives neither a pipe nor a thread for it.
    pub fn heed() -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::new(Exit::TempFail, format!("heed signals: {error}"));
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(failed)?;
        let others = Arc::new(AtomicBool::new(false));
        let heeded_by_others = Arc::clone(&others);
        let heed = move || {
            for signal in signals.forever() {
                if !heeded_by_others.load(Ordering::Acquire) {
                    secret::end_commands();
                    // What cannot end this process so leaves it without the programs: it ends by itself.
                    let _ = emulate_default_handler(signal);
                }
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(heed).map_err(failed)?;
        Ok(Self(others))
    }

    /// From now on somebody else heeds them.
    pub fn leave(&self) {
        self.0.store(true, Ordering::Release);
    }
}
