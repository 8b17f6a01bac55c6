//! What a person does, and what administrators do to them.

use crate::browser::Browser;
use crate::ledger::{Hold, Ledger, Reach, State};
use crate::server::{Answer, Api, House};
use serde_json::json;
use std::time::Duration;

/// Apps of all four strategies.
pub const APPS: [&str; 4] = ["default", "web", "tracker", "stateless"];

/// One act of a [`Ledger`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    SignIn,
    SignInByPage,
    Rotate,
    RotateByApp,
    StepUp,
    SignOut,
    SignOutByPage,
    EndOwn,
    EndOwnByPage,
    GiveBack,
    Revoke,
    RevokeListed,
    RevokeMatching,
    StrikeSession,
    StrikeAndTakeBack,
    EndOthers,
    EndOthersAsMember,
    EndOthersByPage,
    EndAll,
    EndAllOfUser,
    StrikeUser,
    ChangePassword,
    ChangePasswordByPage,
    SetPassword,
    ResetPassword,
    Rename,
    RenameByPage,
    KeepData,
    DisableAndEnable,
    CutOffAndEnable,
}

/// How often each comes up.
pub const DECK: &[(Act, usize)] = &[
    (Act::SignIn, 24),
    (Act::SignInByPage, 4),
    (Act::Rotate, 20),
    (Act::RotateByApp, 5),
    (Act::StepUp, 3),
    (Act::SignOut, 3),
    (Act::SignOutByPage, 1),
    (Act::EndOwn, 2),
    (Act::EndOwnByPage, 1),
    (Act::GiveBack, 3),
    (Act::Revoke, 4),
    (Act::RevokeListed, 2),
    (Act::RevokeMatching, 1),
    (Act::StrikeSession, 2),
    (Act::StrikeAndTakeBack, 2),
    (Act::EndOthers, 1),
    (Act::EndOthersAsMember, 1),
    (Act::EndOthersByPage, 1),
    (Act::EndAll, 1),
    (Act::EndAllOfUser, 1),
    (Act::StrikeUser, 1),
    (Act::ChangePassword, 1),
    (Act::ChangePasswordByPage, 1),
    (Act::SetPassword, 1),
    (Act::ResetPassword, 1),
    (Act::Rename, 2),
    (Act::RenameByPage, 1),
    (Act::KeepData, 4),
    (Act::DisableAndEnable, 1),
    (Act::CutOffAndEnable, 1),
];

/// What a hold must be for an act.
type Fits = fn(&Hold) -> bool;
const ANY: Fits = |_| true;
const WITH_SESSION: Fits = |hold| hold.session.is_some();
const STATELESS: Fits = |hold| hold.app == "stateless";
/// Only these apps open one's own account.
const MEMBER: Fits = |hold| ["default", "web", "hallpass"].contains(&hold.app);
const BY_PAGE: Fits = |hold| hold.app == "hallpass";

/// The app that an act is about, where it is about one.
fn home_of(act: Act) -> Option<&'static str> {
    match act {
        Act::SignOutByPage
        | Act::EndOwnByPage
        | Act::EndOthersByPage
        | Act::ChangePasswordByPage
        | Act::RenameByPage => Some("hallpass"),
        Act::StrikeAndTakeBack => Some("stateless"),
        _ => None,
    }
}

