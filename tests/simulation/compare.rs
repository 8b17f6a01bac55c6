//! After every step: does the appliance say of everything that clients hold what the reference says?

use crate::sim::{Sim, word};
use crate::world::{Answer, DAY, Kind, MINUTE, Ms, Presentation, State, Use};
use hallpass::auth::check::SignedIn;
use hallpass::auth::introspect::Active;
use hallpass::auth::sessions::ShownState;
use hallpass::auth::{Refusal, Verdict};
use hallpass::model::SessionId;
use hallpass::model::job::SessionFilter;
use std::collections::BTreeSet;

/// Kept in the configuration of the run, too.
const ENDED_KEPT: Ms = 2 * DAY;

impl Sim {
    pub fn compare(&mut self) {
        for cookie in 0..self.world.cookies.len() {
            // A look is a use: those that are alive are looked at now and then only, or none would ever be idle.
            if self.world.cookie(cookie) == Answer::No || self.dice.chance(5) {
                self.check_cookie(cookie);
            }
        }
        for access in 0..self.world.accesses.len() {
            self.check_access(access);
        }
        for refresh in 0..self.world.refreshes.len() {
            if self.dice.chance(30) {
                self.look_at_refresh(refresh);
            }
        }
        for session in 0..self.world.sessions.len() {
            self.look_at_session(session);
        }
        if self.dice.chance(10) {
            self.compare_lists();
        }
        self.compare_counts();
    }

    pub fn check_cookie(&mut self, cookie: usize) -> Option<SignedIn> {
        let (auth, expected) = (self.auth(), self.world.cookie(cookie));
        let known = &self.world.cookies[cookie];
        let session = known.session;
        let app = self.world.apps[self.world.sessions[session].app].id.clone();
        let bearer = self.dice.chance(30);
        let known = &self.world.cookies[cookie];
        let verdict = self.wait(auth.check(&known.text, (!bearer).then_some(&app)));
        let proven = known.proven;
        let may_be_gone = known.dead_from.is_some() || self.forgotten(session);
        let signed_in = self.judge("cookie", verdict, expected, Some(session), may_be_gone)?;
        self.world.touch(session);
        let recent = auth.require_recent(&signed_in).is_ok();
        assert_eq!(
            recent,
            self.world.now - proven < 10 * crate::world::MINUTE,
            "recent proof of the password"
        );
        let data = signed_in.session().and_then(|live| live.row.value.data.clone());
        assert_eq!(data, self.world.sessions[session].data, "session data");
        Some(signed_in)
    }

    pub fn check_access(&mut self, access: usize) -> Option<SignedIn> {
        let (auth, expected) = (self.auth(), self.world.access(access));
        let known = &self.world.accesses[access];
        let (session, user, proven) = (known.session, known.user, known.proven);
        let verdict = self.wait(auth.check(&known.text, None));
        let signed_in = self.judge("access token", verdict, expected, session, true)?;
        assert_eq!(signed_in.user().id, self.world.users[user].id);
        self.compare_proof(&signed_in, proven);
        if let Some(session) = session.filter(|session| self.kind_of(*session) == Kind::Tracked) {
            self.world.touch(session);
        }
        Some(signed_in)
    }

    /// Nobody comes by a recent proof of the password but by proving it.
    fn compare_proof(&self, signed_in: &SignedIn, proven: Ms) {
        let recent = self.auth().require_recent(signed_in).is_ok();
        let since = self.world.now - proven;
        assert_eq!(recent, since < 10 * MINUTE, "recent proof of the password, given {since} ms ago");
    }

    /// A refresh token in its app's cookie: is it good for a new pair? Nothing is spent by it.
    fn look_at_refresh(&mut self, refresh: usize) {
        let (auth, expected) = (self.auth(), self.world.current(refresh));
        let known = &self.world.refreshes[refresh];
        let session = known.session;
        let app = auth.app(&self.world.apps[self.world.sessions[session].app].id).unwrap();
        let text = known.text.clone();
        let verdict = self.wait(auth.check(&text, Some(&app.value.id)));
        let fresh = known.use_ == Use::Fresh;
        self.judge("refresh cookie", verdict, expected, Some(session), true);
        // Only a fresh one is active for its app.
        let active = self.wait(auth.introspect(&app.value, &text)).unwrap();
        let active = matches!(active, Some(Active::Refresh { .. }));
        if self.world.current(refresh) != Answer::Either {
            assert_eq!(
                active,
                fresh && self.world.current(refresh) == Answer::Yes,
                "introspected refresh token"
            );
        }
        let place = self.somewhere();
        if self.world.present(refresh, true, place.1) == Presentation::Refused {
            let verdict = self.wait(auth.refresh(&text, None, &place.0));
            self.judge("refresh token", verdict.map(drop), Answer::No, Some(session), true);
        }
    }

