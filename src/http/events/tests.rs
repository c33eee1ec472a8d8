//! Who watches live, beside who writes: what each is told, by whom it is woken, and that nothing stays of whoever goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use rusqlite::Connection;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::course::{Course, End, Line};
use super::feed::{Feed, hand_on};
use super::registry::{Live, Piece, Wanted};
use super::stream;
use super::{PIECE, PIECE_OF_SOME, most};
use crate::http::readers::Readers;
use crate::model::{Content, Cursor, EventFilter, Id, NewNotification, Timestamp};
use crate::store::{self, Access, Options, Selection, Store, StoreUrl};
use crate::wire::Sight;

pub(in crate::http) const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// Longer than anything takes here, on a machine that has better things to do too.
const PATIENCE: Duration = Duration::from_secs(30);

/// A store with some notifications, and those who read it.
pub(in crate::http) struct Ground {
    folder: tempfile::TempDir,
    pub(in crate::http) readers: Arc<Readers>,
}

impl Ground {
    /// The ids are 1 to `many`.
    pub(in crate::http) fn new(many: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let one = NewNotification {
            channel: "mail".into(),
            content: Content { recipient: "a@example.org".into(), message: "m".into(), ..Content::default() },
            ..NewNotification::default()
        };
        let open = || open(&folder);
        open().enqueue(NOW, NOW, &vec![one; many]).unwrap();
        let readers = Arc::new(Readers::start(vec![open(), open()]).unwrap());
        Self { folder, readers }
    }

    pub(in crate::http) fn store(&self) -> Box<dyn Store> {
        open(&self.folder)
    }

    /// Without going through the store.
    fn execute(&self, sql: &str) {
        let connection = Connection::open(self.folder.path().join("n.db")).unwrap();
        assert!(connection.execute(sql, []).unwrap() > 0, "{sql}");
    }

    /// Watches `id`, or everything, from `after` or from now on.
    async fn course(&self, feed: &Feed, id: Option<Id>, after: Option<Cursor>) -> (Course, Cursor) {
        let begun = Course::begin(&self.readers, feed, after, about(id), Sight::Whole).await;
        let (course, ready) = begun.unwrap_or_else(|_| panic!("it begins"));
        (course, ready.cursor)
    }

    /// Watches `id`, has caught up, and waits.
    async fn caught_up(&self, feed: &Feed, id: Id) -> Course {
        let from = self.store().cursor(None).unwrap();
        happens(&mut *self.store(), id);
        let mut course = self.course(feed, Some(id), Some(from)).await.0;
        assert_eq!(course.next().await.unwrap().len(), 2, "all that the store has");
        course
    }

    /// All that happened behind `after` and is meant, as the store tells it now.
    fn told(&self, after: Cursor, id: Option<Id>) -> Vec<Cursor> {
        let told = self.store().events(after, &about(id), PIECE_OF_SOME).unwrap();
        assert!(!told.more && told.gap.is_none());
        told.events.iter().map(|event| event.cursor).collect()
    }
}

fn open(folder: &tempfile::TempDir) -> Box<dyn Store> {
    let url = StoreUrl::Sqlite(folder.path().join("n.db"));
    store::open(&Options { url, busy_timeout: PATIENCE }, Access::Create, NOW).unwrap()
}

fn about(id: Option<Id>) -> EventFilter {
    EventFilter { ids: Arc::new(id.into_iter().collect()), ..EventFilter::default() }
}

/// Something that happens to `id`.
fn happens(store: &mut dyn Store, id: Id) {
    let only = Selection::Ids(vec![id]);
    assert_eq!(store.hold(NOW, &only).unwrap().changed, [id]);
    assert_eq!(store.release(NOW, &only).unwrap().changed, [id]);
}

fn cursors(lines: &[Line]) -> Vec<Cursor> {
    lines.iter().map(|line| line.cursor).collect()
}

/// What is told at once.
fn at_once(live: &mut Live) -> Option<Arc<Piece>> {
    live.next().now_or_never().map(|next| next.unwrap_or_else(|error| panic!("{error}")))
}

