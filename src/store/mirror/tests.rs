//! The mirror: what the cache of sessions forgets, and what it must not.

use super::*;
use crate::model::app::Strategy;
use crate::model::device::DeviceKind;
use crate::model::network::Network;
use crate::store::tables::Stored;

const OPENED: Time = Time::from_ms(1_800_000_000_000);
const LATER: Time = Time::from_ms(1_800_000_000_000 + 50 * MINUTE_MS);

fn session(n: u8) -> Session {
    Session {
        id: SessionId::from_bytes([n; 16]),
        user: UserId::from_bytes([9; 16]),
        app: "own".parse().unwrap(),
        strategy: Strategy::Session,
        epoch: 1,
        opened_at: OPENED,
        ends_at: OPENED.plus_minutes(720),
        idle_minutes: 60,
        proven_at: OPENED,
        device: String::new(),
        device_kind: DeviceKind::Unknown,
        address: "192.0.2.1".into(),
        network: Network::of([192, 0, 2, 1].into()),
        data: None,
        data_revision: 0,
        ended: None,
    }
}

fn row(n: u8) -> Row<Session> {
    let value = session(n);
    Row { key: Session::key(&value.id), version: 1, value }
}

fn publish(mirror: &Mirror, n: u8) {
    let session = session(n);
    let record = Record { version: 2, payload: codec::encode(&session) };
    mirror.publish(&[Change { key: Session::key(&session.id), new: Some(record) }]);
}

fn seen(mirror: &Mirror, n: u8) -> Option<Time> {
    match mirror.view().session(&SessionId::from_bytes([n; 16])) {
        Cached::Hit(live) => Some(live.last_seen()),
        Cached::Miss(_) => None,
    }
}

fn stamp(mirror: &Mirror, n: u8) -> Stamp {
    match mirror.view().session(&SessionId::from_bytes([n; 16])) {
        Cached::Miss(stamp) => stamp,
        Cached::Hit(_) => panic!("it is held"),
    }
}

fn fill(mirror: &Mirror, n: u8, seen: Time) {
    mirror.fill_session(stamp(mirror, n), row(n), seen);
}

#[test]
fn a_change_of_a_session_that_is_not_held_does_not_make_it_look_unused() {
    let mirror = Mirror::new(1);
    fill(&mirror, 1, LATER);
    // Another takes its place; then its record changes.
    fill(&mirror, 2, OPENED);
    publish(&mirror, 1);
    assert_eq!(seen(&mirror, 1), None, "only the store knows when it was last seen");
    fill(&mirror, 1, LATER);
    publish(&mirror, 1);
    assert_eq!(seen(&mirror, 1), Some(LATER));
}

#[test]
fn what_was_read_before_a_change_was_published_is_not_kept() {
    let mirror = Mirror::new(10);
    let stamp = stamp(&mirror, 1);
    publish(&mirror, 1);
    mirror.fill_session(stamp, row(1), OPENED);
    assert_eq!(seen(&mirror, 1), None);
}

#[test]
fn a_use_that_is_published_while_a_reader_reads_is_not_lost() {
    let mirror = Mirror::new(10);
    let stamp = stamp(&mirror, 1);
    let record = Record { version: 2, payload: codec::encode(&Seen { at: LATER }) };
    mirror.publish(&[Change { key: Seen::key(&[1; 16]), new: Some(record) }]);
    mirror.fill_session(stamp, row(1), OPENED);
    assert_eq!(seen(&mirror, 1), None, "what was read is older than the use");
}

#[test]
fn a_session_that_had_to_leave_keeps_when_it_was_last_seen() {
    let mirror = Mirror::new(1);
    fill(&mirror, 1, OPENED);
    {
        let view = mirror.view();
        let Cached::Hit(live) = view.session(&SessionId::from_bytes([1; 16])) else { panic!("not held") };
        view.touch(live, OPENED.plus_ms(1));
    }
    // Whoever was used stays for another round.
    fill(&mirror, 2, OPENED);
    fill(&mirror, 3, OPENED);
    assert_eq!(mirror.last_seen(&SessionId::from_bytes([1; 16]), OPENED), OPENED.plus_ms(1));
    fill(&mirror, 1, OPENED);
    assert_eq!(seen(&mirror, 1), Some(OPENED.plus_ms(1)));
}
