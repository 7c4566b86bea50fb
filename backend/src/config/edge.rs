//! `[edge]`: what is believed of the edge.

use std::time::Duration;

use goblin_shared::edge_signature::SigningKey;

use super::{
    fault::ConfigFaults,
    reader::Reader,
    sources::{self, Inputs},
    value::{Count, Value, texts},
};

/// Whether requests must come through the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureMode {
    /// Requests without a valid signature of the edge are refused.
    Required,
    /// Everybody is served. A valid signature is still honoured.
    Off,
}

impl Value for SignatureMode {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "required" => Ok(Self::Required),
            "off" => Ok(Self::Off),
            _ => Err("must be `required` or `off`".to_owned()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Required => "required",
            Self::Off => "off",
        }
        .to_owned()
    }
}

/// How the edge's signature is checked.
#[derive(Clone, Debug)]
pub(crate) struct EdgeConfig {
    /// `edge.signature`, `GOBLIN_EDGE__SIGNATURE`: `required` (default) or `off`.
    pub(crate) signature: SignatureMode,
    /// `edge.signing_keys`, `GOBLIN_EDGE__SIGNING_KEYS`: one or two `<id>:<secret>`, a list or with commas between; the
    /// edge has one of them. No default; needed when signatures are required.
    pub(crate) signing_keys: Vec<SigningKey>,
    /// `edge.signature_skew`, `GOBLIN_EDGE__SIGNATURE_SKEW`: how old a signature may be. Default 60 s.
    pub(crate) signature_skew: Duration,
    /// `edge.replay_capacity`, `GOBLIN_EDGE__REPLAY_CAPACITY`: requests that are remembered to find replays. When all
    /// are in use, requests are refused with 503. Default 1,000,000.
    pub(crate) replay_capacity: usize,
}

const SIGNING_KEYS: [&str; 2] = ["edge", "signing_keys"];

impl EdgeConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let missing = !reader.has(&SIGNING_KEYS);
        let edge = Self::settings(reader);
        if missing && edge.signature == SignatureMode::Required {
            reader.fault_of(
                &SIGNING_KEYS,
                "needed when edge.signature is `required`: make a key with `echo \"main:$(openssl rand -hex 32)\"` and \
                 give it to edge (EDGE_SIGNING_KEY) and backend (GOBLIN_EDGE__SIGNING_KEYS) alike; or set \
                 edge.signature to `off` to serve everybody",
            );
        }
        edge
    }

    /// Reads this section alone, for commands that do not serve: what is wrong elsewhere does not hinder them.
    pub(crate) fn load(inputs: &Inputs) -> Result<Self, ConfigFaults> {
        let mut reader = sources::layered(inputs);
        let missing = !reader.has(&SIGNING_KEYS);
        let edge = Self::settings(&mut reader);
        if missing {
            reader.fault_of(
                &SIGNING_KEYS,
                "needed to make trace grants: give the backend (GOBLIN_EDGE__SIGNING_KEYS) the key that the edge has in \
                 EDGE_SIGNING_KEY",
            );
        }
        reader.finish_section().map(|()| edge)
    }

    fn settings(reader: &mut Reader) -> Self {
        Self {
            signature: reader.or(&["edge", "signature"], SignatureMode::Required),
            signing_keys: reader.optional(&SIGNING_KEYS).map_or_else(Vec::new, |SigningKeys(keys)| keys),
            signature_skew: reader.or(&["edge", "signature_skew"], Duration::from_mins(1)),
            replay_capacity: reader.or(&["edge", "replay_capacity"], Count(1_000_000)).0,
        }
    }
}

struct SigningKeys(Vec<SigningKey>);

impl SigningKeys {
    fn from_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let keys = texts
            .filter(|text| !text.trim().is_empty())
            .map(|text| text.parse::<SigningKey>().map_err(|error| error.to_string()));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        match keys.as_slice() {
            [one, two] if one.id() == two.id() => Err("the two keys must have different ids".to_owned()),
            [_] | [_, _] => Ok(Self(keys)),
            _ => Err("give one key, or two while they are rotated".to_owned()),
        }
    }
}

impl Value for SigningKeys {
    const SECRET: bool = true;

    fn from_text(text: &str) -> Result<Self, String> {
        Self::from_texts(text.split(','))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        Self::from_texts(texts(value)?.into_iter())
    }

    fn show(&self) -> String {
        format!("{} keys", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "a:0123456789abcdef0123456789abcdef";

    fn load(set: &[&str]) -> Result<EdgeConfig, ConfigFaults> {
        let set = set.iter().map(|text| (*text).to_owned()).collect();
        let file = "[service]\nlisten = 80\n".to_owned();
        EdgeConfig::load(&Inputs { file: Some(("goblin.toml".into(), file)), environment: vec![], set })
    }

    #[test]
    fn the_section_can_be_read_alone_and_needs_a_key() {
        assert_eq!(load(&[&format!("edge.signing_keys={KEY}")]).unwrap().signing_keys[0].id(), "a");
        for set in [&["edge.signature=off"][..], &[]] {
            let told = load(set).unwrap_err().to_string();
            assert!(told.contains("1 fault:\n  edge.signing_keys: needed to make trace grants"), "{told}");
        }
        let told = load(&["edge.signing_keys=a:short"]).unwrap_err().to_string();
        assert!(told.contains("at least 32") && !told.contains("a:short"), "{told}");
    }
}
