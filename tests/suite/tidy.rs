//! The house rules that a compiler does not hold: who may import whom, which words are used, what lies where.
//!
//! A plain scan of the text, not a parser: it looks at what stands outside `//` comments. The rules and
//! their reasons are in the documentation of the crate; this file is where they can fail.

mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use scan::{Source, children, declared, files, names_crate, read, relative, sources, top, words_of};

/// The layers; a module may import from lower ones alone.
const LAYERS: &[(&str, u8)] = &[
    ("main", 7),
    ("cli", 6),
    ("daemon", 5),
    ("config", 4),
    ("delivery", 3),
    ("http", 3),
    ("cache", 2),
    ("store", 2),
    ("channel", 2),
    ("guard", 2),
    ("clock", 1),
    ("secret", 1),
    ("tls", 1),
    ("units", 1),
    ("wire", 1),
    ("model", 0),
];

/// Imports within a layer, or upwards, that are meant: (from, to, why).
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("secret", "clock", "a command that gives a secret has a limit of time, and only `clock` reads one"),
    ("wire", "units", "a row's durations are read as they are everywhere"),
];

/// Crates that belong to some modules alone: what the others must never know.
const CRATES: &[(&str, &[&str])] = &[
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("comfy_table", &["cli"]),
    ("indicatif", &["cli"]),
    ("csv_core", &["cli"]),
    ("ratatui", &["cli"]),
    ("prometheus_client", &["http"]),
    ("rusqlite", &["store"]),
    // The configuration names senders, and an address is one type.
    ("lettre", &["channel", "config"]),
    // For comparing with: tests alone.
    ("reqwest", &[]),
    // The cache's link speaks TLS on a connection of its own.
    ("rustls", &["cache", "channel", "tls"]),
    ("tokio_rustls", &["channel", "tls"]),
    ("redis", &["cache"]),
    ("ring", &["cache"]),
    ("lru", &["cache"]),
    ("minijinja", &["channel"]),
    ("axum", &["http"]),
    ("hyper", &["channel", "http"]),
    ("hyper_util", &["channel", "http"]),
    ("http_body_util", &["channel", "http"]),
    ("tower", &["channel", "http"]),
    ("tower_http", &["http"]),
    // The shapes say themselves what they are; that is no knowledge of who shows them.
    ("utoipa", &["http", "wire"]),
    ("env_logger", &["cli"]),
    // Whoever knows it could wait: `model` and `config` decide, and run nothing.
    ("tokio", &["cli", "daemon", "delivery", "http", "cache", "store", "channel"]),
];

/// The longest file in `src`, tests included. A longer one is two things.
const LONGEST: usize = 450;

#[test]
fn imports_point_down_only() {
    let layer = |name: &str| LAYERS.iter().find(|(known, _)| *known == name).map(|&(_, layer)| layer);
    let (mut wrong, mut excused) = (Vec::new(), BTreeSet::new());
    for file in sources() {
        let from = file.module();
        let Some(own) = layer(&from) else {
            wrong.push(format!("{}: `{from}` has no place in the table of layers", file.name()));
            continue;
        };
        for to in file.imports().into_iter().filter(|to| *to != from) {
            match layer(&to) {
                Some(other) if other < own => {}
                Some(_) if EXCEPTIONS.iter().any(|(a, b, _)| *a == from && *b == to) => {
                    excused.insert((from.clone(), to));
                }
                Some(other) => wrong
                    .push(format!("{}: `{from}` (layer {own}) imports `{to}` (layer {other})", file.name())),
                None => {}
            }
        }
    }
    for (from, to, _) in EXCEPTIONS {
        if !excused.contains(&((*from).to_owned(), (*to).to_owned())) {
            wrong.push(format!("the exception `{from}` imports `{to}` is not needed any more"));
        }
    }
    none(&wrong);
}

#[test]
fn outside_crates_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for file in sources() {
        let from = file.module();
        for (krate, owners) in CRATES {
            if file.shipped().iter().any(|line| names_crate(line, krate)) && !owners.contains(&from.as_str())
            {
                wrong.push(format!("{}: `{krate}` belongs to {owners:?}", file.name()));
            }
        }
    }
    none(&wrong);
}

#[test]
fn the_wall_clock_is_read_in_one_place() {
    let clocks = ["SystemTime::now", "Utc::now", "Local::now", "clock_gettime"];
    none(&lines_with(&clocks, |module| module != "clock"));
}

