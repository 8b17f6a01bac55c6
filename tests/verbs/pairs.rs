//! Every pair of ways to revoke, one after the other: neither takes back what the other did.

use crate::house::{Boss, House, Member, PASSWORD, STRATEGIES, text};
use rocket::http::Method;
use serde_json::json;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Session,
    Token,
    BlacklistedSession,
    BlacklistedUser,
    EndedAll,
    Disabled,
    CutOff,
    Role,
    Password,
    App,
    Key,
}

use Way::*;

const WAYS: [Way; 11] = [
    Session,
    Token,
    BlacklistedSession,
    BlacklistedUser,
    EndedAll,
    Disabled,
    CutOff,
    Role,
    Password,
    App,
    Key,
];

impl Way {
    /// Whether it strikes the credential that a member of this strategy holds.
    fn strikes(self, strategy: &str) -> bool {
        match self {
            Session | BlacklistedSession => strategy != "jwt",
            Key => strategy != "session",
            _ => true,
        }
    }

    /// Whether [`Way::undo`] takes it back wholly.
    fn is_a_pause(self, strategy: &str) -> bool {
        self == App || (self == Token && strategy != "session")
    }

    async fn carry_out(self, boss: &Boss, member: &Member) {
        let user = format!("/api/v1/admin/users/{}", member.user_id);
        let blacklist = "/api/v1/admin/blacklist";
        let answer = match self {
            Session => boss.delete(&format!("/api/v1/admin/sessions/{}", member.session_id())).await,
            Token => boss.post(blacklist, &json!({ "token": member.secret() })).await,
            BlacklistedSession => boss.post(blacklist, &json!({ "sid": member.session_id() })).await,
            BlacklistedUser => boss.post(blacklist, &json!({ "user_id": member.user_id })).await,
            EndedAll => boss.delete(&format!("{user}/sessions")).await,
            Disabled => boss.patch(&user, &json!({ "state": "disabled" })).await,
            CutOff => boss.ask(Method::Post, &format!("{user}/cut-off")).await,
            Role => {
                let role = boss.get(&user).await.is(200)["role"].clone();
                let other = if role == "user" { "admin" } else { "user" };
                boss.patch(&user, &json!({ "role": other })).await
            }
            Password => boss.put(&format!("{user}/password"), &json!({ "new_password": PASSWORD })).await,
            App => boss.change_app(&member.app, json!({ "state": "disabled" })).await,
            Key => {
                let keys = boss.get("/api/v1/admin/keys").await.is(200);
                let active = |key: &&serde_json::Value| key["state"] == "active";
                let keys = keys["items"].as_array().cloned().unwrap_or_default();
                let kid = text(&keys.iter().find(active).expect("an active key")["kid"]);
                boss.post(blacklist, &json!({ "kid": kid })).await
            }
        };
        assert!(answer.status < 300 || answer.body.contains("not_ours"), "{self:?} {answer}");
    }

    async fn undo(self, boss: &Boss, member: &Member) {
        match self {
            App => drop(boss.change_app(&member.app, json!({ "state": "enabled" })).await),
            Disabled | CutOff => drop(boss.change_user(&member.user_id, json!({ "state": "enabled" })).await),
            Token => {
                let entries = boss.get("/api/v1/admin/blacklist?kind=token&limit=200").await.is(200);
                for entry in entries["items"].as_array().cloned().unwrap_or_default() {
                    if entry["kind"] == "token" && entry["user"]["id"] == json!(member.user_id) {
                        boss.delete(&format!("/api/v1/admin/blacklist/{}", text(&entry["id"]))).await.is(204);
                    }
                }
            }
            _ => {}
        }
    }
}

#[rocket::async_test]
async fn neither_of_two_revocations_takes_the_other_back() {
    let house = House::new().await;
    let boss = house.boss().await;
    boss.make_apps().await;
    let mut revoked = Vec::new();
    for (row, first) in WAYS.into_iter().enumerate() {
        for (column, second) in WAYS.into_iter().enumerate() {
            let strategy = STRATEGIES[(row + column) % 4];
            // Each pair with two of the strategies; with all four together every pair of a row and its mirror.
            for strategy in [strategy, STRATEGIES[(row + column + 2) % 4]] {
                if !first.strikes(strategy) || !second.strikes(strategy) {
                    continue;
                }
                let login = format!("u-{row}-{column}-{strategy}");
                house.make_user(&login, false).await;
                let member = house.anyone().sign_in(&login, strategy).await;
                first.carry_out(&boss, &member).await;
                assert_ne!(member.verdict().await, "ok", "{first:?} {strategy}");
                second.carry_out(&boss, &member).await;
                assert_ne!(member.verdict().await, "ok", "{first:?} {second:?} {strategy}");
                first.undo(&boss, &member).await;
                if second != first {
                    assert_ne!(member.verdict().await, "ok", "{first:?} undone, {second:?} {strategy}");
                }
                second.undo(&boss, &member).await;
                let lives = first.is_a_pause(strategy) && second.is_a_pause(strategy);
                assert_eq!(member.verdict().await == "ok", lives, "{first:?} {second:?} {strategy} undone");
                if !lives {
                    revoked.push(member);
                }
            }
        }
    }
    house.keep_house().await;
    house.restart().await;
    for member in &revoked {
        assert_ne!(member.verdict().await, "ok", "{} after a restart", member.name());
    }
}
