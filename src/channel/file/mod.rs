//! The file kind: a Maildir that any mail reader opens, or a file of JSON lines that programs follow.

mod jsonl;
mod maildir;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, fs, io};

use lettre::message::Mailbox;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use self::jsonl::Jsonl;
use self::maildir::Maildir;
use super::{Attempt, BuildError, Channel, Envelope, mail};
use crate::model::{Outcome, Reason, Verdict};

/// The options of a channel of kind `file`.
#[derive(Debug, Clone)]
pub struct Options {
    /// The Maildir's folder, or the file of JSON lines. Made when missing; the folder that holds it is not.
    pub path: PathBuf,
    /// What is written there.
    pub format: Format,
    /// The sender of mails in a Maildir; `None` for `notifyctl@` and the store's message domain.
    pub from: Option<Mailbox>,
    /// The limit of time for one attempt, syncing included.
    pub timeout: Duration,
}

/// What a channel of kind `file` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// One mail a file, in a Maildir.
    #[default]
    Maildir,
    /// One JSON object a line, appended to one file.
    Jsonl,
}

impl Options {
    /// What `timeout` is when nothing is said.
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// A Maildir at `path`, with the default of everything else.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), format: Format::default(), from: None, timeout: Self::TIMEOUT }
    }
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Maildir, Self::Jsonl];

    /// The word used in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Maildir => "maildir",
            Self::Jsonl => "jsonl",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a format (one of maildir, jsonl)"))
    }
}

/// A channel of kind `file`.
pub struct File {
    target: Arc<Target>,
    from: Option<Mailbox>,
    timeout: Duration,
    /// Turns to write, [`WRITERS`] at once: each takes a thread, and the other channels need some too.
    turns: Arc<Semaphore>,
    /// Writes that took longer than they may and cannot be stopped. While there are any nothing more begins.
    overdue: Mutex<Vec<JoinHandle<Result<String, Failure>>>>,
}

/// How many write at once, whatever `max_in_flight` says: one process has a few hundred threads at most.
const WRITERS: usize = 16;

/// Where the bytes go; shared with the thread that writes them.
enum Target {
    Maildir(Maildir),
    Jsonl(Jsonl),
}

impl File {
    /// Builds it; opens no file.
    ///
    /// # Errors
    /// When an option cannot be used.
    pub fn new(name: &str, options: &Options) -> Result<Self, BuildError> {
        let Options { path, format, from, timeout } = options;
        if !path.is_absolute() {
            let what = format!("`{}` is not an absolute path", path.display());
            return Err(BuildError { channel: name.to_owned(), key: "path", what });
        }
        let target = match format {
            Format::Maildir => Target::Maildir(Maildir::new(path)),
            Format::Jsonl => Target::Jsonl(Jsonl::new(path)),
        };
        Ok(Self {
            target: Arc::new(target),
            from: from.clone(),
            timeout: *timeout,
            turns: Arc::new(Semaphore::new(WRITERS)),
            overdue: Mutex::default(),
        })
    }

    async fn write(&self, envelope: &Envelope) -> Verdict {
        let bytes = match self.bytes(envelope) {
            Ok(bytes) => bytes,
            Err(verdict) => return verdict,
        };
        let target = Arc::clone(&self.target);
        let name = maildir::name(envelope);
        let attempt = envelope.attempt;
        self.in_time(move |left| match &*target {
            Target::Maildir(maildir) => maildir.deliver(&name, attempt, &bytes),
            // Half of it, so that another's lock is told as such and not as a slow disk.
            Target::Jsonl(jsonl) => jsonl.append(&bytes, left / 2),
        })
        .await
    }

