//! `/api/v1/admin/users`.

use crate::house::{BOSS, Boss, House, PASSWORD, text};
use rocket::http::Method;
use serde_json::{Value, json};

const USERS: &str = "/api/v1/admin/users";

async fn furnished() -> (House, Boss) {
    let house = House::new().await;
    let boss = house.boss().await;
    boss.make_apps().await;
    (house, boss)
}

fn logins(page: &Value) -> Vec<String> {
    page["items"].as_array().expect("items").iter().map(|item| text(&item["login"])).collect()
}

#[rocket::async_test]
async fn what_is_no_user_is_refused_field_by_field() {
    let (house, boss) = furnished().await;
    let ada = house.make_user("ada", false).await;
    for (body, field, code) in [
        (json!({}), "login", "required"),
        (json!({ "login": "a@b" }), "login", "at_sign"),
        (json!({ "login": "x", "email": "x" }), "email", "not_an_email"),
        (json!({ "login": "x", "role": "root" }), "role", "invalid"),
        (json!({ "login": "x", "groups": ["a,b"] }), "groups", "invalid"),
        (json!({ "login": "x", "groups": [""] }), "groups", "invalid"),
        (
            json!({ "login": "x", "groups": (0..51).map(|n| format!("g{n}")).collect::<Vec<_>>() }),
            "groups",
            "invalid",
        ),
        (json!({ "login": "x", "password": "short" }), "password", "password_too_short"),
        (json!({ "login": "x", "id": ada }), "id", "unknown_field"),
        (json!({ "login": "x", "email_verified": true }), "email_verified", "unknown_field"),
    ] {
        boss.post(USERS, &body).await.refused_field(field, code);
    }
    // All faults at once.
    let answer = boss.post(USERS, &json!({ "login": "a b", "email": "x", "groups": ["a b"] })).await;
    assert_eq!(answer.json()["errors"].as_array().map(Vec::len), Some(3), "{answer}");
    for (body, field, code) in [
        (json!({ "login": "" }), "login", "empty"),
        (json!({ "email_verified": true }), "email_verified", "no_email"),
        (json!({ "state": "deleted" }), "state", "invalid"),
        (json!({ "password": PASSWORD }), "password", "unknown_field"),
        (json!({ "epoch": 0 }), "epoch", "unknown_field"),
    ] {
        boss.change_user(&ada, body).await.refused_field(field, code);
    }
    for path in ["?state=gone", "?role=root", "?limit=0", "?limit=9999", "?cursor=!", "?cursor=AAAA"] {
        boss.get(&format!("{USERS}{path}")).await.refused(422, "validation_failed");
    }
    for id in ["x", "00000000-0000-0000-0000-000000000000", "%ff", "%00"] {
        let path = format!("{USERS}/{id}");
        boss.get(&path).await.refused(404, "not_found");
        boss.patch(&path, &json!({})).await.refused(404, "not_found");
        boss.delete(&path).await.refused(404, "not_found");
        boss.put(&format!("{path}/password"), &json!({ "new_password": PASSWORD }))
            .await
            .refused(404, "not_found");
        boss.ask(Method::Post, &format!("{path}/cut-off")).await.refused(404, "not_found");
        boss.delete(&format!("{path}/sessions")).await.refused(404, "not_found");
    }
}

#[rocket::async_test]
async fn a_name_belongs_to_one_user_whatever_its_spelling_or_kind() {
    let (house, boss) = furnished().await;
    boss.post(USERS, &json!({ "login": "scope", "email": "ada@example.org" })).await.is(201);
    let other = house.make_user("other", false).await;
    for body in [
        json!({ "login": "SCOPE" }),
        json!({ "login": "\u{455}\u{441}\u{43e}\u{440}\u{435}" }),
        json!({ "login": "new", "email": "ADA@example.org" }),
    ] {
        boss.post(USERS, &body).await.refused(409, "name_taken");
    }
    boss.change_user(&other, json!({ "login": "Scope" })).await.refused(409, "name_taken");
    boss.change_user(&other, json!({ "email": "ada@EXAMPLE.org" })).await.refused(409, "name_taken");
    // Unconfirmed, it takes nobody's place.
    let unconfirmed = json!({ "email": "ada@example.org", "email_verified": false });
    boss.change_user(&other, unconfirmed).await.is(200);
    boss.change_user(&other, json!({ "email_verified": true })).await.refused(409, "name_taken");
    // A deleted user's names are free.
    let first = boss.get(&format!("{USERS}?q=scope")).await.is(200);
    let id = text(&first["items"][0]["id"]);
    boss.delete(&format!("{USERS}/{id}")).await.is(204);
    boss.change_user(&other, json!({ "email_verified": true })).await.is(200);
    boss.post(USERS, &json!({ "login": "scope" })).await.is(201);
}

