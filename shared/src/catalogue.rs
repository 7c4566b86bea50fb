//! The catalogue: which providers and models there are. One JSON file for edge and backend, versioned.
//!
//! Base URLs, keys and timeouts are not here: they are the backend's configuration alone.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The catalogue that is built into both programs.
pub const BUILT_IN: &str = include_str!("../catalogue.json");

/// A valid catalogue.
#[derive(Clone, Debug)]
pub struct Catalogue {
    version: String,
    providers: BTreeMap<String, Provider>,
    models: Vec<Model>,
    aliases: BTreeMap<String, Target>,
}

/// A provider. How it is called is the backend's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// For people.
    pub title: String,
}

/// A model of a provider.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Key of the provider.
    pub provider: String,
    /// What clients call it, and the provider too unless the backend's configuration maps it.
    pub name: String,
    /// Prompt and answer together, in tokens.
    pub context_window: u32,
    /// Longest answer in tokens.
    pub max_output_tokens: u32,
}

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
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

/// All that is wrong with a catalogue, one line each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the catalogue is not valid:\n  {}", .0.join("\n  "))]
pub struct InvalidCatalogue(pub Vec<String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: String,
    providers: BTreeMap<String, Provider>,
    models: Vec<Model>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
}

impl Catalogue {
    /// Reads and validates a catalogue; all faults are reported at once.
    pub fn parse(json: &str) -> Result<Self, InvalidCatalogue> {
        let wire: Wire = serde_json::from_str(json).map_err(|error| InvalidCatalogue(vec![error.to_string()]))?;
        let mut faults = Vec::new();
        if wire.version.is_empty() || !wire.version.bytes().all(|byte| matches!(byte, b'!'..=b'~')) {
            faults.push("`version` must be printable ASCII without spaces".to_owned());
        }
        for key in wire.providers.keys().filter(|key| !is_provider_key(key)) {
            faults.push(format!("provider `{key}`: use 1 to 64 of a-z 0-9 _ - ."));
        }
        if wire.models.is_empty() {
            faults.push("`models` is empty".to_owned());
        }
        for (index, model) in wire.models.iter().enumerate() {
            let name = format!("model `{}/{}`", model.provider, model.name);
            if !is_model_name(&model.name) {
                faults.push(format!("{name}: use 1 to 128 printable ASCII characters without spaces or quotes"));
            }
            if !wire.providers.contains_key(&model.provider) {
                faults.push(format!("{name}: no such provider"));
            }
            if wire.models[..index].iter().any(|other| other.provider == model.provider && other.name == model.name) {
                faults.push(format!("{name}: listed twice"));
            }
            if model.max_output_tokens == 0 || model.max_output_tokens > model.context_window {
                faults.push(format!("{name}: `max_output_tokens` must be 1 to `context_window`"));
            }
        }
        let mut aliases = BTreeMap::new();
        for (alias, target) in wire.aliases {
            if wire.models.iter().any(|model| model.name == alias) {
                faults.push(format!("alias `{alias}`: a model has this name"));
            }
            let known = Target::parse(&target).filter(|target| {
                wire.models.iter().any(|model| model.provider == target.provider && model.name == target.model)
            });
            match known {
                Some(target) => drop(aliases.insert(alias, target)),
                None => faults.push(format!("alias `{alias}`: `{target}` is no model of this catalogue")),
            }
        }
        if faults.is_empty() {
            Ok(Self { version: wire.version, providers: wire.providers, models: wire.models, aliases })
        } else {
            Err(InvalidCatalogue(faults))
        }
    }

    /// Which edition it is; travels with every plan.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The providers by key.
    pub fn providers(&self) -> impl Iterator<Item = (&str, &Provider)> {
        self.providers.iter().map(|(key, provider)| (key.as_str(), provider))
    }

