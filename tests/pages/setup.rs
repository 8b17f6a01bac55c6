//! `/setup`: the first administrator, and a new password by a link.

use crate::browser::{FIRST, GOOD, House, OTHER, OWN};
use hallpass::auth::check::Admin;

#[rocket::async_test]
async fn a_code_that_is_wrong_used_or_late_opens_nothing() {
    let house = House::empty().await;
    let late = house.auth.mint_setup_code().await.unwrap().reveal();
    house.clock.advance_ms(31 * 60_000);
    let good = house.auth.mint_setup_code().await.unwrap().reveal();
    let strange = House::empty().await.auth.mint_setup_code().await.unwrap().reveal();
    for code in [&late, &strange] {
        let mut browser = house.browser().opened(code).await;
        let seen = browser.get("/setup").await;
        assert_eq!(seen.status, 403);
        seen.says("unknown, used or too old");
        assert_eq!(browser.cookie("code"), None);
    }
    for typed in ["x", &good[1..], "hpo_", "%3Cscript%3E"] {
        let mut browser = house.browser();
        assert_eq!(browser.get(&format!("/setup?code={typed}")).await.location, "/setup");
        assert_eq!(browser.cookie("code"), None, "{typed}");
    }
    let mut browser = house.browser();
    browser.get("/setup").await.says("hallpass setup-link");
    let token = browser.get("/setup").await.token();
    assert_eq!(browser.post("/setup", &format!("token={token}&{FIRST}")).await.status, 403);
    assert!(!house.auth.is_set_up().await.unwrap());
}

#[rocket::async_test]
async fn who_guesses_codes_waits_and_keeps_nobody_else_waiting() {
    let house = House::empty().await;
    let good = house.auth.mint_setup_code().await.unwrap().reveal();
    let mut guesser = house.browser();
    guesser.address = "203.0.113.9".into();
    for status in [403, 403, 403, 403, 403, 429] {
        let token = guesser.get("/setup").await.token();
        let body = format!("token={token}&code=hpo_guess");
        let seen = guesser.post_with("/setup/code", &body, &[("Origin", OWN)]).await;
        assert_eq!(seen.status, status);
    }
    let token = guesser.get("/setup").await.token();
    let body = format!("token={token}&code={good}");
    assert_eq!(guesser.post_with("/setup/code", &body, &[("Origin", OWN)]).await.status, 429);
    let mut owner = house.browser();
    let token = owner.get("/setup").await.token();
    let link = format!("http%3A%2F%2Flocalhost%3A8000%2Fsetup%3Fcode%3D{good}");
    assert_eq!(owner.post("/setup/code", &format!("token={token}&code={link}")).await.location, "/setup");
    // A good code costs nothing, however often its page is loaded.
    for _ in 0..20 {
        owner.get("/setup").await.says("Make the first one");
    }
    house.clock.advance_ms(12_000);
    let seen = guesser.post_with("/setup/code", &body, &[("Origin", OWN)]).await;
    assert_eq!(seen.status, 303);
}

#[rocket::async_test]
async fn the_first_administrator_is_held_to_the_rules_with_the_entries_kept() {
    let house = House::empty().await;
    let code = house.auth.mint_setup_code().await.unwrap().reveal();
    let mut browser = house.browser().opened(&code).await;
    let seen = browser.get("/setup").await;
    assert!(!seen.html.contains(&code) && seen.status == 200);
    let token = seen.token();
    for (fields, words) in [
        ("login=a%40b&new_password=PW&new_password_again=PW", "A login name has no @."),
        ("login=ada&new_password=short&new_password_again=short", "Use at least 12 characters."),
        ("login=ada&new_password=PW&new_password_again=PW2", "not the same as above"),
        ("login=ada&new_password=PW", "not the same as above"),
        ("login=ada", "Enter a new password."),
        ("login=ada&email=nothing&new_password=PW&new_password_again=PW", "This is no e-mail address."),
    ] {
        let fields = fields.replace("PW", "a+long+and+lovely+passphrase");
        let seen = browser.post("/setup", &format!("token={token}&name=Ada+%22L%22&{fields}")).await;
        assert_eq!(seen.status, 422, "{fields}");
        seen.says(words);
        seen.says("Ada &quot;L&quot;");
        assert!(!seen.html.contains("lovely passphrase") && !seen.html.contains(&code));
    }
    assert_eq!(browser.post("/setup", &format!("token=x&{FIRST}")).await.status, 403);
    assert!(!house.auth.is_set_up().await.unwrap());
}

