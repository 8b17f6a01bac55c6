//! Apps: the two built-in ones, and those that administrators make.

use crate::auth::check::{Admin, RecentAdmin};
use crate::auth::refusal::{FieldFault, Refusal, Verdict};
use crate::auth::vault::Digestible;
use crate::auth::{Auth, TRIES_MAX};
use crate::model::app::{
    App, AppStanding, ClientSecret, Lifetimes, ORIGINS_MAX, ReplayMatch, SECRETS_MAX, Strategy, parse_origin,
};
use crate::model::claims::Algorithm;
use crate::model::name::DisplayName;
use crate::model::{AppId, AppSecret, SecretId, Time};
use crate::store::tables::Seen;
use crate::store::{Batch, Outcome, Row};
use std::sync::Arc;

/// What an app is made of, or what is changed of it. `None`: the default, or as it is.
#[derive(Default)]
pub struct AppFields {
    pub name: Option<String>,
    pub audience: Option<String>,
    pub algorithm: Option<Algorithm>,
    pub access_minutes: Option<u32>,
    pub idle_minutes: Option<u32>,
    pub absolute_minutes: Option<u32>,
    pub remember_minutes: Option<u32>,
    pub origins: Option<Vec<String>>,
    pub replay_match: Option<ReplayMatch>,
    pub appliance_access: Option<bool>,
    pub disabled: Option<bool>,
}

impl Auth {
    /// All apps but the deleted, the built-in ones first.
    pub fn list_apps(&self, _by: &Admin) -> Vec<Arc<Row<App>>> {
        let mut apps: Vec<_> = self
            .store
            .view()
            .apps()
            .filter(|app| app.value.standing != AppStanding::Deleted)
            .cloned()
            .collect();
        apps.sort_by(|a, b| {
            b.value.built_in.cmp(&a.value.built_in).then_with(|| a.value.id.cmp(&b.value.id))
        });
        apps
    }

    /// The origins of all enabled apps.
    pub fn origins(&self) -> Vec<String> {
        let view = self.store.view();
        let enabled = view.apps().filter(|app| app.value.standing == AppStanding::Enabled);
        enabled.flat_map(|app| app.value.origins.iter().cloned()).collect()
    }

    /// # Errors
    /// `NotFound`.
    pub fn read_app(&self, _by: &Admin, id: &AppId) -> Verdict<Arc<Row<App>>> {
        self.existing_app(id)
    }

    fn existing_app(&self, id: &AppId) -> Verdict<Arc<Row<App>>> {
        self.app(id).filter(|app| app.value.standing != AppStanding::Deleted).ok_or(Refusal::NotFound)
    }

    /// Makes an app. A confidential one comes with a secret, shown this once.
    ///
    /// # Errors
    /// `Invalid`; `Conflict` for an id that is or was in use.
    pub async fn create_app(
        &self,
        by: &RecentAdmin,
        id: AppId,
        strategy: Strategy,
        confidential: bool,
        fields: AppFields,
    ) -> Verdict<(Arc<Row<App>>, Option<AppSecret>)> {
        let now = self.clock.now();
        let mut app = self.settings.new_app(id, strategy, now);
        app.confidential = confidential;
        apply_fields(&mut app, &fields)?;
        let secret = confidential.then(|| self.add_secret(&mut app, now).1);
        let mut batch = Batch::new();
        batch.absent::<App>(&app.id).put(&app.id, &app);
        if self.store.commit(batch).await? == Outcome::Conflict {
            let message = "An app of this id exists, or existed: its tokens would come back to life.";
            return Err(Refusal::Conflict { code: "app_exists", message });
        }
        tracing::info!(event = "app_created", app = %app.id, by = ?by.actor());
        Ok((self.existing_app(&app.id)?, secret))
    }

