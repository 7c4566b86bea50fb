//! How a provider that is a server is called.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::SECTION;
use crate::{
    config::{
        providers::keys::{self, KeyConfig},
        reader::Reader,
        value::{BaseUrl, Value},
    },
    wire::family::Family,
};

/// Fields that are made for each call, so that they cannot be given.
const OWN_FIELDS: [&str; 21] = [
    "accept",
    "accept-encoding",
    "authorization",
    "b3",
    "baggage",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-b3-flags",
    "x-b3-sampled",
    "x-b3-spanid",
    "x-b3-traceid",
];

/// A provider that is a server.
#[derive(Clone, Debug)]
pub(crate) struct HttpConfig {
    /// Its wire format.
    pub(crate) family: Family,
    /// `base_url`, `GOBLIN_PROVIDERS__<NAME>__BASE_URL`: what stands before the paths of its family. `{model}` in it stands
    /// for its name of the model. The names `openai`, `anthropic` and `gemini` have a default.
    pub(crate) base_url: String,
    /// `api_key`, `api_key_file` or `api_keys`. No default; a server of one's own may need none.
    pub(crate) keys: Vec<KeyConfig>,
    /// `auth`, `GOBLIN_PROVIDERS__<NAME>__AUTH`: where a key stands: `bearer` or `header:NAME`. Default by family: `bearer`,
    /// `header:x-api-key`, `header:x-goog-api-key`.
    pub(crate) auth: AuthField,
    /// `query`, `GOBLIN_PROVIDERS__<NAME>__QUERY`: more for the URL, such as `api-version=2024-10-21`.
    pub(crate) query: Option<String>,
    /// `headers`, `GOBLIN_PROVIDERS__<NAME>__HEADERS`: fields of every call, a table or text `name=value` with commas
    /// between.
    pub(crate) headers: HeaderMap,
    /// `propagate`, `GOBLIN_PROVIDERS__<NAME>__PROPAGATE`: what of a trace it is told: `trace` (default), which is the id of
    /// the call alone; `full`, for an instrumented server of one's own, with `tracestate` and `baggage` of the caller.
    pub(crate) is_own: bool,
    /// `stream_usage`, `GOBLIN_PROVIDERS__<NAME>__STREAM_USAGE`: ask for the usage of a stream by `stream_options`. Default
    /// true; false for servers that refuse it.
    pub(crate) stream_usage: bool,
    /// `max_tokens_field`, `GOBLIN_PROVIDERS__<NAME>__MAX_TOKENS_FIELD`: `max_completion_tokens` (default) or `max_tokens`:
    /// what translated requests bound the answer by.
    pub(crate) max_tokens_field: &'static str,
    /// `reasoning_details`, `GOBLIN_PROVIDERS__<NAME>__REASONING_DETAILS`: translated requests have the reasoning of earlier
    /// turns in OpenRouter's shape. Default false: other servers refuse it, so that it is left out.
    pub(crate) reasoning_details: bool,
}

/// Where a key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AuthField {
    /// `authorization: Bearer`.
    Bearer,
    /// A field of its own.
    Field(HeaderName),
}

impl HttpConfig {
    pub(super) fn read(
        reader: &mut Reader,
        key: &str,
        family: Family,
        environment: &[(String, String)],
    ) -> Option<Self> {
        let path = |field| [SECTION, key, field];
        let default_url = match key {
            "openai" => Some("https://api.openai.com/v1"),
            "anthropic" => Some("https://api.anthropic.com"),
            "gemini" => Some("https://generativelanguage.googleapis.com/v1beta"),
            _ => None,
        };
        let base_url = if let Some(default) = default_url {
            Some(reader.or(&path("base_url"), BaseUrl(default.to_owned())))
        } else {
            if !reader.has(&path("base_url")) {
                let paths = match family {
                    Family::OpenAi => "/chat/completions",
                    Family::Anthropic => "/v1/messages",
                    Family::Gemini => "/models/…",
                };
                reader.fault_of(&path("base_url"), format!("needed: what stands before {paths}"));
            }
            reader.optional(&path("base_url"))
        };
        let keys = keys::read(reader, key, environment);
        let auth = reader.or(
            &path("auth"),
            match family {
                Family::OpenAi => AuthField::Bearer,
                Family::Anthropic => AuthField::Field(HeaderName::from_static("x-api-key")),
                Family::Gemini => AuthField::Field(HeaderName::from_static("x-goog-api-key")),
            },
        );
        let query = reader.optional::<Query>(&path("query")).map(|Query(query)| query);
        let Headers(headers) = reader.optional(&path("headers")).unwrap_or(Headers(HeaderMap::new()));
        if let AuthField::Field(name) = &auth
            && headers.contains_key(name)
        {
            reader.fault_of(&path("headers"), format!("{name} is where the key stands: give it as api_key"));
        }
        let Propagate(is_own) = reader.or(&path("propagate"), Propagate(false));
        let (mut stream_usage, mut max_tokens_field, mut reasoning_details) = (true, "max_completion_tokens", false);
        // The other families have one way each.
        if family == Family::OpenAi {
            stream_usage = reader.or(&path("stream_usage"), true);
            max_tokens_field = reader.or(&path("max_tokens_field"), MaxTokensField(max_tokens_field)).0;
            reasoning_details = reader.or(&path("reasoning_details"), reasoning_details);
        }
        Some(Self {
            family,
            base_url: base_url?.0,
            keys,
            auth,
            query,
            headers,
            is_own,
            stream_usage,
            max_tokens_field,
            reasoning_details,
        })
    }
}

