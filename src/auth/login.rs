//! Signing in with a password.

use crate::auth::issue::{Fresh, Issued};
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::vault::DeviceProof;
use crate::auth::{Auth, Client, TRIES_MAX};
use crate::model::app::{App, AppStanding, Strategy};
use crate::model::name::fold_sign_in_name;
use crate::model::password::Password;
use crate::model::session::{Ended, EndedReason, Session};
use crate::model::user::{Actor, Standing, User};
use crate::model::{AppId, DeviceId, SessionId, Time, UserId};
use crate::store::tables::PasswordRecord;
use crate::store::{Batch, Outcome, Row};
use std::sync::Arc;

/// What somebody who signs in hands over.
pub struct SignIn {
    pub login: String,
    pub password: Password,
    pub app: AppId,
    pub remember: bool,
    /// The proof that this device has signed in to the account before.
    pub device_proof: Option<String>,
    /// The session cookie of the same app that came along: its session ends.
    pub replaces: Option<String>,
    pub client: Client,
}

/// A sign-in that went well.
pub struct SignedInAs {
    pub user: Arc<Row<User>>,
    pub app: Arc<Row<App>>,
    pub issued: Issued,
    pub device_proof: DeviceProof,
}

impl Auth {
    /// Signs in. Every fault of name, password or standing gets one and the same answer, after the same work.
    ///
    /// # Errors
    /// `InvalidCredentials`, `TooManyAttempts`, `Overloaded`; `Invalid` for an app that is none.
    pub async fn login(&self, sign_in: SignIn) -> Verdict<SignedInAs> {
        let verdict = self.sign_in(sign_in).await;
        self.tallies.count_sign_in(&verdict);
        verdict
    }

    async fn sign_in(&self, sign_in: SignIn) -> Verdict<SignedInAs> {
        let app = self.open_app(&sign_in.app)?;
        let folded = fold_sign_in_name(&sign_in.login);
        let claimed = self.store.user_by_name(&folded).await?;
        let device = self.known_device(sign_in.device_proof.as_deref(), claimed);
        let charged = self.charge(&folded, claimed, device, sign_in.client.address).await?;
        let verified = self.verify_password(claimed, sign_in.password).await;
        let user = match verified {
            Ok(Some(user)) => user,
            Ok(None) => {
                self.keep_charge(&charged).await?;
                tracing::info!(event = "sign_in_failed", app = %app.value.id, known = claimed.is_some());
                return Err(Refusal::InvalidCredentials);
            }
            // Nothing was learnt about the password, so nothing is owed.
            Err(refusal) => {
                self.refund(&charged);
                return Err(refusal);
            }
        };
        self.refund(&charged);
        let signed_in = self
            .open(&user.value, &app.value.id, &sign_in.client, sign_in.remember, sign_in.replaces)
            .await?;
        let device = device.unwrap_or_else(|| DeviceId::new(self.clock.now(), self.entropy.bytes()));
        let device_proof =
            self.vault.device_proof(user.value.id, device, user.value.password_generation, self.clock.now());
        tracing::info!(event = "signed_in", user = %user.value.id, app = %app.value.id);
        let (user, app, issued) = signed_in;
        Ok(SignedInAs { user, app, issued, device_proof })
    }

    /// The app, if somebody can sign in to it now.
    pub(crate) fn open_app(&self, id: &AppId) -> Verdict<Arc<Row<App>>> {
        match self.app(id) {
            Some(app) if app.value.standing == AppStanding::Enabled => Ok(app),
            _ => Err(Refusal::field("app", "unknown_app", "There is no such app, or it is disabled.")),
        }
    }

    /// The device of a proof that is this account's and of its present password.
    pub(crate) fn known_device(&self, proof: Option<&str>, user: Option<UserId>) -> Option<DeviceId> {
        let user = self.user(&user?)?;
        let now = self.clock.now();
        let claims = proof?.split('.').filter_map(|text| self.vault.read_device_proof(text, now));
        claims
            .filter(|claim| claim.user == user.value.id)
            .find(|claim| claim.password_generation == user.value.password_generation)
            .map(|claim| claim.device)
    }

