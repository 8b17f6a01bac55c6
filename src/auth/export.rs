//! Handing everything out that another appliance needs to begin with: apps, users, hashes of passwords.

use crate::auth::Auth;
use crate::auth::check::RecentAdmin;
use crate::auth::refusal::Verdict;
use crate::model::UserId;
use crate::model::transfer::Line;
use crate::model::user::Actor;
use std::sync::Arc;

/// How many users are read at a time: what lies in memory of them.
const SLICE_USERS: usize = 500;

/// An export under way. Users who are changed meanwhile are in it as they were when their turn came.
pub struct Export {
    auth: Arc<Auth>,
    by: Actor,
    stage: Stage,
    apps: u64,
    users: u64,
}

enum Stage {
    Beginning,
    Users { after: Option<UserId> },
    Over,
}

impl Auth {
    /// Begins an export. It holds the hash of every password, so it is logged loudly.
    pub fn export(self: &Arc<Self>, by: &RecentAdmin) -> Export {
        let by = by.actor();
        tracing::warn!(event = "export_begun", by = ?by);
        Export { auth: Arc::clone(self), by, stage: Stage::Beginning, apps: 0, users: 0 }
    }
}

impl Export {
    /// The next whole lines, or `None` after the last.
    ///
    /// # Errors
    /// When the store fails: then the last line never comes.
    pub async fn next(&mut self) -> Verdict<Option<Vec<u8>>> {
        let mut out = Vec::new();
        match self.stage {
            Stage::Beginning => {
                Line::header(self.auth.clock.now()).write(&mut out);
                self.put_apps(&mut out);
                self.stage = Stage::Users { after: None };
            }
            Stage::Users { after } => {
                let found = self.auth.store.users_after(after, SLICE_USERS).await?;
                self.stage = match found.last() {
                    Some((row, _)) => Stage::Users { after: Some(row.value.id) },
                    None => Stage::Over,
                };
                for (row, password) in found {
                    if let Some(line) = Line::user(&row.value, password.map(|record| record.phc)) {
                        line.write(&mut out);
                        self.users += 1;
                    }
                }
                if matches!(self.stage, Stage::Over) {
                    Line::end(self.apps, self.users).write(&mut out);
                    tracing::warn!(event = "exported", users = self.users, apps = self.apps, by = ?self.by);
                }
            }
            Stage::Over => return Ok(None),
        }
        Ok(Some(out))
    }

    fn put_apps(&mut self, out: &mut Vec<u8>) {
        let mut apps: Vec<_> = self.auth.store.view().apps().cloned().collect();
        apps.sort_by(|a, b| a.value.id.cmp(&b.value.id));
        for line in apps.iter().filter_map(|row| Line::app(&row.value)) {
            line.write(out);
            self.apps += 1;
        }
    }
}
