//! Cookies by hand: built whole, read raw. Rocket's jar would percent-decode and pick one of two without a word.

use super::Site;
use super::client::Client;
use crate::model::AppId;
use rocket::Request;
use rocket::http::Header;

/// What a request's `Cookie` headers hold under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    None,
    One(&'a str),
    /// Two of one name: someone planted one of them (RFC 6265 section 8.6). Neither counts.
    Several,
}

/// How this request's cookies are named and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieStyle {
    /// `__Host-` and `Secure`. Browsers take both from http://localhost, too.
    secure: bool,
}

impl CookieStyle {
    pub fn of(request: &Request<'_>) -> Self {
        let insecure_http = Site::of(request).is_some_and(|site| site.config.insecure_http);
        Self::rule(Client::of(request).https, insecure_http)
    }

    /// Only plain http that is explicitly allowed goes without `Secure`.
    pub const fn rule(https: bool, insecure_http: bool) -> Self {
        Self { secure: https || !insecure_http }
    }

    /// `__Host-hp-<name>`, or `hp-<name>` where `Secure` cannot be had. The name is an app's id or one of ours.
    pub fn name(self, name: &str) -> String {
        format!("{}{name}", self.prefix())
    }

    const fn prefix(self) -> &'static str {
        if self.secure { "__Host-hp-" } else { "hp-" }
    }

    /// Sets the cookie; without `max_age_seconds` it goes when the browser closes. `value` must be a token of ours
    /// (RFC 6265 section 4.1.1: no quotes, commas, semicolons, spaces).
    pub fn set(self, name: &str, value: &str, max_age_seconds: Option<i64>) -> Header<'static> {
        debug_assert!(value.bytes().all(|b| b.is_ascii_graphic() && !b"\",;\\".contains(&b)));
        let secure = if self.secure { "; Secure" } else { "" };
        let age = max_age_seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
        let name = self.name(name);
        Header::new("Set-Cookie", format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}"))
    }

    /// Takes the cookie away.
    pub fn clear(self, name: &str) -> Header<'static> {
        self.set(name, "", Some(0))
    }

    /// The request's cookie of this name.
    pub fn find<'r>(self, request: &'r Request<'_>, name: &str) -> Found<'r> {
        find(request.headers().get("cookie"), &self.name(name))
    }
}

impl CookieStyle {
    /// The apps whose cookies came, each with its value. One that came twice does not count.
    pub fn apps<'r>(self, request: &'r Request<'_>) -> Vec<(AppId, &'r str)> {
        let mut apps: Vec<(AppId, &str)> = Vec::new();
        let pairs = request.headers().get("cookie").flat_map(|header| header.split(';'));
        for (name, value) in pairs.filter_map(|pair| pair.split_once('=')) {
            let id = name.trim().strip_prefix(self.prefix());
            let Some(app) = id.and_then(|id| id.parse::<AppId>().ok()) else { continue };
            match apps.iter_mut().find(|(known, _)| *known == app) {
                Some((_, known)) => *known = "",
                None => apps.push((app, value.trim())),
            }
        }
        // An empty value is none.
        apps.retain(|(_, value)| !value.is_empty());
        apps
    }
}

/// Reads raw `Cookie` headers (RFC 6265 section 4.2.1). An empty value is none.
pub fn find<'a>(headers: impl Iterator<Item = &'a str>, name: &str) -> Found<'a> {
    let mut found = Found::None;
    for pair in headers.flat_map(|header| header.split(';')) {
        let Some((key, value)) = pair.split_once('=') else {
            continue;
        };
        if key.trim() != name {
            continue;
        }
        match found {
            Found::None => found = Found::One(value.trim()),
            _ => return Found::Several,
        }
    }
    if found == Found::One("") { Found::None } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_one_name_do_not_count() {
        let case = |headers: &[&'static str]| find(headers.iter().copied(), "__Host-hp-default");
        assert_eq!(case(&["__Host-hp-default=a; __Host-hp-default=b"]), Found::Several);
        assert_eq!(case(&["__Host-hp-default=a; __Host-hp-default=a"]), Found::Several);
        assert_eq!(case(&["__Host-hp-default=a", "x=1;__Host-hp-default="]), Found::Several);
        assert_eq!(case(&["__Host-hp-defaul=a; x__Host-hp-default=b; __host-hp-default=c"]), Found::None);
        assert_eq!(case(&["__Host-hp-default=", ";;=;a"]), Found::None);
        assert_eq!(case(&["a=1;  __Host-hp-default = hps_x ;b=2"]), Found::One("hps_x"));
        assert_eq!(case(&[]), Found::None);
    }

    #[test]
    fn secure_unless_plain_http_is_allowed() {
        let plain = CookieStyle::rule(false, true).set("default", "v", None);
        assert_eq!(plain.value(), "hp-default=v; Path=/; HttpOnly; SameSite=Lax");
        for style in [(true, true), (true, false), (false, false)] {
            let header = CookieStyle::rule(style.0, style.1).set("default", "v", Some(60));
            let wanted = "__Host-hp-default=v; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=60";
            assert_eq!(header.value(), wanted, "{style:?}");
        }
        assert!(CookieStyle::rule(true, false).clear("a").value().ends_with("; Max-Age=0"));
    }
}
