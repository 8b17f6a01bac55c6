//! Rotating refresh tokens: reads, asks the rule of `model::refresh`, and commits what it says.

use crate::auth::issue::{Fresh, Issued};
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::vault::Digestible;
use crate::auth::{Auth, Client, TRIES_MAX};
use crate::model::app::App;
use crate::model::network::Network;
use crate::model::refresh::{self, Place, Presented, RefreshCredential, RefreshState, Spent};
use crate::model::session::{Credential, Ended, EndedReason, Session};
use crate::model::user::{Actor, User};
use crate::model::{AppId, Digest, RefreshToken, Time};
use crate::store::tables::Seen;
use crate::store::{Batch, Outcome, Row};
use std::sync::Arc;

/// All that one presentation read.
struct Found {
    token: RefreshCredential,
    token_row: Row<Credential>,
    successor: Option<(Row<Credential>, RefreshState)>,
    session: Row<Session>,
    user: Option<Arc<Row<User>>>,
    app: Option<Arc<Row<App>>>,
    last_seen: Time,
}

impl Auth {
    /// Answers a refresh token with its successor and a new access token. `by_app`: only that app's tokens count.
    ///
    /// # Errors
    /// `InvalidRefreshToken`, `RefreshReused`, `TokenExpired`, or `SessionEnded` with the reason.
    pub async fn refresh(&self, text: &str, by_app: Option<&AppId>, client: &Client) -> Verdict<Issued> {
        self.refuse_while_invalidating()?;
        let token = RefreshToken::parse(text).map_err(|_| Refusal::InvalidRefreshToken)?;
        let digest = token.digest();
        let place = Place::new(Network::of(client.address), &client.agent);
        for _ in 0..TRIES_MAX {
            let now = self.clock.now();
            let found = self.find(&digest).await?;
            let app = by_app.unwrap_or(&found.token.app).clone();
            let presented = self.present(&token, &digest, &app, &place, found, now).await;
            if let Err(Refusal::RefreshReused) = presented {
                self.tallies.count_refresh_reuse();
            }
            if let Some(answer) = presented? {
                return Ok(answer);
            }
        }
        Err(Refusal::Overloaded)
    }

    /// The session of a refresh token that came in a cookie: its CSRF token is bound to it.
    ///
    /// # Errors
    /// `InvalidRefreshToken`.
    pub async fn session_of_refresh(&self, text: &str) -> Verdict<crate::model::SessionId> {
        let token = RefreshToken::parse(text).map_err(|_| Refusal::InvalidRefreshToken)?;
        let row = self.store.row::<Credential>(&token.digest()).await?.ok_or(Refusal::InvalidRefreshToken)?;
        Ok(row.value.session())
    }

    async fn find(&self, digest: &Digest) -> Verdict<Found> {
        let token_row = self.store.row::<Credential>(digest).await?.ok_or(Refusal::InvalidRefreshToken)?;
        let Credential::Refresh(token) = token_row.value.clone() else {
            return Err(Refusal::InvalidRefreshToken);
        };
        let session = self.store.row::<Session>(&token.session).await?.ok_or(Refusal::InvalidRefreshToken)?;
        let successor = match &token.state {
            RefreshState::Spent(spent) => self.store.row::<Credential>(&spent.successor).await?,
            RefreshState::Fresh | RefreshState::Superseded => None,
        };
        let successor = successor.and_then(|row| match row.value.clone() {
            Credential::Refresh(next) => Some((row, next.state)),
            Credential::Session(_) => None,
        });
        let last_seen = self.store.row::<Seen>(session.value.id.as_bytes()).await?;
        let last_seen = last_seen.map_or(session.value.opened_at, |row| row.value.at);
        let (user, app) = (self.user(&session.value.user), self.app(&session.value.app));
        Ok(Found { token, token_row, successor, session, user, app, last_seen })
    }

    /// One try: `None` when something changed meanwhile.
    async fn present(
        &self,
        token: &RefreshToken,
        digest: &Digest,
        app: &AppId,
        place: &Place,
        found: Found,
        now: Time,
    ) -> Verdict<Option<Issued>> {
        let session = &found.session.value;
        let (user, own_app) = (found.user.as_deref(), found.app.as_deref());
        let ended = session.over(found.last_seen, user.map(|u| &u.value), own_app.map(|a| &a.value), now);
        let re_opened = (found.token.epoch != session.epoch).then(|| {
            let cut = user.and_then(|user| user.value.cut.as_ref());
            cut.map_or(EndedReason::Revoked, |cut| cut.reason)
        });
        let verdict = refresh::decide(&Presented {
            token: &found.token,
            successor: found.successor.as_ref().map(|(_, state)| state),
            app,
            session_over: ended.map(|ended| ended.reason).or(re_opened),
            place,
            replay_match: own_app.map(|app| app.value.replay_match).unwrap_or_default(),
            now,
        });
        let mut batch = Batch::new();
        batch.unchanged(&found.token_row).unchanged(&found.session);
        if let (Some(user), Some(app)) = (user, own_app) {
            batch.unchanged(user).unchanged(app);
        }
        if let Some((row, _)) = &found.successor {
            batch.unchanged(row);
        }
        match verdict {
            refresh::Verdict::WrongApp => {
                tracing::warn!(event = "refresh_by_other_app", app = %app, session = %session.id);
                Err(Refusal::InvalidRefreshToken)
            }
            refresh::Verdict::SessionOver(reason) => self.say(batch, Refusal::SessionEnded(reason)).await,
            refresh::Verdict::IdleExpired => self.say(batch, Refusal::TokenExpired).await,
            refresh::Verdict::ReissuedTooOften => {
                tracing::warn!(event = "refresh_reissued_too_often", session = %session.id, user = %session.user);
                self.say(batch, Refusal::InvalidRefreshToken).await
            }
            refresh::Verdict::Reuse => {
                let ended = Ended { at: now, reason: EndedReason::RefreshReused, by: Actor::System };
                self.put_end(&mut batch, &found.session, ended, "refresh token reused").await?;
                tracing::warn!(event = "refresh_reused", session = %session.id, user = %session.user);
                self.say(batch, Refusal::RefreshReused).await
            }
            refresh::Verdict::Repeat => match self.same_successor(token, &found.token.state) {
                Some(successor) => self.answer(batch, &found, successor, now).await,
                // Another key file: the stored successor cannot be made again.
                None => self.replace(batch, token, digest, place, &found, now).await,
            },
            refresh::Verdict::Rotate | refresh::Verdict::Reissue => {
                self.replace(batch, token, digest, place, &found, now).await
            }
        }
    }

