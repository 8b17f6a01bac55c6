//! Ending everything of everybody: nothing that was good before is good after, also when it broke off.

use crate::house::{Anyone, Boss, House, Member, ORIGIN, OwnApp, PASSWORD, STRATEGIES, text, verdict};
use hallpass::auth::Refusal;
use hallpass::auth::check::Admin;
use hallpass::console::{self, Command};
use hallpass::model::password::Password;
use rocket::http::Method;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::pin::pin;
use std::task::Poll;

const KEYS: &str = "/api/v1/admin/keys";
const NEW: &str = "quite another passphrase";

struct Furnished {
    house: House,
    apps: HashMap<&'static str, OwnApp>,
    members: Vec<Member>,
    code: String,
}

impl Furnished {
    async fn new() -> Self {
        let house = House::new().await;
        let boss = house.boss().await;
        let apps = boss.make_apps().await;
        house.make_user("ada", false).await;
        let mut members = house.anyone().sign_in_everywhere("ada").await;
        members.push(boss.0);
        let code = house.reset_code("ada").await;
        Self { house, apps, members, code }
    }

    /// Nothing that was handed out counts any more.
    async fn all_is_dead(&self) {
        for member in &self.members {
            let verdict = member.verdict().await;
            assert!(
                ["session_ended/invalidated", "token_blacklisted"].contains(&verdict.as_str()),
                "{verdict} of {}",
                member.name()
            );
            if member.refresh_token.is_some() {
                assert_eq!(member.refresh_verdict().await, "session_ended/invalidated");
            }
        }
        let reset = self.house.auth();
        let reset = reset.reset_password(&self.code, Password::new(NEW.into()));
        assert!(matches!(reset.await, Err(Refusal::InvalidCode)));
        for app in self.apps.values() {
            introspect(&self.house, app).await.refused(401, "invalid_client");
        }
    }
}

async fn introspect(house: &House, app: &OwnApp) -> crate::house::Answer {
    let ask = house.anyone().form("/oauth2/introspect", &[("token", "x")]);
    ask.basic(&app.id, &app.secret).await
}

async fn kids(boss: &Boss, state: &str) -> BTreeSet<String> {
    let keys = boss.get(KEYS).await.is(200);
    let keys = keys["items"].as_array().expect("items").iter().filter(|key| key["state"] == state);
    keys.map(|key| text(&key["kid"])).collect()
}

#[rocket::async_test]
async fn a_secret_that_is_not_suspended_is_not_confirmed() {
    let Furnished { house, .. } = Furnished::new().await;
    let boss = house.boss().await;
    let confirm = |app: &str| boss.ask(Method::Post, &format!("/api/v1/admin/apps/{app}/secrets/confirm"));
    confirm("session").await.refused(409, "nothing_suspended");
    confirm("default").await.refused(409, "nothing_suspended");
    confirm("nothing").await.refused(404, "not_found");
    let refused = console::run(&house.auth(), ORIGIN, Command::AppConfirm { app: "No App".into() }).await;
    assert_eq!(refused.unwrap_err(), "there is no such app");
}

#[rocket::async_test]
async fn everything_of_everybody_is_dead_at_once_and_stays_so() {
    let furnished = Furnished::new().await;
    let house = &furnished.house;
    house.advance(29 * 24 * 60);
    house.keep_house().await;
    let boss = house.boss().await;
    let before: BTreeSet<String> =
        kids(&boss, "active").await.union(&kids(&boss, "next").await).cloned().collect();
    assert_eq!(before.len(), 2);
    let furnished = Furnished {
        members: house.anyone().sign_in_everywhere("ada").await,
        code: house.reset_code("ada").await,
        ..furnished
    };
    let answer = console::run(&furnished.house.auth(), ORIGIN, Command::InvalidateAll).await.unwrap();
    assert_eq!(answer["suspended_apps"].as_array().map(Vec::len), Some(STRATEGIES.len()));
    furnished.all_is_dead().await;

    let house = &furnished.house;
    house.keep_house().await;
    house.restart().await;
    furnished.all_is_dead().await;
    // Everybody signs in as ever, under other keys; the old ones are blacklisted.
    let boss = house.boss().await;
    let active = kids(&boss, "active").await;
    assert!(active.len() == 1 && active.is_disjoint(&before));
    assert_eq!(kids(&boss, "retired").await, before);
    let entries = boss.get("/api/v1/admin/blacklist?kind=key").await.is(200);
    let entries = entries["items"].as_array().expect("items");
    let struck: BTreeSet<String> = entries.iter().map(|entry| text(&entry["subject"])).collect();
    assert_eq!(struck, before);
    let jwks = house.anyone().get("/.well-known/jwks.json").await.is(200);
    let published = jwks["keys"].as_array().expect("keys");
    assert!(published.iter().all(|key| !before.contains(&text(&key["kid"]))), "{published:?}");
    // The job has marked what the epochs had cut.
    let live = boss.get("/api/v1/admin/sessions?user=ada").await.is(200);
    assert_eq!(live["items"], json!([]));
    let ended = boss.get("/api/v1/admin/sessions?user=ada&state=ended").await.is(200);
    assert!(ended["items"].as_array().expect("items").iter().all(|session| {
        session["ended_reason"] == "invalidated"
            || session["ended_reason"] == "idle_expired"
            || session["ended_reason"] == "expired"
    }));
    for member in house.anyone().sign_in_everywhere("ada").await {
        member.is_alive().await;
    }
}