    /// Changes an app.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`; `Conflict` where it would lock everybody out of the appliance.
    pub async fn update_app(
        &self,
        by: &RecentAdmin,
        id: &AppId,
        fields: AppFields,
    ) -> Verdict<Arc<Row<App>>> {
        let app = self
            .change_app(id, |_, app, _| {
                apply_fields(app, &fields)?;
                if let Some(disabled) = fields.disabled {
                    app.standing = if disabled { AppStanding::Disabled } else { AppStanding::Enabled };
                }
                let shut = app.standing != AppStanding::Enabled || !app.appliance_access;
                if app.id.as_str() == App::APPLIANCE && shut {
                    let message = "The appliance's own app must stay enabled and open its API.";
                    return Err(Refusal::Conflict { code: "built_in_app", message });
                }
                Ok(())
            })
            .await?;
        tracing::info!(event = "app_changed", app = %id, by = ?by.actor());
        Ok(app)
    }

    /// Deletes an app: its sessions and tokens are refused from now on; its id is never used again.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for a built-in one.
    pub async fn delete_app(&self, by: &RecentAdmin, id: &AppId) -> Verdict<()> {
        self.existing_app(id)?;
        self.change_app(id, |_, app, _| {
            if app.built_in {
                let message = "A built-in app cannot be deleted, only disabled.";
                return Err(Refusal::Conflict { code: "built_in_app", message });
            }
            app.standing = AppStanding::Deleted;
            app.secrets.clear();
            Ok(())
        })
        .await?;
        tracing::warn!(event = "app_deleted", app = %id, by = ?by.actor());
        Ok(())
    }

    /// Adds a second secret, for a change without a gap.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for a public app or a third secret.
    pub async fn add_app_secret(&self, by: &RecentAdmin, id: &AppId) -> Verdict<(SecretId, AppSecret)> {
        let secret = AppSecret::new(self.entropy.bytes());
        let secret_id = SecretId::new(self.clock.now(), self.entropy.bytes());
        self.change_app(id, |_, app, now| {
            if !app.confidential {
                let message = "Only confidential apps have secrets.";
                return Err(Refusal::Conflict { code: "public_app", message });
            }
            if app.secrets.len() >= SECRETS_MAX {
                let message = "There are two secrets already: remove one first.";
                return Err(Refusal::Conflict { code: "too_many_secrets", message });
            }
            app.secrets.push(ClientSecret {
                id: secret_id,
                digest: secret.digest(),
                created_at: now,
                suspended: false,
            });
            Ok(())
        })
        .await?;
        tracing::info!(event = "app_secret_added", app = %id, by = ?by.actor());
        Ok((secret_id, secret))
    }

    /// # Errors
    /// `NotFound`.
    pub async fn remove_app_secret(&self, by: &RecentAdmin, id: &AppId, secret: &SecretId) -> Verdict<()> {
        self.change_app(id, |batch, app, _| {
            let before = app.secrets.len();
            app.secrets.retain(|kept| kept.id != *secret);
            batch.remove::<Seen>(secret.as_bytes());
            if app.secrets.len() == before { Err(Refusal::NotFound) } else { Ok(()) }
        })
        .await?;
        tracing::info!(event = "app_secret_removed", app = %id, by = ?by.actor());
        Ok(())
    }

    /// Confirms the secrets of an app that were suspended when everything was ended: they count again.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where none is suspended.
    pub async fn confirm_app_secrets(&self, by: &RecentAdmin, id: &AppId) -> Verdict<Arc<Row<App>>> {
        let app = self
            .change_app(id, |_, app, _| {
                if !app.secrets.iter().any(|secret| secret.suspended) {
                    let message = "No secret of this app is suspended.";
                    return Err(Refusal::Conflict { code: "nothing_suspended", message });
                }
                app.secrets.iter_mut().for_each(|secret| secret.suspended = false);
                Ok(())
            })
            .await?;
        tracing::warn!(event = "app_secrets_confirmed", app = %id, by = ?by.actor());
        Ok(app)
    }