#[rocket::async_test]
async fn lists_are_searched_by_the_beginnings_of_words_and_paged() {
    let (house, boss) = furnished().await;
    for (login, name) in [("ada", "Ada Lovelace"), ("grace", "Grace Brewster Hopper"), ("lovejoy", "Ada Ada")]
    {
        house.advance_ms(1);
        boss.post(USERS, &json!({ "login": login, "name": name, "email": format!("{login}@example.org") }))
            .await
            .is(201);
    }
    let find = async |query: &str| logins(&boss.get(&format!("{USERS}?q={query}")).await.is(200));
    assert_eq!(find("love").await.len(), 2);
    assert_eq!(find("lovelace").await, ["ada"]);
    assert_eq!(find("ada%20love").await.len(), 2);
    assert_eq!(find("HOPP").await, ["grace"]);
    assert_eq!(find("exam").await.len(), 3);
    assert_eq!(find("lace").await.len(), 0);
    assert_eq!(find("%F0%9F%92%A9").await.len(), 4);
    for query in ["", "?q=example", "?role=user", "?state=enabled"] {
        let all = logins(&boss.get(&format!("{USERS}{query}")).await.is(200));
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let with = if query.is_empty() { "?" } else { &format!("{query}&") };
            let page = boss.get(&format!("{USERS}{with}limit=1{cursor}")).await.is(200);
            paged.extend(logins(&page));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(paged, all, "{query}");
    }
}

#[rocket::async_test]
async fn a_user_who_is_cut_loses_every_credential_at_once_and_for_good() {
    let (house, boss) = furnished().await;
    type Act = fn(&str) -> (Method, String, Value);
    let cuts: [(&str, Act); 7] = [
        ("user_disabled", |id| (Method::Patch, format!("{USERS}/{id}"), json!({ "state": "disabled" }))),
        ("role_changed", |id| (Method::Patch, format!("{USERS}/{id}"), json!({ "role": "admin" }))),
        ("cut_off", |id| (Method::Post, format!("{USERS}/{id}/cut-off"), Value::Null)),
        ("revoked", |id| (Method::Delete, format!("{USERS}/{id}/sessions"), Value::Null)),
        ("password_changed", |id| {
            (Method::Put, format!("{USERS}/{id}/password"), json!({ "new_password": PASSWORD }))
        }),
        ("revoked", |id| (Method::Post, "/api/v1/admin/blacklist".into(), json!({ "user_id": id }))),
        ("user_deleted", |id| (Method::Delete, format!("{USERS}/{id}"), Value::Null)),
    ];
    house.make_user("bob", false).await;
    let bob = house.anyone().sign_in("bob", "tracked").await;
    for (index, (reason, act)) in cuts.into_iter().enumerate() {
        let login = format!("user{index}");
        let id = house.make_user(&login, false).await;
        let everywhere = house.anyone().sign_in_everywhere(&login).await;
        let (method, path, body) = act(&id);
        let ask = boss.ask(method, &path);
        let answer = if body.is_null() { ask.await } else { ask.json(&body).await };
        assert!(answer.status < 300, "{answer}");
        for member in &everywhere {
            member.is_dead(reason).await;
        }
        // Nor do they come back with the user, with housekeeping, or with a restart.
        if ["user_disabled", "cut_off"].contains(&reason) {
            house.anyone().login(&login, PASSWORD).await.refused(401, "invalid_credentials");
            boss.change_user(&id, json!({ "state": "enabled" })).await.is(200);
        }
        house.keep_house().await;
        house.restart().await;
        for member in &everywhere {
            member.is_dead(reason).await;
        }
        if reason == "user_deleted" {
            boss.get(&format!("{USERS}/{id}")).await.refused(404, "not_found");
            house.anyone().login(&login, PASSWORD).await.refused(401, "invalid_credentials");
        } else {
            house.anyone().sign_in(&login, "refresh").await.is_alive().await;
            let roster = boss.get(&format!("{USERS}/{id}")).await.is(200);
            assert_eq!(roster["live_sessions"], 1, "{reason}");
        }
    }
    bob.is_alive().await;
}

