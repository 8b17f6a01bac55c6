//! `GET /api/v1/auth/session`: who is calling, by every credential there is.

use crate::house::{Credential, House, PASSWORD, STRATEGIES, verdict};
use serde_json::json;

const WHO: &str = "/api/v1/auth/session";

#[rocket::async_test]
async fn what_is_no_credential_is_refused() {
    let house = House::new().await;
    house.boss().await;
    let anyone = house.anyone();
    anyone.get(WHO).await.refused(401, "unauthenticated");
    let good = anyone.sign_in("boss", "default").await;
    let invented = format!("hps_{}", "A".repeat(49));
    for header in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer null",
        "Basic Ym9zczp4",
        "Digest x",
        good.secret(),
        &format!("Bearer {invented}"),
        &format!("Bearer Bearer {}", good.secret()),
        &format!("Bearer {}, {}", good.secret(), good.secret()),
        &format!("Bearer {}", good.refresh_token.clone().expect("a refresh token")),
    ] {
        let answer = anyone.get(WHO).header("Authorization", header).await;
        answer.refused(401, "invalid_token");
        assert!(answer.header("www-authenticate").contains("invalid_token"), "{header}");
    }
    let bearer = format!("Bearer {}", good.secret());
    let twice = anyone.get(WHO).header("Authorization", &bearer).header("Authorization", &bearer);
    twice.await.refused(401, "invalid_token");
    anyone.get(&format!("{WHO}?access_token={}", good.secret())).await.refused(401, "unauthenticated");
    anyone.get(WHO).header("Authorization", format!("bearer {}", good.secret())).await.is(200);
}

#[rocket::async_test]
async fn no_part_of_a_credential_is_a_credential() {
    let house = House::new().await;
    house.boss().await.make_apps().await;
    for member in house.anyone().sign_in_everywhere("boss").await {
        let secret = member.secret().to_owned();
        let ask = |text: &str| match &member.credential {
            Credential::Bearer(_) => house.anyone().check(text),
            Credential::Cookie { app, .. } => house.anyone().check_cookie(app, text),
        };
        // Every cut of the short ones; of a JWT all around its dots and its end, and some between.
        let near_a_dot =
            |at: usize| (at.saturating_sub(3)..at + 3).any(|i| secret.as_bytes().get(i) == Some(&b'.'));
        let cuts = (1..secret.len())
            .filter(|at| secret.len() < 100 || at % 16 == 0 || near_a_dot(*at) || secret.len() - at < 24);
        for at in cuts {
            for part in [&secret[..at], &secret[at..]] {
                assert_ne!(verdict(ask(part)).await, "ok", "{} cut at {at}", member.name());
            }
        }
        for altered in [format!("{secret}A"), format!("A{secret}"), format!("{secret}=")] {
            assert_ne!(verdict(ask(&altered)).await, "ok", "{}", member.name());
        }
        member.is_alive().await;
    }
}

#[rocket::async_test]
async fn a_cookie_counts_only_for_the_app_in_its_name_and_only_once() {
    let house = House::new().await;
    house.boss().await.make_apps().await;
    for app in STRATEGIES {
        let member = house.anyone().sign_in_by_cookie("boss", app).await;
        let secret = member.secret();
        for other in STRATEGIES.into_iter().filter(|other| *other != app) {
            house.anyone().check_cookie(other, secret).await.refused(401, "invalid_token");
        }
        let twice = format!("__Host-hp-{app}={secret}; __Host-hp-{app}={secret}");
        house.anyone().get(WHO).header("Cookie", twice).await.refused(401, "unauthenticated");
        for name in [format!("hp-{app}"), format!("__Secure-hp-{app}"), format!("__host-hp-{app}")] {
            let ask = house.anyone().get(WHO).header("Cookie", format!("{name}={secret}"));
            ask.await.refused(401, "unauthenticated");
        }
        house.anyone().check_cookie(app, secret).await.is(200);
    }
}

