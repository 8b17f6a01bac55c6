//! `/api/v1/admin/blacklist`.

use crate::house::{Boss, House, STRATEGIES, text};
use serde_json::{Value, json};

const BLACKLIST: &str = "/api/v1/admin/blacklist";
const KEYS: &str = "/api/v1/admin/keys";

async fn furnished() -> (House, Boss) {
    let house = House::new().await;
    let boss = house.boss().await;
    boss.make_apps().await;
    house.make_user("ada", false).await;
    (house, boss)
}

fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).expect("a JWT");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&bytes).expect("claims")
}

#[rocket::async_test]
async fn what_names_nothing_is_refused() {
    let (house, boss) = furnished().await;
    let ada = house.anyone().sign_in("ada", "jwt").await;
    let (message, _) = ada.secret().rsplit_once('.').expect("a JWT");
    let altered = format!("{message}.{}", "A".repeat(86));
    let unknown = "00000000-0000-0000-0000-000000000000";
    for (body, field, code) in [
        (json!({}), "token", "invalid"),
        (json!({ "jti": unknown, "sid": unknown }), "token", "invalid"),
        (json!({ "token": "x" }), "token", "not_ours"),
        (json!({ "token": altered }), "token", "not_ours"),
        (json!({ "jti": "x" }), "jti", "invalid"),
        (json!({ "sid": "x" }), "sid", "invalid"),
        (json!({ "user_id": "x" }), "user_id", "invalid"),
        (json!({ "jti": unknown, "reason": "x".repeat(201) }), "reason", "invalid"),
        (json!({ "jti": unknown, "reason": "a\nb" }), "reason", "invalid"),
        (json!({ "jti": unknown, "until": "2030" }), "until", "unknown_field"),
    ] {
        boss.post(BLACKLIST, &body).await.refused_field(field, code);
    }
    for body in [json!({ "sid": unknown }), json!({ "user_id": unknown }), json!({ "kid": "x" })] {
        boss.post(BLACKLIST, &body).await.refused(404, "not_found");
    }
    for id in ["x", "token-x", "nothing-at-all", &format!("token-{unknown}"), "key-AAAA", "%00"] {
        boss.delete(&format!("{BLACKLIST}/{id}")).await.refused(404, "not_found");
    }
}

#[rocket::async_test]
async fn every_kind_of_pasted_credential_is_struck() {
    let (house, boss) = furnished().await;
    for app in STRATEGIES {
        let ada = house.anyone().sign_in("ada", app).await;
        let body = json!({ "token": format!(" {} ", ada.secret()), "reason": "leaked" });
        let answer = boss.post(BLACKLIST, &body).await;
        let entry = answer.is(201);
        assert!(!answer.body.contains(ada.secret()), "{app}");
        assert_eq!((&entry["reason"], &entry["by"]["login"]), (&json!("leaked"), &json!("boss")), "{app}");
        assert_eq!(entry["kind"], if app == "session" { "session" } else { "token" }, "{app}");
        assert_ne!(ada.verdict().await, "ok", "{app}");
        if let Some(token) = &ada.refresh_token {
            assert_eq!(ada.refresh_verdict().await, "ok");
            boss.post(BLACKLIST, &json!({ "token": token })).await.is(201);
            assert_eq!(ada.refresh_verdict().await, "session_ended/revoked");
        }
        house.restart().await;
        assert_ne!(ada.verdict().await, "ok", "{app}");
    }
}

#[rocket::async_test]
async fn only_hand_made_token_entries_can_be_taken_back() {
    let (house, boss) = furnished().await;
    let ada = house.anyone().sign_in("ada", "jwt").await;
    let jti = text(&claims(ada.secret())["jti"]);
    let entry = boss.post(BLACKLIST, &json!({ "jti": jti })).await.is(201);
    assert_eq!(ada.verdict().await, "token_blacklisted");
    assert_eq!(entry["manual"], true);
    boss.delete(&format!("{BLACKLIST}/{}", text(&entry["id"]))).await.is(204);
    ada.is_alive().await;
    house.restart().await;
    ada.is_alive().await;

    ada.logout("local").await.is(204);
    boss.delete(&format!("{BLACKLIST}/token-{jti}")).await.refused(409, "entry_is_final");
    // Striking by hand what a verb has struck does not make it removable.
    boss.post(BLACKLIST, &json!({ "jti": jti })).await.is(201);
    boss.delete(&format!("{BLACKLIST}/token-{jti}")).await.refused(409, "entry_is_final");
    assert_eq!(ada.verdict().await, "token_blacklisted");

    let tracked = house.anyone().sign_in("ada", "tracked").await;
    let by_session = boss.post(BLACKLIST, &json!({ "sid": tracked.session_id() })).await.is(201);
    let by_user =
        boss.post(BLACKLIST, &json!({ "user_id": tracked.user_id, "reason": "stolen laptop" })).await.is(201);
    assert_eq!(by_user["reason"], "stolen laptop");
    for entry in [by_session, by_user] {
        boss.delete(&format!("{BLACKLIST}/{}", text(&entry["id"]))).await.refused(409, "entry_is_final");
    }
    assert_eq!(tracked.verdict().await, "session_ended/revoked");
}

