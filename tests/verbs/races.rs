//! Sixty-four at once, on several threads.

use crate::house::{Answer, Ask, House, PASSWORD, text, verdict};
use hallpass::auth::Refusal;
use hallpass::auth::check::Admin;
use hallpass::model::claims::Algorithm;
use hallpass::model::key::KeyState;
use hallpass::model::password::Password;
use rocket::http::Method;
use rocket::tokio;
use serde_json::json;
use std::collections::HashSet;

const AT_ONCE: usize = 64;
const NEW: &str = "quite another passphrase";

/// Rocket's own test runtime has one worker; here several threads must really meet.
fn with_threads(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    runtime.expect("threads").block_on(test);
}

/// All at once; the answers in the order of the questions.
async fn at_once<T: Send + 'static>(futures: Vec<impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let gate = std::sync::Arc::new(tokio::sync::Barrier::new(futures.len()));
    let tasks: Vec<_> = futures
        .into_iter()
        .map(|future| {
            let gate = std::sync::Arc::clone(&gate);
            tokio::spawn(async move {
                gate.wait().await;
                future.await
            })
        })
        .collect();
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        answers.push(task.await.expect("no task panics"));
    }
    answers
}

async fn ask_at_once(asks: Vec<Ask>) -> Vec<Answer> {
    at_once(asks.into_iter().map(|ask| async move { ask.await }).collect()).await
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

fn all(ask: impl Fn(usize) -> Ask) -> Vec<Ask> {
    (0..AT_ONCE).map(ask).collect()
}

#[test]
fn one_of_many_set_ups_makes_the_administrator() {
    with_threads(async {
        let house = House::new().await;
        let auth = house.auth();
        let mut codes = Vec::new();
        for _ in 0..4 {
            codes.push(auth.mint_setup_code().await.expect("set-up is open").reveal());
        }
        let set_ups = (0..AT_ONCE).map(|n| {
            let (auth, code) = (house.auth(), codes[n % 4].clone());
            async move {
                let (login, password) = (format!("admin{}", n % 8), Password::new(PASSWORD.into()));
                auth.set_up(&code, login, None, String::new(), password)
                    .await
                    .map(|user| user.value.login.clone())
            }
        });
        let results = at_once(set_ups.collect()).await;
        let made: Vec<_> = results.iter().flatten().collect();
        assert_eq!(made.len(), 1);
        assert!(results.iter().flatten_err().all(|refusal| matches!(refusal, Refusal::SetUpClosed)));
        let admin = house.anyone().sign_in(made[0], "hallpass").await;
        let users = admin.get("/api/v1/admin/users").await.is(200);
        assert_eq!(users["items"].as_array().map(Vec::len), Some(1));
    });
}

trait FlattenErr<'a, E: 'a> {
    fn flatten_err(self) -> impl Iterator<Item = &'a E>;
}

impl<'a, T: 'a, E: 'a, I: Iterator<Item = &'a Result<T, E>>> FlattenErr<'a, E> for I {
    fn flatten_err(self) -> impl Iterator<Item = &'a E> {
        self.filter_map(|result| result.as_ref().err())
    }
}

#[test]
fn many_presentations_of_one_refresh_token_get_one_successor() {
    with_threads(async {
        let house = House::new().await;
        house.boss().await;
        let ada = house.anyone().sign_in("boss", "default").await;
        let mut token = ada.refresh_token.clone().expect("a refresh token");
        for round in 0..4 {
            let answers = ask_at_once(all(|_| house.anyone().refresh(&token))).await;
            let successors: HashSet<_> =
                answers.iter().map(|answer| text(&answer.is(200)["refresh_token"])).collect();
            assert_eq!(successors.len(), 1, "round {round}");
            // Two tabs that wake together hours after a lost reply.
            if round % 2 == 1 {
                house.advance(300);
                let answers = ask_at_once(all(|_| house.anyone().refresh(&token))).await;
                let late: HashSet<_> =
                    answers.iter().map(|answer| text(&answer.is(200)["refresh_token"])).collect();
                assert!(late.len() == 1 && late != successors, "round {round}");
                token = late.into_iter().next().expect("one");
            } else {
                token = successors.into_iter().next().expect("one");
            }
        }
        assert_eq!(verdict(house.anyone().refresh(&token)).await, "ok");
    });
}

