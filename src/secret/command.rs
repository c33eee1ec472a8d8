//! A secret that a program prints, in a process group of its own, so that all of it can be ended.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::zeroize::Zeroizing;

use super::{Error, LIMIT};
use crate::clock;

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(5);

/// How many times at the end it is looked whether one is still about to start: for a second.
const PATIENCE: u32 = 200;

/// The programs that run: while one is here, nobody has waited for it, and the number is still its own. None once all were
/// ended, and then no other begins.
///
/// Of the whole process, as its end is: whoever ends it leaves none behind, whichever thread waits for it.
static RUNNING: Mutex<Option<Vec<Pid>>> = Mutex::new(Some(Vec::new()));

fn running() -> MutexGuard<'static, Option<Vec<Pid>>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends all programs that are asked for a secret, with what they have started; for a process that is about to end, as no other
/// one begins in it. One whose start hangs, on a disk that is dead, is not waited for.
pub fn end_all() {
    for _ in 0..PATIENCE {
        // Locked until all are ended: meanwhile nobody waits for one, and no number becomes another one's.
        let mut running = match RUNNING.try_lock() {
            Ok(running) => running,
            Err(TryLockError::Poisoned(running)) => running.into_inner(),
            Err(TryLockError::WouldBlock) => {
                std::thread::sleep(POLL);
                continue;
            }
        };
        for group in running.take().into_iter().flatten() {
            // Gone already, or not: nothing is left to be done about it.
            let _ = kill_process_group(group, Signal::KILL);
        }
        return;
    }
}

pub(super) fn read(argv: &[String], time: Duration) -> Result<Zeroizing<Vec<u8>>, Error> {
    let Some((program, args)) = argv.split_first() else { return Err(Error::NoCommand) };
    let error = |source| Error::Spawn { program: program.clone(), source };
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let (mut running, stdout) = Running::start(command).map_err(error)?;
    match watch(&mut running, stdout, time) {
        Ok(Ended::Exited(status, bytes)) if status.success() => Ok(bytes),
        Ok(Ended::Exited(status, _)) => Err(Error::Failed { program: program.clone(), status }),
        Ok(Ended::TooLong) => Err(Error::TooLong(format!("the command `{program}`"))),
        Ok(Ended::TooSlow) => Err(Error::TooSlow { program: program.clone(), seconds: time.as_secs() }),
        Err(source) => Err(error(source)),
    }
}

enum Ended {
    Exited(ExitStatus, Zeroizing<Vec<u8>>),
    TooLong,
    TooSlow,
}

/// A program that runs. Dropped before it has exited, it is ended, with all that it has started.
struct Running {
    child: Child,
    exited: bool,
}

impl Running {
    fn start(mut command: Command) -> io::Result<(Self, ChildStdout)> {
        // Locked meanwhile: none begins that whoever ends all does not know.
        let mut running = running();
        let groups = running.as_mut().ok_or_else(|| io::Error::other("this process is about to end"))?;
        let mut child = command.spawn()?;
        groups.push(Pid::from_child(&child));
        drop(running);
        let stdout = child.stdout.take();
        let started = Self { child, exited: false };
        Ok((started, stdout.ok_or(io::ErrorKind::BrokenPipe)?))
    }

    fn has_exited(&mut self) -> io::Result<Option<ExitStatus>> {
        let mut running = running();
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.exited = true;
            self.forget(&mut running);
        }
        Ok(status)
    }

    fn forget(&self, running: &mut Option<Vec<Pid>>) {
        let group = Pid::from_child(&self.child);
        running.iter_mut().for_each(|groups| groups.retain(|one| *one != group));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.exited {
            return;
        }
        let mut running = running();
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        self.forget(&mut running);
        // What hangs in the kernel may take long to be gone: nobody else waits for that.
        drop(running);
        let _ = self.child.wait();
    }
}

/// Takes what the program prints until it exits. Does not wait for the end of its output: something that
/// it left running in the background may keep that open for ever.
fn watch(running: &mut Running, mut stdout: ChildStdout, time: Duration) -> io::Result<Ended> {
    rustix::fs::fcntl_setfl(&stdout, OFlags::NONBLOCK)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT + 1));
    let deadline = clock::since_boot() + time;
    loop {
        let exited = running.has_exited()?;
        let room = (LIMIT + 1 - bytes.len()) as u64;
        match (&mut stdout).take(room).read_to_end(&mut bytes) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ if bytes.len() > LIMIT => return Ok(Ended::TooLong),
            _ => {}
        }
        if let Some(status) = exited {
            return Ok(Ended::Exited(status, bytes));
        }
        if clock::since_boot() >= deadline {
            return Ok(Ended::TooSlow);
        }
        std::thread::sleep(POLL);
    }
}
