//! The catalogue: which providers and models there are, what they can do and cost, and which names stand for a choice
//! of them. One JSON file for edge and backend, versioned.
//!
//! Base URLs, keys and timeouts are not here: they are the backend's configuration alone.

mod alias;
mod faults;
mod file;
mod model;
mod target;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

pub(crate) use self::alias::Canary;
pub use self::{
    alias::{Alias, Strategy},
    model::{BatchPrice, Kind, Model, Price},
    target::Target,
    words::{Capabilities, Regions},
};

/// The catalogue that is built into both programs.
pub const BUILT_IN: &str = include_str!("../catalogue.json");

/// A valid catalogue.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    version: String,
    providers: BTreeMap<String, Provider>,
    models: Vec<Model>,
    /// What calls each model, at the same place as in `models`.
    targets: Vec<Target>,
    aliases: BTreeMap<String, Alias>,
}

/// A provider. How it is called is the backend's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// For people.
    pub title: String,
}

/// All that is wrong with a catalogue, one line each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the catalogue is not valid:\n  {}", .0.join("\n  "))]
pub struct InvalidCatalogue(pub Vec<String>);

/// What a client's `model` means.
pub(crate) enum Asked<'a> {
    /// A choice, under this name.
    Alias(&'a str, &'a Alias),
    /// One model of one provider, or a name and all providers that list it, in the order of the file. By their places.
    Models(Vec<usize>),
}

impl Catalogue {
    /// Reads and validates a catalogue; all faults are reported at once.
    pub fn parse(json: &str) -> Result<Self, InvalidCatalogue> {
        file::read(json)
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

    /// What calls each model, in the order of [`Catalogue::models`].
    pub(crate) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The aliases, with what they stand for.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &Alias)> {
        self.aliases.iter().map(|(name, alias)| (name.as_str(), alias))
    }

    /// What a client's `model` means: an alias, `provider/model`, or a name and whoever lists it.
    pub(crate) fn find(&self, asked: &str) -> Option<Asked<'_>> {
        if let Some((name, alias)) = self.aliases.get_key_value(asked) {
            return Some(Asked::Alias(name, alias));
        }
        if let Some(one) = self.targets.iter().position(|target| target.is(asked)) {
            return Some(Asked::Models(vec![one]));
        }
        let named: Vec<usize> = (0..self.models.len()).filter(|&index| self.models[index].name == asked).collect();
        (!named.is_empty()).then_some(Asked::Models(named))
    }

    /// Everything that may answer for a client's `model`, in the order of the file: the targets of an alias, its
    /// fallbacks, its canary; or the providers of a name. Empty for what is not known.
    #[must_use]
    pub fn resolve(&self, asked: &str) -> Vec<&Target> {
        let models = match self.find(asked) {
            None => Vec::new(),
            Some(Asked::Models(models)) => models,
            Some(Asked::Alias(_, alias)) => {
                let targets = alias.targets.iter().filter(|choice| choice.weight > 0).map(|choice| choice.model);
                let canary = alias.canary.map(|canary| canary.model);
                targets.chain(alias.fallbacks.iter().copied()).chain(canary).collect()
            }
        };
        models.into_iter().map(|model| &self.targets[model]).collect()
    }
}
