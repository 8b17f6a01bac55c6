//! What one person was promised: written down answer by answer, held against the program after its death.

use crate::server::{Answer, Api};
use serde_json::json;
use std::time::{Duration, Instant};

/// Apps of all four strategies.
pub const APPS: [&str; 4] = ["default", "web", "tracker", "stateless"];
/// How many sign-ins are remembered, and for how long: an access token lives ten minutes.
const HOLDS_MAX: usize = 24;
const HOLD_AGE_MAX: Duration = Duration::from_secs(300);

/// What one sign-in left in a client's hands.
struct Hold {
    app: &'static str,
    session: Option<String>,
    /// Session or access token.
    bearer: String,
    refresh: Option<String>,
    /// The refresh token that the present one succeeded.
    spent: Option<String>,
    state: State,
    since: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Alive,
    /// Its end was acknowledged.
    Ended,
    /// Its end was asked for, and no answer came.
    Unsure,
}

/// A person with several devices.
pub struct Ledger {
    pub login: String,
    pub user: String,
    /// The password; two when its change was not acknowledged.
    passwords: Vec<String>,
    old_password: Option<String>,
    /// `None`: a change was asked for, and no answer came.
    enabled: Option<bool>,
    holds: Vec<Hold>,
    dice: u64,
    /// Broken promises.
    pub losses: Vec<String>,
    pub acknowledged: usize,
}

impl Ledger {
    pub fn new(login: &str, user: &str, password: &str, seed: u64) -> Self {
        Self {
            login: login.into(),
            user: user.into(),
            passwords: vec![password.into()],
            old_password: None,
            enabled: Some(true),
            holds: Vec::new(),
            dice: seed | 1,
            losses: Vec::new(),
            acknowledged: 0,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        // Xorshift; which act comes next needs no better.
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice % bound.max(1) as u64) as usize
    }

    /// Acts until the program dies. `boss` is an administrator's credential.
    pub fn act_until_death(&mut self, api: &Api, boss: &str) {
        while self.act(api, boss).is_some() {
            self.acknowledged += 1;
        }
    }

    /// One act. `None`: no answer came.
    fn act(&mut self, api: &Api, boss: &str) -> Option<()> {
        let alive: Vec<usize> =
            (0..self.holds.len()).filter(|at| self.holds[*at].state == State::Alive).collect();
        let some = if alive.is_empty() { None } else { Some(alive[self.below(alive.len())]) };
        match (self.below(21), some) {
            (0..6, _) | (_, None) => self.sign_in(api),
            (6..13, Some(hold)) => self.rotate(api, hold),
            (13..15, Some(hold)) => self.end(hold, |hold| {
                api.post("/api/v1/auth/logout", Some(&hold.bearer), json!({ "scope": "local" }))
            }),
            (15..17, Some(hold)) => self.end(hold, |hold| match &hold.session {
                Some(id) => {
                    api.send("DELETE", &format!("/api/v1/admin/sessions/{id}"), Some(boss), json!({}))
                }
                None => {
                    let body = json!({ "token": hold.bearer, "reason": "lost" });
                    api.post("/api/v1/admin/blacklist", Some(boss), body)
                }
            }),
            (17, Some(hold)) => self.end_all(|ledger| {
                let bearer = ledger.holds[hold].bearer.clone();
                api.post("/api/v1/auth/logout", Some(&bearer), json!({ "scope": "global" }))
            }),
            (18, Some(hold)) => self.change_password(api, hold),
            (19, Some(_)) => self.end_matching(api, boss),
            _ => self.disable_and_enable(api, boss),
        }
    }

    fn sign_in(&mut self, api: &Api) -> Option<()> {
        let app = APPS[self.below(APPS.len())];
        let answer = api.sign_in(&self.login, self.passwords.last()?, app)?;
        let bearer = answer.text("session_token").or_else(|| answer.text("access_token"));
        let Some(bearer) = bearer else {
            self.losses.push(format!("{} cannot sign in to {app}: {answer:?}", self.login));
            return Some(());
        };
        self.holds.push(Hold {
            app,
            session: answer.body["session"]["id"].as_str().map(str::to_owned),
            bearer,
            refresh: answer.text("refresh_token"),
            spent: None,
            state: State::Alive,
            since: Instant::now(),
        });
        if self.holds.len() > HOLDS_MAX {
            self.holds.remove(0);
        }
        Some(())
    }

