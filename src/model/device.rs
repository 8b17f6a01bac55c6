//! What somebody signs in with, in words that they know again: "Firefox 152 on Linux".

use crate::model::name::cut;
use serde::{Deserialize, Serialize};
use woothee::parser::Parser;

/// No more than this of a User-Agent is looked at, kept or compared.
pub const AGENT_BYTES_MAX: usize = 512;

const UNKNOWN: &str = "Unknown device";
/// The longest name or version that is shown, in bytes: both come from the caller.
const PART_BYTES_MAX: usize = 32;

/// What kind of thing signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    Desktop,
    Mobile,
    Tablet,
    /// A program without a screen: curl, a script, a crawler.
    Tool,
    Unknown,
}

/// A device as its User-Agent describes it. For display only: anybody can say anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub name: String,
    pub kind: DeviceKind,
}

/// What rotation compares: the User-Agent, capped.
pub fn agent_key(user_agent: &str) -> String {
    cut(user_agent, AGENT_BYTES_MAX).to_owned()
}

/// Reads a User-Agent. Never refuses: what it does not know is an unknown device.
pub fn describe(user_agent: &str) -> Device {
    let agent: String = cut(user_agent, AGENT_BYTES_MAX).chars().filter(|c| !c.is_control()).collect();
    let agent = agent.trim();
    if let Some(name) = tool(agent) {
        return Device { name, kind: DeviceKind::Tool };
    }
    let read = Parser::new().parse(agent).unwrap_or_default();
    let kind = match read.category {
        "smartphone" | "mobilephone" if is_tablet(agent) => DeviceKind::Tablet,
        "smartphone" | "mobilephone" => DeviceKind::Mobile,
        "pc" if is_tablet(agent) => DeviceKind::Tablet,
        "pc" => DeviceKind::Desktop,
        "crawler" | "misc" => DeviceKind::Tool,
        _ => DeviceKind::Unknown,
    };
    let name = match (known(read.name), system(read.os)) {
        // There the library has the program's name in the version's place.
        (Some("HTTP Library"), _) => cut(known(read.version).unwrap_or(UNKNOWN), PART_BYTES_MAX).to_owned(),
        (Some(browser), os) => {
            let browser = with_major(browser, known(read.version));
            os.map_or_else(|| browser.clone(), |os| format!("{browser} on {os}"))
        }
        (None, Some(os)) => os.to_owned(),
        (None, None) => UNKNOWN.to_owned(),
    };
    Device { name, kind }
}

/// Programs that name themselves first, as "name/version": curl, HTTPie, python-requests, node and their like.
/// Browsers all begin with "Mozilla/" or "Opera/".
fn tool(agent: &str) -> Option<String> {
    let first = agent.split(' ').next()?;
    let (name, version) = match first.split_once('/') {
        Some((name, version)) => (name, Some(version)),
        None => (first, None),
    };
    let fits = |part: &str, signs: &str| {
        (1..=PART_BYTES_MAX).contains(&part.len())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || signs.contains(c))
    };
    if matches!(name, "Mozilla" | "Opera") || !fits(name, "-_.") {
        return None;
    }
    match version {
        // Two numbers say enough: "curl 8.14".
        Some(version) if fits(version, "-_.+") => {
            Some(format!("{name} {}", version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")))
        }
        Some(_) => None,
        None => matches!(name, "node" | "undici" | "axios" | "got" | "curl" | "Deno" | "Bun")
            .then(|| name.to_owned()),
    }
}

/// The library has no word for tablets.
fn is_tablet(agent: &str) -> bool {
    agent.contains("iPad")
        || agent.contains("Tablet")
        || (agent.contains("Android") && !agent.contains("Mobile"))
        || agent.contains("Kindle")
        || agent.contains("Silk/")
}

fn known(part: &str) -> Option<&str> {
    Some(part).filter(|part| !part.is_empty() && !part.eq_ignore_ascii_case("unknown"))
}

/// The name of a system as people say it.
fn system(os: &str) -> Option<&str> {
    match known(os)? {
        "Mac OSX" => Some("macOS"),
        "iPhone" | "iPod" | "iOS" => Some("iOS"),
        "iPad" => Some("iPadOS"),
        "ChromeOS" => Some("Chrome OS"),
        // Browsers have said "10" ever since and no longer tell 10 from 11.
        windows if windows.starts_with("Windows") && !windows.contains("Phone") => Some("Windows"),
        other => Some(other),
    }
}

fn with_major(browser: &str, version: Option<&str>) -> String {
    let major = version.and_then(|version| version.split('.').next()).filter(|major| !major.is_empty());
    major.map_or_else(|| browser.to_owned(), |major| format!("{browser} {}", cut(major, PART_BYTES_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeviceKind::*;

    #[test]
    fn what_is_not_known_is_an_unknown_device() {
        for agent in
            ["", "-", "\u{0}\u{7}", "<script>alert(1)</script>", "Mozilla/5.0", "ä".repeat(10_000).as_str()]
        {
            assert_eq!(describe(agent), Device { name: "Unknown device".into(), kind: Unknown }, "{agent:?}");
        }
    }

    #[test]
    fn browsers_are_named_with_their_system() {
        for (agent, name, kind) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Gecko/20100101 Firefox/152.0",
                "Firefox 152 on Linux",
                Desktop,
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0.0.0 \
                 Safari/537.36",
                "Chrome 146 on Windows",
                Desktop,
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0.0.0 \
                 Safari/537.36 Edg/146.0.0.0",
                "Edge 146 on Windows",
                Desktop,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/26.0 Safari/605.1.15",
                "Safari 26 on macOS",
                Desktop,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/26.0 Mobile/15E148 Safari/604.1",
                "Safari 26 on iOS",
                Mobile,
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 \
                 Mobile/15E148 Safari/604.1",
                "Safari 26 on iPadOS",
                Tablet,
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0.0.0 Mobile \
                 Safari/537.36",
                "Chrome 146 on Android",
                Mobile,
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0.0.0 \
                 Safari/537.36",
                "Chrome 146 on Android",
                Tablet,
            ),
        ] {
            assert_eq!(describe(agent), Device { name: name.into(), kind }, "{agent}");
        }
    }

    #[test]
    fn tools_are_named_by_themselves() {
        for (agent, name) in [
            ("curl/8.14.1", "curl 8.14"),
            ("HTTPie/3.2.4", "HTTPie 3.2"),
            ("python-requests/2.32.3", "python-requests 2.32"),
            ("Python-urllib/3.13", "Python-urllib 3.13"),
            ("Wget/1.25.0", "Wget 1.25"),
            ("node", "node"),
            ("Go-http-client/1.1", "Go-http-client 1.1"),
            ("PostmanRuntime/7.49", "PostmanRuntime 7.49"),
            ("okhttp/4.12.0", "okhttp 4.12"),
            ("MyApp/2 (Linux)", "MyApp 2"),
        ] {
            assert_eq!(describe(agent), Device { name: name.into(), kind: Tool }, "{agent}");
        }
    }

    #[test]
    fn nothing_a_caller_says_makes_a_long_or_dirty_name() {
        for agent in [format!("Mozilla/5.0 Firefox/{}", "9".repeat(1000)), format!("{}/1", "a".repeat(600))] {
            assert!(describe(&agent).name.len() < 100);
        }
        assert_eq!(describe("cu\r\nrl/8.14\u{1b}[31m").name, "curl");
        assert_eq!(agent_key(&"€".repeat(1000)).len(), 510);
    }
}
