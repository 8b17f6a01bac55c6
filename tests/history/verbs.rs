//! The real verbs as values: what is asked, and what came of it.

use crate::engine::Tick;
use hallpass::auth::apps::AppFields;
use hallpass::auth::blacklist::Strike;
use hallpass::auth::check::{Admin, SignedIn};
use hallpass::auth::data::DataKeeper;
use hallpass::auth::issue::Issued;
use hallpass::auth::login::SignIn;
use hallpass::auth::logout::Scope;
use hallpass::auth::users::{NewUser, UserChange};
use hallpass::auth::{Auth, Client, Refusal};
use hallpass::model::blacklist::Target;
use hallpass::model::claims::Algorithm;
use hallpass::model::job::SessionFilter;
use hallpass::model::password::Password;
use hallpass::model::user::{Role, Standing};
use hallpass::model::{AppId, SecretId, SessionId, TokenId, UserId};
use std::sync::Arc;

/// One act, with all that it names. Proofs were taken before: whoever holds one was let in then.
#[derive(Clone)]
pub enum Verb {
    SignIn { login: String, password: String, app: AppId },
    Check { text: String },
    Refresh { text: String },
    SignOut { proof: Proof, scope: Scope },
    StepUp { proof: Proof, password: String },
    ChangePassword { proof: Proof, current: String, new: String },
    SetPassword { user: UserId, new: String },
    ResetPassword { code: String, user: UserId, new: String },
    Create { login: String, admin: bool },
    Rename { user: UserId, login: String },
    SetEnabled { user: UserId, on: bool },
    SetAdmin { user: UserId, admin: bool },
    CutOff { user: UserId },
    EndAll { user: UserId },
    Delete { user: UserId },
    EndSession { session: SessionId },
    EndMatching { user: UserId },
    StrikeSession { session: SessionId },
    StrikeToken { token: TokenId },
    TakeBack { token: TokenId },
    WriteData { session: SessionId, revision: u32 },
    SetApp { app: AppId, on: bool },
    DeleteApp { app: AppId },
    AddSecret { app: AppId },
    RemoveSecret { app: AppId, secret: SecretId },
    RotateKey,
    StrikeKey { kid: String },
    KeepHouse,
}

/// A credential and what a check of it gave.
#[derive(Clone)]
pub struct Proof {
    pub text: String,
    pub caller: SignedIn,
}

/// What a verb that went well gave.
#[derive(Clone)]
pub enum Given {
    Nothing,
    Credentials(Arc<Issued>),
    User(UserId),
    Secret(SecretId),
    Key(String),
}

/// A verb with the moments of question and answer; the refusal as a word.
pub struct Event {
    pub verb: Verb,
    pub asked: Tick,
    pub answered: Tick,
    pub answer: Result<Given, &'static str>,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let answer = self.answer.as_ref().map_or_else(|word| *word, |_| "ok");
        write!(f, "{}..{} {} {}: {answer}", self.asked, self.answered, self.verb.name(), self.verb.subject())
    }
}

pub fn client() -> Client {
    Client { address: [198, 51, 100, 7].into(), agent: "test".into() }
}

