//! `hallpass verify` and `hallpass compact`: the store of a stopped appliance as a whole.

use crate::config::Config;
use crate::start::{Sources, StartError, keep_what_is_left, offline};
use crate::store::engine::{self, Examination, Salvage};
use crate::store::tables;
use crate::web;

/// Compares every table with what was written to it, and says what is lost.
///
/// # Errors
/// When anything is, or the store cannot be opened at all.
pub fn verify(config: &Config) -> Result<(), String> {
    let (options, _) = offline(config).map_err(|e| e.to_string())?;
    let salvage = Salvage::open(&options).map_err(|e| e.to_string())?;
    let found = salvage.examine().map_err(|e| e.to_string())?;
    print_tables(&found);
    if found.losses.is_empty() {
        println!("The store is whole: it holds what was written to it.");
        return Ok(());
    }
    for loss in &found.losses {
        println!("LOST: {loss}");
    }
    Err(format!(
        "the store is not whole. Best restore a backup: hallpass restore FILE. What is left can be kept instead, and \
         everybody signed out; what was revoked and is lost must then be revoked again: \
         hallpass verify --accept-loss {}",
        found.code()
    ))
}

fn print_tables(found: &Examination) {
    for table in &found.tables {
        let verdict = match table.wanted {
            _ if table.is_whole() => "whole".into(),
            Some(wanted) => format!("NOT WHOLE, {} were written", wanted.count),
            None => "nobody knows".into(),
        };
        println!("{}\t{} records\t{verdict}", tables::name(table.table), table.found.count);
    }
}

/// Goes on with what is left of a damaged store. Everybody is signed out, and the damaged one is set aside.
///
/// # Errors
/// When the code is not that of the losses; or in words for the operator, and then the store is as it was.
pub fn accept_loss(config: &Config, code: &str) -> Result<(), String> {
    let (options, _) = offline(config).map_err(|e| e.to_string())?;
    let salvage = Salvage::open(&options).map_err(|e| e.to_string())?;
    let found = salvage.examine().map_err(|e| e.to_string())?;
    if found.losses.is_empty() {
        return Err("the store is whole: there is nothing to accept".into());
    }
    if found.code() != code {
        return Err("this is not the code of what is lost now: read it first with hallpass verify".into());
    }
    let kept = keep_what_is_left(config, Sources::system(), &salvage);
    let aside = web::run(config, kept).map_err(|e| e.to_string())??;
    println!("The store holds what was left. Everybody was signed out; all signing keys are new.");
    println!("What was revoked, disabled or changed, and is among the lost, must be done again.");
    println!("The damaged store was set aside in {}.", aside.display());
    Ok(())
}

/// Writes the store anew, without what the database no longer needs.
///
/// # Errors
/// In words for the operator; then the store is as it was.
pub fn compact(config: &Config) -> Result<(), String> {
    let (options, _) = offline(config).map_err(|e: StartError| e.to_string())?;
    let done = engine::compact(&options).map_err(|e| e.to_string())?;
    let mb = |bytes: u64| bytes.div_ceil(1 << 20);
    let (before, after) = (mb(done.before_bytes), mb(done.after_bytes));
    if done.after_bytes < done.before_bytes {
        println!("{before} MB before, {after} MB now; nothing else has changed.");
    } else {
        println!("It takes {before} MB, and would take no less: there was nothing to gain.");
    }
    Ok(())
}
