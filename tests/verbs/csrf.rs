//! Cookies from other sites: the CSRF token, Origin and Sec-Fetch-Site, and who may read answers.

use crate::house::{House, Member, ORIGIN, STRATEGIES};
use rocket::http::Method;
use serde_json::json;

const APP: &str = "https://shop.example";

/// An app of every strategy that allows [`APP`], with the user's cookie of it.
async fn furnished() -> (House, Vec<Member>) {
    let house = House::new().await;
    let boss = house.boss().await;
    house.make_user("ada", false).await;
    let mut members = Vec::new();
    for strategy in STRATEGIES {
        let more = json!({ "origins": [APP], "access_minutes": 30, "appliance_access": true });
        boss.make_app(strategy, strategy, more).await;
        members.push(house.anyone().sign_in_by_cookie("ada", strategy).await);
    }
    (house, members)
}

#[rocket::async_test]
async fn every_origin_and_site_with_and_without_the_token() {
    let (house, members) = furnished().await;
    // What the headers say, and whether the token may decide.
    let table: [(&[&str], &[&str], bool); 18] = [
        (&[], &[], true),
        (&[], &["same-origin"], true),
        (&[], &["none"], true),
        (&[], &["same-site"], false),
        (&[], &["cross-site"], false),
        (&[], &["nonsense"], false),
        (&[], &["none", "none"], false),
        (&[ORIGIN], &[], true),
        (&[ORIGIN], &["same-origin"], true),
        (&[ORIGIN], &["cross-site"], false),
        (&[APP], &[], true),
        (&[APP], &["same-site"], true),
        (&[APP], &["cross-site"], true),
        (&["null"], &["same-origin"], false),
        (&["https://evil.example"], &["same-origin"], false),
        (&["https://shop.example.evil.example"], &["cross-site"], false),
        (&["http://localhost"], &[], false),
        (&[ORIGIN, ORIGIN], &[], false),
    ];
    for member in &members {
        let other = members.iter().find(|other| other.app != member.app).expect("another");
        for (origins, sites, silent) in table {
            // A verb that changes nothing when it goes through: its body is refused only after the guard.
            let bare = || {
                let path = "/api/v1/auth/logout";
                let cookie = format!("__Host-hp-{}={}", member.app, member.secret());
                let ask = house.anyone().post(path, &json!({ "scope": "nowhere" })).header("Cookie", cookie);
                let ask = origins.iter().fold(ask, |ask, origin| ask.header("Origin", *origin));
                sites.iter().fold(ask, |ask, site| ask.header("Sec-Fetch-Site", *site))
            };
            for bad in ["", "x", other.csrf()] {
                bare().header("X-CSRF-Token", bad).await.refused(403, "csrf_failed");
            }
            bare().await.refused(403, "csrf_failed");
            let twice = bare().header("X-CSRF-Token", member.csrf()).header("X-CSRF-Token", member.csrf());
            twice.await.refused(403, "csrf_failed");
            let answer = bare().header("X-CSRF-Token", member.csrf()).await;
            if silent {
                answer.refused_field("scope", "invalid");
            } else {
                answer.refused(403, "csrf_failed");
            }
        }
        member.is_alive().await;
    }
}

#[rocket::async_test]
async fn every_unsafe_route_asks_for_the_token_and_a_bearer_needs_none() {
    let (house, members) = furnished().await;
    for (method, path) in [
        (Method::Post, "/api/v1/auth/logout"),
        (Method::Post, "/api/v1/auth/reauthenticate"),
        (Method::Patch, "/api/v1/me"),
        (Method::Put, "/api/v1/me/password"),
        (Method::Delete, "/api/v1/me/sessions/x"),
        (Method::Post, "/api/v1/me/sessions/revoke-others"),
    ] {
        for member in &members {
            let cookie = format!("__Host-hp-{}={}", member.app, member.secret());
            let ask = || house.anyone().ask(method, path).json(&json!({})).header("Cookie", cookie.clone());
            ask().await.refused(403, "csrf_failed");
            // A token in the address or in the body is none.
            let in_query = house.anyone().ask(method, &format!("{path}?csrf_token={}", member.csrf()));
            in_query.json(&json!({})).header("Cookie", cookie.clone()).await.refused(403, "csrf_failed");
        }
        let bearer = house.anyone().sign_in("ada", "session").await;
        let answer = bearer.ask(method, path).json(&json!({})).header("Origin", "https://evil.example").await;
        assert_ne!(answer.code(), "csrf_failed");
    }
}