    /// The models, in the order of the file.
    #[must_use]
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The model of a target, if it is listed.
    #[must_use]
    pub fn model(&self, target: &Target) -> Option<&Model> {
        self.models.iter().find(|model| model.provider == target.provider && model.name == target.model)
    }

    /// The aliases, with what they stand for.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &Target)> {
        self.aliases.iter().map(|(alias, target)| (alias.as_str(), target))
    }

    /// What a client's `model` means: an alias, `provider/model`, or a name (the first provider that lists it).
    #[must_use]
    pub fn resolve(&self, asked: &str) -> Option<Target> {
        if let Some(target) = self.aliases.get(asked) {
            return Some(target.clone());
        }
        let model = self.models.iter().find(|model| {
            let qualified = asked.strip_prefix(model.provider.as_str()).and_then(|rest| rest.strip_prefix('/'));
            model.name == asked || qualified == Some(model.name.as_str())
        })?;
        Some(Target { provider: model.provider.clone(), model: model.name.clone() })
    }
}

fn is_provider_key(key: &str) -> bool {
    (1..=64).contains(&key.len())
        && key.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.'))
}

/// Characters that need no escaping in a structured field.
fn is_model_name(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, b'!'..=b'~') && !b"\"\\".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_is_valid() {
        let catalogue = Catalogue::parse(BUILT_IN).unwrap();
        assert_eq!(catalogue.resolve("auto"), Target::parse("demo/goblin-demo"));
        assert_eq!(catalogue.resolve("goblin-demo"), Target::parse("demo/goblin-demo"));
        assert_eq!(catalogue.resolve("openai/gpt-4o-mini"), Target::parse("openai/gpt-4o-mini"));
        assert_eq!(catalogue.resolve("demo/gpt-4o-mini"), None);
        assert_eq!(catalogue.resolve(""), None);
        for (alias, target) in catalogue.aliases() {
            assert_eq!(catalogue.resolve(alias).as_ref(), Some(target));
        }
        for model in catalogue.models() {
            let target = catalogue.resolve(&format!("{}/{}", model.provider, model.name)).unwrap();
            assert_eq!(catalogue.model(&target), Some(model));
        }
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let json = r#"{
            "version": "",
            "providers": { "UPPER": { "title": "" } },
            "models": [
                { "provider": "none", "name": "a b", "context_window": 1, "max_output_tokens": 2 },
                { "provider": "UPPER", "name": "m", "context_window": 1, "max_output_tokens": 1 },
                { "provider": "UPPER", "name": "m", "context_window": 1, "max_output_tokens": 1 }
            ],
            "aliases": { "m": "UPPER/m", "x": "nowhere" }
        }"#;
        insta::assert_snapshot!(Catalogue::parse(json).unwrap_err(), @r"
        the catalogue is not valid:
          `version` must be printable ASCII without spaces
          provider `UPPER`: use 1 to 64 of a-z 0-9 _ - .
          model `none/a b`: use 1 to 128 printable ASCII characters without spaces or quotes
          model `none/a b`: no such provider
          model `none/a b`: `max_output_tokens` must be 1 to `context_window`
          model `UPPER/m`: listed twice
          alias `m`: a model has this name
          alias `m`: `UPPER/m` is no model of this catalogue
          alias `x`: `nowhere` is no model of this catalogue
        ");
    }

    #[test]
    fn misspelt_members_are_refused() {
        let error = Catalogue::parse(r#"{"version":"1","providers":{},"models":[],"alias":{}}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `alias`"), "{error}");
    }

    #[test]
    fn a_target_splits_at_the_first_slash() {
        let target = Target::parse("openrouter/meta/llama").unwrap();
        assert_eq!((target.provider.as_str(), target.model.as_str()), ("openrouter", "meta/llama"));
        assert_eq!(target.to_string(), "openrouter/meta/llama");
        assert_eq!(Target::parse("openai"), None);
        assert_eq!(Target::parse("openai/"), None);
    }
}