#[rocket::async_test]
async fn a_suspended_secret_counts_again_once_it_is_confirmed() {
    let furnished = Furnished::new().await;
    let house = &furnished.house;
    house.auth().invalidate_all(&Admin::console()).await.unwrap();
    let boss = house.boss().await;
    let shown = |app: Value| {
        let secrets = app["secrets"].as_array().cloned().expect("secrets");
        secrets.iter().map(|secret| secret["suspended"] == json!(true)).collect::<Vec<_>>()
    };
    assert_eq!(shown(boss.get("/api/v1/admin/apps/session").await.is(200)), [true]);
    // A new secret needs no confirmation, and confirms no other.
    let new = boss.ask(Method::Post, "/api/v1/admin/apps/session/secrets").await.is(201);
    let new = OwnApp { id: "session".into(), secret: text(&new["client_secret"]) };
    introspect(house, &new).await.is(200);
    introspect(house, &furnished.apps["session"]).await.refused(401, "invalid_client");
    let confirmed = boss.ask(Method::Post, "/api/v1/admin/apps/session/secrets/confirm").await.is(200);
    assert_eq!(shown(confirmed), [false, false]);
    introspect(house, &furnished.apps["session"]).await.is(200);
    introspect(house, &furnished.apps["jwt"]).await.refused(401, "invalid_client");
    console::run(&house.auth(), ORIGIN, Command::AppConfirm { app: "jwt".into() }).await.unwrap();
    introspect(house, &furnished.apps["jwt"]).await.is(200);
}

#[rocket::async_test]
async fn a_device_is_not_known_any_more() {
    let house = House::new().await;
    house.boss().await;
    house.make_user("ada", false).await;
    let token = house.anyone().sign_in("ada", "default").await.device_token.expect("a device token");
    let try_wrong = |anyone: Anyone| {
        let body = json!({ "login": "ada", "password": "not the right one", "device_token": token });
        async move { anyone.post("/api/v1/auth/login", &body).await.status }
    };
    // The account's own bucket is empty; the known device has one of its own.
    for _ in 0..10 {
        house.anyone().login("ada", "not the right one").await.refused(401, "invalid_credentials");
    }
    assert_eq!(house.anyone().login("ada", PASSWORD).await.status, 429);
    assert_eq!(try_wrong(house.anyone()).await, 401);
    house.auth().invalidate_all(&Admin::console()).await.unwrap();
    assert_eq!(try_wrong(house.anyone()).await, 429);
}

/// Polls so often and then lets go, as a crash would.
async fn broken_off(house: &House, polls: usize) {
    let (auth, by) = (house.auth(), Admin::console());
    let mut verb = pin!(auth.invalidate_all(&by));
    for _ in 0..polls {
        let done = std::future::poll_fn(|context| Poll::Ready(verb.as_mut().poll(context).is_ready())).await;
        if done {
            return;
        }
        rocket::tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[rocket::async_test]
async fn what_broke_off_is_finished_before_anybody_is_answered() {
    for polls in 2..9 {
        let furnished = Furnished::new().await;
        let house = &furnished.house;
        house.expects_overload();
        broken_off(house, polls).await;
        // Decided, and not done: nobody is let in, and nobody is told that it is over, as nobody knows.
        let said = verdict(house.anyone().check(furnished.members[0].secret())).await;
        assert!(["overloaded", "session_ended/invalidated"].contains(&said.as_str()), "{said}");
        if polls % 2 == 0 {
            house.restart().await;
        } else {
            house.keep_house().await;
        }
        furnished.all_is_dead().await;
        house.boss().await.is_alive().await;
    }
}

#[rocket::async_test]
async fn a_second_decision_that_fails_does_not_revive_what_the_first_has_not_ended_yet() {
    let furnished = Furnished::new().await;
    let house = &furnished.house;
    house.expects_overload();
    broken_off(house, 2).await;
    house.auth().give_up("the disk is gone");
    house.auth().invalidate_all(&Admin::console()).await.unwrap_err();
    for member in &furnished.members {
        let said = verdict(house.anyone().check(member.secret())).await;
        assert!(["overloaded", "session_ended/invalidated"].contains(&said.as_str()), "{said}");
    }
}
