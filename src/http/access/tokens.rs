//! Whether a token is good, asked of the store seldom enough to cost nothing and often enough that a revocation is
//! heeded within a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::http::problem::Problem;
use crate::http::{App, LOG_TARGET};
use crate::model::token::Standing;
use crate::model::{Id, Timestamp};
use crate::secret::SecretString;
use crate::secret::token::{Fingerprint, split};
use crate::store::{self, Store, Token};

/// How long the store's word holds. The rest of the second is for asking.
const LIFE: Duration = Duration::from_millis(500);

/// How often at most the last use of one token is written.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// The most tokens that are kept in memory; those that are asked for beyond it are read each time.
const KEPT: usize = 10_000;

/// Knows which tokens are good.
#[derive(Default)]
pub(super) struct Tokens {
    known: Mutex<HashMap<Id, Known>>,
    /// Held while the store is asked, so that it is asked once and not by everybody at the same time.
    asking: tokio::sync::Mutex<()>,
}

/// What the store said, and when.
#[derive(Clone)]
struct Known {
    token: Arc<Token>,
    read_at: Duration,
    noted_at: Option<Timestamp>,
    /// Whether somebody has asked since it was read.
    asked_for: bool,
}

impl Known {
    fn is_fresh(&self, now: Duration) -> bool {
        now.saturating_sub(self.read_at) < LIFE
    }
}

/// Why a token is not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is none of ours, or not good any more. Which of these is nobody's business.
    NoGood,
    /// The store could not be asked.
    Unknown(Problem),
}

impl Tokens {
    /// The token that `text` is, if it is good now. Notes its use.
    ///
    /// # Errors
    /// [`Refusal`]. It takes as long for an unknown number as for a wrong secret, but for what the store takes.
    pub(super) async fn verify(&self, app: &Arc<App>, text: &str) -> Result<Arc<Token>, Refusal> {
        let (id, secret) = split(text).ok_or(Refusal::NoGood)?;
        let token = self.token(app, id).await?;
        if !is_of(token.as_deref(), &secret) {
            return Err(Refusal::NoGood);
        }
        let now = app.now();
        let token = token.filter(|token| token.standing(now) == Standing::Good).ok_or(Refusal::NoGood)?;
        self.note_use(app, id, now);
        Ok(token)
    }

    /// The token of that number, if it is good now. No use of it is noted.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] alone.
    pub(super) async fn good(&self, app: &Arc<App>, id: Id) -> Result<Option<Arc<Token>>, Refusal> {
        let token = self.token(app, id).await?;
        Ok(token.filter(|token| token.standing(app.now()) == Standing::Good))
    }

    /// The token of that number, as the store has it or had it a moment ago.
    async fn token(&self, app: &Arc<App>, id: Id) -> Result<Option<Arc<Token>>, Refusal> {
        let known = match self.fresh(id, app.clock.since_boot()) {
            Some(known) => Some(known),
            None => self.ask(app, id).await?,
        };
        Ok(known.map(|known| known.token))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Id, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self, id: Id, now: Duration) -> Option<Known> {
        let mut all = self.known();
        let known = all.get_mut(&id)?;
        known.asked_for = true;
        known.is_fresh(now).then(|| known.clone())
    }

    /// Asks the store for `id`, and for all that are stale and were asked for: soon they would be again. Forgets the others.
    async fn ask(&self, app: &Arc<App>, id: Id) -> Result<Option<Known>, Refusal> {
        let _asking = self.asking.lock().await;
        // Whoever was here before may have brought it.
        let read_at = app.clock.since_boot();
        if let Some(known) = self.fresh(id, read_at) {
            return Ok(Some(known));
        }
        let mut ids = vec![id];
        self.known().retain(|_, known| known.asked_for || known.is_fresh(read_at));
        let stale =
            |(other, known): (&Id, &Known)| (*other != id && !known.is_fresh(read_at)).then_some(*other);
        ids.extend(self.known().iter().filter_map(stale));
        let read = move |store: &dyn Store| {
            ids.iter().map(|id| Ok((*id, store.token(*id)?))).collect::<store::Result<Vec<_>>>()
        };
        let told = match app.readers.ask(read).await {
            Ok(told) => told.map_err(|error| Refusal::Unknown(error.into()))?,
            Err(problem) => return Err(Refusal::Unknown(problem)),
        };
        let mut found = None;
        let mut all = self.known();
        for (told_id, token) in told {
            let before = all.remove(&told_id).and_then(|known| known.noted_at);
            let Some(token) = token else { continue };
            let noted_at = token.used_at.max(before);
            let known = Known { token: Arc::new(token), read_at, noted_at, asked_for: false };
            if told_id == id {
                found = Some(known.clone());
            }
            if all.len() < KEPT {
                all.insert(told_id, known);
            }
        }
        Ok(found)
    }

    /// Has its use written, unless it was a short while ago; nobody waits for that.
    fn note_use(&self, app: &Arc<App>, id: Id, now: Timestamp) {
        {
            let mut all = self.known();
            let Some(known) = all.get_mut(&id) else { return };
            if known.noted_at.is_some_and(|at| now < at.plus(NOTED_EVERY) && now >= at) {
                return;
            }
            known.noted_at = Some(now);
        }
        let app = Arc::clone(app);
        tokio::spawn(async move {
            if let Ok(Err(error)) = app.writer.call(move |store| store.token_used(now, id)).await {
                log::warn!(target: LOG_TARGET, "the last use of token {id} is not noted: {error}");
            }
        });
    }
}

/// Whether `secret` is that of `token`; compares with something also where there is none.
fn is_of(token: Option<&Token>, secret: &SecretString) -> bool {
    let nobody = Fingerprint([0; 32]);
    token.map_or(nobody, |token| token.fingerprint).is_of(secret)
}
