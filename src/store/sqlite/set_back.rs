//! A clock that was set back: what was reckoned by the clock as it was moves back with it.
//!
//! Otherwise a retry in half a minute would wait for half a minute and a day. What a user asked for by the clock
//! (`not_before`, `expires_at`) stays where it is.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::events::Told;
use super::exchange::Breakers;
use super::sql::sql;
use super::{trouble, windows};
use crate::model::Timestamp;
use crate::store::Exchange;

/// Sees to every channel of a round, before anything else is done with it. It was asked for `waited` ago, at the moment that
/// it names: behind a large batch it may have waited for longer than those who came after it.
pub(super) fn heed(
    connection: &Connection,
    exchange: &Exchange,
    waited: Duration,
    breakers: &mut Breakers,
) -> rusqlite::Result<()> {
    let now = exchange.now.plus(Duration::from_secs(waited.as_secs()));
    let settled = exchange.settle.iter().map(|settlement| settlement.channel.as_str());
    let unused = exchange.give_back.iter().map(|unused| unused.channel.as_str());
    let claimed = exchange.claim.iter().map(|claim| claim.channel.as_str());
    let mut last = None;
    for channel in settled.chain(unused).chain(claimed) {
        // Results of one channel come in long runs; one that is looked at twice is in order the second time.
        if last.replace(channel) != Some(channel) {
            heed_one(connection, channel, now, breakers)?;
        }
    }
    Ok(())
}

fn heed_one(
    connection: &Connection,
    channel: &str,
    now: Timestamp,
    breakers: &mut Breakers,
) -> rusqlite::Result<()> {
    let mut seen = connection.prepare_cached(sql!("channel_seen"))?;
    let seen: Option<Timestamp> = seen.query_row([channel], |row| row.get(0)).optional()?;
    let Some((seen, by)) = seen.and_then(|seen| Some((seen, now.set_back_since(seen)?))) else {
        return Ok(());
    };
    trouble::breaker(connection, breakers, channel)?.set_back(by);
    windows::set_back(connection, channel, seen, by)?;
    let moved = connection.prepare_cached(sql!("set_back"))?.execute(params![channel, now, seen])?;
    if moved > 0 {
        let mut told = Told::default();
        told.many_noted();
        told.write(connection, now)?;
    }
    connection.prepare_cached(sql!("set_back_claimed"))?.execute(params![channel, now, seen])?;
    connection.prepare_cached(sql!("channel_set_back"))?.execute(params![channel, now]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::Sqlite;
    use super::*;
    use crate::model::{Content, NewNotification, RateWindow};
    use crate::store::{Access, Claim, Reader, Writer};

    #[test]
    fn who_waited_for_long_and_finds_what_others_have_done_since_takes_no_clock_for_set_back() {
        let folder = tempfile::tempdir().unwrap();
        let (path, patience) = (folder.path().join("n.db"), Duration::from_secs(5));
        let asked = Timestamp(1_800_000_000_000);
        let later = asked.plus(Duration::from_secs(15));
        let mut store = Sqlite::open(&path, patience, Access::Create, asked).unwrap();
        let content = Content { recipient: "a".into(), message: "x".into(), ..Content::default() };
        let new = NewNotification { channel: "c".into(), content, ..NewNotification::default() };
        store.enqueue(later, later, &[new]).unwrap();
        let rates = vec!["2/10s".parse().unwrap()];
        let claim = Claim { channel: "c".into(), limit: 1, rates, lease: patience, lease_token: 1 };
        let exchange = |now| Exchange { now, claim: vec![claim.clone()], ..Exchange::default() };
        assert_eq!(store.exchange(&exchange(later)).unwrap().claims[0].claimed.len(), 1);
        let counted = |waited| {
            heed(&store.connection, &exchange(asked), Duration::from_secs(waited), &mut Breakers::new())
                .unwrap();
            let windows = windows::of_channel(&store.connection, "c", later).unwrap();
            windows.iter().map(|(_, window): &(_, RateWindow)| window.entries()[0].0).collect::<Vec<_>>()
        };
        let as_it_was = counted(14);
        assert!(as_it_was[0] > later);
        assert_eq!(counted(0), [as_it_was[0].minus(Duration::from_secs(15))], "a clock that was set back");
    }

    /// Whoever keeps answers would show until when it waits as it was.
    #[test]
    fn what_moves_back_with_the_clock_is_told_to_those_who_keep_answers() {
        let folder = tempfile::tempdir().unwrap();
        let (path, patience) = (folder.path().join("n.db"), Duration::from_secs(5));
        let (back, later) = (Timestamp(1_800_000_000_000), Timestamp(1_800_000_100_000));
        let mut store = Sqlite::open(&path, patience, Access::Create, back).unwrap();
        let content = Content { recipient: "a".into(), message: "x".into(), ..Content::default() };
        let new = NewNotification { channel: "c".into(), content, ..NewNotification::default() };
        let ids: Vec<_> = store.enqueue(later, later, &[new.clone(), new]).unwrap();
        let claim = |limit| Claim {
            channel: "c".into(),
            limit,
            rates: vec!["2/10s".parse().unwrap()],
            lease: patience,
            lease_token: 1,
        };
        let round = |now, limit| Exchange { now, claim: vec![claim(limit)], ..Exchange::default() };
        store.exchange(&round(later, 1)).unwrap();
        let before = store.mark().unwrap();
        let shown = |store: &Sqlite| store.get(ids[1].id).unwrap().unwrap().summary.next_attempt_at;
        let waited = shown(&store);
        store.exchange(&round(back, 0)).unwrap();
        assert!(shown(&store) < waited);
        let touched = store.touched(before.change, 100).unwrap();
        assert!(touched.through > before.change && touched.ids.is_none(), "{touched:?}");
    }
}
