//! `[providers.<name>]`: how each provider of the catalogue is called.

mod http;
mod keys;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use goblin_shared::catalogue::Catalogue;
use secrecy::ExposeSecret;

pub(crate) use self::{
    http::{AuthField, HttpConfig},
    keys::KeyConfig,
};
use super::{
    fault::Fault,
    reader::{Reader, distance},
    value::{Count, Value, Whole},
};
use crate::wire::family::Family;

const SECTION: &str = "providers";
const FIELDS: [&str; 18] = [
    "enabled",
    "family",
    "base_url",
    "api_key",
    "api_key_file",
    "api_keys",
    "models",
    "token_interval",
    "auth",
    "query",
    "headers",
    "propagate",
    "stream_usage",
    "max_tokens_field",
    "reasoning_details",
    "max_concurrency",
    "max_queue",
    "queue_timeout",
];

/// A provider that can be called.
#[derive(Clone, Debug)]
pub(crate) struct ProviderConfig {
    /// Its key in the catalogue.
    pub(crate) name: String,
    /// `models`, `GOBLIN_PROVIDERS__<NAME>__MODELS`: which of the catalogue's models it offers, and what it calls them
    /// itself: a table, a list, or text `name=upstream,name2`. Default: all of them, under their own names.
    pub(crate) models: BTreeMap<String, String>,
    /// `max_concurrency`, `GOBLIN_PROVIDERS__<NAME>__MAX_CONCURRENCY`: calls at the same time. Default 1024.
    pub(crate) max_concurrency: usize,
    /// `max_queue`, `GOBLIN_PROVIDERS__<NAME>__MAX_QUEUE`: calls that may wait for others to end; 0: none. Default 1024.
    pub(crate) max_queue: usize,
    /// `queue_timeout`, `GOBLIN_PROVIDERS__<NAME>__QUEUE_TIMEOUT`: how long they wait. Default 1 s.
    pub(crate) queue_timeout: Duration,
    /// What belongs to its family.
    pub(crate) kind: ProviderKind,
}

/// What answers. `family`, `GOBLIN_PROVIDERS__<NAME>__FAMILY`: `openai`, `anthropic`, `gemini` or `demo`. Names that are
/// one of these have it as their default.
///
/// A provider is configured as soon as any of its fields is set, `demo` also when no field of any provider is: where there
/// is a real one, nobody is to be answered by the demo unawares. None is when `enabled`
/// (`GOBLIN_PROVIDERS__<NAME>__ENABLED`) is `false`.
#[derive(Clone, Debug)]
pub(crate) enum ProviderKind {
    /// Answers by itself, without keys or network.
    Demo {
        /// `token_interval`, `GOBLIN_PROVIDERS__<NAME>__TOKEN_INTERVAL`: pause before each token. Default 20 ms.
        token_interval: Duration,
    },
    /// A server.
    Http(Box<HttpConfig>),
}

impl ProviderConfig {
    /// Its keys.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let keys = match &self.kind {
            ProviderKind::Demo { .. } => &[][..],
            ProviderKind::Http(server) => &server.keys,
        };
        keys.iter().map(|key| key.secret.expose_secret())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Demo,
    Http(Family),
}

impl Value for Kind {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "openai" => Ok(Self::Http(Family::OpenAi)),
            "anthropic" => Ok(Self::Http(Family::Anthropic)),
            "gemini" => Ok(Self::Http(Family::Gemini)),
            "demo" => Ok(Self::Demo),
            _ => Err("must be `openai`, `anthropic`, `gemini` or `demo`".to_owned()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Http(Family::OpenAi) => "openai",
            Self::Http(Family::Anthropic) => "anthropic",
            Self::Http(Family::Gemini) => "gemini",
            Self::Demo => "demo",
        }
        .to_owned()
    }
}

/// Reads all providers; keys may stand in variables of the environment. Without a valid catalogue nothing can be said
/// about them.
pub(super) fn read(
    reader: &mut Reader,
    catalogue: Option<&Catalogue>,
    environment: &[(String, String)],
) -> Vec<ProviderConfig> {
    let names = reader.names_under(SECTION);
    let Some(catalogue) = catalogue else {
        for name in names.keys() {
            reader.discard(SECTION, name);
        }
        return Vec::new();
    };
    let listed: Vec<&str> = catalogue.providers().map(|(key, _)| key).collect();
    for (name, source) in names.iter().filter(|(name, _)| !listed.contains(&name.as_str())) {
        reader.discard(SECTION, name);
        let near = listed.iter().filter(|key| distance(key, name) <= 2).min_by_key(|key| distance(key, name));
        let advice = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        let reason = format!("no such provider in the catalogue, which has {}{advice}", listed.join(", "));
        reader.fault(Fault::without_value(format!("{SECTION}.{name}"), Some(source.clone()), reason));
    }
    for key in &listed {
        for field in FIELDS {
            reader.know(&[SECTION, key, field]);
        }
    }
    let configured = listed.into_iter().filter(|key| names.contains_key(*key) || (*key == "demo" && names.is_empty()));
    configured.filter_map(|key| provider(reader, catalogue, key, environment)).collect()
}

