//! The fuzz targets without a fuzzer: every input that is kept, and some seconds of mutations of them.
//!
//! `tests/fuzz/run` looks further, guided by coverage. `NOTIFYCTL_FUZZ=SECONDS` lengthens what is done here; an
//! input that fails is left in `target/fuzz-found/TARGET` and belongs into `tests/fuzz/corpus/TARGET`.

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bodies::{TARGETS, Target};

/// The longest input that is made here.
const LONGEST: usize = 4_096;

fn corpus(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target.name);
    let mut inputs: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.clone(), std::fs::read(&path).expect("an input")))
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} has no inputs", target.name);
    inputs
}

#[test]
fn every_input_that_was_kept_still_holds() {
    for target in &TARGETS {
        for (path, input) in corpus(target) {
            let held = catch_unwind(|| (target.run)(&input));
            assert!(held.is_ok(), "{}: see above", path.display());
        }
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "how many were tried is shown to whoever asks for it")]
fn mutations_of_what_was_kept_hold() {
    let asked =
        std::env::var("NOTIFYCTL_FUZZ").ok().map(|text| text.parse().expect("NOTIFYCTL_FUZZ: seconds"));
    let each = Duration::from_secs_f64(asked.unwrap_or(4.0) / TARGETS.len() as f64);
    for target in &TARGETS {
        let inputs: Vec<Vec<u8>> = corpus(target).into_iter().map(|(_, input)| input).collect();
        let (until, mut tried) = (Instant::now() + each, 0);
        while Instant::now() < until {
            let input = mutated(&inputs);
            tried += 1;
            if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
                let folder =
                    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz-found").join(target.name);
                std::fs::create_dir_all(&folder).expect("a folder");
                let file = folder.join(format!("{:016x}", fastrand::u64(..)));
                std::fs::write(&file, &input).expect("keep it");
                panic!("{} after {tried}: {} fails; see above", target.name, file.display());
            }
        }
        println!("{}: {tried}", target.name);
    }
}

/// One of `inputs`, changed in a few places: bits, bytes, ranges, and pieces of the others.
fn mutated(inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut input = fastrand::choice(inputs).expect("inputs").clone();
    for _ in 0..fastrand::usize(1..6) {
        let at = fastrand::usize(..=input.len());
        let to = fastrand::usize(at..=input.len().min(at + 40));
        match fastrand::u8(..6) {
            0 if at < input.len() => input[at] ^= 1 << fastrand::u8(..8),
            1 => input.insert(
                at,
                *fastrand::choice(b"\r\n\0\x1e\x1f\"'\\<>@:;,.={}[]()%+-_ 0912\xff\xc3").expect("bytes"),
            ),
            2 => drop(input.drain(at..to)),
            3 => {
                let range = input[at..to].to_vec();
                input
                    .splice(at..at, range.iter().copied().cycle().take(range.len() * fastrand::usize(1..20)));
            }
            _ => {
                let other = fastrand::choice(inputs).expect("inputs");
                let from = fastrand::usize(..=other.len());
                let end = fastrand::usize(from..=other.len());
                input.splice(at..to, other[from..end].iter().copied());
            }
        }
        input.truncate(LONGEST);
    }
    input
}
