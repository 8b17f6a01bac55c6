//! Taking in what an export gave out, or what somebody wrote in its form: line by line, the good ones whatever the
//! bad ones are. Nothing that is there already is changed, so that an import that broke off can be run again.

mod apps;
mod users;

use crate::auth::Auth;
use crate::auth::check::RecentAdmin;
use crate::auth::refusal::{Refusal, Verdict};
use crate::model::Time;
use crate::model::misfit::Misfit;
use crate::model::transfer::{LINE_BYTES_MAX, Line};
use crate::model::user::Actor;
use apps::NewApp;
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::HashMap;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};
use users::NewUser;

/// How many lines are looked up and written together.
const PENDING_LINES_MAX: usize = 64;

/// What the lines are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Our own: see `docs/export.md`.
    #[default]
    Json,
    /// `login:hash`.
    Htpasswd,
}

impl std::str::FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "json" => Ok(Self::Json),
            "htpasswd" => Ok(Self::Htpasswd),
            _ => Err("one of json, htpasswd"),
        }
    }
}

/// A line that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedLine {
    pub line: u64,
    pub reasons: Vec<Misfit>,
}

/// How many there were of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub imported: u64,
    /// There already.
    pub skipped: u64,
}

/// What came of an import; of a dry run, what would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub dry_run: bool,
    pub lines: u64,
    pub users: Count,
    pub apps: Count,
    pub refused: u64,
}

/// An import under way: hand it every line, then finish it.
pub struct Import<'a> {
    auth: &'a Auth,
    by: Actor,
    now: Time,
    format: Format,
    stage: Stage,
    /// Between header and end.
    body_lines: u64,
    /// Digests of the names and ids that earlier lines took, and the numbers of those lines. It is all that is kept of
    /// a line once it is settled: a hundred thousand users are some ten megabytes.
    taken: HashMap<[u8; 16], u64>,
    pending: Vec<(u64, Item)>,
    report: Report,
    is_over: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header,
    Body,
    End,
}

/// A line that was read.
enum Item {
    User(Box<NewUser>),
    App(Box<NewApp>),
    Refused(Vec<Misfit>),
}

/// What became of one that was well formed.
enum Settled {
    Imported,
    Skipped,
    Refused(Vec<Misfit>),
}

impl Auth {
    /// Begins an import. With `dry_run` nothing is changed, and the report is the same.
    pub fn import(&self, by: &RecentAdmin, format: Format, dry_run: bool) -> Import<'_> {
        let by = by.actor();
        tracing::warn!(event = "import_begun", dry_run, by = ?by);
        Import {
            auth: self,
            by,
            now: self.clock.now(),
            format,
            stage: if format == Format::Json { Stage::Header } else { Stage::Body },
            body_lines: 0,
            taken: HashMap::new(),
            pending: Vec::new(),
            report: Report { dry_run, ..Report::default() },
            is_over: false,
        }
    }
}

