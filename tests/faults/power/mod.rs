//! P1 and P2 when the power fails: only what was synced is certain, and the rest is there in part, torn and in any order.
//!
//! Real commands are recorded by strace, each change that they made to a file or a name and each sync ([`trace`]). The
//! record is played onto a model of a disk ([`disk`] says what it knows and what not). At every moment between two
//! changes the power fails: what was not synced has one of several fates ([`fate`]), the files are rebuilt, the store
//! is opened as by the next command, and all that had been told on standard output by then must be there ([`judge`]).
//!
//! Two controls show that a loss would be seen: the same record on a disk that only says that it has synced, and
//! SQLite without `synchronous=FULL` in a writer of the bench's own ([`writer`]).

mod disk;
mod fate;
mod judge;
mod promise;
mod trace;
mod workload;
pub mod writer;

pub use self::judge::{Rows, rows};

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use self::disk::Disk;
use self::fate::Fate;
use self::judge::{Found, Judge};
use self::promise::Promised;
use self::trace::Event;
use self::workload::{OLD_SAMPLE, SAMPLE, Step, Workload, config};
use crate::finding::Finding;
use crate::folder;
use crate::ground::Ground;

/// Of how many states one is gone on with by a pass.
const PASS_AFTER: usize = 40;

/// How closely the record is looked at.
#[derive(Clone, Copy)]
struct Grain {
    /// Of how many moments one is looked at.
    stride: usize,
    /// How many fates are tried at each.
    fates: usize,
}

/// What playing a record came to.
struct Played {
    found: Found,
    cuts: usize,
    told: usize,
    /// Files that the model holds otherwise than the real disk in the end.
    differ: Vec<PathBuf>,
}

/// See the module.
pub fn scenario(ground: &Ground) -> Vec<Finding> {
    let recorded = ground.sandbox(config);
    std::fs::write(recorded.path().join(SAMPLE), OLD_SAMPLE).expect("write the old sample");
    let (disk, lying) = (Disk::of(recorded.path()), Disk::lying(recorded.path()));
    let mut workload = Workload::new(&recorded);
    workload.run(ground.scale(1, 2));
    let Workload { steps, commands, .. } = workload;

    let rebuilt = ground.sandbox_within(&memory(), config);
    let mut random = ground.random();
    let grain = ground.scale(Grain { stride: 6, fates: 2 }, Grain { stride: 1, fates: 8 });
    let played = play(disk, &steps, Judge::new(&rebuilt), grain, recorded.path(), &mut random);
    let grain = ground.scale(Grain { stride: 60, fates: 2 }, Grain { stride: 20, fates: 3 });
    let lied = play(lying, &steps, Judge::new(&rebuilt).quiet(), grain, recorded.path(), &mut random);

    let Found { states, passes, lost, unsound, unbacked, unclaimed, torn, stuck, repeated } = played.found;
    let mut findings = vec![
        Finding::counted("commands recorded", commands),
        Finding::counted("moments at which the power failed", played.cuts),
        Finding::at_least("states rebuilt and opened", states, ground.scale(300, 5_000)),
        Finding::counted("notifications acknowledged", played.told),
        Finding::none("states that lost something acknowledged", lost),
        Finding::none("states that a check found unsound", unsound),
        Finding::none("states with something sent that nobody has", unbacked),
        Finding::none("states with something delivered that is not on record", unclaimed),
        Finding::none("states with a copy or a configuration that is not whole", torn),
        Finding::at_least("passes run on states afterwards", passes, ground.scale(5, 100)),
        Finding::none("of these, failed or left something behind", stuck),
        Finding::none("sent again without having been in flight", repeated),
        Finding::none("files that the model and the disk hold otherwise", played.differ.len() as u64),
        Finding::at_least("control, a disk that lies: states that lost something", lied.found.lost, 1),
    ];
    findings.extend(writer::controls(ground, &mut random));
    findings
}

/// Plays `steps` onto `disk`, and lets the power fail again and again.
fn play(
    mut disk: Disk,
    steps: &[Step],
    mut judge: Judge<'_>,
    grain: Grain,
    recorded: &Path,
    random: &mut fastrand::Rng,
) -> Played {
    let (mut promised, mut seen) = (Promised::default(), HashSet::new());
    let (mut cuts, mut moments) = (0, 0);
    for step in steps {
        match step {
            Step::Promised(promise) => promise(&mut promised),
            Step::Did(Event::Told(output)) => promised.told(output),
            Step::Did(event) => disk.take(event),
        }
        moments += 1;
        // What is told is looked at before anything more is changed.
        if moments % grain.stride != 0 && !matches!(step, Step::Did(Event::Told(_))) {
            continue;
        }
        cuts += 1;
        let fates = if disk.pending() == 0 { 1 } else { grain.fates };
        for nth in 0..fates {
            let mut fate = Fate::nth(nth, disk.clock(), disk.pending(), random.u64(..));
            let mut content = disk.after_power_cut(&mut fate);
            leave_index(&mut content, fate.random());
            if seen.insert(fingerprint(&(&content, &promised))) {
                let mail = seen.len() % PASS_AFTER == 0;
                judge.judge(&content, &promised, mail, &format!("moment {moments}, {fate}"));
            }
        }
    }
    let everything = disk.after_power_cut(&mut Fate::nth(3, disk.clock(), 0, 0));
    let real = folder::read(recorded);
    let mut differ: Vec<_> = everything.keys().chain(real.keys()).cloned().collect();
    differ.retain(|path| everything.get(path) != real.get(path) && !is_index(path));
    Played { found: judge.found, cuts, told: promised.accepted.len(), differ }
}

/// The index of the log lives in memory that processes share: what of it reached the disk is of no account.
fn leave_index(content: &mut folder::Content, random: &mut fastrand::Rng) {
    for (_, bytes) in content.iter_mut().filter(|(path, _)| is_index(path)) {
        *bytes = Some((0..32 << 10).map(|_| random.u8(..)).collect());
    }
    if random.bool() {
        content.retain(|path, _| !is_index(path));
    }
}

fn is_index(path: &Path) -> bool {
    path.to_string_lossy().ends_with("-shm")
}

fn fingerprint(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// A disk in memory where there is one: thousands of states need no real syncs.
pub fn memory() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}
