//! Apps of an import.

use super::{Import, Item, Settled, reasons_of};
use crate::auth::apps::{AppFields, apply_fields};
use crate::auth::refusal::Verdict;
use crate::model::app::{App, AppStanding, ClientSecret, SECRETS_MAX};
use crate::model::misfit::Misfit;
use crate::model::transfer::{AppLine, SecretLine, State};
use crate::store::{Batch, Outcome};

/// An app as a line describes it.
pub(super) struct NewApp {
    app: App,
    /// Whether the line says when it was made.
    has_time: bool,
}

impl Import<'_> {
    pub(super) fn new_app(&mut self, line: AppLine) -> Item {
        match self.read_app(line) {
            Ok(new) => self.claim(&[format!("app:{}", new.app.id)], Item::App(Box::new(new))),
            Err(reasons) => Item::Refused(reasons),
        }
    }

    pub(super) async fn put_app(&self, new: NewApp) -> Verdict<Settled> {
        let NewApp { mut app, has_time } = new;
        let there = self.auth.app(&app.id);
        let refused = |code, message| Ok(Settled::Refused(vec![Misfit::new("id", code, message)]));
        let mut batch = Batch::new();
        match &there {
            None => batch.absent::<App>(&app.id),
            Some(row) => {
                app.built_in = row.value.built_in;
                app.created_at = if has_time { app.created_at } else { row.value.created_at };
                if row.value == app {
                    return Ok(Settled::Skipped);
                }
                // An empty appliance has the two built-in ones already: as they came, they make way for the file's.
                if !self.auth.settings.built_in_apps(row.value.created_at).contains(&row.value) {
                    return refused(
                        "app_exists",
                        "An app of this id exists with other settings, or existed.",
                    );
                }
                let same_kind =
                    (app.strategy, app.confidential) == (row.value.strategy, row.value.confidential);
                let is_open = app.standing == AppStanding::Enabled && app.appliance_access;
                if !same_kind || (app.id.as_str() == App::APPLIANCE && !is_open) {
                    let message = "A built-in app keeps its strategy, and the appliance's own stays open.";
                    return refused("built_in_app", message);
                }
                batch.unchanged(row)
            }
        };
        batch.put(&app.id, &app);
        if !self.report.dry_run && self.auth.store.commit(batch).await? == Outcome::Conflict {
            return refused("app_exists", "An app of this id was made in this very moment.");
        }
        Ok(Settled::Imported)
    }

    fn read_app(&self, line: AppLine) -> Result<NewApp, Vec<Misfit>> {
        let created_at = line.created_at.map(|stamp| stamp.0);
        let mut app = self.auth.settings.new_app(line.id, line.strategy, created_at.unwrap_or(self.now));
        app.confidential = line.confidential;
        app.standing = match line.state {
            State::Enabled => AppStanding::Enabled,
            State::Disabled => AppStanding::Disabled,
        };
        let secret = |SecretLine { id, sha256, created_at, suspended }| ClientSecret {
            id,
            digest: sha256.0,
            created_at: created_at.0,
            suspended,
        };
        app.secrets = line.secrets.into_iter().map(secret).collect();
        let fields = AppFields {
            name: line.name,
            audience: line.audience,
            algorithm: line.algorithm,
            access_minutes: line.access_minutes,
            idle_minutes: line.idle_minutes,
            absolute_minutes: line.absolute_minutes,
            remember_minutes: line.remember_minutes,
            origins: line.origins,
            replay_match: line.replay_match,
            appliance_access: line.appliance_access,
            disabled: None,
        };
        let mut reasons = reasons_of(apply_fields(&mut app, &fields));
        if app.secrets.len() > SECRETS_MAX || (!app.confidential && !app.secrets.is_empty()) {
            let message = "Confidential apps have up to two secrets, others none.";
            reasons.push(Misfit::new("secrets", "invalid", message));
        }
        let has_time = created_at.is_some();
        if reasons.is_empty() { Ok(NewApp { app, has_time }) } else { Err(reasons) }
    }
}
