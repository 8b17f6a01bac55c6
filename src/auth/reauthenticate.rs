//! Step-up: proving the password again for sensitive acts.

use crate::auth::check::{Means, SignedIn};
use crate::auth::issue::{Fresh, Issued};
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::{Auth, Client, TRIES_MAX};
use crate::model::Time;
use crate::model::password::Password;
use crate::model::session::{Credential, REPLACED_ANSWERS_SECONDS, Session, SessionCredential};
use crate::model::time::SECOND_MS;
use crate::store::{Batch, Outcome};

impl Auth {
    /// Proves the caller's password again. The reply has a new credential; an old cookie answers for 30 s more,
    /// without the new privilege.
    ///
    /// # Errors
    /// `InvalidCredentials`, `TooManyAttempts`: the account's bucket is the one of sign-in.
    pub async fn reauthenticate(
        &self,
        caller: &SignedIn,
        password: Password,
        device_proof: Option<&str>,
        client: &Client,
    ) -> Verdict<Issued> {
        self.prove(caller, password, device_proof, client).await?;
        self.ensure_signing_key(caller.app().algorithm).await?;
        for _ in 0..TRIES_MAX {
            let now = self.clock.now();
            let mut batch = Batch::new();
            let (user, app) = self.put_still_good(&mut batch, caller, now).await?;
            let (session, fresh) = match caller.session_id() {
                Some(id) => {
                    let row = self.store.row::<Session>(&id).await?.ok_or(Refusal::InvalidToken)?;
                    if let Some(ended) = row.value.over(now, Some(&user.value), Some(&app.value), now) {
                        return Err(Refusal::SessionEnded(ended.reason));
                    }
                    batch.unchanged(&row);
                    let (session, fresh) = self.put_step_up(&mut batch, caller, row.value, now).await?;
                    (Some(session), fresh)
                }
                None => (None, Fresh::default()),
            };
            if self.store.commit(batch).await? != Outcome::Conflict {
                tracing::info!(event = "reauthenticated", user = %user.value.id);
                return self.issued(&user.value, &app.value, session, now, fresh, now);
            }
        }
        Err(Refusal::Overloaded)
    }

    /// A cookie is replaced by one with the privilege. A refresh token goes on, and whoever holds it gains nothing: the
    /// new access token alone has the privilege, and the session's record says nothing of it.
    async fn put_step_up(
        &self,
        batch: &mut Batch,
        caller: &SignedIn,
        mut session: Session,
        now: Time,
    ) -> Verdict<(Session, Fresh)> {
        let Means::Session { digest } = caller.means() else { return Ok((session, Fresh::default())) };
        session.proven_at = now;
        batch.put(&session.id, &session);
        let old = self.store.row::<Credential>(digest).await?.ok_or(Refusal::InvalidToken)?;
        if let Credential::Session(credential) = &old.value {
            let end = now.plus_ms(REPLACED_ANSWERS_SECONDS * SECOND_MS);
            // One that was replaced before answers no longer for it.
            let answers_until = Some(credential.answers_until.map_or(end, |until| until.min(end)));
            let replaced = SessionCredential { answers_until, ..credential.clone() };
            batch.unchanged(&old).put(digest, &Credential::Session(replaced));
        }
        let fresh = self.put_secrets(batch, &session, now);
        Ok((session, fresh))
    }

    /// Charges, verifies and refunds: the caller's own password, in whatever flow it is asked for.
    pub(crate) async fn prove(
        &self,
        caller: &SignedIn,
        password: Password,
        device_proof: Option<&str>,
        client: &Client,
    ) -> Verdict<()> {
        let id = caller.user().id;
        let device = self.known_device(device_proof, Some(id));
        let charged = self.charge(&caller.user().login, Some(id), device, client.address).await?;
        match self.verify_password(Some(id), password).await {
            Ok(Some(_)) => {
                self.refund(&charged);
                Ok(())
            }
            Ok(None) => {
                self.keep_charge(&charged).await?;
                tracing::info!(event = "password_proof_failed", user = %id);
                Err(Refusal::InvalidCredentials)
            }
            Err(refusal) => {
                self.refund(&charged);
                Err(refusal)
            }
        }
    }
}