impl Import<'_> {
    /// Takes the next line, without its break; blank ones count and say nothing. Answers what is now known to be
    /// refused, in the order of lines.
    ///
    /// # Errors
    /// `Invalid` for a first line that is no header of ours; or when the store fails.
    pub async fn take(&mut self, text: &[u8]) -> Verdict<Vec<RefusedLine>> {
        self.report.lines += 1;
        if text.trim_ascii().is_empty() {
            return Ok(Vec::new());
        }
        if let Some(item) = self.read(text)? {
            self.pending.push((self.report.lines, item));
        }
        if self.pending.len() < PENDING_LINES_MAX { Ok(Vec::new()) } else { self.settle().await }
    }

    /// What came of the lines that are settled.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Settles what is left.
    ///
    /// # Errors
    /// As [`Import::take`].
    pub async fn finish(mut self) -> Verdict<(Vec<RefusedLine>, Report)> {
        match (self.format, self.stage) {
            (_, Stage::Header) => return Err(header_missing()),
            (Format::Json, Stage::Body) => {
                let message = "The file ends without its end line: something may be missing.";
                let reasons = vec![Misfit::new("", "truncated", message)];
                self.pending.push((self.report.lines, Item::Refused(reasons)));
            }
            _ => {}
        }
        let refused = self.settle().await?;
        self.is_over = true;
        Ok((refused, self.report))
    }

    /// What a line says. `None`: nothing by itself.
    fn read(&mut self, text: &[u8]) -> Verdict<Option<Item>> {
        let line = if text.len() > LINE_BYTES_MAX {
            let message = format!("A line has at most {LINE_BYTES_MAX} bytes.");
            Err(Misfit::new("", "line_too_long", message))
        } else {
            match self.format {
                Format::Json => Line::read(text).map(Some),
                Format::Htpasswd => Line::read_htpasswd(text),
            }
        };
        let refused = |code, message| Item::Refused(vec![Misfit::new("", code, message)]);
        let item = match (self.stage, line) {
            (Stage::Header, Ok(Some(Line::Header(_)))) => {
                self.stage = Stage::Body;
                return Ok(None);
            }
            (Stage::Header, Err(fault)) if fault.code == "schema_unknown" => {
                return Err(Refusal::field("schema", fault.code, fault.message));
            }
            (Stage::Header, _) => return Err(header_missing()),
            (Stage::End, _) => refused("after_end", "The end line must be the last."),
            (Stage::Body, Ok(Some(Line::End(end)))) => {
                self.stage = Stage::End;
                let told = end.apps.zip(end.users).map(|(apps, users)| apps.saturating_add(users));
                if told.is_none_or(|told| told == self.body_lines) {
                    return Ok(None);
                }
                refused(
                    "count_mismatch",
                    "The end line counts other than there are lines: some may be missing.",
                )
            }
            (Stage::Body, line) => {
                self.body_lines += 1;
                match line {
                    Ok(None) => return Ok(None),
                    Ok(Some(Line::User(line))) => self.new_user(*line),
                    Ok(Some(Line::App(line))) => self.new_app(*line),
                    Ok(Some(Line::Header(_) | Line::End(_))) => {
                        refused("header_again", "There is one header, and it is the first line.")
                    }
                    Err(fault) => Item::Refused(vec![fault]),
                }
            }
        };
        Ok(Some(item))
    }

    /// Notes what this line takes for itself, or refuses it where an earlier line has a part of that.
    fn claim(&mut self, names: &[String], item: Item) -> Item {
        let key = |name: &String| {
            let mut key = [0; 16];
            key.copy_from_slice(&digest(&SHA256, name.as_bytes()).as_ref()[..16]);
            key
        };
        let keys: Vec<_> = names.iter().map(key).collect();
        let earlier = keys.iter().find_map(|key| self.taken.get(key).copied());
        if let Some(line) = earlier {
            let message = format!("Line {line} has the same login, e-mail or id, or one like it.");
            return Item::Refused(vec![Misfit::new("", "twice_in_file", message)]);
        }
        self.taken.extend(keys.into_iter().map(|key| (key, self.report.lines)));
        item
    }

    /// Looks up and writes what is pending.
    async fn settle(&mut self) -> Verdict<Vec<RefusedLine>> {
        self.auth.refuse_while_restoring()?;
        let (mut refused, mut users) = (Vec::new(), Vec::new());
        for (line, item) in std::mem::take(&mut self.pending) {
            match item {
                Item::Refused(reasons) => refused.push(RefusedLine { line, reasons }),
                Item::User(new) => users.push((line, *new)),
                Item::App(new) => match self.put_app(*new).await? {
                    Settled::Imported => self.report.apps.imported += 1,
                    Settled::Skipped => self.report.apps.skipped += 1,
                    Settled::Refused(reasons) => refused.push(RefusedLine { line, reasons }),
                },
            }
        }
        for (line, settled) in self.put_users(users).await? {
            match settled {
                Settled::Imported => self.report.users.imported += 1,
                Settled::Skipped => self.report.users.skipped += 1,
                Settled::Refused(reasons) => refused.push(RefusedLine { line, reasons }),
            }
        }
        refused.sort_by_key(|refused| refused.line);
        self.report.refused += refused.len() as u64;
        Ok(refused)
    }
}

/// Also of one that broke off: what it wrote until then is there.
impl Drop for Import<'_> {
    fn drop(&mut self) {
        let Report { dry_run, lines, users, apps, refused } = self.report;
        tracing::warn!(
            event = "imported",
            whole = self.is_over,
            dry_run,
            lines,
            users = users.imported,
            apps = apps.imported,
            skipped = users.skipped + apps.skipped,
            refused,
            by = ?self.by
        );
    }
}

fn header_missing() -> Refusal {
    let message = r#"The first line must be the header: {"type":"header","schema":1}."#;
    Refusal::field("header", "header_missing", message)
}

/// What fields were refused for: they are refused by `Invalid` alone.
fn reasons_of(applied: Verdict<()>) -> Vec<Misfit> {
    match applied {
        Err(Refusal::Invalid(faults)) => {
            faults.into_iter().map(|fault| Misfit::new(fault.field, fault.code, fault.message)).collect()
        }
        _ => Vec::new(),
    }
}

/// Reads the next line into `line`, without its break. No more is kept of one that is too long than tells so. Answers
/// `false` at the end.
///
/// # Errors
/// Those of the reader.
pub async fn next_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> std::io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let found = reader.fill_buf().await?;
        if found.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = found.iter().position(|byte| *byte == b'\n');
        let text = &found[..end.unwrap_or(found.len())];
        let room = (LINE_BYTES_MAX + 1).saturating_sub(line.len());
        line.extend_from_slice(&text[..text.len().min(room)]);
        let used = end.map_or(found.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}
