//! What administrators do.

use crate::sim::{Sim, word};
use crate::world::{Kind, State};
use hallpass::auth::Verdict;
use hallpass::auth::apps::AppFields;
use hallpass::auth::blacklist::Strike;
use hallpass::auth::check::Admin;
use hallpass::auth::data::DataKeeper;
use hallpass::auth::users::UserChange;
use hallpass::model::blacklist::Target;
use hallpass::model::claims::Algorithm;
use hallpass::model::job::SessionFilter;
use hallpass::model::key::KeyState;
use hallpass::model::network::Network;
use hallpass::model::password::Password;
use hallpass::model::session::EndedReason;
use hallpass::model::user::{Role, Standing};

impl Sim {
    pub fn administer(&mut self) {
        match self.dice.below(20) {
            0..3 => self.revoke_one(),
            3 => self.revoke_many(),
            4 => self.revoke_matching(),
            5..10 => self.change_a_user(),
            10..12 => self.change_an_app(),
            12..16 => self.strike(),
            16 => self.take_back(),
            17 => self.rotate_key(),
            _ => self.write_data(),
        }
    }

    fn revoke_one(&mut self) {
        let session = self.dice.below(self.world.sessions.len());
        let Some(id) = self.world.sessions.get(session).map(|known| known.id) else { return };
        self.note(format!("session {session} is revoked"));
        let (auth, console) = (self.auth(), self.console());
        let verdict = self.wait(auth.revoke_session(&console, &id, "by hand"));
        self.was_ended(session, verdict.map(drop));
    }

    fn was_ended(&mut self, session: usize, verdict: Verdict<()>) {
        match verdict {
            Ok(()) => self.world.end(session, EndedReason::Revoked),
            Err(refusal) => {
                assert_eq!(word(&refusal), "not_found");
                assert!(self.forgotten(session), "a session is not found");
            }
        }
    }

    /// An administrator: the operator, or one who is signed in, whose own session is then spared by bulk acts.
    fn some_admin(&mut self) -> (Admin, Option<usize>) {
        let auth = self.auth();
        for cookie in 0..self.world.cookies.len() {
            let session = self.world.cookies[cookie].session;
            let user = &self.world.users[self.world.sessions[session].user];
            if user.admin && self.world.cookie(cookie) == crate::world::Answer::Yes {
                let signed_in = self.check_cookie(cookie).unwrap();
                if let Ok(admin) = auth.member(signed_in).and_then(|member| auth.admin(member)) {
                    return (admin, Some(session));
                }
            }
        }
        (Admin::clone(&self.console()), None)
    }

    fn revoke_many(&mut self) {
        let (admin, own) = self.some_admin();
        let all = self.world.sessions.len();
        let some: Vec<usize> = (0..all).filter(|_| self.dice.chance(20)).collect();
        self.note(format!("sessions {some:?} are revoked from session {own:?}"));
        let ids: Vec<_> = some.iter().map(|at| self.world.sessions[*at].id).collect();
        let auth = self.auth();
        let (ended, skipped) = self.wait(auth.revoke_sessions(&admin, &ids, "")).unwrap();
        assert_eq!(ended + skipped, ids.len());
        for session in some.into_iter().filter(|at| Some(*at) != own) {
            self.world.end(session, EndedReason::Revoked);
        }
    }

    fn revoke_matching(&mut self) {
        let (admin, own) = self.some_admin();
        let sample = self.dice.below(self.world.sessions.len());
        let Some(like) = self.world.sessions.get(sample) else { return };
        let (user, app, network) = (like.user, like.app, like.network);
        let choice = 1 + self.dice.below(7);
        let (by_user, by_app, by_network) = (choice & 1 > 0, choice & 2 > 0, choice & 4 > 0);
        self.note(format!(
            "sessions like {sample} are revoked, by user {by_user} app {by_app} network {by_network}, but not {own:?}"
        ));
        let address = ["192.0.2.10", "2001:db8:1::1", "198.51.100.5", "2001:db8:2::1"][network];
        let filter = SessionFilter {
            user: by_user.then_some(self.world.users[user].id),
            app: by_app.then(|| self.world.apps[app].id.clone()),
            strategy: None,
            network: by_network.then(|| Network::of(address.parse().unwrap())),
        };
        let auth = self.auth();
        self.wait(auth.revoke_matching(&admin, filter, "")).unwrap();
        for session in 0..self.world.sessions.len() {
            let known = &self.world.sessions[session];
            let meant = (!by_user || known.user == user)
                && (!by_app || known.app == app)
                && (!by_network || known.network == network);
            if meant && own != Some(session) {
                self.world.end(session, EndedReason::Revoked);
            }
        }
    }

