//! Why a store is not opened. Each says which file, and the ways out.

use std::path::PathBuf;

/// Why a store is not opened. We have changed nothing in it. sled may have, as it recovers its log: so the words advise
/// to keep a copy.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0} is in use by another process: stop it first, or use the command line, which talks to it")]
    Locked(PathBuf),
    #[error(
        "there is no store in {0}, but traces of one beside it. An empty store would open the first set-up again: \
         restore a backup, or move the whole data directory away to begin anew"
    )]
    Missing(PathBuf),
    #[error(
        "{witness} is missing: it tells whether anything that was acknowledged is missing in {store}. Bring it back, \
         restore a backup, or read what is left: hallpass verify"
    )]
    NoWitness { store: PathBuf, witness: PathBuf },
    #[error(
        "{0} is damaged: it tells whether anything that was acknowledged is missing in the store. Bring it back, \
         restore a backup, or read what is left: hallpass verify"
    )]
    BadWitness(PathBuf),
    #[error(
        "{store} is behind its witness {witness}: it stands at {found}, and {wanted} was acknowledged. What is \
         missing may be revocations. Restore a backup, or read what is left: hallpass verify"
    )]
    Behind { store: PathBuf, witness: PathBuf, found: String, wanted: String },
    #[error("{witness} belongs to another store than {store}: bring together what belongs together")]
    OtherStore { store: PathBuf, witness: PathBuf },
    #[error(
        "{store} and its witness {witness} tell two different stories of the same moment: one of them was exchanged. \
         Restore a backup, or read what is left: hallpass verify"
    )]
    OtherPast { store: PathBuf, witness: PathBuf },
    #[error(
        "the master key is not the one that this store was made with ({0}): bring the right key file back, or give \
         the key by master_key or master_key_file"
    )]
    WrongKey(PathBuf),
    #[error(
        "{0} does not hold what was written to it ({1}). Keep a copy of it; then restore a backup, or read what is \
         left: hallpass verify"
    )]
    Lost(PathBuf, String),
    #[error("the store is damaged ({0}). Keep a copy of it; then restore a backup")]
    Damaged(String),
    #[error(
        "{0} cannot be read ({1}): the disk may be failing. Nothing was changed. Copy the data directory to a good \
         disk, or restore a backup there"
    )]
    Unreadable(PathBuf, std::io::Error),
    #[error(
        "{0} does not fit the file db beside it: one of the two is torn, or was exchanged. Move this one away, keep \
         it, and start again: the store is then read from db alone, and refused if anything is missing. Otherwise \
         restore a backup"
    )]
    TornSnapshot(PathBuf),
    #[error(
        "{0} is damaged. Move it away, keep it, and start again: it holds nothing but the database's settings, which \
         are written anew, and the store is refused if anything is missing"
    )]
    TornSettings(PathBuf),
    #[error("{0} has format {1}, which is newer than this program: use the newer program")]
    NewerFormat(PathBuf, u64),
    #[error(
        "{0} has format {1}, which is older than this program: start it once, which brings the store forward"
    )]
    OlderFormat(PathBuf, u64),
    #[error(
        "before the store is changed to a new format a copy is made in {0}, and there is no room: {1} MB are wanted"
    )]
    NoRoom(PathBuf, u64),
    #[error("{0}: {1}")]
    Io(PathBuf, std::io::Error),
}
