//! `hallpass app`: the apps, and the secrets that wait to be confirmed.

use crate::console::Command;
use clap::Subcommand;
use serde_json::Value;

#[derive(Subcommand)]
pub(super) enum Verb {
    /// List apps, and whether their secrets count.
    List,
    /// Let the secrets of an app count again that were suspended when everything was ended.
    Confirm { app: String },
}

impl From<Verb> for Command {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::List => Self::AppList,
            Verb::Confirm { app } => Self::AppConfirm { app },
        }
    }
}

pub(super) fn print(app: &Value) {
    let fields = ["id", "strategy", "state", "secrets"].map(|field| app[field].as_str().unwrap_or("-"));
    println!("{}", fields.join("\t"));
}
