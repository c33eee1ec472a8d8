//! Which program is meant, and what its environment may hold; said once, when the channel is built.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use secrecy::{ExposeSecret, SecretString};

/// The program's absolute path, and its arguments.
///
/// An absolute path need not exist yet: a program that is being replaced is missing for a moment.
///
/// # Errors
/// What is wrong with the command, in words for people.
pub fn find(command: &[String], path: &str) -> Result<(PathBuf, Vec<String>), String> {
    let (program, arguments) = match command.split_first() {
        Some((program, arguments)) if !program.is_empty() => (program, arguments),
        _ => {
            return Err(
                "is empty; name a program and its arguments, as in [\"/usr/bin/logger\", \"-t\", \"x\"]"
                    .into(),
            );
        }
    };
    if command.iter().any(|word| word.contains('\0')) {
        return Err("holds a NUL character".into());
    }
    let program = if program.starts_with('/') {
        PathBuf::from(program)
    } else if program.contains('/') {
        return Err(format!("`{program}` is a relative path; write it from the `/` on"));
    } else {
        look_up(program, path).ok_or_else(|| format!("there is no program `{program}` in {path}"))?
    };
    Ok((program, arguments.to_vec()))
}

fn look_up(program: &str, path: &str) -> Option<PathBuf> {
    // An empty or a relative part would mean wherever we happen to be.
    let folders = path.split(':').map(Path::new).filter(|folder| folder.is_absolute());
    folders
        .map(|folder| folder.join(program))
        .find(|file| file.is_file() && access(file, Access::EXEC_OK).is_ok())
}

/// # Errors
/// What the environment cannot hold, in words for people; never a value.
pub fn check_env(env: &BTreeMap<String, SecretString>) -> Result<(), String> {
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(format!("`{}` is not the name of a variable", name.escape_debug()));
        }
        if name.starts_with("NOTIFYCTL_") {
            return Err(format!("`{name}` is notifyctl's to set; take another name"));
        }
        if value.expose_secret().contains('\0') {
            return Err(format!("the value of `{name}` holds a NUL character"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(command: &[&str], path: &str) -> Result<(PathBuf, Vec<String>), String> {
        find(&command.iter().map(|&word| word.to_owned()).collect::<Vec<_>>(), path)
    }

    #[test]
    fn a_bare_name_is_looked_up_and_a_path_is_taken_as_it_is() {
        let program = |command: &[&str], path| found(command, path).map(|found| found.0);
        assert_eq!(program(&["sh", "-c", "x"], "/nonexistent:/bin"), Ok("/bin/sh".into()));
        assert_eq!(program(&["/not/yet/there"], "/bin"), Ok("/not/yet/there".into()));
        assert_eq!(found(&["sh", "-c", "$(x) `y`"], "/bin").unwrap().1, ["-c", "$(x) `y`"]);
    }

    #[test]
    fn what_cannot_be_a_program_is_refused() {
        for (command, path, said) in [
            (&[][..], "/bin", "is empty"),
            (&[""], "/bin", "is empty"),
            (&["./sh"], "/bin", "relative path"),
            (&["bin/sh"], "/", "relative path"),
            (&["sh"], ".:bin:", "no program `sh`"),
            (&["passwd"], "/etc", "no program"),
            (&["ssl"], "/etc", "no program"),
            (&["sh", "a\0b"], "/bin", "NUL"),
        ] {
            let error = found(command, path).unwrap_err();
            assert!(error.contains(said), "{command:?} {error}");
        }
    }

    #[test]
    fn an_environment_that_cannot_be_is_refused_without_its_values() {
        for (name, value) in
            [("", "hunter2"), ("A=B", "hunter2"), ("A", "hunter2\0"), ("NOTIFYCTL_ID", "hunter2")]
        {
            let error = check_env(&[(name.to_owned(), value.into())].into()).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
