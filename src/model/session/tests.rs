//! When a session is over, and how it is said to have ended.

use super::*;
use crate::model::user::{Cut, Role};

const OPENED: Time = Time::from_ms(1_800_000_000_000);
/// 90 minutes idle, 12 hours in all.
const IDLE_MS: i64 = 90 * MINUTE_MS;
const LIFE_MS: i64 = 720 * MINUTE_MS;

fn session() -> Session {
    Session {
        id: SessionId::from_bytes([1; 16]),
        user: UserId::from_bytes([2; 16]),
        app: "own".parse().unwrap(),
        strategy: Strategy::Session,
        epoch: 3,
        opened_at: OPENED,
        ends_at: OPENED.plus_ms(LIFE_MS),
        idle_minutes: 90,
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

fn user() -> User {
    User {
        id: UserId::from_bytes([2; 16]),
        login: "anna".into(),
        email: None,
        email_verified: false,
        name: String::new(),
        role: Role::User,
        groups: Vec::new(),
        standing: Standing::Enabled,
        epoch: 3,
        cut: None,
        password_generation: 1,
        password_changed_at: None,
        created_at: OPENED,
    }
}

fn app() -> App {
    App {
        id: "own".parse().unwrap(),
        name: "Own".into(),
        strategy: Strategy::Session,
        confidential: false,
        audience: "own".into(),
        algorithm: Default::default(),
        lifetimes: crate::model::app::Lifetimes {
            access_minutes: 10,
            idle_minutes: 90,
            absolute_minutes: 720,
            remember_minutes: 720,
        },
        origins: Vec::new(),
        replay_match: Default::default(),
        appliance_access: false,
        standing: AppStanding::Enabled,
        built_in: false,
        secrets: Vec::new(),
        created_at: OPENED,
    }
}

/// How it is over `after_ms` after it was opened and last seen.
fn over(session: &Session, user: Option<&User>, app: Option<&App>, after_ms: i64) -> Option<Ended> {
    session.over(OPENED, user, app, OPENED.plus_ms(after_ms))
}

fn reason(session: &Session, user: Option<&User>, app: Option<&App>, after_ms: i64) -> Option<EndedReason> {
    over(session, user, app, after_ms).map(|ended| ended.reason)
}

#[test]
fn without_its_user_or_its_app_it_is_over() {
    let (session, user, app) = (session(), user(), app());
    assert_eq!(reason(&session, None, Some(&app), 0), Some(EndedReason::UserDeleted));
    assert_eq!(reason(&session, Some(&user), None, 0), Some(EndedReason::AppDeleted));
    for (standing, expected) in
        [(AppStanding::Disabled, EndedReason::AppDisabled), (AppStanding::Deleted, EndedReason::AppDeleted)]
    {
        let app = App { standing, ..app.clone() };
        assert_eq!(reason(&session, Some(&user), Some(&app), 0), Some(expected));
    }
    for (standing, expected) in
        [(Standing::Disabled, EndedReason::UserDisabled), (Standing::Deleted, EndedReason::UserDeleted)]
    {
        let user = User { standing, ..user.clone() };
        assert_eq!(reason(&session, Some(&user), Some(&app), 0), Some(expected));
    }
}

#[test]
fn an_epoch_that_moved_on_ends_it_and_says_why_when_and_by_whom() {
    let (session, app) = (session(), app());
    let mut user = user();
    user.epoch = 4;
    assert_eq!(reason(&session, Some(&user), Some(&app), 0), Some(EndedReason::Revoked));
    let (at, by) = (OPENED.plus_ms(-5), Actor::Console);
    user.cut = Some(Cut { at, reason: EndedReason::PasswordChanged, by });
    let ended = Some(Ended { at, reason: EndedReason::PasswordChanged, by });
    assert_eq!(over(&session, Some(&user), Some(&app), 0), ended);
    // A cut in the same millisecond as a sign-in: the number decides, not the time.
    user.epoch = 3;
    user.cut = Some(Cut { at: OPENED, reason: EndedReason::CutOff, by });
    assert_eq!(over(&session, Some(&user), Some(&app), 0), None);
}

#[test]
fn it_is_idle_from_the_very_end_of_its_idle_time() {
    let (mut session, user, app) = (session(), user(), app());
    let reason = |session: &Session, after_ms| reason(session, Some(&user), Some(&app), after_ms);
    assert_eq!(reason(&session, IDLE_MS), Some(EndedReason::IdleExpired));
    assert_eq!(reason(&session, IDLE_MS - 1), None);
    // Long after both ends it is still the earlier one that ended it.
    let ended = over(&session, Some(&user), Some(&app), 2 * LIFE_MS).unwrap();
    assert_eq!((ended.reason, ended.at), (EndedReason::IdleExpired, OPENED.plus_ms(IDLE_MS)));
    let seen = OPENED.plus_ms(IDLE_MS - 1);
    assert_eq!(session.over(seen, Some(&user), Some(&app), OPENED.plus_ms(IDLE_MS)), None);
    session.idle_minutes = 0;
    assert_eq!(reason(&session, LIFE_MS - 1), None);
    assert_eq!(session.idle_ends_at(OPENED), None);
}

#[test]
fn it_ends_at_its_absolute_end_however_busy_it_is() {
    let (session, user, app) = (session(), user(), app());
    let end = OPENED.plus_ms(LIFE_MS);
    for (last_seen, now, expected) in [
        (end.plus_ms(-1), end, Some(EndedReason::Expired)),
        (end.plus_ms(-1), end.plus_ms(LIFE_MS), Some(EndedReason::Expired)),
        // Both ends in the same millisecond: it was not idle.
        (end.plus_ms(-IDLE_MS), end, Some(EndedReason::Expired)),
        (end.plus_ms(-IDLE_MS - 1), end, Some(EndedReason::IdleExpired)),
        (end.plus_ms(-1), end.plus_ms(-1), None),
    ] {
        let ended = session.over(last_seen, Some(&user), Some(&app), now);
        assert_eq!(ended.as_ref().map(|ended| ended.reason), expected);
        let at = ended.map(|ended| ended.at);
        assert!(at.is_none_or(|at| at <= end), "it cannot have ended after its end");
    }
}

/// Everything that could be said of a session at once, the first to be said first.
#[test]
fn of_several_reasons_the_first_of_the_order_is_told() {
    let mut session = session();
    let mut user = User { epoch: 4, standing: Standing::Deleted, ..user() };
    user.cut = Some(Cut { at: OPENED, reason: EndedReason::CutOff, by: Actor::System });
    let mut app = App { standing: AppStanding::Deleted, ..app() };
    let ended = Ended { at: OPENED, reason: EndedReason::Logout, by: Actor::User(user.id) };
    session.ended = Some(ended.clone());
    assert_eq!(over(&session, None, None, 2 * LIFE_MS), Some(ended));
    session.ended = None;
    let said =
        |session: &Session, user: &User, app: &App| reason(session, Some(user), Some(app), 2 * LIFE_MS);
    assert_eq!(said(&session, &user, &app), Some(EndedReason::UserDeleted));
    user.standing = Standing::Disabled;
    assert_eq!(said(&session, &user, &app), Some(EndedReason::CutOff));
    user.epoch = 3;
    assert_eq!(said(&session, &user, &app), Some(EndedReason::UserDisabled));
    user.standing = Standing::Enabled;
    assert_eq!(said(&session, &user, &app), Some(EndedReason::AppDeleted));
    app.standing = AppStanding::Disabled;
    assert_eq!(said(&session, &user, &app), Some(EndedReason::AppDisabled));
    app.standing = AppStanding::Enabled;
    assert_eq!(said(&session, &user, &app), Some(EndedReason::IdleExpired));
    session.idle_minutes = 0;
    assert_eq!(said(&session, &user, &app), Some(EndedReason::Expired));
    session.ends_at = OPENED.plus_ms(3 * LIFE_MS);
    assert_eq!(said(&session, &user, &app), None);
}

#[test]
fn a_replaced_credential_answers_until_its_time_and_not_at_it() {
    let mut credential = SessionCredential {
        session: SessionId::from_bytes([1; 16]),
        epoch: 1,
        proven_at: OPENED,
        answers_until: Some(OPENED),
        ends_at: OPENED.plus_ms(LIFE_MS),
    };
    assert!(!credential.answers(OPENED));
    assert!(!credential.answers(OPENED.plus_ms(1)));
    assert!(credential.answers(OPENED.plus_ms(-1)));
    credential.answers_until = None;
    assert!(credential.answers(OPENED.plus_ms(LIFE_MS)));
}
