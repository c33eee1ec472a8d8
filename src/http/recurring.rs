//! A trouble that comes again and again: told when it begins, then once in a while how often, and when it is over.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

/// How often it is told at most; without it for so long, it is over.
const EVERY: Duration = Duration::from_secs(60);

/// One trouble.
#[derive(Default)]
pub(super) struct Recurring {
    /// How often it came since that was told last; `None` while there is none.
    untold: Mutex<Option<u64>>,
}

impl Recurring {
    /// It has come; says whether it begins, and is to be told. Then [`Recurring::goes_on`] has to be asked.
    pub(super) fn begins(&self) -> bool {
        let mut untold = self.untold();
        let begins = untold.is_none();
        *untold = Some(untold.map_or(0, |times| times + 1));
        begins
    }

    /// Waits until there is more to be told of it: how often it has come since; `None` when it is over.
    pub(super) async fn goes_on(&self) -> Option<u64> {
        sleep(EVERY).await;
        let mut untold = self.untold();
        let times = untold.filter(|times| *times > 0);
        *untold = times.map(|_| 0);
        times
    }

    fn untold(&self) -> MutexGuard<'_, Option<u64>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_told_when_it_begins_then_once_in_a_while_and_when_it_is_over() {
        let trouble = Recurring::default();
        for _ in 0..2 {
            assert!(trouble.begins());
            for minute in 1..=3 {
                let comes = async {
                    for _ in 0..100 * minute {
                        sleep(EVERY / 1_000).await;
                        assert!(!trouble.begins());
                    }
                };
                assert_eq!(tokio::join!(trouble.goes_on(), comes).0, Some(100 * minute));
            }
            assert_eq!(trouble.goes_on().await, None);
        }
    }
}
