//! The papers say what the program does: man pages made from the command line's definition, and what the
//! hand-written ones, the README and the crontab claim, held against it.
//!
//! `NOTIFYCTL_BLESS=1 cargo test --test suite papers::` writes what is generated.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::support::{Sandbox, program};

#[test]
fn the_man_pages_are_those_of_the_command_line() {
    let made = made_pages();
    let bless = std::env::var_os("NOTIFYCTL_BLESS").is_some();
    let mut wrong = Vec::new();
    for (name, page) in &made {
        let path = top().join("man").join(name);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == *page) {
            continue;
        }
        if bless {
            std::fs::write(&path, page).expect("write the page");
        } else {
            wrong.push(format!("man/{name} is not what the command line says"));
        }
    }
    for name in pages().filter(|name| name.ends_with(".1") && !made.contains_key(name)) {
        if bless {
            std::fs::remove_file(top().join("man").join(name)).expect("remove the page");
        } else {
            wrong.push(format!("man/{name} is of no command"));
        }
    }
    assert!(
        wrong.is_empty(),
        "\n{}\nto write them: NOTIFYCTL_BLESS=1 cargo test --test suite papers::",
        wrong.join("\n")
    );
}

/// Every page of section 1, by its file name.
fn made_pages() -> BTreeMap<String, String> {
    let mut command = notifyctl::cli::command();
    command.build();
    let mut made = BTreeMap::new();
    make_pages(&command, &mut made);
    made
}

fn make_pages(command: &clap::Command, made: &mut BTreeMap<String, String>) {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        make_pages(sub, made);
    }
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let source = format!("notifyctl {}", env!("CARGO_PKG_VERSION"));
    // What the help says at its end has sections of its own here.
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let bare = command.clone().after_help(clap::builder::Resettable::Reset);
    let man = Man::new(bare).title(name.to_uppercase()).source(source).manual("notifyctl");
    let mut page = Vec::new();
    man.render(&mut page).expect("render");
    // Without a date, for a page follows its version; clap_mangen leaves even its place out.
    closing(&name, &after).to_writer(&mut page).expect("render");
    let page = String::from_utf8(page).expect("UTF-8").replacen(" 1  \"", " 1 \"\" \"", 1);
    let lines: Vec<_> = page.lines().map(embolden).collect();
    made.insert(format!("{name}.1"), lines.join("\n") + "\n");
}

/// What the help puts between backticks, in bold.
fn embolden(line: &str) -> String {
    let parts: Vec<_> = line.split('`').collect();
    if line.starts_with('.') || parts.len().is_multiple_of(2) {
        return line.to_owned();
    }
    let set = |(n, part): (usize, &&str)| match n % 2 {
        0 => (*part).to_owned(),
        _ => format!("\\fB{part}\\fR"),
    };
    parts.iter().enumerate().map(set).collect()
}

/// The sections that every page ends with, from the paragraphs that the help ends with.
fn closing(name: &str, after: &str) -> Roff {
    let mut roff = Roff::new();
    let paragraphs = || after.split("\n\n").filter(|text| !text.is_empty());
    let (codes, others): (Vec<_>, Vec<_>) = paragraphs().partition(|text| text.starts_with("Exit codes:"));
    for text in others {
        let (heading, lines) = match text.split_once(":\n  ") {
            Some((heading, lines)) => (heading.to_uppercase(), format!("  {lines}")),
            None => ("NOTES".to_owned(), text.to_owned()),
        };
        roff.control("SH", [heading.as_str()]);
        let literal = heading == "EXAMPLES";
        if literal {
            roff.control("nf", []);
        }
        for line in lines.lines() {
            // A list has its entries four deep; the rest is text that flows.
            if line.starts_with("    ") && !line.starts_with("      ") {
                roff.control("IP", ["\\(bu", "2"]);
            }
            roff.text([roman(line.trim())]);
        }
        if literal {
            roff.control("fi", []);
        }
    }
    roff.control("SH", ["EXIT STATUS"]);
    for text in codes {
        let text = text.trim_start_matches("Exit codes:").replace('\n', " ");
        roff.text([roman(text.trim())]);
        roff.control("PP", []);
    }
    roff.text([
        roman("The whole table, after "),
        bold("sysexits"),
        roman("(3), is in "),
        bold("notifyctl"),
        roman("(7)."),
    ]);
    roff.control("SH", ["SEE ALSO"]);
    let mut others = vec![("notifyctl", "(7), "), ("notifyctl.toml", "(5)")];
    if name != "notifyctl" {
        others.insert(0, ("notifyctl", "(1), "));
    }
    roff.text(
        others.into_iter().flat_map(|(page, section)| [bold(page), roman(section)]).collect::<Vec<_>>(),
    );
    roff
}

