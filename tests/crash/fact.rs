//! What is known of one thing: what was answered, and what was asked for without an answer.

use serde_json::Value;

/// The states that a thing may have: one once it was answered, several while an answer is outstanding.
#[derive(Clone, Debug)]
pub struct Fact(Vec<Value>);

impl Fact {
    pub fn is(value: impl Into<Value>) -> Self {
        Self(vec![value.into()])
    }

    /// An act begins that makes this of it. Until its answer both are possible.
    pub fn intend(&mut self, next: impl Into<Value>) {
        self.0.push(next.into());
    }

    /// The act was answered.
    pub fn settle(&mut self) {
        self.0.drain(..self.0.len() - 1);
    }

    /// What it is, or is to become.
    pub fn last(&self) -> &Value {
        self.0.last().expect("a fact has a value")
    }

    /// Takes in what the program says after its death; a fault when nobody was told so.
    pub fn meet(&mut self, said: Value) -> Option<String> {
        let fault = (!self.0.contains(&said)).then(|| format!("{said} instead of {:?}", self.0));
        self.0 = vec![said];
        fault
    }
}
