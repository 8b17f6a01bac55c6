//! `/oauth2`: token, introspection, revocation.

use crate::house::{Ask, Boss, Credential, House, Member, OwnApp, STRATEGIES, text, verdict};
use rocket::http::Method;
use serde_json::{Value, json};
use std::collections::HashMap;

async fn furnished() -> (House, Boss, HashMap<&'static str, OwnApp>) {
    let house = House::new().await;
    let boss = house.boss().await;
    let apps = boss.make_apps().await;
    house.make_user("ada", false).await;
    (house, boss, apps)
}

fn ask(house: &House, endpoint: &str, app: &OwnApp, fields: &[(&str, &str)]) -> Ask {
    house.anyone().form(&format!("/oauth2/{endpoint}"), fields).basic(&app.id, &app.secret)
}

async fn introspect(house: &House, app: &OwnApp, token: &str) -> Value {
    ask(house, "introspect", app, &[("token", token)]).await.is(200)
}

#[rocket::async_test]
async fn an_app_that_does_not_prove_itself_is_refused_alike_everywhere() {
    let (house, boss, apps) = furnished().await;
    boss.make_app("public", "refresh", json!({})).await;
    let secret = apps["refresh"].secret.as_str();
    let form = |fields: &[(&str, &str)], endpoint: &str| {
        let mut all = vec![("token", "x"), ("refresh_token", "x"), ("grant_type", "refresh_token")];
        all.extend_from_slice(fields);
        house.anyone().form(&format!("/oauth2/{endpoint}"), &all)
    };
    for endpoint in ["token", "introspect", "revoke"] {
        form(&[], endpoint).await.refused(401, "invalid_client");
        for (id, wrong) in [
            ("refresh", apps["tracked"].secret.as_str()),
            ("refresh", &secret[..secret.len() - 1]),
            ("nothing", secret),
            ("NO", secret),
            ("default", secret),
        ] {
            form(&[], endpoint).basic(id, wrong).await.refused(401, "invalid_client");
            form(&[("client_id", id), ("client_secret", wrong)], endpoint)
                .await
                .refused(401, "invalid_client");
        }
        form(&[("client_id", "refresh")], endpoint).await.refused(401, "invalid_client");
        form(&[("client_id", "tracked")], endpoint)
            .basic("refresh", secret)
            .await
            .refused(401, "invalid_client");
        let both = form(&[("client_secret", secret)], endpoint).basic("refresh", secret);
        both.await.refused(400, "invalid_request");
        for broken in ["Basic", "Basic !", "Basic Og==", "Bearer x"] {
            let answer = form(&[], endpoint).header("Authorization", broken).await;
            answer.refused(401, "invalid_client");
            assert!(answer.header("www-authenticate").starts_with("Basic"), "{answer}");
        }
        let twice = [("token", "x"), ("token", "y"), ("refresh_token", "x"), ("refresh_token", "y")];
        let twice = ask(
            &house,
            endpoint,
            &apps["refresh"],
            &[&twice[..], &[("grant_type", "refresh_token")]].concat(),
        );
        twice.await.refused(400, "invalid_request");
        ask(&house, endpoint, &apps["refresh"], &[]).await.refused(400, "invalid_request");
        let json = house.anyone().post(&format!("/oauth2/{endpoint}"), &json!({ "token": "x" }));
        json.await.refused(415, "unsupported_media_type");
        house.anyone().get(&format!("/oauth2/{endpoint}")).await.refused(405, "method_not_allowed");
        let huge = "x".repeat(40_000);
        form(&[("x", &huge)], endpoint).await.refused(413, "payload_too_large");
    }
    form(&[("client_id", "public")], "introspect").await.refused(401, "invalid_client");
}

#[rocket::async_test]
async fn only_a_refresh_token_of_the_app_itself_gives_a_pair() {
    let (house, boss, apps) = furnished().await;
    let own = boss.make_app("other", "refresh", json!({ "confidential": true })).await;
    let ada = house.anyone().sign_in("ada", "refresh").await;
    let token = ada.refresh_token.clone().expect("a refresh token");
    for grant in ["password", "authorization_code", "client_credentials", "REFRESH_TOKEN"] {
        let fields = [("grant_type", grant), ("refresh_token", token.as_str())];
        ask(&house, "token", &apps["refresh"], &fields).await.refused(400, "unsupported_grant_type");
    }
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    ask(&house, "token", &own, &fields).await.refused(400, "invalid_grant");
    for bad in ["x", ada.secret()] {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", bad)];
        ask(&house, "token", &apps["refresh"], &fields).await.refused(400, "invalid_grant");
    }
    let answer = ask(&house, "token", &apps["refresh"], &fields).await;
    let pair = answer.is(200);
    assert_eq!((answer.header("pragma"), &pair["token_type"]), ("no-cache", &json!("Bearer")));
    assert_eq!(verdict(house.anyone().check(&text(&pair["access_token"]))).await, "ok");
    // Both ways to the same rule: the same successor, and reuse is noticed.
    let again = house.anyone().refresh(&token).await.is(200);
    assert_eq!(again["refresh_token"], pair["refresh_token"]);
    house.anyone().refresh(&text(&pair["refresh_token"])).await.is(200);
    ask(&house, "token", &apps["refresh"], &fields).await.refused(400, "invalid_grant");
    ada.is_dead("refresh_reused").await;
}

#[rocket::async_test]
async fn a_public_app_names_itself_and_needs_no_secret() {
    let (house, boss, _) = furnished().await;
    boss.make_app("public", "refresh", json!({})).await;
    let ada = house.anyone().sign_in("ada", "public").await;
    let token = ada.refresh_token.clone().expect("a refresh token");
    let form = |fields: &[(&str, &str)], endpoint: &str| {
        let all = [&[("client_id", "public")], fields].concat();
        house.anyone().form(&format!("/oauth2/{endpoint}"), &all)
    };
    form(&[("grant_type", "refresh_token"), ("refresh_token", &token)], "token").await.is(200);
    form(&[("token", &token)], "revoke").await.is(200);
    ada.is_dead("logout").await;
}

