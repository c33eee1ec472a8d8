//! What stands behind the `?`: each parameter is read, and refused, in the same way wherever it may stand.

use serde_json::Value;

use super::ground::Ground;

const JSON: [&str; 2] = ["--header", "Accept: application/json"];

#[test]
fn a_list_may_be_given_with_commas_and_by_saying_it_again() {
    let ground = Ground::accepting("");
    for _ in 0..3 {
        assert_eq!(ground.post(r#"{"channel": "run", "message": "x"}"#).status, 202);
    }
    ground.sandbox.ok(&["cancel", "1"]);
    ground.sandbox.ok(&["hold", "2"]);
    for query in
        ["status=cancelled&status=held", "status=cancelled,held", "status=cancelled,sent&status=held,dead"]
    {
        let listed = ground.ask(&format!("/v1/notifications?order=oldest&{query}"), &[]);
        assert_eq!(listed.status, 200, "{query}: {listed:?}");
        assert_eq!(ids(&listed.json()["notifications"]), [1, 2], "{query}");
        let told = ground.ask(&format!("/v1/events?after=0-0&{query}"), &JSON);
        assert_eq!(told.status, 200, "{query}: {told:?}");
        assert_eq!(ids(&told.json()["events"]), [1, 2], "{query}");
    }
    for query in ["type=held&type=cancelled", "type=held,cancelled"] {
        let told = ground.ask(&format!("/v1/events?after=0-0&{query}"), &JSON);
        assert_eq!(told.status, 200, "{query}: {told:?}");
        assert_eq!(ids(&told.json()["events"]), [1, 2], "{query}");
    }
}

fn ids(rows: &Value) -> Vec<i64> {
    rows.as_array().expect("a list").iter().map(|row| row["id"].as_i64().expect("an id")).collect()
}

/// Told by one and the same words everywhere, with what was probably meant.
#[test]
fn a_parameter_that_there_is_not_or_that_comes_twice_is_told_alike_everywhere() {
    let ground = Ground::accepting("");
    let post = ["--json", "{}"];
    for (path, args, near, twice) in [
        ("/v1/notifications", &JSON[..], "statsu=x: `status`", "limit=1&limit=2"),
        ("/v1/notifications", &post, "wiat=1s: `wait`", "wait=1s&wait=1s"),
        ("/v1/events", &JSON, "statsu=x: `status`", "last=1&last=1"),
        ("/v1/events", &JSON, "lats=5: `last`", "after=0-0&after=0-0"),
        ("/v1/history", &JSON, "snice=1h: `since`", "since=1h&since=1h"),
    ] {
        let said = |query: &str| {
            let refused = ground.ask(&format!("{path}?{query}"), args);
            assert_eq!(refused.status, 400, "{path}?{query}: {refused:?}");
            refused.problem();
            refused.json()["detail"].as_str().unwrap_or_default().to_owned()
        };
        let (query, meant) = near.split_once(": ").expect("both");
        let (name, _) = query.split_once('=').expect("a value");
        assert_eq!(said(query), format!("there is no parameter `{name}`; did you mean {meant}?"), "{path}");
        let (name, _) = twice.split_once('=').expect("a value");
        assert_eq!(said(twice), format!("{name}: is given twice"), "{path}");
    }
    for (query, says) in [
        ("last=x", "last: is not between 1 and 1000"),
        ("last=0", "last: is not between 1 and 1000"),
        ("id=x", "id: is not a positive number"),
        ("id=0", "id: is not a positive number"),
        ("after=7", "after: this is no cursor"),
        (
            "channel=a&wibble=1",
            "there is no parameter `wibble`; there are after, last, channel, type, status, id",
        ),
    ] {
        let said = ground.ask(&format!("/v1/events?{query}"), &JSON).json()["detail"].to_string();
        assert!(said.contains(says), "{query}: {said}");
    }
}

/// An empty variable of a script must not ask for everything.
#[test]
fn a_word_of_a_list_that_is_none_is_refused_with_all_there_are() {
    let ground = Ground::accepting("");
    for path in ["/v1/notifications", "/v1/events"] {
        for query in ["status=", "status=lost", "status=dead,", "status=dead,lost", "status=dead&status=lost"]
        {
            let refused = ground.ask(&format!("{path}?{query}"), &JSON);
            assert_eq!(refused.status, 400, "{path}?{query}: {refused:?}");
            let said = refused.problem();
            assert!(said.contains("status: `") && said.contains("one of pending, held"), "{path}: {said}");
        }
    }
    let refused = ground.ask("/v1/events?type=", &JSON);
    assert!(
        refused.status == 400 && refused.problem().contains("there are enqueued, attempt"),
        "{refused:?}"
    );
}
