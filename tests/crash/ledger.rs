//! What one person was promised: written down answer by answer, held against the program after its death.

use crate::acts::{Act, DECK};
use crate::fact::Fact;
use crate::server::{Answer, Api, House};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How many sign-ins are remembered, and for how long: an access token lives ten minutes.
const HOLDS_MAX: usize = 16;
const HOLD_AGE_MAX: Duration = Duration::from_secs(300);

/// What one sign-in left in a client's hands.
#[derive(Clone)]
pub struct Hold {
    pub app: &'static str,
    pub session: Option<String>,
    /// Session or access token.
    pub bearer: String,
    pub refresh: Option<String>,
    /// The refresh token that the present one succeeded.
    pub spent: Option<String>,
    pub state: State,
    /// The session's custom data.
    pub data: Fact,
    since: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Alive,
    /// Its end was acknowledged.
    Ended,
    /// Its end was asked for, and no answer came.
    Unsure,
}

/// The running program as one person and their administrator reach it.
pub struct Reach<'a> {
    pub api: &'a Api,
    /// The administrator's credential.
    pub boss: &'a str,
    /// Where the operator's commands go; `None` where there is no operator.
    pub house: Option<&'a House>,
}

/// A person with several devices.
#[derive(Clone)]
pub struct Ledger {
    pub login: String,
    pub user: String,
    /// The password; two when its change was not acknowledged.
    pub passwords: Vec<String>,
    pub old_password: Option<String>,
    /// `None`: a change was asked for, and no answer came.
    pub enabled: Option<bool>,
    pub name: Fact,
    pub holds: Vec<Hold>,
    deck: Vec<Act>,
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
            name: Fact::is(login),
            holds: Vec::new(),
            deck: Vec::new(),
            dice: seed | 1,
            losses: Vec::new(),
            acknowledged: 0,
        }
    }

    pub fn below(&mut self, bound: usize) -> usize {
        xorshift(&mut self.dice, bound)
    }

    /// Acts until the program dies.
    pub fn act_until_death(&mut self, reach: &Reach<'_>) {
        loop {
            // From a deck, so that every act comes up however short the rounds are.
            if self.deck.is_empty() {
                self.deck = DECK.iter().flat_map(|(act, times)| std::iter::repeat_n(*act, *times)).collect();
            }
            let at = self.below(self.deck.len());
            let act = self.deck.swap_remove(at);
            if self.act(reach, act).is_none() {
                return;
            }
            self.acknowledged += 1;
        }
    }

    /// Takes an acknowledged act in; anything but a success is no crash's fault, and a finding as well.
    pub fn settle(&mut self, answer: &Answer, what: &str, done: impl FnOnce(&mut Self)) -> Option<()> {
        if answer.is_ok() {
            done(self);
        } else {
            self.losses.push(format!("{} cannot be {what}: {answer:?}", self.login));
        }
        Some(())
    }

    pub fn set_all(&mut self, from: State, to: State) {
        self.holds.iter_mut().filter(|hold| hold.state == from).for_each(|hold| hold.state = to);
    }

    pub fn keep(&mut self, hold: Hold) {
        self.holds.push(hold);
        if self.holds.len() > HOLDS_MAX {
            self.holds.remove(0);
        }
    }

    /// Holds the program to every answer that it gave before it died.
    pub fn verify(&mut self, api: &Api, boss: &str) {
        self.verify_sign_in(api, boss);
        let path = format!("/api/v1/admin/users/{}", self.user);
        let said = api.get(&path, Some(boss)).expect("an answer").body["name"].clone();
        if let Some(lost) = self.name.meet(said) {
            self.losses.push(format!("{}: the name is {lost}", self.login));
        }
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
    pub fn new(app: &'static str, session: Option<String>, bearer: String, refresh: Option<String>) -> Self {
        let (spent, state, data, since) = (None, State::Alive, Fact::is(Value::Null), Instant::now());
        Self { app, session, bearer, refresh, spent, state, data, since }
    }

    /// Goes on with the credentials of this answer.
    pub fn take(&mut self, answer: &Answer) {
        let bearer = answer.text("session_token").or_else(|| answer.text("access_token"));
        self.bearer = bearer.expect("an answer with new credentials");
        if let Some(refresh) = answer.text("refresh_token") {
            (self.refresh, self.spent) = (Some(refresh), None);
        }
    }

    fn seen(&self, api: &Api) -> Answer {
        api.get("/api/v1/auth/session", Some(&self.bearer)).expect("an answer")
    }

    /// What was promised of it and is not so. `replay`: the used-up refresh token is shown, which ends it.
    fn verify(&mut self, api: &Api, replay: bool) -> Option<String> {
        match self.state {
            State::Unsure => None,
            State::Ended if self.seen(api).is_ok() => {
                Some(format!("what was ended opens {} again", self.app))
            }
            State::Ended => {
                let refreshed = self.refresh.as_deref().is_some_and(|token| present(api, token).is_ok());
                refreshed.then(|| "what was ended can be refreshed again".into())
            }
            State::Alive => {
                let seen = self.seen(api);
                if !seen.is_ok() {
                    return Some(format!("a sign-in to {} is lost: {seen:?}", self.app));
                }
                let data = self.data.meet(seen.body["session"]["data"].clone());
                data.map(|lost| format!("the session's data is {lost}"))
                    .or_else(|| self.verify_rotation(api, replay))
            }
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

/// Which act comes next needs no better chance.
pub fn xorshift(state: &mut u64, bound: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % bound.max(1) as u64) as usize
}
