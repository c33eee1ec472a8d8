//! The desk before a real store, whose thread is kept from working until all that is to wait is there.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::clock::SystemClock;
use crate::model::{Content, Id, NewNotification, Rate};
use crate::store::{self, Access, Claim, Handle, Options, Reader};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

struct Desks {
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
    store: Handle,
    worker: Id,
}

async fn start() -> Desks {
    start_by(Arc::new(SystemClock), Duration::from_millis(200)).await
}

async fn start_by(clock: Arc<dyn Clock>, busy_timeout: Duration) -> Desks {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n.db");
    let url = format!("sqlite://{}", path.display()).parse().unwrap();
    let options = Options { url, busy_timeout };
    let opened = store::open(&options, Access::Create, NOW).unwrap();
    let (store, _) = Handle::start(opened, clock).unwrap();
    let worker = store.call(|store| store.register(NOW, "desk").unwrap().id()).await.unwrap();
    Desks { _folder: folder, path, store, worker }
}

impl Desks {
    /// Keeps the thread from working until the answer is dropped.
    fn block(&self) -> mpsc::Sender<()> {
        let (free, blocked) = mpsc::channel::<()>();
        let (begins, begun) = mpsc::channel();
        let call = move |_: &mut dyn Store| {
            begins.send(()).unwrap();
            _ = blocked.recv();
        };
        self.store.try_call(call).unwrap();
        begun.recv().unwrap();
        free
    }

    fn put(&self, portion: Portion) -> oneshot::Receiver<Result<Taken>> {
        let (answer, answered) = oneshot::channel();
        self.store.desk().put(portion, answer).unwrap();
        answered
    }

    /// An exchange that claims all there is, on its way.
    async fn claim(&self) -> oneshot::Receiver<(Exchange, Result<Exchanged>)> {
        self.claim_by(Vec::new()).await
    }

    async fn claim_by(&self, rates: Vec<Rate>) -> oneshot::Receiver<(Exchange, Result<Exchanged>)> {
        let claim = Claim {
            channel: "mail".into(),
            limit: 10_000,
            rates,
            lease: Duration::from_secs(60),
            lease_token: 1,
        };
        let exchange = Exchange { worker: self.worker, claim: vec![claim], ..Exchange::default() };
        let (answer, answered) = oneshot::channel();
        self.store.desk().put_exchange(exchange, answer).await.unwrap();
        answered
    }
}

fn portion(count: usize) -> Portion {
    let content = Content { recipient: "a@example.org".into(), message: "m".into(), ..Content::default() };
    let new = NewNotification { channel: "mail".into(), content, ..NewNotification::default() };
    Portion { new: vec![new; count], key_expires_at: NOW, ..Portion::default() }
}

fn accepted(store: &mut dyn Store) -> u64 {
    let reader: &dyn Reader = store;
    reader.counts().unwrap().channels.get("mail").map_or(0, |counts| counts.accepted)
}

fn claimed(answer: (Exchange, Result<Exchanged>)) -> usize {
    answer.1.unwrap().claims.iter().map(|reply| reply.claimed.len()).sum()
}

#[tokio::test]
async fn what_waits_goes_together_and_others_have_their_turn_between_two_rounds() {
    let desks = start().await;
    let free = desks.block();
    let answers: Vec<_> = (0..=TOGETHER).map(|_| desks.put(portion(1))).collect();
    let between = tokio::spawn({
        let store = desks.store.clone();
        async move { store.call(accepted).await.unwrap() }
    });
    tokio::task::yield_now().await;
    drop(free);
    assert_eq!(between.await.unwrap(), TOGETHER as u64);
    for answered in answers {
        assert!(matches!(answered.await.unwrap().unwrap(), Taken::Whole { .. }));
    }
    // Whoever comes when nobody waits any more finds somebody to come for them, too.
    desks.store.enqueue(portion(1)).await.unwrap().unwrap();
    assert_eq!(desks.store.call(accepted).await.unwrap(), TOGETHER as u64 + 2);
}

