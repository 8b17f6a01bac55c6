//! The pages under `static/`: unit tests, type check and browser suites. All of them are node's; see `tests/ui`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui")
}

/// Runs `node` with these arguments in `tests/ui`. Where something is missing the check is skipped, which is said on
/// the terminal past the test harness; a machine that sets `CI=true` must have it all.
fn node(arguments: &[&str], needs_browser: bool) {
    if let Some(missing) = missing(needs_browser) {
        let skipped = format!("SKIPPED: node {} in tests/ui: {missing}\n", arguments.join(" "));
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{skipped}");
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
        return;
    }
    let status = Command::new("node")
        .args(arguments)
        .current_dir(home())
        .env("HALLPASS_BIN", env!("CARGO_BIN_EXE_hallpass"))
        .env("CHROMIUM", browser())
        .status()
        .unwrap();
    assert!(status.success(), "node {}: {status}", arguments.join(" "));
}

fn browser() -> String {
    std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".into())
}

fn missing(needs_browser: bool) -> Option<String> {
    let runs = |program: &str| {
        let quiet =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        quiet.is_ok_and(|status| status.success())
    };
    if !runs("node") {
        return Some("there is no node".into());
    }
    if !home().join("node_modules/typescript").exists() {
        return Some("its packages are not installed: npm ci --prefix tests/ui".into());
    }
    let browser = browser();
    (needs_browser && !runs(&browser)).then(|| format!("{browser} does not run: set CHROMIUM, or install it"))
}

#[test]
fn the_scripts_pass_their_unit_tests() {
    node(&["--test", "unit/"], false);
}

#[test]
fn the_scripts_pass_the_type_check() {
    node(&["node_modules/typescript/bin/tsc", "-p", "jsconfig.json"], false);
}

#[test]
fn the_pages_pass_the_browser_suites() {
    node(&["e2e/run.mjs"], true);
}
