//! Set-up: the first administrator, once and for ever.

use crate::auth::Auth;
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::users::NewUser;
use crate::model::OneTimeCode;
use crate::model::code::CodePurpose;
use crate::model::password::Password;
use crate::model::user::{Role, User};
use crate::store::Row;
use crate::store::tables::Claimed;
use std::sync::Arc;

impl Auth {
    /// Whether set-up is still open. It never opens again, whatever users exist.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn is_set_up(&self) -> Verdict<bool> {
        Ok(self.store.row::<Claimed>(&()).await?.is_some())
    }

    /// A new code for the set-up link. Earlier ones stay good until their end.
    ///
    /// # Errors
    /// `SetUpClosed`.
    pub async fn mint_setup_code(&self) -> Verdict<OneTimeCode> {
        if self.is_set_up().await? {
            return Err(Refusal::SetUpClosed);
        }
        self.mint_code(CodePurpose::SetUp).await
    }

    /// Makes the first administrator by a set-up code. Of any number at once, one succeeds.
    ///
    /// # Errors
    /// `SetUpClosed`, `InvalidCode`, `Invalid`.
    pub async fn set_up(
        &self,
        code: &str,
        login: String,
        email: Option<String>,
        name: String,
        password: Password,
    ) -> Verdict<Arc<Row<User>>> {
        if self.is_set_up().await? {
            return Err(Refusal::SetUpClosed);
        }
        if self.read_code(code).await?.value.purpose != CodePurpose::SetUp {
            return Err(Refusal::InvalidCode);
        }
        self.claim(login, email, name, password).await
    }

    /// The same unattended, by configuration: only where nothing was ever set up.
    ///
    /// # Errors
    /// `SetUpClosed`, `Invalid`.
    pub async fn set_up_unattended(&self, email: String, password: Password) -> Verdict<Arc<Row<User>>> {
        if self.is_set_up().await? {
            return Err(Refusal::SetUpClosed);
        }
        self.claim("admin".into(), Some(email), "Administrator".into(), password).await
    }

    async fn claim(
        &self,
        login: String,
        email: Option<String>,
        name: String,
        password: Password,
    ) -> Verdict<Arc<Row<User>>> {
        let new = NewUser {
            login,
            // Nobody is above the first administrator who could confirm it.
            email_verified: email.is_some(),
            email,
            name,
            role: Role::Admin,
            groups: Vec::new(),
            password: Some(password),
        };
        let user = match self.make_user(new, true).await {
            // Whoever lost the race is told why, not that the name is taken.
            Err(Refusal::Conflict { .. }) if self.is_set_up().await? => return Err(Refusal::SetUpClosed),
            made => made?,
        };
        tracing::warn!(event = "set_up", user = %user.value.id);
        Ok(user)
    }
}
