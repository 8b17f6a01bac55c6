//! SQLite, set to the same promise: the write-ahead log is synced at every commit.

use super::grouped::Write;
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

const SCHEMA: &str = "CREATE TABLE records (key BLOB PRIMARY KEY, payload BLOB NOT NULL) WITHOUT ROWID";
const INSERT: &str = "INSERT INTO records VALUES (?1, ?2)";
const CACHE_KIB: i32 = 128 << 10;

pub fn writer(at: &Path) -> Write {
    let mut connection = Connection::open(at.join("sqlite")).expect("a new database");
    connection.pragma_update(None, "journal_mode", "WAL").expect("a write-ahead log");
    connection.pragma_update(None, "synchronous", "FULL").expect("syncs");
    connection.pragma_update(None, "cache_size", -CACHE_KIB).expect("a cache");
    connection.execute(SCHEMA, ()).expect("a table");
    Box::new(move |works| {
        let all =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).expect("a transaction");
        let mut insert = all.prepare(INSERT).expect("a statement");
        for (key, payload) in works.iter().flat_map(|work| &work.records) {
            insert.execute((key, payload)).expect("every record is new");
        }
        drop(insert);
        all.commit().expect("a commit");
    })
}
