//! A stretch of the program's life under the shim: its journal, and when each answer came in it.

use crate::disk::{Dice, Disk};
use crate::ledger::{Ledger, Reach};
use crate::past::Past;
use crate::server::{ADMIN_PASSWORD, Answer, Api, House, Server, Through};
use crate::shim::Shim;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One exchange, and where the journal stood when its answer had come.
struct Exchange {
    request: String,
    answered_at: u64,
    answer: Option<Answer>,
}

/// All that one client heard.
type Tape = Mutex<Vec<Exchange>>;

/// A person, and what must be remembered of it.
pub struct Person {
    login: String,
    user: String,
    seed: u64,
    known_at: u64,
    tape: Arc<Tape>,
}

const PASSWORD: &str = "a quiet river in autumn";

impl Person {
    pub fn ledger(&self) -> Ledger {
        Ledger::new(&self.login, &self.user, PASSWORD, self.seed)
    }

    /// What it had been promised when the journal stood there: the same acts again, with the answers that had come.
    fn ledger_at(&self, cut: u64, boss: &str) -> Ledger {
        let mut ledger = self.ledger();
        let api = &Api::without_a_program(play(&self.tape, cut));
        ledger.act_until_death(&Reach { api, boss, house: None });
        ledger
    }
}

fn record(tape: &Arc<Tape>, shim: &Arc<Shim>) -> Arc<Through> {
    let (tape, shim) = (Arc::clone(tape), Arc::clone(shim));
    Arc::new(move |request, send| {
        let answer = send();
        let exchange = Exchange { request: request.into(), answered_at: shim.now(), answer: answer.clone() };
        tape.lock().unwrap().push(exchange);
        answer
    })
}

fn play(tape: &Arc<Tape>, cut: u64) -> Arc<Through> {
    let (tape, next) = (Arc::clone(tape), AtomicUsize::new(0));
    Arc::new(move |request, _| {
        let tape = tape.lock().unwrap();
        let exchange = tape.get(next.fetch_add(1, Ordering::Relaxed)).filter(|it| it.answered_at <= cut)?;
        assert_eq!(exchange.request, request, "the ledger does the same when it hears the same");
        exchange.answer.clone()
    })
}

/// An app's data on one session, written over and over: sled must move and free what it holds.
struct Churn {
    session: String,
    /// When each number's answer had come.
    answered_at: Mutex<Vec<u64>>,
}

const CHURN_BYTES: usize = 3500;

impl Churn {
    fn begin(api: &Api) -> Self {
        let answer = api.sign_in("admin", ADMIN_PASSWORD, "hallpass").unwrap();
        let session = answer.body["session"]["id"].as_str().expect("a session").to_owned();
        Self { session, answered_at: Mutex::default() }
    }

    fn path(&self) -> String {
        format!("/api/v1/sessions/{}/data", self.session)
    }

    fn until_death(&self, api: &Api, boss: &str, shim: &Shim) {
        for number in 1.. {
            let body = json!({ "number": number, "pad": "x".repeat(CHURN_BYTES) });
            let Some(answer) = api.send("PUT", &self.path(), Some(boss), body) else { return };
            assert!(answer.is_ok(), "{answer:?}");
            self.answered_at.lock().unwrap().push(shim.now());
        }
    }

    /// The last number that was answered is there, or the one that was under way.
    fn fault(&self, api: &Api, boss: &str, cut: u64) -> Option<String> {
        let answered = self.answered_at.lock().unwrap().partition_point(|at| *at <= cut) as u64;
        let answer = api.get(&self.path(), Some(boss)).filter(|answer| answer.is_ok() || answered > 0)?;
        let found = answer.body["number"].as_u64().unwrap_or(0);
        (!(answered..=answered + 1).contains(&found)).then(|| format!("data {found} instead of {answered}"))
    }
}

/// All that the program answered.
pub struct Promises {
    people: Vec<Person>,
    churn: Churn,
}

/// A stretch of life, from a disk at rest to a disk at rest.
pub struct Recording {
    pub past: Past,
    pub promises: Promises,
    /// The past up to here is of the start and the furnishing.
    pub furnished: usize,
}

/// What is done to the store of a recording.
#[derive(Clone, Copy)]
pub struct Load {
    pub people: usize,
    pub time: Duration,
    /// How much longer each sync takes.
    pub sync_ms: u32,
}

