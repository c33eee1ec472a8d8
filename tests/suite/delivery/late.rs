//! What comes late: the right time.

use std::time::Duration;

use notifyctl::model::{Reason, Verdict};

use super::rig::{Rig, Scripted, lane};

/// A machine without a battery begins with an old clock, and is told the time a minute later.
#[test]
fn what_was_deferred_while_the_clock_was_behind_is_not_given_up_a_minute_later() {
    let (rig, month) = (Rig::new(), Duration::from_secs(30 * 86_400));
    let down = Scripted::answering(Verdict::channel_trouble(Reason::Unreachable, "refused"));
    rig.enqueue("a", 1);
    rig.set_back(month);
    assert_eq!(rig.pass(vec![lane("a", &down)]).total.deferred, 1);
    rig.pass_time(month + Duration::from_secs(60));
    let tally = rig.pass(vec![lane("a", &down)]);
    assert_eq!((tally.total.deferred, tally.total.dead), (1, 0), "a minute after it was enqueued");
}