#[tokio::test]
async fn others_have_their_turn_though_so_many_wait_that_nobody_can_ask_for_the_next_round() {
    const POSTS: usize = 100;
    let desks = start().await;
    // Behind each round somebody else waits already.
    let (desk, left) = (Arc::downgrade(desks.store.desk()), AtomicUsize::new(POSTS));
    desks.store.listen(move || {
        if left.fetch_sub(1, Relaxed) > 1 {
            desk.upgrade().unwrap().put(portion(1), oneshot::channel().0).unwrap();
        }
    });
    let free = desks.block();
    let _answered = desks.put(portion(1));
    let (tell, told) = mpsc::channel();
    let call = move |store: &mut dyn Store| _ = tell.send(accepted(store));
    while desks.store.try_call(call.clone()) != Err(Refused::Full) {}
    // Who comes now waits for the first one to go.
    let last = tokio::spawn({
        let store = desks.store.clone();
        async move { store.call(call).await.unwrap() }
    });
    tokio::task::yield_now().await;
    drop(free);
    last.await.unwrap();
    assert!(told.recv().unwrap() < POSTS as u64 / 2);
}

#[tokio::test]
async fn an_exchange_goes_with_what_is_accepted_and_claims_it_at_once() {
    let desks = start().await;
    for (requests, of_each, found) in [(3, 2, 6), (1, TOGETHER + 1, 0), (0, 0, TOGETHER + 1)] {
        let free = desks.block();
        let answers: Vec<_> = (0..requests).map(|_| desks.put(portion(of_each))).collect();
        let exchanged = desks.claim().await;
        drop(free);
        assert_eq!(claimed(exchanged.await.unwrap()), found, "a long one is not waited for");
        for answered in answers {
            answered.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn what_keeps_the_one_from_the_disk_does_not_keep_the_other() {
    for (refused, works) in [("BEFORE UPDATE", (true, false)), ("BEFORE INSERT", (false, true))] {
        let desks = start().await;
        desks.store.enqueue(portion(1)).await.unwrap().unwrap();
        let trigger = format!(
            "CREATE TRIGGER t {refused} ON notifications BEGIN SELECT RAISE(ABORT, 'on purpose'); END"
        );
        rusqlite::Connection::open(&desks.path).unwrap().execute_batch(&trigger).unwrap();
        let free = desks.block();
        let answered = desks.put(portion(1));
        let exchanged = desks.claim().await;
        drop(free);
        let (_, exchanged) = exchanged.await.unwrap();
        assert_eq!((answered.await.unwrap().is_ok(), exchanged.is_ok()), works, "{refused}");
    }
}

#[tokio::test]
async fn others_who_write_are_waited_for_once() {
    let desks = start().await;
    let other = rusqlite::Connection::open(&desks.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let free = desks.block();
    let answered = desks.put(portion(1));
    let exchanged = desks.claim().await;
    drop(free);
    let (_, exchanged) = exchanged.await.unwrap();
    // From here on it would succeed.
    other.execute_batch("ROLLBACK").unwrap();
    let both = [exchanged.map(drop), answered.await.unwrap().map(drop)];
    assert!(
        both.iter().all(|one| one.as_ref().is_err_and(|error| error.kind == ErrorKind::Busy)),
        "{both:?}"
    );
}

#[tokio::test]
async fn behind_a_long_round_those_who_were_answered_are_waited_for() {
    const MANY: usize = 1_000;
    let desks = start().await;
    // On a busy machine whoever asks again may come too late.
    for _ in 0..50 {
        desks.store.enqueue(portion(MANY)).await.unwrap().unwrap();
        let exchanged = desks.claim().await;
        std::thread::sleep(Duration::from_millis(1));
        let answered = desks.put(portion(1));
        let found = claimed(exchanged.await.unwrap());
        answered.await.unwrap().unwrap();
        if found == MANY + 1 {
            return;
        }
        desks.claim().await.await.unwrap().1.unwrap();
    }
    panic!("nobody was waited for");
}

#[tokio::test]
async fn who_listens_hears_of_what_is_accepted_and_of_nothing_else() {
    let desks = start().await;
    let (bell, rung) = mpsc::channel();
    desks.store.listen(move || _ = bell.send(()));
    desks.claim().await.await.unwrap().1.unwrap();
    desks.store.call(|_| ()).await.unwrap();
    assert!(rung.try_recv().is_err());
    desks.store.enqueue(portion(1)).await.unwrap().unwrap();
    desks.store.call(|_| ()).await.unwrap();
    assert!(rung.try_recv().is_ok());
}

#[tokio::test]
async fn where_too_much_waits_one_more_is_refused_and_the_next_is_taken() {
    let desks = start().await;
    let free = desks.block();
    while desks.store.try_call(|_| ()) != Err(Refused::Full) {}
    let refused = desks.store.enqueue(portion(1)).await;
    assert_eq!(refused.unwrap_err(), Refused::Full, "nobody would come for it");
    drop(free);
    desks.store.call(|_| ()).await.unwrap();
    desks.store.enqueue(portion(1)).await.unwrap().unwrap();
    let free = desks.block();
    let answers: Vec<_> = (0..QUEUE).map(|_| desks.put(portion(1))).collect();
    assert_eq!(desks.store.enqueue(portion(1)).await.unwrap_err(), Refused::Full);
    drop(free);
    for answered in answers {
        answered.await.unwrap().unwrap();
    }
    assert_eq!(desks.store.call(accepted).await.unwrap(), QUEUE as u64 + 1);
}

/// A clock that stands still until it is moved.
#[derive(Default)]
struct Moved {
    by: AtomicI64,
    looks: AtomicUsize,
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        self.looks.fetch_add(1, Relaxed);
        Timestamp(NOW.0 + self.by.load(Relaxed))
    }
}

#[tokio::test]
async fn what_is_done_alone_after_a_long_wait_takes_no_clock_for_set_back() {
    let clock = Arc::new(Moved::default());
    let desks = start_by(Arc::clone(&clock) as Arc<dyn Clock>, Duration::from_secs(60)).await;
    let rates = vec!["1/1h".parse().unwrap()];
    desks.store.enqueue(portion(1)).await.unwrap().unwrap();
    assert_eq!(claimed(desks.claim_by(rates.clone()).await.await.unwrap()), 1);
    let other = rusqlite::Connection::open(&desks.path).unwrap();
    let window =
        || -> String { other.query_row("SELECT entries FROM rate_windows", [], |row| row.get(0)).unwrap() };
    let before = window();
    let abort =
        "CREATE TRIGGER t BEFORE INSERT ON notifications BEGIN SELECT RAISE(ABORT, 'on purpose'); END";
    other.execute_batch(abort).unwrap();
    // Somebody writes for a quarter of a minute, and leaves what any exchange leaves.
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let free = desks.block();
    let answered = desks.put(portion(1));
    let exchanged = desks.claim_by(rates).await;
    let looks = clock.looks.load(Relaxed);
    drop(free);
    let deadline = Instant::now() + Duration::from_secs(10);
    while clock.looks.load(Relaxed) == looks {
        assert!(Instant::now() < deadline, "nobody begins a round");
        tokio::task::yield_now().await;
    }
    clock.by.store(14_000, Relaxed);
    other.execute("UPDATE channels SET seen_at = ?1", [clock.now().0]).unwrap();
    other.execute_batch("COMMIT").unwrap();
    assert!(answered.await.unwrap().is_err());
    let (exchange, exchanged) = exchanged.await.unwrap();
    exchanged.unwrap();
    assert_eq!(window(), before, "no clock was set back");
    assert_eq!(exchange.now, NOW.plus(Duration::from_secs(14)));
}