    fn rotate(&mut self, api: &Api, at: usize) -> Option<()> {
        let hold = &mut self.holds[at];
        let Some(old) = hold.refresh.clone() else { return Some(()) };
        // Without an answer the old token must go on to work: it is fresh, or its reply was lost.
        let body = json!({ "refresh_token": old });
        let answer = api.post("/api/v1/auth/refresh", None, body)?;
        match (answer.text("refresh_token"), answer.text("access_token")) {
            (Some(new), Some(access)) => {
                (hold.refresh, hold.spent, hold.bearer) = (Some(new), Some(old), access);
            }
            _ => {
                hold.state = State::Unsure;
                self.losses.push(format!("{}: a refresh token does not work: {answer:?}", self.login));
            }
        }
        Some(())
    }

    fn end(&mut self, at: usize, how: impl FnOnce(&Hold) -> Option<Answer>) -> Option<()> {
        self.holds[at].state = State::Unsure;
        let answer = how(&self.holds[at])?;
        self.settle(&answer, "ended", |ledger| ledger.holds[at].state = State::Ended)
    }

    fn end_all(&mut self, how: impl FnOnce(&Self) -> Option<Answer>) -> Option<()> {
        self.set_all(State::Alive, State::Unsure);
        let answer = how(self)?;
        self.settle(&answer, "ended everywhere", |ledger| ledger.set_all(State::Unsure, State::Ended))
    }

    /// All sessions of this person, one by one in a job; tokens without a session go on.
    fn end_matching(&mut self, api: &Api, boss: &str) -> Option<()> {
        let concerned: Vec<usize> = (0..self.holds.len())
            .filter(|at| self.holds[*at].state == State::Alive && self.holds[*at].session.is_some())
            .collect();
        concerned.iter().for_each(|at| self.holds[*at].state = State::Unsure);
        let body = json!({ "filter": { "user": self.login } });
        let answer = api.post("/api/v1/admin/sessions/revoke", Some(boss), body)?;
        self.settle(&answer, "revoked", |ledger| {
            concerned.iter().for_each(|at| ledger.holds[*at].state = State::Ended);
        })
    }

    fn change_password(&mut self, api: &Api, at: usize) -> Option<()> {
        // Only these apps open one's own account.
        if self.holds[at].app != "default" && self.holds[at].app != "web" {
            return Some(());
        }
        let (old, new) = (self.passwords.last()?.clone(), format!("velvet {:016x}", self.below(usize::MAX)));
        let bearer = self.holds[at].bearer.clone();
        self.set_all(State::Alive, State::Unsure);
        self.passwords.push(new.clone());
        let body = json!({ "current_password": old, "new_password": new });
        let answer = api.send("PUT", "/api/v1/me/password", Some(&bearer), body)?;
        self.settle(&answer, "given a new password", |ledger| {
            ledger.set_all(State::Unsure, State::Ended);
            ledger.passwords = vec![new];
            ledger.old_password = Some(old);
            let hold = &mut ledger.holds[at];
            let bearer = answer.text("session_token").or_else(|| answer.text("access_token"));
            (hold.refresh, hold.spent) = (answer.text("refresh_token"), None);
            hold.bearer = bearer.expect("a new credential comes with a new password");
            hold.state = State::Alive;
        })
    }

    fn disable_and_enable(&mut self, api: &Api, boss: &str) -> Option<()> {
        let path = format!("/api/v1/admin/users/{}", self.user);
        self.enabled = None;
        let cut_off = self.below(2) == 0;
        self.end_all(|_| match cut_off {
            true => api.post(&format!("{path}/cut-off"), Some(boss), json!({})),
            false => api.send("PATCH", &path, Some(boss), json!({ "state": "disabled" })),
        })?;
        self.enabled = Some(false);
        // Now and then a disabled user is what the program's death leaves behind.
        std::thread::sleep(Duration::from_millis(self.below(30) as u64));
        self.enabled = None;
        let answer = api.send("PATCH", &path, Some(boss), json!({ "state": "enabled" }))?;
        self.settle(&answer, "enabled", |ledger| ledger.enabled = Some(true))
    }

