//! `hallpass restore`: a backup takes the place of a stopped appliance's store.

use super::backup::SecretFiles;
use super::invalidate::ask;
use crate::auth::restore::{Before, Report};
use crate::config::Config;
use crate::console::socket;
use crate::start::{Sources, is_begun, restore};
use crate::web;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// What must be typed.
const WORDS: &str = "restore";

#[derive(Args)]
pub(super) struct Arguments {
    /// The backup.
    file: PathBuf,
    #[command(flatten)]
    secret: SecretFiles,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(config: &Config, arguments: &Arguments) -> Result<ExitCode, String> {
    if socket::connect(&config.data_dir).is_some() {
        return Err("the appliance runs: stop it first".into());
    }
    let secret = arguments.secret.read()?;
    if !arguments.yes && is_begun(config) {
        let place = config.data_dir.display();
        ask(WORDS, &format!("The store in {place} is set aside, and everybody is signed out."))?;
    }
    let restored = restore(config, Sources::system(), &arguments.file, secret.as_ref());
    let report = web::run(config, restored).map_err(|e| e.to_string())??;
    report_lines(&report).iter().for_each(|line| println!("{line}"));
    Ok(ExitCode::SUCCESS)
}

/// What the operator must know.
fn report_lines(report: &Report) -> Vec<String> {
    let made = report.made_at.to_words();
    let mut lines = vec![
        format!("Restored: {} records as of {made}; users: {}.", report.records, report.users),
        "Everything of everybody is ended: sessions, tokens, one-time codes. All signing keys are new."
            .into(),
    ];
    if !report.same_key {
        lines.push("It was made under another master key; from now on the present one counts.".into());
    }
    if !report.suspended_apps.is_empty() {
        let apps = report.suspended_apps.join(", ");
        lines.push(format!("Secrets of these apps are refused until `hallpass app confirm APP`: {apps}"));
    }
    match &report.before {
        Before::Nothing => lines.push(AS_IT_WAS.into()),
        Before::Unreadable(why) => {
            lines.push(format!("The store before could not be read ({why}), so nothing could be compared."));
            lines.push(AS_IT_WAS.into());
        }
        Before::Compared(_) if !report.same_store => {
            lines.push("The store before was another one, not an earlier or later state of this.".into());
            lines.push(AS_IT_WAS.into());
        }
        Before::Compared(differences) if differences.is_empty() => {
            lines.push("Users, roles, groups and passwords are as they were before.".into());
        }
        Before::Compared(differences) => {
            lines.push("These differ from the store before. Look through them now:".into());
            lines.extend(differences.iter().map(|found| {
                format!("  {}\t{}: {} -> {}", found.login, found.what, found.before, found.now)
            }));
        }
    }
    lines
}

/// Where nothing was compared.
const AS_IT_WAS: &str =
    "Users are as they were then: whoever was disabled or deleted since is back, and old passwords count.";
