//! What can be called, and how it is written.

use std::fmt;

/// One (provider, model) that can be called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// Key of the provider; holds no `/`.
    pub provider: String,
    /// Name of the model; may hold `/`.
    pub model: String,
}

impl Target {
    /// Splits `provider/model` at the first `/`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (provider, model) = text.split_once('/')?;
        (is_provider_key(provider) && is_model_name(model))
            .then(|| Self { provider: provider.to_owned(), model: model.to_owned() })
    }

    /// Whether this is how it is written.
    pub(crate) fn is(&self, text: &str) -> bool {
        text.strip_prefix(self.provider.as_str()).and_then(|rest| rest.strip_prefix('/')) == Some(&self.model)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.provider)?;
        f.write_str("/")?;
        f.write_str(&self.model)
    }
}

pub(super) fn is_provider_key(key: &str) -> bool {
    (1..=64).contains(&key.len())
        && key.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.'))
}

/// Characters that need no escaping in a structured field.
pub(super) fn is_model_name(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, b'!'..=b'~') && !b"\"\\".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_splits_at_the_first_slash() {
        let target = Target::parse("openrouter/meta/llama").unwrap();
        assert_eq!((target.provider.as_str(), target.model.as_str()), ("openrouter", "meta/llama"));
        assert_eq!(target.to_string(), "openrouter/meta/llama");
        assert!(target.is("openrouter/meta/llama") && !target.is("meta/llama") && !target.is("openrouter/meta"));
        for other in ["openai", "openai/", "/m", "OpenAI/m", "openai/a b"] {
            assert_eq!(Target::parse(other), None, "{other}");
        }
    }
}
