//! `POST /api/v1/auth/login`.

use crate::house::{House, PASSWORD, STRATEGIES};
use serde_json::json;

const LOGIN: &str = "/api/v1/auth/login";

#[rocket::async_test]
async fn what_is_no_sign_in_is_refused_and_named() {
    let house = House::new().await;
    house.boss().await;
    let anyone = house.anyone();
    for (body, field, code) in [
        (json!({}), "login", "required"),
        (json!({ "login": "boss" }), "password", "required"),
        (json!({ "login": 1, "password": PASSWORD }), "login", "invalid"),
        (json!({ "login": "boss", "password": [PASSWORD] }), "password", "invalid"),
        (json!({ "login": "boss", "password": PASSWORD, "admin": true }), "admin", "unknown_field"),
        (json!({ "login": "boss", "password": PASSWORD, "user_id": "x" }), "user_id", "unknown_field"),
        (json!({ "login": "boss", "password": PASSWORD, "transport": "url" }), "transport", "invalid"),
        (json!({ "login": "boss", "password": PASSWORD, "remember": "yes" }), "remember", "invalid"),
        (json!({ "login": "boss", "password": PASSWORD, "app": "nothing" }), "app", "invalid"),
        (json!({ "login": "boss", "password": PASSWORD, "app": "NO APP" }), "app", "invalid"),
    ] {
        anyone.post(LOGIN, &body).await.refused_field(field, code);
    }
    anyone.get(LOGIN).await.refused(405, "method_not_allowed");
}

#[rocket::async_test]
async fn every_fault_of_a_sign_in_has_the_same_answer() {
    let house = House::new().await;
    let boss = house.boss().await;
    let disabled = house.make_user("disabled", false).await;
    boss.change_user(&disabled, json!({ "state": "disabled" })).await.is(200);
    let deleted = house.make_user("deleted", false).await;
    boss.delete(&format!("/api/v1/admin/users/{deleted}")).await.is(204);
    boss.post("/api/v1/admin/users", &json!({ "login": "nopass" })).await.is(201);

    let mut answers = Vec::new();
    for (login, password) in [
        ("nobody", PASSWORD),
        ("boss", "another password altogether"),
        ("boss", ""),
        ("", PASSWORD),
        ("disabled", PASSWORD),
        ("deleted", PASSWORD),
        ("nopass", PASSWORD),
        ("nopass", ""),
    ] {
        let answer = house.anyone().login(login, password).await;
        answer.refused(401, "invalid_credentials");
        answers.push(answer);
    }
    for answer in &answers {
        assert_eq!(answer.headers, answers[0].headers);
        let without_id = |body: &str| body.split("\"request_id\"").next().unwrap_or_default().len();
        assert_eq!(without_id(&answer.body), without_id(&answers[0].body));
    }
}

#[rocket::async_test]
async fn each_strategy_gives_what_it_has_and_nothing_else() {
    let house = House::new().await;
    let boss = house.boss().await;
    boss.make_apps().await;
    house.make_user("ada", false).await;
    for strategy in STRATEGIES {
        let body = house.anyone().login_to("ada", strategy, "body").await.is(200);
        let has = |field: &str| !body[field].is_null();
        assert_eq!(has("session"), strategy != "jwt", "{strategy}");
        assert_eq!(has("access_token"), strategy != "session", "{strategy}");
        assert_eq!(has("refresh_token"), strategy == "refresh", "{strategy}");
        assert_eq!(has("session_token"), strategy == "session", "{strategy}");
        assert!(!has("csrf_token") && has("device_token"), "{strategy}");
        assert_eq!(body["user"]["login"], "ada");
    }
}

#[rocket::async_test]
async fn a_secret_that_travels_in_a_cookie_is_not_in_the_body() {
    let house = House::new().await;
    house.boss().await.make_apps().await;
    house.make_user("ada", false).await;
    for strategy in STRATEGIES {
        let answer = house.anyone().login_to("ada", strategy, "cookie").await;
        let body = answer.is(200);
        let secret = answer.cookie(&format!("__Host-hp-{strategy}")).expect("a cookie is set");
        assert!(!secret.is_empty() && !answer.body.contains(&secret), "{strategy}");
        assert!(body["csrf_token"].is_string() && body["device_token"].is_null(), "{strategy}");
        assert!(answer.cookie("__Host-hp-device").is_some(), "{strategy}");
        for secret in ["refresh_token", "session_token"] {
            assert!(body[secret].is_null(), "{strategy} {secret}");
        }
    }
    // Browsers get cookies where nothing else is asked for only with `session`.
    for strategy in STRATEGIES {
        let body = json!({ "login": "ada", "password": PASSWORD, "app": strategy });
        let answer = house.anyone().post(LOGIN, &body).await;
        let by_cookie = answer.cookie(&format!("__Host-hp-{strategy}")).is_some();
        assert_eq!(by_cookie, strategy == "session", "{strategy}");
    }
}

#[rocket::async_test]
async fn a_cookie_is_given_only_where_nobody_listens() {
    let house = House::new().await;
    house.boss().await;
    let login = || house.anyone().login_to("boss", "hallpass", "cookie");
    login().from("192.0.2.1").await.refused(403, "https_required");
    login().replace("Host", "auth.example").await.refused(403, "https_required");
    login().header("X-Forwarded-For", "1.1.1.1").await.refused(403, "https_required");
    login().from("192.0.2.1").header("X-Forwarded-Proto", "https").await.refused(403, "https_required");
    login().await.is(200);
    house.anyone().login_to("boss", "hallpass", "body").from("192.0.2.1").await.is(200);
}