#[test]
fn a_sign_out_among_refreshes_is_the_last_word() {
    with_threads(async {
        let house = House::new().await;
        house.boss().await;
        for _ in 0..4 {
            let ada = house.anyone().sign_in("boss", "default").await;
            let token = ada.refresh_token.clone().expect("a refresh token");
            let asks = all(|n| if n == 32 { ada.logout("local") } else { house.anyone().refresh(&token) });
            let answers = ask_at_once(asks).await;
            assert_eq!(count(&answers, 204), 1);
            for answer in answers.iter().filter(|answer| answer.status == 200) {
                let body = answer.json();
                assert_eq!(
                    verdict(house.anyone().refresh(&text(&body["refresh_token"]))).await,
                    "session_ended/logout"
                );
                assert_ne!(verdict(house.anyone().check(&text(&body["access_token"]))).await, "ok");
            }
            ada.is_dead("logout").await;
        }
    });
}

#[test]
fn one_name_is_given_to_one_user() {
    with_threads(async {
        let house = House::new().await;
        let boss = house.boss().await;
        let path = "/api/v1/admin/users";
        let answers = ask_at_once(all(|_| boss.post(path, &json!({ "login": "ada" })))).await;
        assert_eq!((count(&answers, 201), count(&answers, 409)), (1, AT_ONCE - 1));
        let email = |n| json!({ "login": format!("user{n}"), "email": "one@example.org" });
        let answers = ask_at_once(all(|n| boss.post(path, &email(n)))).await;
        assert_eq!((count(&answers, 201), count(&answers, 409)), (1, AT_ONCE - 1));
        let ids = {
            let mut ids = Vec::new();
            for n in 0..8 {
                ids.push(house.make_user(&format!("many{n}"), false).await);
            }
            ids
        };
        let rename = |n: usize| boss.patch(&format!("{path}/{}", ids[n % 8]), &json!({ "login": "wanted" }));
        let answers = ask_at_once(all(rename)).await;
        let winners: HashSet<_> =
            answers.iter().filter(|a| a.status == 200).map(|a| text(&a.json()["id"])).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(count(&answers, 200) + count(&answers, 409), AT_ONCE);
    });
}

#[test]
fn of_two_administrators_who_act_on_each_other_one_stays() {
    with_threads(async {
        let house = House::new().await;
        let mut boss = house.boss().await.0;
        for (round, act) in
            ["disable", "demote", "delete", "cut off", "mixed", "mixed"].into_iter().enumerate()
        {
            let login = format!("other{round}");
            house.make_user(&login, true).await;
            let other = house.anyone().sign_in(&login, "hallpass").await;
            let strike = |n: usize| {
                let (by, on) = if n.is_multiple_of(2) { (&boss, &other) } else { (&other, &boss) };
                let path = format!("/api/v1/admin/users/{}", on.user_id);
                let act =
                    if act == "mixed" { ["disable", "demote", "delete", "cut off"][n / 2 % 4] } else { act };
                match act {
                    "disable" => by.patch(&path, &json!({ "state": "disabled" })),
                    "demote" => by.patch(&path, &json!({ "role": "user" })),
                    "delete" => by.delete(&path),
                    _ => by.ask(Method::Post, &format!("{path}/cut-off")),
                }
            };
            ask_at_once(all(strike)).await;
            let mut standing = Vec::new();
            for admin in [&boss, &other] {
                let answer = house.anyone().login_to(&admin.login, "hallpass", "body").await;
                if answer.status == 200 && answer.json()["user"]["role"] == "admin" {
                    standing.push(crate::house::Member::new(&house, &admin.login, "hallpass", &answer));
                }
            }
            assert_eq!(standing.len(), 1, "{act}");
            boss = standing.remove(0);
            let path = format!("/api/v1/admin/users/{}", boss.user_id);
            boss.delete(&path).await.refused(409, "last_admin");
        }
    });
}

#[test]
fn a_one_time_code_is_used_once() {
    with_threads(async {
        let house = House::new().await;
        house.boss().await;
        house.make_user("ada", false).await;
        let code = house.reset_code("ada").await;
        let resets = (0..AT_ONCE).map(|n| {
            let (auth, code) = (house.auth(), code.clone());
            async move {
                auth.reset_password(&code, Password::new(format!("passphrase number {n}"))).await.map(|_| n)
            }
        });
        let results = at_once(resets.collect()).await;
        let used: Vec<_> = results.iter().flatten().collect();
        assert_eq!(used.len(), 1);
        assert!(results.iter().flatten_err().all(|refusal| matches!(refusal, Refusal::InvalidCode)));
        house.anyone().login("ada", &format!("passphrase number {}", used[0])).await.is(200);
    });
}

#[test]
fn one_app_id_is_given_to_one_app_and_two_secrets_are_the_most() {
    with_threads(async {
        let house = House::new().await;
        let boss = house.boss().await;
        let body = json!({ "id": "shop", "strategy": "refresh", "confidential": true });
        let answers = ask_at_once(all(|_| boss.post("/api/v1/admin/apps", &body))).await;
        assert_eq!((count(&answers, 201), count(&answers, 409)), (1, AT_ONCE - 1));
        let secret = "/api/v1/admin/apps/shop/secrets";
        let answers = ask_at_once(all(|_| boss.ask(Method::Post, secret))).await;
        assert_eq!((count(&answers, 201), count(&answers, 409)), (1, AT_ONCE - 1));
    });
}

