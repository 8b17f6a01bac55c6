//! The data directory: what is refused and what is mended.

use super::*;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

/// As it lies after a start, with modes as sled makes them under a common umask.
fn data() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    prepare(&data, false).unwrap();
    std::fs::write(data.join("lock"), "").unwrap();
    set_mode(&data.join("lock"), 0o600);
    for name in ["store", "store/blobs", "backups"] {
        std::fs::create_dir(data.join(name)).unwrap();
        set_mode(&data.join(name), 0o755);
    }
    for name in ["key", "sidecar", "store/db", "store/conf", "backups/one"] {
        std::fs::write(data.join(name), "x").unwrap();
        set_mode(&data.join(name), if name == "key" { 0o600 } else { 0o644 });
    }
    drop(UnixListener::bind(data.join("control.sock")).unwrap());
    (parent, data)
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().mode() & 0o777
}

#[track_caller]
fn refused(data: &Path, about: &Path, remedy: &str) {
    let error = prepare(data, false).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{} ", about.display())) && error.contains(remedy), "{error}");
}

#[test]
fn what_others_could_write_is_refused_whatever_it_is() {
    let (_parent, data) = data();
    for name in ["", "key", "sidecar", "lock", "store", "store/db", "store/blobs", "backups", "backups/one"] {
        let path = if name.is_empty() { data.clone() } else { data.join(name) };
        let was = mode(&path);
        for open in [0o020, 0o002] {
            set_mode(&path, was | open);
            refused(&data, &path, "chmod go-w");
        }
        set_mode(&path, was);
    }
    prepare(&data, false).unwrap();
}

#[test]
fn a_link_in_place_of_what_is_ours_is_refused_wherever_it_points() {
    let (_parent, data) = data();
    for name in ["key", "sidecar", "lock", "control.sock", "store", "store/db", "backups", "backups/one"] {
        let (path, aside) = (data.join(name), data.join("elsewhere"));
        std::fs::rename(&path, &aside).unwrap();
        for target in [aside.as_path(), Path::new("/nowhere/at/all")] {
            symlink(target, &path).unwrap();
            refused(&data, &path, "symbolic link");
            std::fs::remove_file(&path).unwrap();
        }
        std::fs::rename(&aside, &path).unwrap();
    }
    prepare(&data, false).unwrap();
}

#[test]
fn what_is_neither_file_nor_directory_is_refused() {
    let (_parent, data) = data();
    let odd = data.join("store/snap.1");
    drop(UnixListener::bind(&odd).unwrap());
    refused(&data, &odd, "take it away");
}

#[test]
fn what_belongs_to_another_user_is_refused_with_both_names() {
    let (_parent, data) = data();
    let own = rustix::process::geteuid().as_raw();
    if own != 0 {
        // Only root may give files away; then at least the rule itself.
        let other = std::fs::metadata("/").unwrap();
        let error = refuse_foreign(Path::new("/"), &other).unwrap_err().to_string();
        assert!(error.contains("belongs to the user 0") && error.contains(&own.to_string()), "{error}");
        return;
    }
    for name in ["key", "sidecar", "store", "store/db", "control.sock", "backups/one", ""] {
        let path = if name.is_empty() { data.clone() } else { data.join(name) };
        std::os::unix::fs::lchown(&path, Some(4711), None).unwrap();
        refused(&data, &path, "run it as 4711");
        std::os::unix::fs::lchown(&path, Some(own), None).unwrap();
    }
    prepare(&data, false).unwrap();
}

#[test]
fn what_others_could_read_is_closed_but_a_key_that_is_for_its_loader_to_refuse() {
    let (_parent, data) = data();
    set_mode(&data.join("key"), 0o644);
    prepare(&data, false).unwrap();
    for (name, wanted) in [
        ("store", 0o700),
        ("store/blobs", 0o700),
        ("store/db", 0o600),
        ("sidecar", 0o600),
        ("backups/one", 0o600),
        ("lock", 0o600),
        ("key", 0o644),
    ] {
        assert_eq!(mode(&data.join(name)), wanted, "{name}");
    }
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let (_parent, data) = data();
    std::fs::create_dir(data.join("lost+found")).unwrap();
    set_mode(&data.join("lost+found"), 0o777);
    symlink("/nowhere/at/all", data.join("notes")).unwrap();
    prepare(&data, false).unwrap();
    assert_eq!(mode(&data.join("lost+found")), 0o777);
}

#[test]
fn file_systems_by_their_magic_numbers() {
    use FileSystem::Sound;
    for (magic, name) in [
        (0x6969, "NFS"),
        (0xFF53_4D42, "SMB"),
        (0xFE53_4D42, "SMB"),
        (0x517B, "SMB"),
        (0x0102_1997, "9p"),
        (0x6573_5546, "FUSE"),
        (0x00C3_6400, "Ceph"),
        (0x4D44, "FAT"),
    ] {
        assert!(matches!(judge(magic), FileSystem::Unfit(found, _) if found == name), "{name}");
    }
    for magic in [0x0102_1994, 0x8584_58F6, 0x794C_7630] {
        assert!(matches!(judge(magic), FileSystem::Fleeting(..)), "{magic:x}");
    }
    // ext4, XFS, Btrfs, ZFS, F2FS, bcachefs, and one that is not invented yet.
    for magic in [0xEF53, 0x5846_5342, 0x9123_683E, 0x2FC1_2FC1, 0xF2F5_2010, 0xCA45_1A4E, 0x1234_5678] {
        assert_eq!(judge(magic), Sound, "{magic:x}");
    }
}

/// `proc` is mounted everywhere; what matters is that the system is asked about the very path.
#[cfg(target_os = "linux")]
#[test]
fn the_system_is_asked_about_the_path_itself() {
    let magic = |path: &str| rustix::fs::statfs(path).unwrap().f_type as u32;
    assert_eq!(magic("/proc"), 0x9FA0);
    let (_parent, data) = data();
    assert!(
        examine_file_system(&data, false).is_ok() && examine_file_system(&data.join("no"), false).is_ok()
    );
}
