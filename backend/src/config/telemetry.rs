//! Where traces, metrics and logs go: OpenTelemetry's own variables, all looked at before the SDK sees any of them.
//!
//! What the SDK reads by itself (sampler, limits of spans, headers, resource, interval of metrics) is checked here and not
//! repeated.

#[cfg(test)]
mod tests;
mod variables;

use std::time::Duration;

use goblin_shared::trace_context::Formats;

use self::variables::{Variables, fault};
use super::reader::Reader;

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtlpProtocol {
    /// `grpc`
    Grpc,
    /// `http/protobuf`
    HttpProtobuf,
}

/// How a collector is reached. Its endpoint and fields the SDK reads by itself.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct OtlpConfig {
    /// `OTEL_EXPORTER_OTLP_PROTOCOL`, or the signal's own.
    pub(crate) protocol: OtlpProtocol,
    /// Longest time of one export.
    pub(crate) timeout: Duration,
    /// Certificates that the collector's is checked against, in PEM. `None`: the usual authorities.
    pub(crate) authorities: Option<String>,
    /// Certificate and key that are shown to the collector, in PEM.
    pub(crate) identity: Option<(String, String)>,
}

impl std::fmt::Debug for OtlpConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key is nobody's business.
        formatter.debug_struct("OtlpConfig").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

/// How many items wait, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchConfig {
    /// Items that may wait.
    pub(crate) queue: usize,
    /// Items that go together.
    pub(crate) batch: usize,
    /// Longest wait until they go.
    pub(crate) delay: Duration,
}

/// Where a signal goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignalConfig {
    /// To a collector.
    pub(crate) otlp: Option<OtlpConfig>,
    /// To standard output.
    pub(crate) console: bool,
}

/// What is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TelemetryConfig {
    /// Where spans go.
    pub(crate) traces: SignalConfig,
    /// Where metrics go by being sent.
    pub(crate) metrics: SignalConfig,
    /// Where the log goes besides standard output.
    pub(crate) logs: SignalConfig,
    /// Whether metrics can be fetched at `/metrics` of the operations listener.
    pub(crate) prometheus: bool,
    /// How spans wait.
    pub(crate) span_batches: BatchConfig,
    /// How lines of the log wait.
    pub(crate) log_batches: BatchConfig,
    /// `OTEL_SERVICE_VERSION`.
    pub(crate) service_version: Option<String>,
    /// `OTEL_LOG_LEVEL`, as the log's directives have it.
    pub(crate) own_level: Option<&'static str>,
    /// `OTEL_PROPAGATORS`.
    pub(crate) formats: Formats,
}

/// What differs between signals.
struct Signal {
    /// In the names of variables.
    name: &'static str,
    exporter: &'static str,
    /// The time that one export may take by the processor's variable.
    timeout: Option<&'static str>,
}

const TRACES: Signal =
    Signal { name: "TRACES", exporter: "OTEL_TRACES_EXPORTER", timeout: Some("OTEL_BSP_EXPORT_TIMEOUT") };
const METRICS: Signal =
    Signal { name: "METRICS", exporter: "OTEL_METRICS_EXPORTER", timeout: Some("OTEL_METRIC_EXPORT_TIMEOUT") };
const LOGS: Signal = Signal { name: "LOGS", exporter: "OTEL_LOGS_EXPORTER", timeout: Some("OTEL_BLRP_EXPORT_TIMEOUT") };

/// OpenTelemetry's defaults.
const OTLP_TIMEOUT: Duration = Duration::from_secs(10);
const QUEUE: usize = 2_048;
const BATCH: usize = 512;
const SPAN_DELAY: Duration = Duration::from_secs(5);
const LOG_DELAY: Duration = Duration::from_secs(1);

