//! Bodies that are too large, too deep, of the wrong kind or of the wrong shape, at every route that takes one.

use crate::house::{House, PASSWORD};
use rocket::http::Method;
use serde_json::json;

/// Every route with a JSON body: those of the API that are not answered without one.
async fn json_routes(house: &House) -> Vec<(Method, String)> {
    let client = house.client();
    // Or with lines instead: see transfer.rs.
    let without_body = ["/cut-off", "/secrets", "/confirm", "/revoke-others", "/import"];
    let unsafe_method = |method| matches!(method, Method::Post | Method::Put | Method::Patch);
    let routes: Vec<_> = client
        .rocket()
        .routes()
        .map(|route| (route.method, route.uri.path().to_owned()))
        .filter(|(method, path)| unsafe_method(*method) && path.starts_with("/api/v1/"))
        .filter(|(_, path)| !without_body.iter().any(|end| path.ends_with(end)))
        .map(|(method, path)| (method, path.replace(['<', '>'], "")))
        .collect();
    assert!(routes.len() >= 15, "{routes:?}");
    routes
}

#[rocket::async_test]
async fn what_is_no_fitting_json_is_refused_by_every_route() {
    let house = House::with(|config| config.registration.enabled = true).await;
    let boss = house.boss().await;
    for (method, path) in json_routes(&house).await {
        let send = |kind: &str, body: &str| boss.ask(method, &path).raw(kind, body.to_owned());
        for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "x", ""] {
            send(kind, "{\"a\":1}").await.refused(415, "unsupported_media_type");
        }
        let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(70_000));
        send("application/json", &huge).await.refused(413, "payload_too_large");
        let deep = format!("{}1{}", "{\"a\":".repeat(5000), "}".repeat(5000));
        for malformed in
            ["{", "nonsense", "{\"a\":1}{", "{'a':1}", "\u{feff}{}", "{\"a\":NaN}", deep.as_str()]
        {
            let answer = send("application/json", malformed).await;
            // A field that is not known may be found before the depth is.
            assert!(answer.code() == "malformed_json" || answer.code() == "validation_failed", "{answer}");
        }
        for misfit in ["[]", "null", "\"x\"", "1", "true"] {
            send("application/json", misfit).await.refused(422, "validation_failed");
        }
        if !path.ends_with("/data") {
            send("application/json", "{\"__proto__\":{}}").await.refused_field("__proto__", "unknown_field");
        }
    }
    boss.is_alive().await;
}

#[rocket::async_test]
async fn no_text_of_any_kind_makes_a_fault() {
    let house = House::with(|config| config.registration.enabled = true).await;
    let boss = house.boss().await;
    let long = "a".repeat(60_000);
    let naughty = [
        "",
        " ",
        "\u{0}",
        "\u{7f}",
        "\u{202e}",
        "\u{feff}",
        "\u{1f4a9}",
        "\u{fdfa}\u{fdfa}\u{fdfa}",
        "../../etc/passwd",
        "' OR 1=1 --",
        "<script>alert(1)</script>",
        "${jndi:ldap://x}",
        "%00%ff",
        "-1",
        "1e999",
        "null",
        "0x7fffffffffffffff",
        &long,
    ];
    for text in naughty {
        for body in [
            json!({ "login": text, "password": PASSWORD }),
            json!({ "login": "boss", "password": text }),
            json!({ "login": "boss", "password": PASSWORD, "app": text }),
            json!({ "login": "boss", "password": PASSWORD, "device_token": text }),
        ] {
            // From a new place each time: it is not the throttle that is asked here.
            house.advance(1);
            let answer = house.anyone().post("/api/v1/auth/login", &body).await;
            assert!(answer.status < 500, "{answer}");
        }
        let boss = house.boss().await;
        for (method, path, body) in [
            (
                Method::Post,
                "/api/v1/auth/register",
                json!({ "login": text, "password": PASSWORD, "email": text }),
            ),
            (Method::Post, "/api/v1/auth/refresh", json!({ "refresh_token": text, "app": text })),
            (Method::Patch, "/api/v1/me", json!({ "name": text, "email": text })),
            (Method::Post, "/api/v1/admin/users", json!({ "login": text, "groups": [text] })),
            (Method::Post, "/api/v1/admin/apps", json!({ "id": text, "strategy": text, "origins": [text] })),
            (Method::Post, "/api/v1/admin/blacklist", json!({ "token": text, "reason": text })),
            (Method::Post, "/api/v1/admin/blacklist", json!({ "kid": text })),
            (Method::Post, "/api/v1/admin/sessions/revoke", json!({ "ids": [text], "reason": text })),
            (
                Method::Post,
                "/api/v1/admin/sessions/revoke",
                json!({ "filter": { "user": format!("{text}#") } }),
            ),
        ] {
            let answer = boss.ask(method, path).json(&body).await;
            assert!(answer.status < 500, "{answer}");
        }
        let encoded = rocket::http::RawStr::new(text).percent_encode().to_string();
        for path in [
            format!("/api/v1/admin/users?q={encoded}&cursor={encoded}"),
            format!("/api/v1/admin/sessions?user={encoded}"),
            format!("/api/v1/admin/sessions?app={encoded}&network={encoded}&cursor={encoded}"),
            format!("/api/v1/admin/users/{encoded}"),
            format!("/api/v1/sessions/{encoded}/data"),
            format!("/api/v1/auth/session?app={encoded}"),
        ] {
            let answer = boss.get(&path).await;
            assert!(answer.status < 500, "{answer}");
        }
        for name in ["Authorization", "Cookie", "Origin", "X-CSRF-Token", "User-Agent", "If-Match", "Host"] {
            // What a header may hold at all.
            let value: String = text.chars().filter(char::is_ascii_graphic).take(5000).collect();
            let answer = house.anyone().get("/api/v1/auth/session").replace(name, value).await;
            assert!(answer.status < 500, "{answer}");
        }
    }
    boss.is_alive().await;
}

#[rocket::async_test]
async fn no_cursor_of_another_list_makes_a_fault() {
    let house = House::new().await;
    let boss = house.boss().await;
    for n in 0..3 {
        house.make_user(&format!("ada{n}"), false).await;
        house.anyone().sign_in(&format!("ada{n}"), "default").await;
    }
    let next =
        async |path: &str| boss.get(path).await.is(200)["next"].as_str().unwrap_or_default().to_owned();
    let cursors = [
        next("/api/v1/admin/users?limit=1").await,
        next("/api/v1/admin/users?limit=1&q=ada").await,
        next("/api/v1/admin/sessions?limit=1").await,
        "AA".into(),
        "_w".into(),
        "ffffffff-ffff-ffff-ffff-ffffffffffff".into(),
    ];
    for cursor in &cursors {
        for path in [
            "/api/v1/admin/users?",
            "/api/v1/admin/users?q=ada&",
            "/api/v1/admin/sessions?",
            "/api/v1/me/sessions?",
            "/api/v1/admin/blacklist?",
        ] {
            let answer = boss.get(&format!("{path}cursor={cursor}")).await;
            assert!([200, 422].contains(&answer.status), "{answer}");
        }
    }
}

#[rocket::async_test]
async fn every_refusal_has_an_id_of_its_own() {
    let house = House::new().await;
    let mut ids = std::collections::HashSet::new();
    for path in ["/api/v1/auth/session", "/api/v1/nothing", "/api/v1/auth/session"] {
        let problem = house.anyone().get(path).await.json();
        assert_eq!(problem["type"], "about:blank");
        assert!(ids.insert(problem["request_id"].to_string()));
    }
}
