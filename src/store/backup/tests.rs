//! What is not exactly a backup, or not opened by its own key, is refused with words and never with a panic.

use super::frame::{FRAME_BYTES_MAX, FrameWriter};
use super::write::beginning;
use super::*;

fn key(byte: u8) -> SealingKey {
    SealingKey::new(Zeroizing::new([byte; 32]))
}

const BY_PASSPHRASE: SealedBy = SealedBy::Passphrase { memory_kib: 8, iterations: 1, lanes: 1 };

fn header(sealed: Option<Sealed>) -> Header {
    let made_at = Time::from_ms(1_800_000_000_000);
    Header { store_id: [7; 16], generation: 3, made_at, program: "0.1.0".into(), sealed }
}

fn sealed_header(by: SealedBy) -> Header {
    header(Some(Sealed::new(by, [5; 32], &key(1))))
}

fn head() -> Head {
    Head::from_bytes(&7u64.to_be_bytes()).expect("a sequence and no tables")
}

fn pieces() -> Vec<Piece> {
    let key = |n: u8| vec![0x10, n];
    vec![
        Piece::Records(vec![(key(1), b"one".to_vec()), (key(2), Vec::new())]),
        Piece::Changes(vec![(key(1), None), (key(2), Some(b"two".to_vec()))]),
        Piece::Records(vec![(key(3), vec![9; 300])]),
        Piece::End(head()),
    ]
}

fn written(header: &Header, key: Option<&SealingKey>, pieces: Vec<Piece>) -> Result<Vec<u8>, BackupError> {
    let writer = Writer::begin(Vec::new(), header, key)?;
    writer.all(pieces.into_iter().map(Ok::<_, BackupError>)).map(|(bytes, _)| bytes)
}

fn read(bytes: &[u8], key: Option<&SealingKey>) -> Result<Vec<Piece>, BackupError> {
    Unopened::read(bytes)?.open(key)?.collect()
}

fn plain() -> Vec<u8> {
    written(&header(None), None, pieces()).expect("it fits")
}

fn sealed() -> Vec<u8> {
    written(&sealed_header(BY_PASSPHRASE), Some(&key(1)), pieces()).expect("it fits")
}

/// The frames of a file, apart: prefix and body each.
fn frames(bytes: &[u8], header: &Header) -> (Vec<u8>, Vec<Vec<u8>>, Vec<u8>) {
    let begins = beginning(header);
    let mut rest = &bytes[begins.len()..];
    let mut frames = Vec::new();
    while rest.len() > HASH_BYTES {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) & !(1 << 31);
        let (frame, after) = rest.split_at(4 + length as usize);
        frames.push(frame.to_vec());
        rest = after;
    }
    (begins, frames, rest.to_vec())
}

/// A file of these frames with the checksum that belongs to it: what somebody could make who means harm.
fn put_together(begins: &[u8], frames: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = [begins, &frames.concat()].concat();
    let hash = digest::digest(&digest::SHA256, &bytes);
    bytes.extend_from_slice(hash.as_ref());
    bytes
}

#[test]
fn a_file_that_is_none_or_of_a_newer_program_is_told_so() {
    for bytes in [&b""[..], b"hallpass-backup", b"PK\x03\x04 and so on and so on and so on", &[0; 400]] {
        assert!(matches!(read(bytes, None), Err(BackupError::NotABackup)));
    }
    let mut newer = plain();
    newer[17] = 2;
    assert!(matches!(read(&newer, None), Err(BackupError::NewerFormat(2))));
}

#[test]
fn the_key_must_be_the_one_that_sealed_it() {
    let by_file = written(&sealed_header(SealedBy::KeyFile), Some(&key(1)), pieces()).unwrap();
    assert!(matches!(read(&plain(), Some(&key(1))), Err(BackupError::NotSealed)));
    assert!(matches!(read(&sealed(), None), Err(BackupError::NeedsPassphrase)));
    assert!(matches!(read(&by_file, None), Err(BackupError::NeedsKeyFile)));
    assert!(matches!(read(&sealed(), Some(&key(2))), Err(BackupError::WrongPassphrase)));
    assert!(matches!(read(&by_file, Some(&key(2))), Err(BackupError::WrongKeyFile)));
    assert!(Writer::begin(Vec::new(), &header(None), Some(&key(1))).is_err());
    assert!(Writer::begin(Vec::new(), &sealed_header(SealedBy::KeyFile), None).is_err());
    assert_eq!(format!("{:?}", key(1)), "SealingKey");
}

#[test]
fn every_flipped_byte_and_every_cut_is_noticed() {
    for (bytes, key) in [(plain(), None), (sealed(), Some(key(1)))] {
        for at in 0..bytes.len() {
            for bit in [0x01, 0x80] {
                let mut flipped = bytes.clone();
                flipped[at] ^= bit;
                let refused = read(&flipped, key.as_ref()).expect_err("a flipped bit");
                assert!(
                    !matches!(refused, BackupError::Io(_) | BackupError::Store(_)),
                    "byte {at}: {refused}"
                );
            }
            let refused = read(&bytes[..at], key.as_ref()).expect_err("a cut");
            let words = matches!(refused, BackupError::CutOff | BackupError::NotABackup);
            assert!(words, "up to {at}: {refused}");
        }
        let longer = [&bytes[..], b"x"].concat();
        assert!(matches!(read(&longer, key.as_ref()), Err(BackupError::Damaged(_))));
        assert_eq!(read(&bytes, key.as_ref()).unwrap(), pieces());
    }
}

