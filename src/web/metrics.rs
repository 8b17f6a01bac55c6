//! `/metrics` in OpenMetrics' text form: on an address of its own, or behind a token, or not at all.

mod exposition;
mod tally;

pub(super) use tally::{Fairing, Requests};

use super::api::Verbs;
use super::{Problem, Site, catcher, headers};
use crate::auth::Auth;
use crate::config::{Config, Metrics, Tls};
use aws_lc_rs::constant_time;
use aws_lc_rs::digest::{SHA256, digest};
use rocket::http::{ContentType, Status};
use rocket::request::{FromRequest, Outcome};
use rocket::shield::Shield;
use rocket::{Request, Route, Shutdown, State, get, routes};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

/// A shorter one could be guessed: nothing throttles it.
const TOKEN_BYTES_MIN: usize = 16;

/// Why metrics cannot be served as configured.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    #[error("metrics.token_file: {0}: {1}")]
    File(PathBuf, std::io::Error),
    #[error(
        "metrics.token is shorter than {TOKEN_BYTES_MIN} bytes: take a random one, like openssl rand -hex 32 gives"
    )]
    ShortToken,
    #[error("metrics.address and metrics.port: {0}:{1} cannot be served: {2}")]
    Address(std::net::IpAddr, u16, std::io::Error),
}

/// Who gets in.
#[derive(Debug)]
pub struct Door {
    /// The token's digest: that of any text has one length.
    token: Option<[u8; 32]>,
}

impl Door {
    /// # Errors
    /// A token that cannot be read, or is too short.
    pub fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        let text = match (&metrics.token, &metrics.token_file) {
            (Some(token), _) => Some(zeroize::Zeroizing::new(token.reveal().to_owned())),
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path).map_err(|e| MetricsError::File(path.clone(), e))?;
                Some(zeroize::Zeroizing::new(text))
            }
            (None, None) => None,
        };
        match text.as_ref().map(|text| text.trim()) {
            Some(text) if text.len() < TOKEN_BYTES_MIN => Err(MetricsError::ShortToken),
            text => Ok(Self { token: text.map(digest_of) }),
        }
    }

    fn opens(&self, authorization: Option<&str>) -> Result<(), Problem> {
        let Some(token) = &self.token else { return Ok(()) };
        let given = authorization.and_then(|text| text.split_once(' '));
        let Some((_, given)) = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
            return Err(Problem::of_status(Status::Unauthorized));
        };
        match constant_time::verify_slices_are_equal(token, &digest_of(given.trim())) {
            Ok(()) => Ok(()),
            Err(_) => {
                Err(Problem::new(Status::Unauthorized, "invalid_token", "The token is not the right one"))
            }
        }
    }
}

fn digest_of(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

/// Proof that the caller may read the metrics.
struct Scraper;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Scraper {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let door = Site::of(request).map(|site| &site.door);
        match door.map(|door| door.opens(request.headers().get_one("Authorization"))) {
            Some(Ok(())) => Outcome::Success(Self),
            Some(Err(problem)) => Outcome::Error((problem.leave(request), ())),
            None => Outcome::Error((Status::NotFound, ())),
        }
    }
}

#[get("/metrics")]
fn metrics(_scraper: Scraper, auth: &Verbs, site: &State<Arc<Site>>) -> (ContentType, String) {
    let kind = ContentType::new("application", "openmetrics-text")
        .with_params([("version", "1.0.0"), ("charset", "utf-8")]);
    (kind, exposition::text(auth.metrics(), site.requests.read()))
}

/// On the appliance's own address: only where the metrics have none of their own, and with a token.
pub(super) fn routes_beside(config: &Config) -> Vec<Route> {
    let metrics = &config.metrics;
    if metrics.are_on() && !metrics.has_own_address() { routes![metrics] } else { Vec::new() }
}

/// Serves the metrics, and nothing else, on an address of their own, if they have one.
///
/// # Errors
/// The address cannot be served.
pub async fn launch_apart(site: &Arc<Site>, auth: Arc<Auth>) -> Result<Option<Shutdown>, MetricsError> {
    let Metrics { address, port, .. } = &site.config.metrics;
    let (address, port) = (address.addresses()[0], *port);
    if !site.config.metrics.has_own_address() {
        return Ok(None);
    }
    let refused = |e| MetricsError::Address(address, port, e);
    // Rocket binds when it is too late to refuse the start.
    drop(TcpListener::bind((address, port)).map_err(refused)?);
    let config = Config { port, tls: Tls::default(), ..Config::clone(&site.config) };
    let rocket = rocket::custom(super::figment(&config, address))
        .attach(Shield::new())
        .attach(headers::Headers::new(&config, &site.public_url))
        .manage(Arc::clone(site))
        .manage(auth)
        .register("/", [catcher::any()])
        .mount("/", routes![metrics]);
    let rocket = rocket.ignite().await.map_err(|e| refused(std::io::Error::other(e.kind().to_string())))?;
    let shutdown = rocket.shutdown();
    rocket::tokio::spawn(async move {
        if let Err(error) = rocket.launch().await {
            tracing::error!(%address, port, error = %error.kind(), "the metrics are not served any more");
        }
    });
    Ok(Some(shutdown))
}