impl Verb {
    pub fn name(&self) -> &'static str {
        match self {
            Self::SignIn { .. } => "sign in",
            Self::Check { .. } => "check",
            Self::Refresh { .. } => "refresh",
            Self::SignOut { scope: Scope::Local, .. } => "sign out here",
            Self::SignOut { scope: Scope::Others, .. } => "sign out elsewhere",
            Self::SignOut { scope: Scope::Global, .. } => "sign out everywhere",
            Self::StepUp { .. } => "step up",
            Self::ChangePassword { .. } => "change password",
            Self::SetPassword { .. } => "set password",
            Self::ResetPassword { .. } => "reset password",
            Self::Create { .. } => "create",
            Self::Rename { .. } => "rename",
            Self::SetEnabled { on: true, .. } => "enable",
            Self::SetEnabled { on: false, .. } => "disable",
            Self::SetAdmin { admin: true, .. } => "promote",
            Self::SetAdmin { admin: false, .. } => "demote",
            Self::CutOff { .. } => "cut off",
            Self::EndAll { .. } => "end all",
            Self::Delete { .. } => "delete",
            Self::EndSession { .. } => "end session",
            Self::EndMatching { .. } => "end matching",
            Self::StrikeSession { .. } => "strike session",
            Self::StrikeToken { .. } => "strike token",
            Self::TakeBack { .. } => "take back",
            Self::WriteData { .. } => "write data",
            Self::SetApp { on: true, .. } => "enable app",
            Self::SetApp { on: false, .. } => "disable app",
            Self::DeleteApp { .. } => "delete app",
            Self::AddSecret { .. } => "add secret",
            Self::RemoveSecret { .. } => "remove secret",
            Self::RotateKey => "rotate key",
            Self::StrikeKey { .. } => "strike key",
            Self::KeepHouse => "keep house",
        }
    }

    fn subject(&self) -> String {
        match self {
            Self::SignIn { app, login, .. } => format!("{login} to {app}"),
            Self::Create { login, .. } | Self::Rename { login, .. } => login.clone(),
            Self::SignOut { proof, .. } | Self::StepUp { proof, .. } | Self::ChangePassword { proof, .. } => {
                format!("{:?}", proof.caller.session_id())
            }
            Self::Check { text } | Self::Refresh { text } => text.clone(),
            Self::EndSession { session } | Self::StrikeSession { session } => session.to_string(),
            _ => String::new(),
        }
    }

    /// Asks the appliance.
    pub async fn carry_out(&self, auth: &Auth) -> Result<Given, &'static str> {
        self.ask(auth).await.map_err(|refusal| word(&refusal))
    }

    async fn ask(&self, auth: &Auth) -> Result<Given, Refusal> {
        let console = &Admin::console();
        let password = |text: &String| Password::new(text.clone());
        let issued = |issued: Issued| Given::Credentials(Arc::new(issued));
        let change = async |user: &UserId, change: UserChange| {
            auth.update_user(console, user, change).await.map(|_| Given::Nothing)
        };
        match self {
            Self::SignIn { login, password: text, app } => {
                let (login, app) = (login.clone(), app.clone());
                let (remember, device_proof, replaces) = (false, None, None);
                let sign_in = SignIn {
                    login,
                    password: password(text),
                    app,
                    remember,
                    device_proof,
                    replaces,
                    client: client(),
                };
                auth.login(sign_in).await.map(|signed_in| issued(signed_in.issued))
            }
            Self::Check { text } => auth.check(text, None).await.map(|_| Given::Nothing),
            Self::Refresh { text } => auth.refresh(text, None, &client()).await.map(issued),
            Self::SignOut { proof, scope } => {
                let answer = auth.logout(&proof.caller, *scope).await?;
                Ok(answer.map_or(Given::Nothing, issued))
            }
            Self::StepUp { proof, password: text } => {
                auth.reauthenticate(&proof.caller, password(text), None, &client()).await.map(issued)
            }
            Self::ChangePassword { proof, current, new } => auth
                .change_own_password(&proof.caller, password(current), password(new), None, &client())
                .await
                .map(issued),
            Self::SetPassword { user, new } => {
                auth.set_password(console, user, password(new)).await.map(|()| Given::Nothing)
            }
            Self::ResetPassword { code, new, .. } => {
                auth.reset_password(code, password(new)).await.map(|_| Given::Nothing)
            }
            Self::Create { login, admin } => {
                let role = if *admin { Role::Admin } else { Role::User };
                let (email, name, groups) = (None, String::new(), Vec::new());
                let new = NewUser {
                    login: login.clone(),
                    email,
                    email_verified: false,
                    name,
                    role,
                    groups,
                    password: None,
                };
                auth.create_user(console, new).await.map(|user| Given::User(user.value.id))
            }
            Self::Rename { user, login } => {
                change(user, UserChange { login: Some(login.clone()), ..UserChange::default() }).await
            }
            Self::SetEnabled { user, on } => {
                let standing = Some(if *on { Standing::Enabled } else { Standing::Disabled });
                change(user, UserChange { standing, ..UserChange::default() }).await
            }
            Self::SetAdmin { user, admin } => {
                let role = Some(if *admin { Role::Admin } else { Role::User });
                change(user, UserChange { role, ..UserChange::default() }).await
            }
            Self::CutOff { user } => auth.cut_off(console, user).await.map(|_| Given::Nothing),
            Self::EndAll { user } => auth.end_all_of_user(console, user, "").await.map(|()| Given::Nothing),
            Self::Delete { user } => auth.delete_user(console, user).await.map(|()| Given::Nothing),
            Self::EndSession { session } => {
                auth.revoke_session(console, session, "").await.map(|_| Given::Nothing)
            }
            Self::EndMatching { user } => {
                let filter = SessionFilter { user: Some(*user), ..SessionFilter::default() };
                auth.revoke_matching(console, filter, "").await.map(|_| Given::Nothing)
            }
            Self::StrikeSession { session } => strike(auth, Strike::Session(*session)).await,
            Self::StrikeToken { token } => match strike(auth, Strike::Token(*token)).await {
                // The entry was made, and could not be shown any more: it had been taken back.
                Err(Refusal::NotFound) => Ok(Given::Nothing),
                answer => answer,
            },
            Self::StrikeKey { kid } => strike(auth, Strike::Key(kid.clone())).await,
            Self::TakeBack { token } => {
                auth.unblacklist(console, &Target::Token(*token)).await.map(|()| Given::Nothing)
            }
            Self::WriteData { session, revision } => {
                let json = format!(r#"{{"after":{revision}}}"#);
                let by = DataKeeper::Admin(console);
                auth.write_data(by, session, &json, Some(*revision)).await.map(|_| Given::Nothing)
            }
            Self::SetApp { app, on } => {
                let fields = AppFields { disabled: Some(!on), ..AppFields::default() };
                auth.update_app(console, app, fields).await.map(|_| Given::Nothing)
            }
            Self::DeleteApp { app } => auth.delete_app(console, app).await.map(|()| Given::Nothing),
            Self::AddSecret { app } => {
                auth.add_app_secret(console, app).await.map(|(id, _)| Given::Secret(id))
            }
            Self::RemoveSecret { app, secret } => {
                auth.remove_app_secret(console, app, secret).await.map(|()| Given::Nothing)
            }
            Self::RotateKey => auth.rotate_key(console, Algorithm::ES256).await.map(Given::Key),
            Self::KeepHouse => auth.keep_house().await.map(|()| Given::Nothing),
        }
    }
}

async fn strike(auth: &Auth, what: Strike) -> Result<Given, Refusal> {
    auth.blacklist(&Admin::console(), what, "").await.map(|_| Given::Nothing)
}

/// Refusals as words. Those that only say in which way a credential is no good any more are one: a verb that proves
/// first and commits later may name what it met at either moment.
fn word(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::InvalidCredentials
        | Refusal::InvalidToken
        | Refusal::InvalidRefreshToken
        | Refusal::InvalidCode
        | Refusal::TokenBlacklisted
        | Refusal::SessionEnded(_) => "no",
        // An app that nobody can sign in to.
        Refusal::Invalid(_) => "no",
        Refusal::RefreshReused => "refresh_reused",
        Refusal::NotFound => "not_found",
        Refusal::Conflict { code, .. } => code,
        Refusal::PreconditionFailed => "precondition_failed",
        Refusal::SetUpClosed => "set_up_closed",
        Refusal::Overloaded => "overloaded",
        _ => "fault",
    }
}
