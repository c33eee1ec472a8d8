//! Who lives: what the workers' files say for people, of those whose lock is held.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind as Io};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::worker::{CARD, CARD_AT, Head, folder};
use crate::model::{Id, Timestamp};
use crate::store::LiveWorker;

/// The live workers of the store at `database`, the oldest process first. A process that took a new configuration
/// has two for a while, and counts once.
pub(super) fn workers(database: &Path) -> io::Result<Vec<LiveWorker>> {
    let entries = match std::fs::read_dir(folder(database)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == Io::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found: BTreeMap<String, LiveWorker> = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        let Some(id) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // One that has ended meanwhile.
        let Ok(file) = File::open(&path) else { continue };
        let Some(worker) = live(id, &file)? else { continue };
        let process = worker.name.rsplit_once(':').map_or(&*worker.name, |(process, _)| process).to_owned();
        match found.get(&process) {
            Some(newer) if newer.id > id => {}
            _ => drop(found.insert(process, worker)),
        }
    }
    let mut workers: Vec<_> = found.into_values().collect();
    workers.sort_by_key(|worker| (worker.since, worker.id));
    Ok(workers)
}

/// One worker; `None` when it is dead, or has yet to say who it is.
fn live(id: Id, file: &File) -> io::Result<Option<LiveWorker>> {
    match file.try_lock_shared() {
        Ok(()) => return Ok(None),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let head = Head::read(file);
    let mut card = vec![0; CARD];
    if file.read_exact_at(&mut card, CARD_AT).is_err() {
        return Ok(None);
    }
    let card = String::from_utf8_lossy(&card);
    let mut lines = card.lines();
    let (Some(name), Some(roles), Some(Ok(since))) =
        (lines.next(), lines.next(), lines.next().map(str::parse))
    else {
        return Ok(None);
    };
    Ok(Some(LiveWorker {
        id,
        name: name.to_owned(),
        roles: roles.split(", ").map(str::to_owned).collect(),
        since: Timestamp(since),
        silent: head.silent(),
        hangs: !head.lease.is_zero() && head.silent() > head.lease,
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::worker::LocalWorker;
    use super::*;
    use crate::store::Worker;

    #[test]
    fn who_lives_and_has_said_so_is_seen_once_with_what_it_does() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("n.db");
        assert_eq!(workers(&database).unwrap(), []);
        let begin = |now, name| LocalWorker::new(&database, Timestamp(now), name).unwrap();
        let silent = begin(1, "here:1:1");
        let before = begin(2, "here:2:2");
        before.announce("sender", Timestamp(2_000)).unwrap();
        let after = begin(3, "here:2:3");
        after.announce("sender, maintenance", Timestamp(2_000)).unwrap();
        let pass = begin(4, "here:4:4");
        pass.announce(LiveWorker::PASS, Timestamp(4_000)).unwrap();
        pass.beat(Duration::from_millis(1)).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        let found = workers(&database).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|one| (one.id, one.roles.join("+"), one.since.0, one.sends(), one.hangs))
            .collect();
        assert_eq!(
            told,
            [
                (after.id(), "sender+maintenance".to_owned(), 2_000, true, false),
                (pass.id(), "pass".to_owned(), 4_000, true, true)
            ]
        );
        drop((silent, before, after, pass));
        assert_eq!(workers(&database).unwrap(), []);
    }
}
