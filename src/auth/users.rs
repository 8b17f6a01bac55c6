//! Users: made, listed, changed, disabled, cut off, deleted.

use crate::auth::check::{Admin, Member, RecentAdmin};
use crate::auth::refusal::{FieldFault, Refusal, Verdict};
use crate::auth::{Auth, TRIES_MAX};
use crate::model::name::{DisplayName, Email, Login};
use crate::model::password::Password;
use crate::model::session::EndedReason;
use crate::model::time::DAY_MS;
use crate::model::user::{GROUP_LENGTH_MAX, GROUPS_MAX, Role, Standing, User};
use crate::model::{Time, UserId};
use crate::store::session::kept_until;
use crate::store::tables::{Admins, Claimed, PasswordRecord};
use crate::store::user::{UserFilter, UserPage, names_of};
use crate::store::{Batch, Outcome, Row};
use std::net::IpAddr;
use std::sync::Arc;

/// What a new user is made of. Without a password they need a reset code to sign in.
pub struct NewUser {
    pub login: String,
    pub email: Option<String>,
    /// Entered by an administrator: then it is verified, and a sign-in name.
    pub email_verified: bool,
    pub name: String,
    pub role: Role,
    pub groups: Vec<String>,
    pub password: Option<Password>,
}

/// What to change of a user. `None`: as it is.
#[derive(Default)]
pub struct UserChange {
    pub login: Option<String>,
    /// `Some(None)`: no e-mail any more.
    pub email: Option<Option<String>>,
    pub email_verified: Option<bool>,
    pub name: Option<String>,
    pub role: Option<Role>,
    pub groups: Option<Vec<String>>,
    /// `Deleted` is not for this: see [`Auth::delete_user`].
    pub standing: Option<Standing>,
}

impl Auth {
    /// Makes a user.
    ///
    /// # Errors
    /// `Invalid` for fields against the rules, `Conflict` for a name that is taken.
    pub async fn create_user(&self, by: &RecentAdmin, new: NewUser) -> Verdict<Arc<Row<User>>> {
        let actor = by.actor();
        let user = self.make_user(new, false).await?;
        tracing::info!(event = "user_created", user = %user.value.id, by = ?actor);
        Ok(user)
    }

    /// Registers oneself, where that is switched on. The e-mail is unverified and no sign-in name yet.
    ///
    /// # Errors
    /// `Forbidden` where it is off, `TooManyAttempts`; else as [`Auth::create_user`].
    pub async fn register(
        &self,
        login: String,
        email: Option<String>,
        name: String,
        password: Password,
        address: IpAddr,
    ) -> Verdict<Arc<Row<User>>> {
        if !self.settings.registration {
            return Err(Refusal::Forbidden("Self-registration is switched off."));
        }
        self.charge_stranger(address)?;
        let (role, groups) = (Role::User, Vec::new());
        let new =
            NewUser { login, email, email_verified: false, name, role, groups, password: Some(password) };
        let user = self.make_user(new, false).await?;
        tracing::info!(event = "user_registered", user = %user.value.id);
        Ok(user)
    }

    /// Checks, hashes and commits. The first enabled administrator, however made, closes set-up for ever; by set-up
    /// itself nobody else is made.
    pub(crate) async fn make_user(&self, new: NewUser, by_set_up: bool) -> Verdict<Arc<Row<User>>> {
        let now = self.clock.now();
        let mut user = User {
            id: UserId::new(now, self.entropy.bytes()),
            login: String::new(),
            email: None,
            email_verified: false,
            name: String::new(),
            role: new.role,
            groups: Vec::new(),
            standing: Standing::Enabled,
            epoch: 1,
            cut: None,
            password_generation: 1,
            password_changed_at: new.password.is_some().then_some(now),
            created_at: now,
        };
        let change = UserChange {
            login: Some(new.login),
            email_verified: Some(new.email_verified && new.email.is_some()),
            email: Some(new.email),
            name: Some(new.name),
            groups: Some(new.groups),
            ..UserChange::default()
        };
        apply_fields(&mut user, &change)?;
        let record = match new.password {
            Some(password) => {
                self.check_password("password", &password, &user)?;
                Some(PasswordRecord { phc: self.hasher.hash(password).await?.into() })
            }
            None => None,
        };
        // After the hash, which takes its time: whoever restores asks once more whether somebody was set up.
        self.refuse_while_restoring()?;
        for _ in 0..TRIES_MAX {
            let claimed = self.store.row::<Claimed>(&()).await?;
            if claimed.is_some() && by_set_up {
                return Err(Refusal::SetUpClosed);
            }
            self.refuse_taken_names(&user, None).await?;
            let mut batch = Batch::new();
            batch.put_user(None, &user);
            if claimed.is_none() && user.is_enabled_admin() {
                batch.absent::<Claimed>(&()).put(&(), &Claimed { at: now, by: user.id });
            }
            if let Some(record) = &record {
                batch.put(&user.id, record);
            }
            self.guard_last_admin(&mut batch, None, &user).await?;
            if self.store.commit(batch).await? != Outcome::Conflict {
                return self.user(&user.id).ok_or(Refusal::NotFound);
            }
        }
        Err(Refusal::Overloaded)
    }

