//! What happens at the same moment as the end of everything.

use crate::sim::{Sim, word};
use crate::world::{Answer, State};
use hallpass::auth::issue::Issued;
use hallpass::auth::login::SignIn;
use hallpass::auth::logout::Scope;
use hallpass::auth::{Auth, Client, Refusal};
use hallpass::model::AppId;
use hallpass::model::password::Password;
use hallpass::model::session::EndedReason;
use std::sync::Arc;

/// What somebody tries in the very moment in which they are cut off, and in which app.
enum Try {
    SignIn(usize, AppId, Client),
    Refresh(usize, String, Client),
    SignOutOthers(usize, hallpass::auth::check::SignedIn),
    StepUp(usize, hallpass::auth::check::SignedIn, Client),
}

impl Sim {
    /// A user signs in, refreshes, proves the password and signs the others out, all while being cut off. Whatever
    /// each of these got, nothing of it may open anything afterwards.
    pub fn cut_off_in_the_middle(&mut self) {
        let user = self.dice.below(self.world.users.len());
        let last_admin = self.world.users[user].admin && self.world.admins() == 1;
        if !self.world.user_on(user) || last_admin {
            return;
        }
        let tries = self.tries_of(user);
        self.note(format!("user {user} is cut off in the middle of {} acts", tries.len()));
        let (auth, known) = (self.auth(), &self.world.users[user]);
        let (id, login, password) = (known.id, known.login.clone(), known.password.clone());
        let delay = self.dice.below(4 * tries.len() + 1);
        let (answers, cut_off) = self.wait(async {
            let acts: Vec<_> = tries
                .into_iter()
                .map(|act| tokio::spawn(carry_out(Arc::clone(&auth), act, login.clone(), password.clone())))
                .collect();
            for _ in 0..delay {
                tokio::task::yield_now().await;
            }
            let cut_off = auth.cut_off(&hallpass::auth::check::Admin::console(), &id).await;
            let mut answers = Vec::new();
            for act in acts {
                answers.push(act.await.unwrap());
            }
            (answers, cut_off)
        });
        cut_off.expect("a user who is not the last administrator can be cut off");
        for (app, answer) in answers {
            match answer {
                Ok(issued) => self.take_from_race(&issued, user, app),
                Err(refusal) => assert!(
                    matches!(
                        word(&refusal),
                        "invalid_credentials" | "session_ended" | "invalid_token" | "refresh_reused"
                    ),
                    "{refusal:?}"
                ),
            }
        }
        self.world.cut(user, EndedReason::CutOff, None);
        self.world.users[user].state = State::Off;
        for session in self.world.sessions.iter_mut().filter(|session| session.user == user) {
            // Any of these may have come first.
            session.causes.insert(EndedReason::LogoutOthers.as_str());
            session.causes.insert(EndedReason::RefreshReused.as_str());
        }
        let now = self.world.now;
        for cookie in &mut self.world.cookies {
            if self.world.sessions[cookie.session].user == user {
                cookie.dead_from.get_or_insert(now);
            }
        }
        self.make_users_where_few_are_left();
    }

    fn tries_of(&mut self, user: usize) -> Vec<Try> {
        let mut tries = Vec::new();
        for _ in 0..self.dice.below(4) {
            let app = self.dice.below(self.world.apps.len());
            if self.world.app_on(app) {
                let client = self.somewhere().0;
                tries.push(Try::SignIn(app, self.world.apps[app].id.clone(), client));
            }
        }
        for refresh in 0..self.world.refreshes.len() {
            let session = &self.world.sessions[self.world.refreshes[refresh].session];
            let (own, app) = (session.user == user, session.app);
            if own && self.world.current(refresh) == Answer::Yes && self.dice.chance(50) {
                let text = self.world.refreshes[refresh].text.clone();
                let client = self.somewhere().0;
                tries.push(Try::Refresh(app, text, client));
            }
        }
        for cookie in 0..self.world.cookies.len() {
            let session = &self.world.sessions[self.world.cookies[cookie].session];
            let (own, app) = (session.user == user, session.app);
            if own && self.world.cookie(cookie) == Answer::Yes && self.dice.chance(50) {
                let Some(caller) = self.check_cookie(cookie) else { continue };
                tries.push(match self.dice.chance(50) {
                    true => Try::SignOutOthers(app, caller),
                    false => Try::StepUp(app, caller, self.somewhere().0),
                });
            }
        }
        tries
    }

    fn take_from_race(&mut self, issued: &Issued, user: usize, app: usize) {
        let now = self.world.now;
        let session = issued.session.as_ref().map(|session| {
            match self.world.sessions.iter().position(|known| known.id == session.id) {
                Some(known) => known,
                None => self.know_session(session.id, user, app, 0, false),
            }
        });
        self.take(issued, user, app, session, now);
        if let (Some(token), Some(session)) = (&issued.refresh_token, session) {
            let text = token.reveal();
            if self.world.refreshes.iter().all(|known| known.text != text) {
                self.take_refresh(text, session);
            }
        }
    }
}

async fn carry_out(
    auth: Arc<Auth>,
    act: Try,
    login: String,
    password: String,
) -> (usize, Result<Issued, Refusal>) {
    let password = Password::new(password);
    match act {
        Try::SignIn(app, id, client) => {
            let (remember, device_proof, replaces) = (false, None, None);
            let sign_in = SignIn { login, password, app: id, remember, device_proof, replaces, client };
            (app, auth.login(sign_in).await.map(|signed_in| signed_in.issued))
        }
        Try::Refresh(app, text, client) => (app, auth.refresh(&text, None, &client).await),
        Try::SignOutOthers(app, caller) => {
            let issued = auth.logout(&caller, Scope::Others).await;
            (app, issued.map(|issued| issued.expect("new credentials")))
        }
        Try::StepUp(app, caller, client) => {
            (app, auth.reauthenticate(&caller, password, None, &client).await)
        }
    }
}
