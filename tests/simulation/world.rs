//! The reference: who may act, kept in the plainest way. It shares ids and names of reasons with the appliance, and
//! none of its rules: no epochs, no store, no mirrors, only what has happened to whom.

use hallpass::model::session::EndedReason;
use hallpass::model::{AppId, SessionId, TokenId, UserId};
use std::collections::{BTreeSet, HashMap};

/// Milliseconds since 1970.
pub type Ms = i64;
pub const SECOND: Ms = 1000;
pub const MINUTE: Ms = 60 * SECOND;
pub const HOUR: Ms = 60 * MINUTE;
pub const DAY: Ms = 24 * HOUR;

/// How long struck and retiring things are remembered.
const MEMORY: Ms = 13 * HOUR;

/// What the appliance must answer. `Either`: a crash may have lost when a session was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    Either,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Session,
    Jwt,
    Tracked,
    Refresh,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    On,
    Off,
    Deleted,
}

#[derive(Clone)]
pub struct User {
    pub id: UserId,
    pub login: String,
    pub password: String,
    pub admin: bool,
    pub state: State,
    /// How often everything of theirs was ended.
    pub cuts: u32,
}

#[derive(Clone)]
pub struct App {
    pub id: AppId,
    pub kind: Kind,
    pub state: State,
    pub built_in: bool,
    pub access: Ms,
    pub idle: Ms,
    pub absolute: Ms,
    pub remember: Ms,
    /// What must be equal for two presentations to come from the same place.
    pub match_network: bool,
    pub match_agent: bool,
}

#[derive(Clone)]
pub struct Session {
    pub id: SessionId,
    pub user: usize,
    pub app: usize,
    pub network: usize,
    pub opened: Ms,
    pub ends: Ms,
    pub idle: Option<Ms>,
    /// Last used at the latest then; at the earliest then; and so much of it is surely on disk.
    pub seen: Ms,
    pub seen_least: Ms,
    pub seen_on_disk: Ms,
    pub proven: Ms,
    pub dead: Option<Ms>,
    /// Everything that has ended it, or would have: the answer names one of these.
    pub causes: BTreeSet<&'static str>,
    pub data: Option<String>,
    pub revision: u32,
}

#[derive(Clone)]
pub struct Cookie {
    pub text: String,
    pub session: usize,
    pub cuts: u32,
    pub proven: Ms,
    pub dead_from: Option<Ms>,
}

#[derive(Clone)]
pub struct Access {
    pub text: String,
    pub user: usize,
    pub app: usize,
    pub session: Option<usize>,
    pub cuts: u32,
    pub token: TokenId,
    pub key: String,
    /// In seconds, as JWTs count.
    pub expires: i64,
    /// When its holder proved the password, in whole seconds.
    pub proven: Ms,
}

#[derive(Clone)]
pub struct Refresh {
    pub text: String,
    pub session: usize,
    pub cuts: u32,
    pub idle_end: Ms,
    pub use_: Use,
}

/// What has become of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Fresh,
    /// The successor, when it was made, for whom, and how often it was replaced.
    Spent(usize, Ms, Place, u32),
    Superseded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub network: usize,
    pub agent: usize,
}

/// What a presented refresh token must get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presentation {
    Refused,
    Unsure,
    Rotate,
    Repeat(usize),
    Reissue(usize),
    TooOften,
    Reuse,
}

#[derive(Clone, Default)]
pub struct World {
    pub now: Ms,
    pub users: Vec<User>,
    pub apps: Vec<App>,
    pub sessions: Vec<Session>,
    pub cookies: Vec<Cookie>,
    pub accesses: Vec<Access>,
    pub refreshes: Vec<Refresh>,
    /// Struck tokens: when, and whether by hand.
    pub struck: HashMap<TokenId, (Ms, bool)>,
    /// Signing keys, and until when those count that sign no more.
    pub keys: HashMap<String, Option<Ms>>,
}

impl World {
    pub fn user_on(&self, user: usize) -> bool {
        self.users[user].state == State::On
    }

    pub fn app_on(&self, app: usize) -> bool {
        self.apps[app].state == State::On
    }

    pub fn admins(&self) -> usize {
        self.users.iter().filter(|user| user.admin && user.state == State::On).count()
    }

    pub fn alive(&self, session: usize) -> Answer {
        let session = &self.sessions[session];
        if session.dead.is_some() || !self.app_on(session.app) {
            return Answer::No;
        }
        match session.idle {
            Some(idle) if session.seen_least + idle <= self.now => Answer::Either,
            _ => Answer::Yes,
        }
    }

    pub fn cookie(&self, cookie: usize) -> Answer {
        let cookie = &self.cookies[cookie];
        let user = &self.users[self.sessions[cookie.session].user];
        if cookie.dead_from.is_some_and(|from| from <= self.now) || cookie.cuts != user.cuts {
            return Answer::No;
        }
        self.alive(cookie.session)
    }

    pub fn access(&self, access: usize) -> Answer {
        let access = &self.accesses[access];
        let user = &self.users[access.user];
        let key = self.keys.get(&access.key).is_some_and(|until| until.is_none_or(|until| self.now < until));
        let good = key
            && self.now.div_euclid(SECOND) < access.expires
            && !self.struck.contains_key(&access.token)
            && self.app_on(access.app)
            && user.state == State::On
            && user.cuts == access.cuts;
        match access.session {
            _ if !good => Answer::No,
            Some(session) => self.alive(session),
            None => Answer::Yes,
        }
    }

