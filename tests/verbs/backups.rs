//! `/api/v1/admin/backups` and the nightly ones; what a restore does is in `restores.rs`.

use crate::house::{Boss, House, text};
use hallpass::auth::backup::secret::BackupSecret;
use hallpass::auth::backup::{Exact, Task, Workshop};
use hallpass::auth::check::Admin;
use hallpass::auth::restore::Report;
use hallpass::config::Config;
use hallpass::model::backup::BackupKind;
use hallpass::start::{Sources, prepare_restore, verify_backup};
use rocket::futures::future::join_all;
use rocket::http::Method;
use rocket::tokio;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const BACKUPS: &str = "/api/v1/admin/backups";
pub const PASSPHRASE: &str = "a passphrase for the shelf";
const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

/// Does in this process what the program does in one of its own.
struct Here(Config);

impl Workshop for Here {
    fn verify(&self, file: PathBuf, scratch: PathBuf, secret: Option<Arc<BackupSecret>>) -> Task<Exact> {
        let config = self.0.clone();
        Box::pin(async move {
            let work = move || verify_backup(&config, &file, &scratch, secret.as_deref());
            tokio::task::spawn_blocking(work).await.map_err(|e| e.to_string())?
        })
    }

    fn prepare(&self, file: PathBuf, secret: Option<Arc<BackupSecret>>) -> Task<Report> {
        let config = self.0.clone();
        Box::pin(async move {
            let prepared = prepare_restore(&config, Sources::system(), &file, secret.as_deref(), Ok(None));
            prepared.await.map(|prepared| prepared.report)
        })
    }
}

/// Never finds a backup good.
struct Grumbler;

impl Workshop for Grumbler {
    fn verify(&self, _: PathBuf, _: PathBuf, _: Option<Arc<BackupSecret>>) -> Task<Exact> {
        Box::pin(async { Err("there is no room to restore it".to_owned()) })
    }

    fn prepare(&self, _: PathBuf, _: Option<Arc<BackupSecret>>) -> Task<Report> {
        Box::pin(async { Err("not today".to_owned()) })
    }
}

pub async fn furnished() -> (House, Boss) {
    let house = House::new().await;
    house.auth().use_workshop(Arc::new(Here(house.config().clone())));
    let boss = house.boss().await;
    (house, boss)
}

pub async fn make(boss: &Boss) -> String {
    text(&boss.post(BACKUPS, &json!({})).await.is(201)["name"])
}

pub fn path_of(house: &House, name: &str) -> PathBuf {
    house.config().backup_directory().join(name)
}

async fn listed(boss: &Boss) -> Vec<Value> {
    boss.get(BACKUPS).await.is(200)["items"].as_array().expect("items").clone()
}

