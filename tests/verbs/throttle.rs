//! How often a sign-in may fail: by account, device, unknown name and address.

use crate::house::{Answer, Ask, House, PASSWORD};
use serde_json::json;

const WRONG: &str = "not the passphrase";

async fn furnished() -> House {
    let house = House::new().await;
    let boss = house.boss().await;
    let ada = house.make_user("ada", false).await;
    boss.change_user(&ada, json!({ "email": "ada@example.org" })).await.is(200);
    house
}

/// Fails from a place of its own each time, so that no address is held back.
fn failing(house: &House, login: &str, place: u8) -> Ask {
    house.anyone().login(login, WRONG).from(&format!("198.51.100.{place}"))
}

fn retry_after(answer: &Answer) -> u32 {
    answer.refused(429, "too_many_attempts");
    answer.header("retry-after").parse().expect("seconds")
}

#[rocket::async_test]
async fn an_account_has_ten_failures_over_all_its_names_and_flows() {
    let house = furnished().await;
    let ada = house.anyone().sign_in("ada", "default").await;
    for place in 0..4 {
        failing(&house, "ada", place).await.refused(401, "invalid_credentials");
        failing(&house, " ADA@example.ORG ", place).await.refused(401, "invalid_credentials");
    }
    ada.reauthenticate(WRONG).await.refused(401, "invalid_credentials");
    ada.change_password(WRONG, "quite another passphrase").await.refused(401, "invalid_credentials");
    // Whoever comes now is refused before any hash, with the right password as well.
    for login in ["ada", "ada@example.org", "ADA"] {
        assert_eq!(retry_after(&failing(&house, login, 99).await), 60);
        house.anyone().login(login, PASSWORD).await.refused(429, "too_many_attempts");
    }
    ada.reauthenticate(PASSWORD).await.refused(429, "too_many_attempts");
    ada.change_password(PASSWORD, "quite another passphrase").await.refused(429, "too_many_attempts");
    // Checks and other accounts are not touched by it.
    ada.is_alive().await;
    house.anyone().login("boss", PASSWORD).await.is(200);
    // One a minute comes back; a success gives back what it was charged, and no more.
    house.advance(1);
    for _ in 0..3 {
        house.anyone().login("ada", PASSWORD).await.is(200);
    }
    failing(&house, "ada", 1).await.refused(401, "invalid_credentials");
    house.anyone().login("ada", PASSWORD).await.refused(429, "too_many_attempts");
}

#[rocket::async_test]
async fn a_restart_frees_nobody() {
    let house = furnished().await;
    for place in 0..10 {
        failing(&house, "ada", place).await.refused(401, "invalid_credentials");
    }
    house.restart().await;
    house.anyone().login("ada", PASSWORD).await.refused(429, "too_many_attempts");
    house.advance(3);
    house.restart().await;
    for place in 0..3 {
        failing(&house, "ada", place).await.refused(401, "invalid_credentials");
    }
    house.anyone().login("ada", PASSWORD).await.refused(429, "too_many_attempts");
    house.advance(120);
    house.keep_house().await;
    house.anyone().login("ada", PASSWORD).await.is(200);
}

#[rocket::async_test]
async fn a_strangers_attack_does_not_block_the_owners_device() {
    let house = furnished().await;
    let by_cookie = house.anyone().login_to("ada", "hallpass", "cookie").await;
    let cookie =
        format!("__Host-hp-device={}", by_cookie.cookie("__Host-hp-device").expect("a device proof"));
    let token = house.anyone().sign_in("ada", "default").await.device_token.expect("a device proof");
    let bobs = house.anyone().sign_in("boss", "default").await.device_token.expect("a device proof");
    for place in 0..10 {
        failing(&house, "ada", place).await;
    }
    let known = |proof: &str, password: &str| {
        let body = json!({ "login": "ada", "password": password, "device_token": proof });
        house.anyone().post("/api/v1/auth/login", &body)
    };
    for nothing in ["", "x", bobs.as_str(), &token[1..], &format!("{token}A")] {
        known(nothing, PASSWORD).await.refused(429, "too_many_attempts");
    }
    known(&token, PASSWORD).await.is(200);
    house.anyone().login("ada", PASSWORD).header("Cookie", cookie.clone()).await.is(200);
    // A device has ten failures of its own; another device's are not touched.
    for _ in 0..10 {
        known(&token, WRONG).await.refused(401, "invalid_credentials");
    }
    known(&token, PASSWORD).await.refused(429, "too_many_attempts");
    house.restart().await;
    known(&token, PASSWORD).await.refused(429, "too_many_attempts");
    house.anyone().login("ada", PASSWORD).header("Cookie", cookie.clone()).await.is(200);
    // A new password makes strangers of all of them.
    let boss = house.boss().await;
    let ada = boss.get("/api/v1/admin/users?q=ada").await.is(200);
    let path = format!("/api/v1/admin/users/{}/password", crate::house::text(&ada["items"][0]["id"]));
    boss.put(&path, &json!({ "new_password": PASSWORD })).await.is(204);
    house.anyone().login("ada", PASSWORD).header("Cookie", cookie).await.refused(429, "too_many_attempts");
}