    /// The rotation table, as a person would tell it.
    pub fn present(&self, refresh: usize, own_app: bool, place: Place) -> Presentation {
        let token = &self.refreshes[refresh];
        let session = &self.sessions[token.session];
        let alive = self.alive(token.session);
        if !own_app
            || alive == Answer::No
            || token.cuts != self.users[session.user].cuts
            || token.idle_end <= self.now
        {
            return Presentation::Refused;
        }
        if alive == Answer::Either {
            return Presentation::Unsure;
        }
        let Use::Spent(successor, made, made_for, replaced) = token.use_ else {
            return if token.use_ == Use::Fresh { Presentation::Rotate } else { Presentation::Reuse };
        };
        if self.refreshes[successor].use_ != Use::Fresh {
            return Presentation::Reuse;
        }
        let app = &self.apps[session.app];
        let same_place = (!app.match_network || made_for.network == place.network)
            && (!app.match_agent || made_for.agent == place.agent);
        if same_place && self.now - made < 30 * SECOND {
            Presentation::Repeat(successor)
        } else if replaced < 5 {
            Presentation::Reissue(successor)
        } else {
            Presentation::TooOften
        }
    }

    /// Whether a refresh token could still give a pair.
    pub fn current(&self, refresh: usize) -> Answer {
        let token = &self.refreshes[refresh];
        let unused = match token.use_ {
            Use::Fresh => true,
            Use::Spent(successor, ..) => self.refreshes[successor].use_ == Use::Fresh,
            Use::Superseded => false,
        };
        let user = &self.users[self.sessions[token.session].user];
        if !unused || token.idle_end <= self.now || token.cuts != user.cuts {
            return Answer::No;
        }
        self.alive(token.session)
    }

    pub fn end(&mut self, session: usize, reason: EndedReason) {
        let now = self.now;
        let session = &mut self.sessions[session];
        session.causes.insert(reason.as_str());
        session.dead.get_or_insert(now);
        session.data = None;
    }

    /// Ends everything of a user but one session, which goes on with new credentials.
    pub fn cut(&mut self, user: usize, reason: EndedReason, spared: Option<usize>) {
        self.users[user].cuts += 1;
        for session in 0..self.sessions.len() {
            if self.sessions[session].user == user && spared != Some(session) {
                self.end(session, reason);
            }
        }
        let now = self.now;
        if let Some(spared) = spared {
            // Of its own older credentials the cut is told.
            self.sessions[spared].causes.insert(reason.as_str());
            for cookie in self.cookies.iter_mut().filter(|cookie| cookie.session == spared) {
                let from = cookie.dead_from.map_or(now, |from| from.min(now));
                cookie.dead_from = Some(from);
            }
        }
    }

    pub fn set_app(&mut self, app: usize, state: State) {
        self.apps[app].state = state;
        let (word, gone) = match state {
            State::On => return,
            State::Off => (EndedReason::AppDisabled, false),
            State::Deleted => (EndedReason::AppDeleted, true),
        };
        for session in 0..self.sessions.len() {
            if self.sessions[session].app == app {
                self.sessions[session].causes.insert(word.as_str());
                if gone {
                    self.end(session, word);
                }
            }
        }
    }

    pub fn touch(&mut self, session: usize) {
        let session = &mut self.sessions[session];
        (session.seen, session.seen_least) = (self.now, self.now);
    }

    /// The appliance has said whether a session that was in doubt is alive.
    pub fn learn(&mut self, session: usize, alive: bool) {
        let now = self.now;
        let session = &mut self.sessions[session];
        let Some(idle) = session.idle else { return };
        if alive {
            session.seen_least = session.seen_least.max(now - idle + 1);
        } else {
            session.causes.insert(EndedReason::IdleExpired.as_str());
            session.dead.get_or_insert(now);
        }
    }

    pub fn advance(&mut self, by: Ms) {
        self.now += by;
        let now = self.now;
        for session in &mut self.sessions {
            let idle_end = session.idle.map(|idle| session.seen + idle).filter(|end| *end < session.ends);
            if let Some(end) = idle_end.filter(|end| *end <= now) {
                session.causes.insert(EndedReason::IdleExpired.as_str());
                session.dead.get_or_insert(end);
            }
            if session.ends <= now {
                session.causes.insert(EndedReason::Expired.as_str());
                session.dead.get_or_insert(session.ends);
                if session.idle.is_some_and(|idle| session.seen_least + idle < session.ends) {
                    session.causes.insert(EndedReason::IdleExpired.as_str());
                }
            }
            if session.dead.is_some() {
                session.data = None;
            }
        }
    }

    /// Last seen times reach the disk with housekeeping, to the minute.
    pub fn wrote_seen(&mut self) {
        for session in &mut self.sessions {
            session.seen_on_disk = session.seen_on_disk.max(session.seen_least - MINUTE);
        }
    }

    pub fn restarted(&mut self) {
        for session in &mut self.sessions {
            session.seen_least = session.seen_least.min(session.seen_on_disk.max(session.opened));
        }
    }

    pub fn sign_with(&mut self, key: String) {
        if !self.keys.contains_key(&key) {
            let until = Some(self.now + MEMORY);
            self.keys.values_mut().filter(|old| old.is_none()).for_each(|old| *old = until);
            self.keys.insert(key, None);
        }
    }

    /// Whether the entry for a struck token may have been swept.
    pub fn forgotten(&self, struck: Ms) -> bool {
        struck + MEMORY <= self.now
    }
}
