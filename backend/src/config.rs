//! Configuration: typed, read once, all faults reported at once.
//!
//! Precedence: `--set section.field=value` > environment `GOBLIN_<SECTION>__<FIELD>` > `goblin.toml` > default.
//! The standard variables `OTEL_*` are read from the environment alone.

mod auth;
mod breaker;
mod catalogue;
mod conversations;
mod edge;
mod fault;
mod limits;
mod log;
mod operations;
mod providers;
mod reader;
#[cfg(test)]
mod reference;
mod retries;
mod service;
mod slo;
mod sources;
mod store;
mod telemetry;
mod timeouts;
mod value;

use goblin_shared::catalogue::Catalogue;

use self::reader::Reader;

pub(crate) use self::{
    auth::{AuthConfig, AuthMode, JwtConfig},
    breaker::BreakerConfig,
    conversations::ConversationsConfig,
    edge::{EdgeConfig, SignatureMode},
    fault::ConfigFaults,
    limits::{CountIn, LimitsConfig},
    log::{LogConfig, LogFormat},
    operations::OperationsConfig,
    providers::{AuthField, KeyConfig, ProviderConfig, ProviderKind},
    reader::Effective,
    retries::RetriesConfig,
    service::ServiceConfig,
    slo::SloConfig,
    sources::Inputs,
    store::{Migrate, StoreConfig, StoreUrl},
    telemetry::{BatchConfig, OtlpConfig, OtlpProtocol, TelemetryConfig},
    timeouts::TimeoutsConfig,
    value::duration,
};

/// A valid configuration.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The listener that takes requests.
    pub(crate) service: ServiceConfig,
    /// The listener for operators.
    pub(crate) operations: OperationsConfig,
    /// What is believed of the edge.
    pub(crate) edge: EdgeConfig,
    /// Where things are kept.
    pub(crate) store: StoreConfig,
    /// How it is known who asks.
    pub(crate) auth: AuthConfig,
    /// The log on standard output.
    pub(crate) log: LogConfig,
    /// Patience with providers.
    pub(crate) timeouts: TimeoutsConfig,
    /// How often a call is made again.
    pub(crate) retries: RetriesConfig,
    /// When a provider that fails is left alone.
    pub(crate) breaker: BreakerConfig,
    /// How much callers may use.
    pub(crate) limits: LimitsConfig,
    /// How long conversations stay.
    pub(crate) conversations: ConversationsConfig,
    /// Providers and models there are.
    pub(crate) catalogue: Catalogue,
    /// Providers that can be called.
    pub(crate) providers: Vec<ProviderConfig>,
    /// What is promised.
    pub(crate) slo: SloConfig,
    /// Where traces go.
    pub(crate) telemetry: TelemetryConfig,
    /// Every value as it is in effect, secrets masked.
    pub(crate) effective: Vec<Effective>,
}

impl Config {
    /// Reads and validates everything.
    pub(crate) fn load(inputs: &Inputs) -> Result<Self, ConfigFaults> {
        let mut reader = sources::layered(inputs);
        let config = Self::read(&mut reader, inputs);
        let effective = reader.finish()?;
        // A catalogue that cannot be read is a fault, so it has been reported by now.
        let config = config.unwrap_or_else(|| unreachable!("faults end the reading"));
        Ok(Self { effective, ..config })
    }

    /// What must not be told, whatever it looks like: keys that go to others, who may quote them.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.providers.iter().flat_map(ProviderConfig::secrets)
    }

    /// Reads everything. `None`: without its catalogue; what is wrong the reader knows.
    fn read(reader: &mut Reader, inputs: &Inputs) -> Option<Self> {
        let service = ServiceConfig::read(reader);
        let operations = OperationsConfig::read(reader);
        let edge = EdgeConfig::read(reader);
        let store = StoreConfig::read(reader);
        let auth = AuthConfig::read(reader);
        let log = LogConfig::read(reader);
        let timeouts = TimeoutsConfig::read(reader);
        let retries = RetriesConfig::read(reader);
        let breaker = BreakerConfig::read(reader);
        let limits = LimitsConfig::read(reader);
        agree(reader, &store, &auth, &limits);
        let conversations = ConversationsConfig::read(reader);
        let catalogue = catalogue::read(reader);
        let providers = providers::read(reader, catalogue.as_ref(), &inputs.environment);
        let slo = SloConfig::read(reader);
        let telemetry = TelemetryConfig::read(&inputs.environment, reader);
        Some(Self {
            service,
            operations,
            edge,
            store,
            auth,
            log,
            timeouts,
            retries,
            breaker,
            limits,
            conversations,
            catalogue: catalogue?,
            providers,
            slo,
            telemetry,
            effective: Vec::new(),
        })
    }
}

