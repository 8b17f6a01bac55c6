//! What people and their clients do.

use crate::sim::{Sim, word};
use crate::world::{Answer, Cookie, Kind, Ms, Place, Presentation, SECOND, Session, State, Use};
use hallpass::auth::check::SignedIn;
use hallpass::auth::login::SignIn;
use hallpass::auth::logout::Scope;
use hallpass::auth::{Client, Refusal};
use hallpass::model::SessionId;
use hallpass::model::password::Password;
use hallpass::model::session::EndedReason;
use std::sync::Arc;

/// How long a cookie that a step-up replaced goes on.
const REPLACED_GOES_ON: Ms = 30 * SECOND;

/// A caller whom a check let in, and what the reference knows of them.
struct Somebody {
    caller: SignedIn,
    session: Option<usize>,
    user: usize,
    /// When they proved the password: what they do gives them no later time.
    proven: Ms,
    cookie: Option<usize>,
}

impl Sim {
    /// One operation, by chance; those that make or use something come up most.
    pub fn act(&mut self) {
        match self.dice.below(100) {
            0..20 => self.sign_in(),
            20..50 => self.present_some(),
            50..56 => self.use_something(),
            56..61 => self.sign_out(),
            61..65 => self.step_up(),
            65..67 => self.change_password(),
            67..69 => self.end_own(),
            69 => self.cut_off_in_the_middle(),
            70..80 => self.administer(),
            80..92 => {
                let by = self.some_time();
                self.note(format!("{by} ms pass"));
                self.advance(by);
            }
            92..97 => {
                self.note("housekeeping".into());
                let auth = self.auth();
                self.wait(auth.keep_house()).unwrap();
                self.world.wrote_seen();
                self.learn_keys();
            }
            _ => {
                let cleanly = self.dice.chance(50);
                self.note(format!("restart, cleanly: {cleanly}"));
                self.restart(cleanly);
            }
        }
    }

    fn sign_in(&mut self) {
        let user = self.dice.below(self.world.users.len());
        let app = self.dice.below(self.world.apps.len());
        let remember = self.dice.chance(20);
        let wrong = self.dice.chance(5);
        let (client, place) = self.somewhere();
        let own: Vec<usize> = (0..self.world.cookies.len())
            .filter(|at| self.world.sessions[self.world.cookies[*at].session].app == app)
            .collect();
        let replaced = if self.dice.chance(30) { self.dice.pick(&own) } else { None };
        self.note(format!("user {user} signs in to app {app}, remember {remember}, replaces {replaced:?}"));
        let (auth, known) = (self.auth(), &self.world.users[user]);
        let mut password = known.password.clone();
        if wrong {
            password.push('x');
        }
        let sign_in = SignIn {
            login: known.login.to_uppercase(),
            password: Password::new(password),
            app: self.world.apps[app].id.clone(),
            remember,
            device_proof: None,
            replaces: replaced.map(|at| self.world.cookies[at].text.clone()),
            client,
        };
        let verdict = self.wait(auth.login(sign_in));
        let expected = match (self.world.app_on(app), self.world.user_on(user) && !wrong) {
            (false, _) => Some("invalid"),
            (true, false) => Some("invalid_credentials"),
            (true, true) => None,
        };
        let refused = verdict.as_ref().err().map(word);
        assert_eq!(refused, expected, "sign-in: {:?}", verdict.as_ref().err());
        let Ok(signed_in) = verdict else { return };
        // A cookie that answers no more ends nothing.
        if let Some(replaced) = replaced.filter(|at| self.world.cookie(*at) != Answer::No) {
            self.world.end(self.world.cookies[replaced].session, EndedReason::SignedInAgain);
        }
        let kind = self.world.apps[app].kind;
        let session = signed_in.issued.session.as_ref();
        let session =
            session.map(|session| self.know_session(session.id, user, app, place.network, remember));
        assert_eq!(session.is_none(), kind == Kind::Jwt);
        self.take(&signed_in.issued, user, app, session, self.world.now);
        assert_eq!(signed_in.issued.refresh_token.is_some(), kind == Kind::Refresh);
        if let (Some(token), Some(session)) = (&signed_in.issued.refresh_token, session) {
            self.take_refresh(token.reveal(), session);
        }
    }

