//! The harness: a whole appliance in a temporary directory, with its clock and its randomness in the test's hand.
//!
//! Callers are types ([`Anyone`], [`Member`], [`Boss`]) and speak HTTP, like everybody else. Every answer of every
//! test is held to what holds for all answers (see `ask.rs`), and a 5xx fails the test.

mod ask;
mod caller;

#[allow(unused_imports)] // each test crate uses its own part
pub use ask::{Answer, Ask};
#[allow(unused_imports)]
pub use caller::{Anyone, Boss, Credential, Member, OwnApp, verdict};

use hallpass::auth::Auth;
use hallpass::auth::backup::secret::BackupSecret;
use hallpass::auth::check::Admin;
use hallpass::auth::restore::Report;
use hallpass::clock::Clock;
use hallpass::config::Config;
use hallpass::console::{self, Command};
use hallpass::entropy::Entropy;
use hallpass::logging::AccessLog;
use hallpass::model::Time;
use hallpass::model::password::Password;
use hallpass::start::{Sources, restore, start};
use hallpass::web::{self, Site};
use parking_lot::Mutex;
use rocket::local::asynchronous::Client;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Everybody's password, unless a test says otherwise.
pub const PASSWORD: &str = "a long and lovely passphrase";
/// The first administrator.
pub const BOSS: &str = "boss";
/// The public URL's origin.
pub const ORIGIN: &str = "http://localhost:8000";
/// Every strategy; the apps that [`Boss::make_apps`] makes go by the same names.
pub const STRATEGIES: [&str; 4] = ["session", "jwt", "tracked", "refresh"];

/// When every test begins.
const BEGINNING: Time = Time::from_ms(1_800_000_000_000);

/// The appliance under test. Clones are the same one.
#[derive(Clone)]
pub struct House(Arc<Inner>);

struct Inner {
    directory: tempfile::TempDir,
    config: Config,
    sources: Sources,
    access_log: Option<AccessLog>,
    running: Mutex<Option<Running>>,
    faults: Mutex<Vec<String>>,
    overload_expected: Mutex<bool>,
}

#[derive(Clone)]
struct Running {
    client: Arc<Client>,
    auth: Arc<Auth>,
}