impl Ledger {
    /// Carries one out. `None`: no answer came.
    pub fn act(&mut self, reach: &Reach<'_>, act: Act) -> Option<()> {
        let Reach { api, boss, .. } = *reach;
        // So that there is something to act on.
        if let Some(app) = home_of(act)
            && self.some(if app == "hallpass" { BY_PAGE } else { STATELESS }).is_none()
        {
            if app == "hallpass" { self.sign_in_by_page(reach)? } else { self.sign_in(reach, app)? }
        }
        let user = format!("/api/v1/admin/users/{}", self.user);
        match act {
            Act::SignIn => {
                let app = APPS[self.below(APPS.len())];
                self.sign_in(reach, app)
            }
            Act::SignInByPage => self.sign_in_by_page(reach),
            Act::Rotate | Act::RotateByApp => self.rotate(reach, act == Act::RotateByApp),
            Act::StepUp => self.step_up(reach),
            Act::SignOut => self.end(ANY, |hold| {
                api.post("/api/v1/auth/logout", Some(&hold.bearer), json!({ "scope": "local" }))
            }),
            Act::SignOutByPage => self
                .end(BY_PAGE, |hold| Browser::signed_in(api, &hold.bearer).submit("/logout", "/logout", &[])),
            Act::EndOwn => self.end(
                |hold| MEMBER(hold) && WITH_SESSION(hold),
                |hold| {
                    let path = format!("/api/v1/me/sessions/{}", hold.session.as_deref()?);
                    api.send("DELETE", &path, Some(&hold.bearer), json!({}))
                },
            ),
            Act::EndOwnByPage => {
                let token = self.some(BY_PAGE).map(|at| self.holds[at].bearer.clone());
                let Some(token) = token else { return Some(()) };
                self.end(WITH_SESSION, |hold| {
                    let action = format!("/account/sessions/{}/end", hold.session.as_deref()?);
                    Browser::signed_in(api, &token).submit("/account", &action, &[])
                })
            }
            Act::GiveBack => self.end(
                |hold| hold.app != "hallpass",
                |hold| {
                    let token = hold.refresh.as_ref().unwrap_or(&hold.bearer);
                    api.form("/oauth2/revoke", &[], &[("client_id", hold.app), ("token", token)])
                },
            ),
            Act::Revoke => self.end(WITH_SESSION, |hold| {
                let path = format!("/api/v1/admin/sessions/{}", hold.session.as_deref()?);
                api.send("DELETE", &path, Some(boss), json!({}))
            }),
            Act::RevokeListed => self.end(WITH_SESSION, |hold| {
                api.post("/api/v1/admin/sessions/revoke", Some(boss), json!({ "ids": [hold.session] }))
            }),
            Act::RevokeMatching => self.end_matching(reach),
            Act::StrikeSession => self.end(WITH_SESSION, |hold| {
                api.post("/api/v1/admin/blacklist", Some(boss), json!({ "sid": hold.session }))
            }),
            Act::StrikeAndTakeBack => self.strike_and_take_back(reach),
            Act::EndOthers => self.end_others(ANY, |hold| {
                api.post("/api/v1/auth/logout", Some(&hold.bearer), json!({ "scope": "others" }))
            }),
            Act::EndOthersAsMember => self.end_others(MEMBER, |hold| {
                api.post("/api/v1/me/sessions/revoke-others", Some(&hold.bearer), json!({}))
            }),
            Act::EndOthersByPage => {
                self.end_others(BY_PAGE, |hold| by_page(reach, hold, "/account/sessions/end-others", &[]))
            }
            Act::EndAll => {
                let Some(at) = self.some(ANY) else { return Some(()) };
                self.end_all(|ledger| {
                    let bearer = &ledger.holds[at].bearer;
                    api.post("/api/v1/auth/logout", Some(bearer), json!({ "scope": "global" }))
                })
            }
            Act::EndAllOfUser => {
                self.end_all(|_| api.send("DELETE", &format!("{user}/sessions"), Some(boss), json!({})))
            }
            Act::StrikeUser => self.end_all(|ledger| {
                api.post("/api/v1/admin/blacklist", Some(boss), json!({ "user_id": ledger.user }))
            }),
            Act::ChangePassword => self.change_password(MEMBER, |hold, old, new| {
                let body = json!({ "current_password": old, "new_password": new });
                api.send("PUT", "/api/v1/me/password", Some(&hold.bearer), body)
            }),
            Act::ChangePasswordByPage => self.change_password(BY_PAGE, |hold, old, new| {
                let again = ("new_password_again", new);
                let fields = [("current_password", old), ("new_password", new), again];
                by_page(reach, hold, "/account/password", &fields)
            }),
            Act::SetPassword => self.get_password(|_, new| {
                api.send("PUT", &format!("{user}/password"), Some(boss), json!({ "new_password": new }))
            }),
            Act::ResetPassword => match reach.house {
                Some(house) => self.get_password(|ledger, new| ledger.reset_password(api, house, new)),
                None => Some(()),
            },
            Act::Rename => self.rename(MEMBER, |hold, name| {
                api.send("PATCH", "/api/v1/me", Some(&hold.bearer), json!({ "name": name }))
            }),
            Act::RenameByPage => {
                self.rename(BY_PAGE, |hold, name| by_page(reach, hold, "/account/name", &[("name", name)]))
            }
            Act::KeepData => self.keep_data(reach),
            Act::DisableAndEnable => {
                self.pause(reach, || api.send("PATCH", &user, Some(boss), json!({ "state": "disabled" })))
            }
            Act::CutOffAndEnable => {
                self.pause(reach, || api.post(&format!("{user}/cut-off"), Some(boss), json!({})))
            }
        }
    }

    /// One of the holds that are alive and fit.
    fn some(&mut self, fits: Fits) -> Option<usize> {
        let fits = |at: &usize| self.holds[*at].state == State::Alive && fits(&self.holds[*at]);
        let found: Vec<usize> = (0..self.holds.len()).filter(fits).collect();
        if found.is_empty() { None } else { Some(found[self.below(found.len())]) }
    }