#[test]
fn sealed_frames_that_were_moved_left_out_or_taken_from_another_backup_do_not_open() {
    let by = sealed_header(BY_PASSPHRASE);
    let (begins, frames, _) = frames(&sealed(), &by);
    assert_eq!(frames.len(), 4);
    let opens = |frames: &[Vec<u8>]| read(&put_together(&begins, frames), Some(&key(1))).is_ok();
    assert!(opens(&frames));
    let mut swapped = frames.clone();
    swapped.swap(0, 1);
    assert!(!opens(&swapped));
    for left_out in 0..4 {
        let mut fewer = frames.clone();
        fewer.remove(left_out);
        assert!(!opens(&fewer), "without {left_out}");
    }
    // Cut off behind a frame that then says that it is the last.
    let mut short = frames[..2].to_vec();
    short[1][0] |= 0x80;
    assert!(!opens(&short));
    // Under another header, be it for another store, the same key is another one.
    let other = Header { store_id: [8; 16], ..by };
    assert!(read(&put_together(&beginning(&other), &frames), Some(&key(1))).is_err());
}

#[test]
fn what_an_unsealed_file_claims_is_checked_all_the_same() {
    let begins = beginning(&header(None));
    let of = |bytes: &[u8], last| {
        let mut writer = FrameWriter::begin(Vec::new(), b"", None).unwrap();
        writer.write(bytes, last).unwrap();
        let bytes = writer.finish().unwrap();
        bytes[..bytes.len() - HASH_BYTES].to_vec()
    };
    let record = |key: &[u8]| [&[1, 0, key.len() as u8], key, &[0, 0, 0, 1, 9]].concat();
    let end = |records: u64| [&[3][..], &records.to_be_bytes(), &[0; 8], &head().to_bytes()].concat();
    let refused = |frames: &[Vec<u8>]| read(&put_together(&begins, frames), None).is_err();
    assert!(!refused(&[of(&record(b"\x10a"), false), of(&end(1), true)]));
    for (case, frames) in [
        ("no frame", vec![]),
        ("an empty frame", vec![of(b"", false), of(&end(0), true)]),
        ("an unknown kind", vec![of(b"\x09", false), of(&end(0), true)]),
        ("a key without a table", vec![of(&record(b""), false), of(&end(1), true)]),
        ("a key longer than the frame", vec![of(&[1, 0xff, 0xff, 1], false), of(&end(1), true)]),
        ("a value longer than the frame", vec![of(&[1, 0, 1, 9, 0x7f, 0, 0, 0], false), of(&end(1), true)]),
        ("a record that is removed", vec![of(&[1, 0, 1, 9, 255, 255, 255, 255], false), of(&end(1), true)]),
        ("a record fewer", vec![of(&record(b"\x10a"), false), of(&end(2), true)]),
        (
            "a record twice",
            vec![of(&record(b"\x10a"), false), of(&record(b"\x10a"), false), of(&end(2), true)],
        ),
        ("out of order", vec![of(&record(b"\x10b"), false), of(&record(b"\x10a"), false), of(&end(2), true)]),
        ("an end in the middle", vec![of(&end(0), false), of(&end(0), true)]),
        ("a last frame that is no end", vec![of(&record(b"\x10a"), true)]),
        ("a short end", vec![of(&[3; 9], true)]),
        ("too much behind the inflated", vec![[&[0, 0, 0, 9][..], &[0x78, 1, 3, 0, 0, 0, 0, 1, 9]].concat()]),
        ("a length of two gigabytes", vec![vec![0x7f, 0xff, 0xff, 0xff, 0]]),
        ("what inflates without end", vec![of(&vec![0; FRAME_BYTES_MAX + 1], false), of(&end(0), true)]),
    ] {
        assert!(refused(&frames), "{case}");
    }
}

#[test]
fn a_header_that_claims_much_takes_nothing() {
    let begin = |length: u32, header: &[u8]| {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT.to_be_bytes());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(header);
        let hash = digest::digest(&digest::SHA256, &bytes);
        bytes.extend_from_slice(hash.as_ref());
        bytes
    };
    for bytes in [begin(u32::MAX, b""), begin(3, b"abc"), begin(0, b""), begin(5, b"\xdd\xff\xff\xff\xff")] {
        assert!(matches!(read(&bytes, None), Err(BackupError::Damaged(_))));
    }
}

#[test]
fn large_pieces_become_several_frames_and_too_large_a_record_is_refused() {
    let records: Vec<_> = (0..3000u32).map(|n| (n.to_be_bytes().to_vec(), vec![n as u8; 400])).collect();
    let pieces = vec![Piece::Records(records.clone()), Piece::End(head())];
    let bytes = written(&header(None), None, pieces).unwrap();
    let (_, frames, _) = frames(&bytes, &header(None));
    assert!(frames.len() > 3, "{}", frames.len());
    let mut found = Vec::new();
    for piece in read(&bytes, None).unwrap() {
        if let Piece::Records(part) = piece {
            found.extend(part);
        }
    }
    assert_eq!(found, records);
    let huge = vec![Piece::Records(vec![(vec![1], vec![0; FRAME_BYTES_MAX])])];
    assert!(matches!(written(&header(None), None, huge), Err(BackupError::TooLarge(_))));
    // A dump that breaks off makes no backup.
    assert!(matches!(written(&header(None), None, vec![]), Err(BackupError::CutOff)));
}

#[test]
fn two_backups_of_one_key_share_no_seal() {
    let by = |salt| header(Some(Sealed::new(SealedBy::KeyFile, [salt; 32], &key(1))));
    let of = |header: &Header| written(header, Some(&key(1)), pieces()).unwrap();
    let (a, b) = (frames(&of(&by(1)), &by(1)).1, frames(&of(&by(2)), &by(2)).1);
    assert!(a.iter().zip(&b).all(|(a, b)| a[4..] != b[4..]));
    assert!(!a.concat().windows(3).any(|part| part == b"two"));
}