#[rocket::async_test]
async fn the_list_is_paged_and_told_apart_by_kind() {
    let (house, boss) = furnished().await;
    for query in ["?kind=all", "?kind=Token", "?limit=0", "?cursor=x", "?cursor=7-token-x"] {
        boss.get(&format!("{BLACKLIST}{query}")).await.refused(422, "validation_failed");
    }
    for n in 0..5 {
        house.advance_ms(n % 2);
        let ada = house.anyone().sign_in("ada", "jwt").await;
        boss.post(BLACKLIST, &json!({ "token": ada.secret() })).await.is(201);
    }
    let session = house.anyone().sign_in("ada", "session").await;
    boss.post(BLACKLIST, &json!({ "sid": session.session_id() })).await.is(201);
    let ids = |page: &Value| -> Vec<String> {
        page["items"].as_array().expect("items").iter().map(|item| text(&item["id"])).collect()
    };
    let all = ids(&boss.get(BLACKLIST).await.is(200));
    assert_eq!(all.len(), 6);
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = boss.get(&format!("{BLACKLIST}?limit=2{cursor}")).await.is(200);
        paged.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, all);
    assert_eq!(ids(&boss.get(&format!("{BLACKLIST}?kind=session")).await.is(200)).len(), 1);
    assert_eq!(ids(&boss.get(&format!("{BLACKLIST}?kind=key")).await.is(200)).len(), 0);
}

#[rocket::async_test]
async fn entries_are_kept_thirteen_hours_whatever_the_settings_are() {
    let (house, boss) = furnished().await;
    let ada = house.anyone().sign_in("ada", "tracked").await;
    let entry = boss.post(BLACKLIST, &json!({ "token": ada.secret() })).await.is(201);
    let until = house.now().plus_minutes(13 * 60).to_rfc3339();
    assert_eq!(text(&entry["until"]), until);
    house.advance(13 * 60 - 1);
    house.keep_house().await;
    let boss = house.boss().await;
    assert_eq!(boss.get(BLACKLIST).await.is(200)["items"].as_array().map(Vec::len), Some(1));
    house.advance(2);
    house.keep_house().await;
    let boss = house.boss().await;
    assert_eq!(boss.get(BLACKLIST).await.is(200)["items"], json!([]));
    assert_ne!(ada.verdict().await, "ok");
}

#[rocket::async_test]
async fn a_blacklisted_key_kills_what_it_signed_and_another_takes_its_place() {
    let (house, boss) = furnished().await;
    let mut old = Vec::new();
    for app in ["jwt", "tracked", "refresh"] {
        old.push(house.anyone().sign_in("ada", app).await);
    }
    let keys = boss.get(KEYS).await.is(200);
    let kid = text(&keys["items"][0]["kid"]);
    let entry = boss.post(BLACKLIST, &json!({ "kid": kid, "reason": "leaked" })).await.is(201);
    assert_eq!((&entry["kind"], &entry["reason"]), (&json!("key"), &json!("leaked")));
    for restarted in [false, true] {
        for member in &old {
            let dead = member.verdict().await;
            assert!(
                ["token_blacklisted", "invalid_token"].contains(&dead.as_str()),
                "{} {dead}",
                member.name()
            );
        }
        house.anyone().sign_in("ada", "jwt").await.is_alive().await;
        if !restarted {
            house.restart().await;
        }
    }
    // The session itself was not struck: its refresh token gives a token of the new key.
    assert_eq!(old[2].refresh_verdict().await, "ok");
    boss.delete(&format!("{BLACKLIST}/{}", text(&entry["id"]))).await.refused(409, "entry_is_final");
    let jwks = house.anyone().get("/.well-known/jwks.json").await;
    assert!(!jwks.body.contains(&kid), "{jwks}");
}

#[rocket::async_test]
async fn an_entry_that_has_run_out_does_not_stand_in_the_way_of_a_new_one() {
    let house = House::new().await;
    let strike = json!({ "jti": "01890a5d-ac96-774b-bcce-b302099a8057" });
    for _ in 0..2 {
        house.boss().await.post(BLACKLIST, &strike).await.is(201);
        // Nobody has swept.
        house.advance(13 * 60);
    }
}
