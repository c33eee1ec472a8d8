//! The disk is full while a pass runs and shells enqueue, and some time later it is not.
//!
//! The store lies on a tmpfs of a few mebibytes that is filled to the last page, again and again. New work is refused
//! with 75; what was under way is put on record all the same, in room that the pass had set aside before it began; once
//! there is room again, everything goes on. Nothing is lost, and nothing goes out twice.
//!
//! The control is a pass that is shut out from its log in the middle (by strace) and then ended: what it had delivered
//! and could not put on record must go out twice, and the bench must see it.

mod crowd;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use notifyctl::model::Status;

use self::crowd::{Crowd, Seen, shut_out_pass};
use crate::finding::Finding;
use crate::ground::{Extent, Ground};
use crate::receiver::Receiver;
use crate::support::Sandbox;
use crate::support::small_disk::{self, SmallDisk};

/// The size of the disk: for the short form, and for the whole one, in which more is enqueued.
const DISK: (u64, u64) = (6 << 20, 40 << 20);

/// The longest that the receiver takes for one; so something is always under way.
const SLOWEST: Duration = Duration::from_millis(40);

/// How long a pass of the control has before it is ended.
const BEFORE_ITS_END: Duration = Duration::from_millis(1_500);

/// Longer than a pass bears a store that takes nothing.
const FULL_FOR_LONG: Duration = Duration::from_secs(40);

/// See the module.
pub fn scenario(ground: &Ground) -> Vec<Finding> {
    if !small_disk::may_mount() {
        return vec![in_a_name_space(ground)];
    }
    let mut findings = filled(ground);
    findings.extend(control(ground));
    findings
}

/// A store on the small disk, whose channels tell `receiver`.
fn store_on(disk: &SmallDisk, ground: &Ground, receiver: &Receiver) -> Sandbox {
    let (hook, mail) = (receiver.webhook(), receiver.smtp());
    // What a receiver defers when it is reset must be done with soon.
    let retry = "retry = \"1s*9\"\n";
    ground.sandbox_within(disk.path(), |_: &Path| {
        format!(
            "[defaults]\nchannel = \"hook\"\n[channels.hook]\n{hook}{retry}[channels.mail]\n{mail}{retry}"
        )
    })
}

fn filled(ground: &Ground) -> Vec<Finding> {
    let (disk, receiver) = (SmallDisk::mount(ground.scale(DISK.0, DISK.1)), Receiver::start(SLOWEST));
    let sandbox = store_on(&disk, ground, &receiver);
    let rounds = ground.scale(2, 12);
    let Seen { accepted, refused, unclear, astray, passes, stopped, broken, words } = {
        let crowd = Crowd::start(&sandbox, 3);
        for round in 0..rounds {
            crowd.wait_for([20, 0, 1, 0]);
            disk.fill();
            if round == 0 {
                thread::sleep(ground.scale(Duration::ZERO, FULL_FOR_LONG));
            }
            crowd.wait_for([0, 5, 0, 2]);
            disk.empty();
        }
        crowd.end()
    };
    words.iter().take(5).for_each(|words| println!("disk_full: {words}"));
    drain(&sandbox);
    sandbox.ok(&["db", "check"]);
    let (stored, sent) = (sandbox.accepted(), sandbox.store().counts().expect("count").of(Status::Sent));
    let told = told(&receiver);
    let lacking = accepted.iter().filter(|id| !told.contains_key(*id)).count();
    vec![
        Finding::counted("times the disk was full", rounds),
        Finding::counted("notifications accepted", accepted.len()),
        Finding::at_least("enqueues refused with 75 and \"no space left\"", refused, rounds as u64),
        Finding::none("enqueues that ended otherwise", astray),
        Finding::none("refusals that do not say why", unclear),
        Finding::counted("passes", passes),
        Finding::at_least("passes that a full disk ended, with 75", stopped, 1),
        Finding::none("passes that ended otherwise", broken),
        Finding::none(
            "accepted and not stored, or stored and not accepted",
            stored.abs_diff(accepted.len() as u64),
        ),
        Finding::none("accepted and not delivered", lacking as u64),
        Finding::none("stored and not sent", stored - sent),
        Finding::none("delivered more than once", repeated(&told)),
    ]
}

/// What happens to a pass that finds no room whatever it does.
fn control(ground: &Ground) -> Vec<Finding> {
    let (disk, receiver) = (SmallDisk::mount(ground.scale(DISK.0, DISK.1)), Receiver::start(SLOWEST));
    let sandbox = store_on(&disk, ground, &receiver);
    let rows: String = (0..1_500).map(|n| format!("{{\"to\":\"n{n}\",\"message\":\"m\"}}\n")).collect();
    let output = sandbox.run(&["enqueue", "--batch", "-", "--format", "ndjson"], rows.as_bytes());
    assert!(output.status.success(), "{output:?}");
    for _ in 0..3 {
        let mut pass = shut_out_pass(&sandbox);
        thread::sleep(BEFORE_ITS_END);
        crowd::end_at_once(&mut pass);
    }
    drain(&sandbox);
    vec![Finding::at_least(
        "control, passes shut out from their log: delivered more than once",
        repeated(&told(&receiver)),
        1,
    )]
}

/// Passes until all is settled.
fn drain(sandbox: &Sandbox) {
    for _ in 0..60 {
        let output = sandbox.notifyctl().arg("send-pending").output().expect("run notifyctl");
        let counts = sandbox.store().counts().expect("count");
        if counts.of(Status::Pending) + counts.of(Status::Sending) == 0 {
            return;
        }
        assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
        thread::sleep(Duration::from_millis(250));
    }
    panic!("something is never settled");
}

/// How often each id was delivered.
fn told(receiver: &Receiver) -> BTreeMap<i64, u64> {
    let mut told = BTreeMap::new();
    for arrival in receiver.arrivals() {
        let (id, _) = arrival.stable_id.split_once('-').expect("number and store");
        *told.entry(id.parse().expect("an id")).or_default() += 1;
    }
    told
}

fn repeated(told: &BTreeMap<i64, u64>) -> u64 {
    told.values().map(|times| times - 1).sum()
}

/// Who is not root mounts in a name space of their own, where the scenario runs by itself.
fn in_a_name_space(ground: &Ground) -> Finding {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount"]).arg(std::env::current_exe().expect("this program"));
    command.args(["disk_full", "--seed", &ground.seed().to_string()]);
    if ground.extent() == Extent::Whole {
        command.arg("--whole");
    }
    let status = command.status().expect("unshare, of util-linux");
    Finding::none("not kept in the name space (the table above)", u64::from(!status.success()))
}

/// The ids that a command printed.
fn ids(output: &[u8]) -> BTreeSet<i64> {
    let lines = std::str::from_utf8(output).expect("UTF-8").lines();
    lines.map(|line| line.trim().parse().expect("an id")).collect()
}
