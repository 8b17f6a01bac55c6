//! `/api/v1/admin/keys`, and how the keys rotate by themselves.

use crate::house::{Boss, House, Member, ORIGIN, text, verdict};
use hallpass::console::{self, Command};
use rocket::http::Method;
use rocket::tokio::time::timeout;
use serde_json::{Value, json};
use std::time::Duration;

const KEYS: &str = "/api/v1/admin/keys";
const JWKS: &str = "/.well-known/jwks.json";
const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

async fn furnished() -> (House, Boss) {
    let house = House::new().await;
    let boss = house.boss().await;
    boss.make_apps().await;
    house.make_user("ada", false).await;
    (house, boss)
}

/// Ada with an access token of twelve hours.
async fn ada(house: &House) -> Member {
    house.anyone().sign_in("ada", "tracked").await
}

fn header(member: &Member) -> Value {
    use base64::Engine as _;
    let header = member.secret().split('.').next().expect("a JWT");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).expect("base64url");
    serde_json::from_slice(&bytes).expect("a header")
}

fn kid(member: &Member) -> String {
    text(&header(member)["kid"])
}

/// The id of the key by which tokens are signed now.
async fn signs(house: &House) -> String {
    kid(&ada(house).await)
}

/// All keys as administrators see them, the newest first.
async fn listed(house: &House) -> Vec<Value> {
    house.boss().await.get(KEYS).await.is(200)["items"].as_array().expect("items").clone()
}

async fn states(house: &House) -> Vec<String> {
    listed(house).await.iter().map(|key| text(&key["state"])).collect()
}

async fn next(house: &House) -> Value {
    let next: Vec<_> = listed(house).await.into_iter().filter(|key| key["state"] == "next").collect();
    assert_eq!(next.len(), 1, "{next:?}");
    next[0].clone()
}

/// What verifiers see.
async fn published(house: &House) -> Vec<String> {
    let set = house.anyone().get(JWKS).await.is(200);
    set["keys"].as_array().expect("keys").iter().map(|key| text(&key["kid"])).collect()
}

async fn passes(house: &House, minutes: i64) {
    house.advance(minutes);
    house.keep_house().await;
}

async fn strike(house: &House, kid: &str) {
    let body = json!({ "kid": kid, "reason": "leaked" });
    house.boss().await.post("/api/v1/admin/blacklist", &body).await.is(201);
}

#[rocket::async_test]
async fn a_rotated_key_signs_no_more_but_its_tokens_live_on() {
    let (house, boss) = furnished().await;
    boss.post(&format!("{KEYS}/rotate"), &json!({ "algorithm": "HS256" }))
        .await
        .refused_field("algorithm", "invalid");
    let text_body = boss.ask(Method::Post, &format!("{KEYS}/rotate")).raw("text/plain", "{}");
    text_body.await.refused(415, "unsupported_media_type");
    assert_eq!(listed(&house).await.len(), 1);

    let old = house.anyone().sign_in("ada", "jwt").await;
    let rotated = boss.ask(Method::Post, &format!("{KEYS}/rotate")).await.is(201);
    old.is_alive().await;
    let new = house.anyone().sign_in("ada", "jwt").await;
    assert_eq!(kid(&new), text(&rotated["kid"]));
    assert_ne!(kid(&old), kid(&new));
    let jwks = house.anyone().get(JWKS).await.is(200);
    assert_eq!(jwks["keys"].as_array().map(Vec::len), Some(2));
    for member in ["d", "p", "q", "k"] {
        assert!(jwks["keys"].as_array().expect("keys").iter().all(|key| key[member].is_null()), "{member}");
    }
    passes(&house, 13 * HOUR + 1).await;
    assert_eq!(published(&house).await, [kid(&new)]);
}

#[rocket::async_test]
async fn every_algorithm_is_made_on_first_need() {
    let (house, boss) = furnished().await;
    for (algorithm, kind) in [("EdDSA", "OKP"), ("RS256", "RSA")] {
        let id = algorithm.to_lowercase();
        boss.make_app(&id, "tracked", json!({ "algorithm": algorithm })).await;
        assert!(!house.anyone().get(JWKS).await.body.contains(kind));
        let member = house.anyone().sign_in("ada", &id).await;
        member.is_alive().await;
        let header = header(&member);
        assert_eq!((&header["alg"], &header["typ"]), (&json!(algorithm), &json!("at+jwt")));
        assert!(house.anyone().get(JWKS).await.body.contains(kind));
        assert_eq!(verdict(house.anyone().check(member.secret())).await, "ok");
    }
}

#[rocket::async_test]
async fn a_key_that_nobody_rotates_is_followed_by_one_that_was_published_a_day_before() {
    let (house, _) = furnished().await;
    let old = signs(&house).await;
    passes(&house, 29 * DAY - 1).await;
    assert_eq!(published(&house).await, std::slice::from_ref(&old));

    passes(&house, 1).await;
    let new = next(&house).await;
    assert_eq!(text(&new["signs_from"]), house.now().plus_minutes(24 * 60).to_rfc3339());
    assert_eq!(new["retires_at"], Value::Null);
    let new = text(&new["kid"]);
    for restarted in [false, true] {
        let set = published(&house).await;
        assert!(set.len() == 2 && set.contains(&old) && set.contains(&new), "{set:?}");
        assert_eq!(signs(&house).await, old);
        if !restarted {
            house.restart().await;
            house.keep_house().await;
        }
    }

    passes(&house, DAY - 1).await;
    let member = ada(&house).await;
    assert_eq!(kid(&member), old);
    passes(&house, 1).await;
    assert_eq!(states(&house).await, ["active", "retiring"]);
    assert_eq!(signs(&house).await, new);
    member.is_alive().await;
    house.restart().await;
    assert_eq!(signs(&house).await, new);
    member.is_alive().await;
    // To the end of its own life, as if nothing had happened.
    passes(&house, 11 * HOUR).await;
    member.is_alive().await;

    passes(&house, 2 * HOUR).await;
    assert_eq!(published(&house).await, std::slice::from_ref(&new));
    assert_eq!(states(&house).await, ["active", "retired"]);

    // And on: its month counts from its first signature, not from when it was made.
    passes(&house, 29 * DAY - 13 * HOUR - 1).await;
    assert_eq!(states(&house).await, ["active"]);
    passes(&house, 1).await;
    assert_eq!(states(&house).await, ["next", "active"]);
    passes(&house, DAY).await;
    assert_ne!(signs(&house).await, new);
}

