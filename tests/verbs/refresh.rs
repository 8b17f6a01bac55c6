//! `POST /api/v1/auth/refresh`: the rotation rule from outside.

use crate::house::{Answer, Credential, House, Member, ORIGIN, verdict};
use serde_json::{Value, json};

const REFRESH: &str = "/api/v1/auth/refresh";

async fn signed_in() -> (House, Member) {
    let house = House::new().await;
    house.boss().await;
    house.make_user("ada", false).await;
    let ada = house.anyone().sign_in("ada", "default").await;
    (house, ada)
}

fn token(answer: &Answer) -> String {
    crate::house::text(&answer.is(200)["refresh_token"])
}

#[rocket::async_test]
async fn what_is_no_refresh_token_is_refused() {
    let (house, ada) = signed_in().await;
    let anyone = house.anyone();
    let good = ada.refresh_token.clone().expect("a refresh token");
    for bad in
        ["", "x", ada.secret(), &format!("hpr_{}", "A".repeat(49)), &good[1..], &good[..good.len() - 1]]
    {
        anyone.refresh(bad).await.refused(401, "invalid_refresh_token");
    }
    let session = anyone.sign_in("ada", "hallpass").await;
    anyone.refresh(session.secret()).await.refused(401, "invalid_refresh_token");
    anyone.post(REFRESH, &json!({})).await.refused(401, "invalid_refresh_token");
    anyone.ask(rocket::http::Method::Post, REFRESH).await.refused(401, "invalid_refresh_token");
    anyone
        .post(REFRESH, &json!({ "refresh_token": good, "user": 1 }))
        .await
        .refused_field("user", "unknown_field");
    let text = anyone.ask(rocket::http::Method::Post, REFRESH).raw("text/plain", good.clone());
    text.await.refused(415, "unsupported_media_type");
    let malformed = anyone.ask(rocket::http::Method::Post, REFRESH).raw("application/json", "{");
    malformed.await.refused(400, "malformed_json");
    // None of it was a use.
    anyone.refresh(&good).await.is(200);
}

#[rocket::async_test]
async fn another_apps_token_is_refused_and_stays_good() {
    let (house, ada) = signed_in().await;
    let good = ada.refresh_token.clone().expect("a refresh token");
    let other = json!({ "refresh_token": good, "app": "hallpass" });
    house.anyone().post(REFRESH, &other).await.refused(401, "invalid_refresh_token");
    let own = json!({ "refresh_token": good, "app": "default" });
    house.anyone().post(REFRESH, &own).await.is(200);
}

#[rocket::async_test]
async fn a_rotation_gives_a_new_pair_and_no_user() {
    let (house, ada) = signed_in().await;
    let answer = ada.refresh().await;
    let body = answer.is(200);
    assert!(body["user"].is_null() && body["session_token"].is_null() && body["csrf_token"].is_null());
    assert_eq!(body["session"]["id"], ada.session_id());
    assert_ne!(body["refresh_token"], json!(ada.refresh_token));
    assert_ne!(body["access_token"], json!(ada.access_token));
    house.anyone().check(body["access_token"].as_str().unwrap_or_default()).await.is(200);
    // The old access token lives out its minutes: nothing was revoked.
    ada.is_alive().await;
}

#[rocket::async_test]
async fn two_tabs_get_the_same_successor_within_thirty_seconds() {
    let (house, ada) = signed_in().await;
    let first = token(&ada.refresh().await);
    house.advance_ms(29_999);
    assert_eq!(token(&ada.refresh().await), first);
    // Repeats do not extend the window.
    house.advance_ms(1);
    assert_ne!(token(&ada.refresh().await), first);
}

#[rocket::async_test]
async fn the_same_successor_is_given_again_after_a_restart() {
    let (house, ada) = signed_in().await;
    let first = token(&ada.refresh().await);
    house.restart().await;
    assert_eq!(token(&ada.refresh().await), first);
    house.anyone().refresh(&first).await.is(200);
}

#[rocket::async_test]
async fn a_reply_that_was_lost_is_repaired_hours_later() {
    let (house, ada) = signed_in().await;
    token(&ada.refresh().await);
    house.advance(300);
    let second = token(&ada.refresh().await);
    // Two tabs that wake together hours later: both get the same.
    assert_eq!(token(&ada.refresh().await), second);
    house.anyone().refresh(&second).await.is(200);
}

#[rocket::async_test]
async fn a_spent_token_whose_successor_was_used_ends_the_session_for_both() {
    let (house, ada) = signed_in().await;
    let second = token(&ada.refresh().await);
    let third = token(&house.anyone().refresh(&second).await);
    let refused = ada.refresh().await.refused(401, "refresh_reused");
    assert_eq!(refused["ended_reason"], "refresh_reused");
    let dead = "session_ended/refresh_reused";
    house.restart().await;
    for token in [ada.refresh_token.as_deref().unwrap_or_default(), &second, &third] {
        assert_eq!(verdict(house.anyone().refresh(token)).await, dead);
    }
    assert_eq!(ada.verdict().await, dead);
}