#[test]
fn every_man_page_is_set_without_a_warning() {
    let mut wrong = Vec::new();
    for name in pages() {
        let path = top().join("man").join(&name);
        let lint = output(Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&path));
        // Pages that follow the version have no date of their own; clap_mangen breaks lines before it
        // leaves room.
        let lint = lint.lines();
        let lint = lint.filter(|line| !line.contains("missing date") && !line.contains("skipping paragraph"));
        wrong.extend(lint.map(str::to_owned));
        let groff = output(Command::new("groff").args(["-mandoc", "-ww", "-Tutf8", "-z"]).arg(&path));
        wrong.extend(groff.lines().map(str::to_owned));
        let shown = output(Command::new("man").env("MANWIDTH", "80").arg("-l").arg(&path));
        if !shown.contains("NAME") || !shown.contains("SEE ALSO") {
            wrong.push(format!("man -l {name} shows no page"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_statuses_have_one_picture() {
    let code = read("src/lib.rs");
    let code = between(&code, "//! ```text\n", "//! ```\n");
    let code: Vec<_> = code.lines().map(|line| line.trim_start_matches("//!").trim()).collect();
    let page = read("man/notifyctl.7");
    let page = between(&page, ".Bd -literal -offset 2n\n", ".Ed\n");
    let page: Vec<_> = page.lines().map(str::trim).collect();
    assert_eq!(code, page);
}

#[test]
fn every_exit_code_is_explained() {
    let page = read("man/notifyctl.7");
    let page = between(&page, ".Sh EXIT STATUS", ".Sh SECURITY");
    let table = read("src/cli/error.rs");
    let table = between(&table, "pub enum Exit {", "\n}");
    let codes = |text: &str, before: &str| -> BTreeSet<u8> {
        let lines =
            text.lines().filter_map(|line| line.split(before).nth(1)?.trim_end_matches(',').parse().ok());
        lines.collect()
    };
    let defined = codes(table, " = ");
    assert!(defined.len() >= 10, "{defined:?}");
    assert_eq!(defined, codes(page, ".It "));
}

#[test]
fn every_command_line_in_the_papers_can_be_meant() {
    let mut papers: Vec<_> = pages().map(|page| format!("man/{page}")).collect();
    papers.extend(["README.md", "etc/crontab", "etc/notifyctl.toml"].map(str::to_owned));
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for paper in papers {
        for line in read(&paper).lines().map(plain) {
            let prose = (paper.ends_with(".7") || paper.ends_with(".5")) && !line.starts_with(".Dl ");
            for words in command_lines(&line).into_iter().filter(|_| !prose) {
                seen += 1;
                if let Err(error) = notifyctl::cli::command().try_get_matches_from(&words)
                    && error.use_stderr()
                {
                    wrong.push(format!("{paper}: {}\n  {error}", words.join(" ")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(seen > 20, "{seen} command lines are found");
}

/// The help is set to the terminal's width: what was broken by hand is broken twice.
#[test]
fn no_sentence_at_the_end_of_a_help_is_broken_by_hand() {
    fn broken(command: &clap::Command, found: &mut Vec<String>) {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let flowing = after.split("\n\n").filter(|text| !text.starts_with("Examples:"));
        for (line, next) in flowing.flat_map(|text| text.lines().zip(text.lines().skip(1))) {
            // Behind a heading, and where an entry of a list begins, a line is meant.
            if !(line.ends_with(':') || next.starts_with("    ") && next.contains(": ")) {
                found.push(format!("{}: {line}", command.get_name()));
            }
        }
        command.get_subcommands().for_each(|sub| broken(sub, found));
    }
    let mut found = Vec::new();
    broken(&notifyctl::cli::command(), &mut found);
    assert_eq!(found, [] as [&str; 0]);
}

#[test]
fn every_configuration_in_the_readme_is_one() {
    let readme = read("README.md");
    let blocks: Vec<_> = readme.split("```toml\n").skip(1).map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 3, "{blocks:?}");
    for block in blocks.into_iter().flatten() {
        let sandbox = Sandbox::new();
        // The secret files that it names are here, and nobody else can read them.
        let folder = sandbox.path().display().to_string();
        for name in ["mail.password", "chat.url"] {
            let path = sandbox.path().join(name);
            std::fs::write(&path, "https://chat.example.org/hooks/secret\n").expect("write a secret");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("close it");
        }
        sandbox.configure(&block.replace("/etc/notifyctl", &folder));
        sandbox.ok(&["config", "check"]);
    }
}

/// The keys that the page names for each command, against those that it writes.
#[test]
fn every_object_has_the_keys_that_the_page_says() {
    let page = read("man/notifyctl.7");
    let mut told = BTreeMap::<String, BTreeSet<String>>::new();
    let mut before = BTreeSet::new();
    for entry in between(&page, ".Sh JSON", ".Sh EVENTS").split(".It Cm ").skip(1) {
        let (commands, text) = entry.split_once('\n').expect("what is told of it");
        let text = text.split(" ;\n").next().expect("a text").split("\n.El").next().expect("a text");
        let same = if text.starts_with("the same, and\n") { before } else { BTreeSet::new() };
        let words = text.trim_start_matches("the same, and\n").trim_start_matches(".Cm ");
        before =
            words.split_whitespace().filter(|word| *word != ",").map(str::to_owned).chain(same).collect();
        for command in commands.split(" , ") {
            told.insert(command.to_owned(), before.clone());
        }
    }
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path().join("b.csv"), "to,message\na@example.org,m\n").expect("write");
    let mut found = BTreeMap::new();
    for (command, line) in [
        ("enqueue", "enqueue --to a@example.org --json m"),
        ("enqueue --batch", "enqueue --batch b.csv --json"),
        ("send-pending --dry-run", "send-pending --dry-run --json"),
        ("hold", "hold 1 --json"),
        ("release", "release 1 --json"),
        ("cancel", "cancel 1 --json"),
        ("requeue", "requeue 1 --json"),
        ("why", "why 1 --json"),
        ("send-pending", "send-pending --json"),
        ("wait ID", "wait 1 --json"),
        ("wait --batch", "wait --batch 1 --json"),
        ("status ID", "status 1 --json"),
        ("status", "status --json"),
        ("status --batch", "status --batch 1 --json"),
        ("list", "list --json"),
        ("show", "show 1 --json"),
        ("purge", "purge --json"),
        ("channel list", "channel list --json"),
        ("channel test", "channel test outbox --to a@example.org --json"),
        ("user set", "user set u --to a@example.org"),
        ("user show", "user show u --json"),
        ("token create", "token create --name t --scope read --json"),
        ("token list", "token list --json"),
        ("db check", "db check --json"),
        ("db stats", "db stats --json"),
        ("config show", "config show --json"),
    ] {
        let out = sandbox.ok(&line.split(' ').collect::<Vec<_>>());
        if let Some(first) = out.lines().next().filter(|_| line.contains("--json")) {
            let object: BTreeMap<String, serde_json::Value> = serde_json::from_str(first).expect(line);
            found.insert(command.to_owned(), object.into_keys().collect::<BTreeSet<_>>());
        }
    }
    assert_eq!(told, found);
}

/// What keeps a notification back is told by the command alone: the document of the daemon knows nothing of it.
#[test]
fn every_obstacle_has_the_keys_that_the_page_says() {
    let page = read("man/notifyctl.7");
    let told = between(&page, ".It Cm why\n", ".It Cm");
    let (_, told) = told.split_once(" ;\nan obstacle is\n.Cm ").expect("what an obstacle is");
    let told: BTreeSet<_> = told.split_whitespace().filter(|word| *word != ",").map(str::to_owned).collect();
    let sandbox = Sandbox::new();
    sandbox.ok(&["enqueue", "--to", "a@example.org", "--in", "1h", "m"]);
    let why: serde_json::Value = serde_json::from_str(&sandbox.ok(&["why", "1", "--json"])).expect("JSON");
    let obstacle = why["obstacles"][0].as_object().expect("it is not due yet");
    assert_eq!(obstacle.keys().cloned().collect::<BTreeSet<_>>(), told);
}

/// What a program that fails has said is in nobody's hand: neither its size nor its bytes may cost the notification.
#[test]
fn the_recipe_for_what_a_program_said_loses_none() {
    let readme = read("README.md");
    let recipe = readme.lines().find(|line| line.contains("out=$(")).expect("the recipe");
    let recipe = recipe
        .trim_start_matches("30 2 * * *")
        .replace("/usr/local/bin/notifyctl", env!("CARGO_BIN_EXE_notifyctl"));
    let said = [
        "printf 'all of it'; exit 1",
        "printf 'no such file: Gr\\374\\303\\237e'; exit 1",
        "yes 'tar: \u{fc}: file changed as we read it' | head -c 3000000; exit 1",
        "exit 1",
    ];
    for (n, said) in said.into_iter().enumerate() {
        let sandbox = Sandbox::new();
        let program = sandbox.path().join("backup");
        program::write(&program, &format!("#!/bin/sh\n{said}\n"));
        let line = recipe.replace("/usr/local/sbin/backup", &program.display().to_string());
        // With cron's shell, and as little around it.
        let mut cron = Command::new("/bin/sh");
        cron.args(["-c", &line]).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", sandbox.path());
        cron.env("NOTIFYCTL_CONFIG", sandbox.path().join("notifyctl.toml"));
        assert_eq!(output(&mut cron), "", "{n}: {line}");
        let shown: serde_json::Value =
            serde_json::from_str(&sandbox.ok(&["show", "--json", "1"])).expect("JSON");
        let message = shown["message"].as_str().expect("a text");
        match n {
            0 => assert_eq!(message, "all of it\n"),
            1 => assert_eq!(message, "no such file: Gr\u{df}e\n"),
            2 => assert!(message.len() > 40_000 && message.contains("tar: \u{fc}: file changed")),
            _ => assert_eq!(message, "\n"),
        }
    }
}

/// A line of a man page without what is only for the typesetter.
fn plain(line: &str) -> String {
    line.replace("\\(dq", "\"").replace("\\-", "-").replace("\\*(Aq", "'").replace("\\|", "")
}

/// The invocations in a line of a paper that are meant to be typed: after a prompt, in a crontab, or behind
/// a pipe of one of those.
fn command_lines(line: &str) -> Vec<Vec<String>> {
    let line = line.trim_start().trim_start_matches(".Dl ").trim_start_matches("$ ");
    let typed =
        line.starts_with("notifyctl ") || line.contains("/notifyctl ") || line.contains("| notifyctl ");
    if !typed || line.starts_with(".\\\"") {
        return Vec::new();
    }
    let mut words: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    let (mut word, mut quote) = (None::<String>, None::<char>);
    for c in line.chars().chain([';']) {
        match (quote, c) {
            (Some(end), _) if c == end => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ' | ';' | '|' | '&' | '<' | '>') => {
                words.extend(word.take());
                if c != ' ' {
                    lines.push(std::mem::take(&mut words));
                }
            }
            _ => word.get_or_insert_default().push(c),
        }
    }
    lines
        .into_iter()
        .filter_map(|line| {
            let at = line.iter().position(|word| word == "notifyctl" || word.ends_with("bin/notifyctl"))?;
            let line = line[at..].to_vec();
            // `notifyctl - a durable …` is a name and what it means.
            (line.get(1).is_some_and(|word| word != "-")).then_some(line)
        })
        .collect()
}

/// The file names in `man`.
fn pages() -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(top().join("man")).expect("man");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.into_iter()
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).unwrap_or_else(|| panic!("`{from}` is there")) + from.len();
    let length = text[start..].find(to).unwrap_or_else(|| panic!("`{to}` follows"));
    &text[start..start + length]
}

fn read(path: &str) -> String {
    std::fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Each promise of notifyctl(7) is held by something that names it.
#[test]
fn every_promise_has_a_test_that_names_it() {
    let page = std::fs::read_to_string(top().join("man/notifyctl.7")).expect("read the page");
    let items = page.lines().filter_map(|line| line.strip_prefix(".It P"));
    let promises: Vec<&str> = items.filter(|item| item.parse::<usize>().is_ok()).collect();
    assert!(promises.iter().enumerate().all(|(n, promise)| promise.parse() == Ok(n + 1)), "{promises:?}");
    let list = Command::new("grep")
        .args(["-rhowE", "P[0-9]+", "tests", "--include=*.rs"])
        .current_dir(top())
        .output();
    let named = String::from_utf8(list.expect("run grep").stdout).expect("text");
    let named: BTreeSet<&str> = named.lines().filter_map(|line| line.strip_prefix('P')).collect();
    let unnamed: Vec<_> = promises.iter().filter(|promise| !named.contains(**promise)).collect();
    assert!(promises.len() >= 12 && unnamed.is_empty(), "no test names {unnamed:?}");
}

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
