//! The OpenAPI document: as it is kept beside the code, and as an outsider tests the daemon by it.

use std::path::Path;
use std::process::Command;

use super::ground::{Ground, socket};

#[test]
fn the_document_is_kept_as_it_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/openapi.json");
    let made = notifyctl::http::document().expect("a document") + "\n";
    if std::env::var_os("NOTIFYCTL_BLESS").is_some() {
        std::fs::write(&path, &made).expect("write the document");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        made == kept,
        "etc/openapi.json is old; NOTIFYCTL_BLESS=1 cargo test --test suite http::document writes it"
    );
    let ground = Ground::accepting("");
    let served: serde_json::Value = ground.ask("/v1/openapi.json", &[]).json();
    assert_eq!(served, serde_json::from_str::<serde_json::Value>(&kept).expect("JSON"));
}

/// schemathesis makes requests of the document, right ones and wrong ones, and looks at every answer. What it finds is
/// the same each time: its seed is given.
#[test]
fn schemathesis_finds_nothing() {
    let ground = Ground::accepting("loopback_without_token = true\naddress_limit = \"off\"");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-venv/bin/schemathesis");
    assert!(program.exists(), "{} is missing: `tests/run` makes it", program.display());
    // Something to be found by its id.
    for _ in 0..3 {
        assert_eq!(ground.post(r#"{"channel": "run", "message": "x"}"#).status, 202);
    }
    assert!(socket(&ground.sandbox).exists());
    let url = format!("http://{}", ground.daemon.address());
    let output = Command::new(program)
        .args(["run", &format!("{url}/v1/openapi.json"), "--url", &url])
        // The events without end are looked at elsewhere.
        .args(["--header", "Accept: application/json"])
        .args(["--seed", "1", "--max-examples", "40", "--no-color", "--phases", "examples,coverage,fuzzing"])
        // Not every text is a channel, a duration or a time, which no schema says.
        .args(["--exclude-checks", "positive_data_acceptance"])
        .current_dir(ground.sandbox.path())
        .output()
        .expect("run schemathesis");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