    /// A session that has just been opened; its index.
    pub fn know_session(
        &mut self,
        id: SessionId,
        user: usize,
        app: usize,
        network: usize,
        remember: bool,
    ) -> usize {
        let (now, of) = (self.world.now, &self.world.apps[app]);
        let idles = of.kind == Kind::Refresh || of.kind == Kind::Session && !remember;
        self.world.sessions.push(Session {
            id,
            user,
            app,
            network,
            opened: now,
            ends: now + if remember { of.remember } else { of.absolute },
            idle: idles.then_some(of.idle),
            seen: now,
            seen_least: now,
            seen_on_disk: now,
            proven: now,
            dead: None,
            causes: Default::default(),
            data: None,
            revision: 0,
        });
        self.world.sessions.len() - 1
    }

    fn present_some(&mut self) {
        // Mostly what still does something: fresh ones, and replays that are repaired or noticed.
        let home = Place { network: 0, agent: 0 };
        let all: Vec<usize> = (0..self.world.refreshes.len()).collect();
        let told = |at: &usize| self.world.present(*at, true, home);
        let live: Vec<usize> = all.iter().copied().filter(|at| told(at) != Presentation::Refused).collect();
        let replays: Vec<usize> =
            live.iter().copied().filter(|at| told(at) != Presentation::Rotate).collect();
        let among = match self.dice.below(10) {
            0 => &all,
            1..4 => &replays,
            _ => &live,
        };
        let Some(refresh) = self.dice.pick(among) else { return };
        let (client, place) = match self.world.refreshes[refresh].use_ {
            Use::Spent(_, _, place, _) if self.dice.chance(50) => (self.client_at(place), place),
            _ => self.somewhere(),
        };
        match self.dice.below(20) {
            0 => self.present_as_another_app(refresh, &client),
            1 => self.present_again_and_again(refresh, &client, place),
            2..7 => {
                let tabs = 2 + self.dice.below(6);
                self.present(refresh, &client, place, tabs);
            }
            _ => self.present(refresh, &client, place, 1),
        }
    }

    /// A client that never gets its reply: after so many new successors it is refused.
    fn present_again_and_again(&mut self, refresh: usize, client: &Client, place: Place) {
        for _ in 0..8 {
            self.present(refresh, client, place, 1);
            self.advance(31 * SECOND);
        }
    }

    fn present(&mut self, refresh: usize, client: &Client, place: Place, tabs: usize) {
        let expected = self.world.present(refresh, true, place);
        self.note(format!("refresh token {refresh} in {tabs} tabs at {place:?}: {expected:?}"));
        let auth = self.auth();
        let text = self.world.refreshes[refresh].text.clone();
        let answers = self.wait(async {
            let present = || {
                let (auth, text, client) = (Arc::clone(&auth), text.clone(), client.clone());
                tokio::spawn(async move { auth.refresh(&text, None, &client).await })
            };
            let waiting: Vec<_> = (0..tabs).map(|_| present()).collect();
            let mut answers = Vec::new();
            for answer in waiting {
                answers.push(answer.await.unwrap());
            }
            // Whoever notices the reuse ends the session; the others are told that it has ended.
            answers.sort_by_key(|answer| !matches!(answer, Err(Refusal::RefreshReused)));
            answers
        });
        let mut given = None;
        for answer in answers {
            // Each tab sees what the one before it left; all of them get one and the same successor.
            given = self.presented(refresh, place, answer, given);
        }
    }

