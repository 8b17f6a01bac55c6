//! How options are read: what is refused and how it is said, then what wins over what.

use hallpass::config::{Config, DOCUMENTATION, Loaded, PublicUrl};
use std::path::Path;

fn load(file: &str, env: &[(&str, &str)]) -> Result<Loaded, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("Rocket.toml");
    std::fs::write(&path, file).unwrap();
    let env = env.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    Config::load(Some(&path), env).map_err(|errors| errors.to_string())
}

/// The message must hold every one of these.
fn refused(file: &str, env: &[(&str, &str)], parts: &[&str]) {
    let message = load(file, env).map(|_| ()).unwrap_err();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn unknown_options_are_refused_with_the_nearest_name() {
    refused("prot = 9000", &[], &["`prot`", "Rocket.toml", "unknown", "`port`"]);
    refused("[session]\nidle_minuts = 3", &[], &["`session.idle_minuts`", "`session.idle_minutes`"]);
    refused("idle_minutes = 3", &[], &["`session.idle_minutes`"]);
    refused("[sesion]\nidle_minutes = 3", &[], &["`sesion`"]);
    refused("[default]\nport = 9000", &[], &["profile"]);
    refused("wholly_other_thing = 1", &[], &["Rocket.toml lists all options"]);
    refused("", &[("HALLPASS_PROT", "1")], &["HALLPASS_PROT", "Perhaps HALLPASS_PORT was meant"]);
    refused(
        "",
        &[("HALLPASS_SESSION_IDLE_MINUTES", "1")],
        &["Perhaps HALLPASS_SESSION__IDLE_MINUTES was meant"],
    );
    refused("", &[("HALLPASS_port", "1")], &["HALLPASS_PORT"]);
    refused("", &[("HALLPASS_SESSION", "1")], &["HALLPASS_SESSION"]);
}

#[test]
fn wrong_kinds_are_refused() {
    refused("port = \"8000\"", &[], &["`port`", "a text in quotes", "Give a whole number"]);
    refused("port = 80.5", &[], &["`port`", "fraction"]);
    refused("insecure_http = 1", &[], &["`insecure_http`", "true or false"]);
    refused("session = 4", &[], &["`session`", "a table"]);
    refused("[port]\nx = 4", &[], &["`port`", "a table", "whole number"]);
    refused("trusted_proxies = \"10.0.0.1\"", &[], &["`trusted_proxies`", "a list"]);
    refused("", &[("HALLPASS_PORT", "eight")], &["`port`", "variable HALLPASS_PORT", "a whole number"]);
    refused("", &[("HALLPASS_INSECURE_HTTP", "yes")], &["true or false"]);
    refused("port = ", &[], &["Rocket.toml", "no TOML"]);
}

#[test]
fn values_out_of_range_are_refused() {
    refused("port = 70000", &[], &["`port`", "from 0 to 65535"]);
    refused("port = -1", &[], &["`port`", "from 0 to 65535"]);
    refused(
        "",
        &[("HALLPASS_ACCESS_TOKEN__TRACKED_MINUTES", "721")],
        &["from 1 to 720", "__TRACKED_MINUTES"],
    );
    refused("[password]\nmin_length = 7", &[], &["`password.min_length`", "from 8 to 64"]);
    refused("[log]\nlevel = \"loud\"", &[], &["`log.level`"]);
    refused("address = \"example.org\"", &[], &["`address`", "IP address"]);
    refused("public_url = \"https://a.example/x\"", &[], &["`public_url`", "expected http"]);
    refused("trusted_proxies = [\"ten\"]", &[], &["`trusted_proxies`", "Rocket.toml"]);
}

#[test]
fn contradictions_are_refused() {
    refused("[tls]\ncerts = \"a.pem\"", &[], &["`tls.key`", "missing"]);
    refused("[tls]\nkey = \"a.pem\"", &[], &["`tls.certs`", "missing"]);
    refused("[session]\nidle_minutes = 800", &[], &["`session.idle_minutes`", "absolute"]);
    refused("[refresh]\nidle_days = 31", &[], &["`refresh.idle_days`"]);
    refused("admin_email = \"a@b.example\"", &[], &["`admin_password_file`"]);
    refused("trusted_proxies = [\"0.0.0.0/0\"]", &[], &["trusts every caller"]);
    refused("master_key = \"x\"\nmaster_key_file = \"y\"", &[], &["only one"]);
    refused(
        "public_url = \"http://a.example\"\n[tls]\ncerts = \"c\"\nkey = \"k\"",
        &[],
        &["`public_url`", "https"],
    );
}

#[test]
fn missing_certificates_are_refused() {
    let file = "[tls]\ncerts = \"/nowhere/c.pem\"\nkey = \"/nowhere/k.pem\"";
    refused(file, &[], &["`tls.certs`", "`tls.key`", "cannot be read"]);
}

#[test]
fn all_faults_are_named_at_once() {
    refused("prot = 1", &[("HALLPASS_PRT", "1")], &["prot", "HALLPASS_PRT"]);
}

#[test]
fn a_named_file_must_exist() {
    let missing = Config::load(Some(Path::new("/nowhere/at/all.toml")), []).unwrap_err();
    assert!(missing.to_string().contains("cannot be read"));
}

#[test]
fn secrets_are_never_shown() {
    let key = "c2VjcmV0LWNhbmFyeS1vZi0zMi1ieXRlcy0xMjM0NTY";
    let loaded = load("", &[("HALLPASS_MASTER_KEY", key)]).unwrap();
    assert_eq!(loaded.config.master_key.as_ref().unwrap().reveal(), key);
    assert!(!format!("{loaded:?}").contains(key));
    let listing = loaded.listing();
    assert!(!format!("{listing:?}").contains(key));
    let row = listing.iter().find(|row| row.key == "master_key").unwrap();
    assert_eq!((row.value.as_str(), row.source.as_str()), ("\"(hidden)\"", "variable HALLPASS_MASTER_KEY"));
}

#[test]
fn variables_win_over_the_file_and_the_file_over_defaults() {
    let loaded = load(
        "port = 9000\n[session]\nidle_minutes = 20",
        &[("HALLPASS_PORT", "9001"), ("HALLPASS_SESSION__STEP_UP_MINUTES", "5"), ("OTHER_PORT", "1")],
    )
    .unwrap();
    assert_eq!(loaded.config.port, 9001);
    assert_eq!(loaded.config.session.idle_minutes, 20);
    assert_eq!(loaded.config.session.step_up_minutes, 5);
    assert_eq!(loaded.config.session.absolute_minutes, 720);
    assert_eq!(loaded.sources["port"], "variable HALLPASS_PORT");
    assert!(loaded.sources["session.idle_minutes"].ends_with("Rocket.toml"));
    let listing = loaded.listing();
    let port = listing.iter().find(|row| row.key == "port").unwrap();
    assert_eq!((port.value.as_str(), port.default.as_str()), ("9001", "8000"));
}

#[test]
fn texts_in_variables_may_look_like_numbers() {
    let loaded = load("", &[("HALLPASS_DATA_DIR", "2024"), ("HALLPASS_MASTER_KEY", "123")]).unwrap();
    assert_eq!(loaded.config.data_dir, Path::new("2024"));
    assert_eq!(loaded.config.master_key.unwrap().reveal(), "123");
}

#[test]
fn lists_in_variables_are_separated_by_commas() {
    for text in ["10.0.0.1, 192.168.0.0/16", "[\"10.0.0.1\", \"192.168.0.0/16\"]"] {
        let loaded = load("", &[("HALLPASS_TRUSTED_PROXIES", text)]).unwrap();
        let shown: Vec<String> = loaded.config.trusted_proxies.iter().map(|net| net.0.to_string()).collect();
        assert_eq!(shown, ["10.0.0.1/32", "192.168.0.0/16"]);
    }
}

#[test]
fn the_documentation_lists_every_option_with_its_default() {
    let uncommented: String = DOCUMENTATION
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(option) if option.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{option}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let loaded = load(&uncommented, &[]).unwrap();
    assert_eq!(loaded.config, Config::default());
    let unlisted: Vec<_> = loaded.listing().into_iter().filter(|row| row.source == "default").collect();
    assert!(unlisted.is_empty(), "{unlisted:?}");
    assert_eq!(load(DOCUMENTATION, &[]).unwrap().config, Config::default());
}

#[test]
fn the_public_url_follows_address_port_and_tls() {
    let url = |file: &str| load(file, &[]).unwrap().config.public_url().origin().to_string();
    assert_eq!(url(""), "http://localhost:8000");
    assert_eq!(url("address = \"0.0.0.0\"\nport = 80"), "http://localhost");
    assert_eq!(
        url("address = \"10.1.2.3\"\n[tls]\ncerts = \"Cargo.toml\"\nkey = \"Cargo.toml\""),
        "https://10.1.2.3:8000"
    );
    assert_eq!(url("public_url = \"https://A.example/\""), "https://a.example");
    assert!(PublicUrl::try_from("https://a.example".to_string()).unwrap().is_https());
}

#[test]
fn weak_settings_are_warned_of() {
    assert!(Config::default().warnings().is_empty());
    let weak = load("insecure_http = true\n[password]\nargon2_memory_kib = 64", &[]).unwrap().config;
    assert_eq!(weak.warnings().len(), 2);
}
