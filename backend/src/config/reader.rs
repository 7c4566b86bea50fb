//! Hands out settings by name, and keeps account of what is asked for, what is wrong and what is in effect.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use super::{
    fault::{ConfigFaults, Fault},
    value::{MASK, Value, shown_fault},
};

/// A value as it was written.
#[derive(Clone, Debug)]
pub(super) enum Raw {
    /// In a variable or on the command line.
    Text(String),
    /// In the file.
    Toml(toml::Value),
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) raw: Raw,
    pub(super) source: String,
}

/// A value that is in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effective {
    name: String,
    value: String,
    source: String,
}

impl Effective {
    /// For programs.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "name": self.name, "value": self.value, "source": self.source })
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}  ({})", self.name, self.value, self.source)
    }
}

/// The settings that have not been asked for yet.
pub(super) struct Reader {
    settings: BTreeMap<Vec<String>, Setting>,
    known: BTreeSet<String>,
    faults: Vec<Fault>,
    effective: Vec<Effective>,
}

impl Reader {
    pub(super) fn new(settings: BTreeMap<Vec<String>, Setting>, faults: Vec<Fault>) -> Self {
        Self { settings, known: BTreeSet::new(), faults, effective: Vec::new() }
    }

    /// The value of a setting, or its default.
    pub(super) fn or<T: Value>(&mut self, path: &[&str], default: T) -> T {
        let known_faults = self.faults.len();
        if let Some(value) = self.optional(path) {
            return value;
        }
        // A value that cannot be read is not replaced by the default in what is shown.
        if self.faults.len() == known_faults {
            self.tell(path, &default, "default".to_owned());
        }
        default
    }

    /// A duration that must not be nothing.
    pub(super) fn nonzero(&mut self, path: &[&str], default: Duration) -> Duration {
        let duration = self.or(path, default);
        if duration.is_zero() {
            self.fault_of(path, "must be longer than nothing");
        }
        duration
    }

    /// The value of a setting that has no default. A fault in it is noted, and `None` returned.
    pub(super) fn optional<T: Value>(&mut self, path: &[&str]) -> Option<T> {
        let name = path.join(".");
        self.known.insert(name.clone());
        let path_owned: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        let Setting { raw, source } = self.settings.remove(&path_owned)?;
        let (read, written) = match &raw {
            Raw::Text(text) => (T::from_text(text), text.clone()),
            Raw::Toml(value) => (T::from_toml(value), value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
        };
        match read {
            Ok(value) => {
                self.tell(path, &value, source);
                Some(value)
            }
            Err(reason) => {
                self.faults.push(Fault { name, source: Some(source), value: Some(shown_fault::<T>(&written)), reason });
                None
            }
        }
    }

    /// Notes a fault that is seen only when several settings are looked at together.
    pub(super) fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Notes a fault of a setting that was read.
    pub(super) fn fault_of(&mut self, path: &[&str], reason: impl Into<String>) {
        let name = path.join(".");
        let effective = self.effective.iter().find(|effective| effective.name == name);
        let (source, value) = match effective {
            Some(effective) => (Some(effective.source.clone()), Some(effective.value.clone())),
            None => (None, None),
        };
        self.faults.push(Fault { name, source, value, reason: reason.into() });
    }

    /// Whether anything is set under this path.
    pub(super) fn has(&self, path: &[&str]) -> bool {
        self.settings.keys().any(|key| key.iter().map(String::as_str).take(path.len()).eq(path.iter().copied()))
    }

    /// Takes what is set under a section, as names of its next level with their first source.
    pub(super) fn names_under(&self, section: &str) -> BTreeMap<String, String> {
        let mut names = BTreeMap::new();
        for (path, setting) in &self.settings {
            if let [first, second, _, ..] = path.as_slice()
                && first == section
            {
                names.entry(second.clone()).or_insert_with(|| setting.source.clone());
            }
        }
        names
    }

    /// The names of the level below a path that have something set under them.
    pub(super) fn names_below(&self, path: &[&str]) -> BTreeSet<String> {
        let below = |key: &Vec<String>| {
            let is_below = key.len() > path.len() + 1 && key.iter().zip(path).all(|(one, other)| one == other);
            is_below.then(|| key[path.len()].clone())
        };
        self.settings.keys().filter_map(below).collect()
    }

    /// Drops all settings under a path, because one fault has been noted for them together.
    pub(super) fn discard(&mut self, section: &str, name: &str) {
        self.settings.retain(|path, _| !(path.len() > 2 && path[0] == section && path[1] == name));
    }

    /// Makes a name known that is not asked for this time, for the sake of good advice.
    pub(super) fn know(&mut self, path: &[&str]) {
        self.known.insert(path.join("."));
    }

    /// Notes what is in effect without a setting of ours.
    pub(super) fn tell_variable(&mut self, name: &str, value: &str) {
        self.effective.push(Effective {
            name: name.to_owned(),
            value: value.to_owned(),
            source: "environment".to_owned(),
        });
    }

    fn tell<T: Value>(&mut self, path: &[&str], value: &T, source: String) {
        let value = if T::SECRET { MASK.to_owned() } else { value.show() };
        self.effective.push(Effective { name: path.join("."), value, source });
    }

    /// All that was asked for.
    #[cfg(test)]
    pub(super) fn known(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(String::as_str)
    }

    /// The default that a setting has.
    #[cfg(test)]
    pub(super) fn default_of(&self, name: &str) -> Option<&str> {
        let is_it = |effective: &&Effective| effective.name == name && effective.source == "default";
        self.effective.iter().find(is_it).map(|effective| effective.value.as_str())
    }

    /// Whether something is wrong so far.
    pub(super) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// The faults of what was asked for, if there are any. What nobody asked for is left to those who read all.
    pub(super) fn finish_section(self) -> Result<(), ConfigFaults> {
        if self.faults.is_empty() { Ok(()) } else { Err(ConfigFaults(self.faults)) }
    }

    /// Everything that is in effect; or all faults, what nobody asked for among them.
    pub(super) fn finish(mut self) -> Result<Vec<Effective>, ConfigFaults> {
        for (path, setting) in std::mem::take(&mut self.settings) {
            let name = path.join(".");
            let reason = match self.nearest(&name) {
                Some(near) if near == name => "does not belong to this family of providers".to_owned(),
                Some(near) => format!("no such setting; did you mean `{near}`?"),
                None => "no such setting".to_owned(),
            };
            // Its value is not shown: a key under a misspelt name is a key all the same.
            self.faults.push(Fault::without_value(name, Some(setting.source), reason));
        }
        if self.faults.is_empty() { Ok(self.effective) } else { Err(ConfigFaults(self.faults)) }
    }

    fn nearest(&self, name: &str) -> Option<&str> {
        let closest = self.known.iter().map(|known| (distance(known, name), known)).min()?;
        // Further away than a third of its length, it is another word.
        (closest.0 <= name.len() / 3).then_some(closest.1.as_str())
    }
}

/// Levenshtein's distance: insertions, deletions and replacements of one byte.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, right) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("listen", "listne"), 2);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