impl Recording {
    /// Starts the program, lets people sign in, rotate and revoke for a while, and ends it.
    pub fn of(house: &mut House, library: &Path, load: Load, dice: &mut Dice) -> Self {
        let disk = Disk::of(house.directory());
        let shim = Arc::new(Shim::over(house, library));
        shim.delay_syncs(load.sync_ms);
        let mut server = house.start();
        let people = furnish(&server, &shim, load.people, dice);
        let (boss, churn, furnished) = (server.api.boss(), Churn::begin(&server.api), shim.now());
        let api = server.api.clone();
        std::thread::scope(|scope| {
            for person in &people {
                let mut api = api.clone();
                api.through = Some(record(&person.tape, &shim));
                let (mut ledger, boss) = (person.ledger(), &boss);
                scope.spawn(move || {
                    ledger.act_until_death(&Reach { api: &api, boss, house: None });
                    assert_eq!(ledger.losses, [""; 0]);
                });
            }
            scope.spawn(|| churn.until_death(&api, &boss, &shim));
            std::thread::sleep(load.time);
            assert!(server.terminate().success());
        });
        Shim::off(house);
        let past = Past { disk, records: shim.records() };
        let furnished = past.records.partition_point(|record| record.end <= furnished);
        Self { past, promises: Promises { people, churn }, furnished }
    }
}

impl Promises {
    pub fn answers(&self) -> usize {
        self.people.iter().map(|person| person.tape.lock().unwrap().len()).sum()
    }

    /// Starts the program on what a cut left, and holds it to all that it had answered before.
    pub fn hold(&self, house: &House, cut: u64) -> Vec<String> {
        started(house, |api| self.faults(api, cut))
    }

    /// Whether there are such people at all.
    pub fn is_known(&self, api: &Api) -> bool {
        let path = format!("/api/v1/admin/users/{}", self.people[0].user);
        api.get(&path, Some(&api.boss())).expect("an answer").is_ok()
    }

    /// What opens something, though everything was ended.
    pub fn still_open(&self, api: &Api) -> Vec<String> {
        let boss = api.boss();
        let holds = self.people.iter().flat_map(|person| person.ledger_at(u64::MAX, &boss).holds);
        let open = holds.filter(|hold| {
            let is_open = |answer: Option<Answer>| answer.is_some_and(|answer| answer.is_ok());
            let refresh = |token: &String| {
                is_open(api.post("/api/v1/auth/refresh", None, json!({ "refresh_token": token })))
            };
            is_open(api.get("/api/v1/auth/session", Some(&hold.bearer)))
                || hold.refresh.as_ref().is_some_and(refresh)
        });
        open.map(|hold| format!("a sign-in to {} of before is open", hold.app)).collect()
    }

    pub fn faults(&self, api: &Api, cut: u64) -> Vec<String> {
        let answer = api.sign_in("admin", ADMIN_PASSWORD, "hallpass");
        let Some(boss) = answer.as_ref().and_then(|answer| answer.text("session_token")) else {
            return vec![format!("the administrator cannot sign in: {answer:?}")];
        };
        let known = self.people.iter().filter(|person| person.known_at <= cut);
        let losses = known.flat_map(|person| {
            let mut ledger = person.ledger_at(cut, &boss);
            ledger.verify(api, &boss);
            ledger.losses
        });
        losses.chain(self.churn.fault(api, &boss, cut)).collect()
    }
}

/// Starts the program, and ends it when it was looked at; what is wrong with it.
pub fn started(house: &House, look: impl FnOnce(&Api) -> Vec<String>) -> Vec<String> {
    let mut server = match house.try_start() {
        Ok(server) => server,
        Err(said) => return vec![format!("it does not start: {said}")],
    };
    let mut faults = look(&server.api);
    server.kill();
    faults.extend(raw_panic(&(house.logged() + &server.said())));
    if house.command(&["verify"]).is_none() {
        faults.push("it is not whole".into());
    }
    faults
}

/// The store's panics are told in its own words; none is shown as it comes.
pub fn raw_panic(said: &str) -> Option<String> {
    said.contains("panicked at").then(|| format!("a panic is seen: {said}"))
}

/// An app of every strategy, if they are not there yet, and some new people.
pub fn furnish(server: &Server, shim: &Arc<Shim>, people: usize, dice: &mut Dice) -> Vec<Person> {
    let (api, boss) = (&server.api, server.api.boss());
    for (app, strategy) in [("web", "session"), ("tracker", "tracked"), ("stateless", "jwt")] {
        let body = json!({ "id": app, "name": app, "strategy": strategy, "appliance_access": app == "web" });
        let answer = api.post("/api/v1/admin/apps", Some(&boss), body).unwrap();
        assert!(answer.is_ok() || answer.status == 409, "{answer:?}");
    }
    let make = |_| {
        let login = format!("person{:08x}", dice.below(usize::MAX) as u32);
        let body = json!({ "login": login, "name": login, "password": PASSWORD });
        let answer = api.post("/api/v1/admin/users", Some(&boss), body).unwrap();
        let user = answer.text("id").unwrap_or_else(|| panic!("no user: {answer:?}"));
        let (seed, tape) = (dice.below(usize::MAX) as u64, Arc::default());
        Person { login, user, seed, known_at: shim.now(), tape }
    };
    (0..people).map(make).collect()
}
