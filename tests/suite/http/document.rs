//! The OpenAPI document: as it is kept beside the code, and as an outsider tests the daemon by it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::ground::Ground;

#[test]
fn the_document_is_kept_as_it_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/openapi.json");
    let made = notifyctl::http::document().expect("a document") + "\n";
    for _ in 0..16 {
        assert!(
            notifyctl::http::document().expect("a document") + "\n" == made,
            "it is another one each time"
        );
    }
    if std::env::var_os("NOTIFYCTL_BLESS").is_some() {
        std::fs::write(&path, &made).expect("write the document");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        made == kept,
        "etc/openapi.json is old; NOTIFYCTL_BLESS=1 cargo test --test suite http::document writes it"
    );
    let ground = Ground::accepting("");
    let served: Value = ground.ask("/v1/openapi.json", &[]).json();
    assert_eq!(served, serde_json::from_str::<Value>(&kept).expect("JSON"));
}

/// Two shapes of one name would hide one another: the one that is hidden is referred to by nobody.
#[test]
fn every_name_leads_somewhere_and_somebody_follows_it() {
    let document: Value =
        serde_json::from_str(&notifyctl::http::document().expect("a document")).expect("JSON");
    let mut followed = BTreeSet::new();
    references(&document, &mut followed);
    // No answer is one frame: they are told of in words.
    followed.insert("Frame".to_owned());
    let named: BTreeSet<_> =
        document["components"]["schemas"].as_object().expect("schemas").keys().cloned().collect();
    assert_eq!(followed, named);
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let name = fields.get("$ref").and_then(Value::as_str);
            found.extend(name.and_then(|name| name.strip_prefix("#/components/schemas/")).map(str::to_owned));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(all) => all.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// The document with what no schema knows: which channels and users this daemon has, what time it is, and how long this test
/// may take. Of this one it holds that whatever fits it is accepted, and nothing else.
fn of_this_daemon(mut document: Value) -> Value {
    let schemas = &mut document["components"]["schemas"];
    let row = &mut schemas["NewNotification"]["properties"];
    row["channel"] = json!({"enum": ["run", null]});
    row["user_id"] = json!({"enum": ["reader", null]});
    // Not beside the header `Idempotency-Key`, of which the body's schema knows nothing.
    row["key"] = json!({"type": "null"});
    // Years that are over and years that are not.
    for (name, years, leap) in
        [("Past", "19[0-9]{2}-", "19(0[48]"), ("Moment", "2[1-9][0-9]{2}-", "24(0[48]")]
    {
        let pattern = schemas[name]["pattern"].as_str().expect("a pattern").to_owned();
        let narrowed = pattern.replace("[0-9]{4}-", years).replace("[0-9]{2}(0[48]", leap);
        assert!(!narrowed.contains("[0-9]{4}-") && narrowed.matches(leap).count() >= 1, "{narrowed}");
        schemas[name]["pattern"] = narrowed.into();
    }
    schemas["Wait"] = json!({"type": "string", "pattern": "^[0-9]{1,2}ms$", "examples": ["1ms"]});
    document
}

/// schemathesis makes requests of the document, right ones and wrong ones, and looks at every answer: the right ones are
/// accepted, the wrong ones refused, and each is answered as the document says. What it finds is the same each time: its seed
/// is given.
#[test]
fn schemathesis_finds_nothing() {
    let ground = Ground::accepting(
        "loopback_without_token = true\naddress_limit = \"off\"\n[defaults]\nchannel = \"run\"\nkey_window = \"1ms\"",
    );
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-venv/bin/schemathesis");
    assert!(program.exists(), "{} is missing: `tests/run` makes it", program.display());
    ground.sandbox.ok(&["user", "set", "reader", "--to", "ops"]);
    // Something to be found by its id.
    for _ in 0..3 {
        assert_eq!(ground.post(r#"{"message": "x"}"#).status, 202);
    }
    let document = of_this_daemon(ground.ask("/v1/openapi.json", &[]).json());
    let path = ground.sandbox.path().join("openapi.json");
    std::fs::write(&path, document.to_string()).expect("write the document");
    // More rows than a request may hold are refused with 413, which it takes for no refusal unless it is told.
    let rules = "[checks.negative_data_rejection]\nexpected-statuses = [400, 401, 404, 405, 406, 409, 413, 415, 422]\n";
    std::fs::write(ground.sandbox.path().join("schemathesis.toml"), rules).expect("write its configuration");
    let output = Command::new(program)
        .args(["run", "openapi.json", "--url", &format!("http://{}", ground.daemon.address())])
        // The events without end are looked at elsewhere.
        .args(["--header", "Accept: application/json"])
        .args(["--seed", "1", "--max-examples", "10", "--no-color", "--continue-on-failure"])
        // How quick this machine is at making requests is no finding.
        .args(["--suppress-health-check", "too_slow"])
        // DELETE calls a notification off, which is there to be seen until it is purged.
        .args(["--exclude-checks", "use_after_free"])
        .current_dir(ground.sandbox.path())
        .output()
        .expect("run schemathesis");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for phase in ["Examples", "Coverage", "Fuzzing", "Stateful"] {
        assert!(said.contains(&format!("✅ {phase}")), "{phase} was left out: {said}");
    }
    // What it posted was read and taken, and did not just repeat a key.
    let metrics = ground.ask("/metrics", &[]).body;
    let posts = |status: &str| -> u32 {
        let name = "notifyctl_http_request_duration_seconds_count";
        let labels = format!("{{method=\"POST\",route=\"/v1/notifications\",status=\"{status}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(&labels));
        line.and_then(|count| count.parse().ok()).unwrap_or_default()
    };
    let counted = ["202", "400", "409", "422"].map(|status| (status, posts(status)));
    assert!(posts("202") > 100, "{counted:?}");
}