#[rocket::async_test]
async fn of_several_cookies_the_one_that_is_named_counts_or_the_appliances_own() {
    let house = House::new().await;
    house.boss().await.make_apps().await;
    house.make_user("ada", false).await;
    let own = house.anyone().sign_in_by_cookie("boss", "hallpass").await;
    let of_app = house.anyone().sign_in_by_cookie("ada", "session").await;
    let both = format!("__Host-hp-session={}; __Host-hp-hallpass={}", of_app.secret(), own.secret());
    let who = async |path: &str| {
        let body = house.anyone().get(path).header("Cookie", both.clone()).await.is(200);
        body["user"]["login"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(who(WHO).await, "boss");
    assert_eq!(who("/api/v1/auth/session?app=session").await, "ada");
    let none = house.anyone().get("/api/v1/auth/session?app=tracked").header("Cookie", both.clone());
    none.await.refused(401, "unauthenticated");
}

#[rocket::async_test]
async fn every_strategy_says_who_it_is() {
    let house = House::new().await;
    house.boss().await.make_apps().await;
    let id = house.make_user("ada", false).await;
    for member in house.anyone().sign_in_everywhere("ada").await {
        let body = member.get(WHO).await.is(200);
        let by_cookie = matches!(member.credential, Credential::Cookie { .. });
        assert_eq!(body["user"]["id"], json!(id));
        assert_eq!(body["csrf_token"].is_string(), by_cookie, "{}", member.name());
        if by_cookie {
            assert_eq!(body["csrf_token"], member.csrf(), "{}", member.name());
        }
        match &member.session_id {
            None => assert!(body["session"].is_null()),
            Some(session) => {
                assert_eq!(body["session"]["id"], json!(session));
                assert_eq!(body["session"]["app"], member.app);
                assert_eq!(body["session"]["strategy"], member.app);
                assert_eq!(body["session"]["current"], true);
                assert!(body["session"]["ended_at"].is_null());
            }
        }
    }
}

#[rocket::async_test]
async fn a_session_ends_ninety_minutes_after_its_last_request() {
    let house = House::new().await;
    house.boss().await.make_apps().await;
    let member = house.anyone().sign_in("boss", "session").await;
    for _ in 0..3 {
        house.advance(89);
        member.is_alive().await;
    }
    // What was seen survives a restart.
    house.advance(2);
    house.restart().await;
    house.advance(86);
    member.is_alive().await;
    house.advance(90);
    assert_eq!(member.verdict().await, "session_ended/idle_expired");
    house.keep_house().await;
    assert_eq!(member.verdict().await, "session_ended/idle_expired");
}

#[rocket::async_test]
async fn a_session_ends_after_twelve_hours_whatever_happens() {
    let house = House::new().await;
    house.boss().await.make_apps().await;
    let member = house.anyone().sign_in("boss", "session").await;
    let tracked = house.anyone().sign_in("boss", "tracked").await;
    for _ in 0..11 {
        house.advance(60);
        member.is_alive().await;
    }
    house.advance(25);
    member.is_alive().await;
    house.advance(35);
    assert_eq!(member.verdict().await, "session_ended/expired");
    assert!(["token_expired", "session_ended/expired"].contains(&tracked.verdict().await.as_str()));
}

#[rocket::async_test]
async fn access_tokens_live_as_long_as_their_strategy_says() {
    let house = House::new().await;
    house.boss().await.make_apps().await;
    for (app, minutes) in [("jwt", 15), ("refresh", 10), ("tracked", 720)] {
        let answer = house.anyone().login_to("boss", app, "body").await;
        let seconds = answer.json()["expires_in"].as_i64().expect("a number");
        assert!((minutes * 57..=minutes * 60).contains(&seconds), "{app} {seconds}");
        let member = crate::house::Member::new(&house, "boss", app, &answer);
        house.advance_ms(seconds * 1000 - 1000);
        member.is_alive().await;
        house.advance_ms(1000);
        assert_eq!(member.verdict().await, "token_expired", "{app}");
    }
}

#[rocket::async_test]
async fn remembered_sessions_do_not_end_overnight() {
    let house = House::new().await;
    house.boss().await.make_apps().await;
    let body = json!({ "login": "boss", "password": PASSWORD, "app": "session", "remember": true,
                       "transport": "body" });
    let answer = house.anyone().post("/api/v1/auth/login", &body).await;
    let member = crate::house::Member::new(&house, "boss", "session", &answer);
    house.advance(29 * 24 * 60);
    member.is_alive().await;
    house.advance(24 * 60);
    assert_eq!(member.verdict().await, "session_ended/expired");
}

#[rocket::async_test]
async fn checks_are_right_with_a_cache_too_small_for_anything() {
    let house = House::with(|config| config.store.session_cache = 1).await;
    house.boss().await.make_apps().await;
    let first = house.anyone().sign_in("boss", "session").await;
    let second = house.anyone().sign_in("boss", "session").await;
    for _ in 0..4 {
        house.advance(60);
        first.is_alive().await;
        second.is_alive().await;
    }
    first.logout("local").await.is(204);
    assert_eq!(first.verdict().await, "session_ended/logout");
    second.is_alive().await;
    assert_eq!(first.verdict().await, "session_ended/logout");
}
