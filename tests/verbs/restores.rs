//! What a restore leaves alive: nothing; what it refuses; and what it bears.

use crate::backups::{BACKUPS, PASSPHRASE, checked, furnished, make, path_of};
use crate::house::{House, Member, PASSWORD, text};
use hallpass::auth::backup::secret::BackupSecret;
use hallpass::auth::restore::Before;
use hallpass::auth::vault::MasterKey;
use hallpass::config::Config;
use hallpass::entropy::Entropy;
use hallpass::start::{Sources, prepare_restore};
use hallpass::store::backup::{BackupError, Piece, Unopened, Writer};
use serde_json::json;
use std::path::PathBuf;

/// Everything that somebody holds at the time of a backup, and what becomes of it afterwards.
#[rocket::async_test]
async fn what_was_revoked_since_the_backup_stays_dead_after_the_restore() {
    let (house, boss) = furnished().await;
    let apps = boss.make_apps().await;
    for login in ["ada", "grace", "alan", "eve"] {
        house.make_user(login, login == "eve").await;
    }
    let ended = house.anyone().sign_in_everywhere("ada").await;
    let disabled = house.anyone().sign_in_everywhere("grace").await;
    let changed = house.anyone().sign_in_everywhere("alan").await;
    let rotated = house.anyone().sign_in("alan", "refresh").await;
    let eve = house.anyone().sign_in("eve", "hallpass").await;
    let code = house.reset_code("ada").await;
    let used_code = house.reset_code("alan").await;
    let name = make(&boss).await;
    checked(&house, &name).await;
    house.advance(1);

    for member in ended.iter().filter(|member| member.session_id.is_some()) {
        house.boss().await.delete(&format!("/api/v1/admin/sessions/{}", member.session_id())).await.is(204);
    }
    let grace = &disabled[0].user_id;
    house.boss().await.change_user(grace, json!({ "state": "disabled", "groups": ["staff"] })).await.is(200);
    house.boss().await.change_user(&eve.user_id, json!({ "role": "user" })).await.is(200);
    changed[0].change_password(PASSWORD, "quite another passphrase").await;
    house
        .auth()
        .reset_password(
            &used_code,
            hallpass::model::password::Password::new("a third passphrase of alan".into()),
        )
        .await
        .unwrap();
    rotated.refresh().await;
    let app = house.boss().await.get("/api/v1/admin/apps/session").await.is(200);
    let secret = text(&app["secrets"][0]["id"]);
    house.boss().await.delete(&format!("/api/v1/admin/apps/session/secrets/{secret}")).await.is(204);
    let kid = text(&house.boss().await.get("/api/v1/admin/keys").await.is(200)["items"][0]["kid"]);
    house
        .boss()
        .await
        .post("/api/v1/admin/blacklist", &json!({ "kid": kid, "reason": "leaked" }))
        .await
        .is(201);
    house.make_user("late", false).await;
    // What came after the backup is unknown in it, and must be no more than that.
    let late = house.anyone().sign_in_everywhere("ada").await;

    let report = house.restore(&path_of(&house, &name), None).await.unwrap();
    assert!(report.same_store && report.same_key);
    assert_eq!(report.suspended_apps.len(), apps.len());
    let Before::Compared(differences) = &report.before else { panic!("{report:?}") };
    let said: Vec<_> = differences.iter().map(|found| format!("{} {}", found.login, found.what)).collect();
    assert_eq!(
        said,
        ["alan password", "eve role", "grace state", "grace groups", "late user"],
        "{differences:#?}"
    );

    let dead = |verdict: &str| {
        ["session_ended/invalidated", "token_blacklisted", "invalid_token", "invalid_refresh_token"]
            .contains(&verdict)
    };
    for member in ended.iter().chain(&disabled).chain(&changed).chain(&late).chain([&rotated, &eve, &boss.0])
    {
        let verdict = member.verdict().await;
        assert!(dead(&verdict), "{verdict} of {}", member.name());
        if member.refresh_token.is_some() {
            let verdict = member.refresh_verdict().await;
            assert!(dead(&verdict), "{verdict} of the refresh token of {}", member.name());
        }
    }
    for code in [&code, &used_code] {
        let password = hallpass::model::password::Password::new("quite another passphrase".into());
        assert!(house.auth().reset_password(code, password).await.is_err());
    }
    for app in apps.values() {
        let ask = house.anyone().form("/oauth2/introspect", &[("token", "x")]).basic(&app.id, &app.secret);
        ask.await.refused(401, "invalid_client");
    }
    let boss = house.boss().await;
    let keys = boss.get("/api/v1/admin/keys").await.is(200);
    let active: Vec<_> =
        keys["items"].as_array().unwrap().iter().filter(|key| key["state"] == "active").collect();
    assert!(active.len() == 1 && active[0]["kid"] != kid.as_str());
    // Of the store before, too, whose newer keys the backup does not know.
    let struck = boss.get("/api/v1/admin/blacklist?kind=key").await.is(200);
    assert_eq!(struck["items"].as_array().map(Vec::len), Some(2), "{struck}");
    // The device of before is not known.
    let body = json!({ "login": "ada", "password": "wrong", "device_token": late[0].device_token });
    for _ in 0..10 {
        house.anyone().login("ada", "wrong").await;
    }
    assert_eq!(house.anyone().post("/api/v1/auth/login", &body).await.status, 429);
    // And the old store was set aside, not removed.
    let aside = std::fs::read_dir(house.config().data_dir.join("aside")).unwrap().count();
    assert_eq!(aside, 1);
}

