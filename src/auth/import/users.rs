//! Users of an import: made by the same rules as by hand, many in a batch.

use super::{Import, Item, Settled, reasons_of};
use crate::auth::TRIES_MAX;
use crate::auth::refusal::{Refusal, Verdict};
use crate::auth::users::{NAME_TAKEN_MESSAGE, UserChange, apply_fields};
use crate::model::UserId;
use crate::model::misfit::Misfit;
use crate::model::name::fold_sign_in_name;
use crate::model::transfer::{Stamp, State, UserLine};
use crate::model::user::{Standing, User};
use crate::store::tables::{Admins, Claimed, PasswordRecord};
use crate::store::user::names_of;
use crate::store::{BATCH_OPERATIONS_MAX, Batch, Outcome};

/// The most operations that one user is: the record, three names, twenty-four words, the hash; and the guards.
const USER_OPERATIONS_MAX: usize = 40;

/// A user as a line describes them.
pub(super) struct NewUser {
    user: User,
    password: Option<PasswordRecord>,
    /// Whether the line names the id. Otherwise it is made here, and a second run makes another.
    has_id: bool,
}

impl Import<'_> {
    pub(super) fn new_user(&mut self, line: UserLine) -> Item {
        match self.read_user(line) {
            Ok(new) => {
                let names = names_of(&new.user).into_iter().map(|name| format!("name:{name}"));
                let names: Vec<_> = names.chain([format!("user:{}", new.user.id)]).collect();
                self.claim(&names, Item::User(Box::new(new)))
            }
            Err(reasons) => Item::Refused(reasons),
        }
    }

    /// All faults at once.
    fn read_user(&self, line: UserLine) -> Result<NewUser, Vec<Misfit>> {
        let time = |stamp: Option<Stamp>| stamp.map(|stamp| stamp.0);
        let mut user = User {
            id: line.id.unwrap_or_else(|| UserId::new(self.now, self.auth.entropy.bytes())),
            login: String::new(),
            email: None,
            email_verified: false,
            name: String::new(),
            role: line.role,
            groups: Vec::new(),
            standing: match line.state {
                State::Enabled => Standing::Enabled,
                State::Disabled => Standing::Disabled,
            },
            epoch: 1,
            cut: None,
            password_generation: 1,
            password_changed_at: time(line.password_changed_at),
            created_at: time(line.created_at).unwrap_or(self.now),
        };
        let change = UserChange {
            login: Some(line.login),
            email: Some(line.email),
            email_verified: Some(line.email_verified),
            name: Some(line.name),
            groups: Some(line.groups),
            ..UserChange::default()
        };
        let mut reasons = reasons_of(apply_fields(&mut user, &change));
        if line.id.is_some_and(|id| !id.is_of_time()) {
            reasons.push(Misfit::new("id", "invalid", "An id is a UUID of version 7 (RFC 9562)."));
        }
        let hash = line.password_hash.map(|hash| self.auth.hasher.read(&hash.0));
        if let Some(Err(fault)) = &hash {
            reasons.push(Misfit::new("password_hash", fault.code(), fault.message()));
        }
        if hash.is_none() && user.is_enabled_admin() {
            let message = "An enabled administrator needs a password, or nobody might be able to sign in.";
            reasons.push(Misfit::new("password_hash", "admin_without_password", message));
        }
        if !reasons.is_empty() {
            return Err(reasons);
        }
        let password = hash.and_then(Result::ok).map(|phc| PasswordRecord { phc: phc.into() });
        Ok(NewUser { user, password, has_id: line.id.is_some() })
    }

    /// Sorts out who is there already, and writes the others.
    pub(super) async fn put_users(&self, users: Vec<(u64, NewUser)>) -> Verdict<Vec<(u64, Settled)>> {
        let mut settled = Vec::new();
        let mut new = Vec::new();
        for ((line, user), owners) in users.iter().zip(self.owners(&users).await?) {
            match self.meets(user, &owners).await? {
                Some(met) => settled.push((*line, met)),
                None => new.push((*line, user)),
            }
        }
        if self.report.dry_run {
            settled.extend(new.into_iter().map(|(line, _)| (line, Settled::Imported)));
            return Ok(settled);
        }
        let mut rest = new.as_slice();
        while !rest.is_empty() {
            let (count, outcome) = self.put_some(rest).await?;
            let (these, others) = rest.split_at(count);
            for (line, user) in these {
                settled.push((
                    *line,
                    match outcome {
                        // One of them met somebody in this very moment: each by itself.
                        Outcome::Conflict => self.put_alone(user).await?,
                        Outcome::Committed(_) => Settled::Imported,
                    },
                ));
            }
            rest = others;
        }
        Ok(settled)
    }

    /// Whom the names of each user belong to.
    async fn owners(&self, users: &[(u64, NewUser)]) -> Verdict<Vec<Vec<UserId>>> {
        let names: Vec<Vec<String>> =
            users.iter().map(|(_, new)| names_of(&new.user).into_iter().collect()).collect();
        let mut found = self.auth.store.owners(&names.concat()).await?.into_iter();
        Ok(names.iter().map(|names| found.by_ref().take(names.len()).flatten().collect()).collect())
    }

    /// What a user meets in the store: nothing, themselves from an earlier run, or somebody else.
    async fn meets(&self, new: &NewUser, owners: &[UserId]) -> Verdict<Option<Settled>> {
        if let Some(there) = self.auth.user(&new.user.id) {
            let same = there.value.standing != Standing::Deleted
                && fold_sign_in_name(&there.value.login) == fold_sign_in_name(&new.user.login);
            let message = "This id is or was another user's.";
            let other = || Settled::Refused(vec![Misfit::new("id", "id_taken", message)]);
            return Ok(Some(if same { Settled::Skipped } else { other() }));
        }
        let Some(owner) = owners.first() else { return Ok(None) };
        if !new.has_id && self.is_same(new, owner).await? {
            return Ok(Some(Settled::Skipped));
        }
        Ok(Some(Settled::Refused(vec![Misfit::new("login", "name_taken", NAME_TAKEN_MESSAGE)])))
    }

    /// Whether an earlier run made this user of the same line: login and hash say so where no id does.
    async fn is_same(&self, new: &NewUser, owner: &UserId) -> Verdict<bool> {
        let login = self.auth.user(owner).map(|there| there.value.login.clone());
        let kept = self.auth.store.row::<PasswordRecord>(owner).await?.map(|row| row.value.phc);
        let phc = new.password.as_ref().map(|record| &record.phc);
        Ok(login.as_ref() == Some(&new.user.login) && kept.as_ref() == phc)
    }

    /// Commits as many as a batch holds, from the first on. Answers how many those are.
    async fn put_some(&self, users: &[(u64, &NewUser)]) -> Verdict<(usize, Outcome)> {
        let mut batch = Batch::new();
        let (mut count, mut admins) = (0, Vec::new());
        for (_, new) in users {
            if batch.operations() + USER_OPERATIONS_MAX > BATCH_OPERATIONS_MAX {
                break;
            }
            self.put_user(&mut batch, new);
            admins.extend(new.user.is_enabled_admin().then_some(new.user.id));
            count += 1;
        }
        self.put_admins(&mut batch, &admins).await?;
        Ok((count, self.auth.store.commit(batch).await?))
    }

    async fn put_alone(&self, new: &NewUser) -> Verdict<Settled> {
        for _ in 0..TRIES_MAX {
            let names: Vec<_> = names_of(&new.user).into_iter().collect();
            let owners: Vec<_> = self.auth.store.owners(&names).await?.into_iter().flatten().collect();
            if let Some(met) = self.meets(new, &owners).await? {
                return Ok(met);
            }
            if self.put_some(&[(0, new)]).await?.1 != Outcome::Conflict {
                return Ok(Settled::Imported);
            }
        }
        Err(Refusal::Overloaded)
    }

    fn put_user(&self, batch: &mut Batch, new: &NewUser) {
        batch.put_user(None, &new.user);
        if let Some(record) = &new.password {
            batch.put(&new.user.id, record);
        }
    }

    /// Counts enabled administrators in. The first, however made, closes set-up for ever.
    async fn put_admins(&self, batch: &mut Batch, new: &[UserId]) -> Verdict<()> {
        let Some(first) = new.first() else { return Ok(()) };
        let row = self.auth.store.row::<Admins>(&()).await?;
        let enabled = row.as_ref().map_or(0, |row| row.value.enabled) + new.len() as u32;
        batch.same(&(), row.as_ref()).put(&(), &Admins { enabled });
        if self.auth.store.row::<Claimed>(&()).await?.is_none() {
            batch.absent::<Claimed>(&()).put(&(), &Claimed { at: self.now, by: *first });
        }
        Ok(())
    }
}
