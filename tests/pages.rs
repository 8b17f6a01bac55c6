//! The server-rendered pages as a browser sees them, without JavaScript: refusals first.

use hallpass::auth::Auth;
use hallpass::auth::apps::AppFields;
use hallpass::auth::check::Admin;
use hallpass::auth::users::NewUser;
use hallpass::clock::Clock;
use hallpass::config::{Config, Network};
use hallpass::entropy::Entropy;
use hallpass::model::Time;
use hallpass::model::app::Strategy;
use hallpass::model::password::Password;
use hallpass::model::user::Role;
use hallpass::start::{Sources, start};
use hallpass::web::{self, Site};
use rocket::http::{ContentType, Header, Status};
use rocket::local::asynchronous::{Client, LocalResponse};
use std::collections::BTreeMap;
use std::sync::Arc;

const OWN: &str = "http://localhost:8000";
const SHOP: &str = "https://shop.example";
const GOOD: &str = "a long and lovely passphrase";
const OTHER: &str = "another lovely passphrase";

struct House {
    client: Client,
    auth: Arc<Auth>,
    clock: Clock,
    _directory: tempfile::TempDir,
}

impl House {
    async fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config {
            data_dir: directory.path().join("data"),
            trusted_proxies: vec![Network::try_from("127.0.0.0/8".to_string()).unwrap()],
            ..Config::default()
        };
        config.password.argon2_memory_kib = 64;
        config.password.argon2_iterations = 1;
        config.password.hash_queue = 256;
        let clock = Clock::manual(Time::from_ms(1_795_498_200_000));
        let sources = Sources { clock: clock.clone(), entropy: Entropy::seeded(7) };
        let auth = start(&config, sources).await.unwrap();
        let site = Arc::new(Site::new(Arc::new(config), [0; 4]).unwrap());
        let rocket = web::rocket(&site, std::net::Ipv4Addr::LOCALHOST.into(), None)
            .manage(Arc::clone(&auth))
            .mount("/", web::routes());
        let client = Client::untracked(rocket).await.unwrap();
        Self { client, auth, clock, _directory: directory }
    }

    /// With an administrator, a user, and an app of another origin.
    async fn furnished() -> Self {
        let house = Self::empty().await;
        for (login, role) in [("ada", Role::Admin), ("grace", Role::User)] {
            let new = NewUser {
                login: login.into(),
                email: Some(format!("{login}@example.org")),
                email_verified: true,
                name: format!("<b>{login}</b>"),
                role,
                groups: Vec::new(),
                password: Some(Password::new(GOOD.into())),
            };
            house.auth.create_user(&Admin::console(), new).await.unwrap();
        }
        for (id, strategy) in [
            ("shop", Strategy::Session),
            ("token", Strategy::Jwt),
            ("tracked", Strategy::Tracked),
            ("fresh", Strategy::Refresh),
        ] {
            let fields = AppFields { origins: Some(vec![SHOP.into()]), ..AppFields::default() };
            house
                .auth
                .create_app(&Admin::console(), id.parse().unwrap(), strategy, false, fields)
                .await
                .unwrap();
        }
        house
    }

    fn browser(&self) -> Browser<'_> {
        Browser { house: self, cookies: BTreeMap::new(), address: "127.0.0.1".into() }
    }

    async fn reset_code(&self, login: &str) -> String {
        let user = self.auth.find_user(&Admin::console(), login).await.unwrap();
        self.auth.mint_reset_code(&Admin::console(), &user.value.id).await.unwrap().reveal()
    }
}

/// An answer, read whole.
struct Seen {
    status: u16,
    location: String,
    policy: String,
    html: String,
}

/// Keeps cookies as browsers do, and sends what browsers send along with forms.
#[derive(Clone)]
struct Browser<'h> {
    house: &'h House,
    cookies: BTreeMap<String, String>,
    address: String,
}

impl Browser<'_> {
    async fn get(&mut self, path: &str) -> Seen {
        let request = self.house.client.get(path.to_string());
        let request = self.dressed(request, &[]);
        let response = request.dispatch().await;
        self.seen(response).await
    }

    /// Sends a form as our own page would.
    async fn post(&mut self, path: &str, body: &str) -> Seen {
        self.post_with(path, body, &[("Origin", OWN), ("Sec-Fetch-Site", "same-origin")]).await
    }

    async fn post_with(&mut self, path: &str, body: &str, headers: &[(&'static str, &str)]) -> Seen {
        let request = self.house.client.post(path.to_string()).header(ContentType::Form).body(body);
        let response = self.dressed(request, headers).dispatch().await;
        self.seen(response).await
    }

    fn dressed<'c>(
        &self,
        mut request: rocket::local::asynchronous::LocalRequest<'c>,
        headers: &[(&'static str, &str)],
    ) -> rocket::local::asynchronous::LocalRequest<'c> {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.add_header(Header::new("Host", "localhost:8000"));
        request.add_header(Header::new("Cookie", cookies.join("; ")));
        if self.address != "127.0.0.1" {
            request.add_header(Header::new("X-Forwarded-For", self.address.clone()));
            request.add_header(Header::new("X-Forwarded-Proto", "https"));
        }
        for (name, value) in headers {
            request.add_header(Header::new(*name, (*value).to_string()));
        }
        request
    }

    async fn seen(&mut self, response: LocalResponse<'_>) -> Seen {
        for cookie in response.headers().get("set-cookie") {
            assert!(cookie.contains("; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.into(), value.into());
            }
        }
        let header = |name| response.headers().get_one(name).unwrap_or("").to_string();
        let status = response.status().code;
        let (location, policy) = (header("location"), header("content-security-policy"));
        assert_eq!(header("cache-control"), "no-store");
        if status != 303 {
            assert_eq!(response.content_type(), Some(ContentType::HTML));
        }
        let html = response.into_string().await.unwrap_or_default();
        Seen { status, location, policy, html }
    }

    fn cookie(&self, app: &str) -> Option<&str> {
        self.cookies.get(&format!("__Host-hp-{app}")).map(String::as_str)
    }

    /// Fetches the form and sends it with these fields.
    async fn sign_in(&mut self, query: &str, fields: &str) -> Seen {
        let token = self.get(&format!("/login{query}")).await.token();
        self.post("/login", &format!("token={token}&{fields}")).await
    }

    async fn signed_in(mut self, login: &str) -> Self {
        let seen = self.sign_in("", &format!("login={login}&password={GOOD}")).await;
        assert_eq!((seen.status, seen.location.as_str()), (303, "/"));
        self
    }

    async fn opened(mut self, code: &str) -> Self {
        let seen = self.get(&format!("/setup?code={code}")).await;
        assert_eq!((seen.status, seen.location.as_str()), (303, "/setup"));
        self
    }
}

impl Seen {
    fn token(&self) -> String {
        let rest = self.html.split_once("name=\"token\" value=\"").expect("a form with a token").1;
        rest.split('"').next().unwrap().to_string()
    }

    fn says(&self, words: &str) {
        assert!(self.html.contains(words), "{words:?} is not in:\n{}", self.html);
    }
}

const FIRST: &str = "login=ada&name=Ada&email=ada%40example.org&new_password=a+long+and+lovely+passphrase\
                     &new_password_again=a+long+and+lovely+passphrase";

// ---- sign-in ----

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

// ---- where people are sent ----

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

// ---- set-up and reset ----

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
    assert_eq!(browser.post("/setup", &format!("token={token}&{FIRST}")).await.status, 200);
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

// ---- the account ----

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
