//! What apps ask about tokens (RFC 7662), and how they give them back (RFC 7009).

use crate::auth::Auth;
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::sessions::put_entry;
use crate::auth::vault::Digestible;
use crate::model::app::{App, Strategy};
use crate::model::blacklist::{BlacklistEntry, Target};
use crate::model::claims::Claims;
use crate::model::refresh::RefreshState;
use crate::model::session::{Credential, EndedReason};
use crate::model::user::Actor;
use crate::model::{AppId, RefreshToken, SessionId, SessionToken, Time, UserId};
use crate::store::Batch;
use std::sync::Arc;

/// A token that is active now, as its app or its audience may know it.
pub enum Active {
    Access { claims: Arc<Claims>, login: String },
    Refresh { app: AppId, user: UserId, login: String, session: SessionId, ends_at: Time },
    Session { app: AppId, user: UserId, login: String, session: SessionId, ends_at: Time },
}

impl Auth {
    /// Looks at a token for a confidential app: only what was issued to it or is meant for it; else `None`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn introspect(&self, by: &App, text: &str) -> Verdict<Option<Active>> {
        if RefreshToken::parse(text).is_ok() {
            return self.introspect_refresh(by, text).await;
        }
        if SessionToken::parse(text).is_ok() {
            return self.introspect_session(by, text).await;
        }
        let now = self.clock.now();
        let claims = match self.verify_access(text, now) {
            Ok(claims) => claims,
            Err(refusal) => return not_active(refusal),
        };
        if claims.client_id != by.id && claims.aud != by.audience {
            return Ok(None);
        }
        match self.check_access(text, None).await {
            Ok(caller) => Ok(Some(Active::Access { claims, login: caller.user().login.clone() })),
            Err(refusal) => not_active(refusal),
        }
    }

    async fn introspect_refresh(&self, by: &App, text: &str) -> Verdict<Option<Active>> {
        let Ok(token) = RefreshToken::parse(text) else { return Ok(None) };
        let Some(row) = self.store.row::<Credential>(&token.digest()).await? else { return Ok(None) };
        let Credential::Refresh(credential) = row.value else { return Ok(None) };
        let now = self.clock.now();
        let good = credential.app == by.id
            && credential.state == RefreshState::Fresh
            && now < credential.idle_ends_at;
        let Some(live) = self.store.live_session(&credential.session).await?.filter(|_| good) else {
            return Ok(None);
        };
        let session = &live.row.value;
        let over = self.shown(session.clone(), live.last_seen(), now).ended.is_some();
        let user = self.user(&session.user).filter(|_| !over && session.epoch == credential.epoch);
        Ok(user.map(|user| Active::Refresh {
            app: credential.app,
            user: user.value.id,
            login: user.value.login.clone(),
            session: session.id,
            ends_at: credential.idle_ends_at,
        }))
    }

    async fn introspect_session(&self, by: &App, text: &str) -> Verdict<Option<Active>> {
        match self.check_session(text, None).await {
            Ok(caller) if caller.app().id == by.id => Ok(caller.session().map(|live| Active::Session {
                app: by.id.clone(),
                user: caller.user().id,
                login: caller.user().login.clone(),
                session: live.row.value.id,
                ends_at: live.row.value.ends_at,
            })),
            Ok(_) => Ok(None),
            Err(refusal) => not_active(refusal),
        }
    }

    /// Takes a token back. Unknown ones, and those of other apps, are left alone without a word (RFC 7009
    /// section 2.2). A refresh token takes its session with it, and so does a `tracked` app's access token;
    /// others are blacklisted alone.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn revoke_token(&self, by: &App, text: &str) -> Verdict<()> {
        let digest = RefreshToken::parse(text).map(|token| token.digest());
        let digest = digest.or_else(|_| SessionToken::parse(text).map(|token| token.digest()));
        if let Ok(digest) = digest {
            let Some(row) = self.store.row::<Credential>(&digest).await? else { return Ok(()) };
            return self.revoke_session_of(by, row.value.session()).await;
        }
        let Some(claims) = self.read_access_even_if_over(text).filter(|claims| claims.client_id == by.id)
        else {
            return Ok(());
        };
        if let Some(sid) = claims.sid.filter(|_| by.strategy == Strategy::Tracked) {
            return self.revoke_session_of(by, sid).await;
        }
        let target = Target::Token(claims.jti);
        let by = Actor::User(claims.sub);
        let entry = BlacklistEntry::new(target, Some(claims.sub), "revoked by its app", by, self.clock.now());
        let mut batch = Batch::new();
        put_entry(&mut batch, &entry);
        self.store.commit(batch).await?;
        Ok(())
    }

    async fn revoke_session_of(&self, by: &App, id: SessionId) -> Verdict<()> {
        let Some(live) = self.store.live_session(&id).await? else { return Ok(()) };
        let session = &live.row.value;
        if session.app != by.id {
            tracing::warn!(event = "revocation_by_other_app", app = %by.id, session = %id);
            return Ok(());
        }
        match self.end_session(&id, None, EndedReason::Logout, Actor::User(session.user), "").await {
            Err(Refusal::NotFound) => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

/// Everything that makes a token not active is one answer; a failing store is not an answer.
fn not_active(refusal: Refusal) -> Verdict<Option<Active>> {
    match refusal {
        Refusal::Store(_) | Refusal::Overloaded | Refusal::Fault(_) => Err(refusal),
        _ => Ok(None),
    }
}
