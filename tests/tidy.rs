//! Keeps the house tidy: floors, clocks, lengths. Rules that a test keeps need no reviewer's memory.

use std::path::{Path, PathBuf};

const LINES_MAX: usize = 500;
/// Of Rust; of scripts and styles, which no program lays out.
const WIDTH_MAX: usize = 120;
const LAID_OUT_BY_HAND_WIDTH_MAX: usize = 160;

/// Directories that hold what others wrote or what is made.
const NOT_OURS: [&str; 6] = ["target", ".git", "node_modules", "vendor", "data", "results"];

/// A file of ours: its path from the top, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is(&self, kinds: &[&str]) -> bool {
        Path::new(&self.path).extension().is_some_and(|kind| kinds.iter().any(|known| kind == *known))
    }

    /// What ships: without tests.
    fn shipped(&self) -> &str {
        let is_test = self.path.ends_with("/tests.rs") || self.path.contains("/tests/");
        let own = self.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        if is_test { "" } else { own }
    }

    /// The shipped lines with their numbers, comments left out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.shipped().lines().enumerate().map(|(index, line)| (index + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("our own directory").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let is_ours = !NOT_OURS.iter().any(|other| name == *other);
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && is_ours => walk(&path, found),
            Ok(kind) if kind.is_file() && is_ours => found.push(path),
            _ => {}
        }
    }
}

/// Every text of ours below a directory.
fn sources(below: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    walk(&top().join(below), &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).ok()?;
        let path = path.strip_prefix(top()).ok()?.to_str()?.to_owned();
        Some(Source { path, text })
    };
    let found: Vec<_> = paths.into_iter().filter_map(read).collect();
    assert!(!found.is_empty(), "nothing below {below}");
    found
}

fn rust() -> Vec<Source> {
    sources("src").into_iter().filter(|source| source.is(&["rs"])).collect()
}

#[track_caller]
fn none(faults: Vec<String>, rule: &str) {
    assert!(faults.is_empty(), "{rule}:\n{}", faults.join("\n"));
}

/// How far right a module of the crate stands; the ones beside the floors have places of their own.
fn floor(module: &str) -> Option<usize> {
    Some(match module {
        "model" => 0,
        "store" => 1,
        "auth" => 2,
        "web" | "console" => 3,
        "start" | "serve" | "cli" | "main" | "lib" => 4,
        _ => return None,
    })
}

/// Who may use what stands beside the floors.
fn may_use_beside(user: &str, beside: &str, line: &str) -> bool {
    match beside {
        "clock" => match user {
            // To measure how long something takes is not to ask what time it is.
            "store" | "web" => line.contains("Stopwatch"),
            user => ["auth", "start", "serve", "cli", "logging", "clock"].contains(&user),
        },
        // Numbers that anyone may count up.
        "tally" => true,
        "entropy" => ["auth", "start", "serve", "cli", "entropy"].contains(&user),
        "config" | "logging" => !["model", "store", "auth", "clock", "entropy"].contains(&user),
        _ => false,
    }
}

/// The modules of the crate that a line names: `crate::web::…`, `crate::{serve, web}`.
fn modules_in(line: &str) -> impl Iterator<Item = &str> {
    let first_word =
        |text: &'_ str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    line.split("crate::").skip(1).flat_map(move |rest| {
        let group = rest.strip_prefix('{').map(|group| group.split('}').next().unwrap_or(group));
        let names = group.map_or_else(|| vec![rest], |group| group.split(',').map(str::trim).collect());
        names.into_iter().map(move |name| &name[..first_word(name)]).filter(|name| !name.is_empty())
    })
}

fn module_of(path: &str) -> &str {
    path.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default()
}

#[test]
fn every_floor_uses_only_floors_to_its_left() {
    let mut faults = Vec::new();
    for source in rust() {
        let user = module_of(&source.path);
        for (number, line) in source.code() {
            for used in modules_in(line) {
                let fits = match (floor(user), floor(used)) {
                    (Some(user), Some(used)) => used <= user,
                    // What stands beside the floors may know the model's values, and the start knows all.
                    (None, Some(used)) => used == 0 || user == "config",
                    (_, None) => may_use_beside(user, used, line),
                };
                if !fits {
                    faults.push(format!("{}:{number}: {}", source.path, line.trim()));
                }
            }
        }
    }
    none(faults, "each floor uses only floors to its left");
}

