//! Passwords: changing one's own, setting another's, and the reset by a one-time code.

use crate::auth::attempts::refuse_if_over;
use crate::auth::check::{RecentAdmin, SignedIn};
use crate::auth::issue::Issued;
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::vault::Digestible;
use crate::auth::{Auth, Client};
use crate::model::code::{CODE_LIFE_MINUTES, CodePurpose, CodeRecord};
use crate::model::password::{self, Password};
use crate::model::session::EndedReason;
use crate::model::user::{Actor, Standing, User};
use crate::model::{OneTimeCode, Time, UserId};
use crate::store::tables::PasswordRecord;
use crate::store::{Batch, Row};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

impl Auth {
    /// Changes the caller's own password. Everything else signed in with the old one ends; the caller goes on.
    ///
    /// # Errors
    /// `InvalidCredentials` for a wrong current one, `Invalid` for a new one against the rules.
    pub async fn change_own_password(
        &self,
        caller: &SignedIn,
        current: Password,
        new: Password,
        device_proof: Option<&str>,
        client: &Client,
    ) -> Verdict<Issued> {
        self.check_password("new_password", &new, caller.user())?;
        self.prove(caller, current, device_proof, client).await?;
        let phc = self.hasher.hash(new).await?.into();
        let record = PasswordRecord { phc };
        let now = self.clock.now();
        let issued = self
            .cut_others(caller, EndedReason::PasswordChanged, |batch, user| {
                put_password(batch, user, &record, now);
                Ok(())
            })
            .await?;
        tracing::info!(event = "password_changed", user = %caller.user().id);
        Ok(issued)
    }

    /// Sets somebody's password. Everything of theirs ends.
    ///
    /// # Errors
    /// `NotFound`, or `Invalid` for a password against the rules.
    pub async fn set_password(&self, by: &RecentAdmin, id: &UserId, new: Password) -> Verdict<()> {
        let user = self.existing_user(id)?;
        self.check_password("new_password", &new, &user.value)?;
        self.put_new_password(id, new, by.actor(), None).await
    }

    /// Makes a code of one use by which somebody chooses a new password. Earlier codes stay good until their end.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn mint_reset_code(&self, by: &RecentAdmin, id: &UserId) -> Verdict<OneTimeCode> {
        let user = self.existing_user(id)?;
        tracing::info!(event = "reset_code_made", user = %user.value.id, by = ?by.actor());
        self.mint_code(CodePurpose::ResetPassword(*id)).await
    }

    /// What a code is good for, and for whom.
    ///
    /// # Errors
    /// `InvalidCode`.
    pub async fn read_code(&self, text: &str) -> Verdict<Row<CodeRecord>> {
        self.refuse_while_invalidating()?;
        let code = OneTimeCode::parse(text).map_err(|_| Refusal::InvalidCode)?;
        let row = self.store.row::<CodeRecord>(&code.digest()).await?.ok_or(Refusal::InvalidCode)?;
        if row.value.ends_at <= self.clock.now() { Err(Refusal::InvalidCode) } else { Ok(row) }
    }

    /// As [`Auth::read_code`] for whoever types codes or opens links: charged by address, so that nobody guesses. A
    /// good code costs nothing.
    ///
    /// # Errors
    /// `InvalidCode`, `TooManyAttempts`.
    pub async fn try_code(&self, text: &str, address: IpAddr) -> Verdict<CodePurpose> {
        refuse_if_over(self.throttle.charge_code(address, self.clock.now()))?;
        let code = self.read_code(text).await;
        if !matches!(code, Err(Refusal::InvalidCode)) {
            self.throttle.refund_code(address);
        }
        Ok(code?.value.purpose)
    }

    /// Chooses a new password by a code of one use. Everything opened before ends; nobody is signed in by it.
    ///
    /// # Errors
    /// `InvalidCode`; or `Invalid` for a password against the rules, and then the code is still good.
    pub async fn reset_password(&self, text: &str, new: Password) -> Verdict<UserId> {
        let code = self.read_code(text).await?;
        let CodePurpose::ResetPassword(id) = code.value.purpose else { return Err(Refusal::InvalidCode) };
        let user = self.existing_user(&id).map_err(|_| Refusal::InvalidCode)?;
        self.check_password("new_password", &new, &user.value)?;
        self.put_new_password(&id, new, Actor::User(id), Some(&code)).await?;
        Ok(id)
    }

    async fn put_new_password(
        &self,
        id: &UserId,
        new: Password,
        by: Actor,
        code: Option<&Row<CodeRecord>>,
    ) -> Verdict<()> {
        let record = PasswordRecord { phc: self.hasher.hash(new).await?.into() };
        let tries = AtomicU32::new(0);
        self.change_user(id, |batch, user, now| {
            if user.standing == Standing::Deleted {
                // Whoever has a code hears no more of the account than before.
                return Err(if code.is_some() { Refusal::InvalidCode } else { Refusal::NotFound });
            }
            self.put_cut(batch, user, EndedReason::PasswordChanged, by, now);
            put_password(batch, user, &record, now);
            if let Some(code) = code {
                // A second try may mean that the code was used meanwhile: then it conflicts until the bound.
                if tries.fetch_add(1, Ordering::Relaxed) > CODE_TRIES_MAX {
                    return Err(Refusal::InvalidCode);
                }
                batch.remove_row(code);
            }
            Ok(())
        })
        .await?;
        tracing::info!(event = "password_set", user = %id, by = ?by);
        Ok(())
    }

    pub(crate) async fn mint_code(&self, purpose: CodePurpose) -> Verdict<OneTimeCode> {
        let code = OneTimeCode::new(self.entropy.bytes());
        let ends_at = self.clock.now().plus_minutes(CODE_LIFE_MINUTES);
        let mut batch = Batch::new();
        let digest = code.digest();
        batch.absent::<CodeRecord>(&digest).put(&digest, &CodeRecord { purpose, ends_at });
        batch.look_again::<CodeRecord>(&digest, ends_at);
        self.store.commit(batch).await?;
        Ok(code)
    }

    /// The password rules, with the words of this account barred.
    pub(crate) fn check_password(&self, field: &'static str, new: &Password, user: &User) -> Verdict<()> {
        let email_name = user.email.as_deref().and_then(|email| email.split('@').next()).unwrap_or_default();
        let context = ["hallpass", user.login.as_str(), email_name, user.name.as_str()];
        password::check(new, &context, self.settings.password_length_min)
            .map_err(|problem| Refusal::field(field, problem.code(), problem.message()))
    }
}

/// How often a reset is tried again before its code is taken to be used.
const CODE_TRIES_MAX: u32 = 5;

/// The new hash, and the generation that kills the device proofs of the old one.
pub(crate) fn put_password(batch: &mut Batch, user: &mut User, record: &PasswordRecord, now: Time) {
    user.password_generation += 1;
    user.password_changed_at = Some(now);
    batch.put(&user.id, record);
}
