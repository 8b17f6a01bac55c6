//! The options in force, for people: `hallpass check-config`.

use super::load::Loaded;
use super::tree::{defaults, find, known_keys, plain};
use figment::value::{Num, Value};

/// One option as `check-config` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub key: String,
    pub value: String,
    pub default: String,
    /// A file, a variable, or `default`.
    pub source: String,
}

impl Loaded {
    /// Every option with its value, its default and where it was set. A secret's value is never shown.
    pub fn listing(&self) -> Vec<Listed> {
        let (values, defaults) = (plain(&self.config), defaults());
        let shown = |tree, key: &str| find(tree, key).map(show).unwrap_or_default();
        known_keys()
            .into_iter()
            .map(|key| Listed {
                value: shown(&values, &key),
                default: shown(&defaults, &key),
                source: self.sources.get(&key).cloned().unwrap_or_else(|| "default".to_string()),
                key,
            })
            .collect()
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::String(_, text) => format!("{text:?}"),
        Value::Bool(_, yes) => yes.to_string(),
        Value::Num(_, Num::U16(n)) => n.to_string(),
        Value::Num(_, Num::U32(n)) => n.to_string(),
        Value::Array(_, entries) => {
            format!("[{}]", entries.iter().map(show).collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}
