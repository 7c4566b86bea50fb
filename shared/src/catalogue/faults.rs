//! What is wrong with a catalogue, gathered while it is read.

use serde_json::{Map, Value};

use super::{Catalogue, InvalidCatalogue};

/// Faults, a line each: what it is about, and what is wrong there. Lines are concatenated, because formatting would take
/// more room in WebAssembly.
#[derive(Default)]
pub(super) struct Faults {
    subject: String,
    lines: Vec<String>,
}

impl Faults {
    /// What the next faults are about.
    pub(super) fn subject(&mut self, words: &[&str]) {
        self.subject = words.concat();
    }

    pub(super) fn add(&mut self, words: &[&str]) {
        let mut line = [&self.subject, ": "].concat();
        for word in words {
            line.push_str(word);
        }
        self.lines.push(line);
    }

    /// The catalogue, if nothing is wrong with it.
    pub(super) fn or(self, catalogue: Catalogue) -> Result<Catalogue, InvalidCatalogue> {
        if self.lines.is_empty() { Ok(catalogue) } else { Err(InvalidCatalogue(self.lines)) }
    }

    /// An object that has no other members than these.
    pub(super) fn object<'v>(&mut self, value: &'v Value, known: &[&str]) -> Option<&'v Map<String, Value>> {
        let Value::Object(members) = value else {
            self.add(&["must be an object with ", &known.join(", ")]);
            return None;
        };
        for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
            self.add(&["unknown field `", name, "`, known are ", &known.join(", ")]);
        }
        Some(members)
    }

    /// A member that is an object of any names; may be missing.
    pub(super) fn members<'v>(
        &mut self,
        object: &'v Map<String, Value>,
        name: &str,
        most: usize,
    ) -> Option<&'v Map<String, Value>> {
        let value = object.get(name)?;
        let Value::Object(members) = value else {
            self.add(&["`", name, "` must be an object"]);
            return None;
        };
        self.bound(name, members.len(), most);
        Some(members)
    }

    /// A member that is a list; may be missing.
    pub(super) fn list<'v>(&mut self, object: &'v Map<String, Value>, name: &str, most: usize) -> &'v [Value] {
        match object.get(name) {
            None => &[],
            Some(Value::Array(values)) => {
                self.bound(name, values.len(), most);
                values
            }
            Some(_) => {
                self.add(&["`", name, "` must be a list"]);
                &[]
            }
        }
    }

    fn bound(&mut self, name: &str, count: usize, most: usize) {
        if count > most {
            self.add(&["`", name, "` has more than ", &most.to_string()]);
        }
    }

    /// A member that is a text.
    pub(super) fn text<'v>(&mut self, object: &'v Map<String, Value>, name: &str) -> &'v str {
        object.get(name).and_then(Value::as_str).unwrap_or_else(|| {
            self.add(&["`", name, "` must be a text"]);
            ""
        })
    }

    /// A member that is a whole number within bounds; may be missing if there is a default.
    pub(super) fn number(
        &mut self,
        object: &Map<String, Value>,
        name: &str,
        default: Option<u32>,
        least: u32,
        most: u32,
    ) -> u32 {
        let value = match object.get(name) {
            None => default,
            Some(value) => value.as_u64().and_then(|value| u32::try_from(value).ok()),
        };
        value.filter(|value| (least..=most).contains(value)).unwrap_or_else(|| {
            self.add(&["`", name, "` must be a whole number from ", &least.to_string(), " to ", &most.to_string()]);
            least
        })
    }

    /// The same, up to 100.
    pub(super) fn percent(
        &mut self,
        object: &Map<String, Value>,
        name: &str,
        default: Option<u32>,
        least: u8,
        most: u8,
    ) -> u8 {
        u8::try_from(self.number(object, name, default, least.into(), most.into())).unwrap_or(least)
    }

    /// A member that is a list of words, as a set: a bit each for its place in `known`. May be missing.
    pub(super) fn words(&mut self, object: &Map<String, Value>, name: &str, known: &[&str]) -> u8 {
        let mut bits = 0;
        for word in self.list(object, name, known.len()) {
            let word = word.as_str().unwrap_or_default();
            match known.iter().position(|known| *known == word) {
                Some(bit) => bits |= 1 << bit,
                None => self.add(&["`", name, "`: `", word, "` is none of ", &known.join(", ")]),
            }
        }
        bits
    }
}
