//! redb, whose commits are durable as it comes.

use super::grouped::Write;
use redb::{Database, TableDefinition};
use std::path::Path;

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");

pub fn writer(at: &Path) -> Write {
    let database =
        Database::builder().set_cache_size(128 << 20).create(at.join("redb")).expect("a new database");
    Box::new(move |works| {
        let all = database.begin_write().expect("a transaction");
        let mut table = all.open_table(RECORDS).expect("a table");
        for (key, payload) in works.iter().flat_map(|work| &work.records) {
            let old = table.insert(key.as_slice(), payload.as_slice()).expect("an insert");
            assert!(old.is_none(), "every record is new");
        }
        drop(table);
        all.commit().expect("a commit");
    })
}