    fn sign_in(&mut self, reach: &Reach<'_>, app: &'static str) -> Option<()> {
        let answer = reach.api.sign_in(&self.login, self.passwords.last()?, app)?;
        let bearer = answer.text("session_token").or_else(|| answer.text("access_token"));
        let Some(bearer) = bearer else {
            self.losses.push(format!("{} cannot sign in to {app}: {answer:?}", self.login));
            return Some(());
        };
        let session = answer.body["session"]["id"].as_str().map(str::to_owned);
        self.keep(Hold::new(app, session, bearer, answer.text("refresh_token")));
        Some(())
    }

    fn sign_in_by_page(&mut self, reach: &Reach<'_>) -> Option<()> {
        let mut browser = Browser::new(reach.api);
        let fields = [("login", self.login.as_str()), ("password", self.passwords.last()?)];
        let answer = browser.submit("/login", "/login", &fields)?;
        let Some(token) = browser.session_token().filter(|_| answer.is_ok()) else {
            self.losses.push(format!("{} cannot sign in on the page: {answer:?}", self.login));
            return Some(());
        };
        let seen = reach.api.get("/api/v1/auth/session", Some(&token))?;
        let session = seen.body["session"]["id"].as_str().map(str::to_owned);
        self.keep(Hold::new("hallpass", session, token, None));
        Some(())
    }

    fn rotate(&mut self, reach: &Reach<'_>, by_app: bool) -> Option<()> {
        let Some(at) = self.some(|hold| hold.refresh.is_some()) else { return Some(()) };
        let hold = &mut self.holds[at];
        let old = hold.refresh.clone()?;
        // Without an answer the old token must go on to work: it is fresh, or its reply was lost.
        let answer = if by_app {
            let grant = ("grant_type", "refresh_token");
            reach.api.form("/oauth2/token", &[], &[("client_id", hold.app), grant, ("refresh_token", &old)])
        } else {
            reach.api.post("/api/v1/auth/refresh", None, json!({ "refresh_token": old }))
        }?;
        if answer.is_ok() {
            hold.take(&answer);
            hold.spent = Some(old);
        } else {
            hold.state = State::Unsure;
            self.losses.push(format!("{}: a refresh token does not work: {answer:?}", self.login));
        }
        Some(())
    }

    fn step_up(&mut self, reach: &Reach<'_>) -> Option<()> {
        let Some(at) = self.some(ANY) else { return Some(()) };
        let before = std::mem::replace(&mut self.holds[at].state, State::Unsure);
        let (bearer, body) = (self.holds[at].bearer.clone(), json!({ "password": self.passwords.last()? }));
        let answer = reach.api.post("/api/v1/auth/reauthenticate", Some(&bearer), body)?;
        self.settle(&answer, "proven again", |ledger| {
            ledger.holds[at].take(&answer);
            ledger.holds[at].state = before;
        })
    }

    fn end(&mut self, fits: Fits, how: impl FnOnce(&Hold) -> Option<Answer>) -> Option<()> {
        let Some(at) = self.some(fits) else { return Some(()) };
        self.holds[at].state = State::Unsure;
        let answer = how(&self.holds[at])?;
        self.settle(&answer, "ended", |ledger| ledger.holds[at].state = State::Ended)
    }

    fn strike_and_take_back(&mut self, reach: &Reach<'_>) -> Option<()> {
        let Some(at) = self.some(STATELESS) else { return Some(()) };
        self.holds[at].state = State::Unsure;
        let body = json!({ "token": self.holds[at].bearer, "reason": "lost" });
        let struck = reach.api.post("/api/v1/admin/blacklist", Some(reach.boss), body)?;
        self.settle(&struck, "struck", |ledger| ledger.holds[at].state = State::Ended)?;
        if self.below(2) == 0 {
            return Some(());
        }
        self.holds[at].state = State::Unsure;
        let path = format!("/api/v1/admin/blacklist/{}", struck.text("id").unwrap_or_default());
        let answer = reach.api.send("DELETE", &path, Some(reach.boss), json!({}))?;
        self.settle(&answer, "taken back", |ledger| ledger.holds[at].state = State::Alive)
    }

    fn end_all(&mut self, how: impl FnOnce(&Self) -> Option<Answer>) -> Option<()> {
        self.set_all(State::Alive, State::Unsure);
        let answer = how(self)?;
        self.settle(&answer, "ended everywhere", |ledger| ledger.set_all(State::Unsure, State::Ended))
    }

    /// Everything else ends; the one that asks goes on with new credentials.
    fn go_on(
        &mut self,
        at: usize,
        how: impl FnOnce(&Hold) -> Option<Answer>,
        done: impl FnOnce(&mut Self),
    ) -> Option<()> {
        self.set_all(State::Alive, State::Unsure);
        let answer = how(&self.holds[at])?;
        self.settle(&answer, "re-opened", |ledger| {
            ledger.set_all(State::Unsure, State::Ended);
            ledger.holds[at].take(&answer);
            ledger.holds[at].state = State::Alive;
            done(ledger);
        })
    }