    /// Lists users. `query`: words that login, e-mail or name begin with.
    ///
    /// # Errors
    /// `Invalid` for a cursor that no such list gave.
    pub async fn list_users(
        &self,
        _by: &Admin,
        filter: &UserFilter,
        cursor: Option<Vec<u8>>,
        limit: usize,
    ) -> Verdict<UserPage> {
        if cursor.as_ref().is_some_and(|cursor| !filter.gave(cursor)) {
            return Err(Refusal::field(
                "cursor",
                "invalid",
                "Take it from the next of a list with the same q.",
            ));
        }
        Ok(self.store.users(filter, cursor, limit).await?)
    }

    /// One user, for display.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn read_user(&self, _by: &Admin, id: &UserId) -> Verdict<Arc<Row<User>>> {
        self.existing_user(id)
    }

    /// Who goes by a sign-in name.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn find_user(&self, _by: &Admin, name: &str) -> Verdict<Arc<Row<User>>> {
        let folded = crate::model::name::fold_sign_in_name(name);
        let id = self.store.user_by_name(&folded).await?.ok_or(Refusal::NotFound)?;
        self.existing_user(&id)
    }

    pub(crate) fn existing_user(&self, id: &UserId) -> Verdict<Arc<Row<User>>> {
        self.user(id).filter(|user| user.value.standing != Standing::Deleted).ok_or(Refusal::NotFound)
    }

    /// Changes a user. A new role, and being disabled, end everything of theirs.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`, `Conflict` for a taken name or the last enabled administrator.
    pub async fn update_user(
        &self,
        by: &RecentAdmin,
        id: &UserId,
        change: UserChange,
    ) -> Verdict<Arc<Row<User>>> {
        let actor = by.actor();
        let user = self.change_named(id, |batch, user, now| {
            let before = user.clone();
            apply_fields(user, &change)?;
            user.role = change.role.unwrap_or(user.role);
            user.standing = change.standing.unwrap_or(user.standing);
            if before.standing == Standing::Enabled && user.standing == Standing::Disabled {
                self.put_cut(batch, user, EndedReason::UserDisabled, actor, now);
            } else if before.role != user.role {
                self.put_cut(batch, user, EndedReason::RoleChanged, actor, now);
            }
            Ok(())
        });
        let user = user.await?;
        tracing::info!(event = "user_changed", user = %id, by = ?actor);
        Ok(user)
    }

    /// Changes one's own name or e-mail. An e-mail that its user entered is unverified.
    ///
    /// # Errors
    /// As [`Auth::update_user`]; `ReauthRequired` for a new e-mail.
    pub async fn update_own(
        &self,
        by: &Member,
        name: Option<String>,
        email: Option<Option<String>>,
    ) -> Verdict<Arc<Row<User>>> {
        let changes_email = email.as_ref().is_some_and(|email| *email != by.user().email);
        if changes_email {
            self.require_recent(by.signed_in())?;
        }
        let change = UserChange { name, email, ..UserChange::default() };
        self.change_named(&by.user().id, |_, user, _| apply_fields(user, &change)).await
    }

    /// Disables, ends everything, blacklists: one batch.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for the last enabled administrator.
    pub async fn cut_off(&self, by: &RecentAdmin, id: &UserId) -> Verdict<Arc<Row<User>>> {
        let actor = by.actor();
        let user = self.change_named(id, |batch, user, now| {
            user.standing = Standing::Disabled;
            self.put_cut(batch, user, EndedReason::CutOff, actor, now);
            Ok(())
        });
        let user = user.await?;
        tracing::warn!(event = "user_cut_off", user = %id, by = ?actor);
        Ok(user)
    }

    /// Ends everything of a user: one number moves, whatever the number of sessions. `note` is for the blacklist.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn end_all_of_user(&self, by: &Admin, id: &UserId, note: &str) -> Verdict<()> {
        let actor = by.actor();
        self.change_named(id, |batch, user, now| {
            self.put_noted_cut(batch, user, EndedReason::Revoked, note, actor, now);
            Ok(())
        })
        .await?;
        tracing::info!(event = "user_signed_out", user = %id, by = ?actor);
        Ok(())
    }

    /// Deletes a user: the names are free at once. A tombstone with the login alone stays while sessions of theirs are
    /// in the history.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for the last enabled administrator.
    pub async fn delete_user(&self, by: &RecentAdmin, id: &UserId) -> Verdict<()> {
        let actor = by.actor();
        self.change_named(id, |batch, user, now| {
            self.put_cut(batch, user, EndedReason::UserDeleted, actor, now);
            user.standing = Standing::Deleted;
            (user.email, user.email_verified, user.name) = (None, false, String::new());
            user.groups.clear();
            batch.remove::<PasswordRecord>(id);
            batch.look_again::<User>(id, kept_until(now, self.settings.ended_sessions_days).plus_ms(DAY_MS));
            Ok(())
        })
        .await?;
        tracing::warn!(event = "user_deleted", user = %id, by = ?actor);
        Ok(())
    }

    /// As `change_user`, for users that exist, with an answer in words when a name is taken.
    async fn change_named(
        &self,
        id: &UserId,
        change: impl Fn(&mut Batch, &mut User, Time) -> Verdict<()>,
    ) -> Verdict<Arc<Row<User>>> {
        let before = self.existing_user(id)?;
        let mut after = before.value.clone();
        change(&mut Batch::new(), &mut after, self.clock.now())?;
        self.refuse_taken_names(&after, Some(&before.value)).await?;
        self.change_user(id, |batch, user, now| {
            if user.standing == Standing::Deleted {
                return Err(Refusal::NotFound);
            }
            change(batch, user, now)
        })
        .await
        .map_err(|refusal| match refusal {
            // Only a name taken in this very moment conflicts so often.
            Refusal::Overloaded => NAME_TAKEN,
            other => other,
        })
    }

    async fn refuse_taken_names(&self, user: &User, before: Option<&User>) -> Verdict<()> {
        let had = before.map(names_of).unwrap_or_default();
        for name in names_of(user).difference(&had) {
            if self.store.user_by_name(name).await?.is_some_and(|owner| owner != user.id) {
                return Err(NAME_TAKEN);
            }
        }
        Ok(())
    }

    /// Keeps the count of enabled administrators, which every verb that could take the last one expects.
    pub(crate) async fn guard_last_admin(
        &self,
        batch: &mut Batch,
        before: Option<&Row<User>>,
        after: &User,
    ) -> Verdict<()> {
        let was = before.is_some_and(|before| before.value.is_enabled_admin());
        let is = after.is_enabled_admin();
        if was == is {
            return Ok(());
        }
        let row = self.store.row::<Admins>(&()).await?;
        let enabled = row.as_ref().map_or(0, |row| row.value.enabled);
        let enabled = if is { enabled + 1 } else { enabled.saturating_sub(1) };
        if let Some(before) = before.filter(|_| enabled == 0) {
            // User and count were read at two moments: the refusal counts only if both are still so.
            let mut seen = Batch::new();
            seen.unchanged(before).same(&(), row.as_ref());
            if self.store.commit(seen).await? != Outcome::Conflict {
                let message = "This is the last enabled administrator.";
                return Err(Refusal::Conflict { code: "last_admin", message });
            }
        }
        // After a conflict above it conflicts as well, and is tried again.
        batch.same(&(), row.as_ref()).put(&(), &Admins { enabled });
        Ok(())
    }
}

