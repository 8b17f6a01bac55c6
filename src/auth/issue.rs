//! Handing out credentials, by the app's strategy.

use crate::auth::check::{Means, SignedIn};
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::vault::Digestible;
use crate::auth::{Auth, Client};
use crate::model::app::{App, AppStanding, Strategy};
use crate::model::blacklist::{BlacklistEntry, Target};
use crate::model::claims::{Claims, jittered_seconds};
use crate::model::device;
use crate::model::network::Network;
use crate::model::refresh::{RefreshCredential, RefreshState};
use crate::model::session::{Credential, EndedReason, Session, SessionCredential};
use crate::model::time::MINUTE_MS;
use crate::model::user::{Roster, User};
use crate::model::{RefreshToken, SessionId, SessionToken, Time, TokenId, UserId};
use crate::store::{Batch, Row};
use std::sync::Arc;

/// What a caller gets: as much as the strategy has.
pub struct Issued {
    /// `None` for a `jwt` app.
    pub session: Option<Session>,
    pub last_seen: Time,
    pub access_token: Option<AccessToken>,
    pub refresh_token: Option<RefreshToken>,
    pub session_token: Option<SessionToken>,
    /// What unsafe requests must carry when a credential of this travels as a cookie.
    pub csrf_token: String,
}

/// A signed access token and how long it lives.
pub struct AccessToken {
    pub id: TokenId,
    pub token: String,
    pub expires_in_seconds: i64,
}

/// The opaque secrets of a session about to be committed.
#[derive(Default)]
pub(crate) struct Fresh {
    pub(crate) session_token: Option<SessionToken>,
    pub(crate) refresh_token: Option<RefreshToken>,
}

impl Auth {
    /// Looks again at what the caller's check relied on, and relies on it. Anew at every try: who was cut and what was
    /// blacklisted since, while a password was hashed perhaps, does not come back by a new credential.
    pub(crate) async fn put_still_good(
        &self,
        batch: &mut Batch,
        caller: &SignedIn,
        now: Time,
    ) -> Verdict<(Arc<Row<User>>, Arc<Row<App>>)> {
        let user = self.user(&caller.user().id).ok_or(Refusal::InvalidToken)?;
        if user.value.epoch != caller.user().epoch {
            let reason = user.value.cut.as_ref().map_or(EndedReason::Revoked, |cut| cut.reason);
            return Err(Refusal::SessionEnded(reason));
        }
        let app = self.app(&caller.app().id).filter(|app| app.value.standing == AppStanding::Enabled);
        let app = app.ok_or(Refusal::SessionEnded(EndedReason::AppDisabled))?;
        batch.unchanged(&user).unchanged(&app);
        if let Means::Access { token } = caller.means() {
            let target = Target::Token(*token);
            let entry = self.store.row::<BlacklistEntry>(&target).await?;
            batch.same(&target, entry.as_ref());
            if entry.is_some_and(|entry| now < entry.value.until) {
                return Err(Refusal::TokenBlacklisted);
            }
        }
        Ok((user, app))
    }

    /// A session that begins now. Nothing is written yet.
    pub(crate) fn new_session(
        &self,
        user: &User,
        app: &App,
        client: &Client,
        remember: bool,
        now: Time,
    ) -> Session {
        let lives = &app.lifetimes;
        let minutes = if remember { lives.remember_minutes } else { lives.absolute_minutes };
        let device = device::describe(&client.agent);
        // Whoever asked to be remembered is not idle overnight; `tracked` has no idle end.
        let idle_minutes = match app.strategy {
            Strategy::Refresh => lives.idle_minutes,
            Strategy::Session if !remember => lives.idle_minutes,
            Strategy::Session | Strategy::Tracked | Strategy::Jwt => 0,
        };
        Session {
            id: SessionId::new(now, self.entropy.bytes()),
            user: user.id,
            app: app.id.clone(),
            strategy: app.strategy,
            epoch: user.epoch,
            opened_at: now,
            ends_at: now.plus_minutes(minutes),
            idle_minutes,
            proven_at: now,
            device: device.name,
            device_kind: device.kind,
            address: client.address.to_string(),
            network: Network::of(client.address),
            data: None,
            data_revision: 0,
            ended: None,
        }
    }

