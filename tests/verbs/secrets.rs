//! After a full scenario no secret's bytes lie in the store, in the log, or in a Debug output.

use crate::house::{Answer, House, Member, PASSWORD, STRATEGIES};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hallpass::clock::Clock;
use hallpass::logging::AccessLog;
use hallpass::model::Time;
use parking_lot::Mutex;
use rocket::http::Method;
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

const WRONG: &str = "hunter2-is-not-the-one";
/// bcrypt's of another system. It may lie in the store, and nowhere else.
const HASH: &str = "$2b$04$w8Gx1WdG2p9dCd3wespLy.1x/ZScpRqTtbex8ctZmEAuE8belsX.a";
const NEW: &str = "quite another passphrase";

/// Keeps what is written to it.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Every secret that was handed out, with what it is.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn add(&mut self, what: &str, text: &str) {
        assert!(text.len() >= 8, "{what} is too short to look for");
        self.0.push((what.into(), text.into()));
    }

    fn add_all_of(&mut self, answer: &Answer) {
        let body = answer.json();
        for field in
            ["access_token", "refresh_token", "session_token", "csrf_token", "device_token", "client_secret"]
        {
            if let Some(text) = body[field].as_str() {
                self.add(field, text);
            }
        }
        for (name, value) in answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
        {
            let value = value.split(['=', ';']).nth(1).unwrap_or_default();
            if !value.is_empty() {
                self.add(name, value);
            }
        }
    }

    /// The forms in which a secret could lie about: its text, its bytes, and those in other clothes.
    fn forms(text: &str) -> Vec<Vec<u8>> {
        let mut forms = vec![text.as_bytes().to_vec()];
        let body = text.rsplit_once(['_', ':']).map_or(text, |(_, body)| body);
        let body = body.rsplit_once('.').map_or(body, |(_, signature)| signature);
        for body in [body, body.get(..43).unwrap_or(body)] {
            let bytes = URL_SAFE_NO_PAD.decode(body).or_else(|_| STANDARD.decode(body)).unwrap_or_default();
            if bytes.len() >= 16 {
                forms.push(bytes[..bytes.len().min(32)].to_vec());
                forms.push(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes());
            }
        }
        forms
    }

    #[track_caller]
    fn are_not_in(&self, place: &str, bytes: &[u8]) {
        for (what, text) in &self.0 {
            for form in Self::forms(text) {
                let found = bytes.windows(form.len()).any(|window| window == form);
                assert!(!found, "a {what} lies in {place}");
            }
        }
    }
}

fn files(directory: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(directory).expect("it can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap_or_default()));
        }
    }
}

/// Signs in, rotates, steps up, fails and signs out, in every way there is.
async fn live_a_full_life(house: &House, secrets: &mut Secrets) {
    let boss = house.boss().await;
    secrets.add("session token", boss.secret());
    secrets.add("password", PASSWORD);
    secrets.add("wrong password", WRONG);
    secrets.add("new password", NEW);
    for strategy in STRATEGIES {
        let body =
            json!({ "id": strategy, "strategy": strategy, "confidential": true, "appliance_access": true });
        secrets.add_all_of(&boss.post("/api/v1/admin/apps", &body).await);
        secrets.add_all_of(&boss.ask(Method::Post, &format!("/api/v1/admin/apps/{strategy}/secrets")).await);
    }
    house.make_user("ada", false).await;
    let code = house.reset_code("ada").await;
    secrets.add("one-time code", &code);
    house.anyone().get(&format!("/setup?code={code}")).await;
    for strategy in STRATEGIES {
        for way in ["body", "cookie"] {
            house.anyone().login("ada", WRONG).await.refused(401, "invalid_credentials");
            let answer = house.anyone().login_to("ada", strategy, way).await;
            secrets.add_all_of(&answer);
            let mut member = Member::new(house, "ada", strategy, &answer);
            if strategy == "refresh" {
                let answer = member.refresh().await;
                secrets.add_all_of(&answer);
                member.take(&answer);
            }
            let answer = member.reauthenticate(PASSWORD).await;
            secrets.add_all_of(&answer);
            member.take(&answer);
            let answer = member.logout("others").await;
            secrets.add_all_of(&answer);
            member.take(&answer);
            member.get(&format!("/api/v1/auth/session?token={}", member.secret())).await;
            boss.post("/api/v1/admin/blacklist", &json!({ "token": member.secret() })).await;
            member.logout("local").await;
        }
    }
    let line = json!({ "type": "user", "login": "grace", "password_hash": HASH });
    let lines = format!(
        "{{\"type\":\"header\",\"schema\":1}}\n{line}\n{}\n",
        line.to_string().replace("$2b$", "$9$")
    );
    let import = boss.ask(Method::Post, "/api/v1/admin/import").raw("application/x-ndjson", lines);
    let answer = import.await;
    assert!(answer.status == 200 && !answer.body.contains("$04$"), "{answer}");
    assert!(boss.get("/api/v1/admin/export").await.body.contains(HASH));
    let ada = house.anyone().sign_in("ada", "hallpass").await;
    secrets.add("session token", ada.secret());
    let answer = ada.change_password(PASSWORD, NEW).await;
    secrets.add_all_of(&answer);
    let reset = hallpass::model::password::Password::new(PASSWORD.into());
    house.auth().reset_password(&code, reset).await.expect("the code is good");
    // What does not parse must not be quoted, either.
    let broken = format!("{{\"login\":\"ada\",\"password\":\"{PASSWORD}\",}}");
    house.anyone().ask(Method::Post, "/api/v1/auth/login").raw("application/json", broken).await;
    let misfit = json!({ "login": "ada", "password": { "is": PASSWORD } });
    let answer = house.anyone().post("/api/v1/auth/login", &misfit).await;
    assert!(!answer.body.contains(PASSWORD));
}

