//! What the log is told, and how loudly.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

use log::{Level, LevelFilter, Log, Metadata, Record};
use notifyctl::delivery::{LOG_TARGET, Until};
use notifyctl::model::{Reason, Verdict};

use super::rig::{Rig, Scripted, frozen, lane};

thread_local! {
    /// The levels of what was logged of attempts on this thread: an engine of the rig runs on its test's own.
    static HEARD: RefCell<Vec<Level>> = const { RefCell::new(Vec::new()) };
}

struct Ear;

impl Log for Ear {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == LOG_TARGET
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) && record.args().to_string() == "attempt" {
            HEARD.with_borrow_mut(|heard| heard.push(record.level()));
        }
    }

    fn flush(&self) {}
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Ear).expect("nobody else listens");
        log::set_max_level(LevelFilter::Info);
    });
}

/// The default level shows warnings alone: a daemon that told of a channel's first trouble only would hide all that follow.
#[test]
fn trouble_of_a_channel_is_told_once_and_anew_when_it_had_none_for_hours() {
    listen();
    let mut rig = Rig::new();
    (rig.until, rig.hangs_after) = (Until::Shutdown, Duration::from_secs(86_400));
    let trouble = || Verdict::channel_trouble(Reason::Unreachable, "refused");
    let verdicts = Mutex::new(VecDeque::from([trouble(), trouble(), Verdict::sent("ok"), trouble()]));
    let channel = Scripted::new(move |_| {
        let next = verdicts.lock().unwrap().pop_front();
        std::future::ready(next.unwrap_or_else(|| Verdict::sent("ok")))
    });
    rig.enqueue("a", 1);
    let mut store = rig.store();
    let worker = store.register(rig.now(), "test:1:1").unwrap();
    let run = rig.deliver(store, worker, vec![lane("a", &channel)]);
    let pass = async |time| {
        rig.pass_time(time);
        tokio::time::advance(time).await;
        std::thread::sleep(Duration::from_millis(1));
    };
    let heard = async |count: usize| {
        let began = Instant::now();
        while HEARD.with_borrow(Vec::len) < count {
            assert!(began.elapsed() < Duration::from_secs(20), "fewer than {count} attempts");
            pass(Duration::from_secs(1)).await;
        }
        HEARD.with_borrow(Clone::clone)
    };
    frozen(async {
        let run = tokio::spawn(run);
        assert_eq!(heard(3).await, [Level::Warn, Level::Info, Level::Info]);
        pass(Duration::from_secs(7_200)).await;
        rig.enqueue("a", 1);
        rig.wake.notify_one();
        assert_eq!(heard(4).await[3], Level::Warn, "trouble again");
        rig.stop.drain.cancel();
        run.await.unwrap().unwrap();
    });
}
