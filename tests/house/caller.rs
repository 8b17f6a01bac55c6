//! Who calls: nobody in particular, somebody signed in, an administrator.

use super::{Answer, Ask, House, PASSWORD, STRATEGIES, text};
use rocket::http::Method;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Somebody without a credential.
pub struct Anyone(House);

impl Anyone {
    pub fn new(house: &House) -> Self {
        Self(house.clone())
    }

    pub fn get(&self, path: &str) -> Ask {
        Ask::new(&self.0, Method::Get, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> Ask {
        Ask::new(&self.0, Method::Post, path).json(body)
    }

    pub fn form(&self, path: &str, fields: &[(&str, &str)]) -> Ask {
        Ask::new(&self.0, Method::Post, path).form(fields)
    }

    pub fn ask(&self, method: Method, path: &str) -> Ask {
        Ask::new(&self.0, method, path)
    }

    /// `GET /auth/session` with this text as bearer.
    pub fn check(&self, bearer: &str) -> Ask {
        self.get("/api/v1/auth/session").header("Authorization", format!("Bearer {bearer}"))
    }

    pub fn check_cookie(&self, app: &str, value: &str) -> Ask {
        self.get("/api/v1/auth/session").header("Cookie", format!("__Host-hp-{app}={value}"))
    }

    pub fn login(&self, login: &str, password: &str) -> Ask {
        self.post("/api/v1/auth/login", &json!({ "login": login, "password": password }))
    }

    pub fn login_to(&self, login: &str, app: &str, transport: &str) -> Ask {
        let body = json!({ "login": login, "password": PASSWORD, "app": app, "transport": transport });
        self.post("/api/v1/auth/login", &body)
    }

    pub fn refresh(&self, token: &str) -> Ask {
        self.post("/api/v1/auth/refresh", &json!({ "refresh_token": token }))
    }

    /// Signs in; the credentials come in the body.
    pub async fn sign_in(&self, login: &str, app: &str) -> Member {
        let answer = self.login_to(login, app, "body").await;
        Member::new(&self.0, login, app, &answer)
    }

    /// Signs in; the credential comes as cookie.
    pub async fn sign_in_by_cookie(&self, login: &str, app: &str) -> Member {
        let answer = self.login_to(login, app, "cookie").await;
        Member::new(&self.0, login, app, &answer)
    }

    /// In every way that there is: every strategy's app, by body and by cookie. Needs [`Boss::make_apps`].
    pub async fn sign_in_everywhere(&self, login: &str) -> Vec<Member> {
        let mut members = Vec::new();
        for app in STRATEGIES {
            members.push(self.sign_in(login, app).await);
            members.push(self.sign_in_by_cookie(login, app).await);
        }
        members
    }
}

/// What a check says of a credential: `ok`, a code, or `session_ended/<reason>`.
pub async fn verdict(ask: Ask) -> String {
    let answer = ask.await;
    if answer.status == 200 {
        return "ok".into();
    }
    match answer.json()["ended_reason"].as_str() {
        Some(reason) => format!("{}/{reason}", answer.code()),
        None => answer.code(),
    }
}

/// How somebody proves who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    Bearer(String),
    Cookie { app: String, value: String, csrf: String },
}

/// Somebody who is signed in. The cookie and its CSRF token go along by themselves.
#[derive(Clone)]
pub struct Member {
    house: House,
    pub login: String,
    pub app: String,
    pub credential: Credential,
    /// Where the strategy has one and it came in the body.
    pub refresh_token: Option<String>,
    pub access_token: Option<String>,
    pub device_token: Option<String>,
    /// `None` for a `jwt` app.
    pub session_id: Option<String>,
    pub user_id: String,
}

impl Member {
    /// From the answer to a sign-in.
    #[track_caller]
    pub fn new(house: &House, login: &str, app: &str, answer: &Answer) -> Self {
        let body = answer.is(200);
        let mut member = Self {
            house: house.clone(),
            login: login.into(),
            app: app.into(),
            credential: Credential::Bearer(String::new()),
            refresh_token: None,
            access_token: None,
            device_token: body["device_token"].as_str().map(str::to_owned),
            session_id: None,
            user_id: text(&body["user"]["id"]),
        };
        member.take(answer);
        member
    }

    /// Goes on with the credentials of this answer.
    #[track_caller]
    pub fn take(&mut self, answer: &Answer) {
        let body = answer.is(200);
        let field = |name: &str| body[name].as_str().map(str::to_owned);
        self.access_token = field("access_token").or(self.access_token.take());
        self.refresh_token = field("refresh_token").or(self.refresh_token.take());
        self.session_id = body["session"]["id"].as_str().map(str::to_owned);
        if let Some(value) = answer.cookie(&format!("__Host-hp-{}", self.app)) {
            let csrf = field("csrf_token").expect("a cookie comes with its CSRF token");
            self.credential = Credential::Cookie { app: self.app.clone(), value, csrf };
        } else if let Some(bearer) = field("session_token").or_else(|| field("access_token")) {
            self.credential = match &self.credential {
                Credential::Cookie { .. } => self.credential.clone(),
                Credential::Bearer(_) => Credential::Bearer(bearer),
            };
        }
    }

    /// The same person by another credential.
    pub fn with(&self, credential: Credential) -> Self {
        Self { credential, ..self.clone() }
    }

    /// A page's script that holds an access token besides the cookie.
    pub fn by_access_token(&self) -> Self {
        self.with(Credential::Bearer(self.access_token.clone().expect("there is an access token")))
    }