    /// The user whose password it is, if they may sign in. The same work for unknown users.
    pub(crate) async fn verify_password(
        &self,
        user: Option<UserId>,
        password: Password,
    ) -> Verdict<Option<Arc<Row<User>>>> {
        let before = user.and_then(|id| self.user(&id));
        let record = match user {
            Some(id) => self.store.row::<PasswordRecord>(&id).await?,
            None => None,
        };
        let phc = record.as_ref().map(|row| row.value.phc.clone().into());
        let verified = self.hasher.verify(password, phc).await?;
        let user = user.filter(|_| verified.matches).and_then(|id| self.user(&id));
        // What was changed while it was hashed is nobody's password any more.
        let generation = before.map(|user| user.value.password_generation);
        let Some(user) = user.filter(|user| Some(user.value.password_generation) == generation) else {
            return Ok(None);
        };
        if let (Some(row), Some(rehashed)) = (record, verified.rehash) {
            let mut batch = Batch::new();
            let phc = rehashed.into();
            batch.unchanged(&row).put(&user.value.id, &PasswordRecord { phc });
            // A conflict means that the password has just changed: then its hash is new anyway.
            let _: Outcome = self.store.commit(batch).await?;
        }
        // Standing is looked at after the password, so that the time tells nothing.
        Ok(Some(user).filter(|user| user.value.standing == Standing::Enabled))
    }

    /// Opens a session for a user who proved who they are, by the app's strategy.
    pub(crate) async fn open(
        &self,
        proven: &User,
        app: &AppId,
        client: &Client,
        remember: bool,
        replaces: Option<String>,
    ) -> Verdict<(Arc<Row<User>>, Arc<Row<App>>, Issued)> {
        let app = self.open_app(app)?;
        self.ensure_signing_key(app.value.algorithm).await?;
        let replaced = match replaces {
            // What answers no more ends nothing.
            Some(text) => self.check(&text, Some(&app.value.id)).await.ok().and_then(|old| old.session_id()),
            None => None,
        };
        for _ in 0..TRIES_MAX {
            let now = self.clock.now();
            let app = self.open_app(&app.value.id)?;
            let user = self.user(&proven.id).filter(|user| {
                user.value.standing == Standing::Enabled
                    && user.value.password_generation == proven.password_generation
            });
            let user = user.ok_or(Refusal::InvalidCredentials)?;
            let mut batch = Batch::new();
            batch.unchanged(&user).unchanged(&app);
            let (session, fresh) = match app.value.strategy {
                Strategy::Jwt => (None, Fresh::default()),
                _ => {
                    let session = self.new_session(&user.value, &app.value, client, remember, now);
                    batch.open_session(&session);
                    let fresh = self.put_secrets(&mut batch, &session, now);
                    (Some(session), fresh)
                }
            };
            let ended = self.put_end_of_replaced(&mut batch, replaced, &user.value, now).await?;
            let (opened, one_less) = (u32::from(session.is_some()), u32::from(ended));
            self.put_sign_in(&mut batch, &user.value, opened, one_less, now).await?;
            if self.store.commit(batch).await? == Outcome::Conflict {
                continue;
            }
            let issued = self.issued(&user.value, &app.value, session, now, fresh, now)?;
            return Ok((user, app, issued));
        }
        Err(Refusal::Overloaded)
    }

    /// Ends the session of the cookie that the new one takes the place of. Answers whether it was this user's.
    async fn put_end_of_replaced(
        &self,
        batch: &mut Batch,
        replaced: Option<SessionId>,
        user: &User,
        now: Time,
    ) -> Verdict<bool> {
        let Some(id) = replaced else { return Ok(false) };
        let row = self.store.row::<Session>(&id).await?;
        let Some(row) = row.filter(|row| row.value.ended.is_none()) else { return Ok(false) };
        let ended = Ended { at: now, reason: EndedReason::SignedInAgain, by: Actor::User(user.id) };
        // Where it was this user's, the roster of the sign-in comes later in the batch and wins.
        self.put_end(batch, &row, ended, "").await?;
        Ok(row.value.user == user.id)
    }
}
