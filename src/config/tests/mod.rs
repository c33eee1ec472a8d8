//! Where the configuration comes from, what holds when nothing is said, and what is said of a slip.

mod sample;
mod variables;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::channel::{Kind, Options};
use crate::store::StoreUrl;

fn around(variables: &[(&str, &str)]) -> Surroundings {
    Surroundings {
        variables: variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
        state_home: Some("/home/ops/.local/state".into()),
        ..Surroundings::default()
    }
}

fn load_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.toml");
    std::fs::write(&path, text).unwrap();
    let folder = format!("{}/", dir.path().display());
    Config::load_in(Some(&path), &around(variables)).map_err(|error| error.to_string().replace(&folder, ""))
}

fn load(text: &str) -> Result<Config, String> {
    load_with(text, &[])
}

fn error(text: &str) -> String {
    load(text).unwrap_err()
}

const RELAY: &str = "[channels.relay]\nkind = \"smtp\"\nhost = \"relay.example.org\"\n";

#[test]
fn with_no_file_at_all_the_outbox_beside_the_store_is_the_default_channel() {
    let config = Config::load_in(None, &around(&[])).unwrap();
    assert_eq!(config.store.url, StoreUrl::Sqlite("/home/ops/.local/state/notifyctl/notifyctl.db".into()));
    assert_eq!(config.store.busy_timeout, Duration::from_secs(5));
    assert_eq!(config.defaults.channel, "outbox");
    assert_eq!(config.file, None);
    assert_eq!(config.channels.len(), 1);
    let Options::File(options) = &config.channels["outbox"].options else { panic!("not of kind file") };
    assert_eq!(options.path, Path::new("/home/ops/.local/state/notifyctl/outbox"));
}

#[test]
fn the_store_of_root_is_the_systems_unless_a_state_home_is_named() {
    let root = Surroundings { root: true, ..Surroundings::default() };
    let config = Config::load_in(None, &root).unwrap();
    assert_eq!(config.store.url.to_string(), "sqlite:///var/lib/notifyctl/notifyctl.db");
    let named = Surroundings { state_home: Some("/srv".into()), ..root };
    let config = Config::load_in(None, &named).unwrap();
    assert_eq!(config.store.url.to_string(), "sqlite:///srv/notifyctl/notifyctl.db");
    let homeless = Config::load_in(None, &Surroundings::default()).unwrap_err().to_string();
    assert!(homeless.starts_with("store.url: is not set, and neither $HOME nor"), "{homeless}");
}

#[test]
fn the_outbox_lies_beside_a_configured_store_and_may_be_redefined() {
    let config = load("[store]\nurl = \"sqlite:///srv/n/q.db\"").unwrap();
    let Options::File(options) = &config.channels["outbox"].options else { panic!("not of kind file") };
    assert_eq!(options.path, Path::new("/srv/n/outbox"));
    let config = load("[channels.outbox]\nrate = \"5/min\"").unwrap();
    assert_eq!(config.channels["outbox"].options.kind(), Kind::File);
    let config = load("[channels.outbox]\nkind = \"exec\"\ncommand = [\"true\"]").unwrap();
    assert_eq!(config.channels["outbox"].options.kind(), Kind::Exec);
}

/// Which of the places that have a file wins; `flag` and `variable` name one, the rest are usual.
fn chosen(flag: bool, variable: bool, own: bool) -> String {
    let dir = TempDir::new().unwrap();
    let write = |name: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "").unwrap();
        path
    };
    let flag = flag.then(|| write("flag.toml"));
    let config = variable.then(|| write("variable.toml"));
    if own {
        write("home/notifyctl/notifyctl.toml");
    }
    let config_home = Some(dir.path().join("home"));
    let config = Config::load_in(flag.as_deref(), &Surroundings { config, config_home, ..around(&[]) });
    let file = config.unwrap().file;
    file.map_or("none".into(), |file| file.strip_prefix(dir.path()).unwrap().display().to_string())
}

#[test]
fn the_flag_wins_over_the_variable_over_the_users_own_file() {
    assert_eq!(chosen(true, true, true), "flag.toml");
    assert_eq!(chosen(false, true, true), "variable.toml");
    assert_eq!(chosen(false, false, true), "home/notifyctl/notifyctl.toml");
    assert_eq!(chosen(false, false, false), "none");
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let error = Config::load_in(Some(Path::new("/nonexistent/n.toml")), &around(&[])).unwrap_err();
    assert_eq!(error.to_string(), "read /nonexistent/n.toml: No such file or directory (os error 2)");
    let variable = Surroundings { config: Some("/nonexistent/n.toml".into()), ..around(&[]) };
    let error = Config::load_in(None, &variable).unwrap_err().to_string();
    assert!(error.ends_with("(os error 2); $NOTIFYCTL_CONFIG names it"), "{error}");
}

