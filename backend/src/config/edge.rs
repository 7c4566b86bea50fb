//! `[edge]`: what is believed of the edge.

use std::time::Duration;

use goblin_shared::edge_signature::SigningKey;

use super::{
    reader::Reader,
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

impl EdgeConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let signature = reader.or(&["edge", "signature"], SignatureMode::Required);
        let path = ["edge", "signing_keys"];
        let missing = !reader.has(&path);
        let signing_keys = reader.optional(&path).map_or_else(Vec::new, |SigningKeys(keys)| keys);
        if missing && signature == SignatureMode::Required {
            reader.fault_of(
                &path,
                "needed when edge.signature is `required`: make a key with `echo \"main:$(openssl rand -hex 32)\"` and \
                 give it to edge (EDGE_SIGNING_KEY) and backend (GOBLIN_EDGE__SIGNING_KEYS) alike; or set \
                 edge.signature to `off` to serve everybody",
            );
        }
        Self {
            signature,
            signing_keys,
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
