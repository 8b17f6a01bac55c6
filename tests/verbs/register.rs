//! `POST /api/v1/auth/register`: self-registration, off unless it is switched on.

use crate::house::{House, PASSWORD};
use serde_json::json;

const REGISTER: &str = "/api/v1/auth/register";

#[rocket::async_test]
async fn it_is_off_by_default() {
    let house = House::new().await;
    house.boss().await;
    let body = json!({ "login": "ada", "password": PASSWORD });
    house.anyone().post(REGISTER, &body).await.refused(403, "forbidden");
    house.anyone().login("ada", PASSWORD).await.refused(401, "invalid_credentials");
}

#[rocket::async_test]
async fn nobody_registers_with_more_than_a_name_and_a_password() {
    let house = House::with(|config| config.registration.enabled = true).await;
    house.boss().await;
    for field in
        ["role", "groups", "email_verified", "state", "id", "user_id", "epoch", "admin", "created_at"]
    {
        let mut body = json!({ "login": "ada", "password": PASSWORD });
        body[field] = json!("admin");
        house.anyone().post(REGISTER, &body).await.refused_field(field, "unknown_field");
    }
}

#[rocket::async_test]
async fn names_and_passwords_against_the_rules_are_refused() {
    let house = House::with(|config| config.registration.enabled = true).await;
    house.boss().await;
    house.make_user("admin", false).await;
    for (login, password, field, code) in [
        ("", PASSWORD, "login", "empty"),
        ("a@b", PASSWORD, "login", "at_sign"),
        ("a b", PASSWORD, "login", "bad_character"),
        ("a\u{200b}b", PASSWORD, "login", "bad_character"),
        ("a\u{0}b", PASSWORD, "login", "bad_character"),
        ("adm\u{456}n", PASSWORD, "login", "mixed_script"),
        (&"a".repeat(65), PASSWORD, "login", "too_long"),
        ("ada", "short", "password", "password_too_short"),
        ("ada", "aaaaaaaaaaaaaaa", "password", "password_sequence"),
        ("ada", "hallpasshallpass", "password", "password_mostly_name"),
        ("ada", &"lovely ".repeat(19), "password", "password_too_long"),
        ("ada", "password1234", "password", "password_common"),
    ] {
        let body = json!({ "login": login, "password": password });
        house.anyone().post(REGISTER, &body).await.refused_field(field, code);
    }
    // Taken, in every spelling.
    for taken in ["admin", "ADMIN", "\u{ff41}dmin", "boss"] {
        let body = json!({ "login": taken, "password": PASSWORD });
        house.anyone().post(REGISTER, &body).await.refused(409, "name_taken");
    }
}

#[rocket::async_test]
async fn who_registers_is_a_user_whose_email_nobody_confirmed() {
    let house = House::with(|config| config.registration.enabled = true).await;
    house.boss().await;
    let body = json!({ "login": "ada", "password": PASSWORD, "email": "ada@example.org", "name": "Ada" });
    let made = house.anyone().post(REGISTER, &body).await.is(201);
    assert_eq!((&made["user"]["role"], &made["user"]["email_verified"]), (&json!("user"), &json!(false)));
    assert_eq!(made["user"]["groups"], json!([]));
    house.anyone().login("ada@example.org", PASSWORD).await.refused(401, "invalid_credentials");
    house.anyone().login("ada", PASSWORD).await.is(200);
    // The address is nobody's yet: its owner may still come by it.
    let owner = json!({ "login": "owner", "password": PASSWORD, "email": "ada@example.org" });
    house.anyone().post(REGISTER, &owner).await.is(201);
}

#[rocket::async_test]
async fn one_address_makes_no_more_accounts_than_it_may_fail_to_sign_in() {
    let house = House::with(|config| {
        config.registration.enabled = true;
        config.throttle.address_failures = 3;
    })
    .await;
    house.boss().await;
    let answer = async |n: u8| {
        house.anyone().post(REGISTER, &json!({ "login": format!("user{n}"), "password": PASSWORD })).await
    };
    for n in 0..3 {
        answer(n).await.is(201);
    }
    answer(3).await.refused(429, "too_many_attempts");
}
