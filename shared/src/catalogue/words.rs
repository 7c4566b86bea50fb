//! Sets of words from a short list: what a model can do, and where it is served.

/// What a request can need of a model. A set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(u8);

/// Each as the catalogue and a plan's reason spell it, in the order of the bits.
pub(super) const CAPABILITIES: [&str; 4] = ["tools", "vision", "json_schema", "reasoning"];

impl Capabilities {
    /// Calls tools (functions).
    pub const TOOLS: Self = Self(1);
    /// Sees images.
    pub const VISION: Self = Self(1 << 1);
    /// Keeps to a JSON schema.
    pub const JSON_SCHEMA: Self = Self(1 << 2);
    /// Takes an effort of reasoning.
    pub const REASONING: Self = Self(1 << 3);

    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// Those of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that `other` does not have.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` are among them.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Their names, as the catalogue spells them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        CAPABILITIES.into_iter().enumerate().filter(move |(bit, _)| self.0 & (1 << bit) != 0).map(|(_, name)| name)
    }
}

/// The continents that a model is served in. A set; the empty one means anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Regions(u8);

/// Cloudflare's codes of continents, in lower case.
pub(super) const REGIONS: [&str; 7] = ["af", "an", "as", "eu", "na", "oc", "sa"];

impl Regions {
    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// The continent with this code, in either case; the empty set for any other text.
    #[must_use]
    pub fn of_code(code: &str) -> Self {
        Self(REGIONS.iter().position(|known| known.eq_ignore_ascii_case(code)).map_or(0, |bit| 1 << bit))
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a request from `region` (the empty set: from nowhere that is known) is served where it comes from.
    #[must_use]
    pub const fn serve(self, region: Self) -> bool {
        self.0 == 0 || region.0 == 0 || self.0 & region.0 != 0
    }

    /// The code of the first.
    pub(crate) fn code(self) -> Option<&'static str> {
        REGIONS.get(self.0.trailing_zeros() as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_sets() {
        let both = Capabilities::TOOLS.with(Capabilities::JSON_SCHEMA);
        assert!(both.contains(Capabilities::TOOLS) && both.contains(Capabilities::default()));
        assert!(!both.contains(Capabilities::VISION) && !Capabilities::TOOLS.contains(both));
        assert_eq!(both.without(Capabilities::TOOLS), Capabilities::JSON_SCHEMA);
        let all = Capabilities::TOOLS.with(Capabilities::VISION).with(Capabilities::JSON_SCHEMA);
        assert!(all.with(Capabilities::REASONING).names().eq(CAPABILITIES));
    }

    #[test]
    fn nowhere_and_anywhere_fit_everything() {
        let europe = Regions::of_code("EU");
        assert_eq!((europe, europe.code()), (Regions::of_code("eu"), Some("eu")));
        assert!(Regions::default().serve(europe) && europe.serve(Regions::of_code("T1")) && europe.serve(europe));
        assert!(!europe.serve(Regions::of_code("na")));
        assert_eq!(Regions::default().code(), None);
    }
}
