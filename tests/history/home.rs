//! The real verbs on a store of their own, and the reference beside them.

use crate::engine::Tick;
use crate::explain::explain;
use crate::model::Model;
use crate::verbs::{Event, Given, Proof, Verb};
use crate::world::{App, Kind, MINUTE, State, User, World};
use hallpass::auth::Auth;
use hallpass::auth::apps::AppFields;
use hallpass::auth::check::Admin;
use hallpass::auth::users::NewUser;
use hallpass::clock::Clock;
use hallpass::config::Config;
use hallpass::entropy::Entropy;
use hallpass::model::app::Strategy;
use hallpass::model::key::KeyState;
use hallpass::model::password::Password;
use hallpass::model::user::Role;
use hallpass::model::{AppId, Time, UserId};
use hallpass::start::{Sources, start};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Barrier;

const BEGINNING: i64 = 1_800_000_000_000;
pub const OLD: &str = "a long and lovely passphrase";
pub const KINDS: [(Kind, Strategy); 4] = [
    (Kind::Session, Strategy::Session),
    (Kind::Refresh, Strategy::Refresh),
    (Kind::Tracked, Strategy::Tracked),
    (Kind::Jwt, Strategy::Jwt),
];

pub struct Home {
    pub auth: Arc<Auth>,
    ticks: Arc<AtomicU64>,
    made: AtomicU64,
    _directory: tempfile::TempDir,
}

impl Home {
    pub async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: directory.path().join("data"), ..Config::default() };
        (config.password.argon2_memory_kib, config.password.argon2_iterations) = (8, 1);
        config.password.hash_workers = 2;
        config.throttle.account_failures = 10_000;
        config.throttle.address_failures = 1_000_000;
        config.store.cache_mb = 8;
        let clock = Clock::manual(Time::from_ms(BEGINNING));
        let auth = start(&config, Sources { clock, entropy: Entropy::system() }).await.expect("it starts");
        Self { auth, ticks: Arc::default(), made: AtomicU64::new(0), _directory: directory }
    }

    /// A name that nobody has had.
    pub fn name(&self, kind: &str) -> String {
        format!("{kind}{}", self.made.fetch_add(1, Ordering::Relaxed))
    }

    /// A model that knows the signing keys and nobody.
    pub fn model(&self) -> Model {
        let mut model = Model { world: World { now: BEGINNING, ..World::default() }, ..Model::default() };
        for key in self.auth.list_keys(&Admin::console()) {
            let until = match key.value.state {
                KeyState::Active | KeyState::Next => None,
                KeyState::Retiring { until } => Some(until.ms()),
                KeyState::Retired { at } => Some(at.ms()),
            };
            model.world.keys.insert(key.value.kid.clone(), until);
        }
        model
    }

    pub async fn make_user(&self, model: &mut Model, admin: bool) -> UserId {
        let login = self.name("user");
        let (email, name, groups) = (None, String::new(), Vec::new());
        let role = if admin { Role::Admin } else { Role::User };
        let password = Some(Password::new(OLD.into()));
        let new =
            NewUser { login: login.clone(), email, email_verified: false, name, role, groups, password };
        let id = self.auth.create_user(&Admin::console(), new).await.expect("a user").value.id;
        model.world.users.push(User { id, login, password: OLD.into(), admin, state: State::On, cuts: 0 });
        id
    }

    /// A confidential app.
    pub async fn make_app(&self, model: &mut Model, kind: Kind, strategy: Strategy) -> AppId {
        let id: AppId = self.name("app").parse().expect("an id");
        let (console, fields) = (Admin::console(), AppFields::default());
        let made = self.auth.create_app(&console, id.clone(), strategy, true, fields).await;
        let (app, _) = made.expect("an app");
        let lives = app.value.lifetimes;
        let minutes = |minutes: u32| i64::from(minutes) * MINUTE;
        model.secrets.insert(id.clone(), app.value.secrets.iter().map(|secret| secret.id).collect());
        model.world.apps.push(App {
            id: id.clone(),
            kind,
            state: State::On,
            built_in: false,
            access: minutes(lives.access_minutes),
            idle: minutes(lives.idle_minutes),
            absolute: minutes(lives.absolute_minutes),
            remember: minutes(lives.remember_minutes),
            match_network: true,
            match_agent: true,
        });
        id
    }

    /// Asks one thing when nothing else is going on, and tells the model.
    pub async fn alone(&self, model: &mut Model, verb: Verb) -> Given {
        let event = ask(&self.auth, &self.ticks, verb).await;
        assert!(event.answer.is_ok() && model.step(&event), "{event:?}");
        event.answer.expect("it went well")
    }

    pub async fn proof(&self, text: &str) -> Proof {
        Proof { text: text.into(), caller: self.auth.check(text, None).await.expect("a good credential") }
    }

    /// Asks all of it at once, then what follows one by one; the models that explain it.
    ///
    /// # Panics
    /// When no order of it does.
    pub async fn at_once(
        &self,
        before: &[Model],
        verbs: Vec<Verb>,
        then: Vec<Verb>,
        delays: &[u64],
    ) -> Vec<Model> {
        let gate = Arc::new(Barrier::new(verbs.len()));
        let asked: Vec<_> = verbs
            .into_iter()
            .enumerate()
            .map(|(at, verb)| {
                let (auth, ticks) = (Arc::clone(&self.auth), Arc::clone(&self.ticks));
                let (gate, delay) = (Arc::clone(&gate), Duration::from_micros(delays[at % delays.len()]));
                tokio::spawn(async move {
                    gate.wait().await;
                    // Too short for a timer.
                    let begin = std::time::Instant::now();
                    while begin.elapsed() < delay {
                        std::hint::spin_loop();
                    }
                    ask(&auth, &ticks, verb).await
                })
            })
            .collect();
        let mut events = Vec::new();
        for event in asked {
            events.push(event.await.expect("no verb panics"));
        }
        for verb in then {
            events.push(ask(&self.auth, &self.ticks, verb).await);
        }
        let explained = explain(before, &events, &self.auth).await;
        explained.unwrap_or_else(|seen| panic!("no order explains {events:#?} and that {seen:#?}"))
    }
}

async fn ask(auth: &Auth, ticks: &AtomicU64, verb: Verb) -> Event {
    let tick = || ticks.fetch_add(1, Ordering::SeqCst) as Tick;
    let asked = tick();
    let answer = verb.carry_out(auth).await;
    Event { verb, asked, answered: tick(), answer }
}

/// A sign-in of a user of the model.
pub fn sign_in(model: &Model, user: UserId, app: &AppId, password: &str) -> Verb {
    let known = model.world.users.iter().find(|known| known.id == user).expect("a known user");
    Verb::SignIn { login: known.login.clone(), password: password.into(), app: app.clone() }
}