    /// Writes on a thread of the blocking pool: a full or a remote disk may take its time, and must not
    /// take that of the other channels. `write` is told how much time is left.
    async fn in_time(
        &self,
        write: impl FnOnce(Duration) -> Result<String, Failure> + Send + 'static,
    ) -> Verdict {
        let timeout = self.timeout;
        let until = Instant::now() + timeout;
        let not_begun = |detail: String| Verdict::channel_trouble(Reason::LocalError, &detail);
        // Half of the time is for the write itself: of one that is cut off nobody knows whether it was made.
        let turn = timeout_at(until - timeout / 2, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return not_begun(format!("{WRITERS} earlier writes have not ended within {:?}", timeout / 2));
        };
        if self.is_overdue() {
            return not_begun(format!("an earlier write still waits for the disk after {timeout:?}"));
        }
        let mut written = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            write(until.saturating_duration_since(Instant::now()))
        });
        match timeout_at(until, &mut written).await {
            Ok(Ok(Ok(place))) => Verdict::sent(&place),
            Ok(Ok(Err(failure))) => Verdict::channel_trouble(Reason::LocalError, &failure.to_string()),
            Ok(Err(_)) => Verdict::new(Outcome::Unknown, Reason::LocalError, "the writing thread panicked"),
            // The thread cannot be stopped and may yet succeed.
            Err(_) => {
                self.overdue().push(written);
                let detail = format!("the disk took longer than {timeout:?}");
                Verdict::new(Outcome::Unknown, Reason::NoAnswer, &detail)
            }
        }
    }

    fn is_overdue(&self) -> bool {
        let mut overdue = self.overdue();
        overdue.retain(|write| !write.is_finished());
        !overdue.is_empty()
    }

    fn overdue(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<Result<String, Failure>>>> {
        self.overdue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes(&self, envelope: &Envelope) -> Result<Vec<u8>, Verdict> {
        match &*self.target {
            Target::Maildir(_) => {
                let from = self.from.clone().unwrap_or_else(|| mail::default_from(envelope));
                Ok(maildir::with_unix_line_ends(&mail::build(envelope, &from, &mail::to(envelope)?)?))
            }
            Target::Jsonl(_) => serde_json::to_vec(&envelope.shape())
                .map_err(|error| Verdict::new(Outcome::Rejected, Reason::Unsendable, &error.to_string())),
        }
    }
}

impl Channel for File {
    fn attempt<'a>(&'a self, envelope: &'a Envelope) -> Attempt<'a> {
        Box::pin(self.write(envelope))
    }
}

/// What could not be done to a file of ours.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {path}: {source}", path = .path.display())]
struct Failure {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Failure {
    fn new(doing: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self { doing, path: path.to_owned(), source: source.into() }
    }
}

/// Makes the names in a folder as durable as what they name.
fn sync_folder(path: &Path) -> Result<(), Failure> {
    let synced = fs::File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(|source| Failure::new("sync", path, source))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use futures_util::future::join_all;
    use tokio::sync::RwLock;

    use super::*;
    use crate::model::Scope;

    #[tokio::test]
    async fn while_a_write_hangs_nothing_more_begins() {
        let options = Options { timeout: Duration::from_millis(500), ..Options::new("/nowhere") };
        let file = File::new("archive", &options).unwrap();
        let came_to = |verdict: Verdict| (verdict.outcome, verdict.scope);
        let (done, disk) = std::sync::mpsc::channel::<()>();
        let hangs = move |_| disk.recv().map(|()| "late".to_owned()).map_err(|_| unreachable!());
        assert_eq!(came_to(file.in_time(hangs).await), (Outcome::Unknown, Scope::Notification));
        for _ in 0..3 {
            let verdict = file.in_time(|_| panic!("it was begun")).await;
            assert_eq!(came_to(verdict), (Outcome::Deferred, Scope::Channel));
        }
        done.send(()).unwrap();
        while file.is_overdue() {
            tokio::task::yield_now().await;
        }
        assert_eq!(came_to(file.in_time(|_| Ok("again".into())).await), (Outcome::Sent, Scope::Notification));
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_little_time_left_is_not_begun_for_nobody_would_see_its_end() {
        let options = Options { timeout: Duration::from_millis(500), ..Options::new("/nowhere") };
        let file = File::new("archive", &options).unwrap();
        let turns = Arc::clone(&file.turns).acquire_many_owned(u32::try_from(WRITERS).unwrap()).await;
        let others = async {
            tokio::time::sleep(options.timeout * 8 / 10).await;
            drop(turns);
        };
        let write = file.in_time(|left| {
            std::thread::sleep(left * 2);
            Ok("late".to_owned())
        });
        let (verdict, ()) = tokio::join!(write, others);
        assert_eq!((verdict.outcome, verdict.scope), (Outcome::Deferred, Scope::Channel), "{verdict:?}");
    }

    #[tokio::test]
    async fn a_disk_that_hangs_takes_a_few_threads_however_many_writes_are_due() {
        let options = Options { timeout: Duration::from_millis(300), ..Options::new("/nowhere") };
        let file = File::new("archive", &options).unwrap();
        let (begun, dead) = (Arc::new(AtomicUsize::new(0)), Arc::new(RwLock::new(())));
        let disk = dead.write().await;
        let hang = |_| {
            let (begun, dead) = (Arc::clone(&begun), Arc::clone(&dead));
            file.in_time(move |_| {
                begun.fetch_add(1, Relaxed);
                drop(dead.blocking_read());
                Ok("late".to_owned())
            })
        };
        let verdicts = join_all((0..3 * WRITERS).map(hang)).await;
        let unknown = verdicts.iter().filter(|verdict| verdict.outcome == Outcome::Unknown).count();
        drop(disk);
        assert_eq!((unknown, begun.load(Relaxed)), (WRITERS, WRITERS));
        assert!(verdicts[WRITERS..].iter().all(|verdict| verdict.scope == Scope::Channel));
    }
}
