//! `/api/v1/admin/apps`.

use crate::house::{Boss, House, Member, STRATEGIES, text};
use rocket::http::Method;
use serde_json::json;

const APPS: &str = "/api/v1/admin/apps";

async fn furnished() -> (House, Boss) {
    let house = House::new().await;
    let boss = house.boss().await;
    house.make_user("ada", false).await;
    (house, boss)
}

#[rocket::async_test]
async fn what_is_no_app_is_refused_field_by_field() {
    let (_house, boss) = furnished().await;
    let id = "shop";
    for (body, field, code) in [
        (json!({ "id": id }), "strategy", "required"),
        (json!({ "strategy": "jwt" }), "id", "required"),
        (json!({ "id": "Shop", "strategy": "jwt" }), "id", "invalid"),
        (json!({ "id": "device", "strategy": "jwt" }), "id", "invalid"),
        (json!({ "id": "a".repeat(33), "strategy": "jwt" }), "id", "invalid"),
        (json!({ "id": id, "strategy": "none" }), "strategy", "invalid"),
        (json!({ "id": id, "strategy": "jwt", "algorithm": "HS256" }), "algorithm", "invalid"),
        (json!({ "id": id, "strategy": "jwt", "algorithm": "none" }), "algorithm", "invalid"),
        (json!({ "id": id, "strategy": "jwt", "access_minutes": 31 }), "access_minutes", "out_of_range"),
        (json!({ "id": id, "strategy": "tracked", "access_minutes": 721 }), "access_minutes", "out_of_range"),
        (json!({ "id": id, "strategy": "jwt", "access_minutes": 0 }), "access_minutes", "out_of_range"),
        (json!({ "id": id, "strategy": "jwt", "access_minutes": -1 }), "access_minutes", "invalid"),
        (json!({ "id": id, "strategy": "jwt", "idle_minutes": 600_000 }), "idle_minutes", "out_of_range"),
        (json!({ "id": id, "strategy": "jwt", "origins": ["*"] }), "origins", "invalid"),
        (json!({ "id": id, "strategy": "jwt", "origins": ["null"] }), "origins", "invalid"),
        (json!({ "id": id, "strategy": "jwt", "origins": ["https://a.example/"] }), "origins", "invalid"),
        (json!({ "id": id, "strategy": "jwt", "audience": "" }), "audience", "invalid"),
        (json!({ "id": id, "strategy": "jwt", "audience": "a b" }), "audience", "invalid"),
        (json!({ "id": id, "strategy": "jwt", "replay_match": "all" }), "replay_match", "invalid"),
        (json!({ "id": id, "strategy": "jwt", "name": "\u{0}" }), "name", "bad_character"),
        (json!({ "id": id, "strategy": "jwt", "secrets": [] }), "secrets", "unknown_field"),
        (json!({ "id": id, "strategy": "jwt", "built_in": true }), "built_in", "unknown_field"),
    ] {
        boss.post(APPS, &body).await.refused_field(field, code);
    }
    boss.get(&format!("{APPS}/{id}")).await.refused(404, "not_found");
    for app in ["nothing", "NO", "%00"] {
        boss.get(&format!("{APPS}/{app}")).await.refused(404, "not_found");
        boss.change_app(app, json!({})).await.refused(404, "not_found");
        boss.delete(&format!("{APPS}/{app}")).await.refused(404, "not_found");
        boss.ask(Method::Post, &format!("{APPS}/{app}/secrets")).await.refused(404, "not_found");
    }
    for field in ["id", "strategy", "confidential", "built_in", "standing"] {
        boss.change_app("default", json!({ field: "x" })).await.refused_field(field, "unknown_field");
    }
}

#[rocket::async_test]
async fn the_built_in_apps_are_not_deleted_and_the_appliances_own_stays_open() {
    let (_house, boss) = furnished().await;
    for app in ["default", "hallpass"] {
        boss.delete(&format!("{APPS}/{app}")).await.refused(409, "built_in_app");
        boss.post(APPS, &json!({ "id": app, "strategy": "jwt" })).await.refused(409, "app_exists");
    }
    boss.change_app("hallpass", json!({ "state": "disabled" })).await.refused(409, "built_in_app");
    boss.change_app("hallpass", json!({ "appliance_access": false })).await.refused(409, "built_in_app");
    boss.change_app("default", json!({ "state": "disabled" })).await.is(200);
    boss.is_alive().await;
}

