//! Layers the options: built-in default, then the file, then the variables. Says precisely what is wrong in them.

use super::Config;
use super::error::{ConfigError, ConfigErrors};
use super::tree::{defaults, find, known_keys, put};
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Map, Num, Value};
use figment::{Figment, Metadata, Profile, Provider};
use std::collections::BTreeMap;
use std::path::Path;

/// The file that is read from the working directory when none is named.
pub const FILE_NAME: &str = "Rocket.toml";
const PREFIX: &str = "HALLPASS_";

/// A configuration that may be used, and where each of its options was set.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// By dotted key; an option that is missing here has its default.
    pub sources: BTreeMap<String, String>,
}

impl Config {
    /// Reads the options: from `file`, or else from `Rocket.toml` in the working directory where there is one, and
    /// from the `HALLPASS_…` variables in `env`.
    ///
    /// # Errors
    /// Everything that is unknown, of the wrong kind, out of range or contradictory, with key, source and remedy.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Loaded, ConfigErrors> {
        let defaults = defaults();
        let mut errors = Vec::new();
        let mut sources = BTreeMap::new();

        let path = file.unwrap_or(Path::new(FILE_NAME));
        let mut from_file = Dict::new();
        if file.is_some() || path.exists() {
            from_file = read_file(path)?;
            let shown = path.display().to_string();
            let place = |_: &str| shown.clone();
            compare(&from_file, &defaults, "", &place, &mut errors, &mut sources);
        }
        let from_env = read_env(env, &defaults, &mut errors, &mut sources);
        if !errors.is_empty() {
            return Err(ConfigErrors(errors));
        }

        let config: Config = Self::figment(from_file, from_env)
            .extract()
            .map_err(|error| ConfigErrors(error.into_iter().map(|e| of_figment(&e, &sources)).collect()))?;
        let mut errors = config.check(&sources);
        if errors.is_empty() {
            errors = config.unreadable(&sources);
        }
        if errors.is_empty() { Ok(Loaded { config, sources }) } else { Err(ConfigErrors(errors)) }
    }

    /// The layers, weakest first.
    fn figment(file: Dict, env: Dict) -> Figment {
        Figment::from(Serialized::defaults(Self::default())).merge(Layer(file)).merge(Layer(env))
    }
}

/// This process's `HALLPASS_…` variables, for [`Config::load`].
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}

struct Layer(Dict);

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named("configuration")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.0.clone()))
    }
}

fn read_file(path: &Path) -> Result<Dict, ConfigErrors> {
    let wrong = |problem: String, remedy: &str| {
        ConfigErrors(vec![ConfigError {
            key: "--config".into(),
            source: path.display().to_string(),
            problem,
            remedy: remedy.into(),
        }])
    };
    let text = std::fs::read_to_string(path)
        .map_err(|e| wrong(format!("cannot be read: {e}"), "Name a file that exists and is readable"))?;
    let mut profiles = Toml::string(&text).data().map_err(|e| {
        let problem = format!("is no TOML: {}", e.kind.to_string().trim_end());
        wrong(problem, "Compare the line with the commented Rocket.toml")
    })?;
    Ok(profiles.remove(&Profile::Default).unwrap_or_default())
}

/// Every leaf of `given` must be known and of the kind of its default.
fn compare(
    given: &Dict,
    defaults: &Dict,
    prefix: &str,
    place: &dyn Fn(&str) -> String,
    errors: &mut Vec<ConfigError>,
    sources: &mut BTreeMap<String, String>,
) {
    for (name, value) in given {
        let key = format!("{prefix}{name}");
        match (defaults.get(name), value) {
            (None, _) => errors.push(unknown(&key, place(&key), |known| format!("`{known}`"))),
            (Some(Value::Dict(_, inner)), Value::Dict(_, value)) => {
                compare(value, inner, &format!("{key}."), place, errors, sources);
            }
            (Some(default), value) if kind(default) == kind(value) => {
                sources.insert(key.clone(), place(&key));
            }
            (Some(default), value) => errors.push(ConfigError {
                source: place(&key),
                problem: format!("is {}", kind(value)),
                remedy: format!("Give {}", kind(default)),
                key,
            }),
        }
    }
}

