//! A row that somebody else has spoilt does not stop the others.

use notifyctl::model::Status;

use crate::support::Sandbox;

#[test]
fn a_row_that_cannot_be_read_is_set_aside_and_the_rest_is_sent() {
    let sandbox = Sandbox::new();
    sandbox.ok(&[
        "enqueue",
        "--to",
        "a@example.org",
        "--to",
        "b@example.org",
        "--to",
        "c@example.org",
        "hello",
    ]);
    let spoil = rusqlite::Connection::open(sandbox.db()).expect("open");
    spoil.execute("UPDATE notifications SET headers = 'not JSON' WHERE id = 1", []).expect("spoil");
    spoil
        .execute("UPDATE notifications SET recipient = CAST(x'ff' AS TEXT) WHERE id = 3", [])
        .expect("spoil");
    drop(spoil);
    sandbox.ok(&["send-pending"]);
    let counts = sandbox.store().counts().expect("counts");
    assert_eq!((counts.of(Status::Sent), counts.of(Status::Dead)), (1, 2));
    sandbox.ok(&["db", "check"]);
    assert!(sandbox.ok(&["why", "1"]).contains("unsendable"));
}
