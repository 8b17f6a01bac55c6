//! `/api/v1/sessions/{id}/data`: an app's own data on a session.

use crate::house::{Ask, Boss, House, Member, OwnApp};
use rocket::http::Method;
use serde_json::{Value, json};
use std::collections::HashMap;

async fn furnished() -> (House, Boss, HashMap<&'static str, OwnApp>, Member) {
    let house = House::new().await;
    let boss = house.boss().await;
    let apps = boss.make_apps().await;
    house.make_user("ada", false).await;
    let ada = house.anyone().sign_in("ada", "session").await;
    (house, boss, apps, ada)
}

fn path(member: &Member) -> String {
    format!("/api/v1/sessions/{}/data", member.session_id())
}

fn write(house: &House, app: &OwnApp, member: &Member, data: &Value) -> Ask {
    house.anyone().ask(Method::Put, &path(member)).json(data).basic(&app.id, &app.secret)
}

#[rocket::async_test]
async fn nobody_but_the_sessions_app_and_administrators_reads_or_writes_it() {
    let (house, _, apps, ada) = furnished().await;
    let data = json!({ "role": "owner" });
    let plain = house.anyone();
    plain.get(&path(&ada)).await.refused(401, "unauthenticated");
    plain.ask(Method::Put, &path(&ada)).json(&data).await.refused(401, "unauthenticated");
    // Never by the user's own credential, whatever app it is of.
    let by_default = plain.sign_in("ada", "default").await;
    for member in [&ada, &by_default] {
        member.put(&path(&ada), &data).await.refused(403, "forbidden");
        member.get(&path(&ada)).await.refused(403, "forbidden");
    }
    write(&house, &apps["tracked"], &ada, &data).await.refused(404, "not_found");
    let wrong = OwnApp { id: "session".into(), secret: apps["tracked"].secret.clone() };
    for bad in [wrong, OwnApp { id: "session".into(), secret: String::new() }] {
        write(&house, &bad, &ada, &data).await.refused(401, "invalid_client");
    }
    let unknown = "/api/v1/sessions/00000000-0000-0000-0000-000000000000/data";
    let own = &apps["session"];
    plain.get(unknown).basic(&own.id, &own.secret).await.refused(404, "not_found");
    assert_eq!(plain.get(&path(&ada)).basic(&own.id, &own.secret).await.is(200), json!({}));
}

#[rocket::async_test]
async fn it_is_an_object_of_four_kib_at_most() {
    let (house, _, apps, ada) = furnished().await;
    let own = &apps["session"];
    for bad in [json!([]), json!("x"), json!(null), json!(1)] {
        write(&house, own, &ada, &bad).await.refused(422, "validation_failed");
    }
    // `{"a":"…"}` is eight bytes around the text.
    write(&house, own, &ada, &json!({ "a": "x".repeat(4089) })).await.refused_field("data", "too_large");
    write(&house, own, &ada, &json!({ "a": "x".repeat(4088) })).await.is(200);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let ask = house.anyone().ask(Method::Put, &path(&ada)).raw("application/json", deep);
    ask.basic(&own.id, &own.secret).await.refused(400, "malformed_json");
    let text = house.anyone().ask(Method::Put, &path(&ada)).raw("text/plain", "{}");
    text.basic(&own.id, &own.secret).await.refused(415, "unsupported_media_type");
}

#[rocket::async_test]
async fn an_update_of_something_that_has_changed_is_refused() {
    let (house, _, apps, ada) = furnished().await;
    let own = &apps["session"];
    let first = write(&house, own, &ada, &json!({ "n": 1 })).header("If-Match", "\"0\"").await;
    first.is(200);
    let tag = first.header("etag").to_owned();
    for stale in ["\"0\"", "\"99\"", "\"x\"", "W/\"1\""] {
        let ask = write(&house, own, &ada, &json!({ "n": 2 })).header("If-Match", stale);
        ask.await.refused(412, "precondition_failed");
    }
    write(&house, own, &ada, &json!({ "n": 2 })).header("If-Match", tag).await.is(200);
    write(&house, own, &ada, &json!({ "n": 3 })).header("If-Match", "*").await.is(200);
    assert_eq!(house.anyone().get(&path(&ada)).basic(&own.id, &own.secret).await.is(200), json!({ "n": 3 }));
}

#[rocket::async_test]
async fn it_shows_in_the_session_goes_on_with_it_and_ends_with_it() {
    let (house, boss, apps, ada) = furnished().await;
    let own = &apps["session"];
    let data = json!({ "cart": [1, 2], "name": "<b>" });
    write(&house, own, &ada, &data).await.is(200);
    assert_eq!(ada.get("/api/v1/auth/session").await.is(200)["session"]["data"], data);
    // It changes without the client, also by an administrator.
    boss.put(&path(&ada), &json!({ "cart": [] })).await.is(200);
    assert_eq!(ada.get("/api/v1/auth/session").await.is(200)["session"]["data"], json!({ "cart": [] }));
    let mut goes_on = ada.clone();
    goes_on.take(&ada.logout("others").await);
    house.restart().await;
    assert_eq!(goes_on.get("/api/v1/auth/session").await.is(200)["session"]["data"], json!({ "cart": [] }));
    goes_on.logout("local").await.is(204);
    let refused = write(&house, own, &ada, &data).await.refused(401, "session_ended");
    assert_eq!(refused["ended_reason"], "logout");
    assert_eq!(house.anyone().get(&path(&ada)).basic(&own.id, &own.secret).await.is(200), json!({}));
}