#[test]
fn a_usual_file_that_cannot_be_read_is_not_passed_over() {
    let dir = TempDir::new().unwrap();
    std::fs::create_dir_all(dir.path().join("notifyctl/notifyctl.toml")).unwrap();
    let own = Surroundings { config_home: Some(dir.path().into()), ..around(&[]) };
    let error = Config::load_in(None, &own).unwrap_err().to_string();
    assert!(error.ends_with("Is a directory (os error 21)"), "{error}");
}

#[test]
fn an_unknown_key_is_answered_with_place_and_suggestion() {
    for (text, expected) in [
        ("[store]\nur = 1", "n.toml:2: store.ur: is no key of [store]; did you mean `url`?"),
        ("\n[stor]", "n.toml:2: stor: is no key of the configuration; did you mean `store`?"),
        (
            "debug = true",
            "n.toml:1: debug: is no key of the configuration; one of backup, cache, channels, daemon, defaults, http, limits, log, retention, store",
        ),
        (
            "[channels.relay]\nkind = \"smtp\"\nhsot = \"x\"",
            "n.toml:3: channels.relay.hsot: is no key of a channel of kind smtp; did you mean `host`?",
        ),
        (
            "[channels.relay]\nkind = \"smtp\"\nhost = \"x\"\nrates = \"5/s\"",
            "n.toml:4: channels.relay.rates: is no key of a channel of kind smtp; did you mean `rate`?",
        ),
        ("log.colour = 1", "n.toml:1: log.colour: is no key of [log]; one of file, format, level"),
    ] {
        assert_eq!(error(text), expected);
    }
}

#[test]
fn a_wrong_type_is_named_and_its_value_never_shown() {
    for (key, expected) in [
        ("password = 12345678", "channels.relay.password: is an integer, where a string is expected"),
        ("password = [\"12345678\"]", "channels.relay.password: is a list, where a string is expected"),
        ("password = 1234.5678", "channels.relay.password: is a decimal number, where a string is expected"),
        ("password = 1234-05-06", "channels.relay.password: is a table, where a string is expected"),
        (
            "password_command = \"pass 1234\"",
            "channels.relay.password_command: is a string, where a list of strings is expected",
        ),
        (
            "password_command = [1234]",
            "channels.relay.password_command[0]: is an integer, where a string is expected",
        ),
        (
            "timeout = 1234",
            "channels.relay.timeout: 1234 has no unit; write \"1234s\" for seconds or \"1234m\" for minutes",
        ),
        ("port = true", "channels.relay.port: is true or false, where a whole number is expected"),
        ("port = 123456", "channels.relay.port: 123456 is out of range"),
        ("rate = 5", "channels.relay.rate: is an integer, where a string or a list of strings is expected"),
    ] {
        let error = error(&format!("{RELAY}{key}"));
        assert_eq!(error, format!("n.toml:4: {expected}"));
        assert!(!key.starts_with("password") || !error.contains("1234"), "{error}");
    }
    assert_eq!(error("store = 5"), "n.toml:1: store: is an integer, where a table is expected: [store]");
    assert_eq!(
        error("[[channels]]"),
        "n.toml:1: channels: is an array, where a table is expected: [channels]"
    );
}

