//! The Worker's configuration, read from its variables and secrets once per isolate.

pub mod otlp;
mod variables;

use goblin_shared::{edge_signature::SigningKey, limits, trace_context::Formats};

pub use self::{otlp::OtlpConfig, variables::Variables};
use crate::{
    admit::AdmitConfig,
    cors::{self, CorsConfig},
    health::HealthConfig,
    identify::Recording,
    origins::Origins,
    sampling::Sampling,
};

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// `BACKEND_ORIGIN`, `BACKEND_OTHER_ORIGINS`: where the backends' service listeners are.
    pub origins: Origins,
    /// `EDGE_SIGNING_KEY`: `<id>:<secret>`, shared with the backend.
    pub signing_key: SigningKey,
    /// `BACKEND_FIRST_BYTE_TIMEOUT_MS`: how long to wait for the head of a backend's answer, however many are tried.
    /// Default 65,000: longer than a backend waits for a provider's first content, so that its own error comes first.
    pub first_byte_timeout_ms: u32,
    /// `BODY_LIMIT_BYTES`: largest request body. Default 4 MiB.
    pub body_limit: usize,
    /// Who may come in.
    pub admit: AdmitConfig,
    /// Which pages may use the service from a browser.
    pub cors: CorsConfig,
    /// How long what backends say of their providers counts.
    pub health: HealthConfig,
    /// `CATALOGUE_MAX_AGE_S`: how old what was read of KV may be before it is read again. Default 30.
    pub catalogue_max_age_s: u32,
    /// `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG`: which traces are recorded. Default all.
    pub sampling: Sampling,
    /// `OTEL_PROPAGATORS`: the forms in which callers may name their traces. Default `tracecontext,baggage`.
    pub formats: Formats,
    /// Where telemetry goes; nowhere when no endpoint is configured.
    pub otlp: Option<OtlpConfig>,
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

        let origins = Origins::read(&variables, &mut faults);
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
        let first_byte_timeout_ms = variables.number("BACKEND_FIRST_BYTE_TIMEOUT_MS", 65_000, 1..=600_000, &mut faults);
        let body_limit = variables.number("BODY_LIMIT_BYTES", limits::BODY_BYTES, 1..=usize::MAX, &mut faults);
        let admit = AdmitConfig::read(&variables, signing_key.as_ref(), &mut faults);
        let cors = cors(&variables, &mut faults);
        let health = HealthConfig::read(&variables, &mut faults);
        let catalogue_max_age_s = variables.number("CATALOGUE_MAX_AGE_S", 30, 1..=86_400, &mut faults);
        let sampling = Sampling::read(&variables, &mut faults);
        let formats = formats(&variables, &mut faults);
        let otlp = OtlpConfig::read(&variables, &mut faults);

        match (origins, signing_key, admit) {
            (Some(origins), Some(signing_key), Some(admit)) if faults.is_empty() => Ok(Self {
                origins,
                signing_key,
                first_byte_timeout_ms,
                body_limit,
                admit,
                cors,
                health,
                catalogue_max_age_s,
                sampling,
                formats,
                otlp,
            }),
            _ => Err(ConfigFaults(faults)),
        }
    }
}

impl EdgeConfig {
    /// What decides which traces are recorded.
    #[must_use]
    pub fn recording(&self) -> Recording<'_> {
        Recording { sampling: self.sampling, grants: &self.signing_key, formats: &self.formats }
    }
}

fn formats(variables: &Variables<'_>, faults: &mut Vec<String>) -> Formats {
    let named = variables.text("OTEL_PROPAGATORS").map(|names| Formats::parse(&names));
    named.unwrap_or_else(|| Ok(Formats::default())).unwrap_or_else(|error| {
        faults.push(format!("OTEL_PROPAGATORS {error}"));
        Formats::default()
    })
}

fn cors(variables: &Variables<'_>, faults: &mut Vec<String>) -> CorsConfig {
    let origins = match variables.texts("CORS_ORIGINS").as_slice() {
        [any] if any == "*" => cors::Origins::Any,
        _ => cors::Origins::Listed(variables.list(
            "CORS_ORIGINS",
            faults,
            "an origin such as https://app.example, or a single *",
            cors::origin,
        )),
    };
    CorsConfig { origins, max_age_s: variables.number("CORS_MAX_AGE_S", 7_200, 0..=86_400, faults) }
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
        assert_eq!(config.origins.all()[0].url, "https://api.example");
        assert_eq!(config.sampling, Sampling::ALL);
        assert_eq!(config.health, HealthConfig { fresh_ms: 10_000, stale_ms: 60_000 });
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
            ("BACKEND_OTHER_ORIGINS", "https://user:my-short-secret@host"),
            ("HEALTH_FRESH_MS", "often"),
            ("HEALTH_STALE_MS", "200"),
            ("CATALOGUE_MAX_AGE_S", "0"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_PROPAGATORS", "xray"),
        ])
        .unwrap_err();
        assert_eq!(faults.0.len(), 19, "{faults}");
        assert!(!faults.to_string().contains("my-short-secret"));
        assert_eq!(read(&[]).unwrap_err().0.len(), 3);
    }
}
