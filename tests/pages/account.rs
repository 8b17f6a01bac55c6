//! `/account`.

use crate::browser::{GOOD, House, OTHER};
use hallpass::auth::check::Admin;

#[rocket::async_test]
async fn a_form_of_another_session_changes_nothing() {
    let house = House::furnished().await;
    let mut grace = house.browser().signed_in("grace").await;
    let mut ada = house.browser().signed_in("ada").await;
    let pre_session = house.browser().get("/login").await.token();
    let foreign = ada.get("/account").await.token();
    for token in ["", "x", pre_session.as_str(), foreign.as_str()] {
        for path in ["/account/name", "/account/password", "/account/sessions/end-others", "/logout"] {
            let seen = grace.post(path, &format!("token={token}&name=Eve&new_password=x")).await;
            assert_eq!(seen.status, 403, "{path} {token}");
        }
    }
    grace.get("/account").await.says("&lt;b&gt;grace&lt;&#x2f;b&gt;");
    let id = house.auth.list_users(&Admin::console(), &Default::default(), None, 9).await.unwrap().items[0]
        .value
        .id;
    let token = grace.get("/account").await.token();
    // What is nobody's, or somebody else's, is not there.
    for session in ["x".to_string(), id.to_string()] {
        let seen = grace.post(&format!("/account/sessions/{session}/end"), &format!("token={token}")).await;
        assert_eq!(seen.status, 404, "{session}");
    }
    assert_eq!(house.browser().post("/account/name", "name=x").await.location, "/login?return_to=/account");
}

#[rocket::async_test]
async fn the_name_is_changed_and_shown_harmlessly() {
    let house = House::furnished().await;
    let mut grace = house.browser().signed_in("grace").await;
    let token = grace.get("/account").await.token();
    let seen = grace.post("/account/name", &format!("token={token}&name=%00")).await;
    assert_eq!(seen.status, 422);
    let name = "name=%3Cscript%3Ealert(1)%3C/script%3E";
    let seen = grace.post("/account/name", &format!("token={token}&{name}")).await;
    assert_eq!((seen.status, seen.location.as_str()), (303, "/account?done=name"));
    let seen = grace.get(&seen.location).await;
    seen.says("Your name is changed.");
    seen.says("&lt;script&gt;");
    assert!(!seen.html.contains("<script>alert"));
    let seen = grace.get("/account?done=%3Cb%3Ehacked").await;
    assert!(!seen.html.contains("hacked") && seen.status == 200);
}

#[rocket::async_test]
async fn a_new_password_needs_the_current_one_and_ends_all_but_this_device() {
    let house = House::furnished().await;
    let mut other = house.browser().signed_in("grace").await;
    let mut grace = house.browser().signed_in("grace").await;
    let before = grace.cookie("hallpass").unwrap().to_string();
    let token = grace.get("/account").await.token();
    let fields = |current: &str, new: &str, again: &str| {
        format!("token={token}&current_password={current}&new_password={new}&new_password_again={again}")
    };
    for (form, status, words) in [
        (fields("wrong", OTHER, OTHER), 401, "This is not your current password."),
        (fields(GOOD, OTHER, "other"), 422, "not the same as above"),
        (fields(GOOD, "short", "short"), 422, "Use at least 12 characters."),
        (fields("", OTHER, OTHER), 422, "Enter your current password."),
    ] {
        let seen = grace.post("/account/password", &form).await;
        assert_eq!(seen.status, status, "{words}");
        seen.says(words);
    }
    let seen = grace.post("/account/password", &fields(GOOD, OTHER, OTHER)).await;
    assert_eq!((seen.status, seen.location.as_str()), (303, "/account?done=password"));
    assert_ne!(grace.cookie("hallpass").unwrap(), before);
    grace.get("/account?done=password").await.says("Your password is changed.");
    assert_eq!(other.get("/account").await.status, 303);
    assert!(house.auth.check(&before, None).await.is_err());
}

#[rocket::async_test]
async fn sessions_are_listed_this_device_first_and_ended_one_by_one_or_all() {
    let house = House::furnished().await;
    let mut grace = house.browser().signed_in("grace").await;
    let mut phone = house.browser().signed_in("grace").await;
    let mut shop = house.browser();
    shop.sign_in("?app=fresh", &format!("app=fresh&login=grace&password={GOOD}")).await;
    let seen = grace.get("/account").await;
    let (first, rest) = seen.html.split_once("This device").unwrap();
    assert_eq!(first.matches("class=\"name\"").count(), 1);
    assert_eq!(rest.matches("/end\">").count(), 2);
    rest.find("JWT + refresh").unwrap();
    let token = seen.token();
    let path = rest.rsplit_once("action=\"/account/sessions/end-others").unwrap().0;
    let path = path.rsplit_once("action=\"").unwrap().1.split('"').next().unwrap().to_string();
    let seen = grace.post(&path, &format!("token={token}")).await;
    assert_eq!(seen.location, "/account?done=session");
    assert_eq!(phone.get("/account").await.status, 303);
    grace.get("/account/ended").await.says("You signed it out from another device.");

    let before = grace.cookie("hallpass").unwrap().to_string();
    let seen = grace.post("/account/sessions/end-others", &format!("token={token}")).await;
    assert_eq!(seen.location, "/account?done=others");
    assert_ne!(grace.cookie("hallpass").unwrap(), before);
    let seen = grace.get("/account?done=others").await;
    seen.says("You are signed in nowhere else.");
    let cookie = shop.cookie("fresh").unwrap().to_string();
    assert!(house.auth.check(&cookie, Some(&"fresh".parse().unwrap())).await.is_err());
}

#[rocket::async_test]
async fn more_than_fifty_sessions_come_page_by_page() {
    let house = House::furnished().await;
    let mut grace = house.browser().signed_in("grace").await;
    for _ in 0..60 {
        house.clock.advance_ms(1000);
        house.browser().signed_in("grace").await;
    }
    let first = grace.get("/account").await;
    assert_eq!(first.html.matches("/end\">").count(), 50);
    first.says("This device");
    let next = first.html.split_once("/account?after=").unwrap().1.split('"').next().unwrap().to_string();
    let second = grace.get(&format!("/account?after={next}")).await;
    assert_eq!(second.html.matches("/end\">").count(), 10);
    assert!(!second.html.contains("This device"));
    assert_eq!(grace.get("/account?after=x").await.status, 422);
}