#[test]
fn a_token_blacklisted_by_many_has_one_entry_and_is_taken_back_once() {
    with_threads(async {
        let house = House::new().await;
        let boss = house.boss().await;
        let ada = house.anyone().sign_in("boss", "default").await;
        let path = "/api/v1/admin/blacklist";
        let answers = ask_at_once(all(|_| boss.post(path, &json!({ "token": ada.secret() })))).await;
        assert_eq!(count(&answers, 201), AT_ONCE);
        let entries = boss.get(path).await.is(200);
        assert_eq!(entries["items"].as_array().map(Vec::len), Some(1));
        assert_eq!(ada.verdict().await, "token_blacklisted");
        let entry = format!("{path}/{}", text(&entries["items"][0]["id"]));
        let answers = ask_at_once(all(|_| boss.delete(&entry))).await;
        assert_eq!((count(&answers, 204), count(&answers, 404)), (1, AT_ONCE - 1));
        ada.is_alive().await;
    });
}

#[test]
fn no_sign_in_slips_through_a_cut() {
    with_threads(async {
        let house = House::new().await;
        let boss = house.boss().await;
        boss.make_apps().await;
        for round in 0..3 {
            let login = format!("ada{round}");
            let id = house.make_user(&login, false).await;
            let path = format!("/api/v1/admin/users/{id}/cut-off");
            let asks = all(|n| match n {
                32 => boss.ask(Method::Post, &path),
                n => house.anyone().login_to(&login, crate::house::STRATEGIES[n % 4], "body"),
            });
            let answers = ask_at_once(asks).await;
            for (n, answer) in answers.iter().enumerate().filter(|(n, _)| *n != 32) {
                if answer.status == 200 {
                    let member =
                        crate::house::Member::new(&house, &login, crate::house::STRATEGIES[n % 4], answer);
                    member.is_dead("cut_off").await;
                } else {
                    assert!([401, 429].contains(&answer.status), "{answer}");
                }
            }
            house.keep_house().await;
            let user = boss.get(&format!("/api/v1/admin/users/{id}")).await.is(200);
            assert_eq!(user["live_sessions"], 0);
        }
    });
}

#[test]
fn of_many_password_changes_by_one_session_one_counts() {
    with_threads(async {
        let house = House::new().await;
        house.boss().await;
        house.make_user("ada", false).await;
        let ada = house.anyone().sign_in("ada", "hallpass").await;
        let change = |n: usize| ada.change_password(PASSWORD, &format!("passphrase number {n}"));
        let answers = ask_at_once(all(change)).await;
        let changed: Vec<_> = (0..AT_ONCE).filter(|n| answers[*n].status == 200).collect();
        assert_eq!(changed.len(), 1, "{answers:?}");
        // Those who came too late were charged for a wrong password.
        house.advance(10);
        house.anyone().login("ada", &format!("passphrase number {}", changed[0])).await.is(200);
        let mut goes_on = ada.clone();
        goes_on.take(&answers[changed[0]]);
        goes_on.is_alive().await;
    });
}

#[test]
fn a_hundred_guesses_at_once_get_no_more_than_ten() {
    with_threads(async {
        let house = House::new().await;
        house.boss().await;
        house.make_user("ada", false).await;
        for login in ["ada", "nobody"] {
            let guesses = (0..100).map(|_| house.anyone().login(login, NEW)).collect();
            let answers = ask_at_once(guesses).await;
            assert_eq!((count(&answers, 401), count(&answers, 429)), (10, 90), "{login}");
            house.advance(60);
        }
    });
}

#[test]
fn more_sign_ins_than_can_be_hashed_are_refused_at_once_and_owe_nothing() {
    with_threads(async {
        let house = House::with(|config| {
            config.password.argon2_memory_kib = 19_456;
            (config.password.hash_workers, config.password.hash_queue) = (1, 1);
        })
        .await;
        house.expects_overload();
        house.boss().await;
        house.make_user("ada", false).await;
        let answers = ask_at_once(all(|_| house.anyone().login("ada", NEW))).await;
        let (wrong, throttled) = (count(&answers, 401), count(&answers, 429));
        let overloaded: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
        assert_eq!(wrong + throttled + overloaded.len(), AT_ONCE);
        assert!(!overloaded.is_empty() && (1..=10).contains(&wrong));
        assert!(overloaded.iter().all(|answer| answer.code() == "overloaded"));
        // Nothing was learnt by what was not hashed, so nothing was charged for it.
        for _ in wrong..10 {
            house.anyone().login("ada", NEW).await.refused(401, "invalid_credentials");
        }
        house.anyone().login("ada", NEW).await.refused(429, "too_many_attempts");
    });
}

