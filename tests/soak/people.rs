//! What people do at a soak, how often, and what they hold in their hands meanwhile.

use crate::appliance::{Answer, Api};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const PEOPLE: u64 = 200;
const PASSWORD: &str = "a quiet river in autumn";
/// Lives of what is signed in, short enough that the sweep keeps up with the sign-ins within one run.
const LIFE_MINUTES: u64 = 6;
const IDLE_MINUTES: u64 = 3;
/// Before its end by the clock, whoever asks may be late; so nobody asks.
const MARGIN: Duration = Duration::from_secs(20);
/// How many that were ended are remembered, to look at them again.
const ENDED_MAX: usize = 500;

/// What is done, and how often.
pub struct Verb {
    pub name: &'static str,
    pub per_second: f64,
    /// The number says which turn it is.
    pub act: fn(&Crowd, u64) -> Result<(), String>,
}

pub const VERBS: [Verb; 4] = [
    Verb { name: "sign-in", per_second: 8.0, act: Crowd::sign_in },
    Verb { name: "refresh", per_second: 50.0, act: Crowd::refresh },
    Verb { name: "revoke", per_second: 5.0, act: Crowd::revoke },
    Verb { name: "check", per_second: 50.0, act: Crowd::check },
];

/// The load, in words.
pub fn described() -> String {
    let rates = VERBS.map(|verb| format!("{} × {}", verb.per_second, verb.name)).join(", ");
    format!("A second: {rates}. Sessions live {LIFE_MINUTES} minutes, {IDLE_MINUTES} without use.")
}

/// What one sign-in left in a client's hands.
struct Hold {
    session: String,
    bearer: String,
    /// Only apps of the strategy `refresh` give one.
    refresh: Option<String>,
    since: Instant,
    used: Instant,
}

impl Hold {
    fn is_fresh(&self) -> bool {
        self.since.elapsed() + MARGIN < Duration::from_secs(LIFE_MINUTES * 60)
            && self.used.elapsed() + MARGIN < Duration::from_secs(IDLE_MINUTES * 60)
    }
}

/// Everybody, with all they hold. Whoever acts takes a hold out, so that nobody else acts on it meanwhile.
pub struct Crowd {
    api: Api,
    boss: Mutex<String>,
    holds: Mutex<Vec<Hold>>,
    ended: Mutex<VecDeque<Hold>>,
}

impl Crowd {
    /// Makes the apps and the people.
    pub fn gather(api: Api) -> Self {
        let boss = api.boss().unwrap();
        for (app, strategy) in [("mobile", "refresh"), ("web", "session")] {
            let body = json!({
                "id": app, "name": app, "strategy": strategy, "access_minutes": LIFE_MINUTES,
                "idle_minutes": IDLE_MINUTES, "absolute_minutes": LIFE_MINUTES,
            });
            api.expect(201, "POST", "/api/v1/admin/apps", Some(&boss), Some(body)).unwrap();
        }
        for number in 0..PEOPLE {
            let body = json!({ "login": format!("person{number}"), "password": PASSWORD });
            api.expect(201, "POST", "/api/v1/admin/users", Some(&boss), Some(body)).unwrap();
        }
        Self { api, boss: Mutex::new(boss), holds: Mutex::default(), ended: Mutex::default() }
    }

    /// How many sessions are live, and how long the blacklist is. The administrator signs in anew for it.
    pub fn count(&self) -> Result<(u64, u64), String> {
        let boss = self.api.boss()?;
        self.boss.lock().unwrap().clone_from(&boss);
        let answer = self.api.expect(200, "GET", "/api/v1/admin/overview", Some(&boss), None)?;
        let number = |field: &str| answer.body[field].as_u64().unwrap_or_default();
        Ok((number("live_sessions"), number("blacklist")))
    }

    fn sign_in(&self, turn: u64) -> Result<(), String> {
        let app = if turn.is_multiple_of(4) { "web" } else { "mobile" };
        let answer = self.api.sign_in(&format!("person{}", turn % PEOPLE), PASSWORD, app)?;
        let bearer = answer.text("session_token").or_else(|| answer.text("access_token"));
        let (Some(session), Some(bearer)) = (answer.body["session"]["id"].as_str(), bearer) else {
            return Err(format!("no session: {answer:?}"));
        };
        let (session, refresh, since) = (session.into(), answer.text("refresh_token"), Instant::now());
        self.holds.lock().unwrap().push(Hold { session, bearer, refresh, since, used: since });
        Ok(())
    }