/// What an operator calls the kind of a value.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(..) | Value::Char(..) => "a text in quotes",
        Value::Bool(..) => "true or false",
        Value::Num(_, Num::F32(_) | Num::F64(_)) => "a number with a fraction",
        Value::Num(..) => "a whole number",
        Value::Array(..) => "a list of texts",
        Value::Dict(..) => "a table",
        Value::Empty(..) => "nothing",
    }
}

/// The variables as a tree. Each is read as the kind of its option, so that a text may look like a number.
fn read_env(
    env: impl IntoIterator<Item = (String, String)>,
    defaults: &Dict,
    errors: &mut Vec<ConfigError>,
    sources: &mut BTreeMap<String, String>,
) -> Dict {
    let mut tree = Dict::new();
    for (variable, text) in env {
        let Some(name) = variable.strip_prefix(PREFIX) else {
            continue;
        };
        let key = name.to_ascii_lowercase().replace("__", ".");
        let default = match name.chars().any(|c| c.is_ascii_lowercase()) {
            true => None,
            false => find(defaults, &key),
        };
        let value = match default {
            Some(Value::String(..)) => Some(Value::from(text.as_str())),
            Some(Value::Bool(..)) => match text.as_str() {
                "true" | "1" => Some(Value::from(true)),
                "false" | "0" => Some(Value::from(false)),
                _ => None,
            },
            Some(Value::Num(..)) => text.parse::<u64>().ok().map(Value::from),
            Some(Value::Array(..)) => Some(Value::from(list(&text))),
            _ => {
                let spelled = |known: &str| variable_of(known);
                errors.push(unknown(&key, format!("variable {variable}"), spelled));
                continue;
            }
        };
        match (value, default) {
            (Some(value), _) => {
                put(&mut tree, &key, value);
                sources.insert(key, format!("variable {variable}"));
            }
            (None, default) => errors.push(ConfigError {
                key,
                source: format!("variable {variable}"),
                problem: format!("{text:?} does not fit"),
                remedy: format!("Give {}", default.map_or("nothing", kind)),
            }),
        }
    }
    tree
}

/// Entries separated by commas; brackets and quotes, as in the file, are allowed around them.
fn list(text: &str) -> Vec<String> {
    let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
    let entries = inner.split(',').map(|entry| entry.trim().trim_matches(['"', '\'']).to_string());
    entries.filter(|entry| !entry.is_empty()).collect()
}

fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

fn unknown(key: &str, source: String, spelled: impl Fn(&str) -> String) -> ConfigError {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_string();
    let nearest = known_keys()
        .into_iter()
        .map(|known| {
            let other_table = if last(&known) == last(key) { 1 } else { usize::MAX };
            (distance(&known, key).min(other_table), known)
        })
        .min();
    let remedy = match nearest {
        _ if ["default", "global", "debug", "release"].contains(&key) => {
            "Options stand without a profile: remove the table's name".to_string()
        }
        Some((distance, known)) if distance <= 3 => format!("Perhaps {} was meant", spelled(&known)),
        _ => "Remove it; Rocket.toml lists all options".to_string(),
    };
    ConfigError { key: key.to_string(), source, problem: "is unknown".to_string(), remedy }
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

/// What figment's own reading refused: numbers beyond their type, and texts that are no such thing.
fn of_figment(error: &figment::Error, sources: &BTreeMap<String, String>) -> ConfigError {
    let mut key = error.path.join(".");
    while !sources.contains_key(&key)
        && let Some((shorter, _)) = key.rsplit_once('.')
    {
        key = shorter.to_string();
    }
    let source = sources.get(&key).cloned().unwrap_or_else(|| "default".to_string());
    let remedy = match super::check::range_of(&key) {
        Some((least, most)) => format!("Give a whole number from {least} to {most}"),
        None => "Compare it with the commented Rocket.toml".to_string(),
    };
    ConfigError { key, source, problem: error.kind.to_string(), remedy }
}
