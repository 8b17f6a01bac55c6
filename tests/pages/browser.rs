//! A house to be visited, and a browser without JavaScript: it keeps cookies, and sends along with forms what browsers
//! send.

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
use rocket::http::{ContentType, Header};
use rocket::local::asynchronous::{Client, LocalResponse};
use std::collections::BTreeMap;
use std::sync::Arc;

pub const OWN: &str = "http://localhost:8000";
pub const SHOP: &str = "https://shop.example";
pub const GOOD: &str = "a long and lovely passphrase";
pub const OTHER: &str = "another lovely passphrase";

pub struct House {
    pub client: Client,
    pub auth: Arc<Auth>,
    pub clock: Clock,
    _directory: tempfile::TempDir,
}

impl House {
    pub async fn empty() -> Self {
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
    pub async fn furnished() -> Self {
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

    pub fn browser(&self) -> Browser<'_> {
        Browser { house: self, cookies: BTreeMap::new(), address: "127.0.0.1".into() }
    }

    pub async fn reset_code(&self, login: &str) -> String {
        let user = self.auth.find_user(&Admin::console(), login).await.unwrap();
        self.auth.mint_reset_code(&Admin::console(), &user.value.id).await.unwrap().reveal()
    }
}

/// An answer, read whole.
pub struct Seen {
    pub status: u16,
    pub location: String,
    pub policy: String,
    pub html: String,
}

/// Keeps cookies as browsers do, and sends what browsers send along with forms.
#[derive(Clone)]
pub struct Browser<'h> {
    pub house: &'h House,
    pub cookies: BTreeMap<String, String>,
    pub address: String,
}

impl Browser<'_> {
    pub async fn get(&mut self, path: &str) -> Seen {
        let request = self.house.client.get(path.to_string());
        let request = self.dressed(request, &[]);
        let response = request.dispatch().await;
        self.seen(response).await
    }

    /// Sends a form as our own page would.
    pub async fn post(&mut self, path: &str, body: &str) -> Seen {
        self.post_with(path, body, &[("Origin", OWN), ("Sec-Fetch-Site", "same-origin")]).await
    }

    pub async fn post_with(&mut self, path: &str, body: &str, headers: &[(&'static str, &str)]) -> Seen {
        let request = self.house.client.post(path.to_string()).header(ContentType::Form).body(body);
        let response = self.dressed(request, headers).dispatch().await;
        self.seen(response).await
    }

    pub fn dressed<'c>(
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

    pub fn cookie(&self, app: &str) -> Option<&str> {
        self.cookies.get(&format!("__Host-hp-{app}")).map(String::as_str)
    }

    /// Fetches the form and sends it with these fields.
    pub async fn sign_in(&mut self, query: &str, fields: &str) -> Seen {
        let token = self.get(&format!("/login{query}")).await.token();
        self.post("/login", &format!("token={token}&{fields}")).await
    }

    pub async fn signed_in(mut self, login: &str) -> Self {
        let seen = self.sign_in("", &format!("login={login}&password={GOOD}")).await;
        assert_eq!((seen.status, seen.location.as_str()), (303, "/"));
        self
    }

    pub async fn opened(mut self, code: &str) -> Self {
        let seen = self.get(&format!("/setup?code={code}")).await;
        assert_eq!((seen.status, seen.location.as_str()), (303, "/setup"));
        self
    }
}

impl Seen {
    pub fn token(&self) -> String {
        let rest = self.html.split_once("name=\"token\" value=\"").expect("a form with a token").1;
        rest.split('"').next().unwrap().to_string()
    }

    pub fn says(&self, words: &str) {
        assert!(self.html.contains(words), "{words:?} is not in:\n{}", self.html);
    }
}

pub const FIRST: &str = "login=ada&name=Ada&email=ada%40example.org&new_password=a+long+and+lovely+passphrase\
                     &new_password_again=a+long+and+lovely+passphrase";