impl Value for AuthField {
    fn from_text(text: &str) -> Result<Self, String> {
        if text == "bearer" {
            return Ok(Self::Bearer);
        }
        let name = text.strip_prefix("header:").ok_or("must be `bearer` or `header:NAME`")?;
        let name = name.trim().parse::<HeaderName>().map_err(|_| "must name a field after `header:`")?;
        let known = OWN_FIELDS.contains(&name.as_str()) && name != http::header::AUTHORIZATION;
        if known { Err(format!("{name} has a meaning of its own")) } else { Ok(Self::Field(name)) }
    }

    fn show(&self) -> String {
        match self {
            Self::Bearer => "bearer".to_owned(),
            Self::Field(name) => format!("header:{name}"),
        }
    }
}

/// Whether all of it is handed on.
struct Propagate(bool);

impl Value for Propagate {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "trace" => Ok(Self(false)),
            "full" => Ok(Self(true)),
            _ => Err("must be `trace` or `full`".to_owned()),
        }
    }

    fn show(&self) -> String {
        if self.0 { "full" } else { "trace" }.to_owned()
    }
}

struct MaxTokensField(&'static str);

impl Value for MaxTokensField {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "max_completion_tokens" => Ok(Self("max_completion_tokens")),
            "max_tokens" => Ok(Self("max_tokens")),
            _ => Err("must be `max_completion_tokens` or `max_tokens`".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.to_owned()
    }
}

/// More for the URL. It may hold a credential, wherever that belongs, so that it is not shown.
struct Query(String);

impl Value for Query {
    const SECRET: bool = true;

    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim_start_matches('?');
        let fits = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'!'..=b'~') && byte != b'#');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be name=value, percent-encoded, with & between".to_owned())
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// Fields of every call. They may hold credentials, so that they are not shown.
struct Headers(HeaderMap);

impl Headers {
    fn from_entries<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in entries {
            let name: HeaderName = name.trim().parse().map_err(|_| "must have names of header fields".to_owned())?;
            if OWN_FIELDS.contains(&name.as_str()) {
                return Err(format!("must not have {name}, which is made for each call"));
            }
            let mut value = HeaderValue::try_from(value.trim())
                .map_err(|_| format!("has a value for {name} that cannot stand in a header"))?;
            value.set_sensitive(true);
            if headers.insert(&name, value).is_some() {
                return Err(format!("names {name} twice"));
            }
        }
        Ok(Self(headers))
    }
}

impl Value for Headers {
    const SECRET: bool = true;

    fn from_text(text: &str) -> Result<Self, String> {
        let entries: Option<Vec<_>> = text.split(',').map(|entry| entry.split_once('=')).collect();
        Self::from_entries(entries.ok_or("must be name=value with commas between")?.into_iter())
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(text) => Self::from_text(text),
            toml::Value::Table(table) => {
                let entries: Option<Vec<_>> =
                    table.iter().map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
                Self::from_entries(entries.ok_or("must be a table of texts")?.into_iter())
            }
            _ => Err("must be a table, or text name=value with commas between".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.keys().map(HeaderName::as_str).collect::<Vec<_>>().join(",")
    }
}
