//! `/metrics` behind a token: who gets in, that it keeps the rules of OpenMetrics, and that the figures move.

use crate::house::{Answer, House, PASSWORD};
use hallpass::auth::check::Admin;
use hallpass::config::Config;
use hallpass::model::backup::BackupKind;
use hallpass::web::Site;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const TOKEN: &str = "a-token-of-more-than-sixteen-bytes";

async fn house() -> House {
    House::with(|config| config.metrics.token = Some(secret(TOKEN))).await
}

fn secret(text: &str) -> hallpass::config::SecretText {
    serde_json::from_value(json!(text)).unwrap()
}

async fn ask(house: &House, authorization: &str) -> Answer {
    house.anyone().get("/metrics").header("Authorization", authorization).await
}

async fn scrape(house: &House) -> Scrape {
    let answer = ask(house, &format!("Bearer {TOKEN}")).await;
    assert_eq!(answer.status, 200, "{answer}");
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((answer.header("content-type"), answer.header("cache-control")), (kind, "no-store"));
    Scrape::parse(&answer.body)
}

/// Every sample by its name with its labels, as `name{label="value"}`.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Holds the text to the rules of OpenMetrics 1.0 as far as we use them.
    #[track_caller]
    fn parse(text: &str) -> Self {
        let lines: Vec<&str> = text.strip_suffix("# EOF\n").expect("it ends with # EOF").lines().collect();
        assert!(lines.iter().all(|line| !line.is_empty() && *line != "# EOF"), "{text}");
        let (mut samples, mut families) = (BTreeMap::new(), BTreeSet::new());
        let mut rest = lines.as_slice();
        while let [help, kind, more @ ..] = rest {
            let (name, words) =
                help.strip_prefix("# HELP ").and_then(|help| help.split_once(' ')).expect(help);
            assert!(is_name(name) && !words.is_empty() && families.insert(name), "{help}");
            let kind = kind.strip_prefix(&format!("# TYPE {name} ")).expect(kind);
            let unit = more.first().and_then(|line| line.strip_prefix(&format!("# UNIT {name} ")));
            assert!(unit.is_none_or(|unit| name.ends_with(&format!("_{unit}"))), "{name} in {unit:?}");
            let more = &more[usize::from(unit.is_some())..];
            let of_family = more.iter().take_while(|line| !line.starts_with('#')).count();
            let own: Vec<_> = more[..of_family].iter().map(|line| sample(line)).collect();
            match kind {
                "counter" => {
                    assert!(own.iter().all(|(at, value)| is_of(at, name, "_total") && *value >= 0.0))
                }
                "gauge" => assert!(own.iter().all(|(at, _)| is_of(at, name, ""))),
                "info" => assert!(own.iter().all(|(at, value)| is_of(at, name, "_info") && *value == 1.0)),
                "histogram" => is_histogram(name, &own),
                other => panic!("{name} is of the unknown type {other}"),
            }
            for (at, value) in own {
                assert!(samples.insert(at.clone(), value).is_none(), "{at} came twice");
            }
            rest = &more[of_family..];
        }
        assert!(rest.is_empty(), "{rest:?}");
        Self(samples)
    }

    #[track_caller]
    fn get(&self, at: &str) -> f64 {
        *self.0.get(at).unwrap_or_else(|| panic!("{at} is not among {:#?}", self.0.keys()))
    }
}

fn is_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

fn is_of(at: &str, family: &str, suffix: &str) -> bool {
    at.split('{').next() == Some(&format!("{family}{suffix}"))
}

#[track_caller]
fn sample(line: &str) -> (String, f64) {
    let (at, value) = line.rsplit_once(' ').expect(line);
    if let Some((_, labels)) = at.split_once('{') {
        for label in labels.strip_suffix('}').expect(line).split(',') {
            let (name, value) = label.split_once('=').expect(line);
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).expect(line);
            assert!(
                is_name(name) && value.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\'),
                "{line}"
            );
        }
    }
    (at.to_owned(), value.parse().expect(line))
}

/// The sum and the count, and buckets that rise to the count at +Inf.
#[track_caller]
fn is_histogram(name: &str, own: &[(String, f64)]) {
    let value = |suffix: &str| own.iter().find(|(at, _)| is_of(at, name, suffix)).expect(suffix).1;
    let (sum, count) = (value("_sum"), value("_count"));
    let buckets: Vec<(f64, f64)> = own
        .iter()
        .filter_map(|(at, value)| {
            let bound = at.strip_prefix(&format!("{name}_bucket{{le=\""))?.strip_suffix("\"}")?;
            Some((if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? }, *value))
        })
        .collect();
    assert_eq!(buckets.len() + 2, own.len(), "{own:?}");
    assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{buckets:?}");
    assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)));
    assert!(sum >= 0.0 && (count > 0.0 || sum == 0.0), "{own:?}");
}

#[rocket::async_test]
async fn by_default_there_are_none() {
    let house = House::new().await;
    ask(&house, &format!("Bearer {TOKEN}")).await;
    let answer = house.anyone().get("/metrics").await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (404, ""));
}

