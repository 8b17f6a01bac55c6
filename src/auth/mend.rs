//! After a loss that was accepted: the records that others rely on are made to fit what is left.

use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::{Auth, TRIES_MAX};
use crate::model::UserId;
use crate::model::user::{Standing, User};
use crate::store::tables::{Admins, Claimed, NameEntry};
use crate::store::user::names_of;
use crate::store::{Batch, Outcome, Row};
use std::sync::Arc;

impl Auth {
    /// Closes set-up where there are users, counts the administrators, and gives users their names back.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn mend_guards(&self) -> Verdict<()> {
        let users: Vec<_> = self.store.view().users().cloned().collect();
        for _ in 0..TRIES_MAX {
            let mut batch = Batch::new();
            let claimed = self.store.row::<Claimed>(&()).await?;
            if let (None, Some(first)) = (&claimed, users.first()) {
                batch.absent::<Claimed>(&()).put(&(), &Claimed { at: self.clock.now(), by: first.value.id });
            }
            let admins = self.store.row::<Admins>(&()).await?;
            let enabled = users.iter().filter(|user| user.value.is_enabled_admin()).count() as u32;
            if admins.as_ref().map(|row| row.value.enabled) != Some(enabled) {
                batch.same(&(), admins.as_ref()).put(&(), &Admins { enabled });
            }
            if self.store.commit(batch).await? != Outcome::Conflict {
                return self.mend_names(&users).await;
            }
        }
        Err(Refusal::Overloaded)
    }

    async fn mend_names(&self, users: &[Arc<Row<User>>]) -> Verdict<()> {
        for user in users.iter().filter(|user| user.value.standing != Standing::Deleted) {
            for name in names_of(&user.value) {
                let held: Option<UserId> = self.store.user_by_name(&name).await?;
                match held {
                    Some(holder) if holder == user.value.id => {}
                    Some(_) => {
                        tracing::warn!(user = %user.value.id, "a name of this user belongs to another")
                    }
                    None => {
                        let mut batch = Batch::new();
                        batch
                            .absent::<NameEntry>(&name)
                            .put(name.as_str(), &NameEntry { user: user.value.id });
                        let _: Outcome = self.store.commit(batch).await?;
                    }
                }
            }
        }
        Ok(())
    }
}
