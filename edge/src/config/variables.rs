//! Reads the Worker's variables and secrets, and gathers what is wrong with them. Values are never repeated, as they may
//! be secret.

use std::{ops::RangeInclusive, str::FromStr};

/// Gives the value of a variable or secret by its name.
pub struct Variables<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Variables<'a> {
    /// Reads through `get`.
    #[must_use]
    pub fn new(get: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { get }
    }

    /// A value without the blanks around it; what is empty is not there.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        (self.get)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// Values with commas between.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    /// Values with commas between, each as `read` understands it.
    pub fn list<T>(
        &self,
        name: &str,
        faults: &mut Vec<String>,
        what: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let mut list = Vec::new();
        for (index, text) in self.texts(name).iter().enumerate() {
            match read(text) {
                Some(value) => list.push(value),
                None => faults.push(format!("{name}: entry {} is not {what}", index + 1)),
            }
        }
        list
    }

    /// A whole number.
    pub fn number<T>(&self, name: &str, default: T, range: RangeInclusive<T>, faults: &mut Vec<String>) -> T
    where
        T: FromStr + PartialOrd + std::fmt::Display + Copy,
    {
        let Some(text) = self.text(name) else { return default };
        text.parse().ok().filter(|value| range.contains(value)).unwrap_or_else(|| {
            faults.push(format!("{name} must be a whole number from {} to {}", range.start(), range.end()));
            default
        })
    }

    /// One of several words.
    pub fn choice<T: Copy>(&self, name: &str, default: T, words: &[(&str, T)], faults: &mut Vec<String>) -> T {
        let Some(text) = self.text(name) else { return default };
        words.iter().find(|(word, _)| *word == text).map_or_else(
            || {
                let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                faults.push(format!("{name} must be {}", words.join(" or ")));
                default
            },
            |(_, value)| *value,
        )
    }
}