    fn change_a_user(&mut self) {
        let user = self.dice.below(self.world.users.len());
        let (auth, console, id) = (self.auth(), self.console(), self.world.users[user].id);
        let act =
            self.dice.pick(&["disable", "enable", "enable", "cut off", "end", "role", "password", "delete"]);
        let act = act.unwrap();
        self.note(format!("user {user}: {act}"));
        let known = &self.world.users[user];
        let (was_admin, state) = (known.admin && known.state == State::On, known.state);
        let other_role = if known.admin { Role::User } else { Role::Admin };
        let change = |standing, role| UserChange { standing, role, ..UserChange::default() };
        let password = self.new_password();
        let verdict = match act {
            "disable" => {
                let change = change(Some(Standing::Disabled), None);
                self.wait(auth.update_user(&console, &id, change)).map(drop)
            }
            "enable" => {
                let change = change(Some(Standing::Enabled), None);
                self.wait(auth.update_user(&console, &id, change)).map(drop)
            }
            "cut off" => self.wait(auth.cut_off(&console, &id)).map(drop),
            "end" => self.wait(auth.end_all_of_user(&console, &id, "")),
            "role" => self.wait(auth.update_user(&console, &id, change(None, Some(other_role)))).map(drop),
            "password" => self.wait(auth.set_password(&console, &id, Password::new(password.clone()))),
            _ => self.wait(auth.delete_user(&console, &id)),
        };
        let loses_admin = was_admin && !matches!(act, "enable" | "end" | "password");
        let expected = match state {
            State::Deleted => Some("not_found"),
            _ if loses_admin && self.world.admins() == 1 => Some("last_admin"),
            _ => None,
        };
        let refused = verdict.as_ref().err().map(word);
        assert_eq!(refused, expected, "user {user}: {act}: {verdict:?}");
        if refused.is_some() {
            return;
        }
        let was_on = state == State::On;
        match act {
            "disable" if was_on => self.world.cut(user, EndedReason::UserDisabled, None),
            "cut off" => self.world.cut(user, EndedReason::CutOff, None),
            "end" => self.world.cut(user, EndedReason::Revoked, None),
            "role" => self.world.cut(user, EndedReason::RoleChanged, None),
            "password" => self.world.cut(user, EndedReason::PasswordChanged, None),
            "delete" => self.world.cut(user, EndedReason::UserDeleted, None),
            _ => {}
        }
        let known = &mut self.world.users[user];
        match act {
            "disable" | "cut off" => known.state = State::Off,
            "enable" => known.state = State::On,
            "role" => known.admin = !known.admin,
            "password" => known.password = password,
            "delete" => known.state = State::Deleted,
            _ => {}
        }
        self.make_users_where_few_are_left();
    }

    pub fn make_users_where_few_are_left(&mut self) {
        if self.world.users.iter().filter(|user| user.state == State::On).count() < 4 {
            self.make_user(false);
        }
    }

    fn change_an_app(&mut self) {
        let app = self.dice.below(self.world.apps.len());
        let act = self.dice.pick(&["disable", "enable", "enable", "delete"]).unwrap();
        self.note(format!("app {app}: {act}"));
        let (auth, console, id) = (self.auth(), self.console(), self.world.apps[app].id.clone());
        let disabled = |disabled| AppFields { disabled: Some(disabled), ..AppFields::default() };
        let verdict = match act {
            "disable" => self.wait(auth.update_app(&console, &id, disabled(true))).map(drop),
            "enable" => self.wait(auth.update_app(&console, &id, disabled(false))).map(drop),
            _ => self.wait(auth.delete_app(&console, &id)),
        };
        let known = &self.world.apps[app];
        let appliance = id.as_str() == hallpass::model::app::App::APPLIANCE;
        let expected = match act {
            _ if known.state == State::Deleted => Some("not_found"),
            "disable" if appliance => Some("built_in_app"),
            "delete" if known.built_in => Some("built_in_app"),
            _ => None,
        };
        assert_eq!(verdict.as_ref().err().map(word), expected, "app {app}: {act}");
        if expected.is_some() {
            return;
        }
        let state = match act {
            "disable" => State::Off,
            "enable" => State::On,
            _ => State::Deleted,
        };
        self.world.set_app(app, state);
        if state == State::Deleted {
            let kind = self.world.apps[app].kind;
            self.make_app(kind);
        }
    }

    fn strike(&mut self) {
        let (auth, console) = (self.auth(), self.console());
        match self.dice.below(8) {
            0..3 => self.strike_access(),
            3 => {
                let cookie = self.dice.below(self.world.cookies.len());
                let Some(known) = self.world.cookies.get(cookie) else { return };
                let (text, session) = (known.text.clone(), known.session);
                self.note(format!("a cookie of session {session} is blacklisted"));
                let verdict = self.wait(auth.blacklist(&console, Strike::Secret(text), "stolen"));
                self.was_ended(session, verdict.map(drop));
            }
            4 => {
                let refresh = self.dice.below(self.world.refreshes.len());
                let Some(known) = self.world.refreshes.get(refresh) else { return };
                let (text, session) = (known.text.clone(), known.session);
                self.note(format!("a refresh token of session {session} is blacklisted"));
                let verdict = self.wait(auth.blacklist(&console, Strike::Secret(text), "stolen"));
                self.was_ended(session, verdict.map(drop));
            }
            5 => {
                let session = self.dice.below(self.world.sessions.len());
                let Some(id) = self.world.sessions.get(session).map(|known| known.id) else { return };
                self.note(format!("session {session} is blacklisted"));
                let verdict = self.wait(auth.blacklist(&console, Strike::Session(id), ""));
                self.was_ended(session, verdict.map(drop));
            }
            6 => {
                let user = self.dice.below(self.world.users.len());
                self.note(format!("user {user} is blacklisted"));
                let id = self.world.users[user].id;
                let verdict = self.wait(auth.blacklist(&console, Strike::User(id), ""));
                let deleted = self.world.users[user].state == State::Deleted;
                assert_eq!(verdict.as_ref().err().map(word), deleted.then_some("not_found"));
                if !deleted {
                    self.world.cut(user, EndedReason::Revoked, None);
                }
            }
            _ => self.strike_key(),
        }
    }

