//! The Worker's configuration, read from its variables and secrets once per isolate.

mod variables;

use goblin_shared::{edge_signature::SigningKey, limits};

pub use self::variables::Variables;
use crate::{
    admit::AdmitConfig,
    cors::{self, CorsConfig, Origins},
};

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// `BACKEND_ORIGIN`: scheme, host and port of the backend's service listener.
    pub backend_origin: String,
    /// `EDGE_SIGNING_KEY`: `<id>:<secret>`, shared with the backend.
    pub signing_key: SigningKey,
    /// `BACKEND_FIRST_BYTE_TIMEOUT_MS`: how long to wait for the head of the backend's answer. Default 65,000: longer
    /// than the backend waits for a provider's first content, so that its own error comes first.
    pub first_byte_timeout_ms: i32,
    /// `BODY_LIMIT_BYTES`: largest request body. Default 4 MiB.
    pub body_limit: usize,
    /// Who may come in.
    pub admit: AdmitConfig,
    /// Which pages may use the service from a browser.
    pub cors: CorsConfig,
    /// Where spans and metrics go; nowhere when no endpoint is configured.
    pub otlp: Option<OtlpConfig>,
}

/// Where and as whom to export spans and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpConfig {
    /// Full URL of the traces endpoint: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` as it is, or
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` with `/v1/traces` appended.
    pub traces_url: Option<String>,
    /// The same for metrics: `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`, or `/v1/metrics` appended.
    pub metrics_url: Option<String>,
    /// `OTEL_METRIC_EXPORT_INTERVAL`: how long counts are gathered before they leave, in milliseconds. Default 5,000,
    /// at most 25,000: the runtime grants 30 seconds after an answer.
    pub metric_interval_ms: u32,
    /// `OTEL_EXPORTER_OTLP_HEADERS`: names and percent-decoded values.
    pub headers: Vec<(String, String)>,
    /// `OTEL_SERVICE_NAME`. Default `goblin-edge`.
    pub service_name: String,
}

/// All that is wrong, one line each; values are left out, as they may be secret.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigFaults(pub Vec<String>);

impl std::fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the Worker's configuration is not valid: {}", self.0.join("; "))
    }
}

impl EdgeConfig {
    /// Reads the configuration through `variable`, which gives the value of a variable or secret. All faults are
    /// reported at once.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigFaults> {
        let variables = Variables::new(&variable);
        let mut faults = Vec::new();

        let backend_origin = variables.text("BACKEND_ORIGIN").map(|text| origin(&text));
        match &backend_origin {
            Some(Some(_)) => {}
            Some(None) => faults.push("BACKEND_ORIGIN must be http(s)://host[:port] without a path".to_owned()),
            None => faults.push("BACKEND_ORIGIN is missing: set it to the backend's URL".to_owned()),
        }
        let signing_key = match variables.text("EDGE_SIGNING_KEY").map(|text| text.parse::<SigningKey>()) {
            Some(Ok(key)) => Some(key),
            Some(Err(error)) => {
                faults.push(format!("EDGE_SIGNING_KEY: {error}"));
                None
            }
            None => {
                faults.push(
                    "EDGE_SIGNING_KEY is missing: put it into .dev.vars, or run `npx wrangler secret put EDGE_SIGNING_KEY`"
                        .to_owned(),
                );
                None
            }
        };
        let first_byte_timeout_ms =
            variables.number("BACKEND_FIRST_BYTE_TIMEOUT_MS", 65_000, 1..=i32::MAX, &mut faults);
        let body_limit = variables.number("BODY_LIMIT_BYTES", limits::BODY_BYTES, 1..=usize::MAX, &mut faults);
        let admit = AdmitConfig::read(&variables, signing_key.as_ref(), &mut faults);
        let cors = cors(&variables, &mut faults);
        let otlp = otlp(&variables, &mut faults);

        match (backend_origin.flatten(), signing_key, admit) {
            (Some(backend_origin), Some(signing_key), Some(admit)) if faults.is_empty() => {
                Ok(Self { backend_origin, signing_key, first_byte_timeout_ms, body_limit, admit, cors, otlp })
            }
            _ => Err(ConfigFaults(faults)),
        }
    }
}

fn cors(variables: &Variables<'_>, faults: &mut Vec<String>) -> CorsConfig {
    let origins = match variables.texts("CORS_ORIGINS").as_slice() {
        [any] if any == "*" => Origins::Any,
        _ => Origins::Listed(variables.list(
            "CORS_ORIGINS",
            faults,
            "an origin such as https://app.example, or a single *",
            cors::origin,
        )),
    };
    CorsConfig { origins, max_age_s: variables.number("CORS_MAX_AGE_S", 7_200, 0..=86_400, faults) }
}

fn otlp(variables: &Variables<'_>, faults: &mut Vec<String>) -> Option<OtlpConfig> {
    let base = variables.text("OTEL_EXPORTER_OTLP_ENDPOINT");
    let mut url = |own: &str, path: &str| {
        let (name, url) = match (variables.text(own), &base) {
            (Some(url), _) => (own, url),
            (None, Some(base)) => ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("{}/{path}", base.trim_end_matches('/'))),
            (None, None) => return None,
        };
        let fault = format!("{name} must begin with http:// or https://");
        if !is_http(&url) && !faults.contains(&fault) {
            faults.push(fault);
        }
        Some(url)
    };
    let traces_url = url("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "v1/traces");
    let metrics_url = url("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "v1/metrics");
    let metric_interval_ms = variables.number("OTEL_METRIC_EXPORT_INTERVAL", 5_000, 1..=25_000, faults);
    let mut headers = Vec::new();
    for pair in
        variables.text("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default().split(',').filter(|pair| !pair.is_empty())
    {
        match pair.split_once('=').and_then(|(name, value)| Some((name.trim(), percent_decoded(value.trim())?))) {
            Some((name, value)) if !name.is_empty() => headers.push((name.to_owned(), value)),
            _ => faults.push("OTEL_EXPORTER_OTLP_HEADERS must be name=value pairs with commas between".to_owned()),
        }
    }
    let service_name = variables.text("OTEL_SERVICE_NAME").unwrap_or_else(|| "goblin-edge".to_owned());
    if traces_url.is_none() && metrics_url.is_none() {
        return None;
    }
    Some(OtlpConfig { traces_url, metrics_url, metric_interval_ms, headers, service_name })
}

fn is_http(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

/// Scheme and authority; a lone slash behind them is forgiven.
fn origin(text: &str) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let authority = text.split_once("://")?.1;
    (is_http(text) && !authority.contains(['/', '?', '#', '@', ' '])).then(|| text.to_owned())
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<EdgeConfig, ConfigFaults> {
        EdgeConfig::read(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    const KEY: (&str, &str) = ("EDGE_SIGNING_KEY", "dev:0123456789abcdef0123456789abcdef");
    const ISSUER: (&str, &str) = ("API_KEY_ISSUER_SECRETS", "fedcba9876543210fedcba9876543210");

    #[test]
    fn defaults_are_the_contracts() {
        let config = read(&[("BACKEND_ORIGIN", "https://api.example/"), KEY, ISSUER]).unwrap();
        assert_eq!(config.backend_origin, "https://api.example");
        assert_eq!((config.first_byte_timeout_ms, config.body_limit), (65_000, 4_194_304));
        assert_eq!(config.otlp, None);
    }

    #[test]
    fn all_faults_are_reported_at_once_and_no_secret_is_shown() {
        let faults = read(&[
            ("BACKEND_ORIGIN", "api.example/path"),
            ("EDGE_SIGNING_KEY", "dev:my-short-secret"),
            ("BODY_LIMIT_BYTES", "-1"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "novalue"),
            ("API_KEY_ISSUER_SECRETS", "my-short-secret"),
            ("ADMIT_RULES", "crawlers=off"),
            ("BLOCK_ADDRESSES", "192.0.2.1, my-short-secret"),
            ("ADDRESS_LIMIT_RATE", "often"),
            ("KEY_LIMIT_SUSTAINED", "0/1"),
            ("TURNSTILE_ACTION", "chat"),
            ("HONEYPOT_PATHS", "/healthz"),
            ("CORS_ORIGINS", "https://app.example,*"),
        ])
        .unwrap_err();
        assert_eq!(faults.0.len(), 13, "{faults}");
        assert!(!faults.to_string().contains("my-short-secret"));
        assert_eq!(read(&[]).unwrap_err().0.len(), 3);
    }

    #[test]
    fn otlp_settings_follow_opentelemetry() {
        let with = |pairs: &[(&str, &str)]| {
            let mut all = vec![("BACKEND_ORIGIN", "http://b"), KEY, ISSUER];
            all.extend_from_slice(pairs);
            read(&all).unwrap().otlp.unwrap()
        };
        let otlp = with(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x, a=b"),
        ]);
        assert_eq!(otlp.traces_url.as_deref(), Some("http://c:4318/v1/traces"));
        assert_eq!(otlp.metrics_url.as_deref(), Some("http://c:4318/v1/metrics"));
        let headers = [("authorization", "Bearer x"), ("a", "b")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(otlp.headers, headers);
        assert_eq!(otlp.service_name, "goblin-edge");
        let otlp = with(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/custom")]);
        assert_eq!((otlp.traces_url.as_deref(), otlp.metrics_url), (Some("http://c/custom"), None));
    }
}
