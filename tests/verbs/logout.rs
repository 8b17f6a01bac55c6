//! `POST /api/v1/auth/logout`, in its three scopes.

use crate::house::{Credential, House};
use rocket::http::Method;
use serde_json::json;

const LOGOUT: &str = "/api/v1/auth/logout";

async fn furnished() -> House {
    let house = House::new().await;
    house.boss().await.make_apps().await;
    house.make_user("ada", false).await;
    house
}

#[rocket::async_test]
async fn a_sign_out_that_is_not_understood_does_nothing() {
    let house = furnished().await;
    house.anyone().post(LOGOUT, &json!({})).await.refused(401, "unauthenticated");
    let ada = house.anyone().sign_in("ada", "session").await;
    ada.logout("globl").await.refused_field("scope", "invalid");
    ada.post(LOGOUT, &json!({ "scop": "global" })).await.refused_field("scop", "unknown_field");
    ada.ask(Method::Post, LOGOUT).raw("application/json", "{").await.refused(400, "malformed_json");
    let text = ada.ask(Method::Post, LOGOUT).raw("text/plain", r#"{"scope":"global"}"#);
    text.await.refused(415, "unsupported_media_type");
    ada.is_alive().await;
    // Nothing at all means: here.
    ada.ask(Method::Post, LOGOUT).await.is(204);
    ada.is_dead("logout").await;
}

#[rocket::async_test]
async fn here_means_this_credential_and_all_of_its_session_but_no_other() {
    let house = furnished().await;
    let everywhere = house.anyone().sign_in_everywhere("ada").await;
    for (index, member) in everywhere.iter().enumerate() {
        let answer = member.logout("local").await;
        answer.is(204);
        if let Credential::Cookie { app, .. } = &member.credential {
            assert_eq!(answer.cookie(&format!("__Host-hp-{app}")).as_deref(), Some(""), "{}", member.name());
            assert!(answer.header("clear-site-data").contains("cache"));
        }
        member.is_dead("logout").await;
        member.logout("local").await;
        for other in &everywhere[index + 1..] {
            other.is_alive().await;
        }
    }
    house.restart().await;
    for member in &everywhere {
        member.is_dead("logout").await;
    }
}

#[rocket::async_test]
async fn everywhere_means_every_credential_of_the_user_and_nobody_elses() {
    let house = furnished().await;
    house.make_user("bob", false).await;
    for signs_out in 0..8 {
        let bob = house.anyone().sign_in("bob", "jwt").await;
        let everywhere = house.anyone().sign_in_everywhere("ada").await;
        everywhere[signs_out].logout("global").await.is(204);
        for member in &everywhere {
            member.is_dead("logout_everywhere").await;
        }
        bob.is_alive().await;
        // Signing in again in the same moment is not undone by it.
        house.anyone().sign_in("ada", "jwt").await.is_alive().await;
    }
}

#[rocket::async_test]
async fn the_others_means_that_the_caller_goes_on_with_new_credentials() {
    let house = furnished().await;
    for goes_on in 0..8 {
        let everywhere = house.anyone().sign_in_everywhere("ada").await;
        let old = &everywhere[goes_on];
        let answer = old.logout("others").await;
        let mut new = old.clone();
        new.take(&answer);
        new.is_alive().await;
        assert_ne!(new.secret(), old.secret(), "{}", old.name());
        assert_eq!(new.session_id, old.session_id, "{}", old.name());
        // What the caller held before is dead as well: whoever copied it is one of the others.
        assert_ne!(old.verdict().await, "ok", "{}", old.name());
        if old.refresh_token.is_some() {
            assert_eq!(old.refresh_verdict().await, "session_ended/logout_others");
            assert_eq!(new.refresh_verdict().await, "ok");
        }
        for (index, member) in everywhere.iter().enumerate().filter(|(index, _)| *index != goes_on) {
            member.is_dead("logout_others").await;
            assert_ne!(index, goes_on);
        }
        house.keep_house().await;
        house.restart().await;
        new.is_alive().await;
    }
}

#[rocket::async_test]
async fn going_on_without_the_others_is_no_proof_of_the_password() {
    let house = House::new().await;
    let boss = house.boss().await;
    for strategy in crate::house::STRATEGIES {
        boss.make_app(strategy, strategy, json!({ "appliance_access": true, "access_minutes": 30 })).await;
    }
    for app in crate::house::STRATEGIES {
        for way in ["body", "cookie"] {
            let answer = house.anyone().login_to("boss", app, way).await;
            let mut member = crate::house::Member::new(&house, "boss", app, &answer);
            house.advance(11);
            member.take(&member.logout("others").await);
            let member = if app == "refresh" { member.by_access_token() } else { member };
            let new = json!({ "login": format!("by-{app}-{way}") });
            member.post("/api/v1/admin/users", &new).await.refused(403, "reauth_required");
        }
    }
}

#[rocket::async_test]
async fn signing_the_others_out_is_a_use_of_a_refresh_session() {
    let house = furnished().await;
    house.boss().await.make_app("short", "refresh", json!({ "idle_minutes": 5 })).await;
    let mut ada = house.anyone().sign_in("ada", "short").await;
    house.advance(4);
    let answer = ada.logout("others").await;
    answer.is(200);
    ada.take(&answer);
    house.advance(4);
    ada.refresh().await.is(200);
}
