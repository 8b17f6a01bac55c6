//! `/api/v1/admin/export` and `/api/v1/admin/import`.

use crate::house::{Answer, Boss, House, PASSWORD, text};
use hallpass::auth::check::Admin;
use rocket::http::Method;
use serde_json::{Value, json};
use std::sync::Arc;

const EXPORT: &str = "/api/v1/admin/export";
const IMPORT: &str = "/api/v1/admin/import";
const HEADER: &str = r#"{"type":"header","schema":1}"#;
const END: &str = r#"{"type":"end"}"#;
/// bcrypt's of [`PASSWORD`], as `htpasswd -nbB -C 4` writes it.
const BCRYPT: &str = "$2y$04$X.SgHobHUOCewdqDgafKJOlwnDpFJ1fmSL9C7rK7Gge7.xsyWEmm2";

async fn furnished() -> (House, Boss) {
    let house = House::new().await;
    let boss = house.boss().await;
    (house, boss)
}

/// A file with header and end around these lines; the first of them is line 2.
fn file(lines: &[String]) -> String {
    format!("{HEADER}\n{}\n{END}\n", lines.join("\n"))
}

fn user(fields: Value) -> String {
    let mut line = json!({ "type": "user", "login": "ada" });
    let all = line.as_object_mut().expect("an object");
    all.extend(fields.as_object().cloned().unwrap_or_default());
    line.to_string()
}

fn app(fields: Value) -> String {
    let mut line = json!({ "type": "app", "id": "shop", "strategy": "refresh" });
    let all = line.as_object_mut().expect("an object");
    all.extend(fields.as_object().cloned().unwrap_or_default());
    line.to_string()
}

async fn import(boss: &Boss, query: &str, file: impl Into<Vec<u8>>) -> Answer {
    boss.ask(Method::Post, &format!("{IMPORT}{query}")).raw("application/x-ndjson", file).await
}

/// `line field code` of every reason.
fn reasons(report: &Value) -> Vec<String> {
    let lines = report["refused_lines"].as_array().expect("a list");
    let of_line = |refused: &Value| -> Vec<String> {
        let reasons = refused["reasons"].as_array().expect("reasons");
        let said = |reason: &Value| {
            assert!(!text(&reason["message"]).is_empty(), "{reason}");
            format!("{} {} {}", refused["line"], text(&reason["field"]), text(&reason["code"]))
        };
        reasons.iter().map(said).collect()
    };
    lines.iter().flat_map(of_line).collect()
}

async fn exported(boss: &Boss) -> Vec<String> {
    let answer = boss.get(EXPORT).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"), "{answer}");
    assert!(answer.header("content-disposition").starts_with("attachment"), "{answer}");
    answer.body.lines().map(str::to_owned).collect()
}

#[rocket::async_test]
async fn what_is_no_import_is_refused_whole() {
    let house = House::with(|config| config.limits.import_mb = 1).await;
    let boss = house.boss().await;
    for (query, field) in [
        ("?dry_run=yes", "dry_run"),
        ("?dry_run", "dry_run"),
        ("?dry_run=", "dry_run"),
        ("?format=csv", "format"),
    ] {
        import(&boss, query, file(&[])).await.refused_field(field, "invalid");
    }
    for body in ["", "\n\n", END, "nonsense", "\u{feff}{\"type\":\"header\",\"schema\":1}", "ada:hash", "[1]"]
    {
        import(&boss, "", body).await.refused_field("header", "header_missing");
    }
    let newer = r#"{"type":"header","schema":2,"more":true}"#;
    import(&boss, "", newer).await.refused_field("schema", "schema_unknown");
    for kind in ["application/json", "multipart/form-data", ""] {
        let answer = boss.ask(Method::Post, IMPORT).raw(kind, file(&[user(json!({}))])).await;
        answer.refused(415, "unsupported_media_type");
    }
    let large = file(&vec![user(json!({ "name": "x".repeat(150) })); 6000]);
    import(&boss, "", large).await.refused(413, "payload_too_large");
    assert_eq!(
        house.auth().figures(&Admin::console()).users,
        2,
        "boss, and ada of the large one's beginning"
    );
}