    /// Takes in one answer. `given`: what another tab got in the same moment.
    fn presented(
        &mut self,
        refresh: usize,
        place: Place,
        answer: Result<hallpass::auth::issue::Issued, Refusal>,
        given: Option<String>,
    ) -> Option<String> {
        let session = self.world.refreshes[refresh].session;
        let mut expected = self.world.present(refresh, true, place);
        if expected == Presentation::Unsure {
            self.world.learn(session, answer.is_ok());
            expected = self.world.present(refresh, true, place);
        }
        let what = format!("refresh token {refresh} ({})", self.told(Some(session)));
        let issued = match (answer, expected) {
            (Ok(issued), Presentation::Rotate | Presentation::Repeat(_) | Presentation::Reissue(_)) => issued,
            (Err(refusal), Presentation::Refused) => {
                self.judge::<()>(&what, Err(refusal), Answer::No, Some(session), true);
                return None;
            }
            (Err(refusal), Presentation::TooOften) => {
                assert_eq!(word(&refusal), "invalid_refresh_token", "{what}");
                return None;
            }
            (Err(refusal), Presentation::Reuse) => {
                assert_eq!(word(&refusal), "refresh_reused", "{what}");
                self.world.end(session, EndedReason::RefreshReused);
                return None;
            }
            (Err(refusal), expected) => panic!("{what}: {refusal:?} instead of {expected:?}"),
            (Ok(_), expected) => panic!("{what}: a pair instead of {expected:?}"),
        };
        let Session { user, app, proven, .. } = self.world.sessions[session];
        self.take(&issued, user, app, Some(session), proven);
        let text = issued.refresh_token.as_ref().expect("a refresh token").reveal();
        assert!(given.is_none_or(|given| given == text), "{what}: two tabs got different successors");
        let replaced = match (expected, self.world.refreshes[refresh].use_) {
            (Presentation::Repeat(successor), _) => {
                assert_eq!(self.world.refreshes[successor].text, text, "{what}: another successor");
                return Some(text);
            }
            (Presentation::Reissue(successor), Use::Spent(_, _, _, replaced)) => {
                self.world.refreshes[successor].use_ = Use::Superseded;
                replaced + 1
            }
            _ => 0,
        };
        assert!(self.world.refreshes.iter().all(|known| known.text != text), "{what}: an old token again");
        let successor = self.take_refresh(text.clone(), session);
        self.world.refreshes[refresh].use_ = Use::Spent(successor, self.world.now, place, replaced);
        self.world.touch(session);
        self.world.sessions[session].seen_on_disk = self.world.now;
        Some(text)
    }

    fn present_as_another_app(&mut self, refresh: usize, client: &Client) {
        self.note(format!("refresh token {refresh} by another app"));
        let auth = self.auth();
        let other = "app-of-a-thief".parse().unwrap();
        let text = self.world.refreshes[refresh].text.clone();
        let refusal = self.wait(auth.refresh(&text, Some(&other), client)).err();
        assert_eq!(refusal.as_ref().map(word), Some("invalid_refresh_token"));
    }

    fn client_at(&mut self, place: Place) -> Client {
        loop {
            let (client, at) = self.somewhere();
            if at == place {
                return client;
            }
        }
    }

    /// Somebody with a credential that opens something.
    fn somebody(&mut self) -> Option<Somebody> {
        let cookies = 0..self.world.cookies.len();
        let cookies: Vec<usize> = cookies.filter(|at| self.world.cookie(*at) != Answer::No).collect();
        let accesses = 0..self.world.accesses.len();
        let accesses: Vec<usize> = accesses.filter(|at| self.world.access(*at) != Answer::No).collect();
        if self.dice.chance(60) {
            let cookie = self.dice.pick(&cookies)?;
            let Cookie { session, proven, .. } = self.world.cookies[cookie];
            let caller = self.check_cookie(cookie)?;
            let user = self.world.sessions[session].user;
            Some(Somebody { caller, session: Some(session), user, proven, cookie: Some(cookie) })
        } else {
            let access = self.dice.pick(&accesses)?;
            let known = &self.world.accesses[access];
            let (user, session, proven) = (known.user, known.session, known.proven);
            let caller = self.check_access(access)?;
            Some(Somebody { caller, session, user, proven, cookie: None })
        }
    }

    fn use_something(&mut self) {
        self.note("a look at a cookie".into());
        if !self.world.cookies.is_empty() {
            let cookie = self.dice.below(self.world.cookies.len());
            self.check_cookie(cookie);
        }
    }

    fn sign_out(&mut self) {
        let Some(Somebody { caller, session, user, proven, .. }) = self.somebody() else { return };
        let auth = self.auth();
        let scope = self.dice.pick(&[Scope::Local, Scope::Others, Scope::Others, Scope::Global]).unwrap();
        self.note(format!("user {user} signs out of session {session:?}, {scope:?}"));
        let issued = self.wait(auth.logout(&caller, scope)).unwrap();
        match (scope, session) {
            (Scope::Local, Some(session)) => self.world.end(session, EndedReason::Logout),
            (Scope::Local, None) => {
                let hallpass::auth::check::Means::Access { token } = caller.means() else {
                    panic!("no token")
                };
                self.world.struck.insert(*token, (self.world.now, false));
            }
            (Scope::Global, _) => self.world.cut(user, EndedReason::LogoutEverywhere, None),
            (Scope::Others, _) => {
                self.go_on(&caller, (session, user, proven), issued.unwrap(), EndedReason::LogoutOthers)
            }
        }
    }