#[rocket::async_test]
async fn a_browser_remembers_the_proofs_of_several_accounts() {
    let house = furnished().await;
    let first = house.anyone().login_to("ada", "hallpass", "cookie").await;
    let cookie = first.cookie("__Host-hp-device").expect("a device proof");
    let second = house.anyone().login_to("boss", "hallpass", "cookie");
    let second = second.header("Cookie", format!("__Host-hp-device={cookie}")).await;
    let both = second.cookie("__Host-hp-device").expect("device proofs");
    assert!(both.contains(&cookie) && both.len() > cookie.len());
    for place in 0..10 {
        failing(&house, "ada", place).await;
    }
    let known = house.anyone().login("ada", PASSWORD).header("Cookie", format!("__Host-hp-device={both}"));
    known.await.is(200);
}

#[rocket::async_test]
async fn a_name_that_nobody_has_is_answered_like_one_that_somebody_has() {
    let house = furnished().await;
    let shape = |answer: &Answer| {
        let (before, rest) = answer.body.split_once("\"request_id\":\"").expect("a request id");
        let after = rest.split_once('"').expect("its end").1;
        (answer.status, answer.headers.clone(), format!("{before}{after}"))
    };
    for step in 0..30 {
        let (known, unknown) = (failing(&house, "ada", 1).await, failing(&house, "nobody", 2).await);
        assert_eq!(shape(&known), shape(&unknown), "{step}");
        if step % 7 == 6 {
            house.advance_ms(61_500);
        }
    }
}

#[rocket::async_test]
async fn a_failure_waits_for_the_disk_whether_somebody_has_the_name_or_not() {
    let house = furnished().await;
    let sidecar =
        || std::fs::read(house.directory().join("data/sidecar")).expect("every sync is noted there");
    for login in ["ada", "nobody"] {
        let before = sidecar();
        house.anyone().login(login, WRONG).await.refused(401, "invalid_credentials");
        assert!(sidecar() != before, "{login}");
    }
}

#[rocket::async_test]
async fn an_address_has_a_hundred_failures_over_all_accounts() {
    let house = furnished().await;
    for n in 0..100 {
        let ask = house.anyone().login(&format!("nobody{n}"), WRONG).from("198.51.100.7");
        ask.await.refused(401, "invalid_credentials");
    }
    let from = |peer: &str| house.anyone().login("ada", PASSWORD).from(peer);
    from("198.51.100.7").await.refused(429, "too_many_attempts");
    from("::ffff:198.51.100.7").await.refused(429, "too_many_attempts");
    from("198.51.100.8").await.is(200);
    // No header buys a new address.
    for name in ["X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP"] {
        from("198.51.100.7").header(name, "203.0.113.5").await.refused(429, "too_many_attempts");
    }
    for n in 0..100 {
        let peer = format!("2001:db8:1:2::{n:x}");
        house.anyone().login(&format!("six{n}"), WRONG).from(&peer).await.refused(401, "invalid_credentials");
    }
    from("2001:db8:1:2:ffff::1").await.refused(429, "too_many_attempts");
    from("2001:db8:1:3::1").await.is(200);
    // Good sign-ins are not counted.
    for _ in 0..110 {
        house.anyone().login("boss", PASSWORD).from("203.0.113.9").await.is(200);
    }
}

#[rocket::async_test]
async fn behind_a_trusted_proxy_the_callers_are_told_apart() {
    let house = House::with(|config| {
        config.trusted_proxies = vec!["10.0.0.1".to_string().try_into().expect("an address")];
        config.throttle.address_failures = 5;
    })
    .await;
    house.boss().await;
    let from = |forwarded: &str, login: &str, password: &str| {
        house.anyone().login(login, password).from("10.0.0.1").header("X-Forwarded-For", forwarded)
    };
    for n in 0..5 {
        // What stands left of the caller's address was sent by the caller.
        let forged = format!("203.0.113.{n}, 198.51.100.7");
        from(&forged, &format!("nobody{n}"), WRONG).await.refused(401, "invalid_credentials");
    }
    from("203.0.113.77, 198.51.100.7", "boss", PASSWORD).await.refused(429, "too_many_attempts");
    from("198.51.100.8", "boss", PASSWORD).await.is(200);
    let shown = from("198.51.100.8", "boss", PASSWORD).await.is(200);
    assert_eq!(shown["session"]["address"], "198.51.100.8");
}