#[test]
fn a_value_that_cannot_be_meant_is_answered_with_its_key_path() {
    for (key, expected) in [
        (
            "rate = [\"5/s\", \"50/0s\"]",
            "channels.relay.rate[1]: `50/0s` is not a rate like `50/10s` or `300/min` (at least 1, over one second to 31 days)",
        ),
        (
            "rate = \"50\"",
            "channels.relay.rate: `50` is not a rate like `50/10s` or `300/min` (at least 1, over one second to 31 days)",
        ),
        (
            "retry = \"5 parsecs\"",
            "channels.relay.retry: `5 parsecs` is not a wait like `30s` or `5m*2` (write `never` for no retry)",
        ),
        (
            "tls = \"ssl\"",
            "channels.relay.tls: `ssl` is not a kind of protection (one of none, opportunistic, required, implicit)",
        ),
        ("max_in_flight = 0", "channels.relay.max_in_flight: must be within 1 and 1000"),
        (
            "give_up_after = \"0s\"",
            "channels.relay.give_up_after: must be longer than 0s; for no retry say retry = \"never\"",
        ),
        ("timeout = \"0s\"", "channels.relay.timeout: must be longer than 0s"),
        (
            "on_unknown = \"drop\"",
            "channels.relay.on_unknown: `drop` is not what can be done then (one of retry, hold)",
        ),
        (
            "ca_file = \"ca.pem\"",
            "channels.relay.ca_file: `ca.pem` is not an absolute path: begin it with `/`",
        ),
        (
            "from = \"a\\nBcc: x <a@example.org>\"",
            "channels.relay.from: holds a control character (a line break, a tab or NUL); remove it",
        ),
        (
            "user = \"u\"",
            "channels.relay.user: is set, and no password: set password_file, password_command or password_credential",
        ),
        ("password_file = \"/p\"", "channels.relay.password_file: is set, and no user that it belongs to"),
        (
            "user = \"u\"\npassword_file = \"/p\"\npassword = \"12345678\"",
            "channels.relay.password_file: and `password` are both set; keep one of the two",
        ),
        (
            "user = \"u\"\npassword_command = []",
            "channels.relay.password_command: names no program: [\"/path/to/program\", \"argument\"]",
        ),
        (
            "user = \"u\"\ntoken_command = [\"token\"]\nauth = \"plain\"",
            "channels.relay.auth: must be \"xoauth2\" with token_command, or be left out",
        ),
    ] {
        let error = error(&format!("{RELAY}{key}"));
        assert_eq!(error.split_once(": ").unwrap().1, expected);
        assert!(!error.contains("12345678"), "{error}");
    }
    assert_eq!(
        error("[channels.x]\nkind = \"mail\""),
        "n.toml:2: channels.x.kind: `mail` is not a kind of channel (one of smtp, webhook, exec, file)"
    );
    assert_eq!(
        error("[channels.x]"),
        "n.toml:1: channels.x: kind is missing (one of smtp, webhook, exec, file)"
    );
    assert_eq!(
        error("[channels.x]\nkind = \"smtp\""),
        "n.toml:1: channels.x: host is missing: the name of the mail relay"
    );
    assert_eq!(
        error(&format!("{RELAY}[defaults]\nchannel = \"rely\"")),
        "n.toml:5: defaults.channel: there is no channel `rely`; did you mean `relay`?"
    );
    assert_eq!(
        error("[channels.\"a b\"]\nkind = \"smtp\""),
        "n.toml:1: channels.\"a b\": a channel's name is 1 to 64 letters, digits, `-`, `_` and `.`, a letter or digit first"
    );
    assert_eq!(
        error("[store]\nurl = \"queue.db\""),
        "n.toml:2: store.url: the kind of store is not known; write sqlite:///path"
    );
    assert_eq!(error("[store]\nbusy_timeout = \"25d\""), "n.toml:2: store.busy_timeout: must be at most 1d");
    assert_eq!(
        error("[limits]\nmessage = \"1M\""),
        "n.toml:2: limits.message: `1M` is not a size like `64KiB` or `10MiB`"
    );
}

