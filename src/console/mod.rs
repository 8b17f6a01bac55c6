//! The operator's commands: over the control socket of a running appliance, or on the store itself.

pub mod socket;
pub mod transfer;

use crate::auth::backup::secret::BackupSecret;
use crate::auth::check::Admin;
use crate::auth::users::{NewUser, UserChange};
use crate::auth::{Auth, Refusal};
use crate::model::app::{App, AppStanding};
use crate::model::backup::BackupKind;
use crate::model::claims::Algorithm;
use crate::model::name::words;
use crate::model::password::Password;
use crate::model::user::{Role, Standing};
use crate::store::user::UserFilter;
use crate::web::view;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// A command over all users may take its time, and one over the whole store hours.
const ANSWER_SECONDS: u64 = 60;
const LONG_ANSWER_SECONDS: u64 = 3 * 3600;

/// What the operator can ask for, as it crosses the socket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    SetupLink,
    UserAdd { login: String, email: Option<String>, name: String, admin: bool, password: Option<Secret> },
    UserList { query: String },
    UserDisable { login: String },
    UserResetPassword { login: String },
    KeyList,
    KeyRotate { algorithm: Algorithm },
    AppList,
    AppConfirm { app: String },
    InvalidateAll,
    Backup { secret: Option<BackupSecret> },
    BackupList,
    BackupRemove { name: String },
    StoreId,
    Verify,
}

impl Command {
    /// How long an answer may take.
    pub fn answer_seconds(&self) -> u64 {
        match self {
            Self::Backup { .. } | Self::InvalidateAll | Self::Verify => LONG_ANSWER_SECONDS,
            _ => ANSWER_SECONDS,
        }
    }

    /// Whether it makes sense where nothing was ever started.
    pub fn may_begin(&self) -> bool {
        matches!(self, Self::SetupLink | Self::UserAdd { .. })
    }
}

/// A password on its way: wiped, and never in a Debug output.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Carries a command out.
///
/// # Errors
/// In words for the operator.
pub async fn run(auth: &Auth, origin: &str, command: Command) -> Result<Value, String> {
    let missing = match &command {
        Command::AppConfirm { .. } => "there is no such app",
        Command::BackupRemove { .. } => "there is no such backup",
        _ => "there is no such user",
    };
    carry_out(auth, origin, command).await.map_err(|refusal| match refusal {
        Refusal::NotFound => missing.into(),
        other => in_words(other),
    })
}

fn in_words(refusal: Refusal) -> String {
    match refusal {
        Refusal::SetUpClosed => "set-up is closed: there is an administrator already".into(),
        Refusal::Conflict { message, .. } => message.into(),
        Refusal::StorageFull => "the disk is almost full: nothing was done".into(),
        Refusal::Store(error) => error.to_string(),
        Refusal::Invalid(faults) => {
            let said: Vec<_> =
                faults.iter().map(|fault| format!("{}: {}", fault.field, fault.message)).collect();
            said.join("; ")
        }
        other => format!("{other:?}"),
    }
}