#[test]
fn standard_output_belongs_to_the_command_line() {
    let prints = ["println!", "eprintln!", "print!(", "eprint!(", "stdout()"];
    none(&lines_with(&prints, |module| module != "cli"));
}

/// The lines outside of unit tests that hold one of `patterns`, in modules that `concerns` picks.
fn lines_with(patterns: &[&str], concerns: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in sources().iter().filter(|file| concerns(&file.module())) {
        for (number, line) in file.shipped().iter().enumerate() {
            if let Some(pattern) = patterns.iter().find(|pattern| line.contains(**pattern)) {
                found.push(format!("{}:{}: `{pattern}`", file.name(), number + 1));
            }
        }
    }
    found
}

#[test]
fn every_file_says_what_it_owns() {
    let mut wrong = Vec::new();
    for path in files(&["src", "tests"], "rs") {
        let text = read(&path);
        let lead = text.lines().next().unwrap_or_default();
        if !lead.starts_with("//! ") || lead.len() < 20 {
            wrong.push(format!("{}: opens without saying what it owns (`//! …`)", path.display()));
        }
    }
    none(&wrong);
}

#[test]
fn no_file_is_two_things() {
    let long: Vec<_> = sources()
        .iter()
        .filter(|file| file.code.len() > LONGEST)
        .map(|file| format!("{}: {} lines; at most {LONGEST}", file.name(), file.code.len()))
        .collect();
    none(&long);
}

#[test]
fn every_verb_has_the_file_of_its_name() {
    let mut wrong = Vec::new();
    for verb in notifyctl::cli::command().get_subcommands() {
        let name = verb.get_name().replace('-', "_");
        if !top().join(format!("src/cli/{name}.rs")).exists()
            && !top().join(format!("src/cli/{name}/mod.rs")).exists()
        {
            wrong.push(format!("`notifyctl {}` does not live in src/cli/{name}", verb.get_name()));
        }
    }
    none(&wrong);
}

#[test]
fn sql_files_come_in_pairs_and_are_used() {
    let code: String = sources().into_iter().flat_map(|file| file.code).collect();
    let mut names: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    let databases: Vec<_> = children(&top().join("sql")).into_iter().filter(|path| path.is_dir()).collect();
    let mut wrong = Vec::new();
    for database in &databases {
        for path in files(&[&relative(database)], "sql") {
            let name = path.strip_prefix(relative(database)).expect("inside").to_path_buf();
            let stem = name.file_stem().expect("a name").to_string_lossy().into_owned();
            if !code.contains(&*name.to_string_lossy()) && !code.contains(&format!("\"{stem}\"")) {
                wrong.push(format!("{}: nothing in src names it", path.display()));
            }
            names.entry(name).or_default().insert(relative(database));
        }
    }
    for (name, holders) in names.iter().filter(|(_, holders)| holders.len() < databases.len()) {
        wrong.push(format!("{}: only in {holders:?}", name.display()));
    }
    none(&wrong);
}

#[test]
fn one_word_per_thing() {
    const NOT: &[(&str, &str)] = &[
        ("job", "notification"),
        ("jobs", "notifications"),
        ("campaign", "batch"),
        ("redeliver", "retry, requeue"),
        ("dedupe", "idempotency key"),
        ("consumer", "worker"),
        ("suspend", "hold"),
        ("suspended", "held"),
        ("nack", "settle"),
        ("completed", "sent, or settled"),
        ("succeeded", "sent"),
    ];
    // A call may have failed; a notification never has.
    const NO_STATUS: &[(&str, &str)] = &[("failed", "dead, or an outcome"), ("done", "sent, or settled")];
    let mut wrong = Vec::new();
    let sql = files(&["sql"], "sql").into_iter().map(|path| Source::new(path, "--"));
    for file in sources().into_iter().chain(sql) {
        let about_status = file.path.starts_with("sql") || file.path.ends_with("model/status.rs");
        let forbidden = || NOT.iter().chain(NO_STATUS.iter().filter(|_| about_status));
        for (number, line) in file.code.iter().enumerate() {
            for name in declared(line) {
                let words = words_of(name);
                if let Some((_, right)) = forbidden().find(|(word, _)| words.iter().any(|w| w == word)) {
                    wrong.push(format!("{}:{}: `{name}`; we say {right}", file.name(), number + 1));
                }
            }
        }
    }
    none(&wrong);
}

