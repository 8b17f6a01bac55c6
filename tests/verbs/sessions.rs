//! `/api/v1/admin/sessions` and the overview.

use crate::house::{Boss, House, Member, text};
use serde_json::{Value, json};

const SESSIONS: &str = "/api/v1/admin/sessions";

async fn furnished() -> (House, Boss) {
    let house = House::new().await;
    let boss = house.boss().await;
    boss.make_apps().await;
    house.make_user("ada", false).await;
    house.make_user("bob", false).await;
    (house, boss)
}

async fn found(boss: &Boss, query: &str) -> Vec<String> {
    let page: Value = boss.get(&format!("{SESSIONS}{query}")).await.is(200);
    page["items"].as_array().expect("items").iter().map(|item| text(&item["id"])).collect()
}

#[rocket::async_test]
async fn a_filter_that_is_none_is_refused() {
    let (_house, boss) = furnished().await;
    for query in [
        "?state=half",
        "?app=NO",
        "?strategy=x",
        "?network=x",
        "?network=10.0.0.0/8",
        "?limit=0",
        "?limit=201",
        "?cursor=x",
    ] {
        boss.get(&format!("{SESSIONS}{query}")).await.refused(422, "validation_failed");
    }
    for id in ["x", "00000000-0000-0000-0000-000000000000"] {
        boss.get(&format!("{SESSIONS}/{id}")).await.refused(404, "not_found");
        boss.delete(&format!("{SESSIONS}/{id}")).await.refused(404, "not_found");
    }
    let many = vec!["00000000-0000-0000-0000-000000000000"; 201];
    for (body, field, code) in [
        (json!({}), "ids", "invalid"),
        (json!({ "ids": [], "filter": {} }), "ids", "invalid"),
        (json!({ "ids": ["x"] }), "ids", "invalid"),
        (json!({ "ids": many }), "ids", "invalid"),
        (json!({ "filter": { "login": "ada" } }), "login", "unknown_field"),
        (json!({ "filter": { "app": "NO" } }), "app", "invalid"),
        (json!({ "ids": [], "reason": "a\u{7}" }), "reason", "invalid"),
        (json!({ "ids": [], "reason": "x".repeat(201) }), "reason", "invalid"),
    ] {
        boss.post(&format!("{SESSIONS}/revoke"), &body).await.refused_field(field, code);
    }
}

#[rocket::async_test]
async fn sessions_are_found_by_user_app_strategy_state_and_network() {
    let (house, boss) = furnished().await;
    let far = house.anyone().login_to("ada", "session", "body").from("198.51.100.7").await;
    let far = Member::new(&house, "ada", "session", &far);
    house.advance_ms(1);
    let near = house.anyone().sign_in("ada", "refresh").await;
    house.advance_ms(1);
    let bob = house.anyone().sign_in("bob", "refresh").await;
    let [far, near, bob] = [&far, &near, &bob].map(|member| member.session_id().to_owned());
    assert_eq!(found(&boss, "?user=ada").await, [near.clone(), far.clone()]);
    assert_eq!(found(&boss, "?user=nobody").await.len(), 0);
    assert_eq!(found(&boss, "?app=refresh").await, [bob.clone(), near.clone()]);
    assert_eq!(found(&boss, "?strategy=refresh").await, [bob.clone(), near.clone()]);
    assert_eq!(found(&boss, "?network=198.51.100.0/24").await, [far.as_str()]);
    assert_eq!(found(&boss, "?network=198.51.100.200&user=ada").await, [far.as_str()]);
    assert_eq!(found(&boss, "?user=ada&app=refresh&strategy=session").await.len(), 0);
    assert_eq!(found(&boss, "").await.len(), 4);
    boss.delete(&format!("{SESSIONS}/{far}")).await.is(204);
    assert_eq!(found(&boss, "?user=ada").await, [near.as_str()]);
    assert_eq!(found(&boss, "?user=ada&state=ended").await, [far.as_str()]);
    assert_eq!(found(&boss, "?state=all").await.len(), 4);
    // Page by page, the same.
    let first = boss.get(&format!("{SESSIONS}?limit=2")).await.is(200);
    let rest = found(&boss, &format!("?limit=2&cursor={}", text(&first["next"]))).await;
    assert_eq!(rest.len(), 1);
}

