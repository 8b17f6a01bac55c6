//! Security headers on every answer that reaches Rocket.

use super::{Site, cors};
use crate::config::{Config, PublicUrl};
use rocket::fairing::{Fairing, Info, Kind};
use rocket::{Request, Response};

/// No inline script or style, nothing from elsewhere, no frames; Trusted Types shut.
pub const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; font-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";
/// For what is no page: it may do nothing should a browser show it as one.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
const PERMISSIONS: &str = "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), \
    geolocation=(), microphone=(), payment=(), usb=()";
/// Two years (RFC 6797).
const TRANSPORT: &str = "max-age=63072000; includeSubDomains";

pub(super) struct Headers {
    /// Whether browsers are told to come by https only.
    strict_transport: bool,
}

impl Headers {
    pub(super) fn new(config: &Config, public_url: &PublicUrl) -> Self {
        Self { strict_transport: strict_transport(config, public_url) }
    }
}

fn strict_transport(config: &Config, public_url: &PublicUrl) -> bool {
    config.serves_tls() || public_url.is_https()
}

#[rocket::async_trait]
impl Fairing for Headers {
    fn info(&self) -> Info {
        Info { name: "security headers", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        apply(self.strict_transport, request, response);
    }
}

/// For answers that no fairing sees.
pub(super) fn complete(request: &Request<'_>, response: &mut Response<'_>) {
    let strict = Site::of(request).is_some_and(|site| strict_transport(&site.config, &site.public_url));
    apply(strict, request, response);
}

/// A route's own `Content-Security-Policy`, `Cache-Control`, `Referrer-Policy` and `Cross-Origin-Resource-Policy` are
/// left as they are.
fn apply(strict_transport: bool, request: &Request<'_>, response: &mut Response<'_>) {
    // By its text: parsing it would cost more than the rest of this.
    let html = response.headers().get_one("Content-Type").is_some_and(|kind| kind.starts_with("text/html"));
    let mut absent = |name: &'static str, value: &'static str| {
        // One by one: there are few so far, and the map hashes a name letter by letter.
        if !response.headers().iter().any(|header| header.name == name) {
            response.set_raw_header(name, value);
        }
    };
    absent("Content-Security-Policy", if html { PAGE_POLICY } else { DATA_POLICY });
    absent("Cross-Origin-Resource-Policy", "same-origin");
    absent("Cache-Control", "no-store");
    absent("Referrer-Policy", "no-referrer");
    response.set_raw_header("X-Content-Type-Options", "nosniff");
    response.set_raw_header("X-Frame-Options", "DENY");
    response.set_raw_header("Cross-Origin-Opener-Policy", "same-origin");
    response.set_raw_header("Permissions-Policy", PERMISSIONS);
    if strict_transport {
        response.set_raw_header("Strict-Transport-Security", TRANSPORT);
    }
    cors::apply(request, response);
}