#[test]
fn nothing_else_lies_at_the_top() {
    const MAY: &[&str] = &[
        "Cargo.toml",
        "Cargo.lock",
        "LICENSE",
        "CHANGELOG.md",
        "README.md",
        "src",
        "sql",
        "etc",
        "systemd",
        "supervisor",
        "man",
        "tests",
        "target",
    ];
    let names = children(&top()).into_iter().map(|path| relative(&path));
    none(&names.filter(|name| !name.starts_with('.') && !MAY.contains(&name.as_str())).collect::<Vec<_>>());
}

#[test]
fn nothing_knows_the_machine_it_was_written_on() {
    let homes =
        [env!("CARGO_MANIFEST_DIR"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];
    let mut wrong = Vec::new();
    for path in files(&["src", "sql", "etc", "man", "tests", ".ci", ".cargo", "README.md"], "") {
        let Ok(text) = String::from_utf8(std::fs::read(top().join(&path)).expect("read")) else { continue };
        for (number, line) in text.lines().enumerate() {
            if homes.iter().any(|home| line.contains(home)) {
                wrong.push(format!("{}:{}: a path of somebody's machine", path.display(), number + 1));
            }
        }
    }
    none(&wrong);
}

/// The same file that `cargo deny` reads, so that both say the same and this one needs nothing but cargo.
#[test]
fn licences_are_allowed_and_banned_crates_absent() {
    let rules: toml::Table = toml::from_str(&read(Path::new(".deny.toml"))).expect(".deny.toml");
    let list = |section: &str, key: &str| rules[section][key].as_array().expect("a list").clone();
    let allowed = list("licenses", "allow");
    let banned = list("bans", "deny");
    let packages = packages();
    assert!(packages.len() > 50, "cargo metadata names the dependencies");
    let mut wrong = Vec::new();
    for (name, licence) in packages {
        if banned.iter().any(|ban| ban["crate"].as_str() == Some(&name)) {
            wrong.push(format!("{name}: banned in .deny.toml"));
        }
        let parsed = spdx::Expression::parse_mode(&licence, spdx::ParseMode::LAX);
        let fits = |wanted: &spdx::LicenseReq| {
            let id = wanted.license.id().map(|id| id.name);
            allowed.iter().any(|licence| licence.as_str() == id)
        };
        if !parsed.is_ok_and(|expression| expression.evaluate(fits)) {
            wrong.push(format!("{name}: licence `{licence}` is not in .deny.toml"));
        }
    }
    none(&wrong);
}

/// Every package that is built for this machine, tests included, with its licence.
fn packages() -> Vec<(String, String)> {
    let cargo = |args: &[&str]| {
        let output = std::process::Command::new(env!("CARGO")).args(args).current_dir(top()).output();
        let output = output.expect("run cargo");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let host = cargo(&["-vV"]);
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo names its host");
    let text = cargo(&["metadata", "--format-version", "1", "--locked", "--filter-platform", host]);
    let metadata: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    packages.iter().map(|package| (word(&package["name"]), word(&package["license"]))).collect()
}

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The fuzz targets are a workspace of their own, which nobody builds by the way: its lock file would grow old unseen.
#[test]
fn the_fuzz_targets_are_locked_to_what_is_built() {
    let names = |path: &str| -> BTreeMap<String, BTreeSet<String>> {
        let lock: toml::Table = read(&top().join(path)).parse().expect("TOML");
        let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for package in lock["package"].as_array().expect("packages") {
            let word = |key: &str| package[key].as_str().expect("a word").to_owned();
            names.entry(word("name")).or_default().insert(word("version"));
        }
        names
    };
    let (built, fuzzed) = (names("Cargo.lock"), names("tests/fuzz/Cargo.lock"));
    let manifest: toml::Table = read(&top().join("Cargo.toml")).parse().expect("TOML");
    let wanted = manifest["dependencies"].as_table().expect("dependencies").keys();
    let missing: Vec<_> = wanted.filter(|name| !fuzzed.contains_key(*name)).collect();
    let others: Vec<_> = fuzzed
        .iter()
        .filter(|(name, versions)| built.get(*name).is_some_and(|built| !versions.is_subset(built)))
        .collect();
    assert!(
        missing.is_empty() && others.is_empty(),
        "tests/fuzz/Cargo.lock lacks {missing:?}, and has other versions of {others:?}; \
         renew it: `cp Cargo.lock tests/fuzz/ && cargo metadata --manifest-path tests/fuzz/Cargo.toml >/dev/null`"
    );
}
