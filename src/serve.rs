//! The appliance at work: the web, the control socket, housekeeping, and a clean end.

use crate::auth::backup::Workshop;
use crate::auth::{Auth, Refusal};
use crate::config::Config;
use crate::console::socket;
use crate::logging::{self, AccessLog};
use crate::start::{Sources, StartError, start};
use crate::web::{self, Site};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The exit code when the store failed while running.
pub const EXIT_STORE_FAILED: i32 = 70;
/// How long checks from memory go on after the store failed.
const AFTER_FAILURE_SECONDS: u64 = 5;
const WATCH_EVERY: Duration = Duration::from_millis(200);
/// How often housekeeping runs when nobody wakes it.
const HOUSEKEEPING_SECONDS: u64 = 60;

/// Why it serves no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A signal.
    Stop,
    /// A restored store waits to take the present one's place.
    Restart,
}

/// Serves until a signal ends it.
///
/// # Errors
/// In words for the operator: what does not start, and the remedy.
pub async fn serve(config: Config, workshop: Arc<dyn Workshop>) -> Result<Ending, String> {
    let sources = Sources::system();
    let auth = start(&config, sources.clone()).await.map_err(|e: StartError| e.to_string())?;
    auth.use_workshop(workshop);
    if let Err(refusal) = auth.tidy_backups().await {
        // Signing in matters more; each backup will say it again.
        tracing::error!(?refusal, "the directory of backups cannot be used");
    }
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let config = Arc::new(config);
    let site = Site::new(Arc::clone(&config), sources.entropy.bytes()).map_err(|e| e.to_string())?;
    let site = Arc::new(site);
    let access_log = match config.log.access {
        true => Some(
            AccessLog::start(sources.clock.clone(), logging::is_json(&config), std::io::stdout())
                .map_err(|e| format!("the access log: {e}"))?,
        ),
        false => None,
    };
    let socket = socket::listen(&config.data_dir, Arc::clone(&auth), site.public_url.origin().to_owned())
        .map_err(|e| format!("{}: {e}", socket::path(&config.data_dir).display()))?;
    let house = tokio::spawn(keep_house(Arc::clone(&auth)));
    // Apart from the house: a large store's backup takes minutes, and nothing else should wait for it.
    let backups = tokio::spawn(keep_backups(Arc::clone(&auth)));
    let (watched, write_seconds_max) = (Arc::clone(&auth), config.store.write_seconds_max);
    std::thread::Builder::new()
        .name("watchdog".into())
        .spawn(move || watch(&watched, write_seconds_max))
        .map_err(|e| format!("the watchdog: {e}"))?;
    let metrics = web::metrics::launch_apart(&site, Arc::clone(&auth)).await.map_err(|e| e.to_string())?;
    let (verbs, host, restored) = (Arc::clone(&auth), Arc::clone(&auth), Arc::clone(&auth));
    let (data_dir, origin) = (config.data_dir.clone(), site.public_url.origin().to_owned());
    let ended = web::launch(
        &site,
        access_log.clone(),
        move |rocket| rocket.manage(Arc::clone(&verbs)).mount("/", web::routes()),
        move || Box::pin(async move { announce(&data_dir, &host, &origin).await }),
        async move { restored.until_restart_wanted().await },
    )
    .await;

    if let Some(metrics) = metrics {
        metrics.notify();
    }
    socket.abort();
    house.abort();
    backups.abort();
    let _ = std::fs::remove_file(socket::path(&config.data_dir));
    if let Err(refusal) = auth.write_seen().await {
        tracing::warn!(?refusal, "the latest last-seen times are lost");
    }
    if let Some(log) = access_log {
        log.flush();
    }
    ended.map_err(|e| format!("cannot serve on port {}: {}", config.port, e.kind()))?;
    Ok(if auth.wants_restart() { Ending::Restart } else { Ending::Stop })
}

/// Where to go, and the set-up link while nobody has set it up. On stdout, not in the log: the link is a secret.
async fn announce(data_dir: &Path, auth: &Auth, origin: &str) {
    say(&format!("Hallpass serves {origin} (data in {})", data_dir.display()));
    match auth.mint_setup_code().await {
        Ok(code) => {
            say("There is no administrator yet. Open this link within 30 minutes to make one:");
            say(&format!("  {origin}/setup?code={}", code.reveal()));
            say("A new link: hallpass setup-link");
        }
        Err(Refusal::SetUpClosed) => {
            say(&format!("Sign in at {origin}/login; administrators find {origin}/admin"));
        }
        Err(refusal) => tracing::error!(?refusal, "no set-up link could be made"),
    }
}

/// A closed standard output is no reason to stop serving, as `println!` would.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

async fn keep_house(auth: Arc<Auth>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(HOUSEKEEPING_SECONDS)) => {}
            () = auth.until_woken() => {}
        }
        if let Err(refusal) = auth.keep_house().await {
            tracing::warn!(?refusal, "housekeeping stopped early");
        }
    }
}

async fn keep_backups(auth: Arc<Auth>) {
    loop {
        tokio::time::sleep(Duration::from_secs(HOUSEKEEPING_SECONDS)).await;
        if let Err(refusal) = auth.keep_backups().await {
            tracing::error!(?refusal, "the nightly backup was not made");
        }
    }
}

/// Once the store has failed its memory may be ahead of the disk: checks go on for a moment, then the process ends,
/// so that its supervisor starts it from what is on disk. A thread of its own: no worker may be free to say so.
#[allow(clippy::disallowed_methods)] // nothing is left to be kept, and requests at work must not hold the end up
fn watch(auth: &Arc<Auth>, write_seconds_max: u32) {
    // Looks are counted, not time: a process that was stopped and goes on must not be taken for one that hangs.
    let looks_max = u128::from(write_seconds_max) * 1000 / WATCH_EVERY.as_millis();
    let (mut last, mut looks) = (0, 0);
    while auth.failure().is_none() {
        std::thread::sleep(WATCH_EVERY);
        let beats = auth.writer_beats();
        looks = if beats == last && beats % 2 == 1 { looks + 1 } else { 0 };
        last = beats;
        if looks > looks_max {
            let auth = Arc::clone(auth);
            let why = format!("the disk has not answered a write for {write_seconds_max} s");
            say_apart(move || auth.give_up(&why));
        }
    }
    say_apart(|| {
        tracing::error!("the store has failed: this process ends in {AFTER_FAILURE_SECONDS} seconds")
    });
    std::thread::sleep(Duration::from_secs(AFTER_FAILURE_SECONDS));
    std::process::exit(EXIT_STORE_FAILED);
}

/// What is said may go to the very disk that hangs, and must not hold the end up.
fn say_apart(words: impl FnOnce() + Send + 'static) {
    // Without a thread for it nothing is said, and the exit code says it all.
    let _ = std::thread::Builder::new().name("last-words".into()).spawn(words);
}
