//! Records as bytes: MessagePack with named fields, so that a field added later reads old records.

use crate::store::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A record's payload.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(value).expect("our records hold nothing that MessagePack cannot say")
}

/// A record from its payload.
///
/// # Errors
/// When the bytes are no such record: the store is damaged or from a newer version.
pub fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, StoreError> {
    rmp_serde::from_slice(payload)
        .map_err(|e| StoreError::Corrupt(format!("{}: {e}", std::any::type_name::<T>())))
}