#[rocket::async_test]
async fn a_restore_of_what_is_no_good_backup_leaves_everything_as_it_was() {
    let (house, boss) = furnished().await;
    let name = text(&boss.post(BACKUPS, &json!({ "passphrase": PASSPHRASE })).await.is(201)["name"]);
    checked(&house, &name).await;
    let member: Member = house.anyone().sign_in("boss", "default").await;
    let good = path_of(&house, &name);
    let secret = BackupSecret::passphrase(PASSPHRASE).unwrap();
    let wrong = BackupSecret::passphrase("quite another one").unwrap();
    let broken = house.directory().join("broken.backup");
    let bytes = std::fs::read(&good).unwrap();
    let write = |bytes: &[u8]| std::fs::write(&broken, bytes).unwrap();
    let refused = |file: PathBuf, secret: Option<BackupSecret>| {
        let house = &house;
        async move { house.restore(&file, secret.as_ref()).await.unwrap_err() }
    };
    assert!(refused(good.clone(), None).await.contains("encrypted to a passphrase"));
    assert!(refused(good.clone(), Some(wrong)).await.contains("is not the one of this backup"));
    write(&bytes[..bytes.len() / 2]);
    assert!(refused(broken.clone(), Some(secret.clone())).await.contains("cut off"));
    let mut newer = bytes.clone();
    newer[17] = 9;
    write(&newer);
    assert!(refused(broken.clone(), None).await.contains("newer than this program"));
    write(b"PK\x03\x04");
    assert!(refused(broken.clone(), None).await.contains("no backup of Hallpass"));
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    write(&flipped);
    assert!(refused(broken.clone(), Some(secret)).await.contains("damaged"));
    assert!(refused(house.directory().join("none"), None).await.contains("No such file"));
    member.is_alive().await;
    assert!(!house.config().data_dir.join("aside").exists());
}

#[rocket::async_test]
async fn under_another_master_key_a_backup_opens_and_everything_is_sealed_anew() {
    let (house, boss) = furnished().await;
    boss.make_apps().await;
    house.make_user("ada", false).await;
    let name = make(&boss).await;
    let key = MasterKey::generate(&Entropy::seeded(77)).reveal();
    let key = serde_json::from_value(json!(key.trim())).expect("a text");
    let elsewhere = House::with(|config| config.master_key = Some(key)).await;
    let report = elsewhere.restore(&path_of(&house, &name), None).await.unwrap();
    assert!(!report.same_key && !report.same_store);
    assert!(matches!(&report.before, Before::Compared(_)));
    for member in elsewhere.anyone().sign_in_everywhere("ada").await {
        member.is_alive().await;
    }
    elsewhere.restart().await;
    elsewhere.boss().await.is_alive().await;
    let other = elsewhere.auth().store_id();
    assert_eq!(other, house.auth().store_id());
}

/// What no appliance has written: each record in turn holds something else, or is missing. Under another master key
/// only counts are compared, so all of it gets as far as it can.
#[rocket::async_test]
async fn whatever_a_forged_backup_holds_it_is_refused_or_restored_and_never_a_panic() {
    let (house, boss) = furnished().await;
    boss.make_apps().await;
    house.make_user("ada", false).await;
    house.anyone().sign_in_everywhere("ada").await;
    let path = path_of(&house, &make(&boss).await);
    let unopened = Unopened::read(std::fs::File::open(&path).unwrap()).unwrap();
    let header = unopened.header.clone();
    let pieces: Vec<Piece> = unopened.open(None).unwrap().collect::<Result<_, _>>().unwrap();
    let count: usize =
        pieces.iter().map(|piece| if let Piece::Records(records) = piece { records.len() } else { 0 }).sum();
    let forged = house.directory().join("forged.backup");
    let key = MasterKey::generate(&Entropy::seeded(77)).reveal();
    let (mut restored, mut refused) = (0, 0);
    for target in 0..count {
        let at = std::cell::Cell::new(0);
        let pieces = pieces.iter().cloned().map(|piece| {
            let Piece::Records(mut records) = piece else { return Ok::<_, BackupError>(piece) };
            for (_, value) in &mut records {
                if at.replace(at.get() + 1) == target {
                    match target % 3 {
                        0 => value.truncate(9),
                        1 => value.iter_mut().skip(9).step_by(7).for_each(|byte| *byte ^= 0x15),
                        _ => *value = vec![0xff; 3],
                    }
                }
            }
            Ok(Piece::Records(records))
        });
        let out = std::fs::File::create(&forged).unwrap();
        Writer::begin(out, &header, None).unwrap().all(pieces).unwrap();
        let data = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: data.path().join("data"), ..house.config().clone() };
        config.master_key = Some(serde_json::from_value(json!(key.trim())).expect("a text"));
        std::fs::create_dir(&config.data_dir).unwrap();
        match prepare_restore(&config, Sources::system(), &forged, None, Ok(None)).await {
            Ok(_) => restored += 1,
            Err(words) => {
                refused += 1;
                assert!(!words.is_empty() && !words.contains("panic"), "record {target}: {words}");
                assert!(!config.data_dir.join("next").exists(), "record {target}");
            }
        }
    }
    assert!(restored > 0 && refused > 0, "{restored} restored, {refused} refused");
}