    /// Puts new opaque secrets for the session into the batch.
    pub(crate) fn put_secrets(&self, batch: &mut Batch, session: &Session, now: Time) -> Fresh {
        let mut fresh = Fresh::default();
        match session.strategy {
            Strategy::Session => {
                let token = SessionToken::new(self.entropy.bytes());
                let credential = SessionCredential {
                    session: session.id,
                    epoch: session.epoch,
                    proven_at: session.proven_at,
                    answers_until: None,
                    ends_at: session.ends_at,
                };
                batch.put_credential(&token.digest(), &Credential::Session(credential), session.ends_at);
                fresh.session_token = Some(token);
            }
            Strategy::Refresh => {
                let token = RefreshToken::new(self.entropy.bytes());
                let credential = first_of_chain(session, now);
                batch.put_credential(&token.digest(), &Credential::Refresh(credential), session.ends_at);
                fresh.refresh_token = Some(token);
            }
            Strategy::Jwt | Strategy::Tracked => {}
        }
        fresh
    }

    /// Sessions opened and ended on the user's roster, and this sign-in's time.
    pub(crate) async fn put_sign_in(
        &self,
        batch: &mut Batch,
        user: &User,
        opened: u32,
        ended: u32,
        now: Time,
    ) -> Verdict<()> {
        let row = self.store.row::<Roster>(&user.id).await?;
        let live = (row.as_ref().map_or(0, |row| row.value.live) + opened).saturating_sub(ended);
        batch.put_roster(row.as_ref(), &user.id, &Roster { live, last_sign_in_at: Some(now) });
        Ok(())
    }

    /// So many sessions fewer on the user's roster.
    pub(crate) async fn put_fewer(&self, batch: &mut Batch, user: &UserId, ended: u32) -> Verdict<()> {
        if let Some(row) = self.store.row::<Roster>(user).await? {
            let roster = Roster { live: row.value.live.saturating_sub(ended), ..row.value.clone() };
            batch.put_roster(Some(&row), user, &roster);
        }
        Ok(())
    }

    /// What goes out once the batch is committed. `session` is `None` for a `jwt` app.
    pub(crate) fn issued(
        &self,
        user: &User,
        app: &App,
        session: Option<Session>,
        proven_at: Time,
        fresh: Fresh,
        now: Time,
    ) -> Verdict<Issued> {
        let access_token = match app.strategy {
            Strategy::Session => None,
            _ => Some(self.access_token(user, app, session.as_ref(), proven_at, now)?),
        };
        let subject = match (&session, &access_token) {
            (Some(session), _) => *session.id.as_bytes(),
            (None, Some(token)) => *token.id.as_bytes(),
            (None, None) => return Err(Refusal::Fault("nothing was issued".into())),
        };
        let csrf_token = self.vault.csrf_token(&subject);
        Ok(Issued {
            session,
            last_seen: now,
            access_token,
            refresh_token: fresh.refresh_token,
            session_token: fresh.session_token,
            csrf_token,
        })
    }

    /// Signs an access token (RFC 9068). It never outlives its session.
    pub(crate) fn access_token(
        &self,
        user: &User,
        app: &App,
        session: Option<&Session>,
        proven_at: Time,
        now: Time,
    ) -> Verdict<AccessToken> {
        let life_seconds = i64::from(app.lifetimes.access_minutes) * MINUTE_MS / 1000;
        let jittered = jittered_seconds(life_seconds, u16::from_be_bytes(self.entropy.bytes()));
        let left = session.map_or(jittered, |session| session.ends_at.seconds() - now.seconds());
        let expires_in_seconds = jittered.min(left).max(1);
        let claims = Claims {
            iss: self.settings.issuer.clone(),
            sub: user.id,
            aud: app.audience.clone(),
            client_id: app.id.clone(),
            iat: now.seconds(),
            exp: now.seconds() + expires_in_seconds,
            nbf: None,
            jti: TokenId::new(now, self.entropy.bytes()),
            sid: session.map(|session| session.id),
            ep: user.epoch,
            auth_time: Some(proven_at.seconds()),
        };
        let ring = self.key_ring()?;
        let token = ring
            .sign(app.algorithm, &claims)
            .map_err(|e| Refusal::Fault(format!("no token could be signed with {}: {e:?}", app.algorithm)))?;
        Ok(AccessToken { id: claims.jti, token, expires_in_seconds })
    }
}

/// The refresh token of a sign-in, or of a session re-opened under a new epoch.
pub(crate) fn first_of_chain(session: &Session, now: Time) -> RefreshCredential {
    RefreshCredential {
        session: session.id,
        app: session.app.clone(),
        epoch: session.epoch,
        state: RefreshState::Fresh,
        parent: None,
        generation: 1,
        idle_ends_at: session.idle_ends_at(now).unwrap_or(session.ends_at),
        ends_at: session.ends_at,
    }
}