    /// Commits what the verdict relied on (and wrote), then refuses: a refusal is as durable as a success.
    async fn say(&self, batch: Batch, refusal: Refusal) -> Verdict<Option<Issued>> {
        match self.store.commit(batch).await? {
            Outcome::Committed(_) => Err(refusal),
            Outcome::Conflict => Ok(None),
        }
    }

    /// The stored successor made again from the token and the kept nonce, if it is still the same.
    fn same_successor(&self, token: &RefreshToken, state: &RefreshState) -> Option<RefreshToken> {
        let RefreshState::Spent(spent) = state else { return None };
        let nonce: [u8; 32] = spent.nonce.as_deref()?.try_into().ok()?;
        let successor = self.vault.refresh_successor(token, &nonce);
        (successor.digest() == spent.successor).then_some(successor)
    }

    /// Rotates or reissues: the token is spent, a new successor is fresh, an unused one before it is superseded.
    async fn replace(
        &self,
        mut batch: Batch,
        token: &RefreshToken,
        digest: &Digest,
        place: &Place,
        found: &Found,
        now: Time,
    ) -> Verdict<Option<Issued>> {
        let nonce: [u8; 32] = self.entropy.bytes();
        let successor = self.vault.refresh_successor(token, &nonce);
        let session = &found.session.value;
        let reissues = match &found.token.state {
            RefreshState::Spent(spent) => spent.reissues + 1,
            RefreshState::Fresh | RefreshState::Superseded => 0,
        };
        let spent = Spent {
            successor: successor.digest(),
            nonce: Some(nonce.to_vec()),
            answered_at: now,
            place: place.clone(),
            reissues,
        };
        let mut old = found.token.clone();
        old.state = RefreshState::Spent(spent);
        batch.put(digest, &Credential::Refresh(old));
        let next = RefreshCredential {
            state: RefreshState::Fresh,
            parent: Some(*digest),
            generation: found.token.generation + 1,
            idle_ends_at: session.idle_ends_at(now).unwrap_or(session.ends_at).min(session.ends_at),
            ..found.token.clone()
        };
        batch.put_credential(&successor.digest(), &Credential::Refresh(next), session.ends_at);
        if let Some((row, _)) = &found.successor {
            supersede(&mut batch, row, &found.token);
        }
        self.erase_parents_nonce(&mut batch, &found.token).await?;
        batch.put(session.id.as_bytes(), &Seen { at: now });
        self.answer(batch, found, successor, now).await
    }

    /// Once this token is used, nobody may derive it again from the one before and a stolen key.
    async fn erase_parents_nonce(&self, batch: &mut Batch, token: &RefreshCredential) -> Verdict<()> {
        let Some(parent) = token.parent else { return Ok(()) };
        let Some(row) = self.store.row::<Credential>(&parent).await? else { return Ok(()) };
        let Credential::Refresh(mut credential) = row.value.clone() else { return Ok(()) };
        if let RefreshState::Spent(spent) = &mut credential.state
            && spent.nonce.take().is_some()
        {
            batch.unchanged(&row).put(&parent, &Credential::Refresh(credential));
        }
        Ok(())
    }

    async fn answer(
        &self,
        batch: Batch,
        found: &Found,
        successor: RefreshToken,
        now: Time,
    ) -> Verdict<Option<Issued>> {
        let (Some(user), Some(app)) = (&found.user, &found.app) else {
            return Err(Refusal::InvalidRefreshToken);
        };
        self.ensure_signing_key(app.value.algorithm).await?;
        if self.store.commit(batch).await? == Outcome::Conflict {
            return Ok(None);
        }
        let session = found.session.value.clone();
        let proven_at = session.proven_at;
        let fresh = Fresh { refresh_token: Some(successor), ..Fresh::default() };
        self.issued(&user.value, &app.value, Some(session), proven_at, fresh, now).map(Some)
    }
}

/// The unused successor dies; whoever holds it and presents it later shows that there are two holders.
fn supersede(batch: &mut Batch, row: &Row<Credential>, token: &RefreshCredential) {
    let RefreshState::Spent(spent) = &token.state else { return };
    if let Credential::Refresh(successor) = &row.value {
        let successor = RefreshCredential { state: RefreshState::Superseded, ..successor.clone() };
        batch.put(&spent.successor, &Credential::Refresh(successor));
    }
}