#[rocket::async_test]
async fn after_months_of_rest_the_next_key_is_still_published_before_it_signs() {
    let (house, _) = furnished().await;
    let old = signs(&house).await;
    house.advance(200 * DAY);
    house.restart().await;
    house.keep_house().await;
    let new = text(&next(&house).await["kid"]);
    passes(&house, DAY - 1).await;
    assert_eq!(signs(&house).await, old);
    passes(&house, 1).await;
    assert_eq!(signs(&house).await, new);

    // One that had been published before such a rest has waited long enough.
    passes(&house, 29 * DAY).await;
    let new = text(&next(&house).await["kid"]);
    house.advance(200 * DAY);
    house.restart().await;
    house.keep_house().await;
    assert_eq!(signs(&house).await, new);
    assert!(!states(&house).await.contains(&"next".into()));
}

#[rocket::async_test]
async fn only_algorithms_in_use_have_a_next_key() {
    let (house, boss) = furnished().await;
    boss.make_app("eddsa", "tracked", json!({ "algorithm": "EdDSA" })).await;
    boss.make_app("rs256", "tracked", json!({ "algorithm": "RS256" })).await;
    house.advance(10 * DAY);
    house.anyone().sign_in("ada", "eddsa").await;
    // Each by the age of its own.
    for (days, algorithms) in [(19, vec!["ES256"]), (1, vec![]), (9, vec!["EdDSA"]), (1, vec![])] {
        passes(&house, days * DAY).await;
        let keys = listed(&house).await;
        let next: Vec<_> = keys.iter().filter(|key| key["state"] == "next").collect();
        assert!(next.iter().map(|key| &key["algorithm"]).eq(&algorithms), "{keys:?}");
        assert!(keys.iter().all(|key| key["algorithm"] != "RS256"), "{keys:?}");
    }
}

#[rocket::async_test]
async fn a_blacklisted_next_key_is_replaced_and_never_signs() {
    let (house, _) = furnished().await;
    let old = signs(&house).await;
    passes(&house, 29 * DAY).await;
    let struck = text(&next(&house).await["kid"]);
    passes(&house, HOUR).await;
    strike(&house, &struck).await;
    assert_eq!(published(&house).await, std::slice::from_ref(&old));
    assert_eq!(signs(&house).await, old);

    // Housekeeping was woken: nobody waits a minute for the other one.
    let auth = house.auth();
    timeout(Duration::from_secs(10), auth.until_woken()).await.expect("striking leaves work behind");
    house.keep_house().await;
    let new = next(&house).await;
    assert_eq!(text(&new["signs_from"]), house.now().plus_minutes(24 * 60).to_rfc3339());
    assert_ne!(text(&new["kid"]), struck);
    passes(&house, DAY - 1).await;
    assert_eq!(signs(&house).await, old);
    passes(&house, 1).await;
    assert_eq!(signs(&house).await, text(&new["kid"]));
    // Long forgotten: the sweep has taken it.
    assert!(listed(&house).await.iter().all(|key| text(&key["kid"]) != struck));
}

#[rocket::async_test]
async fn whatever_ends_the_active_key_early_lets_the_published_one_sign_at_once() {
    for by_blacklist in [false, true] {
        let (house, _) = furnished().await;
        passes(&house, 29 * DAY).await;
        let member = ada(&house).await;
        let waiting = text(&next(&house).await["kid"]);
        if by_blacklist {
            strike(&house, &kid(&member)).await;
            assert_eq!(member.verdict().await, "token_blacklisted");
        } else {
            let rotated = house.boss().await.ask(Method::Post, &format!("{KEYS}/rotate")).await.is(201);
            assert_eq!(text(&rotated["kid"]), waiting);
            member.is_alive().await;
        }
        assert_eq!(signs(&house).await, waiting);
        // Its month has begun now, and not when it was to sign.
        passes(&house, 29 * DAY - 1).await;
        assert!(!states(&house).await.contains(&"next".into()));
        passes(&house, 1).await;
        assert_ne!(text(&next(&house).await["kid"]), waiting);
        assert_eq!(signs(&house).await, waiting);
    }
}

#[rocket::async_test]
async fn the_command_line_lists_the_next_key_with_its_time() {
    let (house, _) = furnished().await;
    passes(&house, 29 * DAY).await;
    let answer = console::run(&house.auth(), ORIGIN, Command::KeyList).await.expect("a list");
    let keys: Vec<_> = answer["keys"].as_array().expect("keys").iter().collect();
    assert_eq!((keys.len(), &keys[0]["state"]), (2, &json!("next")));
    assert_eq!(text(&keys[0]["signs_from"]), house.now().plus_minutes(24 * 60).to_rfc3339());
    assert_eq!(text(&keys[1]["signs_from"]), text(&keys[1]["created_at"]));
}
