//! `notifyctl db`: Check, back up, measure and migrate the store.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use super::face::{Paint, bytes, count, one_line};
use super::output::say;
use super::table::{Column, Table};
use super::{Context, Error, Exit};
use crate::model::Status;
use crate::store::{self, Access, Counts, ErrorKind, Finding};
use crate::wire;

/// Check, back up, measure and migrate the store
#[derive(Debug, clap::Args)]
pub struct DbArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Prove that nothing is lost and the file is sound
    ///
    /// Accepted = pending + held + sending + sent + dead + expired + cancelled + purged, for every channel
    /// and batch; and the file's own integrity.
    ///
    /// Where only counters are wrong (somebody has changed a row by hand), --repair puts them right. Whatever is
    /// missing stays missing: keep what was found.
    #[command(
        after_help = "Exit codes: 0 when all is well, or is now; 1 with findings that are left; 66 when there is no store."
    )]
    Check {
        /// Count anew what counters are wrong about; others wait meanwhile
        #[arg(long)]
        repair: bool,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a consistent copy to a new file, while the queue is in use
    ///
    /// Until it is whole, checked and synced it is called FILE.partial; what a backup that was killed has left there goes
    /// with the next one to the same FILE.
    #[command(after_help = "Exit codes: 0; 73 when the file exists or cannot be made.")]
    Backup {
        /// The copy; must not exist yet
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Show rows and bytes per table
    Stats {
        /// Write JSON, one object a line
        #[arg(long)]
        json: bool,
    },
    /// Bring the store to this version's schema, and make it when it is missing
    ///
    /// Every command that writes does so by itself; this one does it at a moment of your choice.
    Migrate,
}

/// What `--repair` puts right.
const COUNTED: [&str; 4] = ["accounting", "counters", "batches", "channels"];

/// Runs it.
pub fn run(context: &mut Context, args: DbArgs) -> Result<Exit, Error> {
    match args.command {
        Command::Check { repair, json } => check(context, repair, json),
        Command::Backup { file } => backup(context, &file),
        Command::Stats { json } => stats(context, json),
        Command::Migrate => migrate(context),
    }
}

fn check(context: &mut Context, repair: bool, json: bool) -> Result<Exit, Error> {
    let store = context.store(Access::Read)?;
    let (mut findings, mut repaired) = (store.check()?, Vec::new());
    if repair && findings.iter().any(|finding| finding.check == "integrity") {
        say("not repaired: the file itself is damaged");
    } else if repair && findings.iter().any(|finding| COUNTED.contains(&finding.check)) {
        context.store(Access::Existing)?.recount()?;
        let left = store.check()?;
        (repaired, findings) = (findings, left);
        repaired.retain(|finding| !findings.contains(finding));
    }
    let exit = if findings.is_empty() { Exit::Ok } else { Exit::Negative };
    // A store that is unsound may not be able to count.
    let counts = match (store.counts(), findings.is_empty()) {
        (Err(_), false) => Counts::default(),
        (counts, _) => counts?,
    };
    let shape = check_shape(&repaired, &findings, &counts);
    if json {
        context.out.json(&shape)?;
        return Ok(exit);
    }
    for finding in &shape.repaired {
        context.out.line(format_args!("repaired: {}: {}", finding.check, one_line(&finding.what)))?;
    }
    for finding in &shape.findings {
        context.out.line(format_args!("{}: {}", finding.check, one_line(&finding.what)))?;
    }
    if shape.ok {
        let parts = Status::ALL.map(|status| format!("{} {status}", count(shape.counts.of(status))));
        let (accepted, purged) = (count(shape.accepted), count(shape.purged));
        context
            .out
            .line(format_args!("ok: accepted {accepted} = {} + {purged} purged", parts.join(" + ")))?;
    } else {
        context.out.flush()?;
        say(match repair || findings.iter().any(|finding| !COUNTED.contains(&finding.check)) {
            true => "the store is not as it must be; keep a copy of it, restore a backup, and report this",
            false => {
                "counters are wrong and nothing else: keep a copy of the store (`notifyctl db backup FILE`) and report \
                 this; `notifyctl db check --repair` counts anew"
            }
        });
    }
    Ok(exit)
}

fn check_shape(repaired: &[Finding], findings: &[Finding], counts: &Counts) -> wire::Check {
    let shape = |finding: &Finding| wire::Finding { check: finding.check, what: finding.what.clone() };
    let mut shape = wire::Check {
        ok: findings.is_empty(),
        repaired: repaired.iter().map(shape).collect(),
        findings: findings.iter().map(shape).collect(),
        accepted: 0,
        purged: 0,
        counts: wire::Counts::default(),
    };
    for channel in counts.channels.values() {
        shape.accepted += channel.accepted;
        shape.purged += channel.purged;
        shape.counts.add(&wire::Counts(channel.statuses));
    }
    shape
}

fn backup(context: &mut Context, file: &Path) -> Result<Exit, Error> {
    if file == Path::new("-") {
        return Err(Error::new(Exit::Usage, "a backup is written to a file, not to standard output")
            .hint("name a file, and copy that; `./-` is one of that name"));
    }
    let store = context.store(Access::Read)?;
    store.backup(file).map_err(|error| not_written(file, error))?;
    // Where nobody looks, as in a crontab, what went well is not worth a mail.
    if std::io::stderr().is_terminal() {
        let size = std::fs::metadata(file).map(|meta| bytes(meta.len())).unwrap_or_default();
        say(format_args!("wrote {} ({size})", one_line(&file.display().to_string())));
    }
    Ok(Exit::Ok)
}

/// Of the copy, whose trouble has other cures than the store's.
fn not_written(file: &Path, error: store::Error) -> Error {
    // What it is called while it is made begins with its name.
    if !error.path.as_os_str().as_encoded_bytes().starts_with(file.as_os_str().as_encoded_bytes()) {
        return error.into();
    }
    let (exit, hint) = match error.kind {
        ErrorKind::Missing => (Exit::CantCreate, "make its folder first"),
        ErrorKind::Exists if error.path != file => (
            Exit::CantCreate,
            "another backup to the same file is being made; or the file is not a copy's, then move it away",
        ),
        ErrorKind::Full => (Exit::TempFail, "make room on that file system, or name a file on another one"),
        ErrorKind::ReadOnly => {
            (Exit::CantCreate, "name a file elsewhere, or remount that file system for writing")
        }
        ErrorKind::Permission => (Exit::NoPerm, "name a file in a folder in which you may write"),
        ErrorKind::Io => (Exit::IoErr, "look at the disk of the copy (dmesg), or name a file on another one"),
        _ => return error.into(),
    };
    Error::new(exit, error.to_string()).hint(hint)
}

const COLUMNS: [Column; 4] =
    [Column::word("table or index"), Column::number("rows"), Column::number("size"), Column::number("bytes")];

/// What a narrow terminal does without, by place.
const SPARE: [usize; 2] = [3, 1];

fn stats(context: &mut Context, json: bool) -> Result<Exit, Error> {
    let store = context.store(Access::Read)?;
    let stats = store.stats()?;
    if json {
        for row in stats {
            let shape = wire::TableStats { name: row.name, rows: row.rows, bytes: row.bytes };
            context.out.json(&shape)?;
        }
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(context.out.face(context.now()), &COLUMNS);
    for row in &stats {
        table.row([
            (Paint::Plain, row.name.clone()),
            (Paint::Plain, row.rows.map(count).unwrap_or_default()),
            (Paint::Plain, bytes(row.bytes)),
            (Paint::Dim, count(row.bytes)),
        ]);
    }
    table.fit(&SPARE).lines().try_for_each(|line| context.out.line(line))?;
    Ok(Exit::Ok)
}

fn migrate(context: &mut Context) -> Result<Exit, Error> {
    let now = context.now();
    let before =
        store::open(&context.config()?.store, Access::Read, now).map(drop).map_err(|error| error.kind);
    let version = context.store(Access::Create)?.identity()?.schema_version;
    context.out.line(match before {
        Ok(()) => format!("schema version {version}: nothing to do"),
        Err(ErrorKind::Older) => format!("migrated to schema version {version}"),
        Err(_) => format!("made a store with schema version {version}"),
    })?;
    Ok(Exit::Ok)
}
