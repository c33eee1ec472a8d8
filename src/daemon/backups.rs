//! Copies of the store on a schedule: when one is due, what it is called, and which ones go.
//!
//! The folder is all that is remembered: the newest copy says when it was made. A copy gets its name when it is whole
//! and synced (`store::Admin::backup`); a leftover of one that was cut short has another, and goes before the next one.

use std::fs::DirBuilder;
use std::io::{self, ErrorKind as Io};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Local, NaiveDateTime};

use super::{Error, LOG_TARGET};
use crate::config::Backup;
use crate::model::Timestamp;
use crate::store::Store;
use crate::units;

/// A copy's name, by its moment in UTC: the names rise with time.
const NAME: &str = "notifyctl-%Y%m%dT%H%M%SZ.db";

/// What a copy that is under way has behind its name; SQLite's own files beside it have more behind that.
const PARTIAL: &str = ".partial";

/// Makes a copy if one is due, and removes those that are too many. Only who has the turn may call it, on a thread that may wait
/// for the disk of the copies.
pub(super) fn keep(store: &dyn Store, backup: &Backup, now: Timestamp) -> Result<(), Error> {
    let failed = |error| Error::Backup { folder: backup.to.clone(), error };
    let found = Found::read(&backup.to).map_err(failed)?;
    if found.next_due(backup, now) > now {
        return Ok(());
    }
    remove(&found.partial).map_err(failed)?;
    DirBuilder::new().recursive(true).mode(0o700).create(&backup.to).map_err(failed)?;
    let to = backup.to.join(name(now));
    store.backup(&to)?;
    log::info!(target: LOG_TARGET, file = to.display().to_string().as_str(); "maintenance: made a backup");
    let found = Found::read(&backup.to).map_err(failed)?;
    remove(&found.too_many(backup.keep, now)).map_err(failed)
}

/// What lies in the folder and is ours.
#[derive(Debug, Default)]
struct Found {
    /// The copies, the oldest first.
    whole: Vec<(Timestamp, PathBuf)>,
    /// What is left of those that were cut short.
    partial: Vec<PathBuf>,
}

impl Found {
    fn read(folder: &Path) -> io::Result<Self> {
        let mut found = Self::default();
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == Io::NotFound => return Ok(found),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if let Some(at) = made_at(name) {
                found.whole.push((at, path));
            } else if name.split_once(PARTIAL).and_then(|(name, _)| made_at(name)).is_some() {
                found.partial.push(path);
            }
        }
        found.whole.sort();
        Ok(found)
    }

    /// Now where there is none. A copy of a moment that lies ahead was made before the clock was set back: it does not say when.
    fn next_due(&self, backup: &Backup, now: Timestamp) -> Timestamp {
        let Some((newest, _)) = self.whole.iter().rfind(|(at, _)| *at <= now) else { return now };
        units::instant(&backup.at.to_string(), *newest, &Local).unwrap_or(now)
    }

    /// Those that go so that `keep` stay: first what was made before the clock was set back, then the oldest.
    fn too_many(mut self, keep: usize, now: Timestamp) -> Vec<PathBuf> {
        self.whole.sort_by_key(|(at, _)| (*at <= now, *at));
        let old = self.whole.len().saturating_sub(keep);
        self.whole.drain(..old).map(|(_, path)| path).collect()
    }
}

fn name(at: Timestamp) -> String {
    DateTime::from_timestamp_millis(at.0).unwrap_or_default().format(NAME).to_string()
}

fn made_at(name: &str) -> Option<Timestamp> {
    let at = NaiveDateTime::parse_from_str(name, NAME).ok()?;
    Some(Timestamp(at.and_utc().timestamp_millis()))
}

fn remove(paths: &[PathBuf]) -> io::Result<()> {
    paths.iter().try_for_each(std::fs::remove_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ours_is_found_and_the_oldest_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Found::read(&folder.path().join("none")).unwrap().whole.is_empty());
        let later = name(Timestamp(1_795_221_000_000));
        let names = [
            &*later,
            "notifyctl-20200101T000000Z.db",
            "notifyctl-20200101T000001Z.db.partial",
            "notifyctl-20200101T000001Z.db.partial-wal",
            "other.db",
            "other.db.partial",
        ];
        names.iter().for_each(|name| std::fs::write(folder.path().join(name), "").unwrap());
        let mut found = Found::read(folder.path()).unwrap();
        let whole: Vec<_> = found
            .whole
            .iter()
            .map(|(at, path)| (at.0, path.file_name().unwrap().to_str().unwrap()))
            .collect();
        assert_eq!(whole, [(1_577_836_800_000, names[1]), (1_795_221_000_000, names[0])]);
        found.partial.sort();
        assert_eq!(found.partial, [folder.path().join(names[2]), folder.path().join(names[3])]);
    }

    #[test]
    fn one_is_due_a_day_after_the_last_and_at_once_without_any() {
        let backup = Backup { to: "/nowhere".into(), at: "02:00".parse().unwrap(), keep: 1 };
        let now = Timestamp(1_795_221_000_000);
        let after = |made: i64| Found { whole: vec![(Timestamp(made), PathBuf::new())], partial: Vec::new() };
        assert_eq!(Found::default().next_due(&backup, now), now);
        assert!(after(now.0 - 2 * 86_400_000).next_due(&backup, now) <= now);
        assert!(after(now.0).next_due(&backup, now) > now);
        assert_eq!(after(now.0 + 86_400_000 * 400).next_due(&backup, now), now, "the clock was set back");
    }

    #[test]
    fn of_those_made_before_the_clock_was_set_back_none_displaces_a_new_one() {
        let now = Timestamp(1_795_221_000_000);
        let copies = [-2, -1, 0, 300, 301]
            .map(|day: i64| (Timestamp(now.0 + day * 86_400_000), PathBuf::from(day.to_string())));
        let gone = |keep| {
            let found = Found { whole: copies.to_vec(), partial: Vec::new() };
            let gone = found.too_many(keep, now);
            gone.iter().map(|path| path.to_str().unwrap().parse().unwrap()).collect::<Vec<i64>>()
        };
        assert_eq!(gone(1), [300, 301, -2, -1]);
        assert_eq!(gone(2), [300, 301, -2]);
        assert_eq!(gone(4), [300]);
        assert!(gone(7).is_empty());
    }
}