#[rocket::async_test]
async fn what_is_not_active_or_not_yours_says_nothing_more() {
    let (house, boss, apps) = furnished().await;
    let inactive = json!({ "active": false });
    for token in ["x", "hps_x", "hpr_x", &format!("hps_{}", "A".repeat(49)), "a.b.c"] {
        assert_eq!(introspect(&house, &apps["jwt"], token).await, inactive);
    }
    for (name, app) in &apps {
        let member = house.anyone().sign_in("ada", name).await;
        let secrets = [Some(member.secret().to_owned()), member.refresh_token.clone()];
        for secret in secrets.iter().flatten() {
            for (other, other_app) in apps.iter().filter(|(other, _)| *other != name) {
                assert_eq!(introspect(&house, other_app, secret).await, inactive, "{name} {other}");
            }
            assert_eq!(introspect(&house, app, secret).await["active"], true, "{name}");
        }
        member.logout("local").await.is(204);
        for secret in secrets.iter().flatten() {
            assert_eq!(introspect(&house, app, secret).await, inactive, "{name}");
        }
    }
    // Every way to be cut, and every way to be over.
    let id = house.make_user("bob", false).await;
    for cut in [json!({ "state": "disabled" }), json!({ "state": "enabled", "role": "admin" })] {
        let members = house.anyone().sign_in_everywhere("ada").await;
        let bobs = match cut["state"].as_str() {
            Some("disabled") => house.anyone().sign_in_everywhere("bob").await,
            _ => Vec::new(),
        };
        boss.change_user(&id, cut).await.is(200);
        for member in &bobs {
            assert_eq!(introspect(&house, &apps[member.app.as_str()], member.secret()).await, inactive);
        }
        for member in &members {
            assert_eq!(introspect(&house, &apps[member.app.as_str()], member.secret()).await["active"], true);
        }
    }
    let spent = house.anyone().sign_in("ada", "refresh").await;
    spent.refresh().await.is(200);
    let token = spent.refresh_token.clone().unwrap_or_default();
    assert_eq!(introspect(&house, &apps["refresh"], &token).await, inactive);
    let old = house.anyone().sign_in_everywhere("ada").await;
    house.advance(31 * 24 * 60);
    for member in &old {
        assert_eq!(introspect(&house, &apps[member.app.as_str()], member.secret()).await, inactive);
    }
}

#[rocket::async_test]
async fn an_active_token_says_whose_it_is_and_for_how_long() {
    let (house, boss, apps) = furnished().await;
    for app in STRATEGIES {
        let member = house.anyone().sign_in("ada", app).await;
        let shown = introspect(&house, &apps[app], member.secret()).await;
        assert_eq!((&shown["sub"], &shown["username"]), (&json!(member.user_id), &json!("ada")), "{app}");
        assert_eq!(
            (&shown["client_id"], &shown["iss"]),
            (&json!(app), &json!(crate::house::ORIGIN)),
            "{app}"
        );
        assert!(shown["exp"].as_i64().is_some_and(|exp| exp > house.now().seconds()), "{app}");
        assert_eq!(shown["sid"], json!(member.session_id), "{app}");
        if app != "session" {
            assert!(
                shown["jti"].is_string() && shown["aud"] == app && shown["token_type"] == "Bearer",
                "{app}"
            );
        }
    }
    // A resource server may ask about what is meant for it.
    boss.make_app("shop", "jwt", json!({ "audience": "https://api.example" })).await;
    let server = json!({ "confidential": true, "audience": "https://api.example" });
    let server = boss.make_app("server", "jwt", server).await;
    let member = house.anyone().sign_in("ada", "shop").await;
    assert_eq!(introspect(&house, &server, member.secret()).await["active"], true);
}

#[rocket::async_test]
async fn revoking_is_answered_alike_and_only_ones_own_token_is_revoked() {
    let (house, _, apps) = furnished().await;
    for (name, app) in &apps {
        for token in ["x", "hpr_x", "a.b.c", &format!("hps_{}", "A".repeat(49))] {
            assert_eq!(ask(&house, "revoke", app, &[("token", token)]).await.is(200), json!({}));
        }
        for way in ["body", "cookie"] {
            let answer = house.anyone().login_to("ada", name, way).await;
            let member = Member::new(&house, "ada", name, &answer);
            let token = member.secret();
            for (_, other) in apps.iter().filter(|(other, _)| *other != name) {
                assert_eq!(ask(&house, "revoke", other, &[("token", token)]).await.is(200), json!({}));
            }
            member.is_alive().await;
            for _ in 0..2 {
                let hint = [("token", token), ("token_type_hint", "nonsense")];
                assert_eq!(ask(&house, "revoke", app, &hint).await.is(200), json!({}));
            }
            assert_ne!(member.verdict().await, "ok", "{}", member.name());
            house.restart().await;
            assert_ne!(member.verdict().await, "ok", "{}", member.name());
        }
    }
    // A refresh token takes its session and its access tokens along (RFC 7009 section 2.1).
    let ada = house.anyone().sign_in("ada", "refresh").await;
    let token = ada.refresh_token.clone().unwrap_or_default();
    ask(&house, "revoke", &apps["refresh"], &[("token", &token)]).await.is(200);
    ada.is_dead("logout").await;
    assert!(matches!(ada.credential, Credential::Bearer(_)));
    house.anyone().ask(Method::Delete, "/oauth2/revoke").await.refused(405, "method_not_allowed");
}