    fn strike_access(&mut self) {
        let access = self.dice.below(self.world.accesses.len());
        let Some(known) = self.world.accesses.get(access) else { return };
        let (token, text) = (known.token, known.text.clone());
        let whole = self.dice.chance(50);
        self.note(format!("access token {token} is blacklisted, by its text: {whole}"));
        let (auth, console) = (self.auth(), self.console());
        let strike = if whole { Strike::Secret(text) } else { Strike::Token(token) };
        match self.wait(auth.blacklist(&console, strike, "lost")) {
            Ok(_) => _ = self.world.struck.entry(token).or_insert((self.world.now, true)),
            Err(refusal) => {
                // Its key is gone, so nobody can tell any more whether it was ours.
                assert!(whole && word(&refusal) == "invalid", "{refusal:?}");
                assert_eq!(self.world.access(access), crate::world::Answer::No);
            }
        }
    }

    fn strike_key(&mut self) {
        let mut keys: Vec<String> = self.world.keys.keys().cloned().collect();
        keys.sort();
        keys.extend(self.keys_that_are(KeyState::Next));
        let key = keys[self.dice.below(keys.len())].clone();
        self.note(format!("key {key} is blacklisted"));
        let (auth, console) = (self.auth(), self.console());
        match self.wait(auth.blacklist(&console, Strike::Key(key.clone()), "leaked")) {
            Ok(_) => {
                self.learn_keys();
                self.world.keys.insert(key, Some(self.world.now));
            }
            Err(refusal) => {
                assert_eq!(word(&refusal), "not_found");
                assert!(self.world.keys[&key].is_some_and(|until| until <= self.world.now));
            }
        }
    }

    fn take_back(&mut self) {
        let mut struck: Vec<_> = self.world.struck.keys().copied().collect();
        struck.sort();
        let Some(token) = self.dice.pick(&struck) else { return };
        self.note(format!("access token {token} is taken from the blacklist"));
        let (auth, console) = (self.auth(), self.console());
        let refused = self.wait(auth.unblacklist(&console, &Target::Token(token))).err();
        let (at, by_hand) = self.world.struck[&token];
        match refused.as_ref().map(word) {
            None => {
                assert!(by_hand, "an entry that a verb made was removed");
                self.world.struck.remove(&token);
            }
            Some("entry_is_final") => assert!(!by_hand),
            Some(other) => {
                assert_eq!(other, "not_found");
                assert!(self.world.forgotten(at));
                self.world.struck.remove(&token);
            }
        }
    }

    fn rotate_key(&mut self) {
        self.note("a new signing key".into());
        let (auth, console) = (self.auth(), self.console());
        let key = self.wait(auth.rotate_key(&console, Algorithm::ES256)).unwrap();
        self.world.sign_with(key);
        self.learn_keys();
    }

    fn write_data(&mut self) {
        let session = self.dice.below(self.world.sessions.len());
        let Some(known) = self.world.sessions.get(session) else { return };
        let (id, revision) = (known.id, known.revision);
        let stale = self.dice.chance(20);
        let json = format!("{{\"n\":{}}}", self.dice.below(1000));
        self.note(format!("data of session {session}, stale: {stale}"));
        let (auth, console) = (self.auth(), self.console());
        let if_match = Some(if stale { revision + 1 } else { revision });
        let verdict = self.wait(auth.write_data(DataKeeper::Admin(&console), &id, &json, if_match));
        let forgotten = self.forgotten(session);
        match verdict {
            Err(refusal) if word(&refusal) == "not_found" => assert!(forgotten),
            Err(refusal) if word(&refusal) == "precondition_failed" => assert!(stale),
            verdict => {
                let expected = self.world.alive(session);
                let written = self.judge("session data", verdict, expected, Some(session), false);
                if let Some(written) = written {
                    assert!(!stale, "a stale revision was taken");
                    assert_eq!(written.revision, revision + 1);
                    self.world.sessions[session].revision += 1;
                    self.world.sessions[session].data = Some(json);
                }
            }
        }
        debug_assert!(self.kind_of(session) != Kind::Jwt);
    }
}