#[rocket::async_test]
async fn a_cut_and_a_sign_in_in_the_same_moment_leave_exactly_the_later_one() {
    let (house, boss) = furnished().await;
    let id = house.make_user("ada", false).await;
    let before = house.anyone().sign_in_everywhere("ada").await;
    boss.delete(&format!("{USERS}/{id}/sessions")).await.is(204);
    let after = house.anyone().sign_in_everywhere("ada").await;
    for member in &before {
        member.is_dead("revoked").await;
    }
    for member in &after {
        member.is_alive().await;
    }
    house.keep_house().await;
    for member in &after {
        member.is_alive().await;
    }
}

#[rocket::async_test]
async fn the_last_administrator_stays() {
    let (house, boss) = furnished().await;
    let id = boss.user_id.clone();
    let path = format!("{USERS}/{id}");
    let stays = async || {
        boss.change_user(&id, json!({ "state": "disabled" })).await.refused(409, "last_admin");
        boss.change_user(&id, json!({ "role": "user" })).await.refused(409, "last_admin");
        boss.delete(&path).await.refused(409, "last_admin");
        boss.ask(Method::Post, &format!("{path}/cut-off")).await.refused(409, "last_admin");
        boss.is_alive().await;
    };
    stays().await;
    // A disabled administrator, and one who is none any more, do not count.
    let other = house.make_user("other", true).await;
    boss.change_user(&other, json!({ "state": "disabled" })).await.is(200);
    stays().await;
    boss.change_user(&other, json!({ "state": "enabled", "role": "user" })).await.is(200);
    stays().await;
    house.restart().await;
    stays().await;
    boss.change_user(&other, json!({ "role": "admin" })).await.is(200);
    boss.change_user(&id, json!({ "role": "user" })).await.is(200);
    boss.is_dead("role_changed").await;
}

#[rocket::async_test]
async fn a_right_that_is_taken_away_is_gone_at_the_next_request() {
    let (house, boss) = furnished().await;
    let id = house.make_user("deputy", true).await;
    let deputy = house.anyone().sign_in("deputy", "default").await;
    deputy.get(USERS).await.is(200);
    boss.change_user(&id, json!({ "role": "user" })).await.is(200);
    assert_ne!(deputy.get(USERS).await.status, 200);
    let deputy = house.anyone().sign_in("deputy", "default").await;
    deputy.get(USERS).await.refused(403, "forbidden");
    // Names and groups change what is shown, and end nothing.
    boss.change_user(&id, json!({ "groups": ["b", "a", "b"], "name": "D", "login": "deputy2" }))
        .await
        .is(200);
    let shown = deputy.get("/api/v1/auth/session").await.is(200);
    assert_eq!((&shown["user"]["groups"], &shown["user"]["login"]), (&json!(["a", "b"]), &json!("deputy2")));
    house.anyone().login("deputy", PASSWORD).await.refused(401, "invalid_credentials");
}

#[rocket::async_test]
async fn a_password_that_is_set_works_and_the_old_one_does_not() {
    let (house, boss) = furnished().await;
    let made = boss.post(USERS, &json!({ "login": "ada" })).await.is(201);
    let path = format!("{USERS}/{}/password", text(&made["id"]));
    boss.put(&path, &json!({ "new_password": "short" }))
        .await
        .refused_field("new_password", "password_too_short");
    boss.put(&path, &json!({ "new_password": PASSWORD })).await.is(204);
    house.anyone().login("ada", PASSWORD).await.is(200);
    boss.put(&path, &json!({ "new_password": "quite another passphrase" })).await.is(204);
    house.anyone().login("ada", PASSWORD).await.refused(401, "invalid_credentials");
    house.anyone().login("ada", "quite another passphrase").await.is(200);
    assert_eq!(boss.login, BOSS);
}
