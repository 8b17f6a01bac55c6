//! One verb after the other on the reference of who may act.

use crate::verbs::{Event, Given, Proof, Verb};
use crate::world::{
    self, Access, Answer, Cookie, Kind, Place, Presentation, Refresh, Session, State, Use, User, World,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use hallpass::auth::check::Means;
use hallpass::auth::issue::Issued;
use hallpass::auth::logout::Scope;
use hallpass::model::session::EndedReason;
use hallpass::model::{AppId, SecretId, UserId};
use std::collections::BTreeMap;

const PLACE: Place = Place { network: 0, agent: 0 };
/// How long a cookie goes on that a step-up replaced.
const REPLACED_GOES_ON: world::Ms = 30 * world::SECOND;
const SECRETS_MAX: usize = 2;
/// A key that was made and not told of.
pub const SOME_KEY: &str = "some key";

/// The reference world, and what it does not know of.
#[derive(Clone, Default)]
pub struct Model {
    pub world: World,
    pub secrets: BTreeMap<AppId, Vec<SecretId>>,
    /// Codes that are not used yet.
    pub codes: BTreeMap<String, UserId>,
}

impl Model {
    fn user(&self, id: &UserId) -> usize {
        self.world.users.iter().position(|user| user.id == *id).expect("a known user")
    }

    fn app(&self, id: &AppId) -> usize {
        self.world.apps.iter().position(|app| app.id == *id).expect("a known app")
    }

    fn session(&self, id: &hallpass::model::SessionId) -> usize {
        self.world.sessions.iter().position(|session| session.id == *id).expect("a known session")
    }

    /// Does what was asked, as it was answered. `false`: at this moment the answer would be another.
    pub fn step(&mut self, event: &Event) -> bool {
        match self.decide(&event.verb, event.answer.as_ref().ok()) {
            Ok(fits) => fits && event.answer.is_ok(),
            Err(word) => event.answer.as_ref().err() == Some(&word),
        }
    }

    /// `Err`: the refusal. `Ok`: whether what was given fits.
    pub fn decide(&mut self, verb: &Verb, given: Option<&Given>) -> Result<bool, &'static str> {
        match verb {
            Verb::SignIn { login, password, app } => self.sign_in(login, password, app, given),
            Verb::Check { text } => {
                if self.opens(text) {
                    Ok(true)
                } else {
                    Err("no")
                }
            }
            Verb::Refresh { text } => self.refresh(text, given),
            Verb::SignOut { proof, scope } => self.sign_out(proof, *scope, given),
            Verb::StepUp { proof, password } => self.step_up(proof, password, given),
            Verb::ChangePassword { proof, current, new } => {
                let user = self.user(&proof.caller.user().id);
                if self.world.users[user].password != *current || !self.world.user_on(user) {
                    return Err("no");
                }
                let fits = self.go_on(proof, EndedReason::PasswordChanged, given)?;
                self.world.users[user].password = new.clone();
                Ok(fits)
            }
            Verb::SetPassword { user, new } => self.change(user, |model, user| {
                model.world.cut(user, EndedReason::PasswordChanged, None);
                model.world.users[user].password = new.clone();
            }),
            Verb::ResetPassword { code, user, new } => {
                self.codes.remove(code).ok_or("no")?;
                self.change(user, |model, user| {
                    model.world.cut(user, EndedReason::PasswordChanged, None);
                    model.world.users[user].password = new.clone();
                })
                .map_err(|_| "no")
            }
            Verb::Create { login, admin } => {
                if self.has(login, None) {
                    return Err("name_taken");
                }
                let Some(Given::User(id)) = given else { return Ok(false) };
                let (login, password) = (login.clone(), String::new());
                let user = User { id: *id, login, password, admin: *admin, state: State::On, cuts: 0 };
                self.world.users.push(user);
                Ok(true)
            }
            Verb::Rename { user, login } => {
                let taken = self.has(login, Some(user));
                let deleted = self.world.users[self.user(user)].state == State::Deleted;
                if taken && !deleted {
                    return Err("name_taken");
                }
                self.change(user, |model, user| model.world.users[user].login = login.clone())
            }
            Verb::SetEnabled { user, on: true } => {
                self.change(user, |model, user| model.world.users[user].state = State::On)
            }
            Verb::SetEnabled { user, on: false } => self.leave(
                user,
                |_| false,
                |model, user| {
                    if model.world.user_on(user) {
                        model.world.cut(user, EndedReason::UserDisabled, None);
                    }
                    model.world.users[user].state = State::Off;
                },
            ),
            Verb::SetAdmin { user, admin } => self.leave(
                user,
                |_| *admin,
                |model, user| {
                    if model.world.users[user].admin != *admin {
                        model.world.cut(user, EndedReason::RoleChanged, None);
                    }
                    model.world.users[user].admin = *admin;
                },
            ),
            Verb::CutOff { user } => self.leave(
                user,
                |_| false,
                |model, user| {
                    model.world.cut(user, EndedReason::CutOff, None);
                    model.world.users[user].state = State::Off;
                },
            ),
            Verb::EndAll { user } => {
                self.change(user, |model, user| model.world.cut(user, EndedReason::Revoked, None))
            }
            Verb::Delete { user } => self.leave(
                user,
                |_| false,
                |model, user| {
                    model.world.cut(user, EndedReason::UserDeleted, None);
                    model.world.users[user].state = State::Deleted;
                },
            ),
            Verb::EndSession { session } | Verb::StrikeSession { session } => {
                let session = self.session(session);
                self.world.end(session, EndedReason::Revoked);
                Ok(true)
            }
            Verb::EndMatching { user } => {
                let user = self.user(user);
                for session in 0..self.world.sessions.len() {
                    if self.world.sessions[session].user == user {
                        self.world.end(session, EndedReason::Revoked);
                    }
                }
                Ok(true)
            }
            Verb::StrikeToken { token } => {
                self.world.struck.entry(*token).or_insert((self.world.now, true));
                Ok(true)
            }
            Verb::TakeBack { token } => match self.world.struck.get(token) {
                None => Err("not_found"),
                Some((_, false)) => Err("entry_is_final"),
                Some((_, true)) => Ok(self.world.struck.remove(token).is_some()),
            },
            Verb::WriteData { session, revision } => {
                let session = self.session(session);
                if self.world.alive(session) != Answer::Yes {
                    return Err("no");
                }
                let known = &mut self.world.sessions[session];
                if known.revision != *revision {
                    return Err("precondition_failed");
                }
                known.revision += 1;
                Ok(true)
            }
            Verb::SetApp { app, on } => {
                let state = if *on { State::On } else { State::Off };
                self.change_app(app, |model, app| {
                    model.world.set_app(app, state);
                    Ok(())
                })
            }
            Verb::DeleteApp { app } => self.change_app(app, |model, at| {
                model.world.set_app(at, State::Deleted);
                model.secrets.insert(app.clone(), Vec::new());
                Ok(())
            }),
            Verb::AddSecret { app } => {
                let Some(secrets) = self.secrets.get(app) else { return Err("public_app") };
                let full = secrets.len() >= SECRETS_MAX;
                self.change_app(app, |_, _| if full { Err("too_many_secrets") } else { Ok(()) })?;
                let Some(Given::Secret(id)) = given else { return Ok(false) };
                self.secrets.get_mut(app).expect("its secrets").push(*id);
                Ok(true)
            }
            Verb::RemoveSecret { app, secret } => self.change_app(app, |model, _| {
                let secrets = model.secrets.get_mut(app).ok_or("not_found")?;
                let at = secrets.iter().position(|known| known == secret).ok_or("not_found")?;
                secrets.remove(at);
                Ok(())
            }),
            Verb::RotateKey => {
                let Some(Given::Key(kid)) = given else { return Ok(false) };
                self.world.sign_with(kid.clone());
                Ok(true)
            }
            Verb::StrikeKey { kid } => {
                if self.world.keys.get(kid).ok_or("not_found")?.is_none() {
                    self.world.sign_with(SOME_KEY.into());
                }
                let now = self.world.now;
                self.world.keys.insert(kid.clone(), Some(now));
                Ok(true)
            }
            Verb::KeepHouse => Ok(true),
        }
    }

    fn has(&self, login: &str, except: Option<&UserId>) -> bool {
        let mut users = self.world.users.iter();
        users.any(|user| user.login == login && user.state != State::Deleted && Some(&user.id) != except)
    }

    fn change(&mut self, user: &UserId, change: impl FnOnce(&mut Self, usize)) -> Result<bool, &'static str> {
        let user = self.user(user);
        if self.world.users[user].state == State::Deleted {
            return Err("not_found");
        }
        change(self, user);
        Ok(true)
    }

    /// A change after which the user is no enabled administrator, unless `stays`.
    fn leave(
        &mut self,
        user: &UserId,
        stays: impl FnOnce(&User) -> bool,
        change: impl FnOnce(&mut Self, usize),
    ) -> Result<bool, &'static str> {
        let known = &self.world.users[self.user(user)];
        let last = known.admin && known.state == State::On && self.world.admins() == 1;
        if last && !stays(known) {
            return Err("last_admin");
        }
        self.change(user, change)
    }

    fn change_app(
        &mut self,
        app: &AppId,
        change: impl FnOnce(&mut Self, usize) -> Result<(), &'static str>,
    ) -> Result<bool, &'static str> {
        let app = self.app(app);
        if self.world.apps[app].state == State::Deleted {
            return Err("not_found");
        }
        change(self, app).map(|()| true)
    }

    fn sign_in(
        &mut self,
        login: &str,
        password: &str,
        app: &AppId,
        given: Option<&Given>,
    ) -> Result<bool, &'static str> {
        let app = self.app(app);
        let user =
            self.world.users.iter().position(|user| user.login == login && user.state != State::Deleted);
        // Whoever was made without a password has none that is right.
        let user = user.filter(|_| !password.is_empty()).ok_or("no")?;
        if !self.world.user_on(user) || self.world.users[user].password != password || !self.world.app_on(app)
        {
            return Err("no");
        }
        let Some(Given::Credentials(issued)) = given else { return Ok(false) };
        let session = issued.session.as_ref().map(|session| {
            let (of, now) = (&self.world.apps[app], self.world.now);
            self.world.sessions.push(Session {
                id: session.id,
                user,
                app,
                network: 0,
                opened: now,
                ends: now + of.absolute,
                idle: None,
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
        });
        let whole = session.is_some() == (self.world.apps[app].kind != Kind::Jwt);
        self.take(issued, user, app, session);
        Ok(whole)
    }

    /// Takes in what a client was handed.
    fn take(&mut self, issued: &Issued, user: usize, app: usize, session: Option<usize>) {
        let (cuts, now) = (self.world.users[user].cuts, self.world.now);
        if let (Some(token), Some(session)) = (&issued.session_token, session) {
            let text = token.reveal();
            self.world.cookies.push(Cookie { text, session, cuts, proven: now, dead_from: None });
        }
        if let (Some(token), Some(session)) = (&issued.refresh_token, session) {
            let ends = self.world.sessions[session].ends;
            let text = token.reveal();
            self.world.refreshes.push(Refresh { text, session, cuts, idle_end: ends, use_: Use::Fresh });
        }
        if let Some(access) = &issued.access_token {
            let key = signed_by(&access.token);
            let expires = now / world::SECOND + access.expires_in_seconds;
            let (text, token) = (access.token.clone(), access.id);
            let access = Access { text, user, app, session, cuts, token, key, expires, proven: now };
            self.world.accesses.push(access);
        }
    }

    /// Whether a check lets the holder in.
    pub fn opens(&self, text: &str) -> bool {
        let cookie = self.world.cookies.iter().position(|cookie| cookie.text == text);
        let access = self.world.accesses.iter().position(|access| access.text == text);
        let answer = cookie.map(|at| self.world.cookie(at)).or(access.map(|at| self.world.access(at)));
        answer == Some(Answer::Yes)
    }

    fn refresh(&mut self, text: &str, given: Option<&Given>) -> Result<bool, &'static str> {
        let at = self.world.refreshes.iter().position(|refresh| refresh.text == text);
        let at = at.expect("a known refresh token");
        let session = self.world.refreshes[at].session;
        let verdict = self.world.present(at, true, PLACE);
        let successor = match verdict {
            Presentation::Rotate => None,
            Presentation::Repeat(successor) => Some(successor),
            Presentation::Reuse => {
                self.world.end(session, EndedReason::RefreshReused);
                return Err("refresh_reused");
            }
            _ => return Err("no"),
        };
        let Some(Given::Credentials(issued)) = given else { return Ok(false) };
        let Some(token) = &issued.refresh_token else { return Ok(false) };
        let known = self.world.refreshes.iter().position(|refresh| refresh.text == token.reveal());
        if known != successor {
            return Ok(false);
        }
        let Session { user, app, .. } = self.world.sessions[session];
        let before = self.world.refreshes.len();
        self.take(issued, user, app, Some(session));
        match successor {
            // The same one again is no new one.
            Some(_) => self.world.refreshes.truncate(before),
            None => self.world.refreshes[at].use_ = Use::Spent(before, self.world.now, PLACE, 0),
        }
        Ok(true)
    }

    fn sign_out(&mut self, proof: &Proof, scope: Scope, given: Option<&Given>) -> Result<bool, &'static str> {
        let user = self.user(&proof.caller.user().id);
        match (scope, proof.caller.session_id()) {
            (Scope::Others, _) => return self.go_on(proof, EndedReason::LogoutOthers, given),
            (Scope::Global, _) => self.world.cut(user, EndedReason::LogoutEverywhere, None),
            (Scope::Local, Some(session)) => {
                let session = self.session(&session);
                self.world.end(session, EndedReason::Logout);
            }
            (Scope::Local, None) => {
                let Means::Access { token } = proof.caller.means() else { return Ok(false) };
                self.world.struck.insert(*token, (self.world.now, false));
            }
        }
        Ok(true)
    }

    /// Whether what the holder proved is still so: user, app, session, and the token itself.
    fn still_good(&self, proof: &Proof) -> bool {
        let cuts =
            self.world.cookies.iter().find(|cookie| cookie.text == proof.text).map(|cookie| cookie.cuts);
        let access = self.world.accesses.iter().find(|access| access.text == proof.text);
        let cuts = cuts.or(access.map(|access| access.cuts));
        let session = proof.caller.session_id().map(|id| self.session(&id));
        cuts == Some(self.world.users[self.user(&proof.caller.user().id)].cuts)
            && self.world.app_on(self.app(&proof.caller.app().id))
            && session.is_none_or(|session| self.world.alive(session) == Answer::Yes)
            && access.is_none_or(|access| !self.world.struck.contains_key(&access.token))
    }

    /// Everything else of the user ends; the caller goes on with new credentials.
    fn go_on(
        &mut self,
        proof: &Proof,
        reason: EndedReason,
        given: Option<&Given>,
    ) -> Result<bool, &'static str> {
        if !self.still_good(proof) {
            return Err("no");
        }
        let (user, app) = (self.user(&proof.caller.user().id), self.app(&proof.caller.app().id));
        let session = proof.caller.session_id().map(|id| self.session(&id));
        self.world.cut(user, reason, session);
        let Some(Given::Credentials(issued)) = given else { return Ok(false) };
        self.take(issued, user, app, session);
        Ok(true)
    }

    fn step_up(
        &mut self,
        proof: &Proof,
        password: &str,
        given: Option<&Given>,
    ) -> Result<bool, &'static str> {
        let (user, app) = (self.user(&proof.caller.user().id), self.app(&proof.caller.app().id));
        let known = &self.world.users[user];
        if !self.still_good(proof) || known.password != password || known.state != State::On {
            return Err("no");
        }
        let from = self.world.now + REPLACED_GOES_ON;
        for cookie in self.world.cookies.iter_mut().filter(|cookie| cookie.text == proof.text) {
            cookie.dead_from = Some(cookie.dead_from.map_or(from, |dead| dead.min(from)));
        }
        let Some(Given::Credentials(issued)) = given else { return Ok(false) };
        let session = proof.caller.session_id().map(|id| self.session(&id));
        self.take(issued, user, app, session);
        Ok(true)
    }
}

/// The key that a token's head names.
fn signed_by(token: &str) -> String {
    let head = BASE64URL.decode(token.split('.').next().unwrap_or_default()).expect("base64url");
    let head: serde_json::Value = serde_json::from_slice(&head).expect("JSON");
    head["kid"].as_str().expect("a key").to_owned()
}