pub(crate) const NAME_TAKEN_MESSAGE: &str = "This login or e-mail, or one like it, is taken.";
const NAME_TAKEN: Refusal = Refusal::Conflict { code: "name_taken", message: NAME_TAKEN_MESSAGE };

/// Takes in the named fields, all faults at once.
pub(crate) fn apply_fields(user: &mut User, change: &UserChange) -> Verdict<()> {
    let mut faults = Vec::new();
    let mut fault =
        |field, code, message: &str| faults.push(FieldFault { field, code, message: message.into() });
    if let Some(login) = &change.login {
        match Login::parse(login) {
            Ok(login) => user.login = login.as_str().to_owned(),
            Err(e) => fault("login", e.code(), e.message()),
        }
    }
    if let Some(email) = &change.email {
        match email.as_deref().map(Email::parse).transpose() {
            Ok(email) => {
                let email = email.map(|email| email.as_str().to_owned());
                if email != user.email {
                    user.email_verified = false;
                }
                user.email = email;
            }
            Err(e) => fault("email", e.code(), e.message()),
        }
    }
    if let Some(verified) = change.email_verified {
        if verified && user.email.is_none() && !matches!(change.email, Some(Some(_))) {
            fault("email_verified", "no_email", "There is no e-mail to confirm.");
        } else {
            user.email_verified = verified;
        }
    }
    if let Some(name) = &change.name {
        match DisplayName::parse(name) {
            Ok(name) => user.name = name.as_str().to_owned(),
            Err(e) => fault("name", e.code(), e.message()),
        }
    }
    if let Some(groups) = &change.groups {
        let fits = |group: &String| !group.is_empty() && is_group(group);
        if groups.len() <= GROUPS_MAX && groups.iter().all(fits) {
            user.groups = groups.clone();
            user.groups.sort();
            user.groups.dedup();
        } else {
            fault(
                "groups",
                "invalid",
                "Up to 50 groups of letters, digits and . _ : - / with up to 64 characters.",
            );
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Refusal::Invalid(faults)) }
}

/// Group names travel in headers and lists: no commas, no control characters.
fn is_group(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | ':' | '-' | '/');
    text.chars().count() <= GROUP_LENGTH_MAX && text.chars().all(plain)
}