#[rocket::async_test]
async fn a_token_of_another_session_or_of_before_is_none() {
    let (house, members) = furnished().await;
    let first = &members[0];
    let second = house.anyone().sign_in_by_cookie("ada", "session").await;
    assert_ne!(first.csrf(), second.csrf());
    let cookie = format!("__Host-hp-session={}", second.secret());
    let ask = house.anyone().post("/api/v1/auth/logout", &json!({})).header("Cookie", cookie);
    ask.header("X-CSRF-Token", first.csrf()).await.refused(403, "csrf_failed");
    // It is the session's: one tab's rotation or step-up does not fail another tab's next request.
    let mut stepped_up = second.clone();
    stepped_up.take(&second.reauthenticate(crate::house::PASSWORD).await);
    assert_eq!(stepped_up.csrf(), second.csrf());
}

#[rocket::async_test]
async fn signing_in_by_cookie_from_another_site_is_refused() {
    let (house, _) = furnished().await;
    for (name, value) in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let ask = house.anyone().login_to("ada", "session", "cookie").header(name, value);
        ask.await.refused(403, "csrf_failed");
    }
    let from_app = house.anyone().login_to("ada", "session", "cookie").header("Origin", APP);
    from_app.header("Sec-Fetch-Site", "same-site").await.is(200);
}

#[rocket::async_test]
async fn only_an_apps_own_origins_read_answers_with_its_credentials() {
    let (house, members) = furnished().await;
    let boss = house.boss().await;
    boss.make_app("other", "session", json!({ "origins": ["https://other.example"] })).await;
    let member = &members[0];
    for (origin, granted) in [
        (APP, true),
        ("https://other.example", false),
        ("https://evil.example", false),
        ("null", false),
        ("https://SHOP.example", false),
        ("https://shop.example:443", false),
        ("http://shop.example", false),
    ] {
        let answer = member.get("/api/v1/auth/session").header("Origin", origin).await;
        answer.is(200);
        let wanted = if granted { origin } else { "" };
        assert_eq!(answer.header("access-control-allow-origin"), wanted);
        assert_eq!(answer.header("access-control-allow-credentials"), if granted { "true" } else { "" });
        assert!(answer.header("vary").contains("Origin"), "{answer}");

        let preflight = house.anyone().ask(Method::Options, "/api/v1/auth/logout").header("Origin", origin);
        let preflight = preflight.header("Access-Control-Request-Method", "POST").await;
        preflight.is(204);
        let known = granted || origin == "https://other.example";
        assert_eq!(preflight.header("access-control-allow-origin"), if known { origin } else { "" });
        assert_eq!(preflight.header("access-control-allow-methods").contains("POST"), known, "{origin}");
        let headers = preflight.header("access-control-allow-headers").to_owned();
        assert_eq!(headers.contains("X-CSRF-Token"), known);
    }
    house.anyone().ask(Method::Options, "/api/v1/auth/logout").await.refused(405, "method_not_allowed");
    // A sign-in and a rotation from the app's page, and their refusals, can be read by it.
    for password in [crate::house::PASSWORD, "wrong"] {
        let body = json!({ "login": "ada", "password": password, "app": "session" });
        let answer = house.anyone().post("/api/v1/auth/login", &body).header("Origin", APP).await;
        assert_eq!(answer.header("access-control-allow-origin"), APP, "{answer}");
    }
    let refreshed = house.anyone().refresh("x").header("Origin", APP).await;
    assert_eq!(refreshed.header("access-control-allow-origin"), APP);
}

#[rocket::async_test]
async fn nothing_allows_every_origin_but_the_public_keys() {
    let (house, members) = furnished().await;
    for path in ["/api/v1/auth/session", "/api/v1/me", "/healthz", "/api/v1/nothing"] {
        for ask in [house.anyone().get(path), members[0].get(path)] {
            let answer = ask.header("Origin", "https://evil.example").await;
            assert_eq!(answer.header("access-control-allow-origin"), "", "{answer}");
        }
    }
    let keys = house.anyone().get("/.well-known/jwks.json").header("Origin", "https://evil.example").await;
    assert_eq!(keys.header("access-control-allow-origin"), "*");
    assert_eq!(keys.header("access-control-allow-credentials"), "");
}

#[rocket::async_test]
async fn a_form_that_names_a_method_is_refused() {
    let house = House::new().await;
    for field in ["_method=get", "_method=DELETE", "token=x&_method=put"] {
        let ask = house.anyone().ask(Method::Post, "/oauth2/revoke");
        ask.raw("application/x-www-form-urlencoded", field).await.refused(400, "method_field");
    }
}