#[rocket::async_test]
async fn only_the_token_opens_them() {
    let house = house().await;
    let boss = house.boss().await;
    let answer = house.anyone().get("/metrics").await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, r#"Bearer realm="hallpass""#));
    for refused in [
        format!("Basic {TOKEN}"),
        TOKEN.to_owned(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer {}", &TOKEN[1..]),
        format!("Bearer {}", &TOKEN[..TOKEN.len() - 1]),
        format!("Bearer {TOKEN}x"),
        format!("Bearer {}", boss.secret()),
    ] {
        let answer = ask(&house, &refused).await;
        assert_eq!(answer.status, 401, "{refused}");
        assert!(answer.header("www-authenticate").starts_with("Bearer "), "{refused}");
        assert!(!answer.body.contains("hallpass_"), "{refused}");
    }
    for right in [format!("Bearer {TOKEN}"), format!("bearer {TOKEN}")] {
        assert_eq!(ask(&house, &right).await.status, 200);
    }
    assert_eq!(house.anyone().ask(rocket::http::Method::Post, "/metrics").await.status, 405);
}

#[test]
fn a_token_that_could_be_guessed_or_is_not_there_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let site = |config: Config| Site::new(Arc::new(config), [0; 4]).map(drop).map_err(|e| e.to_string());
    let mut config = Config::default();
    config.metrics.token = Some(secret("fifteen bytes !"));
    assert!(site(config).unwrap_err().contains("metrics.token is shorter than 16"));
    let mut config = Config::default();
    config.metrics.token_file = Some(file.clone());
    assert!(site(config.clone()).unwrap_err().contains("metrics.token_file"));
    std::fs::write(&file, "\n").unwrap();
    assert!(site(config.clone()).unwrap_err().contains("shorter"));
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    site(config).unwrap();
}

#[rocket::async_test]
async fn the_figures_move_with_what_happens() {
    let house = house().await;
    let boss = house.boss().await;
    boss.make_apps().await;
    house.make_user("ada", false).await;
    house.keep_house().await;
    let before = scrape(&house).await;

    let ada = house.anyone().sign_in("ada", "session").await;
    let struck = house.anyone().sign_in("ada", "jwt").await;
    house.anyone().login("ada", "a wrong passphrase").await.refused(401, "invalid_credentials");
    for _ in 0..9 {
        house.anyone().login("ada", "a wrong passphrase").await;
    }
    house.anyone().login("ada", PASSWORD).await.refused(429, "too_many_attempts");
    ada.is_alive().await;
    let body = json!({ "token": struck.secret(), "reason": "stolen" });
    boss.post("/api/v1/admin/blacklist", &body).await.is(201);
    house.anyone().check("nonsense").await.refused(401, "invalid_token");
    house
        .anyone()
        .form("/oauth2/token", &[("grant_type", "refresh_token")])
        .await
        .refused(401, "invalid_client");
    house.anyone().get("/no/such/page").await;
    house.advance(10);

    let after = scrape(&house).await;
    let moved = |at: &str| after.get(at) - before.0.get(at).copied().unwrap_or(0.0);
    for (at, by) in [
        ("hallpass_sign_ins_total{result=\"signed_in\"}", 2.0),
        ("hallpass_sign_ins_total{result=\"refused\"}", 10.0),
        ("hallpass_sign_ins_total{result=\"throttled\"}", 1.0),
        ("hallpass_refusals_total{code=\"invalid_credentials\"}", 10.0),
        ("hallpass_refusals_total{code=\"too_many_attempts\"}", 1.0),
        ("hallpass_refusals_total{code=\"invalid_token\"}", 1.0),
        ("hallpass_refusals_total{code=\"invalid_client\"}", 1.0),
        ("hallpass_refusals_total{code=\"not_found\"}", 1.0),
        ("hallpass_requests_total{class=\"admin\",status=\"2xx\"}", 1.0),
        ("hallpass_requests_total{class=\"none\",status=\"4xx\"}", 1.0),
        ("hallpass_requests_total{class=\"oauth\",status=\"4xx\"}", 1.0),
        ("hallpass_requests_total{class=\"metrics\",status=\"2xx\"}", 1.0),
        ("hallpass_hashing_seconds_count", 12.0),
        ("hallpass_live_sessions", 1.0),
        ("hallpass_blacklist_entries", 1.0),
        ("hallpass_store_records{table=\"sessions\"}", 1.0),
        ("hallpass_sweep_lag_seconds", 600.0),
        ("hallpass_clock_behind_seconds", 0.0),
        ("hallpass_store_queue", 0.0),
    ] {
        assert_eq!(moved(at), by, "{at}");
    }
    for at in [
        "hallpass_store_commits_total",
        "hallpass_store_sequence",
        "hallpass_store_sync_seconds_count",
        "hallpass_store_sync_seconds_sum",
        "hallpass_store_group_batches_count",
        "hallpass_cache_lookups_total{cache=\"sessions\",result=\"hit\"}",
        "hallpass_cache_lookups_total{cache=\"credentials\",result=\"hit\"}",
    ] {
        assert!(moved(at) > 0.0, "{at}");
    }
    assert!(after.get("hallpass_store_open_seconds") > 0.0 && after.get("hallpass_store_size_bytes") > 0.0);
    assert_eq!(after.get("process_start_time_seconds"), before.get("process_start_time_seconds"));
    after.get(&format!("hallpass_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")));

    house.keep_house().await;
    house.set_clock_by(-60);
    let at_last = scrape(&house).await;
    assert_eq!(at_last.get("hallpass_sweep_lag_seconds"), 0.0);
    assert_eq!(at_last.get("hallpass_clock_behind_seconds"), 3600.0);
}

