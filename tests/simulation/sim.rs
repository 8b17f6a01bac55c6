//! One run: the appliance, the reference beside it, and what its clients hold.

use crate::dice::Dice;
use crate::world::{
    self, Access, App, Cookie, DAY, HOUR, Kind, MINUTE, Ms, Place, Refresh, State, Use, World,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use hallpass::auth::apps::AppFields;
use hallpass::auth::check::{Admin, RecentAdmin};
use hallpass::auth::issue::Issued;
use hallpass::auth::{Auth, Client, Refusal};
use hallpass::clock::Clock;
use hallpass::config::Config;
use hallpass::entropy::Entropy;
use hallpass::model::Time;
use hallpass::model::app::{ReplayMatch, Strategy};
use hallpass::model::key::KeyState;
use hallpass::start::{Sources, start};
use std::collections::VecDeque;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How many of the last operations a failure shows.
const SHOWN: usize = 25;
/// How many credentials of a kind the clients keep.
const KEPT: usize = 40;

/// Addresses, two of them neighbours in each of the first two networks.
const ADDRESSES: [(&str, usize); 6] = [
    ("192.0.2.10", 0),
    ("192.0.2.200", 0),
    ("2001:db8:1::1", 1),
    ("2001:db8:1:ff::2", 1),
    ("198.51.100.5", 2),
    ("2001:db8:2::1", 3),
];
const AGENTS: [&str; 2] =
    ["Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0", "curl/8.1"];

pub struct Sim {
    pub world: World,
    pub dice: Dice,
    /// Where the machine's clock is set now and then.
    pub clock_dice: Option<Dice>,
    auth: Option<Arc<Auth>>,
    runtime: tokio::runtime::Runtime,
    config: Config,
    pub sources: Sources,
    seed: u64,
    pub step: usize,
    log: VecDeque<String>,
    _directory: tempfile::TempDir,
}

impl Sim {
    pub fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut dice = Dice::new(seed);
        let mut config = Config { data_dir: directory.path().join("data"), ..Config::default() };
        (config.password.argon2_memory_kib, config.password.argon2_iterations) = (8, 1);
        config.password.hash_workers = 1;
        config.throttle.account_failures = 1000;
        config.throttle.address_failures = 1_000_000;
        config.store.cache_mb = 8;
        // A cache that is too small for its sessions, in every other run: what it lacks is read from the store.
        config.store.session_cache = if dice.chance(50) { 3 } else { 1000 };
        config.keep.ended_sessions_days = 2;
        let now = 1_800_000_000_000 + dice.below(100_000) as Ms;
        let sources =
            Sources { clock: Clock::manual(Time::from_ms(now)), entropy: Entropy::seeded(dice.next()) };
        let mut sim = Self {
            world: World { now, ..World::default() },
            dice,
            clock_dice: None,
            auth: None,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            config,
            sources,
            seed,
            step: 0,
            log: VecDeque::new(),
            _directory: directory,
        };
        sim.open();
        sim.populate();
        sim
    }

    pub fn run(&mut self, steps: usize) {
        while self.step < steps {
            self.step += 1;
            self.set_the_clock();
            self.act();
            self.compare();
            self.forget_some();
        }
    }

    pub fn auth(&self) -> Arc<Auth> {
        Arc::clone(self.auth.as_ref().expect("it is running"))
    }

    pub fn wait<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    pub fn console(&self) -> RecentAdmin {
        Admin::console()
    }

    pub fn note(&mut self, text: String) {
        self.log.push_back(format!("step {}: {text}", self.step));
        if self.log.len() > SHOWN {
            self.log.pop_front();
        }
    }

    fn open(&mut self) {
        let opened = (0..500).find_map(|_| match self.wait(start(&self.config, self.sources.clone())) {
            // A read off the workers may hold the files for a moment longer than who asked for it.
            Err(error) if error.is_in_use() => {
                std::thread::sleep(Duration::from_millis(10));
                None
            }
            started => Some(started.unwrap()),
        });
        self.auth = Some(opened.expect("the files are free"));
        self.catch_up();
        self.learn_keys();
    }

    /// Ends the process as a signal would, or as a crash would, and starts it again on the same data.
    pub fn restart(&mut self, cleanly: bool) {
        self.keep_house_under_a_wrong_clock();
        if cleanly {
            let auth = self.auth();
            self.wait(auth.write_seen()).unwrap();
            self.world.wrote_seen();
        }
        self.auth = None;
        self.world.restarted();
        self.open();
    }

    pub fn advance(&mut self, by: Ms) {
        self.sources.clock.advance_ms(by);
        self.world.advance(by);
    }

    /// The key that signs now, as the appliance itself tells.
    pub fn learn_keys(&mut self) {
        let active = self.keys_that_are(KeyState::Active);
        assert_eq!(active.len(), 1, "one key signs");
        assert!(self.keys_that_are(KeyState::Next).len() <= 1, "one key is next");
        active.into_iter().for_each(|key| self.world.sign_with(key));
    }

    pub fn keys_that_are(&self, state: KeyState) -> Vec<String> {
        let keys = self.auth().list_keys(&self.console());
        keys.iter().filter(|key| key.value.state == state).map(|key| key.value.kid.clone()).collect()
    }

    fn populate(&mut self) {
        let auth = self.auth();
        for app in auth.list_apps(&self.console()) {
            let kind = if app.value.strategy == Strategy::Session { Kind::Session } else { Kind::Refresh };
            self.know_app(&app.value, kind);
        }
        for admin in [true, true, false, false, false] {
            self.make_user(admin);
        }
        for kind in [Kind::Jwt, Kind::Jwt, Kind::Tracked, Kind::Refresh, Kind::Refresh, Kind::Session] {
            self.make_app(kind);
        }
    }

    pub fn make_app(&mut self, kind: Kind) {
        let (auth, console) = (self.auth(), self.console());
        let id = format!("app-{}", self.world.apps.len()).parse().unwrap();
        let strategy = match kind {
            Kind::Session => Strategy::Session,
            Kind::Jwt => Strategy::Jwt,
            Kind::Tracked => Strategy::Tracked,
            Kind::Refresh => Strategy::Refresh,
        };
        let minutes = |dice: &mut Dice, of: &[u32]| dice.pick(of);
        let fields = AppFields {
            access_minutes: minutes(
                &mut self.dice,
                if strategy == Strategy::Jwt { &[1, 10, 30] } else { &[1, 10, 720] },
            ),
            idle_minutes: minutes(&mut self.dice, &[2, 60, 1440]),
            absolute_minutes: minutes(&mut self.dice, &[90, 720, 5000]),
            remember_minutes: minutes(&mut self.dice, &[90, 43_200]),
            replay_match: self.dice.pick(&[
                ReplayMatch::NetworkAndAgent,
                ReplayMatch::Agent,
                ReplayMatch::None,
            ]),
            appliance_access: Some(self.dice.chance(50)),
            ..AppFields::default()
        };
        let (app, _) = self.wait(auth.create_app(&console, id, strategy, false, fields)).unwrap();
        self.know_app(&app.value, kind);
    }

    fn know_app(&mut self, app: &hallpass::model::app::App, kind: Kind) {
        let (lives, minutes) = (app.lifetimes, |minutes: u32| Ms::from(minutes) * MINUTE);
        self.world.apps.push(App {
            id: app.id.clone(),
            kind,
            state: State::On,
            built_in: app.built_in,
            access: minutes(lives.access_minutes),
            idle: minutes(lives.idle_minutes),
            absolute: minutes(lives.absolute_minutes),
            remember: minutes(lives.remember_minutes),
            match_network: app.replay_match == ReplayMatch::NetworkAndAgent,
            match_agent: app.replay_match != ReplayMatch::None,
        });
    }

    /// Somewhere that a request may come from: often home, so that people come back to the same place.
    pub fn somewhere(&mut self) -> (Client, Place) {
        let at = if self.dice.chance(60) { self.dice.below(2) } else { self.dice.below(ADDRESSES.len()) };
        let agent = usize::from(self.dice.chance(25));
        let (address, network) = ADDRESSES[at];
        let address: IpAddr = address.parse().unwrap();
        (Client { address, agent: AGENTS[agent].into() }, Place { network, agent })
    }

    /// What time does: mostly little, now and then just to or past one of the bounds.
    pub fn some_time(&mut self) -> Ms {
        let spans = [1, 999, 1000, 29_999, 30_000, 31_000, MINUTE, 2 * MINUTE, 9 * MINUTE, 10 * MINUTE];
        let long = [HOUR, 90 * MINUTE, 12 * HOUR, 13 * HOUR, DAY, 3 * DAY, 8 * DAY, 31 * DAY];
        let span = if self.dice.chance(88) { self.dice.pick(&spans) } else { self.dice.pick(&long) };
        span.unwrap() + if self.dice.chance(20) { self.dice.below(1000) as Ms } else { 0 }
    }

    /// Takes in what a client was handed. `proven`: when its holder proved the password.
    pub fn take(&mut self, issued: &Issued, user: usize, app: usize, session: Option<usize>, proven: Ms) {
        let cuts = self.world.users[user].cuts;
        let now = self.world.now;
        if let (Some(token), Some(session)) = (&issued.session_token, session) {
            self.world.cookies.push(Cookie { text: token.reveal(), session, cuts, proven, dead_from: None });
        }
        if let Some(access) = &issued.access_token {
            let part =
                |n| access.token.split('.').nth(n).map(|part| BASE64URL.decode(part).unwrap()).unwrap();
            let json = |bytes: Vec<u8>| serde_json::from_slice::<serde_json::Value>(&bytes).unwrap();
            let (header, claims) = (json(part(0)), json(part(1)));
            let expires = claims["exp"].as_i64().unwrap();
            let life = expires * world::SECOND - now;
            assert!(life <= self.world.apps[app].access, "an access token lives too long: {life} ms");
            assert_eq!(claims["sub"], self.world.users[user].id.to_string());
            assert_eq!(claims["client_id"], self.world.apps[app].id.to_string());
            self.world.accesses.push(Access {
                text: access.token.clone(),
                user,
                app,
                session,
                cuts,
                token: access.id,
                key: header["kid"].as_str().unwrap().to_owned(),
                expires,
                proven: proven - proven % world::SECOND,
            });
        }
    }

    /// A new refresh token of a session; its index.
    pub fn take_refresh(&mut self, text: String, session: usize) -> usize {
        let Session { user, ends, idle, .. } = &self.world.sessions[session];
        let idle_end = idle.map_or(*ends, |idle| (self.world.now + idle).min(*ends));
        let cuts = self.world.users[*user].cuts;
        self.world.refreshes.push(Refresh { text, session, cuts, idle_end, use_: Use::Fresh });
        self.world.refreshes.len() - 1
    }

    /// Clients lose what is of no more interest, now and then also what is.
    fn forget_some(&mut self) {
        while self.world.cookies.len() > KEPT {
            let at = self.dice.below(self.world.cookies.len());
            self.world.cookies.swap_remove(at);
        }
        while self.world.accesses.len() > KEPT {
            let at = self.dice.below(self.world.accesses.len());
            self.world.accesses.swap_remove(at);
        }
    }
}