#[test]
fn what_is_no_toml_is_answered_with_its_line_and_without_quoting_it() {
    assert_eq!(error("a = 1\na = 2"), "n.toml:2: `a` is set twice in one table");
    assert_eq!(error("[store]\n[store]"), "n.toml:2: `store` is set twice in one table");
    for text in ["[store]\npassword = hunter2", "[store]\npassword = \"hunter2", "[store]\nhunter2"] {
        let error = error(text);
        assert!(error.starts_with("n.toml:2: ") && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_file_that_is_no_text_or_far_too_large_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("n.toml");
    for (content, expected) in [
        (b"# ok\n# \xff\n".to_vec(), "line 2 is not UTF-8"),
        (vec![b'#'; LIMIT as usize + 1], "is larger than 1024 KiB: that is no configuration"),
    ] {
        std::fs::write(&path, content).unwrap();
        let error = Config::load_in(Some(&path), &around(&[])).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn every_kind_has_a_schedule_that_lasts() {
    let text = format!(
        "{RELAY}[channels.hook]\nkind = \"webhook\"\nurl = \"https://example.org\"\n\
         [channels.program]\nkind = \"exec\"\ncommand = [\"true\"]"
    );
    let config = load(&text).unwrap();
    let policy = |name: &str| config.channels[name].policy.clone();
    assert_eq!(policy("relay").retry.to_string(), "1m, 5m, 15m, 30m, 1h*4, 4h*29");
    for name in ["hook", "program", "outbox"] {
        assert_eq!(policy(name).retry.to_string(), "30s, 5m, 30m");
    }
    let retries = 0..u32::try_from(policy("relay").retry.retries()).unwrap();
    let lasts: Duration = retries.filter_map(|used| policy("relay").retry.wait(used, 0.5)).sum();
    assert!(lasts >= policy("relay").give_up_after, "the schedule ends before mail is given up");
}

#[test]
fn what_is_shown_says_where_it_comes_from_and_hides_secrets() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("n.toml");
    let secrets = "user = \"u\"\npassword = \"hunter2\"\n[channels.hook]\nkind = \"webhook\"\n\
        url = \"https://example.org/hunter2\"\nheaders = { authorization = \"hunter2\" }\n\
        [channels.program]\nkind = \"exec\"\ncommand = [\"true\"]\nenv = { TOKEN = \"hunter2\" }";
    std::fs::write(&path, format!("{RELAY}{secrets}")).unwrap();
    let around = around(&[("NOTIFYCTL_CHANNELS__RELAY__RATE", "5/s")]);
    let shown = Effective::load_in(Some(&path), &around).unwrap();
    assert!(!format!("{shown:?}").contains("hunter2"));
    let of = |table: &[&str], key: &str| {
        let entry = shown.entries.iter().find(|entry| entry.table == table && entry.key == key).unwrap();
        let origin = entry.origin.to_string().replace(&format!("{}/", dir.path().display()), "");
        format!("{} # {origin}", entry.value)
    };
    let relay = ["channels", "relay"];
    assert_eq!(of(&relay, "host"), "\"relay.example.org\" # n.toml:3");
    assert_eq!(of(&relay, "port"), "587 # default");
    assert_eq!(of(&relay, "rate"), "\"5/1s\" # $NOTIFYCTL_CHANNELS__RELAY__RATE");
    assert_eq!(of(&relay, "password"), "\"[redacted]\" # n.toml:5");
    assert_eq!(of(&["channels", "hook"], "headers"), "{ authorization = \"[redacted]\" } # n.toml:9");
    assert_eq!(of(&["channels", "program"], "env"), "{ TOKEN = \"[redacted]\" } # n.toml:13");
    assert_eq!(of(&["store"], "url"), "\"sqlite:///home/ops/.local/state/notifyctl/notifyctl.db\" # default");
}

proptest! {
    #[test]
    fn no_text_and_no_variable_makes_it_panic(
        lines in prop::collection::vec(
            prop_oneof![
                Just("[store]".to_owned()), Just("[channels.a]".to_owned()), Just("[[channels.a]]".to_owned()),
                Just("kind = \"smtp\"".to_owned()), Just("host = \"x\"".to_owned()), Just("channels = 1".to_owned()),
                "(url|rate|retry|timeout|to|port|password|a.b) = [-0-9a-z\"'\\[\\]{}=., /*]{0,12}", "\\PC{0,20}",
            ],
            0..8,
        ),
        name in "NOTIFYCTL_(STORE|CHANNELS|CHANNELS__A|DEFAULTS)__(URL|RATE|PORT|A|__)",
        value in "[-0-9a-z\"'\\[\\]{}=., \u{e9}]{0,12}",
    ) {
        let _ = load_with(&lines.join("\n"), &[(&name, &value)]);
    }

    #[test]
    fn a_secret_is_in_no_error_however_it_is_misspelt(
        before in "[\"'\\[{(\\\\=., ]{0,3}",
        after in "[\"'\\]})\\\\=., 0]{0,3}",
        key in "password|password = \"x\"\npassword|token_command|headers|url|rate|port",
        from_environment in any::<bool>(),
    ) {
        let value = format!("{before}hunter2{after}");
        let answer = if from_environment && !key.contains(' ') && !matches!(&*key, "rate" | "port") {
            let name = format!("NOTIFYCTL_CHANNELS__RELAY__{}", key.to_ascii_uppercase());
            load_with(RELAY, &[(&name, &value)])
        } else if matches!(&*key, "rate" | "port") {
            load(&format!("{RELAY}password = {value}\n{key} = \"-1\""))
        } else {
            load(&format!("{RELAY}{key} = {value}"))
        };
        if let Err(error) = answer {
            prop_assert!(!error.contains("hunter2"), "{}", error);
        }
    }
}

#[test]
fn each_key_of_many_channels_is_shown_with_its_origin() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.toml");
    let channels = (0..400).map(|n| RELAY.replace("relay]", &format!("relay-{n}]")));
    std::fs::write(&path, channels.collect::<String>()).unwrap();
    let shown = Effective::load_in(Some(&path), &around(&[])).unwrap();
    let hosts = shown.entries.iter().filter(|entry| entry.key == "host" && entry.origin != Origin::Default);
    assert_eq!(hosts.count(), 400);
}
