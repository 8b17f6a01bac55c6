//! `/api/v1/me`: one's own profile, password and sessions.

use crate::house::{Boss, House, PASSWORD, STRATEGIES, text};
use serde_json::json;

const NEW: &str = "quite another passphrase";

async fn furnished() -> (House, Boss) {
    let house = House::new().await;
    let boss = house.boss().await;
    boss.make_apps().await;
    house.make_user("ada", false).await;
    house.make_user("bob", false).await;
    (house, boss)
}

#[rocket::async_test]
async fn only_credentials_of_the_appliances_own_apps_open_it() {
    let (house, _) = furnished().await;
    house.anyone().get("/api/v1/me").await.refused(401, "unauthenticated");
    for login in ["ada", "boss"] {
        for member in house.anyone().sign_in_everywhere(login).await {
            for path in ["/api/v1/me", "/api/v1/me/sessions"] {
                member.get(path).await.refused(403, "forbidden");
            }
            member.change_password(PASSWORD, NEW).await.refused(403, "forbidden");
            member.get("/api/v1/admin/users").await.refused(403, "forbidden");
        }
        house.anyone().sign_in(login, "default").await.get("/api/v1/me").await.is(200);
        house.anyone().sign_in_by_cookie(login, "hallpass").await.get("/api/v1/me").await.is(200);
    }
    // A refresh cookie says who it is, and opens nothing.
    let page = house.anyone().sign_in_by_cookie("ada", "default").await;
    page.is_alive().await;
    page.get("/api/v1/me").await.refused(401, "invalid_token");
}

#[rocket::async_test]
async fn nobody_gives_oneself_more_than_a_name_and_an_unconfirmed_email() {
    let (house, _) = furnished().await;
    let ada = house.anyone().sign_in("ada", "default").await;
    let before = ada.get("/api/v1/me").await.is(200);
    for (field, value) in [
        ("role", json!("admin")),
        ("groups", json!(["admins"])),
        ("email_verified", json!(true)),
        ("login", json!("boss")),
        ("id", json!("x")),
        ("state", json!("enabled")),
        ("password", json!(NEW)),
        ("epoch", json!(0)),
    ] {
        ada.patch("/api/v1/me", &json!({ field: value })).await.refused_field(field, "unknown_field");
    }
    for (field, value, code) in [
        ("name", json!("a\u{202e}b"), "bad_character"),
        ("name", json!("x".repeat(201)), "too_long"),
        ("email", json!("no address"), "not_an_email"),
        ("email", json!("a@b@c"), "not_an_email"),
        ("email", json!(["a@example.org", "evil@example.org"]), "invalid"),
    ] {
        ada.patch("/api/v1/me", &json!({ field: value })).await.refused_field(field, code);
    }
    assert_eq!(ada.get("/api/v1/me").await.is(200), before);
    let change = json!({ "name": " Ada <script> ", "email": "ada@example.org" });
    let after = ada.patch("/api/v1/me", &change).await.is(200);
    assert_eq!((&after["name"], &after["email_verified"]), (&json!("Ada <script>"), &json!(false)));
    // A sign-in name is not changed by whoever finds the screen unlocked.
    house.advance_ms(9 * 60_000);
    let ada = house.anyone().sign_in("ada", "hallpass").await;
    house.advance(10);
    ada.patch("/api/v1/me", &json!({ "email": null })).await.refused(403, "reauth_required");
    ada.patch("/api/v1/me", &json!({ "name": "Ada" })).await.is(200);
}

#[rocket::async_test]
async fn a_password_is_changed_only_by_who_knows_it_and_to_a_good_one() {
    let (house, _) = furnished().await;
    let ada = house.anyone().sign_in("ada", "hallpass").await;
    ada.change_password("not the passphrase", NEW).await.refused(401, "invalid_credentials");
    ada.change_password(PASSWORD, "short").await.refused_field("new_password", "password_too_short");
    let body = json!({ "current_password": PASSWORD, "new_password": NEW, "user_id": "x" });
    ada.put("/api/v1/me/password", &body).await.refused_field("user_id", "unknown_field");
    house.anyone().login("ada", PASSWORD).await.is(200);
    house.anyone().login("ada", NEW).await.refused(401, "invalid_credentials");
}

