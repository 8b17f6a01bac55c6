//! Who is calling: by cookie or bearer, for every strategy and app. Memory only, but for what the cache lacks.

use crate::auth::Auth;
use crate::auth::jwt::TokenFault;
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::vault::Digestible;
use crate::model::app::{App, AppStanding, Strategy};
use crate::model::blacklist::Target;
use crate::model::claims::Claims;
use crate::model::session::{Credential, EndedReason};
use crate::model::time::MINUTE_MS;
use crate::model::user::{Role, Standing, User};
use crate::model::{AppId, Digest, RefreshToken, SessionId, SessionToken, Time, TokenId};
use crate::store::mirror::Cached;
use crate::store::session::FILLS_MAX;
use crate::store::{Live, Row, View};
use std::sync::Arc;

/// How the caller proved who they are.
#[derive(Clone, Debug)]
pub enum Means {
    /// The opaque id of a `session` app.
    Session { digest: Digest },
    /// An access token.
    Access { token: TokenId },
    /// The refresh token in a `refresh` app's cookie: enough to be told who it is and to sign out.
    Refresh,
}

/// Somebody who is signed in: the proof that a check went well. Only checks make one.
#[derive(Clone)]
pub struct SignedIn {
    user: Arc<Row<User>>,
    app: Arc<Row<App>>,
    session: Option<Arc<Live>>,
    means: Means,
    proven_at: Time,
}

impl SignedIn {
    pub fn user(&self) -> &User {
        &self.user.value
    }

    pub fn app(&self) -> &App {
        &self.app.value
    }

    /// `None` for access tokens of a `jwt` app.
    pub fn session(&self) -> Option<&Arc<Live>> {
        self.session.as_ref()
    }

    pub fn session_id(&self) -> Option<SessionId> {
        self.session.as_ref().map(|live| live.row.value.id)
    }

    pub fn means(&self) -> &Means {
        &self.means
    }

    /// When the holder of this very credential proved the password.
    pub(crate) fn proven_at(&self) -> Time {
        self.proven_at
    }

    /// What the caller's CSRF token is bound to: the session, or the token where there is none.
    pub fn csrf_subject(&self) -> [u8; 16] {
        match (&self.session, &self.means) {
            (Some(live), _) => *live.row.value.id.as_bytes(),
            (None, Means::Access { token }) => *token.as_bytes(),
            (None, Means::Session { .. } | Means::Refresh) => [0; 16],
        }
    }
}

/// A signed-in caller whose credential opens the appliance's own API.
#[derive(Clone)]
pub struct Member(SignedIn);

impl Member {
    pub fn signed_in(&self) -> &SignedIn {
        &self.0
    }

    pub fn user(&self) -> &User {
        self.0.user()
    }
}

/// An enabled administrator.
#[derive(Clone)]
pub struct Admin(Office);

/// An administrator who proved the password a moment ago.
#[derive(Clone)]
pub struct RecentAdmin(Admin);

#[derive(Clone)]
enum Office {
    Member(Box<Member>),
    /// The operator at the machine, through the command line.
    Console,
    /// The appliance itself, by its timetable.
    System,
}

impl Admin {
    /// For the control socket and the command line, which prove themselves by file permissions.
    pub fn console() -> RecentAdmin {
        RecentAdmin(Self(Office::Console))
    }

    /// For what the appliance does by its own timetable.
    pub(crate) fn system() -> RecentAdmin {
        RecentAdmin(Self(Office::System))
    }

    pub fn actor(&self) -> crate::model::user::Actor {
        match &self.0 {
            Office::Member(member) => crate::model::user::Actor::User(member.user().id),
            Office::Console => crate::model::user::Actor::Console,
            Office::System => crate::model::user::Actor::System,
        }
    }

    pub fn session_id(&self) -> Option<SessionId> {
        match &self.0 {
            Office::Member(member) => member.0.session_id(),
            Office::Console | Office::System => None,
        }
    }
}

impl std::ops::Deref for RecentAdmin {
    type Target = Admin;

    fn deref(&self) -> &Admin {
        &self.0
    }
}

impl Auth {
    /// The holder of a credential of whatever kind. `cookie_of`: it came in the cookie of that app.
    ///
    /// # Errors
    /// As [`Auth::check_session`] and [`Auth::check_access`].
    pub async fn check(&self, text: &str, cookie_of: Option<&AppId>) -> Verdict<SignedIn> {
        match cookie_of {
            _ if text.starts_with(SessionToken::PREFIX) => self.check_session(text, cookie_of).await,
            Some(app) if text.starts_with(RefreshToken::PREFIX) => self.check_refresh(text, app).await,
            _ => self.check_access(text, cookie_of).await,
        }
    }

