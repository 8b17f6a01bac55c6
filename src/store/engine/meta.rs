//! The records by which a store says what it is.

use super::error::OpenError;
use super::head::{Identity, StoreKeys};
use super::place::Place;
use super::quiet::quietly;
use super::record::Record;
use crate::store::codec;
use crate::store::tables::{KeyCheck, Stored};

pub(super) const FORMAT_KEY: &[u8] = b"\x01format";
pub(super) const STORE_ID_KEY: &[u8] = b"\x01store-id";
/// Of the whole store; moves with migrations.
pub(super) const STORE_FORMAT: u64 = 2;
/// `meta/generation`.
pub(super) const GENERATION_KEY: &[u8] = b"\x01generation";
/// `meta/sequence`, which the first format had instead of a head.
pub(super) const SEQUENCE_KEY: &[u8] = b"\x01sequence";

pub(super) fn identity(db: &sled::Db, place: &Place) -> Result<Identity, OpenError> {
    let store_id = read_meta(db, place, STORE_ID_KEY)?.and_then(|payload| payload.try_into().ok());
    Ok(Identity {
        store_id: store_id.ok_or_else(|| place.damaged("meta/store-id is missing"))?,
        generation: number(read_meta(db, place, GENERATION_KEY)?)
            .ok_or_else(|| place.damaged("meta/generation is missing"))?,
    })
}

pub(super) fn number(payload: Option<Vec<u8>>) -> Option<u64> {
    payload?.try_into().ok().map(u64::from_be_bytes)
}

pub(super) fn read_meta(db: &sled::Db, place: &Place, key: &[u8]) -> Result<Option<Vec<u8>>, OpenError> {
    let bytes = quietly(|| db.get(key)).map_err(|_| place.damaged("it cannot be read"))?;
    let Some(bytes) = bytes.map_err(|e| place.damaged(e))? else { return Ok(None) };
    Record::decode(&bytes).map(|record| Some(record.payload)).map_err(|e| place.damaged(e))
}

/// Before anything that the key vouches for: a wrong key file must not look like damage.
pub(super) fn check_key(db: &sled::Db, place: &Place, keys: &StoreKeys) -> Result<(), OpenError> {
    let payload = read_meta(db, place, &KeyCheck::key(&()))?;
    let payload = payload.ok_or_else(|| place.damaged("meta/key-check is missing"))?;
    match codec::decode::<KeyCheck>(&payload) {
        Ok(check) if check.value == keys.check => Ok(()),
        Ok(_) => Err(OpenError::WrongKey(place.store.clone())),
        Err(e) => Err(place.damaged(e)),
    }
}
