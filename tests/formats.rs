//! Stores of every format that was ever released open for ever, with what was promised when they were made.

#[allow(dead_code)] // most of it is for verbs
mod house;

use hallpass::model::Time;
use hallpass::store::doubt;
use house::{House, text};
use serde_json::Value;
use std::path::{Path, PathBuf};

const FORMATS: [&str; 2] = ["format-1", "format-2"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

async fn open(format: &str) -> (House, Value) {
    let facts = std::fs::read_to_string(fixtures().join(format!("{format}.json"))).unwrap();
    let facts: Value = serde_json::from_str(&facts).unwrap();
    let made_at = chrono::DateTime::parse_from_rfc3339(&text(&facts["made_at"])).unwrap();
    let now = Time::from_ms(made_at.timestamp_millis() + 60_000);
    // The issuer stands in tokens.
    let house = House::over(&fixtures().join(format), now, |config| config.port = 18431).await;
    (house, facts)
}

async fn holds_what_was_promised(house: &House, facts: &Value) {
    let anyone = house.anyone();
    let given = |path: &str| text(facts.pointer(path).unwrap());
    anyone.check(&given("/dead/cleo_web_session")).await.refused(401, "session_ended");
    anyone.check(&given("/dead/ben_stateless_access")).await.refused(401, "token_blacklisted");
    anyone.refresh(&given("/dead/cleo_default_refresh")).await.refused(401, "session_ended");
    anyone.login("cleo", &given("/password")).await.refused(401, "invalid_credentials");
    anyone.check(&given("/live/ada_web_session")).await.is(200);
    anyone.check(&given("/live/ben_tracker_access")).await.is(200);
    anyone.login("ben", &given("/password")).await.is(200);
    anyone.login("admin@example.org", &given("/admin_password")).await.is(200);
}

#[rocket::async_test]
async fn a_store_of_each_format_opens_with_all_that_was_promised() {
    for format in FORMATS {
        let (house, facts) = open(format).await;
        holds_what_was_promised(&house, &facts).await;
        // Once more, now that it has the present format; and every table is what the head says.
        doubt::raise(&house.directory().join("data"));
        house.restart().await;
        holds_what_was_promised(&house, &facts).await;
        let refresh = |path: &str| house.anyone().refresh(&text(facts.pointer(path).unwrap()));
        refresh("/live/ada_default_refresh").await.is(200);
        refresh("/spent/ada_default_refresh").await.refused(401, "refresh_reused");
    }
}

#[rocket::async_test]
async fn before_a_store_is_brought_forward_a_copy_is_set_aside() {
    let (house, _) = open("format-1").await;
    let copy = house.directory().join("data/aside/before-format-2");
    for file in ["store/db", "store/conf", "sidecar"] {
        let original = std::fs::read(fixtures().join("format-1").join(file)).unwrap();
        assert!(std::fs::read(copy.join(file)).unwrap() == original, "{file}");
    }
    house.restart().await;
    assert_eq!(std::fs::read_dir(house.directory().join("data/aside")).unwrap().count(), 1);
}
