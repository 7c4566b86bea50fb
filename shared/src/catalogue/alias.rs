//! Names that stand for a choice of models.

use super::model::Kind;

/// What a name that is no model's stands for. Models are named by their places in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// That of all its models.
    pub(crate) kind: Kind,
    pub(crate) strategy: Strategy,
    /// Never empty, each model once.
    pub(crate) targets: Vec<Choice>,
    /// What comes after all targets, in order.
    pub(crate) fallbacks: Vec<usize>,
    pub(crate) canary: Option<Canary>,
}

/// A model to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) model: usize,
    /// 0 to 100; 0 gets nothing.
    pub(crate) weight: u8,
}

/// A model that gets a share of the requests before all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Canary {
    /// None of the targets.
    pub(crate) model: usize,
    /// 1 to 99.
    pub(crate) percent: u8,
}

/// How the targets of an alias are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// At random, by weight.
    Weighted,
    /// By what this prompt costs.
    Cheapest,
    /// By the time to the first content, as measured.
    Fastest,
    /// By the catalogue's `quality`.
    Quality,
    /// By weight, and for a conversation always the same way.
    Sticky,
}

impl Strategy {
    const ALL: [Self; 5] = [Self::Weighted, Self::Cheapest, Self::Fastest, Self::Quality, Self::Sticky];

    /// As the catalogue spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Weighted => "weighted",
            Self::Cheapest => "cheapest",
            Self::Fastest => "fastest",
            Self::Quality => "quality",
            Self::Sticky => "sticky",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.as_str() == name)
    }
}

impl Alias {
    /// All models that it can mean, by their places in the catalogue.
    pub(super) fn models(&self) -> impl Iterator<Item = usize> {
        let canary = self.canary.map(|canary| canary.model);
        self.targets.iter().map(|choice| choice.model).chain(self.fallbacks.iter().copied()).chain(canary)
    }

    /// What its models make; an alias mixes no kinds.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How its targets are ordered.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        self.strategy
    }
}