    /// Takes an acknowledged act in; anything but a success is no crash's fault, and a finding as well.
    fn settle(&mut self, answer: &Answer, what: &str, done: impl FnOnce(&mut Self)) -> Option<()> {
        if answer.is_ok() {
            done(self);
        } else {
            self.losses.push(format!("{} cannot be {what}: {answer:?}", self.login));
        }
        Some(())
    }

    fn set_all(&mut self, from: State, to: State) {
        self.holds.iter_mut().filter(|hold| hold.state == from).for_each(|hold| hold.state = to);
    }

    /// Holds the program to every answer that it gave before it died.
    pub fn verify(&mut self, api: &Api, boss: &str) {
        self.verify_sign_in(api, boss);
        for at in 0..self.holds.len() {
            let replay = self.below(2) == 0;
            if let Some(lost) = self.holds[at].verify(api, replay) {
                self.losses.push(format!("{}: {lost}", self.login));
            }
        }
        self.holds.retain(|hold| hold.state != State::Unsure && hold.since.elapsed() < HOLD_AGE_MAX);
    }

    fn verify_sign_in(&mut self, api: &Api, boss: &str) {
        let opens = |ledger: &Self, password: &str| {
            api.sign_in(&ledger.login, password, "web").expect("an answer").is_ok()
        };
        if self.enabled == Some(false) && opens(self, &self.passwords[0].clone()) {
            self.losses.push(format!("{} was disabled and signs in", self.login));
        }
        if self.enabled != Some(true) {
            let path = format!("/api/v1/admin/users/{}", self.user);
            let answer = api.send("PATCH", &path, Some(boss), json!({ "state": "enabled" }));
            assert!(answer.is_some_and(|answer| answer.is_ok()));
            self.enabled = Some(true);
        }
        if self.old_password.take().is_some_and(|old| opens(self, &old)) {
            self.losses.push(format!("{} signs in with the password of before", self.login));
        }
        let good = self.passwords.iter().find(|password| opens(self, password)).cloned();
        match good {
            Some(good) => self.passwords = vec![good],
            None => self.losses.push(format!("{} cannot sign in with the new password", self.login)),
        }
    }
}

impl Hold {
    fn opens(&self, api: &Api) -> bool {
        api.get("/api/v1/auth/session", Some(&self.bearer)).is_some_and(|answer| answer.is_ok())
    }

    /// What was promised of it and is not so. `replay`: the used-up refresh token is shown, which ends it.
    fn verify(&mut self, api: &Api, replay: bool) -> Option<String> {
        match self.state {
            State::Unsure => None,
            State::Ended if self.opens(api) => Some(format!("what was ended opens {} again", self.app)),
            State::Ended => {
                let refreshed = self.refresh.as_deref().is_some_and(|token| present(api, token).is_ok());
                refreshed.then(|| "what was ended can be refreshed again".into())
            }
            State::Alive if !self.opens(api) => Some(format!("a sign-in to {} is lost", self.app)),
            State::Alive => self.verify_rotation(api, replay),
        }
    }

    fn verify_rotation(&mut self, api: &Api, replay: bool) -> Option<String> {
        let token = self.refresh.clone()?;
        let answer = present(api, &token);
        let Some(next) = answer.text("refresh_token") else {
            self.state = State::Unsure;
            return Some(format!("a rotation is lost: {answer:?}"));
        };
        self.refresh = Some(next);
        // Its successor has just been used.
        let spent = self.spent.replace(token).filter(|_| replay)?;
        self.state = State::Ended;
        present(api, &spent).is_ok().then(|| "a used-up refresh token gives a new pair".into())
    }
}

fn present(api: &Api, token: &str) -> Answer {
    api.post("/api/v1/auth/refresh", None, json!({ "refresh_token": token })).expect("an answer")
}