    fn end_others(&mut self, fits: Fits, how: impl FnOnce(&Hold) -> Option<Answer>) -> Option<()> {
        let Some(at) = self.some(fits) else { return Some(()) };
        self.go_on(at, how, |_| {})
    }

    /// All sessions of this person, one by one in a job; tokens without a session go on.
    fn end_matching(&mut self, reach: &Reach<'_>) -> Option<()> {
        let concerned: Vec<usize> = (0..self.holds.len())
            .filter(|at| self.holds[*at].state == State::Alive && self.holds[*at].session.is_some())
            .collect();
        concerned.iter().for_each(|at| self.holds[*at].state = State::Unsure);
        let body = json!({ "filter": { "user": self.login } });
        let answer = reach.api.post("/api/v1/admin/sessions/revoke", Some(reach.boss), body)?;
        self.settle(&answer, "revoked", |ledger| {
            concerned.iter().for_each(|at| ledger.holds[*at].state = State::Ended);
        })
    }

    fn change_password(
        &mut self,
        fits: Fits,
        how: impl FnOnce(&Hold, &str, &str) -> Option<Answer>,
    ) -> Option<()> {
        let Some(at) = self.some(fits) else { return Some(()) };
        let (old, new) = self.new_password();
        self.go_on(at, |hold| how(hold, &old, &new), |ledger| ledger.took_password(old.clone(), new.clone()))
    }

    /// A new password from somebody else, which ends everything.
    fn get_password(&mut self, how: impl FnOnce(&Self, &str) -> Option<Answer>) -> Option<()> {
        let (old, new) = self.new_password();
        self.set_all(State::Alive, State::Unsure);
        let answer = how(self, &new)?;
        self.settle(&answer, "given a new password", |ledger| {
            ledger.set_all(State::Unsure, State::Ended);
            ledger.took_password(old, new);
        })
    }

    fn new_password(&mut self) -> (String, String) {
        let new = format!("velvet {:016x}", self.below(usize::MAX));
        let old = self.passwords.last().cloned().unwrap_or_default();
        self.passwords.push(new.clone());
        (old, new)
    }

    fn took_password(&mut self, old: String, new: String) {
        (self.passwords, self.old_password) = (vec![new], Some(old));
    }

    /// By a link that the operator's command makes.
    fn reset_password(&self, api: &Api, house: &House, new: &str) -> Option<Answer> {
        let link = house.command(&["user", "reset-password", &self.login])?;
        let (_, code) = link.split_once("code=")?;
        let mut browser = Browser::new(api);
        browser.open(&format!("/setup?code={code}"))?;
        browser.submit("/setup", "/setup", &[("new_password", new), ("new_password_again", new)])
    }

    fn rename(&mut self, fits: Fits, how: impl FnOnce(&Hold, &str) -> Option<Answer>) -> Option<()> {
        let Some(at) = self.some(fits) else { return Some(()) };
        let name = format!("Person {:x}", self.below(usize::MAX));
        self.name.intend(name.as_str());
        let answer = how(&self.holds[at], &name)?;
        self.settle(&answer, "renamed", |ledger| ledger.name.settle())
    }

    fn keep_data(&mut self, reach: &Reach<'_>) -> Option<()> {
        let Some(at) = self.some(WITH_SESSION) else { return Some(()) };
        let data = json!({ "basket": self.below(usize::MAX) });
        let path = format!("/api/v1/sessions/{}/data", self.holds[at].session.as_deref()?);
        self.holds[at].data.intend(data.clone());
        let answer = reach.api.send("PUT", &path, Some(reach.boss), data)?;
        self.settle(&answer, "given data", |ledger| ledger.holds[at].data.settle())
    }

    /// Now and then a disabled user is what the program's death leaves behind.
    fn pause(&mut self, reach: &Reach<'_>, how: impl FnOnce() -> Option<Answer>) -> Option<()> {
        self.enabled = None;
        self.end_all(|_| how())?;
        self.enabled = Some(false);
        std::thread::sleep(Duration::from_millis(self.below(20) as u64));
        self.enabled = None;
        let path = format!("/api/v1/admin/users/{}", self.user);
        let answer = reach.api.send("PATCH", &path, Some(reach.boss), json!({ "state": "enabled" }))?;
        self.settle(&answer, "enabled", |ledger| ledger.enabled = Some(true))
    }
}

/// A form of the account page, sent by this hold's browser; a new credential comes as cookie.
fn by_page(reach: &Reach<'_>, hold: &Hold, action: &str, fields: &[(&str, &str)]) -> Option<Answer> {
    let mut browser = Browser::signed_in(reach.api, &hold.bearer);
    let answer = browser.submit("/account", action, fields)?;
    Some(Answer { body: json!({ "session_token": browser.session_token() }), ..answer })
}