/// What the records take is known once they were all read, which begins with the start.
#[rocket::async_test]
async fn the_stores_size_stands_beside_what_its_records_take() {
    let house = house().await;
    for _ in 0..200 {
        let found = scrape(&house).await;
        if let Some(live) = found.0.get("hallpass_store_live_bytes") {
            let ratio = found.get("hallpass_store_size_bytes") / live;
            assert!(
                *live > 100.0
                    && (found.get("hallpass_store_amplification_ratio") - ratio).abs() < 1e-6 * ratio
            );
            return;
        }
        rocket::tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the store was never read whole");
}

#[rocket::async_test]
async fn a_backup_is_told_by_its_age_and_what_came_of_it() {
    let house = house().await;
    let results = async || {
        let found = scrape(&house).await;
        let of = |result| found.get(&format!("hallpass_backup_result{{result=\"{result}\"}}"));
        let results = ["none", "unverified", "verified", "bad", "failed"];
        assert_eq!(results.map(of).iter().sum::<f64>(), 1.0);
        let result = results.into_iter().find(|result| of(result) == 1.0).unwrap();
        (result, found.0.get("hallpass_backup_age_seconds").copied())
    };
    assert_eq!(results().await, ("none", None));
    house.auth().make_backup(&Admin::console(), BackupKind::Manual, None).await.unwrap();
    house.advance(5);
    assert_eq!(results().await, ("unverified", Some(300.0)));
    // A file where the directory should be.
    let backups = house.directory().join("data/backups");
    std::fs::remove_dir_all(&backups).unwrap();
    std::fs::write(&backups, "").unwrap();
    house.auth().make_backup(&Admin::console(), BackupKind::Manual, None).await.unwrap_err();
    assert_eq!(results().await.0, "failed");
}

#[rocket::async_test]
async fn a_refresh_token_that_is_used_twice_shows() {
    let house = house().await;
    house.boss().await.make_apps().await;
    house.make_user("ada", false).await;
    let ada = house.anyone().sign_in("ada", "refresh").await;
    let first = ada.refresh_token.clone().unwrap();
    let second = house.anyone().refresh(&first).await.is(200)["refresh_token"].as_str().unwrap().to_owned();
    house.anyone().refresh(&second).await.is(200);
    house.anyone().refresh(&first).await.refused(401, "refresh_reused");
    assert_eq!(scrape(&house).await.get("hallpass_refresh_reuses_total"), 1.0);
}

/// An alert on a figure that is none would never sound.
#[rocket::async_test]
async fn the_alerts_that_we_show_ask_for_figures_that_there_are() {
    let house = house().await;
    house.auth().make_backup(&Admin::console(), BackupKind::Manual, None).await.unwrap();
    let found = scrape(&house).await;
    let rules = include_str!("../../examples/prometheus/alerts.yml");
    let words = rules.split(|c: char| !c.is_ascii_lowercase() && c != '_');
    let asked: BTreeSet<_> = words.filter(|word| word.starts_with("hallpass_")).collect();
    assert!(asked.len() >= 5, "{asked:?}");
    for name in asked {
        assert!(found.0.keys().any(|at| is_of(at, name, "")), "{name}");
    }
}

#[rocket::async_test]
async fn whatever_is_asked_for_makes_no_new_labels_and_names_nobody() {
    let house = house().await;
    let ada = house.make_user("ada-the-countess", false).await;
    let visit = async |n: usize| {
        house.anyone().login(&format!("nobody-{n}"), PASSWORD).from(&format!("192.0.2.{n}")).await;
        house.anyone().get(&format!("/no-page-{n}")).await;
        house.anyone().check(&format!("no-token-{n}")).await;
        house.anyone().login("ada-the-countess", PASSWORD).from("192.0.2.200").agent("odd-agent").await;
    };
    visit(0).await;
    let before = scrape(&house).await;
    for n in 1..20 {
        visit(n).await;
    }
    let after = scrape(&house).await;
    assert!(before.0.keys().eq(after.0.keys()));
    for at in after.0.keys() {
        for word in ["nobody-", "no-page", "no-token", "countess", "192.0.2", "odd-agent", ada.as_str()] {
            assert!(!at.contains(word), "{at}");
        }
    }
}