    /// When a secret was last used.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn secret_last_used(&self, id: &SecretId) -> Verdict<Option<Time>> {
        Ok(self.store.row::<Seen>(id.as_bytes()).await?.map(|row| row.value.at))
    }

    /// The confidential app that proves itself by its secret (RFC 6749 section 2.3.1).
    ///
    /// # Errors
    /// `InvalidClient`, whatever was wrong.
    pub async fn authenticate_app(&self, id: &str, secret: &str) -> Verdict<Arc<Row<App>>> {
        self.refuse_while_invalidating()?;
        let app = id.parse().ok().and_then(|id| self.app(&id));
        let app =
            app.filter(|app| app.value.standing == AppStanding::Enabled).ok_or(Refusal::InvalidClient)?;
        let digest = AppSecret::parse(secret).map_err(|_| Refusal::InvalidClient)?.digest();
        // Digests of 256 random bits: how long a comparison takes tells nothing about the secret.
        let used =
            app.value.secrets.iter().find(|kept| kept.digest == digest).ok_or(Refusal::InvalidClient)?;
        if used.suspended {
            tracing::warn!(event = "app_secret_suspended", app = %app.value.id, secret = %used.id);
            return Err(Refusal::InvalidClient);
        }
        self.note_secret_use(used.id);
        Ok(app)
    }

    fn add_secret(&self, app: &mut App, now: Time) -> (SecretId, AppSecret) {
        let secret = AppSecret::new(self.entropy.bytes());
        let id = SecretId::new(now, self.entropy.bytes());
        app.secrets.push(ClientSecret { id, digest: secret.digest(), created_at: now, suspended: false });
        (id, secret)
    }

    async fn change_app(
        &self,
        id: &AppId,
        change: impl Fn(&mut Batch, &mut App, Time) -> Verdict<()>,
    ) -> Verdict<Arc<Row<App>>> {
        for _ in 0..TRIES_MAX {
            let row = self.existing_app(id)?;
            let mut app = row.value.clone();
            let mut batch = Batch::new();
            batch.unchanged(&row);
            change(&mut batch, &mut app, self.clock.now())?;
            batch.put(id, &app);
            if self.store.commit(batch).await? != Outcome::Conflict {
                return self.app(id).ok_or(Refusal::NotFound);
            }
        }
        Err(Refusal::Overloaded)
    }
}

/// Takes in the named fields, all faults at once.
pub(crate) fn apply_fields(app: &mut App, fields: &AppFields) -> Verdict<()> {
    let mut faults = Vec::new();
    let mut fault = |field, code, message: String| faults.push(FieldFault { field, code, message });
    if let Some(name) = &fields.name {
        match DisplayName::parse(name) {
            Ok(name) => app.name = name.as_str().to_owned(),
            Err(e) => fault("name", e.code(), e.message().to_owned()),
        }
    }
    if let Some(audience) = &fields.audience {
        let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
        if (1..=200).contains(&audience.len()) && audience.chars().all(plain) {
            app.audience = audience.clone();
        } else {
            fault("audience", "invalid", "1 to 200 visible ASCII characters.".into());
        }
    }
    app.algorithm = fields.algorithm.unwrap_or(app.algorithm);
    app.lifetimes = Lifetimes {
        access_minutes: fields.access_minutes.unwrap_or(app.lifetimes.access_minutes),
        idle_minutes: fields.idle_minutes.unwrap_or(app.lifetimes.idle_minutes),
        absolute_minutes: fields.absolute_minutes.unwrap_or(app.lifetimes.absolute_minutes),
        remember_minutes: fields.remember_minutes.unwrap_or(app.lifetimes.remember_minutes),
    };
    if let Some((field, message)) = app.lifetimes.fault(app.strategy) {
        fault(field, "out_of_range", message);
    }
    if let Some(origins) = &fields.origins {
        if origins.len() <= ORIGINS_MAX && origins.iter().all(|origin| parse_origin(origin).is_some()) {
            app.origins = origins.clone();
        } else {
            fault("origins", "invalid", "Up to 20 origins like https://app.example, without a path.".into());
        }
    }
    app.replay_match = fields.replay_match.unwrap_or(app.replay_match);
    app.appliance_access = fields.appliance_access.unwrap_or(app.appliance_access);
    if faults.is_empty() { Ok(()) } else { Err(Refusal::Invalid(faults)) }
}