#[rocket::async_test]
async fn signing_in_again_gives_a_new_value_and_ends_the_session_of_the_old_cookie() {
    let house = House::new().await;
    house.boss().await.make_apps().await;
    house.make_user("ada", false).await;
    house.make_user("eve", false).await;
    for strategy in ["session", "refresh", "tracked"] {
        // The attacker's cookie, planted in the victim's browser.
        for owner in ["ada", "eve"] {
            let old = house.anyone().sign_in_by_cookie(owner, strategy).await;
            let cookie = format!("__Host-hp-{strategy}={}", old.secret());
            let answer = house.anyone().login_to("ada", strategy, "cookie").header("Cookie", cookie).await;
            let new = crate::house::Member::new(&house, "ada", strategy, &answer);
            assert_ne!(old.secret(), new.secret(), "{strategy}");
            assert_eq!(old.verdict().await, "session_ended/signed_in_again", "{strategy}");
            new.is_alive().await;
        }
    }
    // A value that somebody invented is never adopted.
    let cookie = format!("__Host-hp-session={}", "A".repeat(53));
    let answer = house.anyone().login_to("ada", "session", "cookie").header("Cookie", cookie).await;
    assert!(answer.cookie("__Host-hp-session").is_some_and(|value| value.starts_with("hps_")));
}

#[rocket::async_test]
async fn a_failed_sign_in_leaves_the_old_cookie_alone() {
    let house = House::new().await;
    house.boss().await.make_apps().await;
    house.make_user("ada", false).await;
    let old = house.anyone().sign_in_by_cookie("ada", "session").await;
    let body = json!({ "login": "ada", "password": "not the passphrase", "app": "session" });
    let cookie = format!("__Host-hp-session={}", old.secret());
    house.anyone().post(LOGIN, &body).header("Cookie", cookie).await.refused(401, "invalid_credentials");
    old.is_alive().await;
}

#[rocket::async_test]
async fn names_are_folded_and_an_email_counts_once_it_is_confirmed() {
    let house = House::new().await;
    let boss = house.boss().await;
    house.make_user("Ada", false).await;
    let ada = house.anyone().sign_in("ada", "default").await;
    ada.patch("/api/v1/me", &json!({ "email": "Ada@Example.org" })).await.is(200);
    house.anyone().login("ada@example.org", PASSWORD).await.refused(401, "invalid_credentials");
    boss.change_user(&ada.user_id, json!({ "email_verified": true })).await.is(200);
    for name in ["ada@example.org", "ADA@EXAMPLE.ORG", " ada ", "ADA", "\u{ff21}da"] {
        house.anyone().login(name, PASSWORD).await.is(200);
    }
    ada.patch("/api/v1/me", &json!({ "email": "other@example.org" })).await.is(200);
    for name in ["ada@example.org", "other@example.org"] {
        house.anyone().login(name, PASSWORD).await.refused(401, "invalid_credentials");
    }
}

#[rocket::async_test]
async fn a_disabled_or_deleted_app_lets_nobody_in() {
    let house = House::new().await;
    let boss = house.boss().await;
    boss.make_apps().await;
    for strategy in STRATEGIES {
        boss.change_app(strategy, json!({ "state": "disabled" })).await.is(200);
        house.anyone().login_to("boss", strategy, "body").await.refused_field("app", "unknown_app");
        boss.change_app(strategy, json!({ "state": "enabled" })).await.is(200);
        house.anyone().login_to("boss", strategy, "body").await.is(200);
        boss.delete(&format!("/api/v1/admin/apps/{strategy}")).await.is(204);
        house.anyone().login_to("boss", strategy, "body").await.refused_field("app", "unknown_app");
    }
}

#[rocket::async_test]
async fn whoever_asks_to_be_remembered_stays_thirty_days() {
    let house = House::new().await;
    house.boss().await.make_apps().await;
    let days = |body: &serde_json::Value| {
        let parse = |field: &str| {
            let text = body["session"][field].as_str().expect("a time").to_owned();
            chrono::DateTime::parse_from_rfc3339(&text).expect("RFC 3339")
        };
        (parse("expires_at") - parse("opened_at")).num_hours() as f64 / 24.0
    };
    for (app, plain) in [("session", 0.5), ("tracked", 0.5), ("refresh", 30.0)] {
        let body = json!({ "login": "boss", "password": PASSWORD, "app": app, "transport": "body" });
        assert_eq!(days(&house.anyone().post(LOGIN, &body).await.is(200)), plain, "{app}");
        let mut remembered = body.clone();
        remembered["remember"] = json!(true);
        assert_eq!(days(&house.anyone().post(LOGIN, &remembered).await.is(200)), 30.0, "{app}");
    }
}

#[rocket::async_test]
async fn plain_http_is_allowed_only_in_so_many_words_and_then_without_the_host_prefix() {
    let house = House::with(|config| {
        config.insecure_http = true;
        config.trusted_proxies = vec!["10.0.0.1".to_string().try_into().expect("an address")];
    })
    .await;
    house.boss().await;
    let far = || house.anyone().login_to("boss", "hallpass", "cookie").from("192.0.2.1");
    let answer = far().header("X-Forwarded-Proto", "https").await;
    answer.is(200);
    let plain = answer.cookie("hp-hallpass").expect("a cookie without Secure");
    assert_eq!(answer.cookie("__Host-hp-hallpass"), None);
    house.anyone().check_cookie("hallpass", &plain).await.refused(401, "unauthenticated");
    let own_name =
        house.anyone().get("/api/v1/auth/session").header("Cookie", format!("hp-hallpass={plain}"));
    own_name.await.is(200);
    // Who comes by https through the proxy has the safe one.
    let answer = far().from("10.0.0.1").header("X-Forwarded-Proto", "https").await;
    assert!(answer.cookie("__Host-hp-hallpass").is_some() && answer.cookie("hp-hallpass").is_none());
}