use crate::world::Session;

impl Drop for Sim {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log: Vec<_> = self.log.iter().map(String::as_str).collect();
            eprintln!(
                "The last operations:\n{}\nAgain: HALLPASS_SIM_SEED={} HALLPASS_SIM_STEPS={} \
                 cargo test --test simulation chance",
                log.join("\n"),
                self.seed,
                self.step
            );
        }
    }
}

/// A refusal as one word, to compare and to show.
pub fn word(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Unauthenticated => "unauthenticated",
        Refusal::InvalidCredentials => "invalid_credentials",
        Refusal::TooManyAttempts { .. } => "too_many_attempts",
        Refusal::InvalidToken => "invalid_token",
        Refusal::TokenExpired => "token_expired",
        Refusal::TokenBlacklisted => "token_blacklisted",
        Refusal::SessionEnded(_) => "session_ended",
        Refusal::InvalidRefreshToken => "invalid_refresh_token",
        Refusal::RefreshReused => "refresh_reused",
        Refusal::ReauthRequired => "reauth_required",
        Refusal::Forbidden(_) => "forbidden",
        Refusal::NotFound => "not_found",
        Refusal::Invalid(_) => "invalid",
        Refusal::Conflict { code, .. } => code,
        Refusal::PreconditionFailed => "precondition_failed",
        Refusal::InvalidCode => "invalid_code",
        Refusal::InvalidClient => "invalid_client",
        Refusal::SetUpClosed => "set_up_closed",
        Refusal::Overloaded => "overloaded",
        Refusal::StorageFull => "storage_full",
        Refusal::Store(_) => "store",
        Refusal::Fault(_) => "fault",
    }
}
