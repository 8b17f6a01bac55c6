//! The door: Rocket, and everything about status codes, headers, HTML and JSON.
//!
//! This file builds the shell that every answer passes; routes are mounted on top of it.

pub mod access_log;
pub mod api;
pub mod assets;
pub mod caller;
mod catcher;
pub mod client;
mod context;
pub mod cookies;
pub mod cors;
pub mod form;
pub mod headers;
pub mod https;
pub mod json;
mod method_field;
mod methods;
pub mod metrics;
pub mod origin;
mod pages;
pub mod problem;
mod refusal;
pub mod reply;
pub mod templates;
pub mod view;

pub use client::Client;
pub use context::Context;
pub use json::{JsonBody, OptionalJson};
pub use problem::Problem;

use crate::config::{Config, PublicUrl};
use crate::logging::AccessLog;
use assets::Assets;
use client::Attention;
use context::RequestIds;
use ipnet::IpNet;
use rocket::error::ErrorKind;
use rocket::fairing::AdHoc;
use rocket::figment::Figment;
use rocket::futures::future::BoxFuture;
use rocket::shield::Shield;
use rocket::{Build, Request, Rocket};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use templates::Templates;

/// What every request may look at and nobody changes. Managed by Rocket as `Arc<Site>`.
#[derive(Debug)]
pub struct Site {
    pub config: Arc<Config>,
    pub public_url: PublicUrl,
    pub trusted_proxies: Vec<IpNet>,
    pub templates: Templates,
    pub assets: Assets,
    pub attention: Attention,
    pub request_ids: RequestIds,
    pub door: metrics::Door,
    pub requests: metrics::Requests,
}