#[rocket::async_test]
async fn an_ended_session_says_how_when_and_by_whom() {
    let (house, boss) = furnished().await;
    let ada = house
        .anyone()
        .login_to("ada", "session", "body")
        .agent("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
        .await;
    let ada = Member::new(&house, "ada", "session", &ada);
    let path = format!("{SESSIONS}/{}", ada.session_id());
    let live = boss.get(&path).await.is(200);
    assert_eq!((&live["state"], &live["ended_by"]), (&json!("live"), &Value::Null));
    assert!(text(&live["device"]).contains("Firefox"), "{live}");
    assert_eq!((&live["address"], &live["user"]["login"]), (&json!("127.0.0.1"), &json!("ada")));
    house.advance(1);
    boss.delete(&path).await.is(204);
    ada.is_dead("revoked").await;
    let ended = boss.get(&path).await.is(200);
    assert_eq!((&ended["state"], &ended["ended_reason"]), (&json!("ended"), &json!("revoked")));
    assert_eq!(ended["ended_by"]["login"], "boss");
    assert_eq!(text(&ended["ended_at"]), house.now().to_rfc3339());
    // Ending it again changes nothing.
    house.advance(1);
    boss.delete(&path).await.is(204);
    assert_eq!(boss.get(&path).await.is(200)["ended_at"], ended["ended_at"]);
    // What nobody ended ends by itself, and says so before any sweep.
    let idle = house.anyone().sign_in("ada", "session").await;
    house.advance(90);
    let boss = house.boss().await;
    let path = format!("{SESSIONS}/{}", idle.session_id());
    for _ in 0..2 {
        let shown = boss.get(&path).await.is(200);
        assert_eq!(
            (&shown["ended_reason"], &shown["ended_by"]["kind"]),
            (&json!("idle_expired"), &json!("system"))
        );
        house.keep_house().await;
    }
}

#[rocket::async_test]
async fn many_are_ended_at_once_but_never_the_callers_own() {
    let (house, boss) = furnished().await;
    let one = house.anyone().sign_in("ada", "session").await;
    let two = house.anyone().sign_in("ada", "tracked").await;
    let three = house.anyone().sign_in("bob", "refresh").await;
    let ids = json!([one.session_id(), two.session_id(), boss.session_id(), one.session_id()]);
    let answer = boss.post(&format!("{SESSIONS}/revoke"), &json!({ "ids": ids, "reason": "moved" })).await;
    assert_eq!(answer.is(200), json!({ "ended": 2, "skipped": 2 }));
    one.is_dead("revoked").await;
    two.is_dead("revoked").await;
    three.is_alive().await;
    let nobody = json!({ "filter": { "user": "nobody" } });
    assert_eq!(boss.post(&format!("{SESSIONS}/revoke"), &nobody).await.is(200)["ended"], 0);
    let four = house.anyone().sign_in("bob", "session").await;
    let bobs = json!({ "filter": { "user": "bob", "app": "refresh" }, "reason": "left" });
    assert_eq!(boss.post(&format!("{SESSIONS}/revoke"), &bobs).await.is(200)["ended"], 1);
    three.is_dead("revoked").await;
    let struck = boss.get("/api/v1/admin/blacklist?kind=session").await.is(200);
    let reasons: Vec<_> = struck["items"].as_array().unwrap().iter().map(|entry| &entry["reason"]).collect();
    assert_eq!(reasons, ["left", "moved"]);
    four.is_alive().await;
    // All there are: whoever asks goes on.
    let all: Vec<_> = {
        let mut all = Vec::new();
        for _ in 0..5 {
            all.push(house.anyone().sign_in("ada", "session").await);
        }
        all
    };
    assert_eq!(boss.post(&format!("{SESSIONS}/revoke"), &json!({ "filter": {} })).await.is(200)["ended"], 6);
    for member in all.iter().chain([&four]) {
        member.is_dead("revoked").await;
    }
    boss.is_alive().await;
    assert_eq!(found(&boss, "").await, [boss.session_id()]);
    assert_eq!(boss.get("/api/v1/admin/overview").await.is(200)["live_sessions"], 1);
}

#[rocket::async_test]
async fn the_overview_counts_and_calls_for_attention() {
    let (house, boss) = furnished().await;
    let figures = boss.get("/api/v1/admin/overview").await.is(200);
    assert_eq!(
        (&figures["users"], &figures["apps"], &figures["live_sessions"]),
        (&json!(3), &json!(6), &json!(1))
    );
    assert_eq!(figures["attention"], json!([]));
    house.anyone().get("/healthz").header("X-Forwarded-For", "1.1.1.1").from("10.0.0.9").await.is(200);
    let figures = boss.get("/api/v1/admin/overview").await.is(200);
    let attention = figures["attention"].to_string();
    assert!(attention.contains("untrusted_proxy") || attention == "[]", "{attention}");
    // Only requests whose address somebody asked for are looked at: a sign-in is.
    house.anyone().login("ada", "x").header("X-Forwarded-For", "1.1.1.1").from("10.0.0.9").await;
    let figures = boss.get("/api/v1/admin/overview").await.is(200);
    assert_eq!(figures["attention"][0]["code"], "untrusted_proxy");
}

#[rocket::async_test]
async fn ended_sessions_are_forgotten_after_ninety_days() {
    let (house, boss) = furnished().await;
    let ada = house.anyone().sign_in("ada", "session").await;
    boss.delete(&format!("{SESSIONS}/{}", ada.session_id())).await.is(204);
    house.advance(89 * 24 * 60);
    house.keep_house().await;
    let boss = house.boss().await;
    assert_eq!(found(&boss, "?user=ada&state=all").await.len(), 1);
    house.advance(24 * 60 + 2);
    house.keep_house().await;
    let boss = house.boss().await;
    assert_eq!(found(&boss, "?user=ada&state=all").await.len(), 0);
    assert_eq!(ada.verdict().await, "invalid_token");
}

#[rocket::async_test]
async fn one_round_sweeps_all_that_ended_by_itself_also_many_of_one_person() {
    let (house, _) = furnished().await;
    for _ in 0..5 {
        house.anyone().sign_in("ada", "session").await;
        house.anyone().sign_in("bob", "session").await;
    }
    house.advance(92);
    let boss = house.boss().await;
    let live_of = async |login: &str| {
        let users = boss.get(&format!("/api/v1/admin/users?query={login}")).await.is(200);
        users["items"][0]["live_sessions"].clone()
    };
    assert_eq!((live_of("ada").await, live_of("bob").await), (json!(5), json!(5)));
    house.keep_house().await;
    assert_eq!((live_of("ada").await, live_of("bob").await), (json!(0), json!(0)));
}

#[rocket::async_test]
async fn a_filter_by_app_does_not_choose_the_callers_cookie() {
    let (house, boss) = furnished().await;
    let own = house.anyone().sign_in_by_cookie("boss", "hallpass").await;
    let of_app = house.anyone().sign_in_by_cookie("ada", "session").await;
    let both = format!("__Host-hp-session={}; __Host-hp-hallpass={}", of_app.secret(), own.secret());
    let list = house.anyone().get(&format!("{SESSIONS}?app=session")).header("Cookie", both).await.is(200);
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    boss.is_alive().await;
}
