//! Exports and imports over the control socket: the lines go by one after the other, and neither end holds them all.

use super::in_words;
use crate::auth::check::Admin;
use crate::auth::import::{Format, RefusedLine, Report, next_line};
use crate::auth::{Auth, Refusal};
use crate::web::view::{import_report, refused_line};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt as _};

/// What begins a conversation of many lines. An import's follow, until the caller has no more to say; the answer is a
/// line for each that was refused, and one for the whole.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Transfer {
    Export,
    Import { format: Format, dry_run: bool },
}

impl Transfer {
    /// Whether it makes sense where nothing was ever started.
    pub const fn may_begin(self) -> bool {
        matches!(self, Self::Import { dry_run: false, .. })
    }

    pub(super) async fn serve(
        self,
        auth: &Arc<Auth>,
        reader: &mut (impl AsyncBufRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        let over = match self {
            Self::Export => export(auth, writer).await?,
            Self::Import { format, dry_run } => import(auth, format, dry_run, reader, writer).await?,
        };
        match over {
            Ok(Some(report)) => write(writer, &json!({ "ok": report })).await,
            Ok(None) => Ok(()),
            Err(words) => write(writer, &json!({ "error": words })).await,
        }
    }
}

/// What is said at the end, or why there is none; outside of it, a connection that broke off.
type Over = io::Result<Result<Option<Value>, String>>;

async fn export(auth: &Arc<Auth>, writer: &mut (impl AsyncWrite + Unpin)) -> Over {
    let mut export = auth.export(&Admin::console());
    loop {
        match export.next().await {
            Ok(Some(piece)) => writer.write_all(&piece).await?,
            Ok(None) => return Ok(Ok(None)),
            Err(refusal) => return Ok(Err(in_words(refusal))),
        }
    }
}

async fn import(
    auth: &Auth,
    format: Format,
    dry_run: bool,
    reader: &mut (impl AsyncBufRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> Over {
    let mut import = auth.import(&Admin::console(), format, dry_run);
    let mut line = Vec::new();
    while next_line(reader, &mut line).await? {
        match import.take(&line).await {
            Ok(refused) => list(writer, &refused).await?,
            Err(refusal) => return Ok(Err(broken(refusal, import.report()))),
        }
    }
    let before = *import.report();
    match import.finish().await {
        Ok((refused, report)) => {
            list(writer, &refused).await?;
            Ok(Ok(Some(import_report(&report))))
        }
        Err(refusal) => Ok(Err(broken(refusal, &before))),
    }
}

/// Whatever the reason says, it is about the lines that were not settled yet.
fn broken(refusal: Refusal, report: &Report) -> String {
    let (words, done) = (in_words(refusal), report.users.imported + report.apps.imported);
    if done == 0 {
        words
    } else {
        format!("{words} ({done} users and apps were imported before: run it again)")
    }
}

async fn list(writer: &mut (impl AsyncWrite + Unpin), refused: &[RefusedLine]) -> io::Result<()> {
    for refused in refused {
        write(writer, &json!({ "refused": refused_line(refused) })).await?;
    }
    Ok(())
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), value: &Value) -> io::Result<()> {
    writer.write_all(format!("{value}\n").as_bytes()).await
}

/// The other end of an export: writes the lines to `out`, and answers the last one.
///
/// # Errors
/// In words for the operator; what was written until then is no whole export.
pub fn receive(mut stream: UnixStream, out: &mut impl Write) -> Result<Value, String> {
    ask(&mut stream, &Transfer::Export).map_err(broke_off)?;
    let mut reader = BufReader::new(stream);
    let (mut line, mut last) = (Vec::new(), Vec::new());
    while reader.read_until(b'\n', &mut line).map_err(broke_off)? > 0 {
        if line.starts_with(b"{\"error\":") {
            return Err(read(&line)?["error"].as_str().unwrap_or_default().to_owned());
        }
        out.write_all(&line).map_err(|e| format!("cannot write: {e}"))?;
        std::mem::swap(&mut line, &mut last);
        line.clear();
    }
    let end = read(&last)?;
    if end["type"] == "end" { Ok(end) } else { Err(broke_off("there is no end line")) }
}

/// The other end of an import: sends the lines of `input`, hands each refusal to `refused`, and answers the report.
///
/// # Errors
/// In words for the operator; what was imported until then is there.
pub fn send(
    mut stream: UnixStream,
    begin: &Transfer,
    mut input: impl Read + Send + 'static,
    mut refused: impl FnMut(&Value),
) -> Result<Value, String> {
    ask(&mut stream, begin).map_err(broke_off)?;
    let mut outwards = stream.try_clone().map_err(broke_off)?;
    // On a thread of its own: were nobody to read the refusals meanwhile, both ends would wait for ever.
    let sender = std::thread::spawn(move || {
        let sent = io::copy(&mut input, &mut outwards);
        let _ = outwards.shutdown(Shutdown::Write);
        sent
    });
    for line in BufReader::new(stream).split(b'\n') {
        let mut answer = read(&line.map_err(broke_off)?)?;
        if let Some(error) = answer["error"].as_str() {
            return Err(error.to_owned());
        }
        if answer["refused"].is_object() {
            refused(&answer["refused"]);
            continue;
        }
        return match sender.join() {
            Ok(Ok(_)) => Ok(answer["ok"].take()),
            Ok(Err(error)) => Err(format!("the input broke off: {error}")),
            Err(_) => Err(broke_off("the sending thread is gone")),
        };
    }
    Err(broke_off("there is no report"))
}

fn ask(stream: &mut UnixStream, begin: &Transfer) -> io::Result<()> {
    stream.write_all(format!("{}\n", serde_json::to_string(begin)?).as_bytes())
}

fn read(line: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(line).map_err(broke_off)
}

fn broke_off(error: impl std::fmt::Display) -> String {
    format!("the conversation with the appliance broke off: {error}")
}
