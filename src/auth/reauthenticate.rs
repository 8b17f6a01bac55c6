//! Step-up: proving the password again for sensitive acts.

use crate::auth::check::{Means, SignedIn};
use crate::auth::issue::Issued;
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::{Auth, Client, TRIES_MAX};
use crate::model::password::Password;
use crate::model::session::{Credential, REPLACED_ANSWERS_SECONDS, Session};
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
            let user = self.uncut_user(caller)?;
            let Some(id) = caller.session_id() else {
                return self.issued(&user.value, caller.app(), None, now, Default::default(), now);
            };
            let row = self.store.row::<Session>(&id).await?.ok_or(Refusal::InvalidToken)?;
            if let Some(ended) = row.value.over(now, Some(&user.value), Some(caller.app()), now) {
                return Err(Refusal::SessionEnded(ended.reason));
            }
            let mut session = row.value.clone();
            let mut batch = Batch::new();
            batch.unchanged(&user).unchanged(&row);
            let fresh = match caller.means() {
                Means::Session { digest } => {
                    session.proven_at = now;
                    batch.put(&id, &session);
                    let old = self.store.row::<Credential>(digest).await?.ok_or(Refusal::InvalidToken)?;
                    if let Credential::Session(credential) = &old.value {
                        let mut credential = credential.clone();
                        credential.answers_until = Some(now.plus_ms(REPLACED_ANSWERS_SECONDS * SECOND_MS));
                        batch.unchanged(&old).put(digest, &Credential::Session(credential));
                    }
                    self.put_secrets(&mut batch, &session, now)
                }
                // The refresh token goes on, and whoever holds it gains nothing: the new access token alone has the
                // privilege, and the session's record says nothing of it.
                Means::Access { .. } | Means::Refresh => Default::default(),
            };
            if self.store.commit(batch).await? != Outcome::Conflict {
                tracing::info!(event = "reauthenticated", user = %user.value.id);
                return self.issued(&user.value, caller.app(), Some(session), now, fresh, now);
            }
        }
        Err(Refusal::Overloaded)
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
