//! Set-up and one-time codes, at the verbs: their pages stand on these.

use crate::house::{House, PASSWORD};
use hallpass::auth::Refusal;
use hallpass::model::password::Password;
use std::sync::Arc;

const NEW: &str = "quite another passphrase";

async fn set_up(house: &House, code: &str, login: &str, password: &str) -> Result<(), Refusal> {
    let (login, password) = (login.to_owned(), Password::new(password.into()));
    house.auth().set_up(code, login, None, String::new(), password).await.map(drop)
}

async fn reset(house: &House, code: &str, password: &str) -> Result<(), Refusal> {
    house.auth().reset_password(code, Password::new(password.into())).await.map(drop)
}

async fn setup_code(house: &House) -> String {
    house.auth().mint_setup_code().await.expect("set-up is open").reveal()
}

#[rocket::async_test]
async fn set_up_needs_a_code_that_is_good_now() {
    let house = House::new().await;
    let code = setup_code(&house).await;
    let invented = format!("hpo_{}", "A".repeat(49));
    for bad in ["", "x", &code[1..], &code[..code.len() - 1], &invented, &code.replace("hpo_", "hps_")] {
        assert!(matches!(set_up(&house, bad, "ada", PASSWORD).await, Err(Refusal::InvalidCode)), "{bad}");
    }
    assert!(matches!(set_up(&house, &code, "a b", PASSWORD).await, Err(Refusal::Invalid(_))));
    assert!(matches!(set_up(&house, &code, "ada", "short").await, Err(Refusal::Invalid(_))));
    house.advance(30);
    assert!(matches!(set_up(&house, &code, "ada", PASSWORD).await, Err(Refusal::InvalidCode)));
    house.keep_house().await;
    assert!(matches!(set_up(&house, &code, "ada", PASSWORD).await, Err(Refusal::InvalidCode)));
    // Several codes are good side by side, also after a restart.
    let (first, second) = (setup_code(&house).await, setup_code(&house).await);
    assert_ne!(first, second);
    house.restart().await;
    assert!(set_up(&house, &first, "ada", PASSWORD).await.is_ok());
    assert!(matches!(set_up(&house, &second, "eve", PASSWORD).await, Err(Refusal::SetUpClosed)));
}

#[rocket::async_test]
async fn set_up_closes_for_ever_whatever_users_exist() {
    let house = House::new().await;
    let code = setup_code(&house).await;
    let boss = house.boss().await;
    for restarted in [false, true] {
        if restarted {
            house.restart().await;
        }
        assert!(matches!(set_up(&house, &code, "eve", PASSWORD).await, Err(Refusal::SetUpClosed)));
        assert!(matches!(house.auth().mint_setup_code().await, Err(Refusal::SetUpClosed)));
        let (auth, password) = (house.auth(), Password::new(PASSWORD.into()));
        let unattended = auth.set_up_unattended("e@example.org".into(), password);
        assert!(matches!(unattended.await, Err(Refusal::SetUpClosed)));
    }
    boss.is_alive().await;
}

#[rocket::async_test]
async fn a_reset_code_is_of_one_use_one_user_and_thirty_minutes() {
    let house = House::new().await;
    let boss = house.boss().await;
    boss.make_apps().await;
    house.make_user("ada", false).await;
    let everywhere = house.anyone().sign_in_everywhere("ada").await;
    let code = house.reset_code("ada").await;
    assert!(matches!(reset(&house, &code, "short").await, Err(Refusal::Invalid(_))));
    // Not for set-up, and a set-up code was never for this.
    assert!(matches!(set_up(&house, &code, "eve", PASSWORD).await, Err(Refusal::SetUpClosed)));
    for member in &everywhere {
        member.is_alive().await;
    }
    house.restart().await;
    assert!(reset(&house, &code, NEW).await.is_ok());
    for member in &everywhere {
        member.is_dead("password_changed").await;
    }
    for _ in 0..2 {
        assert!(matches!(reset(&house, &code, PASSWORD).await, Err(Refusal::InvalidCode)));
        house.restart().await;
    }
    house.anyone().login("ada", PASSWORD).await.refused(401, "invalid_credentials");
    house.anyone().login("ada", NEW).await.is(200);
    boss.is_alive().await;

    let late = house.reset_code("ada").await;
    house.advance(30);
    assert!(matches!(reset(&house, &late, PASSWORD).await, Err(Refusal::InvalidCode)));
}

#[rocket::async_test]
async fn a_code_does_not_outlive_its_user() {
    let house = House::new().await;
    let boss = house.boss().await;
    let id = house.make_user("ada", false).await;
    let code = house.reset_code("ada").await;
    boss.delete(&format!("/api/v1/admin/users/{id}")).await.is(204);
    assert!(matches!(reset(&house, &code, NEW).await, Err(Refusal::InvalidCode)));
    house.anyone().login("ada", NEW).await.refused(401, "invalid_credentials");
}

#[rocket::async_test]
async fn an_unattended_set_up_happens_only_where_nothing_was_ever_set_up() {
    use hallpass::config::Config;
    use hallpass::start::{Sources, start};
    let directory = tempfile::tempdir().expect("a directory");
    let password_file = directory.path().join("password");
    let mut config = Config { data_dir: directory.path().join("data"), ..Config::default() };
    (config.password.argon2_memory_kib, config.password.argon2_iterations) = (64, 1);
    config.admin_email = Some("root@example.org".into());
    config.admin_password_file = Some(password_file.clone());
    for wrong in [None, Some("short")] {
        wrong.into_iter().for_each(|text| std::fs::write(&password_file, text).expect("it is written"));
        let refused = start(&config, Sources::system()).await.err().expect("it does not start").to_string();
        assert!(refused.contains("admin_password_file"), "{refused}");
    }
    for (password, is_set_up) in [(PASSWORD, true), (NEW, true)] {
        std::fs::write(&password_file, format!("{password}\n")).expect("it is written");
        let auth = start(&config, Sources::system()).await.expect("it starts");
        assert_eq!(auth.is_set_up().await.expect("the store answers"), is_set_up);
        let sign_in = |password: &str| {
            let sign_in = hallpass::auth::login::SignIn {
                login: "root@example.org".into(),
                password: Password::new(password.into()),
                app: "default".parse().expect("an id"),
                remember: false,
                device_proof: None,
                replaces: None,
                client: hallpass::auth::Client { address: [127, 0, 0, 1].into(), agent: String::new() },
            };
            let auth = Arc::clone(&auth);
            async move { auth.login(sign_in).await.is_ok() }
        };
        // The second start found an administrator, and changed nothing.
        assert!(sign_in(PASSWORD).await && !sign_in(NEW).await);
    }
}

#[rocket::async_test]
async fn whoever_is_set_up_while_a_restore_begins_is_either_refused_or_stops_it() {
    // A hash that takes longer than to begin a restore.
    let house = House::with(|config| {
        (config.password.argon2_memory_kib, config.password.argon2_iterations) = (19_456, 20);
    })
    .await;
    let (code, auth) = (setup_code(&house).await, house.auth());
    let begins = async { auth.begin_restore(&code, 1).await.ok() };
    let (made, restoring) = rocket::tokio::join!(set_up(&house, &code, "ada", PASSWORD), begins);
    assert!(restoring.is_some());
    let refused = made.expect_err("a restore was about to replace the store");
    assert!(matches!(refused, Refusal::Conflict { code: "restore_running", .. }), "{refused:?}");
    drop(restoring);
    set_up(&house, &code, "ada", PASSWORD).await.expect("the restore was given up");
}
