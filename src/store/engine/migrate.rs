//! Stores of earlier formats are brought forward, after a copy. Each step ends in one batch, so that it can break off
//! anywhere and begin again.

use super::disk::{disk_bytes, free_bytes, make_private_directory, sync_directory};
use super::error::OpenError;
use super::head::{HEAD_KEY, Head, Totals};
use super::meta::{FORMAT_KEY, SEQUENCE_KEY, STORE_FORMAT, identity, read_meta};
use super::options::Options;
use super::place::Place;
use super::quiet::quietly;
use super::record::Record;
use std::fs::File;
use std::io;
use std::path::Path;

/// Brings the store from `format` to the present one. The caller has made a copy before opening it.
pub(super) fn forward(db: &sled::Db, format: u64, place: &Place, options: &Options) -> Result<(), OpenError> {
    tracing::info!(from = format, to = STORE_FORMAT, "the store is brought to a new format");
    let stopped = |_| Err(place.damaged("it could not be brought to the new format"));
    quietly(|| from_1_to_2(db, place, options)).unwrap_or_else(stopped)
}

/// The first format had a sequence number and no digests: whatever it holds now is what is held to from here on.
fn from_1_to_2(db: &sled::Db, place: &Place, options: &Options) -> Result<(), OpenError> {
    let damaged = |e: sled::Error| place.damaged(e);
    let sequence = read_meta(db, place, SEQUENCE_KEY)?.and_then(|payload| payload.try_into().ok());
    let sequence =
        sequence.map(u64::from_be_bytes).ok_or_else(|| place.damaged("meta/sequence is missing"))?;
    let mut head = Head { sequence: sequence + 1, totals: Totals::default() };
    let format = Record::encode(head.sequence, &2u64.to_be_bytes());
    for found in db.iter() {
        let (key, value) = found.map_err(damaged)?;
        match &*key {
            SEQUENCE_KEY => {}
            FORMAT_KEY => head.totals.add(&options.keys, FORMAT_KEY, &format),
            _ => head.totals.add(&options.keys, &key, &value),
        }
    }
    let (sealed, _) = head.seal(&options.keys, &identity(db, place)?);
    let mut batch = sled::Batch::default();
    batch.remove(SEQUENCE_KEY);
    batch.insert(FORMAT_KEY, format);
    batch.insert(HEAD_KEY, sealed);
    db.apply_batch(batch).map_err(damaged)
}

/// Store and sidecar as they are, into `aside/`. A copy of the same moment that is there already is left by a migration
/// that broke off.
pub(super) fn copy_aside(place: &Place, options: &Options) -> Result<(), OpenError> {
    let (aside, name) = (place.directory.join("aside"), format!("before-format-{STORE_FORMAT}"));
    let (copy, half) = (aside.join(&name), aside.join(format!("{name}.half")));
    let io = |e| OpenError::Io(aside.clone(), e);
    if copy.exists() {
        let sidecar = |path: &Path| std::fs::read(path).map_err(io);
        if sidecar(&copy.join("sidecar"))? == sidecar(&place.sidecar)? {
            return Ok(());
        }
        std::fs::remove_dir_all(&copy).map_err(io)?;
    }
    if half.exists() {
        std::fs::remove_dir_all(&half).map_err(io)?;
    }
    make_private_directory(&half).map_err(io)?;
    let wanted = disk_bytes(&place.store).map_err(io)?.saturating_add(options.free_floor_bytes);
    if free_bytes(&aside).is_some_and(|free| free < wanted) {
        return Err(OpenError::NoRoom(aside, wanted >> 20));
    }
    let copied = copy_all(&place.store, &half.join("store")).and_then(|()| {
        copy_file(&place.sidecar, &half.join("sidecar"))?;
        sync_directory(&half)?;
        std::fs::rename(&half, &copy)?;
        sync_directory(&aside)?;
        sync_directory(&place.directory)
    });
    copied.map_err(io)
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    make_private_directory(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &to)?;
        } else {
            copy_file(&entry.path(), &to)?;
        }
    }
    sync_directory(to)
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::copy(from, to)?;
    File::open(to)?.sync_all()
}
