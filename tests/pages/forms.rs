//! Forms that did not come from our own page, or are none.

use crate::browser::{GOOD, House, OTHER, OWN, SHOP, Seen};
use rocket::http::{ContentType, Header, Status};

#[rocket::async_test]
async fn a_sign_in_that_was_not_served_to_this_browser_is_refused() {
    let house = House::furnished().await;
    let fields = format!("login=ada&password={GOOD}");
    let mut browser = house.browser();
    assert_eq!(browser.post("/login", &fields).await.status, 403);
    let token = browser.get("/login").await.token();
    let strange = house.browser().get("/login").await.token();
    assert_ne!(token, strange);
    for token in ["", "x", strange.as_str(), &token[1..], &format!("{token}A")] {
        let seen = browser.post("/login", &format!("token={token}&{fields}")).await;
        assert_eq!(seen.status, 403, "{token}");
        seen.says("too old");
        seen.says("value=\"ada\"");
        assert_eq!(browser.cookie("hallpass"), None);
    }
    let mut without_cookie = house.browser();
    assert_eq!(without_cookie.post("/login", &format!("token={token}&{fields}")).await.status, 403);
    assert_eq!(browser.post("/login", &format!("token={token}&{fields}")).await.status, 303);
}

#[rocket::async_test]
async fn forms_from_elsewhere_are_refused_whatever_they_hold() {
    let house = House::furnished().await;
    let mut browser = house.browser();
    let token = browser.get("/login").await.token();
    let body = format!("token={token}&login=ada&password={GOOD}");
    let code = house.reset_code("grace").await;
    let mut setter = house.browser().opened(&code).await;
    let set = format!(
        "token={}&new_password={OTHER}&new_password_again={OTHER}",
        setter.get("/setup").await.token()
    );
    let mut member = house.browser().signed_in("grace").await;
    let own = format!("token={}&name=x", member.get("/account").await.token());
    for headers in [
        &[("Origin", "https://evil.example")][..],
        &[("Origin", "null")],
        &[("Origin", SHOP)],
        &[("Origin", "http://localhost:8001")],
        &[("Origin", "https://localhost:8000")],
        &[("Origin", OWN), ("Sec-Fetch-Site", "cross-site")],
        &[("Origin", OWN), ("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Origin", OWN), ("Origin", OWN)],
    ] {
        let seen = browser.post_with("/login", &body, headers).await;
        assert_eq!(seen.status, 403, "{headers:?}");
        assert_eq!(setter.post_with("/setup", &set, headers).await.status, 403, "{headers:?}");
        for path in ["/account/name", "/account/password", "/account/sessions/end-others", "/logout"] {
            assert_eq!(member.post_with(path, &own, headers).await.status, 403, "{path} {headers:?}");
        }
    }
    assert!(browser.cookie("hallpass").is_none() && member.cookie("hallpass").is_some());
    // With neither header the token alone decides.
    assert_eq!(browser.post_with("/login", &body, &[]).await.status, 303);
}

#[rocket::async_test]
async fn a_form_that_is_none_of_ours_is_refused() {
    let house = House::furnished().await;
    let mut browser = house.browser();
    let token = browser.get("/login").await.token();
    let fields = format!("token={token}&login=ada&password={GOOD}");
    for path in ["/login", "/setup", "/setup/code", "/logout", "/account/name", "/account/password"] {
        let status = |seen: Seen| seen.status;
        assert_eq!(status(browser.post(path, &format!("{fields}&login=grace")).await), 400, "{path} twice");
        assert_eq!(status(browser.post(path, &format!("{fields}&%6Cogin=b")).await), 400, "{path} encoded");
        assert_eq!(status(browser.post(path, &format!("{fields}&_method=put")).await), 400, "{path} _method");
        let late = format!("{fields}&pad={}&_method=delete", "x".repeat(1000));
        assert_eq!(status(browser.post(path, &late).await), 400, "{path} late _method");
        assert_eq!(status(browser.post(path, "login=%ff").await), 400, "{path} no UTF-8");
        let large = format!("{fields}&pad={}", "x".repeat(40_000));
        assert_eq!(status(browser.post(path, &large).await), 413, "{path} large");
        let request = house.client.post(path).header(ContentType::JSON).body("{}");
        let answer = browser.dressed(request, &[("Origin", OWN)]).dispatch().await;
        assert_eq!(answer.status(), Status::UnsupportedMediaType, "{path}");
        assert_eq!(answer.content_type(), Some(ContentType::HTML), "{path}");
    }
    assert_eq!(browser.cookie("hallpass"), None);
}

#[rocket::async_test]
async fn pages_with_a_password_need_https_or_this_machine() {
    let house = House::furnished().await;
    for path in ["/login", "/setup", "/setup?code=x", "/account", "/account/ended", "/logout"] {
        let far = std::net::SocketAddr::from(([192, 0, 2, 1], 4711));
        let answer = house.client.get(path).header(Header::new("Host", "localhost")).remote(far).dispatch();
        let answer = answer.await;
        assert_eq!(answer.status(), Status::Forbidden, "{path}");
        let html = answer.into_string().await.unwrap();
        for part in ["https_required", "[tls]", "reverse_proxy", "proxy_pass", "request <span"] {
            assert!(html.contains(part), "{path} {part}");
        }
    }
}