    /// The holder of a session cookie of `app`, or of its value sent as bearer (then `app` is open).
    ///
    /// # Errors
    /// `InvalidToken`, or `SessionEnded` with the reason.
    pub async fn check_session(&self, text: &str, cookie_of: Option<&AppId>) -> Verdict<SignedIn> {
        self.refuse_while_invalidating()?;
        let token = SessionToken::parse(text).map_err(|_| Refusal::InvalidToken)?;
        let digest = token.digest();
        let now = self.clock.now();
        for _ in 0..FILLS_MAX {
            let missing = {
                let view = self.store.view();
                match view.credential(&digest) {
                    Cached::Miss(stamp) => Missing::Credential(stamp),
                    Cached::Hit(credential) => match view.session(&credential.session) {
                        Cached::Miss(_) => Missing::Session(credential.session),
                        Cached::Hit(live) if credential.answers(now) => {
                            let means = Means::Session { digest };
                            let holder =
                                Holder { epoch: credential.epoch, proven_at: credential.proven_at, means };
                            let signed_in = judge_session(&view, holder, live, cookie_of, now)?;
                            view.touch(live, now);
                            return Ok(signed_in);
                        }
                        Cached::Hit(_) => return Err(Refusal::InvalidToken),
                    },
                }
            };
            match missing {
                Missing::Session(id) => {
                    self.store.live_session(&id).await?.ok_or(Refusal::InvalidToken)?;
                }
                Missing::Credential(stamp) => {
                    match self.store.row::<Credential>(&digest).await?.map(|r| r.value) {
                        Some(Credential::Session(credential)) => {
                            self.store.mirror().fill_credential(stamp, digest, credential);
                        }
                        // Straight from the read: strangers cost the writer nothing.
                        _ => return Err(Refusal::InvalidToken),
                    }
                }
            }
        }
        Err(Refusal::Overloaded)
    }

    /// The holder of a refresh token in its app's cookie. Nothing is spent by it, and it opens no API: a page that
    /// was loaded anew learns by it who is signed in and the CSRF token for its next rotation.
    ///
    /// # Errors
    /// `InvalidToken`, `TokenExpired`, or `SessionEnded` with the reason.
    async fn check_refresh(&self, text: &str, app: &AppId) -> Verdict<SignedIn> {
        self.refuse_while_invalidating()?;
        let token = RefreshToken::parse(text).map_err(|_| Refusal::InvalidToken)?;
        let now = self.clock.now();
        let row = self.store.row::<Credential>(&token.digest()).await?.ok_or(Refusal::InvalidToken)?;
        let Credential::Refresh(credential) = row.value else { return Err(Refusal::InvalidToken) };
        if !credential.is_current() {
            return Err(Refusal::InvalidToken);
        }
        let live = self.store.live_session(&credential.session).await?.ok_or(Refusal::InvalidToken)?;
        let view = self.store.view();
        let live = match view.session(&credential.session) {
            Cached::Hit(live) => live,
            Cached::Miss(_) => &live,
        };
        let proven_at = live.row.value.proven_at;
        let holder = Holder { epoch: credential.epoch, proven_at, means: Means::Refresh };
        let signed_in = judge_session(&view, holder, live, Some(app), now)?;
        if credential.idle_ends_at <= now { Err(Refusal::TokenExpired) } else { Ok(signed_in) }
    }

    /// The holder of an access token, of whatever app; in a cookie only of the app in its name.
    ///
    /// # Errors
    /// `InvalidToken`, `TokenExpired`, `TokenBlacklisted`, or `SessionEnded` with the reason.
    pub async fn check_access(&self, text: &str, cookie_of: Option<&AppId>) -> Verdict<SignedIn> {
        let now = self.clock.now();
        let claims = self.verify_access(text, now)?;
        if cookie_of.is_some_and(|app| *app != claims.client_id) {
            return Err(Refusal::InvalidToken);
        }
        let session = match claims.sid {
            Some(sid) => self.store.live_session(&sid).await?,
            None => None,
        };
        let view = self.store.view();
        // Asked for again under this one read, so that all that is looked at is of one moment.
        let session = match (&session, claims.sid.map(|sid| view.session(&sid))) {
            (_, Some(Cached::Hit(live))) => Some(Arc::clone(live)),
            (found, _) => found.clone(),
        };
        judge_access(&view, &claims, session, now)
    }

    /// Signature, claims and the blacklist's entries for token and key. For access tokens of every app.
    pub(crate) fn verify_access(&self, text: &str, now: Time) -> Verdict<Arc<Claims>> {
        self.refuse_while_invalidating()?;
        let ring = self.key_ring()?;
        let verified = self.verifier.verify(&ring, text, now).map_err(|fault| match fault {
            TokenFault::Expired => Refusal::TokenExpired,
            TokenFault::RetiredKey => Refusal::TokenBlacklisted,
            fault => {
                tracing::debug!(fault = fault.log_word(), "access token refused");
                Refusal::InvalidToken
            }
        })?;
        let view = self.store.view();
        match view.key(&verified.kid) {
            Some(key) if key.value.verifies(now) => Ok(verified.claims),
            _ => Err(Refusal::TokenBlacklisted),
        }
    }