#[test]
fn many_sign_ins_of_one_user_all_go_through_and_are_counted() {
    with_threads(async {
        let house = House::new().await;
        let boss = house.boss().await;
        let id = house.make_user("ada", false).await;
        // Each is charged to the account until it went well: ten may be under way.
        for _ in 0..8 {
            let eight = (0..8).map(|_| house.anyone().login("ada", PASSWORD)).collect();
            assert_eq!(count(&ask_at_once(eight).await, 200), 8);
        }
        let user = boss.get(&format!("/api/v1/admin/users/{id}")).await.is(200);
        assert_eq!(user["live_sessions"], AT_ONCE);
        let page = boss.get("/api/v1/admin/sessions?user=ada&limit=200").await.is(200);
        let ids: HashSet<_> =
            page["items"].as_array().expect("items").iter().map(|i| text(&i["id"])).collect();
        assert_eq!(ids.len(), AT_ONCE);
        // Ended one by one by many, each counts once.
        let ids: Vec<_> = ids.into_iter().collect();
        let end = |n: usize| boss.delete(&format!("/api/v1/admin/sessions/{}", ids[n / 2]));
        assert_eq!(count(&ask_at_once(all(end)).await, 204), AT_ONCE);
        let user = boss.get(&format!("/api/v1/admin/users/{id}")).await.is(200);
        assert_eq!(user["live_sessions"], AT_ONCE / 2);
    });
}

#[test]
fn no_old_password_slips_through_its_change() {
    with_threads(async {
        // Hashing takes its time here, so that the change falls into the middle of it.
        let house = House::with(|config| config.password.argon2_memory_kib = 4096).await;
        house.boss().await;
        for round in 0..4 {
            let login = format!("ada{round}");
            house.make_user(&login, false).await;
            let ada = house.anyone().sign_in(&login, "hallpass").await;
            let asks: Vec<Ask> = (0..9)
                .map(|n| match n {
                    0 => ada.change_password(PASSWORD, NEW),
                    n if n < 5 => house.anyone().login_to(&login, "hallpass", "body"),
                    _ => ada.reauthenticate(PASSWORD),
                })
                .collect();
            let answers = ask_at_once(asks).await;
            answers[0].is(200);
            for (n, answer) in answers.iter().enumerate().skip(1).filter(|(_, answer)| answer.status == 200) {
                let mut member = ada.clone();
                member.take(answer);
                assert_ne!(member.verdict().await, "ok", "{n} of round {round}");
            }
        }
    });
}

#[test]
fn rounds_of_housekeeping_and_rotations_that_meet_leave_one_key_that_signs() {
    with_threads(async {
        let house = House::new().await;
        let old = house.auth().list_keys(&Admin::console())[0].value.kid.clone();
        let in_state = |state| {
            let keys = house.auth().list_keys(&Admin::console());
            let found = keys.iter().filter(|key| key.value.state == state).map(|key| key.value.kid.clone());
            found.collect::<Vec<_>>()
        };
        let act = |by_hand: bool| {
            let auth = house.auth();
            async move {
                if by_hand {
                    let kid = auth.rotate_key(&Admin::console(), Algorithm::ES256).await;
                    return Some(kid.expect("it rotates"));
                }
                auth.keep_house().await.expect("housekeeping goes through");
                None
            }
        };
        house.advance(29 * 24 * 60);
        at_once((0..AT_ONCE).map(|_| act(false)).collect()).await;
        let next = in_state(KeyState::Next);
        assert_eq!((next.len(), in_state(KeyState::Active)), (1, vec![old.clone()]));

        house.advance(24 * 60);
        let rotated = at_once((0..AT_ONCE).map(|n| act(n % 16 == 0)).collect()).await;
        let rotated: HashSet<_> = rotated.into_iter().flatten().collect();
        let active = in_state(KeyState::Active);
        assert_eq!((rotated.len(), active.len(), in_state(KeyState::Next).len()), (4, 1, 0));
        assert!(rotated.contains(&active[0]));
        // The next key has had its turn once, by whomever.
        let until = house.now().plus_minutes(13 * 60);
        let retiring = in_state(KeyState::Retiring { until });
        assert!(retiring.contains(&old) && retiring.contains(&next[0]));
        assert_eq!(retiring.len(), 4 + usize::from(!rotated.contains(&next[0])));
        house.boss().await.is_alive().await;
    });
}
