//! `/login` and `/logout`.

use crate::browser::{GOOD, House, SHOP};
use hallpass::auth::apps::AppFields;
use hallpass::auth::check::Admin;

#[rocket::async_test]
async fn a_wrong_password_and_an_unknown_user_get_the_same_page() {
    let house = House::furnished().await;
    let mut pages = Vec::new();
    for login in ["ada", "nobody"] {
        let mut browser = house.browser();
        let seen =
            browser.sign_in("", &format!("login={login}&password=wrong+secret+words&remember=on")).await;
        assert_eq!(seen.status, 401);
        seen.says("Login or password is wrong.");
        seen.says(&format!("value=\"{login}\""));
        assert!(!seen.html.contains("wrong secret words"));
        seen.says("checked");
        pages.push(seen.html.replace(&seen.token(), "").replace(login, ""));
    }
    assert_eq!(pages[0], pages[1]);
    let mut browser = house.browser();
    assert_eq!(browser.sign_in("", "login=ada").await.status, 422);
    assert_eq!(browser.sign_in("", "password=x").await.status, 422);
}

#[rocket::async_test]
async fn who_guesses_is_told_to_wait_and_for_how_long() {
    let house = House::furnished().await;
    let mut browser = house.browser();
    for _ in 0..10 {
        assert_eq!(browser.sign_in("", "login=ada&password=wrong").await.status, 401);
    }
    let seen = browser.sign_in("", &format!("login=ada&password={GOOD}")).await;
    assert_eq!(seen.status, 429);
    seen.says("Too many attempts. Try again in");
}

#[rocket::async_test]
async fn a_return_to_that_leads_elsewhere_is_refused_before_and_after_the_form() {
    let house = House::furnished().await;
    let mut browser = house.browser();
    let token = browser.get("/login?app=shop").await.token();
    for attack in [
        "//evil.example",
        "///evil.example",
        "/%5Cevil.example",
        "%5C%5Cevil.example",
        "/%09/evil.example",
        "/%0A/evil.example",
        "%20/account",
        "account",
        "https://evil.example",
        "https://shop.example@evil.example",
        "https://shop.example:443@evil.example",
        "https://user@shop.example",
        "https://shop.example%5C@evil.example",
        "https://shop.example.evil.example",
        "https://shop.evil.com",
        "https://shop.example:8443",
        "http://shop.example",
        "https://shop%252eexample",
        "https:shop.example",
        "https:///shop.example",
        "javascript:alert(1)",
        "javascript://shop.example/%250aalert(1)",
        "data:text/html,x",
        "/account%0D%0ASet-Cookie:%20a=b",
        "%FF",
    ] {
        let seen = browser.get(&format!("/login?app=shop&return_to={attack}")).await;
        assert_eq!(seen.status, 422, "{attack}");
        assert!(!seen.policy.contains("evil"), "{attack}");
        let body = format!("token={token}&app=shop&login=ada&password={GOOD}&return_to={attack}");
        let status = if attack == "%FF" { 400 } else { 422 };
        let seen = browser.post("/login", &body).await;
        assert_eq!((seen.status, seen.location.as_str()), (status, ""), "{attack}");
    }
    // The appliance's own app allows nobody else's origin.
    assert_eq!(browser.get(&format!("/login?return_to={SHOP}/")).await.status, 422);
    assert_eq!(browser.cookie("shop"), None);
}

#[rocket::async_test]
async fn an_unknown_app_and_a_disabled_one_are_told_apart() {
    let house = House::furnished().await;
    let off = AppFields { disabled: Some(true), ..AppFields::default() };
    house.auth.update_app(&Admin::console(), &"shop".parse().unwrap(), off).await.unwrap();
    let mut browser = house.browser();
    for (app, status) in [("nothing", 404), ("NO%20app", 404), ("device", 404), ("shop", 422)] {
        assert_eq!(browser.get(&format!("/login?app={app}")).await.status, status, "{app}");
        let seen = browser.sign_in("", &format!("app={app}&login=ada&password={GOOD}")).await;
        assert_eq!(seen.status, status, "{app}");
    }
}