/// Why there is no site.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error("a page: {0}")]
    Page(#[from] minijinja::Error),
    #[error(transparent)]
    Metrics(#[from] metrics::MetricsError),
}

impl Site {
    /// `run` tells the request ids of this start from those of others; any random bytes do.
    ///
    /// # Errors
    /// A template that does not parse, or no token for the metrics.
    pub fn new(config: Arc<Config>, run: [u8; 4]) -> Result<Self, SiteError> {
        let assets = Assets::embedded(config.insecure_http);
        Ok(Self {
            public_url: config.public_url(),
            trusted_proxies: config.trusted_proxies.iter().map(|network| network.0).collect(),
            templates: Templates::embedded(assets.version(), config.insecure_http)?,
            assets,
            attention: Attention::default(),
            request_ids: RequestIds::new(run),
            door: metrics::Door::new(&config.metrics)?,
            requests: metrics::Requests::default(),
            config,
        })
    }

    /// The site of a request; `None` only where Rocket was not built by [`rocket()`].
    pub fn of<'r>(request: &'r Request<'_>) -> Option<&'r Site> {
        request.rocket().state::<Arc<Site>>().map(AsRef::as_ref)
    }
}

/// In what time a body must arrive.
fn body_time(request: &Request<'_>) -> Duration {
    let seconds = Site::of(request).map_or(10, |site| site.config.limits.body_seconds);
    Duration::from_secs(seconds.into())
}

/// The shell without routes of its own but assets: headers, access log, error answers, refusals of odd requests.
pub fn rocket(site: &Arc<Site>, address: IpAddr, access_log: Option<AccessLog>) -> Rocket<Build> {
    let rocket = rocket::custom(figment(&site.config, address))
        // An empty shield: Rocket attaches one with headers of its own otherwise.
        .attach(Shield::new())
        .attach(method_field::Refuse)
        .attach(headers::Headers::new(&site.config, &site.public_url));
    let rocket = match access_log {
        Some(log) => rocket.attach(access_log::Fairing(log)),
        None => rocket,
    };
    let rocket = match site.config.metrics.are_on() {
        true => rocket.attach(metrics::Fairing).mount("/", metrics::routes_beside(&site.config)),
        false => rocket,
    };
    rocket.manage(Arc::clone(site)).register("/", [catcher::any()]).mount("/", assets::routes())
}

/// Every route but the assets.
pub fn routes() -> Vec<rocket::Route> {
    let mut all = api::routes();
    all.extend(pages::routes());
    all
}

/// Serves until a signal or `end` ends it, on every address that the configuration means; `mount` adds the routes, and
/// runs once per address; `ready` is done once the first address is served.
///
/// # Errors
/// The first address cannot be served: it is taken, or the certificate does not read.
pub async fn launch(
    site: &Arc<Site>,
    access_log: Option<AccessLog>,
    mount: impl Fn(Rocket<Build>) -> Rocket<Build>,
    ready: impl FnOnce() -> BoxFuture<'static, ()> + Send + Sync + 'static,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<(), rocket::Error> {
    let addresses = site.config.address.addresses();
    let build = |address| mount(rocket(site, address, access_log.clone()));
    let first = build(addresses[0]).attach(AdHoc::on_liftoff("ready", |_| ready())).ignite().await?;
    // The first is who decides: a route knows only the one address that it was asked on.
    let shutdown = first.shutdown();
    let ending = rocket::tokio::spawn(async move {
        end.await;
        shutdown.notify();
    });
    // `localhost` is ::1 for some programs and 127.0.0.1 for others, and Rocket binds one address.
    let mut others = Vec::new();
    for address in addresses.into_iter().skip(1).filter(|_| site.config.port != 0) {
        let other = build(address).ignite().await?;
        let shutdown = other.shutdown();
        let serving = rocket::tokio::spawn(async move {
            let Err(error) = other.launch().await else { return };
            match error.kind() {
                // Whoever holds it gets what browsers send to localhost.
                ErrorKind::Bind(reason) if reason.kind() == std::io::ErrorKind::AddrInUse => {
                    tracing::warn!(%address, "another program holds this address of localhost on our port");
                }
                reason => tracing::debug!(%address, %reason, "localhost is not served on this address"),
            }
        });
        others.push((shutdown, serving));
    }
    let ended = first.launch().await;
    ending.abort();
    for (shutdown, serving) in others {
        shutdown.notify();
        // Requests that it has begun are answered: the one, too, that asked for the end.
        let _ = serving.await;
    }
    ended.map(drop)
}

/// Runs the server's future on threads as configured. Rocket's own `main` and `execute` would read a `Rocket.toml` in
/// the working directory in Rocket's way, and refuse ours.
///
/// # Errors
/// The system has no threads to give.
pub fn run<T>(config: &Config, future: impl Future<Output = T>) -> std::io::Result<T> {
    let mut builder = rocket::tokio::runtime::Builder::new_multi_thread();
    if config.workers > 0 {
        builder.worker_threads(config.workers.into());
    }
    let runtime = builder.thread_name("rocket-worker").enable_all().build()?;
    let result = runtime.block_on(future);
    // What still hangs on a connection or a blocking call must not hold the end up.
    runtime.shutdown_timeout(Duration::from_millis(500));
    Ok(result)
}

/// What Rocket itself is set to. Its own file and variables are never read.
fn figment(config: &Config, address: IpAddr) -> Figment {
    let upload = u64::from(config.backup.upload_mb_max) << 20;
    let rocket = rocket::Config {
        // On the disk of the data, and closed to others, like them.
        temp_dir: config.data_dir.join(crate::auth::backup::upload::UPLOADS).into(),
        address,
        port: config.port,
        ident: rocket::config::Ident::none(),
        ip_header: None,
        log_level: rocket::config::LogLevel::Off,
        cli_colors: false,
        keep_alive: 5,
        limits: rocket::data::Limits::new()
            .limit("json", (u64::from(config.limits.json_kib) << 10).into())
            .limit("form", (u64::from(config.limits.form_kib) << 10).into())
            // Only the set-up page takes a file; all other forms are read by `form::Form`, in its own bounds.
            .limit("data-form", upload.into())
            .limit("file", upload.into())
            .limit("string", 8192.into())
            .limit("bytes", 8192.into()),
        shutdown: rocket::config::Shutdown { grace: 2, mercy: 2, ..Default::default() },
        ..rocket::Config::release_default()
    };
    let figment = Figment::from(rocket);
    let figment = match config.workers {
        0 => figment,
        workers => figment.merge(("workers", workers)),
    };
    match (&config.tls.certs, &config.tls.key) {
        (Some(certs), Some(key)) => figment.merge(("tls.certs", certs)).merge(("tls.key", key)),
        _ => figment,
    }
}

#[cfg(test)]
mod tests;