#[tokio::test]
async fn the_store_is_asked_for_what_is_watched_and_only_those_whom_it_concerns_are_woken() {
    let ground = Ground::new(3);
    let (mut store, feed, mut next) = (ground.store(), Feed::default(), None);
    let asked = || match feed.registry.wanted() {
        Some(Wanted::These(ids)) => Some(ids.iter().copied().collect::<Vec<_>>()),
        Some(Wanted::All) => Some(Vec::new()),
        None => None,
    };
    assert_eq!((asked(), hand_on(&*store, &feed.registry, &mut next).unwrap()), (None, None));
    let (mut one, mut two, mut again) = (feed.watch(Some(1)), feed.watch(Some(2)), feed.watch(Some(1)));
    assert_eq!(asked(), Some(vec![1, 2]));
    hand_on(&*store, &feed.registry, &mut next).unwrap().expect("somebody watches");
    for live in [&mut one, &mut two, &mut again] {
        assert!(at_once(live).is_some_and(|piece| piece.gap.is_some()), "it begins here");
    }
    [1, 3].into_iter().for_each(|id| happens(&mut *store, id));
    hand_on(&*store, &feed.registry, &mut next).unwrap();
    for live in [&mut one, &mut again] {
        let piece = at_once(live).expect("what happened to it");
        let ids: Vec<_> = piece.told.iter().map(|told| told.event.id).collect();
        assert_eq!((ids, piece.gap), (vec![Some(1); 2], None));
        assert!(at_once(live).is_none());
    }
    assert!(at_once(&mut two).is_none(), "nothing happened to it");

    let mut all = feed.watch(None);
    assert_eq!(asked(), Some(Vec::new()));
    happens(&mut *store, 2);
    hand_on(&*store, &feed.registry, &mut next).unwrap();
    assert_eq!(at_once(&mut all).map(|piece| piece.told.len()), Some(2));
    assert_eq!(at_once(&mut two).map(|piece| piece.told.len()), Some(2));
    assert!(at_once(&mut one).is_none());

    // Whoever goes leaves nothing behind; who is there still counts.
    drop((all, one));
    assert_eq!(asked(), Some(vec![1, 2]));
    drop((two, again));
    assert_eq!((asked(), hand_on(&*store, &feed.registry, &mut next).unwrap()), (None, None));
    assert!(feed.registry.is_empty() && !feed.registry.is_watched() && next.is_none());
}

#[tokio::test]
async fn who_comes_while_the_feed_looks_for_others_is_sent_to_the_store() {
    let ground = Ground::new(3);
    let (mut store, feed) = (ground.store(), Feed::default());
    let _other = feed.watch(Some(1));
    let from = store.cursor(None).unwrap();
    let wanted = feed.registry.wanted().expect("somebody watches");
    let (mut one, mut all) = (feed.watch(Some(2)), feed.watch(None));
    happens(&mut *store, 2);
    let filter = wanted.filter();
    let found = store.events(from, &filter, most(&filter)).unwrap();
    assert!(found.events.is_empty(), "it was not asked for");
    let to = found.next;
    feed.registry.hand(&wanted, found);
    for live in [&mut one, &mut all] {
        assert_eq!(at_once(live).map(|piece| piece.gap), Some(Some(to)));
    }
}

/// Those who come while much happens to one, to others beside it, and to some that nobody watches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_and_goes_while_events_stream_misses_none_and_gets_none_twice() {
    const IDS: Id = 12;
    const WATCHERS: Id = 240;
    let ground = Arc::new(Ground::new(IDS as usize));
    let feed = Arc::new(Feed::start(ground.store()).unwrap());
    let over = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (mut store, over) = (ground.store(), Arc::clone(&over));
        move || {
            while !over.load(Ordering::Relaxed) {
                (1..=IDS).for_each(|id| happens(&mut *store, id));
            }
        }
    });
    let mut watchers = Vec::new();
    for n in 0..WATCHERS {
        let (ground, feed) = (Arc::clone(&ground), Arc::clone(&feed));
        // Some who watch everything, for a while: then everything is read, and then no more.
        let id = (n % 40 != 7).then_some(n % (IDS - 2) + 1);
        watchers.push(tokio::spawn(async move {
            let (mut course, ready) = ground.course(&feed, id, None).await;
            let mut seen = Vec::new();
            while seen.len() < 24 {
                let next = timeout(PATIENCE, course.next()).await.expect("something happens");
                let lines = next.unwrap_or_else(|end| panic!("{end:?}"));
                assert!(lines.iter().all(|line| !line.text.contains("\"gap\"")));
                seen.extend(cursors(&lines));
            }
            (id, ready, seen)
        }));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut all = Vec::new();
    for watcher in watchers {
        all.push(watcher.await.unwrap());
    }
    over.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    for (id, ready, seen) in all {
        assert_eq!(seen, ground.told(ready, id)[..seen.len()], "{id:?} from {ready}");
    }
    assert!(feed.registry.is_empty(), "nothing stays of whoever went");
}

#[tokio::test]
async fn who_does_not_take_what_happens_to_one_is_slow_and_no_other_is() {
    const MANY: usize = 20;
    let ground = Ground::new(2);
    let (mut store, feed, mut next) = (ground.store(), Feed::default(), None);
    let (mut slow, mut quiet) = (ground.caught_up(&feed, 1).await, ground.caught_up(&feed, 2).await);
    let mut quick = feed.watch(Some(1));
    hand_on(&*store, &feed.registry, &mut next).unwrap();
    at_once(&mut quick).expect("it begins here");
    for _ in 0..MANY {
        happens(&mut *store, 1);
        hand_on(&*store, &feed.registry, &mut next).unwrap();
        assert_eq!(at_once(&mut quick).map(|piece| piece.told.len()), Some(2));
    }
    happens(&mut *store, 2);
    hand_on(&*store, &feed.registry, &mut next).unwrap();
    assert!(matches!(slow.next().await, Err(End::Slow)));
    assert_eq!(quiet.next().await.unwrap().len(), 2);
}

