//! A clock that is set back revives nothing, be it while the appliance runs or between two runs, and leads nobody into
//! a future from which there is no way back.

use crate::house::{House, Member, PASSWORD, verdict};
use hallpass::auth::Refusal;
use hallpass::auth::check::Admin;
use hallpass::model::password::Password;
use serde_json::json;

const DAY: i64 = 24 * 60;
/// Minutes by which the clock is set back; the bound is two.
const JUMPS: [i64; 4] = [3, 60, 30 * DAY, 400 * DAY];

/// Somebody signed in by every strategy, and what an administrator has struck.
struct Over {
    house: House,
    members: Vec<Member>,
    code: String,
}

impl Over {
    async fn new() -> Self {
        let house = House::new().await;
        let boss = house.boss().await;
        boss.make_apps().await;
        house.make_user("ada", false).await;
        let mut members = house.anyone().sign_in_everywhere("ada").await;
        let struck = house.anyone().sign_in("ada", "jwt").await;
        let body = json!({ "token": struck.secret(), "reason": "stolen" });
        boss.post("/api/v1/admin/blacklist", &body).await.is(201);
        members.push(struck);
        let code = house.reset_code("ada").await;
        Self { house, members, code }
    }

    /// What checks and rotations say of everything that was handed out.
    async fn verdicts(&self) -> Vec<String> {
        let mut said = Vec::new();
        for member in &self.members {
            said.push(format!("{}: {}", member.name(), member.verdict().await));
            if member.refresh_token.is_some() {
                said.push(format!("{} refresh: {}", member.name(), member.refresh_verdict().await));
            }
        }
        let reset = self.house.auth();
        let reset = reset.reset_password(&self.code, Password::new(PASSWORD.into())).await;
        said.push(format!("code: {}", matches!(reset, Err(Refusal::InvalidCode))));
        said
    }

    #[track_caller]
    fn are_dead(said: &[String]) {
        assert!(said.iter().all(|said| !said.ends_with(": ok") && !said.ends_with("false")), "{said:#?}");
    }
}

/// After 31 days all that was handed out is over, and swept or not.
#[rocket::async_test]
async fn nothing_that_was_over_comes_back_by_a_clock_that_is_set_back() {
    for swept in [true, false] {
        for jump in JUMPS {
            let over = Over::new().await;
            over.house.advance(31 * DAY);
            if swept {
                over.house.keep_house().await;
            }
            let before = over.verdicts().await;
            Over::are_dead(&before);
            over.house.set_clock_by(-jump);
            assert_eq!(over.verdicts().await, before, "set back by {jump} minutes, swept: {swept}");
            // A process that runs keeps house every minute.
            over.house.keep_house().await;
            over.house.restart().await;
            Over::are_dead(&over.verdicts().await);
        }
    }
}

#[rocket::async_test]
async fn what_was_swept_stays_dead_where_the_clock_is_set_back_between_two_runs() {
    let over = Over::new().await;
    // The blacklist's entries are kept for 13 hours, longer than any token lives.
    over.house.advance(13 * 60 + 1);
    over.house.keep_house().await;
    let before = over.verdicts().await;
    for jump in [-20, -13 * 60, -400 * DAY] {
        over.house.set_clock_by(jump);
        over.house.restart().await;
        assert_eq!(over.verdicts().await, before, "{jump} minutes");
    }
}

#[rocket::async_test]
async fn a_proof_of_the_password_that_was_too_old_is_not_recent_again() {
    let house = House::new().await;
    let boss = house.boss().await;
    house.advance(11);
    boss.post("/api/v1/admin/keys/rotate", &json!({})).await.refused(403, "reauth_required");
    house.set_clock_by(-5);
    boss.post("/api/v1/admin/keys/rotate", &json!({})).await.refused(403, "reauth_required");
}

#[rocket::async_test]
async fn who_must_wait_waits_no_longer_and_no_shorter() {
    let house = House::new().await;
    house.make_user("ada", false).await;
    for _ in 0..10 {
        house.anyone().login("ada", "a wrong passphrase").await.refused(401, "invalid_credentials");
    }
    house.anyone().login("ada", PASSWORD).await.refused(429, "too_many_attempts");
    house.set_clock_by(-DAY);
    house.anyone().login("ada", PASSWORD).await.refused(429, "too_many_attempts");
    house.advance(1);
    house.anyone().login("ada", PASSWORD).await.is(200);
}

#[rocket::async_test]
async fn within_the_bound_time_stands_still_and_what_is_over_stays_over() {
    let house = House::new().await;
    house.make_user("ada", false).await;
    let member = house.anyone().sign_in("ada", "default").await;
    house.advance(10);
    let token = member.access_token.clone().unwrap();
    assert_eq!(verdict(house.anyone().check(&token)).await, "token_expired");
    let now = house.auth().now();
    house.set_clock_by(-2);
    assert_eq!(verdict(house.anyone().check(&token)).await, "token_expired");
    assert_eq!((house.auth().now(), house.auth().clock_behind_ms()), (now, None));
    house.advance(3);
    assert_eq!(house.auth().now(), now.plus_ms(60_000));
}

#[rocket::async_test]
async fn beyond_the_bound_time_goes_on_and_supervisors_are_told() {
    let house = House::new().await;
    house.make_user("ada", false).await;
    let ready = |clock| match clock {
        Some(clock) => json!({ "status": "ready", "clock": clock }),
        None => json!({ "status": "ready" }),
    };
    house.set_clock_by(-DAY);
    assert_eq!(house.anyone().get("/readyz").await.is(200), ready(Some("behind")));
    let member = house.anyone().sign_in("ada", "hallpass").await;
    house.advance(89);
    member.is_alive().await;
    house.advance(90);
    assert_eq!(member.verdict().await, "session_ended/idle_expired");
    house.set_clock_by(DAY);
    assert_eq!(house.anyone().get("/readyz").await.is(200), ready(None));
    assert_eq!(house.auth().now(), house.now());
}

#[rocket::async_test]
async fn the_way_back_from_a_time_that_was_wrong_is_to_end_everything() {
    let over = Over::new().await;
    let house = &over.house;
    house.set_clock_by(3650 * DAY);
    let astray = house.anyone().sign_in("ada", "refresh").await;
    house.keep_house().await;
    house.set_clock_by(-3650 * DAY);
    // Served all the same, also after a restart, but by the time that was seen.
    astray.is_alive().await;
    house.restart().await;
    astray.is_alive().await;
    assert!(house.auth().now() > house.now());

    house.auth().invalidate_all(&Admin::console()).await.unwrap();
    for _ in 0..2 {
        assert_eq!((house.auth().now(), house.auth().clock_behind_ms()), (house.now(), None));
        assert_eq!(astray.verdict().await, "token_blacklisted");
        assert_eq!(astray.refresh_verdict().await, "session_ended/invalidated");
        Over::are_dead(&over.verdicts().await);
        house.restart().await;
    }
    let member = house.anyone().sign_in("ada", "refresh").await;
    house.advance(11);
    assert_eq!(member.verdict().await, "token_expired");
}