impl House {
    /// A new appliance that nobody has set up.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with other options.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::built(change, None).await
    }

    /// The same with its access lines going there.
    pub async fn with_access_log(log: AccessLog) -> Self {
        Self::built(|_| {}, Some(log)).await
    }

    /// An appliance that finds these files in its data directory, at this time.
    #[allow(dead_code)] // each test crate uses its own part
    pub async fn over(files: &Path, now: Time, change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        copy(files, &directory.path().join("data"));
        Self::built_in(directory, now, change, None).await
    }

    async fn built(change: impl FnOnce(&mut Config), access_log: Option<AccessLog>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::built_in(directory, BEGINNING, change, access_log).await
    }

    async fn built_in(
        directory: tempfile::TempDir,
        now: Time,
        change: impl FnOnce(&mut Config),
        access_log: Option<AccessLog>,
    ) -> Self {
        let mut config = Config { data_dir: directory.path().join("data"), ..Config::default() };
        // Hashing is not what is tested here: as cheap as argon2 can be.
        (config.password.argon2_memory_kib, config.password.argon2_iterations) = (64, 1);
        config.password.hash_workers = 2;
        (config.password.hash_queue, config.store.cache_mb) = (256, 8);
        change(&mut config);
        let sources = Sources { clock: Clock::manual(now), entropy: Entropy::seeded(1) };
        let running = Some(run(&config, &sources, access_log.clone()).await);
        Self(Arc::new(Inner {
            directory,
            config,
            sources,
            access_log,
            running: Mutex::new(running),
            faults: Mutex::default(),
            overload_expected: Mutex::default(),
        }))
    }

    /// Moves the clock.
    pub fn advance(&self, minutes: i64) {
        self.advance_ms(minutes * 60_000);
    }

    pub fn advance_ms(&self, ms: i64) {
        self.0.sources.clock.advance_ms(ms);
    }

    /// Sets the machine's clock, while no time passes.
    pub fn set_clock_by(&self, minutes: i64) {
        self.0.sources.clock.set_by_ms(minutes * 60_000);
    }

    /// What the machine's clock says.
    pub fn now(&self) -> Time {
        self.0.sources.clock.now()
    }

    /// Ends the appliance as a signal would, and starts it again on the same data.
    pub async fn restart(&self) {
        let running = self.0.running.lock().take().expect("it runs");
        running.auth.write_seen().await.expect("the store answers");
        drop(running);
        let running = run(&self.0.config, &self.0.sources, self.0.access_log.clone()).await;
        *self.0.running.lock() = Some(running);
    }

    /// Ends the appliance, lets a backup take its store's place as the command line does, and starts it again.
    pub async fn restore(&self, file: &Path, secret: Option<&BackupSecret>) -> Result<Report, String> {
        let running = self.0.running.lock().take().expect("it runs");
        drop(running);
        let mut tries = 0;
        let report = loop {
            let report = restore(&self.0.config, self.0.sources.clone(), file, secret).await;
            match report {
                Err(words) if words.contains("in use by another process") && tries < 500 => tries += 1,
                report => break report,
            }
            rocket::tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let running = run(&self.0.config, &self.0.sources, self.0.access_log.clone()).await;
        *self.0.running.lock() = Some(running);
        report
    }

    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// One round of housekeeping.
    pub async fn keep_house(&self) {
        self.auth().keep_house().await.expect("housekeeping goes through");
    }

    /// The verbs themselves, for races and for what has no route.
    pub fn auth(&self) -> Arc<Auth> {
        Arc::clone(&self.running().auth)
    }

    pub fn client(&self) -> Arc<Client> {
        self.running().client
    }

    fn running(&self) -> Running {
        self.0.running.lock().clone().expect("it runs")
    }

    /// Where everything lies that the appliance wrote.
    pub fn directory(&self) -> &Path {
        self.0.directory.path()
    }

    /// From now on a 503 is part of the test; any other 5xx is not.
    pub fn expects_overload(&self) {
        *self.0.overload_expected.lock() = true;
    }

    fn note_fault(&self, answer: &Answer) {
        if answer.code() != "overloaded" || !*self.0.overload_expected.lock() {
            self.0.faults.lock().push(answer.to_string());
        }
    }

    /// Somebody without a credential.
    pub fn anyone(&self) -> Anyone {
        Anyone::new(self)
    }

    /// The first administrator, signed in anew, so that the password is proven just now. The first call sets up.
    pub async fn boss(&self) -> Boss {
        let auth = self.auth();
        if !auth.is_set_up().await.expect("the store answers") {
            let code = auth.mint_setup_code().await.expect("set-up is open");
            let password = Password::new(PASSWORD.into());
            let boss = auth.set_up(&code.reveal(), BOSS.into(), None, String::new(), password).await;
            boss.expect("set-up goes through");
        }
        Boss(self.anyone().sign_in(BOSS, "hallpass").await)
    }

    /// A user of this login with [`PASSWORD`], made the short way.
    pub async fn make_user(&self, login: &str, admin: bool) -> String {
        let command = Command::UserAdd {
            login: login.into(),
            email: None,
            name: String::new(),
            admin,
            password: Some(console::Secret::new(PASSWORD.into())),
        };
        let made = console::run(&self.auth(), ORIGIN, command).await.expect("the name is free");
        text(&made["id"])
    }

    /// A code by which this user chooses a new password.
    pub async fn reset_code(&self, login: &str) -> String {
        let auth = self.auth();
        let user = auth.find_user(&Admin::console(), login).await.expect("there is such a user");
        let code = auth.mint_reset_code(&Admin::console(), &user.value.id).await;
        code.expect("a code is made").reveal()
    }
}

async fn run(config: &Config, sources: &Sources, access_log: Option<AccessLog>) -> Running {
    let mut tries = 0;
    let auth = loop {
        match start(config, sources.clone()).await {
            // A read on its way out may hold the files for a moment after a restart.
            Err(error) if error.is_in_use() && tries < 500 => tries += 1,
            started => break started.expect("it starts"),
        }
        rocket::tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let site = Site::new(Arc::new(config.clone()), [0, 0, 0, 1]).expect("the pages parse");
    let rocket = web::rocket(&Arc::new(site), Ipv4Addr::LOCALHOST.into(), access_log);
    let rocket = rocket.manage(Arc::clone(&auth)).mount("/", web::routes());
    let client = Client::untracked(rocket).await.expect("it ignites");
    Running { client: Arc::new(client), auth }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let faults = self.faults.get_mut();
        if !std::thread::panicking() {
            assert!(faults.is_empty(), "answers of 500 and above: {faults:#?}");
        }
    }
}

/// Copies a directory, its owner's alone as a data directory must be.
#[allow(dead_code)] // each test crate uses its own part
pub fn copy(from: &Path, to: &Path) {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    std::fs::DirBuilder::new().mode(0o700).recursive(true).create(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("a kind").is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), &to).expect("a copy");
            std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        }
    }
}

/// A JSON text.
#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text was expected, not {value}")).to_owned()
}
