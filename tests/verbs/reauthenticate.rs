//! `POST /api/v1/auth/reauthenticate`: step-up, and what it does to the credential of before.

use crate::house::{Boss, House, Member, PASSWORD, STRATEGIES};
use serde_json::json;

const STEP_UP: &str = "/api/v1/auth/reauthenticate";

/// Apps of every strategy that open the appliance's API.
async fn furnished() -> (House, Boss) {
    let house = House::new().await;
    let boss = house.boss().await;
    for strategy in STRATEGIES {
        boss.make_app(strategy, strategy, json!({ "appliance_access": true, "access_minutes": 30 })).await;
    }
    (house, boss)
}

async fn may_make_users(member: &Member, login: &str) -> bool {
    let answer = member.post("/api/v1/admin/users", &json!({ "login": login })).await;
    if answer.status != 201 {
        answer.refused(403, "reauth_required");
    }
    answer.status == 201
}

#[rocket::async_test]
async fn a_wrong_password_proves_nothing_and_is_charged() {
    let (house, _) = furnished().await;
    house.anyone().post(STEP_UP, &json!({ "password": PASSWORD })).await.refused(401, "unauthenticated");
    house.make_user("ada", false).await;
    let ada = house.anyone().sign_in("ada", "session").await;
    ada.post(STEP_UP, &json!({})).await.refused_field("password", "required");
    ada.post(STEP_UP, &json!({ "password": PASSWORD, "login": "boss" }))
        .await
        .refused_field("login", "unknown_field");
    for _ in 0..10 {
        ada.reauthenticate("not the passphrase").await.refused(401, "invalid_credentials");
    }
    // The bucket is the account's, whatever the flow.
    ada.reauthenticate(PASSWORD).await.refused(429, "too_many_attempts");
    house.anyone().login("ada", PASSWORD).await.refused(429, "too_many_attempts");
    ada.is_alive().await;
}

#[rocket::async_test]
async fn every_strategy_steps_up_and_the_privilege_lasts_ten_minutes() {
    let (house, _) = furnished().await;
    for app in STRATEGIES {
        for way in ["body", "cookie"] {
            let answer = house.anyone().login_to("boss", app, way).await;
            let mut member = Member::new(&house, "boss", app, &answer);
            let speaks = |member: &Member| {
                if app == "refresh" && way == "cookie" { member.by_access_token() } else { member.clone() }
            };
            let name = |n: u8| format!("u{n}-{app}-{way}");
            assert!(may_make_users(&speaks(&member), &name(1)).await, "{app} {way}");
            house.advance(10);
            assert!(!may_make_users(&speaks(&member), &name(2)).await, "{app} {way}");
            let old = speaks(&member);
            member.take(&speaks(&member).reauthenticate(PASSWORD).await);
            assert_ne!(old.secret(), speaks(&member).secret(), "{app} {way}");
            assert!(may_make_users(&speaks(&member), &name(2)).await, "{app} {way}");
            // Whoever holds only the old value has gained nothing.
            assert!(old.verdict().await == "ok" && !may_make_users(&old, &name(3)).await, "{app} {way}");
            house.advance(10);
            assert!(!may_make_users(&speaks(&member), &name(3)).await, "{app} {way}");
        }
    }
}

#[rocket::async_test]
async fn the_old_cookie_answers_for_thirty_seconds_without_the_new_privilege() {
    let (house, _) = furnished().await;
    let old = house.anyone().sign_in_by_cookie("boss", "session").await;
    house.advance(11);
    let mut new = old.clone();
    new.take(&old.reauthenticate(PASSWORD).await);
    assert_eq!(new.session_id, old.session_id);
    assert!(!may_make_users(&old, "a").await);
    house.advance_ms(29_999);
    old.is_alive().await;
    // Nor does it come by the privilege on any way round.
    let mut others = old.clone();
    others.take(&old.logout("others").await);
    assert!(!may_make_users(&others, "a").await);
    house.advance_ms(1);
    assert_eq!(old.verdict().await, "invalid_token");
    house.restart().await;
    assert_eq!(old.verdict().await, "invalid_token");
}

#[rocket::async_test]
async fn a_refresh_token_goes_on_as_it_is() {
    let (house, _) = furnished().await;
    let member = house.anyone().sign_in("boss", "refresh").await;
    house.advance(11);
    let answer = member.reauthenticate(PASSWORD).await;
    let body = answer.is(200);
    assert!(body["refresh_token"].is_null() && body["access_token"].is_string());
    let (mut new, mut thief) = (member.clone(), member.clone());
    new.take(&answer);
    assert!(may_make_users(&new, "a").await);
    // Whoever has stolen it before does not come by the privilege through it.
    thief.take(&member.refresh().await);
    thief.is_alive().await;
    assert!(!may_make_users(&thief, "b").await);
}
