//! Where telemetry goes and how, by the variables that OpenTelemetry names
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>). Sampling is not here.

use super::Variables;

/// What is exported by itself, each with a queue, a pace and an endpoint of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Counts and durations.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// As the end of its endpoint's path, and as a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `http/protobuf`, the default.
    Protobuf,
    /// `http/json`.
    Json,
}

impl Protocol {
    /// The media type of requests, and of the answers to them.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// Where, how and as whom to export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpConfig {
    /// Spans; `None` when they have no endpoint, or `OTEL_TRACES_EXPORTER` is `none`.
    pub traces: Option<SignalConfig>,
    /// The same for metrics.
    pub metrics: Option<SignalConfig>,
    /// The same for log records.
    pub logs: Option<SignalConfig>,
    /// `OTEL_EXPORTER_OTLP_PROTOCOL`: `http/protobuf` (default) or `http/json`.
    pub protocol: Protocol,
    /// `OTEL_EXPORTER_OTLP_COMPRESSION`: `gzip` (default) or `none`.
    pub gzip: bool,
    /// `OTEL_EXPORTER_OTLP_HEADERS`: field names and percent-decoded values.
    pub headers: Vec<(String, String)>,
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`: how long a collector may take, in milliseconds. Default 10,000, at most 28,000.
    pub timeout_ms: u32,
    /// Attributes of the resource: `OTEL_SERVICE_NAME` (default `goblin-edge`), what is known of the platform, and over
    /// these `OTEL_RESOURCE_ATTRIBUTES`. The instance is not among them, as each isolate is its own.
    pub resource: Vec<(String, String)>,
}

/// How one signal is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalConfig {
    /// `OTEL_EXPORTER_OTLP_{SIGNAL}_ENDPOINT` as it is, or `OTEL_EXPORTER_OTLP_ENDPOINT` with `/v1/{signal}` appended.
    pub url: String,
    /// How long items are gathered before they leave, in milliseconds: `OTEL_BSP_SCHEDULE_DELAY` (default 5,000),
    /// `OTEL_BLRP_SCHEDULE_DELAY` (1,000), `OTEL_METRIC_EXPORT_INTERVAL` (5,000). At most 25,000, as the runtime grants
    /// 30 seconds after an answer.
    pub delay_ms: u32,
    /// Items that may wait: `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BLRP_MAX_QUEUE_SIZE` (default 2,048).
    pub queue_items: usize,
    /// Items that leave together: `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`, `OTEL_BLRP_MAX_EXPORT_BATCH_SIZE` (default 512).
    pub batch_items: usize,
}

impl OtlpConfig {
    /// How a signal is exported, if it is.
    #[must_use]
    pub fn signal(&self, signal: Signal) -> Option<&SignalConfig> {
        match signal {
            Signal::Traces => self.traces.as_ref(),
            Signal::Metrics => self.metrics.as_ref(),
            Signal::Logs => self.logs.as_ref(),
        }
    }

    /// `None` when nothing is to be exported.
    pub(super) fn read(variables: &Variables<'_>, faults: &mut Vec<String>) -> Option<Self> {
        if variables.text("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return None;
        }
        let base = base(variables, faults);
        let mut signal = |signal, names| read_signal(signal, names, base.as_deref(), variables, faults);
        let traces = signal(Signal::Traces, &TRACES);
        let metrics = signal(Signal::Metrics, &METRICS);
        let logs = signal(Signal::Logs, &LOGS);
        let protocol = match variables.text("OTEL_EXPORTER_OTLP_PROTOCOL").as_deref() {
            None | Some("http/protobuf") => Protocol::Protobuf,
            Some("http/json") => Protocol::Json,
            Some(other) => {
                let why = if other == "grpc" { "a Worker cannot speak grpc; " } else { "" };
                faults.push(format!("OTEL_EXPORTER_OTLP_PROTOCOL: {why}it must be http/protobuf or http/json"));
                Protocol::Protobuf
            }
        };
        let gzip = variables.choice("OTEL_EXPORTER_OTLP_COMPRESSION", true, &[("gzip", true), ("none", false)], faults);
        let what = "name=value with the name of a header field and a percent-encoded value of printable ASCII";
        let headers = variables.list("OTEL_EXPORTER_OTLP_HEADERS", faults, what, header);
        let timeout_ms = variables.number("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000, 1..=28_000, faults);
        let resource = resource(variables, faults);
        if traces.is_none() && metrics.is_none() && logs.is_none() {
            return None;
        }
        Some(Self { traces, metrics, logs, protocol, gzip, headers, timeout_ms, resource })
    }
}

/// What a signal's variables are called; metrics have no queue.
struct Names {
    endpoint: &'static str,
    exporter: &'static str,
    delay: &'static str,
    default_delay_ms: u32,
    sizes: Option<(&'static str, &'static str)>,
}

const TRACES: Names = Names {
    endpoint: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    exporter: "OTEL_TRACES_EXPORTER",
    delay: "OTEL_BSP_SCHEDULE_DELAY",
    default_delay_ms: 5_000,
    sizes: Some(("OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE")),
};

const METRICS: Names = Names {
    endpoint: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    exporter: "OTEL_METRICS_EXPORTER",
    delay: "OTEL_METRIC_EXPORT_INTERVAL",
    default_delay_ms: 5_000,
    sizes: None,
};

const LOGS: Names = Names {
    endpoint: "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    exporter: "OTEL_LOGS_EXPORTER",
    delay: "OTEL_BLRP_SCHEDULE_DELAY",
    default_delay_ms: 1_000,
    sizes: Some(("OTEL_BLRP_MAX_QUEUE_SIZE", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE")),
};

fn base(variables: &Variables<'_>, faults: &mut Vec<String>) -> Option<String> {
    url("OTEL_EXPORTER_OTLP_ENDPOINT", variables, faults).map(|url| url.trim_end_matches('/').to_owned())
}

fn url(name: &str, variables: &Variables<'_>, faults: &mut Vec<String>) -> Option<String> {
    let url = variables.text(name)?;
    if !is_http(&url) {
        faults.push(format!("{name} must begin with http:// or https://"));
    }
    Some(url)
}

fn read_signal(
    signal: Signal,
    names: &Names,
    base: Option<&str>,
    variables: &Variables<'_>,
    faults: &mut Vec<String>,
) -> Option<SignalConfig> {
    let own = url(names.endpoint, variables, faults);
    let is_on = variables.choice(names.exporter, true, &[("otlp", true), ("none", false)], faults);
    let delay_ms = variables.number(names.delay, names.default_delay_ms, 1..=25_000, faults);
    let (mut queue_items, mut batch_items) = (2_048, 512);
    if let Some((queue, batch)) = names.sizes {
        queue_items = variables.number(queue, queue_items, 1..=65_536, faults);
        let most = queue_items;
        batch_items = variables.number(batch, batch_items.min(most), 1..=most, faults);
    }
    let url = own.or_else(|| base.map(|base| format!("{base}/v1/{}", signal.as_str())))?;
    is_on.then_some(SignalConfig { url, delay_ms, queue_items, batch_items })
}

fn resource(variables: &Variables<'_>, faults: &mut Vec<String>) -> Vec<(String, String)> {
    let fixed = [
        ("service.name", "goblin-edge"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("cloud.provider", "cloudflare"),
        ("cloud.platform", "cloudflare.workers"),
    ];
    let mut resource: Vec<_> = fixed.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let what = "key=value, percent-encoded where the value needs it";
    let own = variables.list("OTEL_RESOURCE_ATTRIBUTES", faults, what, |pair| {
        let (key, value) = pair.split_once('=')?;
        let key = percent_decoded(key.trim()).filter(|key| !key.is_empty())?;
        Some((key, percent_decoded(value.trim())?))
    });
    let name = variables.text("OTEL_SERVICE_NAME").map(|name| ("service.name".to_owned(), name));
    // Isolates that share an instance would overwrite one another's deltas.
    for (key, value) in own.into_iter().chain(name).filter(|(key, _)| key != "service.instance.id") {
        match resource.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None => resource.push((key, value)),
        }
    }
    resource
}

/// Fields as Fetch takes them: RFC 9110's token, and a value without control characters.
fn header(pair: &str) -> Option<(String, String)> {
    let (name, value) = pair.split_once('=')?;
    let (name, value) = (name.trim(), percent_decoded(value.trim())?);
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_field =
        !name.is_empty() && name.bytes().all(is_token) && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_field.then(|| (name.to_owned(), value))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn is_http(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Option<OtlpConfig>, Vec<String>) {
        let get = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let mut faults = Vec::new();
        (OtlpConfig::read(&Variables::new(&get), &mut faults), faults)
    }

    fn valid(pairs: &[(&str, &str)]) -> OtlpConfig {
        let (otlp, faults) = read(pairs);
        assert_eq!(faults, Vec::<String>::new());
        otlp.unwrap()
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");

    #[test]
    fn defaults_are_opentelemetrys_but_where_the_runtime_wants_others() {
        let otlp = valid(&[ENDPOINT]);
        let traces = otlp.traces.as_ref().unwrap();
        assert_eq!(traces.url, "http://c:4318/v1/traces");
        assert_eq!((traces.delay_ms, traces.queue_items, traces.batch_items), (5_000, 2_048, 512));
        assert_eq!(otlp.metrics.as_ref().map(|metrics| metrics.delay_ms), Some(5_000));
        let logs = otlp.logs.as_ref().unwrap();
        assert_eq!((logs.url.as_str(), logs.delay_ms), ("http://c:4318/v1/logs", 1_000));
        assert_eq!((otlp.protocol, otlp.gzip, otlp.timeout_ms), (Protocol::Protobuf, true, 10_000));
        assert_eq!(otlp.resource[0], ("service.name".to_owned(), "goblin-edge".to_owned()));
    }

    #[test]
    fn a_signals_own_endpoint_is_taken_as_it_is() {
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t/custom");
        let otlp = valid(&[own]);
        assert_eq!(otlp.traces.unwrap().url, "https://t/custom");
        assert_eq!((otlp.metrics, otlp.logs), (None, None));
        let both = valid(&[own, ENDPOINT]);
        assert_eq!((both.traces.unwrap().url.as_str(), both.logs.is_some()), ("https://t/custom", true));
    }

    #[test]
    fn signals_and_the_whole_can_be_switched_off() {
        let off = [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "otlp")];
        let otlp = valid(&[&[ENDPOINT][..], &off].concat());
        assert_eq!((otlp.traces, otlp.metrics, otlp.logs.is_some()), (None, None, true));
        assert_eq!(read(&[]), (None, vec![]));
        assert_eq!(read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "True")]), (None, vec![]));
        assert!(read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "no")]).0.is_some());
    }

    #[test]
    fn fields_and_attributes_are_percent_decoded() {
        let otlp = valid(&[
            ENDPOINT,
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x, a=b=,"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "deployment.environment.name=pr%C3%B6d,service.name=other,service.instance.id=1",
            ),
            ("OTEL_SERVICE_NAME", "mine"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ]);
        assert_eq!(otlp.headers, [("authorization", "Bearer x"), ("a", "b=")].map(|(a, b)| (a.into(), b.into())));
        let value = |key: &str| otlp.resource.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
        assert_eq!(value("deployment.environment.name"), Some("pröd"));
        assert_eq!((value("service.name"), value("service.instance.id")), (Some("mine"), None));
        assert_eq!((otlp.protocol, otlp.gzip), (Protocol::Json, false));
        let named = valid(&[ENDPOINT, ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other")]);
        assert_eq!(named.resource[0].1, "other");
    }

    #[test]
    fn all_faults_are_reported_at_once_and_no_value_is_repeated() {
        let (_, faults) = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:secret"),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "secret"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret,bad name=secret,a=secret%0A,b=%zz,c=%+1"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"),
            ("OTEL_RESOURCE_ATTRIBUTES", "secret,=secret"),
            ("OTEL_BSP_SCHEDULE_DELAY", "0"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "11"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "60000"),
            ("OTEL_LOGS_EXPORTER", "console"),
        ]);
        assert_eq!(faults.len(), 16, "{faults:#?}");
        assert!(faults.iter().all(|fault| !fault.contains("secret")), "{faults:#?}");
        assert!(faults.iter().any(|fault| fault.contains("cannot speak grpc")), "{faults:#?}");
    }
}
