//! The options as a tree of plain values, by dotted keys.

use super::Config;
use figment::value::{Dict, Value};

/// The options with their defaults, as plain values: what exists, and of which kind it is.
pub(super) fn defaults() -> Dict {
    plain(&Config::default())
}

pub(super) fn plain(config: &Config) -> Dict {
    let value = Value::serialize(config).expect("options are plain numbers, texts, lists and tables");
    value.into_dict().expect("a struct serializes as a table")
}

pub(super) fn find<'a>(tree: &'a Dict, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => tree.get(key),
        Some((table, rest)) => match tree.get(table)? {
            Value::Dict(_, inner) => find(inner, rest),
            _ => None,
        },
    }
}

pub(super) fn put(tree: &mut Dict, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(tree.insert(key.to_string(), value)),
        Some((table, rest)) => {
            let inner = tree.entry(table.to_string()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// Every option as a dotted key.
pub(super) fn known_keys() -> Vec<String> {
    fn walk(tree: &Dict, prefix: &str, out: &mut Vec<String>) {
        for (name, value) in tree {
            match value {
                Value::Dict(_, inner) => walk(inner, &format!("{prefix}{name}."), out),
                _ => out.push(format!("{prefix}{name}")),
            }
        }
    }
    let mut out = Vec::new();
    walk(&defaults(), "", &mut out);
    out
}
