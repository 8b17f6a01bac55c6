//! One request and its answer.

use super::House;
use rocket::http::{Header, Method};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

/// A request on its way: add to it, then await it.
#[must_use]
pub struct Ask {
    house: House,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    peer: Option<IpAddr>,
}

impl Ask {
    pub fn new(house: &House, method: Method, path: &str) -> Self {
        let headers = vec![("Host".into(), "localhost:8000".into())];
        Self { house: house.clone(), method, path: path.into(), headers, body: Vec::new(), peer: None }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Instead of an earlier header of this name.
    pub fn replace(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.header(name, value)
    }

    pub fn agent(self, agent: &str) -> Self {
        self.replace("User-Agent", agent)
    }

    pub fn basic(self, id: &str, secret: &str) -> Self {
        use base64::Engine as _;
        let both = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"));
        self.replace("Authorization", format!("Basic {both}"))
    }

    /// From this address instead of this machine's own.
    pub fn from(mut self, peer: &str) -> Self {
        self.peer = Some(peer.parse().expect("an address"));
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.raw("application/json", body.to_string())
    }

    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let encode = |text: &str| rocket::http::RawStr::new(text).percent_encode().to_string();
        let pairs: Vec<_> = fields.iter().map(|(n, v)| format!("{}={}", encode(n), encode(v))).collect();
        self.raw("application/x-www-form-urlencoded", pairs.join("&"))
    }

    pub fn raw(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.replace("Content-Type", kind)
    }

    async fn send(self) -> Answer {
        let client = self.house.client();
        let mut request = client.req(self.method, self.path.as_str());
        for (name, value) in &self.headers {
            request = request.header(Header::new(name.clone(), value.clone()));
        }
        if let Some(peer) = self.peer {
            request = request.remote(SocketAddr::new(peer, 4711));
        }
        let response = request.body(&self.body).dispatch().await;
        let status = response.status().code;
        let headers = response.headers().iter().map(|h| (h.name().to_string(), h.value().to_string()));
        let headers = headers.collect();
        let body = response.into_string().await.unwrap_or_default();
        let asked = format!("{} {}", self.method, self.path);
        let answer = Answer { asked, status, headers, body };
        answer.is_well_formed(&self.path);
        if status >= 500 {
            self.house.note_fault(&answer);
        }
        answer
    }
}

impl IntoFuture for Ask {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub asked: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} {}", self.asked, self.status, self.body)
    }
}

impl Answer {
    /// The one header of this name, or an empty text.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let first = found.next().map_or("", |(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} came twice: {self}");
        first
    }

    /// The `Set-Cookie` of this cookie name, whole.
    pub fn set_cookie(&self, name: &str) -> Option<&str> {
        let begins = format!("{name}=");
        let mut cookies = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case("set-cookie"));
        cookies.find(|(_, value)| value.starts_with(&begins)).map(|(_, value)| value.as_str())
    }

    /// The value that this cookie is set to.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let whole = self.set_cookie(name)?;
        Some(whole[name.len() + 1..].split(';').next().unwrap_or_default().to_owned())
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self}"))
    }

    /// A problem's code, or an OAuth error's, or an empty text.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let code = body["code"].as_str().or(body["error"].as_str());
        code.unwrap_or_default().to_owned()
    }

    /// Answered with this status; the body, if there is one.
    #[track_caller]
    pub fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self}");
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// Refused with this status and code, in the shape of RFC 9457.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self}");
        self.json()
    }

    /// Refused because of this field.
    #[track_caller]
    pub fn refused_field(&self, field: &str, code: &str) {
        let body = self.refused(422, "validation_failed");
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        let named = errors.iter().any(|e| e["field"] == field && e["code"] == code);
        assert!(named, "{field} {code} is not among the errors: {self}");
    }

    /// What holds for every answer of the appliance, whatever was asked.
    #[track_caller]
    fn is_well_formed(&self, path: &str) {
        for (name, wanted) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            ("server", ""),
        ] {
            assert_eq!(self.header(name), wanted, "{name} of {self}");
        }
        assert!(self.header("content-security-policy").contains("frame-ancestors 'none'"), "{self}");
        let for_programs = path.starts_with("/api") || path.starts_with("/oauth2");
        // Without a referrer browsers send `Origin: null` with forms, which is refused.
        let page = !for_programs && self.header("referrer-policy") == "same-origin";
        assert!(page || self.header("referrer-policy") == "no-referrer", "{self}");
        if for_programs {
            assert_eq!(self.header("cache-control"), "no-store", "{self}");
            self.is_json_or_empty();
        }
        for cookie in self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            is_safe_cookie(&cookie.1);
        }
    }

    #[track_caller]
    fn is_json_or_empty(&self) {
        let kind = self.header("content-type");
        // A HEAD has the type of what it leaves away.
        if self.body.is_empty() {
            return;
        }
        let oauth_error = self.asked.contains(" /oauth2/") && kind == "application/json";
        if self.status < 400 {
            let lines = self.asked.ends_with("/admin/export");
            assert_eq!(kind, if lines { "application/x-ndjson" } else { "application/json" }, "{self}");
        } else if oauth_error {
            assert!(self.json()["error"].is_string(), "{self}");
        } else {
            assert_eq!(kind, "application/problem+json", "{self}");
            let body = self.json();
            assert_eq!(body["status"], self.status, "{self}");
            for member in ["type", "title", "code", "request_id"] {
                assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{member} of {self}");
            }
        }
        if self.status == 401 {
            assert!(!self.header("www-authenticate").is_empty(), "{self}");
        }
        if matches!(self.status, 429 | 503) && !oauth_error {
            assert!(self.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{self}");
        }
    }
}

/// `__Host-` (RFC 6265bis section 4.1.3.2) with all that it promises, not seen by scripts, small.
#[track_caller]
fn is_safe_cookie(cookie: &str) {
    assert!(cookie.len() <= 4096, "{} bytes: {cookie}", cookie.len());
    let plain_http = cookie.starts_with("hp-");
    assert!(plain_http || cookie.starts_with("__Host-hp-"), "{cookie}");
    assert_eq!(cookie.contains("; Secure"), !plain_http, "{cookie}");
    for part in ["; Path=/;", "; HttpOnly", "; SameSite=Lax"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.to_ascii_lowercase().contains("domain"), "{cookie}");
}
