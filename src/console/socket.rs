//! The control socket: a few JSON lines between the command line and a running appliance of the same user.

use super::transfer::Transfer;
use super::{Command, run};
use crate::auth::Auth;
use serde_json::{Value, json};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// Longer lines are not read to their end.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// An idle caller is hung up on.
const LINE_SECONDS: u64 = 10;

pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Listens until the handle is aborted. The store's lock says that no other process is behind an old socket.
///
/// # Errors
/// When the socket cannot be made.
pub fn listen(data_dir: &Path, auth: Arc<Auth>, origin: String) -> io::Result<JoinHandle<()>> {
    let path = path(data_dir);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    // The data directory is its owner's alone, so nobody can connect before the mode is set.
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (auth, origin) = (Arc::clone(&auth), origin.clone());
                    tokio::spawn(async move {
                        if let Err(error) = converse(stream, &auth, &origin).await {
                            tracing::debug!(%error, "a control connection broke off");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }))
}

/// Answers one caller. Whoever opens the store by themselves talks to themselves through a pair of sockets.
///
/// # Errors
/// When the connection breaks off.
pub async fn converse(stream: UnixStream, auth: &Arc<Auth>, origin: &str) -> io::Result<()> {
    let caller = stream.peer_cred()?.uid();
    let own = rustix::process::geteuid().as_raw();
    if caller != own && caller != 0 {
        tracing::warn!(caller, "a control connection of another user was refused");
        return Ok(());
    }
    let (reader, mut writer) = stream.into_split();
    let mut reader = tokio::io::BufReader::new(reader.take(LINE_BYTES_MAX));
    let mut line = zeroize::Zeroizing::new(String::new());
    let read = tokio::time::timeout(Duration::from_secs(LINE_SECONDS), reader.read_line(&mut line));
    read.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    if let Ok(transfer) = serde_json::from_str::<Transfer>(&line) {
        reader.get_mut().set_limit(u64::MAX);
        return transfer.serve(auth, &mut reader, &mut writer).await;
    }
    let answer = match serde_json::from_str::<Command>(&line) {
        Ok(command) => run(auth, origin, command).await,
        Err(_) => Err("this is no command".into()),
    };
    let answer = answer.map_or_else(|error| json!({ "error": error }), |value| json!({ "ok": value }));
    writer.write_all(format!("{answer}\n").as_bytes()).await
}

/// A connection to the running appliance. `None`: there is none.
pub fn connect(data_dir: &Path) -> Option<BlockingStream> {
    BlockingStream::connect(path(data_dir)).ok()
}

/// Asks a running appliance. `None`: there is none.
///
/// # Errors
/// In words for the operator.
pub fn ask(data_dir: &Path, command: &Command) -> Option<Result<Value, String>> {
    Some(
        talk(connect(data_dir)?, command)
            .map_err(|e| format!("the running appliance: {e}"))
            .and_then(|answer| answer),
    )
}

fn talk(mut stream: BlockingStream, command: &Command) -> io::Result<Result<Value, String>> {
    stream.set_read_timeout(Some(Duration::from_secs(command.answer_seconds())))?;
    let line = zeroize::Zeroizing::new(serde_json::to_string(command)?);
    stream.write_all(line.as_bytes())?;
    stream.write_all(b"\n")?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    let mut answer: Value = serde_json::from_str(&answer)?;
    Ok(match answer.get("error").and_then(Value::as_str) {
        Some(error) => Err(error.to_owned()),
        None => Ok(answer["ok"].take()),
    })
}