    /// Every tenth answer is lost, and the same token presented again: both times it must give the same successor.
    fn refresh(&self, turn: u64) -> Result<(), String> {
        let Some(mut hold) = self.take(|hold| hold.refresh.is_some()) else { return Ok(()) };
        let spent = hold.refresh.take().unwrap_or_default();
        let mut answer = self.rotate(&spent)?;
        if turn.is_multiple_of(10) {
            let again = self.rotate(&spent)?;
            if again.text("refresh_token") != answer.text("refresh_token") {
                return Err("a second presentation got another successor".into());
            }
            answer = again;
        }
        hold.bearer = answer.text("access_token").ok_or("no access token")?;
        hold.refresh = Some(answer.text("refresh_token").ok_or("no refresh token")?);
        hold.used = Instant::now();
        self.holds.lock().unwrap().push(hold);
        Ok(())
    }

    fn rotate(&self, token: &str) -> Result<Answer, String> {
        self.api.expect(200, "POST", "/api/v1/auth/refresh", None, Some(json!({ "refresh_token": token })))
    }

    /// By the administrator or by themselves; what is answered holds at once.
    fn revoke(&self, turn: u64) -> Result<(), String> {
        let Some(hold) = self.take(|_| true) else { return Ok(()) };
        if turn.is_multiple_of(2) {
            let boss = self.boss.lock().unwrap().clone();
            let path = format!("/api/v1/admin/sessions/{}", hold.session);
            self.api.expect(204, "DELETE", &path, Some(&boss), None)?;
        } else {
            let body = json!({ "scope": "local" });
            let answer = self.api.send("POST", "/api/v1/auth/logout", Some(&hold.bearer), Some(body))?;
            if !(200..300).contains(&answer.status) {
                return Err(format!("no sign-out: {answer:?}"));
            }
        }
        is_refused(&self.api, &hold)?;
        let mut ended = self.ended.lock().unwrap();
        ended.push_back(hold);
        if ended.len() > ENDED_MAX {
            ended.pop_front();
        }
        Ok(())
    }

    /// Every tenth is of somebody whose session was ended.
    fn check(&self, turn: u64) -> Result<(), String> {
        if turn.is_multiple_of(10) {
            let Some(hold) = self.ended.lock().unwrap().pop_front() else { return Ok(()) };
            is_refused(&self.api, &hold)?;
            self.ended.lock().unwrap().push_back(hold);
            return Ok(());
        }
        let Some(mut hold) = self.take(|_| true) else { return Ok(()) };
        is_answered(&self.api, &hold)?;
        if hold.refresh.is_none() {
            hold.used = Instant::now();
        }
        self.holds.lock().unwrap().push(hold);
        Ok(())
    }

    /// One at random. Those that are about to end by themselves are let go.
    fn take(&self, fits: fn(&Hold) -> bool) -> Option<Hold> {
        let mut holds = self.holds.lock().unwrap();
        while !holds.is_empty() {
            let mut at = random() as usize % holds.len();
            if holds[at].is_fresh() && !fits(&holds[at]) {
                at = holds.iter().position(fits)?;
            }
            let hold = holds.swap_remove(at);
            if hold.is_fresh() {
                return Some(hold);
            }
        }
        None
    }

    /// After a restart: who is live goes on, who was ended stays so. Answers how many there are of either.
    pub fn hold_to_answers(&self, api: &Api) -> (usize, usize) {
        let (holds, ended) = (self.holds.lock().unwrap(), self.ended.lock().unwrap());
        let fresh = holds.iter().filter(|hold| hold.is_fresh());
        let alive = fresh.map(|hold| is_answered(api, hold)).collect::<Result<Vec<_>, _>>().unwrap().len();
        ended.iter().try_for_each(|hold| is_refused(api, hold)).unwrap();
        (alive, ended.len())
    }
}

fn is_answered(api: &Api, hold: &Hold) -> Result<(), String> {
    api.expect(200, "GET", "/api/v1/auth/session", Some(&hold.bearer), None).map(drop)
}

/// By either credential.
fn is_refused(api: &Api, hold: &Hold) -> Result<(), String> {
    api.expect(401, "GET", "/api/v1/auth/session", Some(&hold.bearer), None)?;
    if let Some(token) = &hold.refresh {
        let body = json!({ "refresh_token": token });
        api.expect(401, "POST", "/api/v1/auth/refresh", None, Some(body))?;
    }
    Ok(())
}

fn random() -> u64 {
    u64::from_be_bytes(hallpass::entropy::Entropy::system().bytes())
}