impl TelemetryConfig {
    pub(super) fn read(environment: &[(String, String)], reader: &mut Reader) -> Self {
        let variables = Variables::read(environment, reader);
        let is_disabled = variables.is_true("OTEL_SDK_DISABLED");
        match variables.get("ENABLE_OPENTELEMETRY") {
            Some(value) if value.eq_ignore_ascii_case("true") && is_disabled => {
                fault(
                    reader,
                    "ENABLE_OPENTELEMETRY",
                    value,
                    "and OTEL_SDK_DISABLED says the contrary; unset one of them",
                );
            }
            _ => {}
        }
        let is_on = !is_disabled
            && variables.get("ENABLE_OPENTELEMETRY").is_none_or(|value| value.eq_ignore_ascii_case("true"));
        let metrics = variables.list(METRICS.exporter);
        Self {
            traces: signal(&variables, &TRACES, is_on, reader),
            metrics: signal(&variables, &METRICS, is_on, reader),
            logs: signal(&variables, &LOGS, is_on, reader),
            prometheus: is_on && metrics.is_none_or(|chosen| chosen.contains(&"prometheus")),
            span_batches: batches(&variables, "OTEL_BSP", SPAN_DELAY, reader),
            log_batches: batches(&variables, "OTEL_BLRP", LOG_DELAY, reader),
            service_version: variables.get("OTEL_SERVICE_VERSION").map(str::to_owned),
            own_level: variables.get("OTEL_LOG_LEVEL").map(|level| match level {
                "none" => "off",
                "error" => "error",
                "info" => "info",
                "debug" => "debug",
                _ => "warn",
            }),
            // That they can be read was seen.
            formats: variables.get("OTEL_PROPAGATORS").and_then(|names| Formats::parse(names).ok()).unwrap_or_default(),
        }
    }

    /// All variables, as the rows of a table in Markdown.
    #[cfg(test)]
    pub(super) fn table() -> String {
        variables::table()
    }
}

fn signal(variables: &Variables<'_>, signal: &Signal, is_on: bool, reader: &mut Reader) -> SignalConfig {
    let chosen = variables.list(signal.exporter);
    let is_chosen = |name: &str| chosen.as_ref().map(|chosen| chosen.contains(&name));
    // Nobody is sent anything unasked.
    let otlp = is_chosen("otlp").unwrap_or_else(|| variables.otlp(signal.name, "ENDPOINT").is_some());
    SignalConfig {
        // Faults in its variables are faults though it is off.
        otlp: Some(otlp_config(variables, signal, reader)).filter(|_| is_on && otlp),
        console: is_on && is_chosen("console") == Some(true),
    }
}

fn otlp_config(variables: &Variables<'_>, signal: &Signal, reader: &mut Reader) -> OtlpConfig {
    let millis = |value: Option<&str>| value.and_then(|value| value.parse().ok()).map(Duration::from_millis);
    let timeout = millis(variables.otlp(signal.name, "TIMEOUT")).unwrap_or(OTLP_TIMEOUT);
    let bound = millis(signal.timeout.and_then(|name| variables.get(name)));
    // That they can be read was seen.
    let file = |name| variables.otlp(signal.name, name).and_then(|path| std::fs::read_to_string(path).ok());
    let identity = match (file("CLIENT_CERTIFICATE"), file("CLIENT_KEY")) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (certificate, _) => {
            let (set, missing) = if certificate.is_some() {
                ("CLIENT_CERTIFICATE", "CLIENT_KEY")
            } else {
                ("CLIENT_KEY", "CLIENT_CERTIFICATE")
            };
            let reason = format!("needs OTEL_EXPORTER_OTLP_{missing} beside it");
            let value = variables.otlp(signal.name, set).unwrap_or_default();
            fault(reader, &format!("OTEL_EXPORTER_OTLP_{set}"), value, &reason);
            None
        }
    };
    OtlpConfig {
        protocol: match variables.otlp(signal.name, "PROTOCOL") {
            Some("grpc") => OtlpProtocol::Grpc,
            _ => OtlpProtocol::HttpProtobuf,
        },
        timeout: bound.map_or(timeout, |bound| bound.min(timeout)),
        authorities: file("CERTIFICATE"),
        identity,
    }
}

fn batches(variables: &Variables<'_>, family: &str, delay: Duration, reader: &mut Reader) -> BatchConfig {
    let count = |name: &str| variables.number(&format!("{family}_{name}"));
    let size = |name, default| count(name).map_or(default, |size| usize::try_from(size).unwrap_or(usize::MAX));
    let queue = size("MAX_QUEUE_SIZE", QUEUE);
    let batch = size("MAX_EXPORT_BATCH_SIZE", BATCH.min(queue));
    if batch > queue {
        let name = format!("{family}_MAX_EXPORT_BATCH_SIZE");
        fault(
            reader,
            &name,
            &batch.to_string(),
            &format!("must not be more than {family}_MAX_QUEUE_SIZE, which is {queue}"),
        );
    }
    BatchConfig { queue, batch, delay: count("SCHEDULE_DELAY").map_or(delay, Duration::from_millis) }
}