#[tokio::test]
async fn who_still_reads_the_store_is_not_slow_however_much_happens_meanwhile() {
    const MANY: usize = 20;
    let ground = Ground::new(2 * PIECE);
    let (mut store, feed, mut next) = (ground.store(), Feed::default(), None);
    let (mut one, from) = ground.course(&feed, Some(1), None).await;
    let mut all = ground.course(&feed, None, Some(Cursor::default())).await.0;
    let mut seen = cursors(&all.next().await.unwrap());
    assert!(seen.len() < 2 * PIECE, "there is more to read");
    for _ in 0..MANY {
        happens(&mut *store, 1);
        hand_on(&*store, &feed.registry, &mut next).unwrap();
    }
    assert_eq!(cursors(&one.next().await.unwrap()), ground.told(from, Some(1)));
    let wanted = ground.told(Cursor::default(), None);
    while seen.len() < wanted.len() {
        seen.extend(cursors(&all.next().await.unwrap()));
    }
    assert_eq!(seen, wanted);
    happens(&mut *store, 1);
    hand_on(&*store, &feed.registry, &mut next).unwrap();
    for course in [&mut one, &mut all] {
        assert_eq!(course.next().await.unwrap().len(), 2);
    }
}

/// Events that are not kept any more, or cannot be read: whoever watches is told, and goes on behind them.
#[tokio::test]
async fn who_watches_one_is_told_of_a_gap_and_goes_on_behind_it() {
    let ground = Ground::new(3);
    let (mut store, feed, mut next) = (ground.store(), Feed::default(), None);
    let mut course = ground.caught_up(&feed, 1).await;
    hand_on(&*store, &feed.registry, &mut next).unwrap();
    let losses = [
        // How many of its own it is told before; whether it lost any nobody knows.
        ([1, 2, 3], 0, "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - 2"),
        ([2, 1, 3], 1, "UPDATE events SET entries = x'ff' WHERE id = (SELECT max(id) FROM events) - 2"),
        ([3, 2, 3], 0, "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - 1"),
    ];
    for (ids, before, loss) in losses {
        ids.into_iter().for_each(|id| happens(&mut *store, id));
        ground.execute(loss);
        hand_on(&*store, &feed.registry, &mut next).unwrap();
        let mut lines = Vec::new();
        let is_gap = |line: &Line| line.text.contains("\"gap\"");
        while !lines.iter().any(is_gap) {
            lines.extend(timeout(PATIENCE, course.next()).await.expect("it is told").unwrap());
        }
        assert!(is_gap(&lines[before]), "{loss}");
        happens(&mut *store, 1);
        hand_on(&*store, &feed.registry, &mut next).unwrap();
        let wanted = ground.told(lines[before].cursor, Some(1));
        while lines.len() <= before + wanted.len() {
            lines.extend(timeout(PATIENCE, course.next()).await.expect("more").unwrap());
        }
        assert_eq!(cursors(&lines)[before + 1..], wanted, "{loss}");
    }
}

#[tokio::test]
async fn without_the_feed_it_is_over_for_whoever_watches() {
    let ground = Ground::new(1);
    let feed = Feed::start(ground.store()).unwrap();
    let (mut one, mut all) = (feed.watch(Some(1)), feed.watch(None));
    drop(feed);
    for live in [&mut one, &mut all] {
        let ended = async { while !matches!(live.next().await, Err(RecvError::Closed)) {} };
        timeout(PATIENCE, ended).await.expect("the thread ends");
        assert!(timeout(Duration::from_millis(20), live.stirs()).await.is_err(), "nothing happens any more");
    }
}

/// Nothing is told of what is not meant; but the events between are not kept for ever.
#[tokio::test]
async fn a_stream_says_how_far_it_is_also_while_nothing_is_told() {
    let ground = Ground::new(3);
    let (feed, from) = (Feed::default(), Cursor::default());
    let filter = EventFilter { channel: Some("chat".into()), ..EventFilter::default() };
    let begun = Course::begin(&ground.readers, &feed, Some(from), filter, Sight::Whole).await;
    let (mut course, ready) = begun.unwrap_or_else(|_| panic!("it begins"));
    let end = ground.store().cursor(None).unwrap();
    while course.reached() != end {
        assert!(timeout(Duration::from_millis(20), course.next()).await.is_err(), "nothing is meant");
    }
    let (writer, mut told) = mpsc::channel(1);
    let never = CancellationToken::new();
    let (stopping, hang_up, refused) = (never.clone(), never, std::future::pending());
    tokio::time::pause();
    tokio::spawn(stream::tell(writer, course, ready, stopping, refused, hang_up));
    assert_eq!(told.recv().await.unwrap(), format!("retry: 1000\nid: {from}\n\n"));
    assert_eq!(told.recv().await.unwrap(), format!("id: {end}\n\n"));
}