#[test]
fn every_library_stays_on_its_floor() {
    let homes: [(&str, &[&str]); 6] = [
        ("sled", &["src/store/"]),
        ("rocket", &["src/web/"]),
        ("argon2", &["src/auth/hasher"]),
        ("bcrypt", &["src/auth/hasher"]),
        ("scrypt", &["src/auth/hasher"]),
        ("jsonwebtoken", &["src/auth/jwt/"]),
    ];
    let mut faults = Vec::new();
    for source in rust() {
        for (library, homes) in homes {
            let is_home = homes.iter().any(|home| source.path.starts_with(home));
            let path = format!("{library}::");
            // `crate::web::rocket` is ours, `rocket::` is the library.
            let names = |line: &str| {
                line.match_indices(&path).any(|(at, _)| {
                    let before = line[..at].chars().next_back().unwrap_or(' ');
                    !before.is_alphanumeric() && !['_', ':'].contains(&before)
                })
            };
            for (number, line) in source.code().filter(|(_, line)| !is_home && names(line)) {
                faults.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    none(faults, "each library is known on one floor only");
}

#[test]
fn time_and_randomness_are_asked_for_in_one_place_each() {
    let banned: [(&str, &[&str]); 9] = [
        ("SystemTime::now", &["src/clock.rs"]),
        ("Instant::now", &["src/clock.rs"]),
        ("Utc::now", &["src/clock.rs"]),
        ("Local::now", &["src/clock.rs"]),
        ("getrandom", &["src/entropy.rs"]),
        ("rand::", &["src/entropy.rs", "src/auth/jwt/key.rs"]),
        ("OsRng", &["src/entropy.rs"]),
        ("now_v7", &[]),
        // The library takes no other source for its own keys and signatures.
        ("SystemRandom", &["src/auth/jwt/key.rs"]),
    ];
    let mut faults = Vec::new();
    for source in rust() {
        for (call, homes) in banned.iter().filter(|(_, homes)| !homes.contains(&source.path.as_str())) {
            for (number, line) in source.code().filter(|(_, line)| line.contains(call)) {
                faults.push(format!("{}:{number}: {} (only in {homes:?})", source.path, line.trim()));
            }
        }
    }
    none(faults, "tests own time and randomness");
}

#[test]
fn no_file_is_long_and_no_line_is_wide() {
    let mut faults = Vec::new();
    let kinds = ["rs", "js", "mjs", "css", "html", "sh"];
    for source in sources("").iter().filter(|source| source.is(&kinds)) {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            faults.push(format!("{}: {lines} lines", source.path));
        }
        let width_max = if source.is(&["rs"]) {
            WIDTH_MAX
        } else if source.is(&["html"]) {
            // In pages a sentence stands on one line, however long.
            usize::MAX
        } else {
            LAID_OUT_BY_HAND_WIDTH_MAX
        };
        let wide = source.text.lines().enumerate().filter(|(_, line)| line.chars().count() > width_max);
        faults.extend(wide.map(|(index, _)| format!("{}:{}: too wide", source.path, index + 1)));
    }
    none(faults, "at most 500 lines, and none too wide to read");
}

#[test]
fn nothing_is_left_half_done() {
    let unfinished =
        [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("db", "g!("), concat!("FIX", "ME")];
    let mut faults = Vec::new();
    for source in sources("").iter().filter(|source| source.is(&["rs", "js", "mjs", "css", "html", "sh"])) {
        for (index, line) in source.text.lines().enumerate() {
            let ignored = line.trim() == concat!("#[ign", "ore]");
            if ignored || unfinished.iter().any(|word| line.contains(word)) {
                faults.push(format!("{}:{}: {}", source.path, index + 1, line.trim()));
            }
        }
    }
    none(faults, "no stubs, and whoever switches a test off says why");
}

#[test]
fn what_ships_does_not_panic_without_a_word() {
    let mut faults = Vec::new();
    for source in rust() {
        for (number, line) in source.code() {
            if line.contains(".unwrap()") || line.contains(".expect(\"\")") || line.contains("panic!()") {
                faults.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    none(faults, "say what cannot be: expect(\"…\")");
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = |source: &Source| !source.text.starts_with("//!") || source.text.starts_with("//!\n");
    let faults = rust().into_iter().filter(silent).map(|source| source.path).collect();
    none(faults, "each file begins with its purpose");
}

#[test]
fn no_text_names_a_place_on_somebodys_machine() {
    let places =
        [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("C:\\Us", "ers")];
    let mut faults = Vec::new();
    for source in sources("") {
        // Versions of what others publish are theirs.
        if source.path.ends_with("package-lock.json") {
            continue;
        }
        for (index, line) in source.text.lines().enumerate() {
            if places.iter().any(|place| line.contains(place)) {
                faults.push(format!("{}:{}: {}", source.path, index + 1, line.trim()));
            }
        }
    }
    none(faults, "the project speaks only of itself");
}