async fn carry_out(auth: &Auth, origin: &str, command: Command) -> Result<Value, Refusal> {
    let console = Admin::console();
    match command {
        Command::SetupLink => {
            let code = auth.mint_setup_code().await?;
            Ok(json!({ "link": format!("{origin}/setup?code={}", code.reveal()), "minutes": 30 }))
        }
        Command::UserAdd { login, email, name, admin, password } => {
            let role = if admin { Role::Admin } else { Role::User };
            let no_password = password.is_none();
            let password = password.map(|secret| Password::new(secret.0.to_string()));
            let new = NewUser {
                login,
                email_verified: email.is_some(),
                email,
                name,
                role,
                groups: Vec::new(),
                password,
            };
            let user = auth.create_user(&console, new).await?;
            let mut answer = view::admin_user(&user.value, &auth.roster(&user.value.id).await?);
            if no_password {
                answer["link"] = json!(reset_link(auth, origin, &user.value.id).await?);
            }
            Ok(answer)
        }
        Command::UserList { query } => {
            let filter = UserFilter { words: words(&query), ..UserFilter::default() };
            let mut users = Vec::new();
            let mut cursor = None;
            loop {
                let found = auth.list_users(&console, &filter, cursor, 200).await?;
                for user in found.items {
                    users.push(view::admin_user(&user.value, &auth.roster(&user.value.id).await?));
                }
                cursor = found.next;
                // A socket's line is no place for a hundred thousand users.
                if cursor.is_none() || users.len() >= 2000 {
                    return Ok(json!({ "users": users, "more": cursor.is_some() }));
                }
            }
        }
        Command::UserDisable { login } => {
            let user = auth.find_user(&console, &login).await?;
            let change = UserChange { standing: Some(Standing::Disabled), ..UserChange::default() };
            let user = auth.update_user(&console, &user.value.id, change).await?;
            Ok(view::admin_user(&user.value, &auth.roster(&user.value.id).await?))
        }
        Command::UserResetPassword { login } => {
            let user = auth.find_user(&console, &login).await?;
            Ok(json!({ "link": reset_link(auth, origin, &user.value.id).await?, "minutes": 30 }))
        }
        Command::KeyList => Ok(
            json!({ "keys": auth.list_keys(&console).iter().map(|key| view::key(&key.value)).collect::<Vec<_>>() }),
        ),
        Command::KeyRotate { algorithm } => {
            Ok(json!({ "kid": auth.rotate_key(&console, algorithm).await?, "algorithm": algorithm }))
        }
        Command::Verify => {
            let tables = auth.verify_store(&console).await?;
            let tables: Vec<_> =
                tables.into_iter().map(|(name, count)| json!({ "table": name, "records": count })).collect();
            Ok(json!({ "tables": tables }))
        }
        Command::AppList => {
            let apps = auth.list_apps(&console);
            Ok(json!({ "apps": apps.iter().map(|app| app_line(&app.value)).collect::<Vec<_>>() }))
        }
        Command::AppConfirm { app } => {
            let id = app.parse().map_err(|_| Refusal::NotFound)?;
            Ok(app_line(&auth.confirm_app_secrets(&console, &id).await?.value))
        }
        Command::InvalidateAll => {
            auth.invalidate_all(&console).await?;
            let waiting = auth.list_apps(&console);
            let waiting =
                waiting.iter().filter(|app| app.value.secrets.iter().any(|secret| secret.suspended));
            Ok(json!({ "suspended_apps": waiting.map(|app| app.value.id.as_str()).collect::<Vec<_>>() }))
        }
        Command::Backup { secret } => {
            let made = auth.make_backup(&console, BackupKind::Manual, secret.clone()).await?;
            let checked = auth.verify_made(made.name, secret).await?;
            let mut answer = view::backup(&checked);
            answer["path"] = json!(auth.backup_path(&made.name));
            Ok(answer)
        }
        Command::BackupList => {
            let backups = auth.list_backups(&console).await?;
            Ok(json!({ "backups": backups.iter().map(view::backup).collect::<Vec<_>>() }))
        }
        Command::BackupRemove { name } => {
            let name = name.parse().map_err(|_| Refusal::NotFound)?;
            auth.remove_backup(&console, name).await?;
            Ok(json!({}))
        }
        Command::StoreId => Ok(json!({ "store_id": auth.store_id() })),
    }
}

/// What a line on the terminal says of an app.
fn app_line(app: &App) -> Value {
    let secrets = match app.secrets.iter().filter(|secret| secret.suspended).count() {
        _ if !app.confidential => "public",
        0 => "confirmed",
        _ => "suspended",
    };
    let state = if app.standing == AppStanding::Enabled { "enabled" } else { "disabled" };
    json!({ "id": app.id, "strategy": app.strategy, "state": state, "secrets": secrets })
}

async fn reset_link(auth: &Auth, origin: &str, user: &crate::model::UserId) -> Result<String, Refusal> {
    let code = auth.mint_reset_code(&Admin::console(), user).await?;
    Ok(format!("{origin}/setup?code={}", code.reveal()))
}