    /// Everything else of the user ended; the caller has new credentials.
    fn go_on(
        &mut self,
        caller: &SignedIn,
        (session, user, proven): (Option<usize>, usize, Ms),
        issued: hallpass::auth::issue::Issued,
        reason: EndedReason,
    ) {
        self.world.cut(user, reason, session);
        let app = self.world.apps.iter().position(|app| app.id == caller.app().id).unwrap();
        self.take(&issued, user, app, session, proven);
        if let Some(session) = session {
            let known = &mut self.world.sessions[session].proven;
            *known = proven.min(*known);
        }
        if let (Some(token), Some(session)) = (&issued.refresh_token, session) {
            self.world.touch(session);
            self.world.sessions[session].seen_on_disk = self.world.now;
            self.take_refresh(token.reveal(), session);
        }
    }

    fn step_up(&mut self) {
        let Some(Somebody { caller, session, user, cookie, .. }) = self.somebody() else { return };
        self.note(format!("user {user} proves the password in session {session:?}"));
        let (auth, client) = (self.auth(), self.somewhere().0);
        let password = Password::new(self.world.users[user].password.clone());
        let issued = self.wait(auth.reauthenticate(&caller, password, None, &client)).unwrap();
        let now = self.world.now;
        // An access token alone has the privilege: the session's refresh token does not come by it.
        if let (Some(session), Some(_)) = (session, cookie) {
            self.world.sessions[session].proven = now;
        }
        if let Some(cookie) = cookie {
            let from = now + REPLACED_GOES_ON;
            let cookie = &mut self.world.cookies[cookie];
            cookie.dead_from = Some(cookie.dead_from.map_or(from, |dead| dead.min(from)));
        }
        let app = self.world.apps.iter().position(|app| app.id == caller.app().id).unwrap();
        self.take(&issued, user, app, session, now);
    }

    fn change_password(&mut self) {
        let Some(Somebody { caller, session, user, proven, .. }) = self.somebody() else { return };
        self.note(format!("user {user} changes the password in session {session:?}"));
        let (auth, client) = (self.auth(), self.somewhere().0);
        let (old, new) = (self.world.users[user].password.clone(), self.new_password());
        let change =
            auth.change_own_password(&caller, Password::new(old), Password::new(new.clone()), None, &client);
        let issued = self.wait(change).unwrap();
        self.world.users[user].password = new;
        self.go_on(&caller, (session, user, proven), issued, EndedReason::PasswordChanged);
    }

    pub fn new_password(&mut self) -> String {
        format!("velvet {:016x}", self.dice.next())
    }

    fn end_own(&mut self) {
        let Some(Somebody { caller, user, .. }) = self.somebody() else { return };
        let auth = self.auth();
        let Ok(member) = auth.member(caller) else { return };
        let session = self.dice.below(self.world.sessions.len());
        self.note(format!("user {user} ends session {session}"));
        let known = &self.world.sessions[session];
        let (own, id) = (known.user == user, known.id);
        match self.wait(auth.end_own_session(&member, &id)) {
            Ok(_) => {
                assert!(own, "a session of somebody else was ended");
                self.world.end(session, EndedReason::Revoked);
            }
            Err(refusal) => {
                assert_eq!(word(&refusal), "not_found");
                assert!(!own || self.forgotten(session), "one's own session is not found");
            }
        }
    }

    pub fn make_user(&mut self, admin: bool) {
        use hallpass::model::user::Role;
        let (auth, console) = (self.auth(), self.console());
        let login = format!("person{}", self.world.users.len());
        let password = self.new_password();
        let new = hallpass::auth::users::NewUser {
            login: login.clone(),
            email: None,
            email_verified: false,
            name: String::new(),
            role: if admin { Role::Admin } else { Role::User },
            groups: Vec::new(),
            password: Some(Password::new(password.clone())),
        };
        let id = self.wait(auth.create_user(&console, new)).unwrap().value.id;
        self.world.users.push(crate::world::User { id, login, password, admin, state: State::On, cuts: 0 });
    }
}
