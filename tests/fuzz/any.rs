//! One binary for every target, so that it is built once: `NOTIFYCTL_FUZZ_TARGET` names the one that is meant.
#![no_main]

mod bodies;

use std::sync::LazyLock;

static RUN: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("NOTIFYCTL_FUZZ_TARGET").unwrap_or_default();
    let names: Vec<_> = bodies::TARGETS.iter().map(|target| target.name).collect();
    let found = bodies::TARGETS.iter().find(|target| target.name == wanted);
    found.unwrap_or_else(|| panic!("NOTIFYCTL_FUZZ_TARGET={wanted}: one of {}", names.join(", "))).run
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| RUN(data));
