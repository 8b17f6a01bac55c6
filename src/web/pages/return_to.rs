//! Where a sign-in sends the browser afterwards: nowhere that we do not know.

use rocket::http::uri::Reference;

const LENGTH_MAX: usize = 2048;

/// A target that may be redirected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo {
    /// As it goes into `Location`.
    pub url: String,
    /// The app's origin that it leads to; `None` where it stays here.
    pub origin: Option<String>,
}

impl ReturnTo {
    /// A path of our own, or an absolute URL whose origin is our own or one of the app's. `None` for anything else.
    pub fn parse(text: &str, own: &str, allowed: &[String]) -> Option<Self> {
        // Browsers take a backslash for a slash and drop tabs and line breaks before they read an address.
        let plain = text.len() <= LENGTH_MAX && text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        if !plain {
            return None;
        }
        if text.starts_with('/') {
            return (!text.starts_with("//")).then(|| Self { url: text.to_owned(), origin: None });
        }
        let origin = origin_of(text)?;
        let known = origin == own || allowed.contains(&origin);
        known.then(|| Self { url: text.to_owned(), origin: (origin != own).then_some(origin) })
    }
}

/// The origin of an absolute URL as browsers serialize it (RFC 6454 section 6.2).
fn origin_of(text: &str) -> Option<String> {
    let uri = Reference::parse(text).ok()?;
    let scheme = uri.scheme()?.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let authority = uri.authority()?;
    if authority.user_info().is_some() {
        return None;
    }
    let host = authority.host().to_ascii_lowercase();
    Some(match authority.port() {
        Some(port) if port != default_port => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "https://auth.example";

    fn parse(text: &str) -> Option<ReturnTo> {
        let allowed = ["https://good.example".to_string(), "http://localhost:3000".to_string()];
        ReturnTo::parse(text, OWN, &allowed)
    }

    #[test]
    fn nothing_leads_elsewhere() {
        for attack in [
            "",
            "account",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "\t//evil.example",
            "/\n/evil.example",
            " /account",
            "https://evil.example",
            "https://good.example@evil.example",
            "https://good.example:443@evil.example",
            "https://user@good.example",
            "https://@good.example",
            "https://good.example\\@evil.example",
            "https://good.example.evil.example",
            "https://good.evil.com",
            "https://evil-good.example",
            "https://good.example:8443",
            "https://good.example:443443",
            "http://good.example",
            "https://localhost:3000",
            "http://localhost",
            "http://localhost:30000",
            "http://auth.example",
            "https://good%2eexample",
            "https://good.example%40evil.example",
            "https://evil.example#https://good.example",
            "https://evil.example/https://good.example",
            "https:good.example",
            "https:/good.example",
            "https:///good.example",
            "https:\\\\good.example",
            "javascript:alert(1)",
            "JaVaScRiPt://good.example/%0aalert(1)",
            "data:text/html,x",
            "ftp://good.example",
            "https://good.example/\r\nSet-Cookie: a=b",
            "/account\r\nSet-Cookie: a=b",
            "https://gооd.example",
            "/ä",
            "null",
        ] {
            assert_eq!(parse(attack), None, "{attack:?}");
        }
        assert_eq!(parse(&format!("/{}", "a".repeat(LENGTH_MAX))), None);
    }

    #[test]
    fn known_places_are_taken_as_they_are() {
        for (text, origin) in [
            ("/", None),
            ("/account?done=name", None),
            ("/%2f/evil.example", None),
            ("/a//b", None),
            ("/account#top", None),
            ("https://auth.example/account", None),
            ("https://auth.example:443/account", None),
            ("https://good.example", Some("https://good.example")),
            ("https://good.example/a?b=c&d=https://evil.example", Some("https://good.example")),
            ("https://good.example:443/", Some("https://good.example")),
            ("HTTPS://Good.Example/", Some("https://good.example")),
            ("https://good.example?x=@evil.example", Some("https://good.example")),
            ("http://localhost:3000/x", Some("http://localhost:3000")),
        ] {
            let wanted = ReturnTo { url: text.into(), origin: origin.map(str::to_owned) };
            assert_eq!(parse(text), Some(wanted), "{text}");
        }
    }
}
