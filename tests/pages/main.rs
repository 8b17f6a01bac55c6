//! The server-rendered pages as a browser without JavaScript sees them: refusals first.

mod account;
mod browser;
mod forms;
mod login;
mod setup;

use browser::{GOOD, House};
use rocket::http::Status;

#[rocket::async_test]
async fn everybody_is_sent_where_they_belong() {
    let house = House::empty().await;
    assert_eq!(house.browser().get("/").await.location, "/setup");
    house.browser().get("/login").await.says("not set up yet");
    let house = House::furnished().await;
    assert_eq!(house.browser().get("/").await.location, "/login");
    let mut ada = house.browser().signed_in("ada").await;
    let mut grace = house.browser().signed_in("grace").await;
    assert_eq!(
        (ada.get("/").await.location, grace.get("/").await.location),
        ("/admin".into(), "/account".into())
    );
    assert_eq!(ada.get("/login").await.location, "/");
    for path in ["/account", "/account/ended"] {
        assert_eq!(house.browser().get(path).await.location, format!("/login?return_to={path}"));
    }
    // Another app's cookie is nobody here.
    let mut shopper = house.browser();
    shopper.sign_in("?app=shop", &format!("app=shop&login=ada&password={GOOD}")).await;
    assert_eq!(shopper.get("/account").await.status, 303);
    let value = shopper.cookie("shop").unwrap().to_string();
    shopper.cookies.insert("__Host-hp-hallpass".into(), value);
    assert_eq!(shopper.get("/account").await.location, "/login?return_to=/account");
}

#[rocket::async_test]
async fn asking_for_pages_changes_nothing() {
    let house = House::furnished().await;
    let code = house.reset_code("grace").await;
    let mut browser = house.browser().signed_in("grace").await.opened(&code).await;
    let before = browser.cookies.clone();
    for path in ["/", "/login?return_to=/account", "/logout", "/setup", "/account", "/account/ended"] {
        assert!(browser.get(path).await.status < 400, "{path}");
    }
    for path in ["/account/name", "/account/password", "/account/sessions/end-others", "/setup/code"] {
        assert_eq!(browser.get(path).await.status, 405, "{path}");
    }
    assert_eq!(browser.cookies, before);
    assert_eq!(browser.get("/account").await.status, 200);
}

#[rocket::async_test]
async fn the_sign_in_page_is_small() {
    use std::io::Write;
    let house = House::furnished().await;
    let html = house.browser().get("/login").await.html;
    let zipped = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap().len()
    };
    let mut bytes = zipped(&html);
    let paths = html.split("/assets/").skip(1).map(|rest| rest.split('"').next().unwrap().to_string());
    for path in paths.collect::<std::collections::BTreeSet<_>>() {
        let answer = house.client.get(format!("/assets/{path}")).dispatch().await;
        assert_eq!(answer.status(), Status::Ok, "{path}");
        bytes += zipped(&answer.into_string().await.unwrap());
    }
    assert!(bytes <= 12 * 1024, "{bytes} bytes");
}