    /// Admits to the appliance's own API.
    ///
    /// # Errors
    /// `Forbidden` with a credential of an app without `appliance_access`, whoever's it is; `InvalidToken` with a
    /// refresh token, which is there to be rotated.
    pub fn member(&self, caller: SignedIn) -> Verdict<Member> {
        match caller.means {
            _ if !caller.app().appliance_access => {
                Err(Refusal::Forbidden("Credentials of this app do not open the appliance's own API."))
            }
            Means::Refresh => Err(Refusal::InvalidToken),
            Means::Session { .. } | Means::Access { .. } => Ok(Member(caller)),
        }
    }

    /// # Errors
    /// `Forbidden` for anyone but an administrator.
    pub fn admin(&self, member: Member) -> Verdict<Admin> {
        match member.user().role {
            Role::Admin => Ok(Admin(Office::Member(Box::new(member)))),
            Role::User => Err(Refusal::Forbidden("This needs an administrator.")),
        }
    }

    /// # Errors
    /// `ReauthRequired` when the password was proven too long ago.
    pub fn recent_admin(&self, admin: Admin) -> Verdict<RecentAdmin> {
        match &admin.0 {
            Office::Member(member) => self.require_recent(&member.0)?,
            Office::Console | Office::System => {}
        }
        Ok(RecentAdmin(admin))
    }

    /// # Errors
    /// `ReauthRequired` when the password was proven too long ago.
    pub fn require_recent(&self, caller: &SignedIn) -> Verdict<()> {
        let window_ms = i64::from(self.settings.step_up_minutes) * MINUTE_MS;
        let since_ms = self.clock.now().since_ms(caller.proven_at);
        if (0..window_ms).contains(&since_ms) { Ok(()) } else { Err(Refusal::ReauthRequired) }
    }
}

enum Missing {
    Credential(crate::store::mirror::Stamp),
    Session(SessionId),
}

/// What an opaque credential says of its holder.
struct Holder {
    /// The session's epoch at the credential's issue.
    epoch: u32,
    proven_at: Time,
    means: Means,
}

fn judge_session(
    view: &View,
    holder: Holder,
    live: &Arc<Live>,
    cookie_of: Option<&AppId>,
    now: Time,
) -> Verdict<SignedIn> {
    let session = &live.row.value;
    // A cookie counts only for the app in its name.
    if cookie_of.is_some_and(|app| *app != session.app) {
        return Err(Refusal::InvalidToken);
    }
    let (user, app) = (view.user(&session.user), view.app(&session.app));
    let last_seen = live.last_seen();
    if let Some(ended) = session.over(last_seen, user.map(|u| &u.value), app.map(|a| &a.value), now) {
        return Err(Refusal::SessionEnded(ended.reason));
    }
    if holder.epoch != session.epoch {
        let reason =
            user.and_then(|user| user.value.cut.as_ref()).map_or(EndedReason::Revoked, |cut| cut.reason);
        return Err(Refusal::SessionEnded(reason));
    }
    let (Some(user), Some(app)) = (user, app) else { return Err(Refusal::InvalidToken) };
    Ok(SignedIn {
        user: Arc::clone(user),
        app: Arc::clone(app),
        session: Some(Arc::clone(live)),
        means: holder.means,
        proven_at: holder.proven_at,
    })
}

fn judge_access(view: &View, claims: &Claims, session: Option<Arc<Live>>, now: Time) -> Verdict<SignedIn> {
    let app = view.app(&claims.client_id).filter(|app| app.value.standing == AppStanding::Enabled);
    let app = app.ok_or(Refusal::TokenBlacklisted)?;
    if claims.aud != app.value.audience {
        return Err(Refusal::InvalidToken);
    }
    if view.blacklisted(&Target::Token(claims.jti), now).is_some() {
        return Err(Refusal::TokenBlacklisted);
    }
    let user = view.user(&claims.sub);
    if let Some(sid) = claims.sid {
        let live = session.as_ref().ok_or(Refusal::TokenBlacklisted)?;
        let user = user.map(|user| &user.value);
        if let Some(ended) = live.row.value.over(live.last_seen(), user, Some(&app.value), now) {
            return Err(Refusal::SessionEnded(ended.reason));
        }
        if view.blacklisted(&Target::Session(sid), now).is_some() {
            return Err(Refusal::TokenBlacklisted);
        }
        if live.row.value.strategy == Strategy::Tracked {
            view.touch(live, now);
        }
    }
    let user = user.filter(|user| user.value.standing == Standing::Enabled && claims.ep == user.value.epoch);
    let user = user.ok_or(Refusal::TokenBlacklisted)?;
    Ok(SignedIn {
        user: Arc::clone(user),
        app: Arc::clone(app),
        session,
        means: Means::Access { token: claims.jti },
        proven_at: claims.auth_time.map_or(Time::from_ms(0), Time::from_seconds),
    })
}