/// What sections ask of each other.
fn agree(reader: &mut Reader, store: &StoreConfig, auth: &AuthConfig, limits: &LimitsConfig) {
    let is_kept = store.url != StoreUrl::None;
    if !is_kept && !auth.issuer_secrets.is_empty() && auth.mode == AuthMode::Required && auth.jwt.is_none() {
        reader.fault_of(
            &["auth", "mode"],
            "keys are looked up in a store, and store.url is none: name one, or set auth.mode to `off`",
        );
    }
    match limits.count_in {
        CountIn::Redis if store.redis.is_none() || !is_kept => reader.fault_of(
            &["limits", "count_in"],
            "`redis` needs its URL in store.redis (GOBLIN_STORE__REDIS), and a store, from which lost counters are made anew",
        ),
        CountIn::Postgres if !matches!(store.url, StoreUrl::Postgres(_)) => {
            reader.fault_of(&["limits", "count_in"], "`postgres` needs a store.url of PostgreSQL");
        }
        CountIn::Process | CountIn::Redis | CountIn::Postgres => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const KEY: &str = "a:0123456789abcdef0123456789abcdef";

    /// What API keys are told genuine with is always there.
    const ISSUER: (&str, &str) = ("GOBLIN_AUTH__ISSUER_SECRETS", "0123456789abcdef0123456789abcdef");

    fn inputs(file: &str, environment: &[(&str, &str)], set: &[&str]) -> Inputs {
        let environment = environment.iter().chain([&ISSUER]);
        Inputs {
            file: Some(("goblin.toml".into(), file.to_owned())),
            environment: environment.map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            set: set.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    fn faults(file: &str, environment: &[(&str, &str)], set: &[&str]) -> String {
        Config::load(&inputs(file, environment, set)).unwrap_err().to_string()
    }

    #[test]
    fn nothing_but_a_signing_key_and_an_issuer_secret_is_needed() {
        let config = Config::load(&inputs("", &[("GOBLIN_EDGE__SIGNING_KEYS", KEY)], &[])).unwrap();
        assert_eq!(config.service.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.operations.listen.to_string(), "127.0.0.1:9464");
        assert_eq!(config.service.body_limit, 4 * 1024 * 1024);
        assert_eq!((config.edge.signature, config.auth.mode), (SignatureMode::Required, AuthMode::Required));
        assert_eq!(config.auth.cache, Duration::from_secs(10));
        assert_eq!(config.timeouts.first_content, Duration::from_mins(1));
        assert_eq!((config.timeouts.attempt, config.retries.attempts), (Duration::from_secs(30), 2));
        assert_eq!((config.breaker.min_calls, config.service.max_requests), (5, 4_096));
        let providers: Vec<_> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
        assert_eq!(providers, ["demo"]);
        assert!(config.telemetry.traces.otlp.is_none() && config.telemetry.prometheus);
    }

    #[test]
    fn the_nearer_source_wins() {
        let file =
            "[edge]\nsignature = 'off'\n[service]\nlisten = '127.0.0.1:1'\nshutdown_grace = '1s'\nbody_limit = 7\n";
        let environment = [("GOBLIN_SERVICE__LISTEN", "127.0.0.1:2"), ("GOBLIN_SERVICE__SHUTDOWN_GRACE", "500ms")];
        let config = Config::load(&inputs(file, &environment, &["service.listen=127.0.0.1:3"])).unwrap();
        assert_eq!(config.service.listen.port(), 3);
        assert_eq!(config.service.shutdown_grace, Duration::from_millis(500));
        assert_eq!(config.service.body_limit, 7);
        let shown: Vec<_> = config.effective.iter().map(ToString::to_string).collect();
        assert!(shown.contains(&"service.listen = 127.0.0.1:3  (--set service.listen)".to_owned()), "{shown:?}");
        assert!(shown.contains(&"service.body_limit = 7  (goblin.toml)".to_owned()), "{shown:?}");
        assert!(shown.contains(&"timeouts.connect = 5s  (default)".to_owned()), "{shown:?}");
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let environment = [("GOBLIN_EDGE__SIGNING_KEYS", KEY), ("GOBLIN_SERVICE__LISTEN", "")];
        assert_eq!(Config::load(&inputs("", &environment, &[])).unwrap().service.listen.port(), 8080);
    }

    #[test]
    fn all_faults_are_told_at_once_with_name_source_value_and_reason() {
        let file = "[service]\nlisten = 80\nbdy_limit = 1\n[auth]\nmode = 'strict'\n[log]\nlevel = '[[['\n";
        let environment = [
            ("GOBLIN_SERVICE__SHUTDOWN_GRACE", "30"),
            ("GOBLIN_SERVICE__LISTNE", "x"),
            ("GOBLIN_PROVIDERS__OPNAI__API_KEY", "sk-very-secret"),
            ("GOBLIN_PROVIDERS__OPENAI__MODELS", "gpt-9=x"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ];
        let told = faults(file, &environment, &["edge.signing_keys=x:tooshort", "nonsense"]);
        for part in [
            "service.listen = 80 (goblin.toml): ",
            "service.bdy_limit (goblin.toml): no such setting; did you mean `service.body_limit`",
            "service.listne (GOBLIN_SERVICE__LISTNE): no such setting; did you mean `service.listen`",
            "service.shutdown_grace = 30 (GOBLIN_SERVICE__SHUTDOWN_GRACE): ",
            "auth.mode = strict (goblin.toml): must be `off`, `optional` or `required`",
            "log.level = [[[ (goblin.toml): ",
            "edge.signing_keys = *** (--set edge.signing_keys): ",
            "providers.opnai (GOBLIN_PROVIDERS__OPNAI__API_KEY): no such provider",
            "providers.openai.models = gpt-9=x (GOBLIN_PROVIDERS__OPENAI__MODELS): ",
            "OTEL_EXPORTER_OTLP_ENDPOINT = collector:4317 (environment): ",
            "OTEL_EXPORTER_OTLP_PROTOCOL = http/json (environment): ",
            "--set nonsense: ",
        ] {
            assert!(told.contains(part), "{part} is missing in\n{told}");
        }
        assert!(!told.contains("very-secret") && !told.contains("tooshort"), "{told}");
    }

    #[test]
    fn a_missing_signing_key_tells_how_to_make_one() {
        let told = faults("", &[], &[]);
        assert!(told.contains("edge.signing_keys") && told.contains("openssl rand -hex 32"), "{told}");
    }

    #[test]
    fn a_broken_file_is_told_by_place_and_not_by_content() {
        let told = faults("[providers.openai]\napi_key = \"sk-secret\nx = 1\n", &[], &["edge.signature=off"]);
        assert!(told.contains("goblin.toml: line 2: "), "{told}");
        assert!(!told.contains("sk-secret"), "{told}");
    }

    #[test]
    fn the_demo_is_there_when_nothing_else_is_or_when_it_is_asked_for() {
        for (set, expected) in [
            (&["providers.demo.models=goblin-demo"][..], &["demo"][..]),
            (&["providers.openai.api_key=sk-1"], &["openai"]),
            (&["providers.openai.enabled=false"], &[]),
            (&["providers.openai.api_key=sk-1", "providers.demo.enabled=true"], &["demo", "openai"]),
            (&["providers.openai.api_key=sk-1", "providers.demo.token_interval=1ms"], &["demo", "openai"]),
            (&["providers.demo.enabled=false"], &[]),
        ] {
            let config = Config::load(&inputs("[edge]\nsignature = 'off'\n", &[], set)).unwrap();
            let names: Vec<_> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
            assert_eq!(names, expected, "{set:?}");
        }
    }

    #[test]
    fn models_may_be_a_table_and_keys_a_list() {
        let file = format!(
            "[edge]\nsigning_keys = ['{KEY}', 'b:{}']\n[providers.openai]\nmodels = {{ 'gpt-4.1' = 'x' }}\n",
            "1".repeat(32)
        );
        let config = Config::load(&inputs(&file, &[], &[])).unwrap();
        assert_eq!(config.edge.signing_keys.len(), 2);
        assert_eq!(config.providers[0].models.get("gpt-4.1").map(String::as_str), Some("x"));
    }

    #[test]
    fn credentials_belong_into_their_own_field() {
        let told = faults("", &[], &["edge.signature=off", "providers.openai.base_url=http://me:pw@localhost/v1"]);
        assert!(told.contains("providers.openai.base_url = ***"), "{told}");
    }
}
