//! What is wrong with the options, and the remedy.

use std::fmt;

/// One thing that is wrong with one option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub key: String,
    pub source: String,
    pub problem: String,
    pub remedy: String,
}

/// Everything that is wrong: the appliance does not start.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let ConfigError { key, source, problem, remedy } = error;
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}option `{key}` ({source}): {problem}. {remedy}.")?;
        }
        Ok(())
    }
}
