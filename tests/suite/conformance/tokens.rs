//! Who may speak to us: tokens are kept, found, revoked for ever, and their last use is known.

use std::time::Duration;

use notifyctl::model::token::{Scope, Scopes, Standing};
use notifyctl::secret::token::Fingerprint;
use notifyctl::store::{NewToken, Store, Token};

use super::{Place, T, at, sound};

fn new(name: &str) -> NewToken {
    NewToken {
        name: name.into(),
        fingerprint: Fingerprint([7; 32]),
        scopes: [Scope::Enqueue, Scope::Personal].into_iter().collect(),
        created_at: T,
        expires_at: Some(at(100)),
    }
}

fn get(store: &dyn Store, id: i64) -> Token {
    store.token(id).expect("read").expect("it is there")
}

pub fn a_token_reads_back_and_its_number_is_never_used_again(place: &dyn Place) {
    let mut store = place.open();
    assert_eq!(store.tokens().unwrap(), []);
    let (ann, bob) = (store.create_token(&new("ann")).unwrap(), store.create_token(&new("bob")).unwrap());
    assert!(bob > ann && ann > 0);
    let expected = Token {
        id: ann,
        name: "ann".into(),
        fingerprint: Fingerprint([7; 32]),
        scopes: [Scope::Enqueue, Scope::Personal].into_iter().collect::<Scopes>(),
        created_at: T,
        expires_at: Some(at(100)),
        revoked_at: None,
        used_at: None,
    };
    // Also by another process.
    assert_eq!(get(&*place.open(), ann), expected);
    let names: Vec<_> = store.tokens().unwrap().into_iter().map(|token| token.name).collect();
    assert_eq!(names, ["ann", "bob"]);
    assert_eq!(store.token(bob + 1).unwrap(), None);
    sound(&*store);
}

pub fn a_token_is_good_until_it_expires_or_is_revoked(place: &dyn Place) {
    let mut store = place.open();
    let id = store.create_token(&new("ann")).unwrap();
    let other = store.create_token(&NewToken { expires_at: None, ..new("bob") }).unwrap();
    assert_eq!(get(&*store, id).standing(at(99)), Standing::Good);
    assert_eq!(get(&*store, id).standing(at(100)), Standing::Expired);
    assert_eq!(get(&*store, other).standing(at(1_000_000)), Standing::Good);
    assert!(place.open().revoke_token(at(5), id).unwrap());
    // The first moment stands.
    assert!(!store.revoke_token(at(9), id).unwrap());
    assert_eq!(get(&*store, id).revoked_at, Some(at(5)));
    assert_eq!(get(&*store, id).standing(at(5)), Standing::Revoked);
    assert!(!store.revoke_token(at(9), other + 1).unwrap());
    assert_eq!(get(&*store, other).standing(at(9)), Standing::Good);
}

pub fn the_last_use_of_a_token_is_the_latest(place: &dyn Place) {
    let mut store = place.open();
    let id = store.create_token(&new("ann")).unwrap();
    store.token_used(at(60), id).unwrap();
    // Another process tells later of an earlier use.
    place.open().token_used(at(30), id).unwrap();
    assert_eq!(get(&*store, id).used_at, Some(at(60)));
    store.token_used(at(60).plus(Duration::from_millis(1)), id).unwrap();
    assert_eq!(get(&*store, id).used_at, Some(at(60).plus(Duration::from_millis(1))));
    store.token_used(at(70), id + 1).unwrap();
}
