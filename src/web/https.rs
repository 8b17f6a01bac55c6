//! Where passwords and cookies may travel, and what to tell those who try elsewhere.

use super::{Client, Problem, Site};
use rocket::Request;
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use serde_json::json;

/// Proof that a password or a session cookie may travel on this request's connection. A guard: a route that takes it
/// answers `https_required` elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Confidential(());

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Confidential {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        match confidential(request) {
            Ok(proof) => Outcome::Success(proof),
            Err(problem) => Outcome::Error((problem.leave(request), ())),
        }
    }
}

/// The same for routes that need it only sometimes (a sign-in by cookie, not by body).
///
/// # Errors
/// `https_required`, with the ways to get https.
pub fn confidential(request: &Request<'_>) -> Result<Confidential, Problem> {
    let site = Site::of(request);
    let insecure_http = site.is_some_and(|site| site.config.insecure_http);
    if is_confidential(Client::of(request), insecure_http) {
        return Ok(Confidential(()));
    }
    let port = site.map_or(8000, |site| site.config.port);
    let host = site.map(|site| site.public_url.authority()).and_then(|host| host.split(':').next());
    Err(required(host.filter(|host| *host != "localhost").unwrap_or("auth.example.org"), port))
}

/// The rule: https, or this machine itself, or plain http explicitly allowed.
pub const fn is_confidential(client: &Client, insecure_http: bool) -> bool {
    client.https || client.loopback || insecure_http
}

fn required(host: &str, port: u16) -> Problem {
    let snippet = |name: &str, text: String| json!({"name": name, "text": text});
    Problem::new(Status::Forbidden, "https_required", "This needs https")
        .detail(
            "A password or a cookie would cross the network readable by anyone between. Serve https in one of these \
             ways, or open http://localhost on the machine itself. A proxy must be named in trusted_proxies.",
        )
        .with(
            "snippets",
            vec![
                snippet(
                    "Hallpass itself (Rocket.toml)",
                    format!(
                        "public_url = \"https://{host}:{port}\"\n[tls]\ncerts = \"/etc/hallpass/fullchain.pem\"\n\
                         key = \"/etc/hallpass/privkey.pem\""
                    ),
                ),
                snippet(
                    "Behind a proxy on this machine (Rocket.toml)",
                    format!("public_url = \"https://{host}\"\ntrusted_proxies = [\"127.0.0.1\", \"::1\"]"),
                ),
                // Caddy sets X-Forwarded-For and -Proto by itself, and drops what the caller sent.
                snippet("Caddyfile", format!("{host} {{\n    reverse_proxy 127.0.0.1:{port}\n}}")),
                snippet(
                    "nginx",
                    format!(
                        "server {{\n    listen 443 ssl;\n    server_name {host};\n    \
                         ssl_certificate /etc/ssl/fullchain.pem;\n    ssl_certificate_key /etc/ssl/privkey.pem;\n    \
                         location / {{\n        proxy_pass http://127.0.0.1:{port};\n        \
                         proxy_set_header Host $host;\n        proxy_set_header X-Forwarded-For $remote_addr;\n        \
                         proxy_set_header X-Forwarded-Proto $scheme;\n    }}\n}}"
                    ),
                ),
            ],
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_loopback_or_permission_is_confidential() {
        let client = |https, loopback| Client { address: [192, 0, 2, 1].into(), https, loopback };
        assert!(!is_confidential(&client(false, false), false));
        assert!(is_confidential(&client(true, false), false));
        assert!(is_confidential(&client(false, true), false));
        assert!(is_confidential(&client(false, false), true));
    }

    #[test]
    fn the_answer_shows_every_way() {
        let problem = required("auth.example.org", 8000);
        assert_eq!((problem.status.code, problem.code), (403, "https_required"));
        let text = problem.extra.unwrap()["snippets"].to_string();
        for part in ["[tls]", "reverse_proxy 127.0.0.1:8000", "proxy_pass", "trusted_proxies"] {
            assert!(text.contains(part), "{part}");
        }
    }
}