#[rocket::async_test]
async fn every_line_that_cannot_be_taken_is_said_with_every_reason() {
    let (house, boss) = furnished().await;
    house.make_user("grace", false).await;
    boss.make_app("mine", "jwt", json!({})).await;
    let boss_id = boss.user_id.clone();
    let secret = json!({ "id": boss_id, "sha256": "A".repeat(43), "created_at": "2026-01-01T00:00:00Z" });
    let cases: Vec<(String, &[&str])> = vec![
        ("nonsense".into(), &[" malformed_json"]),
        ("{\"type\":\"user\"".into(), &[" malformed_json"]),
        ("[\"user\"]".into(), &[" invalid"]),
        ("{}".into(), &["type required"]),
        (r#"{"type":"group","name":"staff"}"#.into(), &["type unknown_type"]),
        (HEADER.into(), &[" header_again"]),
        (r#"{"type":"user"}"#.into(), &["login required"]),
        (r#"{"type":"user","login":"x","login":"y"}"#.into(), &["login duplicate"]),
        (user(json!({ "password": PASSWORD })), &["password unknown_field"]),
        (user(json!({ "epoch": 7 })), &["epoch unknown_field"]),
        (user(json!({ "login": 5 })), &["login invalid"]),
        (user(json!({ "role": "root" })), &["role invalid"]),
        (user(json!({ "state": "deleted" })), &["state invalid"]),
        (user(json!({ "created_at": "yesterday" })), &["created_at invalid"]),
        (
            user(json!({ "login": "a@b", "email": "x", "groups": ["a,b"] })),
            &["login at_sign", "email not_an_email", "groups invalid"],
        ),
        (user(json!({ "login": "scоpe" })), &["login mixed_script"]),
        (user(json!({ "name": "\u{202e}" })), &["name bad_character"]),
        (user(json!({ "email_verified": true })), &["email_verified no_email"]),
        (user(json!({ "id": "x" })), &["id invalid"]),
        (user(json!({ "id": "8f14e45f-ceea-467f-a9c1-3b2f0f5c2a11" })), &["id invalid"]),
        (user(json!({ "password_hash": "plain" })), &["password_hash hash_unsupported"]),
        (
            user(json!({ "password_hash": "$apr1$aGKxBuAr$bvNyiOlCr80S7s8Xu/off0" })),
            &["password_hash hash_unsupported"],
        ),
        (user(json!({ "password_hash": "$2y$04$short" })), &["password_hash hash_malformed"]),
        (user(json!({ "password_hash": BCRYPT.replace("$04$", "$31$") })), &["password_hash hash_too_dear"]),
        (user(json!({ "role": "admin" })), &["password_hash admin_without_password"]),
        // In the store already.
        (user(json!({ "login": "GRACE" })), &["login name_taken"]),
        (user(json!({ "id": boss_id })), &["id id_taken"]),
        (app(json!({ "id": "Shop" })), &["id invalid"]),
        (app(json!({ "strategy": "none" })), &["strategy invalid"]),
        (
            app(json!({ "origins": ["*"], "access_minutes": 0 })),
            &["access_minutes out_of_range", "origins invalid"],
        ),
        (app(json!({ "secrets": [secret] })), &["secrets invalid"]),
        (
            app(
                json!({ "secrets": [{ "id": boss_id, "sha256": "A", "created_at": "2026-01-01T00:00:00Z" }] }),
            ),
            &["secrets invalid"],
        ),
        (app(json!({ "id": "mine", "strategy": "jwt", "name": "Other" })), &["id app_exists"]),
        (app(json!({ "id": "default", "strategy": "jwt" })), &["id built_in_app"]),
        (
            app(json!({ "id": "hallpass", "strategy": "session", "appliance_access": false })),
            &["id built_in_app"],
        ),
        (user(json!({ "name": "x".repeat(70_000) })), &[" line_too_long"]),
        // Within the file.
        (user(json!({ "login": "new", "email": "new@example.org", "email_verified": true })), &[]),
        (user(json!({ "login": "NEW" })), &[" twice_in_file"]),
        (
            user(json!({ "login": "newer", "email": "New@example.org", "email_verified": true })),
            &[" twice_in_file"],
        ),
        (app(json!({})), &[]),
        (app(json!({ "strategy": "jwt" })), &[" twice_in_file"]),
    ];
    let lines: Vec<String> = cases.iter().map(|(line, _)| line.clone()).collect();
    let wanted: Vec<String> = cases
        .iter()
        .enumerate()
        .flat_map(|(index, (_, reasons))| reasons.iter().map(move |reason| format!("{} {reason}", index + 2)))
        .collect();
    let before = exported(&boss).await;
    let dry = import(&boss, "?dry_run=true", file(&lines)).await.is(200);
    assert_eq!(reasons(&dry), wanted);
    assert_eq!(exported(&boss).await, before, "a dry run changes nothing");
    let mut real = import(&boss, "?dry_run=false", file(&lines)).await.is(200);
    assert_eq!((&dry["dry_run"], &real["dry_run"]), (&json!(true), &json!(false)));
    real["dry_run"] = json!(true);
    assert_eq!(real, dry, "the dry run said what would be");
    assert_eq!((&real["users"]["imported"], &real["apps"]["imported"]), (&json!(1), &json!(1)));
    assert_eq!(exported(&boss).await.len(), before.len() + 2, "the good ones are there");
    for answer in [dry, real] {
        assert!(!answer.to_string().contains("$apr1$") && !answer.to_string().contains(PASSWORD));
    }
}

#[rocket::async_test]
async fn what_is_missing_at_the_end_is_noticed() {
    let (_house, boss) = furnished().await;
    let line = user(json!({}));
    for (body, reason) in [
        (format!("{HEADER}\n{line}\n"), "2  truncated"),
        (format!("{HEADER}\n{line}\n{{\"type\":\"end\",\"apps\":0,\"users\":2}}"), "3  count_mismatch"),
        (format!("{HEADER}\n{line}\n{END}\n\n{line}"), "5  after_end"),
    ] {
        let report = import(&boss, "?dry_run=true", body).await.is(200);
        assert_eq!(reasons(&report), [reason]);
        assert_eq!(report["users"]["imported"], 1);
    }
    let mut not_utf8 = format!("{HEADER}\n").into_bytes();
    not_utf8.extend(b"{\"type\":\"user\",\"login\":\"\xff\"}\n");
    not_utf8.extend(END.as_bytes());
    assert_eq!(reasons(&import(&boss, "", not_utf8).await.is(200)), ["2  not_utf8"]);
}

#[rocket::async_test]
async fn lists_of_refusals_are_bounded_and_counted() {
    let (_house, boss) = furnished().await;
    let report = import(&boss, "", file(&vec!["x".into(); 1500])).await.is(200);
    let listed = report["refused_lines"].as_array().map(Vec::len);
    assert_eq!((&report["refused"], listed), (&json!(1500), Some(1000)));
}

#[rocket::async_test]
async fn an_export_imported_elsewhere_is_exported_the_same() {
    let (house, boss) = furnished().await;
    let apps = boss.make_apps().await;
    boss.change_app("default", json!({ "origins": ["https://a.example"], "name": "Ours" })).await.is(200);
    boss.change_app("jwt", json!({ "state": "disabled", "appliance_access": true })).await.is(200);
    let ada = house.make_user("ada", true).await;
    let fields =
        json!({ "login": "Grace", "email": "g@example.org", "name": "Grâce \"H\"", "groups": ["b", "a/b"] });
    let grace = text(&boss.post("/api/v1/admin/users", &fields).await.is(201)["id"]);
    boss.change_user(&grace, json!({ "state": "disabled", "email_verified": false })).await.is(200);
    let gone = house.make_user("gone", false).await;
    boss.delete(&format!("/api/v1/admin/users/{gone}")).await.is(204);
    let lines = exported(&boss).await;
    assert_eq!(lines.len(), 1 + 6 + 3 + 1, "header, apps, users, end: {lines:#?}");
    assert!(lines[0].contains("password hashes") && !lines.concat().contains("gone"));

    let other = House::new().await;
    let console = Admin::console();
    let auth = other.auth();
    let mut run = auth.import(&console, Default::default(), false);
    for line in &lines {
        assert_eq!(run.take(line.as_bytes()).await.expect("it is taken"), []);
    }
    let (refused, report) = run.finish().await.expect("it is whole");
    assert_eq!((refused, report.users.imported, report.apps.imported), (vec![], 3, 5));
    assert!(auth.is_set_up().await.expect("the store answers"), "an administrator came along");
    // The same people with the same passwords, and the same apps with the same secrets.
    let boss = Boss(other.anyone().sign_in("boss", "hallpass").await);
    assert_eq!(exported(&boss).await, lines);
    assert_eq!(other.anyone().sign_in("ada", "tracked").await.user_id, ada);
    let asked = other.anyone().form("/oauth2/introspect", &[("token", "x")]);
    asked.basic("refresh", &apps["refresh"].secret).await.is(200);
    // Each counts as an administrator: either may go, and then the other not.
    boss.change_user(&ada, json!({ "role": "user" })).await.is(200);
    boss.change_user(&boss.user_id, json!({ "role": "user" })).await.refused(409, "last_admin");
}

#[rocket::async_test]
async fn an_import_that_is_run_again_changes_nothing() {
    let (_house, boss) = furnished().await;
    let id = "01890000-0000-7000-8000-000000000001";
    let lines = [
        user(json!({ "login": "with-id", "id": id, "name": "First", "password_hash": BCRYPT })),
        user(json!({ "login": "without", "password_hash": BCRYPT })),
        user(json!({ "login": "no-password" })),
        app(json!({})),
    ];
    import(&boss, "", file(&lines)).await.is(200);
    let before = exported(&boss).await;
    for query in ["?dry_run=true", ""] {
        let report = import(&boss, query, file(&lines)).await.is(200);
        assert_eq!(reasons(&report), Vec::<String>::new());
        assert_eq!(
            (&report["users"]["skipped"], &report["apps"]["skipped"]),
            (&json!(3), &json!(1)),
            "{report}"
        );
    }
    // Somebody else of the same name, and the same user with another name: whoever is there stays as they are.
    for (other, reason) in [
        (json!({ "login": "with-id", "id": id, "name": "Second" }), None),
        (json!({ "login": "other", "id": id }), Some("2 id id_taken")),
        (json!({ "login": "with-id", "password_hash": BCRYPT }), None),
        (
            json!({ "login": "without", "password_hash": BCRYPT.replace("$04$", "$05$") }),
            Some("2 login name_taken"),
        ),
        (json!({ "login": "no-password", "password_hash": BCRYPT }), Some("2 login name_taken")),
    ] {
        let report = import(&boss, "", file(&[user(other)])).await.is(200);
        assert_eq!(reasons(&report), reason.into_iter().collect::<Vec<_>>());
    }
    assert_eq!(exported(&boss).await[1..], before[1..]);
}

#[rocket::async_test]
async fn a_foreign_hash_is_replaced_at_the_first_sign_in() {
    let (house, boss) = furnished().await;
    import(&boss, "", file(&[user(json!({ "login": "ada", "password_hash": BCRYPT }))])).await.is(200);
    let hash = async || {
        let line = exported(&boss).await.into_iter().find(|line| line.contains("\"login\":\"ada\""));
        let line: Value = serde_json::from_str(&line.expect("they are there")).expect("JSON");
        text(&line["password_hash"])
    };
    house.anyone().login("ada", "another long passphrase").await.refused(401, "invalid_credentials");
    assert!(hash().await.starts_with("$2b$04$"), "a wrong password replaces nothing");
    house.anyone().sign_in("ada", "default").await;
    let ours = hash().await;
    assert!(ours.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{ours}");
    house.anyone().sign_in("ada", "default").await;
    assert_eq!(hash().await, ours, "ours stays");
    house.anyone().login("ada", "another long passphrase").await.refused(401, "invalid_credentials");
}

#[rocket::async_test]
async fn an_htpasswd_file_is_taken_as_it_is() {
    let (house, boss) = furnished().await;
    let body = format!(
        "# people\r\nada:{BCRYPT}\r\n\nb c:{BCRYPT}\nnobody\nold:$apr1$aGKxBuAr$bvNyiOlCr80S7s8Xu/off0\nada:{BCRYPT}"
    );
    let report =
        boss.ask(Method::Post, &format!("{IMPORT}?format=htpasswd")).raw("text/plain", body).await.is(200);
    assert_eq!(
        reasons(&report),
        ["4 login bad_character", "5  malformed", "6 password_hash hash_unsupported", "7  twice_in_file"]
    );
    house.anyone().sign_in("ada", "default").await;
}

#[rocket::async_test]
async fn names_that_are_made_meanwhile_are_met_and_nobody_is_there_twice() {
    let (house, boss) = furnished().await;
    let lines: Vec<_> = (0..200).map(|n| user(json!({ "login": format!("user{n}") }))).collect();
    let imports = (0..4).map(|_| {
        let (boss, body) = (boss.clone(), file(&lines));
        rocket::tokio::spawn(async move { import(&boss, "", body).await.is(200) })
    });
    let imports: Vec<_> = imports.collect();
    let (mut imported, mut others) = (0, 0);
    for run in imports {
        let report = run.await.expect("no panic");
        imported += report["users"]["imported"].as_u64().expect("a number");
        others +=
            report["users"]["skipped"].as_u64().expect("a number") + report["refused"].as_u64().expect("one");
    }
    assert_eq!((imported, others), (200, 600));
    let auth: Arc<_> = house.auth();
    assert_eq!(auth.figures(&Admin::console()).users, 201);
}