/// Until the check in the background is through.
pub async fn checked(house: &House, name: &str) -> Value {
    for _ in 0..500 {
        let found = listed(&house.boss().await).await.into_iter().find(|backup| backup["name"] == name);
        let found = found.expect("it is there");
        if found["verified"] != "pending" {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{name} is never checked");
}

#[rocket::async_test]
async fn what_is_no_backups_name_names_nothing() {
    let (house, boss) = furnished().await;
    let name = make(&boss).await;
    checked(&house, &name).await;
    let missing = name.replace("manual", "nightly");
    let key = house.config().data_dir.join("key");
    assert!(key.exists());
    for bad in [
        "..",
        "..%2fkey",
        "..%2f..%2fdata%2fkey",
        "%2e%2e%2fkey",
        "key",
        "%00",
        ".verify",
        &format!("{name}.json"),
        &format!(".{name}.part"),
        &format!("..%2fbackups%2f{name}"),
        &format!("{name}%00"),
        &format!("{name}%0a"),
        &missing,
        &"9".repeat(5000),
    ] {
        for (method, end) in [(Method::Get, ""), (Method::Delete, ""), (Method::Post, "/verify")] {
            let answer = boss.ask(method, &format!("{BACKUPS}/{bad}{end}")).await;
            assert!(matches!(answer.status, 404 | 405), "{answer}");
        }
    }
    assert!(path_of(&house, &name).exists() && key.exists());
}

#[rocket::async_test]
async fn a_link_among_the_backups_is_not_followed() {
    let (house, boss) = furnished().await;
    let name = make(&boss).await.replace("manual", "nightly");
    std::os::unix::fs::symlink(house.config().data_dir.join("key"), path_of(&house, &name)).unwrap();
    boss.get(&format!("{BACKUPS}/{name}")).await.refused(404, "not_found");
    boss.delete(&format!("{BACKUPS}/{name}")).await.refused(404, "not_found");
    assert_eq!(listed(&boss).await.len(), 1);
}

#[rocket::async_test]
async fn a_weak_passphrase_and_an_unknown_field_make_no_backup() {
    let (_house, boss) = furnished().await;
    boss.post(BACKUPS, &json!({ "passphrase": "short" })).await.refused_field("passphrase", "invalid");
    boss.post(BACKUPS, &json!({ "passphrase": "x".repeat(1025) }))
        .await
        .refused_field("passphrase", "invalid");
    boss.post(BACKUPS, &json!({ "to": "/etc" })).await.refused_field("to", "unknown_field");
    assert_eq!(listed(&boss).await, [] as [Value; 0]);
}

#[rocket::async_test]
async fn of_two_at_once_the_second_is_told_so() {
    let (_house, boss) = furnished().await;
    let answers = join_all((0..8).map(|_| boss.post(BACKUPS, &json!({})).into_future())).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert!((1..8).contains(&made), "{made} of 8");
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        refused.refused(409, "backup_running");
    }
    assert_eq!(listed(&boss).await.len(), made);
}

#[rocket::async_test]
async fn a_backup_that_is_not_verified_says_so_with_the_reason() {
    let house = House::new().await;
    house.auth().use_workshop(Arc::new(Grumbler));
    let boss = house.boss().await;
    let name = make(&boss).await;
    let found = checked(&house, &name).await;
    assert_eq!(
        (&found["verified"], &found["fault"]),
        (&json!("no"), &json!("there is no room to restore it"))
    );
    assert_eq!(house.auth().backup_state().last_verified, Some(false));
    // A restart forgets nothing of it.
    house.restart().await;
    house.auth().tidy_backups().await.unwrap();
    assert_eq!(house.auth().backup_state().last_verified, Some(false));
    assert_eq!(checked(&house, &name).await["verified"], "no");
    // Once the reason is gone it is checked again when asked.
    house.auth().use_workshop(Arc::new(Here(house.config().clone())));
    let found = house.boss().await.ask(Method::Post, &format!("{BACKUPS}/{name}/verify")).await.is(200);
    assert_eq!((&found["verified"], &found["fault"]), (&json!("yes"), &Value::Null));
}

#[rocket::async_test]
async fn a_damaged_backup_and_one_of_another_passphrase_are_not_verified() {
    let (house, boss) = furnished().await;
    let name = text(&boss.post(BACKUPS, &json!({ "passphrase": PASSPHRASE })).await.is(201)["name"]);
    let found = checked(&house, &name).await;
    assert_eq!((&found["verified"], &found["encrypted"]), (&json!("yes"), &json!("passphrase")));
    let verify = |body: Value| {
        let boss = &boss;
        let path = format!("{BACKUPS}/{name}/verify");
        async move { text(&boss.post(&path, &body).await.is(200)["fault"]) }
    };
    assert!(verify(json!({ "passphrase": "quite another one" })).await.contains("is not the one of this"));
    assert!(verify(json!({})).await.contains("encrypted to a passphrase"));
    let path = path_of(&house, &name);
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 40;
    bytes[last] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert!(verify(json!({ "passphrase": PASSPHRASE })).await.contains("damaged"));
    std::fs::write(&path, &bytes[..last]).unwrap();
    assert!(verify(json!({ "passphrase": PASSPHRASE })).await.contains("cut off"));
    // Nothing of what was restored to look is left.
    assert!(!house.config().backup_directory().join(".verify").exists());
}

#[rocket::async_test]
async fn a_backup_is_handed_out_as_it_is_and_goes_when_removed() {
    let (house, boss) = furnished().await;
    let name = make(&boss).await;
    checked(&house, &name).await;
    let bytes = std::fs::read(path_of(&house, &name)).unwrap();
    let client = house.client();
    let bearer = rocket::http::Header::new("Authorization", format!("Bearer {}", boss.secret()));
    let request = client.get(format!("{BACKUPS}/{name}")).header(bearer);
    let response = request.header(rocket::http::Header::new("Host", "localhost:8000")).dispatch().await;
    let disposition = response.headers().get_one("Content-Disposition").unwrap().to_owned();
    assert_eq!(disposition, format!("attachment; filename=\"{name}\""));
    assert_eq!(response.headers().get_one("Cache-Control"), Some("no-store"));
    assert_eq!(response.into_bytes().await.unwrap(), bytes);
    boss.delete(&format!("{BACKUPS}/{name}")).await.is(204);
    boss.delete(&format!("{BACKUPS}/{name}")).await.refused(404, "not_found");
    assert_eq!(std::fs::read_dir(house.config().backup_directory()).unwrap().count(), 0);
}

#[rocket::async_test]
async fn the_nightly_one_is_made_once_a_night_and_the_oldest_go() {
    let house = House::with(|config| config.backup.keep = 2).await;
    let auth = house.auth();
    auth.use_workshop(Arc::new(Here(house.config().clone())));
    // Set-up is open: nothing is worth keeping yet.
    house.advance(2 * DAY);
    auth.keep_backups().await.unwrap();
    assert!(!house.config().backup_directory().exists());
    let manual = make(&house.boss().await).await;
    let mut nightly = Vec::new();
    for _ in 0..4 {
        for hours in [12, 6, 6] {
            house.advance(hours * HOUR);
            auth.keep_backups().await.unwrap();
        }
        let found = listed(&house.boss().await).await;
        let newest = found.iter().find(|backup| backup["kind"] == "nightly").expect("one of this night");
        assert_eq!(newest["verified"], "yes");
        nightly.push(text(&newest["name"]));
    }
    let left: Vec<_> = listed(&house.boss().await).await.iter().map(|backup| text(&backup["name"])).collect();
    assert_eq!(left, [&nightly[3], &nightly[2], &manual].map(String::clone));
    nightly.dedup();
    assert_eq!(nightly.len(), 4);
    let state = auth.backup_state();
    assert_eq!((state.last_verified, state.failed_at), (Some(true), None));
}

#[rocket::async_test]
async fn a_night_that_fails_is_said_and_tried_again_after_an_hour() {
    let (house, _) = furnished().await;
    let auth = house.auth();
    let directory = house.config().backup_directory();
    std::fs::write(&directory, "no directory").unwrap();
    house.advance(DAY);
    assert!(auth.keep_backups().await.is_err());
    let failed = auth.backup_state().failed_at;
    assert_eq!(failed, None, "the list failed before anything was made");
    std::fs::remove_file(&directory).unwrap();
    std::fs::create_dir(&directory).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&directory, open).unwrap();
    auth.keep_backups().await.unwrap();
    assert!(auth.backup_state().last_made_at.is_some());
}

