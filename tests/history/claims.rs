//! Who becomes the first administrator, where several try in several ways at the same moment.

use crate::home::{Home, OLD};
use hallpass::auth::check::Admin;
use hallpass::auth::users::NewUser;
use hallpass::auth::{Auth, Refusal};
use hallpass::model::UserId;
use hallpass::model::password::Password;
use hallpass::model::user::Role;
use std::sync::Arc;
use tokio::sync::Barrier;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Code,
    Configuration,
    Operator,
}

const WAYS: [Way; 4] = [Way::Code, Way::Code, Way::Configuration, Way::Operator];

/// One race on a store of its own.
pub async fn race() {
    let home = Home::new().await;
    let mut codes = Vec::new();
    for _ in WAYS {
        codes.push(home.auth.mint_setup_code().await.expect("set-up is open").reveal());
    }
    let gate = Arc::new(Barrier::new(WAYS.len()));
    let tries: Vec<_> = WAYS
        .into_iter()
        .zip(codes.clone())
        .enumerate()
        .map(|(n, (way, code))| {
            let (auth, gate) = (Arc::clone(&home.auth), Arc::clone(&gate));
            tokio::spawn(async move {
                gate.wait().await;
                (way, claim(&auth, way, &format!("admin{n}"), &code).await)
            })
        })
        .collect();
    let mut made = Vec::new();
    for attempt in tries {
        match attempt.await.expect("no verb panics") {
            (way, Ok(user)) => made.push((way, user)),
            (Way::Operator, Err(refusal)) => panic!("the operator makes whom they want: {refusal:?}"),
            (_, Err(refusal)) => assert!(matches!(refusal, Refusal::SetUpClosed), "{refusal:?}"),
        }
    }
    let set_up = made.iter().filter(|(way, _)| *way != Way::Operator).count();
    assert!(set_up <= 1, "two first administrators: {made:?}");
    assert!(matches!(home.auth.mint_setup_code().await, Err(Refusal::SetUpClosed)));
    let late = claim(&home.auth, Way::Code, "late", &codes[0]).await;
    assert!(matches!(late, Err(Refusal::SetUpClosed)), "{late:?}");
    // The guard has counted every one of them, and keeps the last.
    for (left, (_, user)) in made.iter().enumerate().rev() {
        let deleted = home.auth.delete_user(&Admin::console(), user).await;
        assert_eq!(deleted.is_ok(), left > 0, "{deleted:?} of {made:?}");
    }
}

async fn claim(auth: &Auth, way: Way, login: &str, code: &str) -> Result<UserId, Refusal> {
    let (login, password) = (login.to_owned(), Password::new(OLD.into()));
    let user = match way {
        Way::Code => auth.set_up(code, login, None, String::new(), password).await,
        Way::Configuration => auth.set_up_unattended("admin@example.org".into(), password).await,
        Way::Operator => {
            let (email, name, groups) = (None, String::new(), Vec::new());
            let (role, password) = (Role::Admin, Some(password));
            let new = NewUser { login, email, email_verified: false, name, role, groups, password };
            auth.create_user(&Admin::console(), new).await
        }
    };
    user.map(|user| user.value.id)
}