#[rocket::async_test]
async fn a_thief_elsewhere_and_the_owner_do_not_both_go_on() {
    let (house, ada) = signed_in().await;
    let stolen = ada.refresh_token.clone().expect("a refresh token");
    for thief_is_first in [true, false] {
        let ada = house.anyone().sign_in("ada", "default").await;
        let stolen = ada.refresh_token.clone().expect("a refresh token");
        let thief = || house.anyone().refresh(&stolen).from("198.51.100.7").agent("curl");
        let (one, two) = if thief_is_first {
            (token(&thief().await), token(&ada.refresh().await))
        } else {
            let one = token(&ada.refresh().await);
            (one, token(&thief().await))
        };
        assert_ne!(one, two);
        // The first one's successor was replaced: whoever holds it shows that there are two.
        house.anyone().refresh(&one).await.refused(401, "refresh_reused");
        assert_eq!(verdict(house.anyone().refresh(&two)).await, "session_ended/refresh_reused");
    }
    house.anyone().refresh(&stolen).await.is(200);
}

#[rocket::async_test]
async fn what_counts_as_the_same_place_is_the_apps_choice() {
    let house = House::new().await;
    let boss = house.boss().await;
    // (rule, other network, other agent): whether the same successor comes again.
    for (rule, elsewhere, other_agent) in
        [("network+agent", false, false), ("agent", true, false), ("none", true, true)]
    {
        let id = format!("app-{}", rule.replace('+', "-"));
        boss.make_app(&id, "refresh", json!({ "replay_match": rule })).await;
        for (from, agent, same) in
            [("127.0.0.1", "A", true), ("198.51.100.7", "A", elsewhere), ("127.0.0.1", "B", other_agent)]
        {
            let member = house.anyone().sign_in("boss", &id).await;
            let first = token(&member.refresh().agent("A").await);
            let again = token(&member.refresh().from(from).agent(agent).await);
            assert_eq!(first == again, same, "{rule} {from} {agent}");
        }
    }
}

#[rocket::async_test]
async fn a_token_is_reissued_five_times_and_no_more() {
    let (house, ada) = signed_in().await;
    token(&ada.refresh().await);
    for _ in 0..5 {
        house.advance(1);
        token(&ada.refresh().await);
    }
    house.advance(1);
    ada.refresh().await.refused(401, "invalid_refresh_token");
    // The last one that was given is still good.
    let session = ada.verdict().await;
    assert_eq!(session, "ok");
}

#[rocket::async_test]
async fn refresh_tokens_end_after_a_week_unused_and_after_a_month_anyway() {
    let (house, ada) = signed_in().await;
    let mut current = ada.clone();
    for _ in 0..4 {
        house.advance(7 * 24 * 60 - 1);
        current.take(&current.refresh().await);
    }
    house.advance(2 * 24 * 60 + 4);
    assert_eq!(current.refresh_verdict().await, "session_ended/expired");
    let idle = house.anyone().sign_in("ada", "default").await;
    house.advance(7 * 24 * 60);
    let over = idle.refresh_verdict().await;
    assert!(["token_expired", "session_ended/idle_expired"].contains(&over.as_str()), "{over}");
    house.keep_house().await;
    assert_ne!(idle.refresh_verdict().await, "ok");
}

#[rocket::async_test]
async fn by_cookie_it_needs_the_csrf_token_and_no_header_against_it() {
    let (house, _) = signed_in().await;
    let ada = house.anyone().sign_in_by_cookie("ada", "default").await;
    let Credential::Cookie { value, csrf, .. } = &ada.credential else { panic!("a cookie") };
    let bare =
        || house.anyone().post(REFRESH, &json!({})).header("Cookie", format!("__Host-hp-default={value}"));
    bare().await.refused(403, "csrf_failed");
    bare().header("X-CSRF-Token", "x").await.refused(403, "csrf_failed");
    bare().header("X-CSRF-Token", csrf).header("X-CSRF-Token", csrf).await.refused(403, "csrf_failed");
    for (name, against) in
        [("Origin", "null"), ("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")]
    {
        bare().header("X-CSRF-Token", csrf).header(name, against).await.refused(403, "csrf_failed");
    }
    let answer = bare().header("X-CSRF-Token", csrf).header("Origin", ORIGIN).await;
    let body: Value = answer.is(200);
    let next = answer.cookie("__Host-hp-default").expect("a new cookie");
    assert!(next != *value && !answer.body.contains(&next) && body["refresh_token"].is_null());
    assert_eq!(body["csrf_token"], json!(csrf));
    // A cookie's successor was never in a body, so its session is the same one.
    assert_eq!(body["session"]["id"], ada.session_id());
    house.anyone().check_cookie("default", &next).await.is(200);
}

#[rocket::async_test]
async fn of_two_cookies_the_one_of_the_app_whose_page_asks_is_rotated() {
    let house = House::new().await;
    let boss = house.boss().await;
    house.make_user("ada", false).await;
    for id in ["one", "two"] {
        boss.make_app(id, "refresh", json!({ "origins": [format!("https://{id}.example")] })).await;
    }
    let one = house.anyone().sign_in_by_cookie("ada", "one").await;
    let two = house.anyone().sign_in_by_cookie("ada", "two").await;
    let both = format!("__Host-hp-one={}; __Host-hp-two={}", one.secret(), two.secret());
    let refresh = |page: &str, csrf: &str| {
        let ask = house.anyone().post(REFRESH, &json!({})).header("Cookie", &both);
        ask.header("Origin", format!("https://{page}.example")).header("X-CSRF-Token", csrf)
    };
    refresh("three", one.csrf()).await.refused(401, "invalid_refresh_token");
    refresh("two", one.csrf()).await.refused(403, "csrf_failed");
    for (page, member) in [("one", &one), ("two", &two)] {
        let answer = refresh(page, member.csrf()).await;
        assert_eq!(answer.is(200)["session"]["id"], member.session_id());
        assert!(answer.cookie(&format!("__Host-hp-{page}")).is_some());
    }
}
