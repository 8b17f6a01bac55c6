//! Users with their names and words: unique together, found by prefix.

use crate::model::UserId;
use crate::model::name;
use crate::model::user::{Role, Standing, User};
use crate::store::engine::{Direction, Key, Range};
use crate::store::tables::{NameEntry, PasswordRecord, Stored, read_word_key, table, word_key, word_prefix};
use crate::store::{Batch, Row, Store, StoreError};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many index entries a filtered search may look at before it answers with what it found.
const WALK_USERS_MAX: usize = 20_000;
const WALK_SLICE: usize = 500;

impl Batch {
    /// Writes a user, and brings names and words in step with what `old` had.
    pub fn put_user(&mut self, old: Option<&Row<User>>, new: &User) -> &mut Self {
        match old {
            Some(row) => self.unchanged(row),
            None => self.absent::<User>(&new.id),
        };
        self.put(&new.id, new);
        let (old_names, old_words) =
            old.map(|row| (names_of(&row.value), words_of(&row.value))).unwrap_or_default();
        let (new_names, new_words) = (names_of(new), words_of(new));
        for gone in old_names.difference(&new_names) {
            self.remove::<NameEntry>(gone);
        }
        for added in new_names.difference(&old_names) {
            self.absent::<NameEntry>(added).put(added.as_str(), &NameEntry { user: new.id });
        }
        for gone in old_words.difference(&new_words) {
            self.remove_raw(word_key(gone, new.id));
        }
        for added in new_words.difference(&old_words) {
            self.put_raw(word_key(added, new.id), Vec::new());
        }
        self
    }
}

/// The names that are this user's alone: the login, what it could be confused with, and a verified e-mail.
pub fn names_of(user: &User) -> BTreeSet<String> {
    if user.standing == Standing::Deleted {
        return BTreeSet::new();
    }
    let login = name::Login::parse(&user.login).ok();
    let guard = login.as_ref().and_then(name::Login::guard);
    let email = user.email.as_deref().filter(|_| user.email_verified).map(name::fold_sign_in_name);
    login.map(|login| login.folded().to_owned()).into_iter().chain(guard).chain(email).collect()
}

fn words_of(user: &User) -> BTreeSet<String> {
    if user.standing == Standing::Deleted {
        return BTreeSet::new();
    }
    [Some(&user.login), user.email.as_ref(), Some(&user.name)]
        .into_iter()
        .flatten()
        .flat_map(|text| name::words(text))
        .collect()
}

/// Which users are meant. Empty: all but the deleted.
#[derive(Default)]
pub struct UserFilter {
    /// Words that login, e-mail or name must begin with, each.
    pub words: Vec<String>,
    pub standing: Option<Standing>,
    pub role: Option<Role>,
}

impl UserFilter {
    /// By the first word where there is one, else the newest first.
    fn walk(&self) -> (Key, Direction) {
        match self.words.first() {
            Some(word) => (word_prefix(word), Direction::Ascending),
            None => (vec![table::USERS], Direction::Descending),
        }
    }

    /// Whether a list by this filter could have given the cursor.
    pub fn gave(&self, cursor: &[u8]) -> bool {
        cursor.starts_with(&self.walk().0)
    }

    fn matches(&self, user: &User, words: &BTreeSet<String>) -> bool {
        user.standing != Standing::Deleted
            && self.standing.is_none_or(|standing| user.standing == standing)
            && self.role.is_none_or(|role| user.role == role)
            && self.words.iter().all(|prefix| words.iter().any(|word| word.starts_with(prefix.as_str())))
    }
}

/// A page of users. `next` goes back in as the cursor.
pub struct UserPage {
    pub items: Vec<Arc<Row<User>>>,
    pub next: Option<Vec<u8>>,
}

impl Store {
    /// Who a folded sign-in name belongs to.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn user_by_name(&self, folded: &str) -> Result<Option<UserId>, StoreError> {
        Ok(self.row::<NameEntry>(folded).await?.map(|row| row.value.user))
    }

    /// Who each of these folded names belongs to.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn owners(&self, names: &[String]) -> Result<Vec<Option<UserId>>, StoreError> {
        let rows = self.rows::<NameEntry>(names.iter().map(|name| NameEntry::key(name)).collect()).await?;
        Ok(rows.into_iter().map(|row| row.map(|row| row.value.user)).collect())
    }

    /// The next users after this one in the order of their ids, the deleted included, with their passwords' hashes.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn users_after(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<(Row<User>, Option<PasswordRecord>)>, StoreError> {
        let mut range = Range::prefix(vec![table::USERS]);
        if let Some(id) = after {
            range = range.after(&User::key(&id));
        }
        let found = self.engine.scan(&range, Direction::Ascending, limit).await?;
        let users: Vec<Row<User>> =
            found.into_iter().map(|(key, record)| Row::read(key, record)).collect::<Result<_, _>>()?;
        let keys = users.iter().map(|row| PasswordRecord::key(&row.value.id)).collect();
        let passwords = self.rows::<PasswordRecord>(keys).await?;
        Ok(users.into_iter().zip(passwords.into_iter().map(|row| row.map(|row| row.value))).collect())
    }

    /// Walks users from after `cursor`, which this filter gave.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn users(
        &self,
        filter: &UserFilter,
        cursor: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<UserPage, StoreError> {
        let by_word = filter.words.first();
        let (prefix, direction) = filter.walk();
        let mut next = cursor;
        let mut items = Vec::new();
        for _ in 0..WALK_USERS_MAX / WALK_SLICE {
            let mut range = Range::prefix(prefix.clone());
            if let Some(cursor) = &next {
                range = if by_word.is_some() { range.after(cursor) } else { range.before(cursor) };
            }
            let found = self.engine.scan(&range, direction, WALK_SLICE).await?;
            let at_end = found.len() < WALK_SLICE;
            for (key, _) in found {
                if let Some(user) = self.match_user(&key, by_word, filter) {
                    items.push(user);
                }
                next = Some(key);
                if items.len() == limit {
                    return Ok(UserPage { items, next });
                }
            }
            if at_end {
                return Ok(UserPage { items, next: None });
            }
        }
        Ok(UserPage { items, next })
    }

    /// The records of users in the order of their ids, from after `after`; tombstones, too.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn user_rows(&self, after: Option<UserId>, limit: usize) -> Result<Vec<Row<User>>, StoreError> {
        let mut range = Range::prefix(vec![table::USERS]);
        if let Some(after) = after {
            range = range.after(&User::key(&after));
        }
        let found = self.engine.scan(&range, Direction::Ascending, limit).await?;
        found.into_iter().map(|(key, record)| Row::read(key, record)).collect()
    }

    fn match_user(
        &self,
        key: &[u8],
        by_word: Option<&String>,
        filter: &UserFilter,
    ) -> Option<Arc<Row<User>>> {
        let (word, id) = match by_word {
            Some(_) => read_word_key(key).map(|(word, id)| (Some(word), id))?,
            None => (None, UserId::from_bytes(key[1..].try_into().ok()?)),
        };
        let user = Arc::clone(self.view().user(&id)?);
        let words = words_of(&user.value);
        if let (Some(word), Some(prefix)) = (word, by_word) {
            // A user with several matching words is shown at the first of them only, on whatever page that is.
            let first = words.iter().find(|word| word.starts_with(prefix.as_str()));
            if first.map(String::as_str) != Some(word) {
                return None;
            }
        }
        filter.matches(&user.value, &words).then_some(user)
    }
}