#[rocket::async_test]
async fn no_secret_lies_in_the_store_or_the_log() {
    let log = Kept::default();
    let writer = log.clone();
    let tracing = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let subscriber = tracing.with_writer(move || writer.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).expect("the only test that listens");
    let access_log = AccessLog::start(Clock::manual(Time::from_ms(0)), true, log.clone()).expect("a thread");
    let house = House::with_access_log(access_log.clone()).await;

    let mut secrets = Secrets::default();
    live_a_full_life(&house, &mut secrets).await;
    house.keep_house().await;
    house.restart().await;
    access_log.flush();

    let text = log.0.lock().clone();
    let shown = String::from_utf8_lossy(&text);
    for event in [
        "signed_in",
        "sign_in_failed",
        "key_made",
        "/api/v1/auth/refresh",
        "token_blacklisted",
        "imported",
        "exported",
    ] {
        assert!(shown.contains(event), "the log was not captured: no {event}");
    }
    let key_file = house.directory().join("data/key");
    let key = std::fs::read_to_string(&key_file).expect("a key file");
    secrets.add("master key", key.trim());
    assert!(secrets.0.len() > 60, "{}", secrets.0.len());
    secrets.are_not_in("the log", &text);
    let mut hashes = Secrets::default();
    hashes.add("hash", HASH);
    hashes.add("hash without its head", &HASH[7..]);
    hashes.are_not_in("the log", &text);

    let mut found = Vec::new();
    files(house.directory(), &mut found);
    let stored: usize = found.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(stored > 10_000, "the store was not read: {stored} bytes");
    for (name, bytes) in found.iter().filter(|(name, _)| !key_file.ends_with(name) && !name.ends_with("/key"))
    {
        secrets.are_not_in(name, bytes);
    }
}

#[test]
fn debug_output_of_what_holds_a_secret_shows_none() {
    use hallpass::auth::hasher::Phc;
    use hallpass::auth::vault::{MasterKey, Vault};
    use hallpass::config::{Config, SecretText};
    use hallpass::console::{Command, Secret};
    use hallpass::entropy::Entropy;
    use hallpass::model::hash::{HashSetting, StoredHash};
    use hallpass::model::password::Password;
    use hallpass::model::transfer::Line;
    use hallpass::model::{AppSecret, OneTimeCode, RefreshToken, SessionToken};

    let key = MasterKey::generate(&Entropy::seeded(7));
    let bytes: [u8; 32] = Entropy::seeded(9).bytes();
    let secret_text: SecretText = serde_json::from_value(json!(key.reveal().trim())).expect("a text");
    let config = Config { master_key: Some(secret_text), ..Config::default() };
    let command = Command::UserAdd {
        login: "ada".into(),
        email: None,
        name: String::new(),
        admin: false,
        password: Some(Secret::new(PASSWORD.into())),
    };
    let mut secrets = Secrets::default();
    secrets.add("master key", key.reveal().trim());
    secrets.add("password", PASSWORD);
    secrets.add("hash", &HASH[7..]);
    let line = json!({ "type": "user", "login": "ada", "password_hash": HASH }).to_string();
    for text in
        [SessionToken::new(bytes).reveal(), RefreshToken::new(bytes).reveal(), AppSecret::new(bytes).reveal()]
    {
        secrets.add("token", &text);
    }
    for shown in [
        format!("{config:?}"),
        format!("{command:?}"),
        format!("{key:?} {:?}", Vault::new(&key)),
        format!("{:?} {:?}", SessionToken::new(bytes), RefreshToken::new(bytes)),
        format!("{:?} {:?}", AppSecret::new(bytes), OneTimeCode::new(bytes)),
        format!("{:?} {:?}", Password::new(PASSWORD.into()), Phc::from(PASSWORD.to_owned())),
        format!(
            "{:?} {:?}",
            Line::read(line.as_bytes()).expect("a line"),
            StoredHash::parse(HASH, HashSetting::DEFAULT)
        ),
        serde_json::to_string(&config).expect("it is shown by check-config"),
    ] {
        assert!(!shown.contains(&format!("{:?}", &bytes[..8])[1..]), "raw bytes in {shown}");
        secrets.are_not_in(&shown, shown.as_bytes());
    }
}
