//! How a release build is linked: the functions that one `enqueue` runs through stand side by side.
//!
//! They are a tenth of the program. Spread over all of it they cost a shell line some seventy page faults more, and with
//! them about a fifth of its processor time. The list, which `tests/bench/order` writes, is a linker script that both LLD and GNU ld
//! know; a name in it that is gone does no harm, and without it the program is the same, only slower to start.

#![expect(clippy::print_stdout, reason = "that is how a build script speaks to cargo")]

use std::env::var;

const LIST: &str = ".cargo/enqueue.ld";

fn main() {
    println!("cargo::rerun-if-changed={LIST}");
    if is_known() && !is_chosen() && var("PROFILE").is_ok_and(|profile| profile == "release") {
        let here = var("CARGO_MANIFEST_DIR").expect("cargo says where");
        println!("cargo::rustc-link-arg=-T{here}/{LIST}");
    }
}

/// Whether this is where the list was tried.
fn is_known() -> bool {
    let target =
        ["ARCH", "OS", "ENV"].map(|part| var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default());
    target == ["x86_64", "linux", "gnu"]
}

/// Whether somebody has chosen a linker, which may not know such scripts.
fn is_chosen() -> bool {
    let flags = var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    var("RUSTC_LINKER").is_ok() || flags.contains("linker") || flags.contains("-fuse-ld")
}
