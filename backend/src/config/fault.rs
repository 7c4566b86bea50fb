//! What is wrong with the configuration.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The setting, `section.field`, or a variable's name.
    pub(super) name: String,
    /// Where its value came from; absent when there is none.
    pub(super) source: Option<String>,
    /// The value, masked if it may be secret; absent when it is not what is wrong.
    pub(super) value: Option<String>,
    /// Why it cannot be used, and what can.
    pub(super) reason: String,
}

impl Fault {
    /// A fault that is not about a value.
    pub(super) fn without_value(name: impl Into<String>, source: Option<String>, reason: impl Into<String>) -> Self {
        Self { name: name.into(), source, value: None, reason: reason.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if let Some(source) = &self.source {
            write!(f, " ({source})")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// All that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigFaults(pub(super) Vec<Fault>);

impl ConfigFaults {
    /// Each in a line, for programs.
    pub(crate) fn to_texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "" } else { "s" };
        write!(f, "the configuration is not valid, {} fault{plural}:", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for ConfigFaults {}