#[rocket::async_test]
async fn a_sign_in_sets_the_cookies_and_goes_where_it_was_meant_to() {
    let house = House::furnished().await;
    for (query, fields, target) in [
        ("", "login=ada", "/"),
        ("", "login=ada%40example.org&remember=on", "/"),
        ("?return_to=/account", "login=grace&return_to=/account", "/account"),
        (
            "?return_to=http://localhost:8000/account",
            "login=grace&return_to=http://localhost:8000/account",
            "http://localhost:8000/account",
        ),
        ("?app=shop", "app=shop&login=ada", "/login?app=shop"),
        (
            "?app=shop&return_to=https://shop.example/a?b=c",
            "app=shop&login=ada&return_to=https://shop.example/a?b=c",
            "https://shop.example/a?b=c",
        ),
    ] {
        let mut browser = house.browser();
        let seen = browser.sign_in(query, &format!("{fields}&password={GOOD}")).await;
        assert_eq!((seen.status, seen.location.as_str()), (303, target), "{query}");
        let app = if query.contains("shop") { "shop" } else { "hallpass" };
        assert!(browser.cookie(app).is_some_and(|value| value.starts_with("hps_")), "{query}");
        assert!(browser.cookie("device").is_some(), "{query}");
    }
}

#[rocket::async_test]
async fn the_redirect_is_allowed_to_the_app_by_the_policy_and_to_nobody_else() {
    let house = House::furnished().await;
    let mut browser = house.browser();
    assert!(browser.get("/login?app=shop").await.policy.contains("form-action 'self';"));
    let seen = browser.get("/login?app=shop&return_to=https://shop.example/a").await;
    assert!(seen.policy.contains("form-action 'self' https://shop.example;"), "{}", seen.policy);
    assert!(seen.policy.contains("script-src 'self'; style-src 'self';"));
    let token = seen.token();
    let body = format!("token={token}&app=shop&return_to=https://shop.example/a&login=ada&password=wrong");
    let seen = browser.post("/login", &body).await;
    assert!(seen.policy.contains("form-action 'self' https://shop.example;"), "{}", seen.policy);
}

#[rocket::async_test]
async fn every_strategy_signs_in_by_its_cookie_and_out_again() {
    let house = House::furnished().await;
    for (app, prefix) in [("shop", "hps_"), ("fresh", "hpr_"), ("token", "eyJ"), ("tracked", "eyJ")] {
        let mut browser = house.browser();
        let fields = format!("app={app}&login=grace&password={GOOD}");
        assert_eq!(browser.sign_in(&format!("?app={app}"), &fields).await.status, 303, "{app}");
        let credential = browser.cookie(app).unwrap().to_string();
        assert!(credential.starts_with(prefix), "{app}");
        browser.get(&format!("/login?app={app}")).await.says("You are signed in as <strong>grace");
        let token = browser.get(&format!("/logout?app={app}")).await.token();
        let seen = browser.post("/logout", &format!("token={token}&app={app}")).await;
        assert_eq!((seen.status, seen.location), (303, format!("/logout?app={app}")));
        assert_eq!(browser.cookie(app), None);
        browser.get(&format!("/logout?app={app}")).await.says("You are signed out");
        assert!(house.auth.check(&credential, Some(&app.parse().unwrap())).await.is_err(), "{app}");
    }
}

#[rocket::async_test]
async fn a_new_sign_in_ends_the_session_whose_cookie_came_along() {
    let house = House::furnished().await;
    let mut browser = house.browser().signed_in("ada").await;
    let before = browser.cookie("hallpass").unwrap().to_string();
    let fields = format!("login=ada&password={GOOD}&return_to=/account");
    assert_eq!(browser.sign_in("?return_to=/account", &fields).await.status, 303);
    assert_ne!(browser.cookie("hallpass").unwrap(), before);
    assert!(house.auth.check(&before, None).await.is_err());
}