#[rocket::async_test]
async fn a_night_when_the_clock_was_ahead_does_not_end_the_nightly_backups() {
    let (house, _) = furnished().await;
    let nightly = async || {
        house.auth().keep_backups().await.unwrap();
        let all = house.auth().list_backups(&Admin::console()).await.unwrap();
        all.iter().filter(|backup| backup.name.kind == BackupKind::Nightly).count()
    };
    house.set_clock_by(400 * DAY);
    assert_eq!(nightly().await, 1);
    house.set_clock_by(-400 * DAY);
    house.auth().invalidate_all(&Admin::console()).await.unwrap();
    for nights in 2..4 {
        house.advance(DAY);
        assert_eq!(nightly().await, nights);
        assert_eq!(nightly().await, nights);
    }
}

#[rocket::async_test(flavor = "multi_thread")]
async fn a_backup_made_amid_traffic_is_exact_as_of_its_end() {
    let (house, boss) = furnished().await;
    boss.make_apps().await;
    for n in 0..20 {
        house.make_user(&format!("user{n}"), false).await;
    }
    let before = house.anyone().sign_in("user0", "tracked").await;
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let rounds = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let traffic: Vec<_> = (0..8)
        .map(|n| {
            let (house, stop, rounds) = (house.clone(), Arc::clone(&stop), Arc::clone(&rounds));
            tokio::spawn(async move {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let member = house.anyone().sign_in(&format!("user{n}"), "refresh").await;
                    member.refresh().await.is(200);
                    member.logout("local").await;
                    rounds.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut names = Vec::new();
    // On a quick disk a backup is over before much has happened.
    while names.len() < 5 || rounds.load(std::sync::atomic::Ordering::Relaxed) < 20 {
        names.push(make(&house.boss().await).await);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    join_all(traffic).await.into_iter().for_each(|done| done.unwrap());
    // Restored, each comes to the very counts and digests of the store at its end: the check says so.
    for name in &names {
        assert_eq!(checked(&house, name).await["verified"], "yes", "{name}");
    }
    // And what was there before is there.
    let report = house.restore(&path_of(&house, &names[0]), None).await.unwrap();
    assert_eq!(report.users, 21);
    let boss = house.boss().await;
    house.keep_house().await;
    let shown = boss.get(&format!("/api/v1/admin/sessions/{}", before.session_id())).await.is(200);
    assert_eq!(shown["ended_reason"], "invalidated");
}

#[rocket::async_test]
async fn what_a_crash_left_half_done_is_no_backup_and_goes_at_the_next_start() {
    let (house, boss) = furnished().await;
    let name = make(&boss).await;
    checked(&house, &name).await;
    let data = house.config().data_dir.clone();
    let half = path_of(&house, &format!(".{name}.part").replace("manual", "nightly"));
    let plant = |path: &Path| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "half").unwrap();
    };
    let planted = [
        half,
        data.join("backups/.verify/store/db"),
        data.join("upload/.tmpabc"),
        data.join("next/store/db"),
    ];
    for path in &planted {
        plant(path);
    }
    assert_eq!(listed(&boss).await.len(), 1);
    house.restart().await;
    house.auth().tidy_backups().await.unwrap();
    for path in &planted {
        assert!(!path.exists(), "{}", path.display());
    }
    boss.is_alive().await;
    assert!(path_of(&house, &name).exists());
}
