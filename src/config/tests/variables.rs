//! What variables set, and which key each means.

use super::*;
use crate::secret::ExposeSecret;

#[test]
fn a_variable_overrides_the_file_and_its_trouble_names_it() {
    let config = load_with(
        &format!("{RELAY}port = 25"),
        &[
            ("NOTIFYCTL_CHANNELS__RELAY__PORT", "2525"),
            ("NOTIFYCTL_CHANNELS__RELAY__RATE", "[\"5/s\", \"100/min\"]"),
            ("NOTIFYCTL_CHANNELS__RELAY__USER", "12345678"),
            ("NOTIFYCTL_CHANNELS__RELAY__PASSWORD", "[x"),
            ("NOTIFYCTL_STORE__URL", "sqlite:///srv/q.db"),
            ("NOTIFYCTL_DEFAULTS__TTL", "\"2h\""),
            ("NOTIFYCTL_CHANNELS__HOOK__KIND", "webhook"),
            ("NOTIFYCTL_CHANNELS__HOOK__URL", "https://example.org/"),
            // Not ours to judge: programs are handed such variables.
            ("NOTIFYCTL_ID", "7"),
            ("NOTIFYCTL_LOG", "debug"),
        ],
    )
    .unwrap();
    let Options::Smtp(options) = &config.channels["relay"].options else { panic!("not of kind smtp") };
    assert_eq!((options.port, options.user.as_deref()), (Some(2525), Some("12345678")));
    assert_eq!(config.channels["relay"].rates.len(), 2);
    assert_eq!(config.store.url.to_string(), "sqlite:///srv/q.db");
    assert_eq!(config.defaults.ttl, Some(Duration::from_secs(7_200)));
    assert_eq!(config.channels["hook"].options.kind(), Kind::Webhook);

    for (name, value, expected) in [
        ("STORE__URL", "q.db", ": store.url: the kind of store is not known; write sqlite:///path"),
        ("STORE__ULR", "x", ": store.ulr: is no key of [store]; did you mean `url`?"),
        ("CHANNELS__RELAY__PORT", "x", ": channels.relay.port: `x` is not a whole number in range"),
        (
            "CHANNELS__RELAY__RATE",
            "[\"5/s\", \"5\"]",
            ": channels.relay.rate[1]: `5` is not a rate like `50/10s` or `300/min` (at least 1, over one second to 31 days)",
        ),
        (
            "CHANNELS__RELAY__PASSWORD",
            "[\"hunter2\"]",
            ": channels.relay.password: is a list, where a string is expected",
        ),
        ("CHANNELS__RELAY__HOST__X", "1", ": `channels.relay.host` is set, and is no table"),
        ("_STORE__URL", "x", ": is not the name of a key; write it as in NOTIFYCTL_STORE__URL"),
        ("STORE_URL", "x", ": a table and its key are joined by two underscores: NOTIFYCTL_STORE__URL"),
    ] {
        let error = load_with(RELAY, &[(&format!("NOTIFYCTL_{name}"), value)]).unwrap_err();
        assert_eq!(error, format!("$NOTIFYCTL_{name}{expected}"));
    }
}

#[test]
fn a_variable_for_a_programs_environment_keeps_its_letters() {
    let text = "[channels.tell]\nkind = \"exec\"\ncommand = [\"cat\"]\nenv = { http_proxy = \"1\", HTTP_PROXY = \"2\" }";
    let set = ["API_TOKEN", "HTTP_PROXY", "no_proxy", "NO_PROXY", "Http_Proxy"]
        .map(|name| (format!("NOTIFYCTL_CHANNELS__TELL__ENV__{name}"), name));
    let set: Vec<_> = set.iter().map(|(name, value)| (&**name, *value)).collect();
    let config = load_with(text, &set).unwrap();
    let Options::Exec(options) = &config.channels["tell"].options else { panic!("not of kind exec") };
    let env: Vec<_> =
        options.env.iter().map(|(name, value)| format!("{name}={}", value.expose_secret())).collect();
    let wanted = [
        "API_TOKEN=API_TOKEN",
        "HTTP_PROXY=HTTP_PROXY",
        "Http_Proxy=Http_Proxy",
        "NO_PROXY=NO_PROXY",
        "http_proxy=1",
        "no_proxy=no_proxy",
    ];
    assert_eq!(env, wanted);
}

#[test]
fn a_variable_finds_a_channel_whose_name_no_shell_could_spell() {
    let text = "[channels.My-Relay]\nkind = \"smtp\"\nhost = \"a.example.org\"";
    let config = load_with(text, &[("NOTIFYCTL_CHANNELS__MY_RELAY__HOST", "b.example.org")]).unwrap();
    let Options::Smtp(options) = &config.channels["My-Relay"].options else { panic!("not of kind smtp") };
    assert_eq!(options.host, "b.example.org");
}