fn provider(
    reader: &mut Reader,
    catalogue: &Catalogue,
    key: &str,
    environment: &[(String, String)],
) -> Option<ProviderConfig> {
    let path = |field| [SECTION, key, field];
    let enabled = reader.or(&path("enabled"), true);
    let kind = if let Ok(default) = Kind::from_text(key) {
        Some(reader.or(&path("family"), default))
    } else {
        if !reader.has(&path("family")) {
            reader.fault_of(
                &path("family"),
                "needed: say `openai` if it speaks OpenAI's wire format, or `anthropic`, `gemini`",
            );
        }
        reader.optional(&path("family"))
    };
    let models = models(reader, catalogue, key);
    let Count(max_concurrency) = reader.or(&path("max_concurrency"), Count(1_024));
    let Whole(max_queue) = reader.or(&path("max_queue"), Whole(1_024));
    let queue_timeout = reader.nonzero(&path("queue_timeout"), Duration::from_secs(1));
    let kind = match kind? {
        Kind::Demo => {
            ProviderKind::Demo { token_interval: reader.or(&path("token_interval"), Duration::from_millis(20)) }
        }
        Kind::Http(family) => ProviderKind::Http(Box::new(HttpConfig::read(reader, key, family, environment)?)),
    };
    enabled.then(|| ProviderConfig { name: key.to_owned(), models, max_concurrency, max_queue, queue_timeout, kind })
}

fn models(reader: &mut Reader, catalogue: &Catalogue, key: &str) -> BTreeMap<String, String> {
    let path = [SECTION, key, "models"];
    let listed: Vec<&str> =
        catalogue.models().iter().filter(|model| model.provider == key).map(|model| model.name.as_str()).collect();
    let Some(Models(chosen)) = reader.optional::<Models>(&path) else {
        return listed.into_iter().map(|name| (name.to_owned(), name.to_owned())).collect();
    };
    let unknown: Vec<&str> = chosen.keys().map(String::as_str).filter(|name| !listed.contains(name)).collect();
    if !unknown.is_empty() {
        let reason = format!(
            "the catalogue has no {} of this provider; it has {}",
            unknown.join(", "),
            if listed.is_empty() { "none".to_owned() } else { listed.join(", ") }
        );
        reader.fault_of(&path, reason);
    }
    chosen
}

struct Models(BTreeMap<String, String>);

impl Models {
    fn from_entries<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, String> {
        let mut models = BTreeMap::new();
        for (name, upstream) in entries.map(|(name, upstream)| (name.trim(), upstream.trim())) {
            if name.is_empty() || upstream.is_empty() {
                return Err("must be name=upstream or name, with commas between".to_owned());
            }
            if models.insert(name.to_owned(), upstream.to_owned()).is_some() {
                return Err(format!("names {name} twice"));
            }
        }
        if models.is_empty() { Err("must name at least one model".to_owned()) } else { Ok(Self(models)) }
    }
}

impl Value for Models {
    fn from_text(text: &str) -> Result<Self, String> {
        Self::from_entries(text.split(',').map(|entry| entry.split_once('=').unwrap_or((entry, entry))))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(text) => Self::from_text(text),
            toml::Value::Array(list) => {
                let names: Option<Vec<&str>> = list.iter().map(toml::Value::as_str).collect();
                Self::from_entries(names.ok_or("must be a list of names")?.into_iter().map(|name| (name, name)))
            }
            toml::Value::Table(table) => {
                let entries: Option<Vec<_>> =
                    table.iter().map(|(name, upstream)| Some((name.as_str(), upstream.as_str()?))).collect();
                Self::from_entries(entries.ok_or("must be a table of texts")?.into_iter())
            }
            _ => Err("must be a table, a list, or text name=upstream with commas between".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.iter().map(|(name, upstream)| format!("{name}={upstream}")).collect::<Vec<_>>().join(",")
    }
}
