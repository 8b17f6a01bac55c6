//! What a restored backup differs in from the store whose place it takes: nobody should find out by being locked out,
//! or let in.

use crate::auth::Auth;
use crate::auth::check::RecentAdmin;
use crate::auth::keys::target_of;
use crate::auth::refusal::Verdict;
use crate::auth::sessions::put_entry;
use crate::model::blacklist::BlacklistEntry;
use crate::model::session::EndedReason;
use crate::model::user::{Role, Standing, User};
use crate::model::{Time, UserId};
use crate::store::{Batch, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const SLICE: usize = 1000;
/// How many unknown keys are blacklisted in one batch.
const KEYS_SLICE: usize = 200;

/// What is compared of a store.
pub struct Survey {
    pub store_id: [u8; 16],
    pub generation: u64,
    users: BTreeMap<UserId, User>,
    kids: Vec<String>,
}

impl Survey {
    /// Reads a store that is open.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn of(store: &Store) -> Result<Self, StoreError> {
        let mut users = BTreeMap::new();
        let mut after = None;
        loop {
            let rows = store.user_rows(after, SLICE).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.value.id);
            users.extend(rows.into_iter().map(|row| (row.value.id, row.value)));
        }
        let kids = store.view().keys().map(|key| key.value.kid.clone()).collect();
        let engine = store.engine();
        Ok(Self { store_id: engine.store_id(), generation: engine.generation(), users, kids })
    }

    /// How many users there are, without the deleted.
    pub fn users(&self) -> usize {
        self.users.values().filter(|user| user.standing != Standing::Deleted).count()
    }
}

/// One thing that is not as it was before the restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub login: String,
    /// `user`, `login`, `role`, `state`, `groups` or `password`.
    pub what: String,
    pub before: String,
    pub now: String,
}

/// What became of the store that was there before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// There was none.
    Nothing,
    /// It was compared.
    Compared(Vec<Difference>),
    /// It could not be read, and so not compared.
    Unreadable(String),
}

/// What a restore tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub made_at: Time,
    pub program: String,
    pub records: u64,
    pub users: usize,
    /// Whether digests were compared as well: only the master key that the backup was made under can.
    pub same_key: bool,
    /// Whether the store before was this very one, at a later time.
    pub same_store: bool,
    pub before: Before,
    /// Apps whose secrets wait to be confirmed.
    pub suspended_apps: Vec<String>,
}

/// Users, roles, groups and passwords that differ, by login.
pub fn differences(old: &Survey, new: &Survey) -> Vec<Difference> {
    let mut found = Vec::new();
    for id in old.users.keys().chain(new.users.keys().filter(|id| !old.users.contains_key(id))) {
        let (old, new) = (old.users.get(id), new.users.get(id));
        let login = old.or(new).map(|user| user.login.clone()).unwrap_or_default();
        let mut note = |what: &str, before: String, now: String| {
            if before != now {
                found.push(Difference { login: login.clone(), what: what.into(), before, now });
            }
        };
        match (old, new) {
            (Some(old), Some(new)) => {
                note("login", old.login.clone(), new.login.clone());
                note("role", role(old), role(new));
                note("state", state(old), state(new));
                note("groups", old.groups.join(", "), new.groups.join(", "));
                note("password", password(old), password(new));
            }
            (Some(_), None) => note("user", "there".into(), "not yet made: gone".into()),
            (None, _) => note("user", "gone".into(), "there again".into()),
        }
    }
    found.sort_by(|a, b| a.login.cmp(&b.login));
    found
}

fn role(user: &User) -> String {
    String::from(match user.role {
        Role::Admin => "administrator",
        Role::User => "user",
    })
}

fn state(user: &User) -> String {
    String::from(match user.standing {
        Standing::Enabled => "enabled",
        Standing::Disabled => "disabled",
        Standing::Deleted => "deleted",
    })
}

/// When it was set tells passwords apart; a hash that was made anew is the same password.
fn password(user: &User) -> String {
    user.password_changed_at.map_or("none".into(), |at| format!("of {}", at.to_words()))
}

impl Auth {
    /// Makes a restored store, of which nobody has heard yet, one that may be served: everything of everybody is ended,
    /// and nothing that was revoked in the store before comes back. `old`: where that could be read.
    ///
    /// # Errors
    /// When the store fails: then it must not be served.
    pub async fn take_over(&self, by: &RecentAdmin, old: Option<&Survey>) -> Verdict<Vec<String>> {
        self.invalidate_all(by).await?;
        if let Some(old) = old {
            // Keys that the backup does not know: nothing here accepts them, but services elsewhere may hold them.
            let known: Vec<_> = self.store.view().keys().map(|key| key.value.kid.clone()).collect();
            let unknown: Vec<_> = old.kids.iter().filter(|kid| !known.contains(kid)).collect();
            for kids in unknown.chunks(KEYS_SLICE) {
                let mut batch = Batch::new();
                for kid in kids {
                    let reason = EndedReason::Invalidated.as_str();
                    let entry =
                        BlacklistEntry::new(target_of(kid)?, None, reason, by.actor(), self.clock.now());
                    put_entry(&mut batch, &entry);
                }
                self.store.commit(batch).await?;
            }
            // Of the two pasts of one store none may be taken for the other.
            self.store.engine().begin_generation(old.generation + 1).await?;
        }
        let view = self.store.view();
        let waiting = view.apps().filter(|app| app.value.secrets.iter().any(|secret| secret.suspended));
        Ok(waiting.map(|app| app.value.id.to_string()).collect())
    }

    /// What is compared of this store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn survey(&self) -> Verdict<Survey> {
        Ok(Survey::of(&self.store).await?)
    }
}