#[rocket::async_test]
async fn a_new_password_ends_everything_but_the_session_that_chose_it() {
    let (house, _) = furnished().await;
    let everywhere = house.anyone().sign_in_everywhere("ada").await;
    for (app, way) in [("hallpass", "cookie"), ("hallpass", "body"), ("default", "body")] {
        let (old_password, new_password) = if app == "hallpass" && way == "cookie" {
            (PASSWORD, NEW)
        } else if app == "hallpass" {
            (NEW, PASSWORD)
        } else {
            (PASSWORD, NEW)
        };
        let body = json!({ "login": "ada", "password": old_password, "app": app, "transport": way });
        let answer = house.anyone().post("/api/v1/auth/login", &body).await;
        let old = crate::house::Member::new(&house, "ada", app, &answer);
        let mut new = old.clone();
        new.take(&old.change_password(old_password, new_password).await);
        new.is_alive().await;
        assert_ne!(new.secret(), old.secret());
        assert_ne!(old.verdict().await, "ok", "{}", old.name());
        if old.refresh_token.is_some() {
            assert_eq!(old.refresh_verdict().await, "session_ended/password_changed");
            assert_eq!(new.refresh_verdict().await, "ok");
        }
    }
    for member in &everywhere {
        member.is_dead("password_changed").await;
    }
    house.anyone().login("ada", PASSWORD).await.refused(401, "invalid_credentials");
    house.keep_house().await;
    house.restart().await;
    for member in &everywhere {
        member.is_dead("password_changed").await;
    }
}

#[rocket::async_test]
async fn nobody_sees_or_ends_anothers_session() {
    let (house, boss) = furnished().await;
    let ada = house.anyone().sign_in("ada", "default").await;
    for victim in [house.anyone().sign_in("bob", "session").await, boss.0.clone()] {
        let path = format!("/api/v1/me/sessions/{}", victim.session_id());
        ada.delete(&path).await.refused(404, "not_found");
        victim.is_alive().await;
    }
    for id in ["x", "00000000-0000-0000-0000-000000000000", "%00", "..%2f", &ada.session_id().to_uppercase()]
    {
        ada.delete(&format!("/api/v1/me/sessions/{id}")).await.refused(404, "not_found");
    }
    let listed = ada.get("/api/v1/me/sessions?state=all").await.is(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    ada.get("/api/v1/me/sessions?state=half").await.refused_field("state", "invalid");
    for limit in ["0", "201", "-1", "x"] {
        ada.get(&format!("/api/v1/me/sessions?limit={limit}")).await.refused_field("limit", "invalid");
    }
    ada.get("/api/v1/me/sessions?cursor=x").await.refused_field("cursor", "invalid");
}

#[rocket::async_test]
async fn one_lists_and_ends_ones_own_sessions() {
    let (house, _) = furnished().await;
    let ada = house.anyone().sign_in("ada", "hallpass").await;
    let mut others = Vec::new();
    for app in STRATEGIES.into_iter().filter(|app| *app != "jwt") {
        house.advance_ms(1);
        others.push(house.anyone().sign_in("ada", app).await);
    }
    let page = ada.get("/api/v1/me/sessions?limit=2").await.is(200);
    let rest = format!("/api/v1/me/sessions?limit=2&cursor={}", text(&page["next"]));
    let rest = ada.get(&rest).await.is(200);
    let ids = [&page["items"], &rest["items"]].map(|items| items.as_array().cloned().unwrap_or_default());
    let ids: Vec<_> = ids.concat().iter().map(|item| text(&item["id"])).collect();
    let newest_first: Vec<_> = others.iter().rev().chain([&ada]).map(|m| m.session_id().to_owned()).collect();
    assert_eq!(ids, newest_first);

    ada.delete(&format!("/api/v1/me/sessions/{}", others[0].session_id())).await.is(204);
    others[0].is_dead("revoked").await;
    others[1].is_alive().await;
    let mut goes_on = ada.clone();
    goes_on.take(&ada.post("/api/v1/me/sessions/revoke-others", &json!({})).await);
    others[1].is_dead("logout_others").await;
    others[2].is_dead("logout_others").await;
    let live = goes_on.get("/api/v1/me/sessions").await.is(200);
    assert_eq!(live["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(live["items"][0]["current"], true);
    let ended = goes_on.get("/api/v1/me/sessions?state=ended").await.is(200);
    let reasons: Vec<_> = ended["items"]
        .as_array()
        .cloned()
        .unwrap_or_default()
        .iter()
        .map(|i| text(&i["ended_reason"]))
        .collect();
    assert_eq!(reasons, ["logout_others", "logout_others", "revoked"]);
}
