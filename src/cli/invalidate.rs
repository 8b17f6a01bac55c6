//! `hallpass invalidate-all`: asks once more, then ends everything of everybody.

use crate::console::Command;
use clap::Args;
use serde_json::Value;
use std::io::{IsTerminal as _, Write as _};

/// What must be typed.
const WORDS: &str = "end everything";

#[derive(Args)]
pub(super) struct Arguments {
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

impl Arguments {
    /// # Errors
    /// Nobody said yes.
    pub(super) fn confirmed(&self) -> Result<Command, String> {
        if !self.yes {
            let warning =
                "Everybody is signed out, every token is dead, and the secrets of apps wait to be confirmed.";
            ask(WORDS, warning)?;
        }
        Ok(Command::InvalidateAll)
    }
}

/// Asks a person.
///
/// # Errors
/// Nobody is there, or does not type the words.
pub(super) fn ask(words: &str, warning: &str) -> Result<(), String> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err("this signs everybody out: say --yes".into());
    }
    println!("{warning}");
    print!("Type `{words}` to go on: ");
    let mut typed = String::new();
    let read = std::io::stdout().flush().and_then(|()| stdin.read_line(&mut typed));
    read.map_err(|e| e.to_string())?;
    if typed.trim() == words { Ok(()) } else { Err("nothing was done".into()) }
}

pub(super) fn print(suspended: &[Value]) {
    println!("Everything is ended: everybody signs in again.");
    if !suspended.is_empty() {
        println!("Secrets of these apps are refused until `hallpass app confirm APP`:");
        suspended.iter().filter_map(Value::as_str).for_each(|app| println!("  {app}"));
    }
}
