//! Work on a second store, in a process of its own: two stores in one process share a lock, and what one takes of
//! memory and processor the other lacks.
//!
//! The child is this very program with the same options, by a verb that the help does not show. The secret goes to it
//! by its standard input, and one line of JSON comes back.

use crate::auth::backup::secret::BackupSecret;
use crate::auth::backup::{Exact, Task, Workshop};
use crate::auth::restore::Report;
use crate::config::Config;

use crate::start::{Sources, prepare_restore, verify_backup};
use crate::web;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// A million records take a minute or two; what hangs must not hang for ever.
const SECONDS_MAX: u64 = 3600;
const LOOK_EVERY_MS: u64 = 50;
/// More than any report has.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// The lowest: everything else goes first.
const NICE: i32 = 19;

/// What the child is told, and what it answers.
#[derive(Serialize, Deserialize)]
struct Order {
    secret: Option<BackupSecret>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told<T> {
    Done(T),
    Refused(String),
}

/// Starts this program again for each piece of work.
pub(super) struct OwnProgram {
    pub config: Option<PathBuf>,
}

impl Workshop for OwnProgram {
    fn verify(&self, file: PathBuf, scratch: PathBuf, secret: Option<Arc<BackupSecret>>) -> Task<Exact> {
        self.hand_over(&["verify-backup"], vec![file, scratch], secret)
    }

    fn prepare(&self, file: PathBuf, secret: Option<Arc<BackupSecret>>) -> Task<Report> {
        self.hand_over(&["prepare-restore"], vec![file], secret)
    }
}

impl OwnProgram {
    fn hand_over<T: DeserializeOwned + Send + 'static>(
        &self,
        verb: &[&str],
        paths: Vec<PathBuf>,
        secret: Option<Arc<BackupSecret>>,
    ) -> Task<T> {
        let program = std::env::current_exe().map(|program| {
            let mut command = Command::new(program);
            command.args(verb).args(paths);
            if let Some(config) = &self.config {
                command.arg("--config").arg(config);
            }
            command
        });
        Box::pin(async move {
            let command = program.map_err(|e| format!("this program does not find itself: {e}"))?;
            let order = Order { secret: secret.map(|secret| (*secret).clone()) };
            let done = tokio::task::spawn_blocking(move || run(command, &order));
            done.await.map_err(|e| e.to_string())?
        })
    }
}

fn run<T: DeserializeOwned>(mut command: Command, order: &Order) -> Result<T, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().map_err(|e| format!("no process could be started: {e}"))?;
    let told = serde_json::to_vec(order).map(zeroize::Zeroizing::new).map_err(|e| e.to_string())?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let (Some(mut input), Some(output)) = (input, output) else {
        return Err("no pipes to the process".into());
    };
    // One that ended early says why on its output, or by its status.
    let _ = input.write_all(&told);
    drop(input);
    let reader = std::thread::spawn(move || {
        let mut answer = Vec::new();
        output.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).map(|_| answer)
    });
    let status = wait(&mut child)?;
    let answer = reader.join().map_err(|_| "its answer was not read")?.map_err(|e| e.to_string())?;
    match serde_json::from_slice(&answer) {
        Ok(Told::Done(done)) => Ok(done),
        Ok(Told::Refused(words)) => Err(words),
        Err(_) => Err(format!("the process ended without an answer ({status})")),
    }
}

#[allow(clippy::disallowed_methods)] // a thread that has nothing else to do
fn wait(child: &mut Child) -> Result<std::process::ExitStatus, String> {
    for _ in 0..SECONDS_MAX * 1000 / LOOK_EVERY_MS {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(LOOK_EVERY_MS));
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(format!("it was not done after {SECONDS_MAX} s"))
}

/// The child's side of a check.
pub(super) fn verify(config: &Config, file: &Path, scratch: &Path) -> ExitCode {
    end_with_parent();
    // Nice also stands last in the queue of the disk, where its scheduler knows queues at all.
    if let Err(e) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%e, "the check of a backup cannot yield");
    }
    answer(secret_told().and_then(|secret| verify_backup(config, file, scratch, secret.as_ref())))
}

/// The child's side of a restore from the set-up page: nothing was there before that could be compared.
pub(super) fn prepare(config: &Config, file: &Path) -> ExitCode {
    end_with_parent();
    let prepared = secret_told().and_then(|secret| {
        let prepared = prepare_restore(config, Sources::system(), file, secret.as_ref(), Ok(None));
        web::run(config, prepared).map_err(|e| e.to_string())?
    });
    answer(prepared.map(|prepared| prepared.report))
}

/// Whoever asked and was killed will ask again: two at once would be at the same files.
fn end_with_parent() {
    #[cfg(target_os = "linux")]
    if let Err(e) = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)) {
        tracing::debug!(%e, "this process may outlive the one that started it");
    }
}

fn secret_told() -> Result<Option<BackupSecret>, String> {
    let mut told = zeroize::Zeroizing::new(Vec::new());
    std::io::stdin().take(64 << 10).read_to_end(&mut told).map_err(|e| e.to_string())?;
    serde_json::from_slice::<Order>(&told)
        .map(|order| order.secret)
        .map_err(|_| "this is for itself only".into())
}

fn answer<T: Serialize>(done: Result<T, String>) -> ExitCode {
    let told = match done {
        Ok(done) => Told::Done(done),
        Err(words) => Told::Refused(words),
    };
    let written = serde_json::to_writer(std::io::stdout().lock(), &told);
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
