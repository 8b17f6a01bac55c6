//! `hallpass import`: takes the lines of a file in, and says which were refused and why.

use super::converse::converse;
use crate::auth::import::Format;
use crate::config::Config;
use crate::console::transfer::{Transfer, send};
use serde_json::Value;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::process::ExitCode;

/// The exit code when lines were refused. The others were imported.
const EXIT_REFUSED: u8 = 3;

pub(super) fn run(config: Config, path: &Path, format: Format, dry_run: bool) -> Result<ExitCode, String> {
    let input: Box<dyn Read + Send> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        let file = File::open(path).and_then(|file| match file.metadata()?.is_dir() {
            true => Err(ErrorKind::IsADirectory.into()),
            false => Ok(file),
        });
        Box::new(file.map_err(|e| format!("{}: {e}", path.display()))?)
    };
    let begin = Transfer::Import { format, dry_run };
    let report = converse(config, begin, move |stream| send(stream, &begin, input, print_refused))?;
    let (users, apps) = (&report["users"], &report["apps"]);
    let skipped =
        users["skipped"].as_u64().unwrap_or_default() + apps["skipped"].as_u64().unwrap_or_default();
    println!(
        "{} {} users and {} apps; {skipped} were there already; {} lines were refused.",
        if dry_run { "Would import" } else { "Imported" },
        users["imported"],
        apps["imported"],
        report["refused"],
    );
    Ok(if report["refused"] == 0 { ExitCode::SUCCESS } else { EXIT_REFUSED.into() })
}

/// `line 3: login: This is too long. (too_long)`, a line for each reason.
fn print_refused(refused: &Value) {
    for reason in refused["reasons"].as_array().into_iter().flatten() {
        let text = |name: &str| reason[name].as_str().unwrap_or_default().to_owned();
        let field = Some(text("field")).filter(|field| !field.is_empty()).map(|field| field + ": ");
        println!(
            "line {}: {}{} ({})",
            refused["line"],
            field.unwrap_or_default(),
            text("message"),
            text("code")
        );
    }
}