    /// As administrators see it; that is no use of it.
    fn look_at_session(&mut self, session: usize) {
        let (auth, console) = (self.auth(), self.console());
        let id = self.world.sessions[session].id;
        match self.wait(auth.session(&console, &id)) {
            Ok(shown) => {
                let refused = shown.ended.map(|ended| Refusal::SessionEnded(ended.reason));
                let expected = self.world.alive(session);
                self.judge("shown session", refused.map_or(Ok(()), Err), expected, Some(session), false);
            }
            Err(refusal) => {
                assert_eq!(word(&refusal), "not_found");
                assert!(self.forgotten(session), "a session of the last days is gone from the history");
            }
        }
    }

    fn compare_lists(&mut self) {
        let (auth, console) = (self.auth(), self.console());
        let filter = SessionFilter::default();
        let mut listed = Vec::new();
        let mut cursor = None;
        loop {
            let page = auth.list_sessions(&console, &filter, ShownState::Live, cursor, 7);
            let page = self.wait(page).unwrap();
            listed.extend(page.items.iter().map(|shown| shown.session.id));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let set: BTreeSet<SessionId> = listed.iter().copied().collect();
        assert_eq!(set.len(), listed.len(), "a session is listed twice");
        for (at, session) in self.world.sessions.iter().enumerate() {
            let listed = set.contains(&session.id);
            match self.world.alive(at) {
                Answer::Either => {}
                expected => assert_eq!(listed, expected == Answer::Yes, "session {} in the list", session.id),
            }
        }
    }

    /// The rosters and the index of live sessions are always written together.
    fn compare_counts(&mut self) {
        let auth = self.auth();
        let live = auth.figures(&self.console()).live_sessions;
        let mut on_rosters = 0;
        for user in &self.world.users {
            on_rosters += u64::from(self.wait(auth.roster(&user.id)).unwrap().live);
        }
        assert_eq!(on_rosters, live, "rosters and index");
        let alive = (0..self.world.sessions.len()).filter(|at| self.world.alive(*at) == Answer::Yes).count();
        assert!(live >= alive as u64, "{live} sessions in the index, but {alive} are alive");
        let users = self.world.users.iter().filter(|user| user.state != State::Deleted).count();
        assert_eq!(auth.figures(&self.console()).users, users);
    }

    /// Whether an answer is the expected one, and a refusal for a reason that there is. Learns from doubtful ones.
    pub fn judge<T>(
        &mut self,
        what: &str,
        verdict: Verdict<T>,
        expected: Answer,
        session: Option<usize>,
        other_words: bool,
    ) -> Option<T> {
        if let (Answer::Either, Some(session)) = (expected, session) {
            self.world.learn(session, verdict.is_ok());
        }
        match (&verdict, expected) {
            (Ok(_), Answer::Yes | Answer::Either) => {}
            (Err(refusal), Answer::No | Answer::Either) => match (refusal, session) {
                (Refusal::SessionEnded(reason), Some(session)) => {
                    let causes = &self.world.sessions[session].causes;
                    let there_is = causes.contains(reason.as_str());
                    assert!(
                        there_is,
                        "{what}: said to have ended by {reason:?}, but there is only {causes:?}"
                    );
                }
                (
                    Refusal::InvalidToken
                    | Refusal::TokenExpired
                    | Refusal::TokenBlacklisted
                    | Refusal::InvalidRefreshToken
                    | Refusal::RefreshReused,
                    _,
                ) if other_words => {}
                _ => panic!("{what}: refused, but by {}", word(refusal)),
            },
            (Ok(_), Answer::No) => panic!("{what}: still opens ({})", self.told(session)),
            (Err(refusal), Answer::Yes) => {
                panic!("{what}: refused by {refusal:?} ({})", self.told(session))
            }
        }
        verdict.ok()
    }

    pub fn told(&self, session: Option<usize>) -> String {
        let Some(at) = session else { return "no session".into() };
        let session = &self.world.sessions[at];
        let since = session.dead.map(|dead| self.world.now - dead);
        format!("session {at} of user {}, dead since {since:?} ms by {:?}", session.user, session.causes)
    }

    pub fn kind_of(&self, session: usize) -> Kind {
        self.world.apps[self.world.sessions[session].app].kind
    }

    /// Whether the history may have dropped it.
    pub fn forgotten(&self, session: usize) -> bool {
        let session = &self.world.sessions[session];
        session.dead.is_some_and(|dead| dead + ENDED_KEPT <= self.world.now) || session.ends <= self.world.now
    }
}