#[rocket::async_test]
async fn the_link_makes_the_administrator_signs_them_in_and_closes_set_up() {
    let house = House::empty().await;
    let code = house.auth.mint_setup_code().await.unwrap().reveal();
    let mut browser = house.browser().opened(&code).await;
    let token = browser.get("/setup").await.token();
    let seen = browser.post("/setup", &format!("token={token}&{FIRST}")).await;
    assert_eq!((seen.status, seen.location.as_str()), (303, "/admin"));
    assert!(browser.cookie("device").is_some() && browser.cookie("code").is_none());
    assert_eq!(browser.get("/").await.location, "/admin");

    let mut late = house.browser();
    let seen = late.get("/setup").await;
    assert_eq!(seen.status, 404);
    seen.says("href=\"/login\"");
    let mut late = house.browser().opened(&code).await;
    assert_eq!(late.get("/setup").await.status, 404);
    assert_eq!(late.cookie("code"), None);
    assert_eq!(house.browser().post("/setup", FIRST).await.status, 404);
}

#[rocket::async_test(flavor = "multi_thread")]
async fn sixty_four_set_ups_at_once_make_one_administrator() {
    let house = House::empty().await;
    let mut browsers = Vec::new();
    for n in 0..64 {
        let code = house.auth.mint_setup_code().await.unwrap().reveal();
        let mut browser = house.browser();
        browser.address = format!("203.0.113.{n}");
        let mut browser = browser.opened(&code).await;
        let token = browser.get("/setup").await.token();
        browsers.push((browser, format!("token={token}&{}", FIRST.replace("ada", &format!("ada{n}")))));
    }
    let sent = browsers.iter_mut().map(|(browser, body)| browser.post_with("/setup", body, &[]));
    let seen = rocket::futures::future::join_all(sent).await;
    let made = seen.iter().filter(|seen| seen.status == 303).count();
    assert_eq!(made, 1);
    assert!(
        seen.iter().all(|seen| matches!(seen.status, 303 | 404)),
        "{:?}",
        seen.iter().map(|s| s.status).collect::<Vec<_>>()
    );
    let filter = hallpass::store::user::UserFilter::default();
    let users = house.auth.list_users(&Admin::console(), &filter, None, 100).await.unwrap();
    assert_eq!(users.items.len(), 1);
}

#[rocket::async_test]
async fn a_reset_link_works_once_and_signs_everything_out() {
    let house = House::furnished().await;
    let mut member = house.browser().signed_in("grace").await;
    let code = house.reset_code("grace").await;
    let mut browser = house.browser().opened(&code).await;
    let seen = browser.get("/setup").await;
    seen.says("for grace");
    let token = seen.token();
    let fields = format!("token={token}&new_password={OTHER}&new_password_again={OTHER}");
    let common = format!("token={token}&new_password=grace+grace+grace&new_password_again=grace+grace+grace");
    assert_eq!(browser.post("/setup", &common).await.status, 422);
    let seen = browser.clone().post("/setup", &fields).await;
    assert_eq!((seen.status, seen.location.as_str()), (303, "/login?done=reset"));
    // The other copy of the browser still has the code's cookie.
    assert_eq!(browser.post("/setup", &fields).await.status, 403);
    assert_eq!(member.get("/account").await.status, 303);
    house.browser().get("/login?done=reset").await.says("The new password is set");
    let mut browser = house.browser();
    assert_eq!(browser.sign_in("", &format!("login=grace&password={GOOD}")).await.status, 401);
    assert_eq!(browser.sign_in("", &format!("login=grace&password={OTHER}")).await.status, 303);
}