#[rocket::async_test]
async fn a_secret_is_shown_once_and_there_are_two_at_most() {
    let (house, boss) = furnished().await;
    boss.make_app("public", "jwt", json!({})).await;
    boss.ask(Method::Post, &format!("{APPS}/public/secrets")).await.refused(409, "public_app");
    let app = boss.make_app("shop", "refresh", json!({ "confidential": true })).await;
    assert!(app.secret.starts_with("hpc_"));
    let shown = boss.get(&format!("{APPS}/shop")).await;
    assert!(!shown.body.contains(&app.secret) && shown.is(200)["client_secret"].is_null());
    let second = boss.ask(Method::Post, &format!("{APPS}/shop/secrets")).await.is(201);
    boss.ask(Method::Post, &format!("{APPS}/shop/secrets")).await.refused(409, "too_many_secrets");
    let introspects = async |secret: &str| {
        let form = [("token", "x"), ("client_id", "shop"), ("client_secret", secret)];
        house.anyone().form("/oauth2/introspect", &form).await.status
    };
    let second_secret = text(&second["client_secret"]);
    assert_eq!((introspects(&app.secret).await, introspects(&second_secret).await), (200, 200));
    let shown = boss.get(&format!("{APPS}/shop")).await.is(200);
    let first_id = text(&shown["secrets"][0]["id"]);
    boss.delete(&format!("{APPS}/shop/secrets/{first_id}")).await.is(204);
    boss.delete(&format!("{APPS}/shop/secrets/{first_id}")).await.refused(404, "not_found");
    assert_eq!((introspects(&app.secret).await, introspects(&second_secret).await), (401, 200));
    house.keep_house().await;
    let shown = boss.get(&format!("{APPS}/shop")).await.is(200);
    assert_eq!(text(&shown["secrets"][0]["last_used_at"]), house.now().to_rfc3339());
    house.restart().await;
    assert_eq!((introspects(&app.secret).await, introspects(&second_secret).await), (401, 200));
}

#[rocket::async_test]
async fn a_disabled_app_is_a_pause_and_a_deleted_one_is_gone_for_ever() {
    let (house, boss) = furnished().await;
    for app in STRATEGIES {
        boss.make_app(app, app, json!({ "access_minutes": 30 })).await;
        for way in ["body", "cookie"] {
            let answer = house.anyone().login_to("ada", app, way).await;
            let member = Member::new(&house, "ada", app, &answer);
            boss.change_app(app, json!({ "state": "disabled" })).await.is(200);
            let paused = member.verdict().await;
            assert!(
                ["session_ended/app_disabled", "token_blacklisted"].contains(&paused.as_str()),
                "{app} {paused}"
            );
            if member.refresh_token.is_some() {
                assert_eq!(member.refresh_verdict().await, "session_ended/app_disabled");
            }
            house.keep_house().await;
            boss.change_app(app, json!({ "state": "enabled" })).await.is(200);
            member.is_alive().await;
        }
        let member = house.anyone().sign_in("ada", app).await;
        boss.delete(&format!("{APPS}/{app}")).await.is(204);
        boss.get(&format!("{APPS}/{app}")).await.refused(404, "not_found");
        boss.post(APPS, &json!({ "id": app, "strategy": app })).await.refused(409, "app_exists");
        house.keep_house().await;
        house.restart().await;
        let gone = member.verdict().await;
        assert!(["session_ended/app_deleted", "token_blacklisted"].contains(&gone.as_str()), "{app} {gone}");
    }
}

#[rocket::async_test]
async fn tokens_for_an_audience_of_before_are_not_taken_any_more() {
    let (house, boss) = furnished().await;
    boss.make_app("shop", "jwt", json!({ "audience": "https://api.example" })).await;
    let ada = house.anyone().sign_in("ada", "shop").await;
    ada.is_alive().await;
    boss.change_app("shop", json!({ "audience": "https://other.example" })).await.is(200);
    assert_eq!(ada.verdict().await, "invalid_token");
}

#[rocket::async_test]
async fn appliance_access_is_never_on_by_itself_and_works_at_once() {
    let (house, boss) = furnished().await;
    for app in STRATEGIES {
        boss.make_app(app, app, json!({})).await;
        let member = house.anyone().sign_in("boss", app).await;
        member.get("/api/v1/admin/users").await.refused(403, "forbidden");
        boss.change_app(app, json!({ "appliance_access": true })).await.is(200);
        member.get("/api/v1/admin/users").await.is(200);
        boss.change_app(app, json!({ "appliance_access": false })).await.is(200);
        member.get("/api/v1/me").await.refused(403, "forbidden");
    }
}