    /// The secret text of the credential.
    pub fn secret(&self) -> &str {
        match &self.credential {
            Credential::Bearer(text) => text,
            Credential::Cookie { value, .. } => value,
        }
    }

    pub fn csrf(&self) -> &str {
        match &self.credential {
            Credential::Bearer(_) => panic!("a bearer has no CSRF token"),
            Credential::Cookie { csrf, .. } => csrf,
        }
    }

    pub fn session_id(&self) -> &str {
        self.session_id.as_deref().expect("this strategy has sessions")
    }

    pub fn ask(&self, method: Method, path: &str) -> Ask {
        let ask = Ask::new(&self.house, method, path);
        match &self.credential {
            Credential::Bearer(text) => ask.header("Authorization", format!("Bearer {text}")),
            Credential::Cookie { app, value, csrf } => {
                let ask = ask.header("Cookie", format!("__Host-hp-{app}={value}"));
                let safe = matches!(method, Method::Get | Method::Head);
                if safe { ask } else { ask.header("X-CSRF-Token", csrf) }
            }
        }
    }

    pub fn get(&self, path: &str) -> Ask {
        self.ask(Method::Get, path)
    }

    pub fn delete(&self, path: &str) -> Ask {
        self.ask(Method::Delete, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> Ask {
        self.ask(Method::Post, path).json(body)
    }

    pub fn put(&self, path: &str, body: &Value) -> Ask {
        self.ask(Method::Put, path).json(body)
    }

    pub fn patch(&self, path: &str, body: &Value) -> Ask {
        self.ask(Method::Patch, path).json(body)
    }

    /// What `GET /auth/session` says of the credential; see [`verdict`].
    pub async fn verdict(&self) -> String {
        verdict(self.get("/api/v1/auth/session")).await
    }

    /// The credential is dead by the act that has this reason, and so is the refresh token.
    pub async fn is_dead(&self, reason: &str) {
        let wanted = match self.session_id {
            Some(_) => format!("session_ended/{reason}"),
            None => "token_blacklisted".into(),
        };
        assert_eq!(self.verdict().await, wanted, "{}", self.name());
        if self.refresh_token.is_some() {
            assert_eq!(self.refresh_verdict().await, wanted, "refresh token");
        }
        if self.access_token.is_some() {
            assert_ne!(self.by_access_token().verdict().await, "ok", "access token of {}", self.name());
        }
    }

    pub async fn is_alive(&self) {
        assert_eq!(self.verdict().await, "ok", "{}", self.name());
    }

    /// For messages.
    pub fn name(&self) -> String {
        let way = if matches!(self.credential, Credential::Bearer(_)) { "bearer" } else { "cookie" };
        format!("{} at {} by {way}", self.login, self.app)
    }

    /// Whether the refresh token, too, gives nothing any more. Presenting it may rotate it.
    pub async fn refresh_verdict(&self) -> String {
        verdict(self.house.anyone().refresh(self.refresh_token.as_deref().unwrap_or_default())).await
    }

    pub fn logout(&self, scope: &str) -> Ask {
        self.post("/api/v1/auth/logout", &json!({ "scope": scope }))
    }

    pub fn reauthenticate(&self, password: &str) -> Ask {
        self.post("/api/v1/auth/reauthenticate", &json!({ "password": password }))
    }

    pub fn change_password(&self, current: &str, new: &str) -> Ask {
        self.put("/api/v1/me/password", &json!({ "current_password": current, "new_password": new }))
    }

    /// By the refresh token in the body, or by the cookie.
    pub fn refresh(&self) -> Ask {
        match (&self.refresh_token, &self.credential) {
            (Some(token), _) => self.house.anyone().refresh(token),
            (None, _) => self.post("/api/v1/auth/refresh", &json!({})),
        }
    }
}

/// A confidential app's id and secret.
#[derive(Clone)]
pub struct OwnApp {
    pub id: String,
    pub secret: String,
}

/// An administrator who has proven the password just now.
#[derive(Clone)]
pub struct Boss(pub Member);

impl std::ops::Deref for Boss {
    type Target = Member;

    fn deref(&self) -> &Member {
        &self.0
    }
}

impl Boss {
    /// Makes an app; `more` are further fields.
    pub async fn make_app(&self, id: &str, strategy: &str, more: Value) -> OwnApp {
        let mut body = json!({ "id": id, "strategy": strategy });
        let fields = body.as_object_mut().expect("an object");
        fields.extend(more.as_object().cloned().unwrap_or_default());
        let made = self.post("/api/v1/admin/apps", &body).await.is(201);
        let secret = made["client_secret"].as_str().unwrap_or_default().to_owned();
        OwnApp { id: id.into(), secret }
    }

    /// A confidential app of every strategy, each by its strategy's name.
    pub async fn make_apps(&self) -> HashMap<&'static str, OwnApp> {
        let mut apps = HashMap::new();
        for strategy in STRATEGIES {
            apps.insert(strategy, self.make_app(strategy, strategy, json!({ "confidential": true })).await);
        }
        apps
    }

    pub async fn change_user(&self, id: &str, change: Value) -> Answer {
        self.patch(&format!("/api/v1/admin/users/{id}"), &change).await
    }

    pub async fn change_app(&self, id: &str, change: Value) -> Answer {
        self.patch(&format!("/api/v1/admin/apps/{id}"), &change).await
    }
}
