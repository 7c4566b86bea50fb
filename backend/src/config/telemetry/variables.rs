//! The variables of OpenTelemetry's specification, and what each may hold.
//!
//! Names: <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/> and, for `OTLP`,
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>. What cannot be obeyed is refused, never passed over.

use std::fmt::Write as _;

use crate::config::{
    fault::Fault,
    reader::{Reader, distance},
    value::{BaseUrl, MASK, Value, shown_fault},
};

/// What a variable may hold.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// Any text.
    Text,
    /// A base URL.
    Url,
    /// The name of a file in PEM.
    File,
    /// `name=value` with commas between; not shown.
    Secrets,
    /// The same, shown.
    Pairs,
    /// `true` or `false`.
    Flag,
    /// A whole number of at least so much.
    Count(u64),
    /// A ratio from 0 to 1.
    Ratio,
    /// One of these.
    One(&'static [&'static str]),
    /// Some of these, with commas between; `none` alone.
    Some(&'static [&'static str]),
    /// Not supported: what to do instead.
    Refused(&'static str),
}

/// `*` in a name stands for nothing, `TRACES_`, `METRICS_` and `LOGS_`.
type Row = (&'static str, Form, &'static str);

const SAMPLERS: &[&str] = &[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

const ALL: &[Row] = &[
    ("ENABLE_OPENTELEMETRY", Form::Flag, "`false`: nothing is exported and nothing counted. Default `true`"),
    ("OTEL_SDK_DISABLED", Form::Flag, "`true`: the same as `ENABLE_OPENTELEMETRY=false`. Ids go on all the same"),
    ("OTEL_SERVICE_NAME", Form::Text, "Name of this service. Default `goblin-backend`"),
    ("OTEL_SERVICE_VERSION", Form::Text, "Its version. Default: that of the program"),
    ("OTEL_RESOURCE_ATTRIBUTES", Form::Pairs, "More that tells this service from others: `name=value`, commas between"),
    (
        "OTEL_LOG_LEVEL",
        Form::One(&["none", "error", "warn", "info", "debug"]),
        "What OpenTelemetry's own parts tell in the log. Default `warn`",
    ),
    (
        "OTEL_PROPAGATORS",
        Form::Some(&["tracecontext", "baggage", "b3", "b3multi", "none"]),
        "The forms of trace contexts that are read and written, in this order. Default `tracecontext,baggage`",
    ),
    (
        "OTEL_TRACES_EXPORTER",
        Form::Some(&["otlp", "console", "none"]),
        "Where spans go. Default `otlp` where an endpoint is set, else `none`",
    ),
    (
        "OTEL_METRICS_EXPORTER",
        Form::Some(&["otlp", "console", "prometheus", "none"]),
        "Where metrics go. Default `prometheus`, and `otlp` where an endpoint is set",
    ),
    (
        "OTEL_LOGS_EXPORTER",
        Form::Some(&["otlp", "console", "none"]),
        "Where the log goes besides standard output, where it always is. Default `otlp` where an endpoint is set",
    ),
    ("OTEL_TRACES_SAMPLER", Form::One(SAMPLERS), "Which traces are recorded. Default `parentbased_always_on`"),
    ("OTEL_TRACES_SAMPLER_ARG", Form::Ratio, "The share for samplers with `ratio` in their name"),
    (
        "OTEL_EXPORTER_OTLP_*ENDPOINT",
        Form::Url,
        "The collector. A common one gets `/v1/traces` and the like appended with HTTP. Default none, or `localhost` where the exporter is asked for by name",
    ),
    (
        "OTEL_EXPORTER_OTLP_*PROTOCOL",
        Form::One(&["grpc", "http/protobuf"]),
        "How it is spoken to. Default `http/protobuf`",
    ),
    (
        "OTEL_EXPORTER_OTLP_*HEADERS",
        Form::Secrets,
        "Fields for each request, such as a token: `name=value`, commas between",
    ),
    ("OTEL_EXPORTER_OTLP_*TIMEOUT", Form::Count(1), "Milliseconds that one export may take. Default 10000"),
    ("OTEL_EXPORTER_OTLP_*COMPRESSION", Form::One(&["gzip", "none"]), "Default `none`"),
    (
        "OTEL_EXPORTER_OTLP_*CERTIFICATE",
        Form::File,
        "File of the certificates (PEM) that the collector's is checked against, instead of the usual authorities",
    ),
    (
        "OTEL_EXPORTER_OTLP_*CLIENT_CERTIFICATE",
        Form::File,
        "File of the certificate (PEM) that is shown to the collector",
    ),
    ("OTEL_EXPORTER_OTLP_*CLIENT_KEY", Form::File, "File of its key (PEM)"),
    (
        "OTEL_EXPORTER_OTLP_*INSECURE",
        Form::Flag,
        "`true`: gRPC without TLS where the endpoint has no scheme. Here it always has one, which counts",
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        Form::One(&["cumulative", "delta", "lowmemory"]),
        "Default `cumulative`",
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        Form::One(&["explicit_bucket_histogram"]),
        "Buckets are those of docs/metrics.md",
    ),
    ("OTEL_METRIC_EXPORT_INTERVAL", Form::Count(1), "Milliseconds between exports of metrics. Default 60000"),
    ("OTEL_METRIC_EXPORT_TIMEOUT", Form::Count(1), "Milliseconds that one may take. Default 30000"),
    ("OTEL_METRICS_EXEMPLAR_FILTER", Form::One(&["always_off"]), "Exemplars come from the Collector's spanmetrics"),
    ("OTEL_BSP_SCHEDULE_DELAY", Form::Count(1), "Longest wait of a span, in milliseconds. Default 5000"),
    (
        "OTEL_BSP_EXPORT_TIMEOUT",
        Form::Count(1),
        "Milliseconds that one export may take. Default 30000; the exporter's own bound counts too",
    ),
    ("OTEL_BSP_MAX_QUEUE_SIZE", Form::Count(1), "Spans that may wait; more are dropped, and counted. Default 2048"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", Form::Count(1), "Spans that go together. Default 512"),
    ("OTEL_BLRP_SCHEDULE_DELAY", Form::Count(1), "Longest wait of a line of the log, in milliseconds. Default 1000"),
    ("OTEL_BLRP_EXPORT_TIMEOUT", Form::Count(1), "Milliseconds that one export may take. Default 30000"),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", Form::Count(1), "Lines that may wait; more are dropped, and counted. Default 2048"),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", Form::Count(1), "Lines that go together. Default 512"),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", Form::Count(0), "Most attributes of a span. Default 128"),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", Form::Count(0), "Most events of a span. Default 128"),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", Form::Count(0), "Most links of a span. Default 128"),
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", Form::Refused("texts of spans and lines are short by themselves"), ""),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", Form::Refused("set OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"), ""),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", Form::Refused("texts of spans are short by themselves"), ""),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", Form::Refused("events of spans have no more than four"), ""),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", Form::Refused("spans have no links"), ""),
    ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", Form::Refused("lines of the log have few"), ""),
    ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", Form::Refused("texts of the log are short by themselves"), ""),
    (
        "OTEL_EXPORTER_PROMETHEUS_HOST",
        Form::Refused("`/metrics` is at operations.listen; set GOBLIN_OPERATIONS__LISTEN"),
        "",
    ),
    (
        "OTEL_EXPORTER_PROMETHEUS_PORT",
        Form::Refused("`/metrics` is at operations.listen; set GOBLIN_OPERATIONS__LISTEN"),
        "",
    ),
    ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", Form::Refused("send OTLP; a Collector speaks Zipkin"), ""),
    ("OTEL_EXPORTER_ZIPKIN_TIMEOUT", Form::Refused("send OTLP; a Collector speaks Zipkin"), ""),
    ("OTEL_EXPORTER_JAEGER_ENDPOINT", Form::Refused("send OTLP, which Jaeger takes"), ""),
    ("OTEL_EXPORTER_JAEGER_PROTOCOL", Form::Refused("send OTLP, which Jaeger takes"), ""),
    ("OTEL_EXPORTER_JAEGER_TIMEOUT", Form::Refused("send OTLP, which Jaeger takes"), ""),
    ("OTEL_EXPORTER_JAEGER_USER", Form::Refused("send OTLP, which Jaeger takes"), ""),
    ("OTEL_EXPORTER_JAEGER_PASSWORD", Form::Refused("send OTLP, which Jaeger takes"), ""),
    ("OTEL_EXPORTER_JAEGER_AGENT_HOST", Form::Refused("send OTLP, which Jaeger takes"), ""),
    ("OTEL_EXPORTER_JAEGER_AGENT_PORT", Form::Refused("send OTLP, which Jaeger takes"), ""),
    ("OTEL_EXPORTER_OTLP_SPAN_INSECURE", Form::Refused("set OTEL_EXPORTER_OTLP_TRACES_INSECURE"), ""),
    ("OTEL_EXPORTER_OTLP_METRIC_INSECURE", Form::Refused("set OTEL_EXPORTER_OTLP_METRICS_INSECURE"), ""),
    (
        "OTEL_SEMCONV_STABILITY_OPT_IN",
        Form::One(&["http", "database", "http,database", "database,http"]),
        "Names are the stable ones, whether it is set or not",
    ),
    (
        "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS",
        Form::Refused("the methods are those of HTTP; all others count as `_OTHER`"),
        "",
    ),
    ("OTEL_CONFIG_FILE", Form::Refused("set the variables one by one"), ""),
    ("OTEL_EXPERIMENTAL_CONFIG_FILE", Form::Refused("set the variables one by one"), ""),
    (
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        Form::One(&["false"]),
        "Prompts and answers are never put into telemetry",
    ),
];

const SIGNALS: [&str; 4] = ["", "TRACES_", "METRICS_", "LOGS_"];

/// Every name with its row.
fn names() -> impl Iterator<Item = (String, &'static Row)> {
    ALL.iter().flat_map(|row| {
        let signals: &[&str] = if row.0.contains('*') { &SIGNALS } else { &SIGNALS[..1] };
        signals.iter().map(move |signal| (row.0.replace('*', signal), row))
    })
}

/// Variables that are set, each of them sound.
pub(super) struct Variables<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Variables<'a> {
    /// Looks at all of OpenTelemetry's. What is wrong with them is noted, and left out.
    pub(super) fn read(environment: &'a [(String, String)], reader: &mut Reader) -> Self {
        let known: Vec<_> = names().collect();
        let mut sound = Vec::new();
        for (name, value) in environment {
            // An empty variable counts as unset, as OpenTelemetry has it.
            let (name, value) = (name.as_str(), value.trim());
            if value.is_empty() || !(name.starts_with("OTEL_") || name == "ENABLE_OPENTELEMETRY") {
                continue;
            }
            let Some((_, (_, form, _))) = known.iter().find(|(known, _)| known == name) else {
                // Those of other languages and of operators' tools may be there for others. A slip may not.
                if let Some((near, _)) = known.iter().find(|(known, _)| distance(known, name) <= 2) {
                    fault(reader, name, value, &format!("no such variable; did you mean `{near}`?"));
                }
                continue;
            };
            match check(*form, value) {
                Ok(()) => {
                    let shown = if matches!(form, Form::Secrets) { MASK } else { value };
                    reader.tell_variable(name, shown);
                    sound.push((name, value));
                }
                Err(reason) if matches!(form, Form::Secrets) => fault(reader, name, MASK, &reason),
                Err(reason) => fault(reader, name, value, &reason),
            }
        }
        Self(sound)
    }

    /// The value of a variable that is set.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(set, _)| *set == name).map(|(_, value)| *value)
    }

    /// The value of a variable of OTLP: the signal's own, or else that for all.
    pub(super) fn otlp(&self, signal: &str, name: &str) -> Option<&'a str> {
        self.get(&format!("OTEL_EXPORTER_OTLP_{signal}_{name}"))
            .or_else(|| self.get(&format!("OTEL_EXPORTER_OTLP_{name}")))
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A number that was looked at.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// What is in a list.
    pub(super) fn list(&self, name: &str) -> Option<Vec<&'a str>> {
        Some(self.get(name)?.split(',').map(str::trim).collect())
    }
}

fn check(form: Form, value: &str) -> Result<(), String> {
    let is_pair = |pair: &str| pair.split_once('=').is_some_and(|(name, _)| !name.trim().is_empty());
    match form {
        Form::Text => Ok(()),
        Form::Url => BaseUrl::from_text(value).map(|_| ()),
        Form::File => match std::fs::read_to_string(value) {
            Ok(text) if text.contains("-----BEGIN ") => Ok(()),
            Ok(_) => Err("there is nothing in PEM in this file".to_owned()),
            Err(error) => Err(format!("the file cannot be read: {error}")),
        },
        Form::Secrets | Form::Pairs if value.split_terminator(',').all(is_pair) => Ok(()),
        Form::Secrets | Form::Pairs => Err("must be `name=value`, with commas between".to_owned()),
        Form::Flag if ["true", "false"].iter().any(|flag| value.eq_ignore_ascii_case(flag)) => Ok(()),
        Form::Flag => Err("must be `true` or `false`".to_owned()),
        Form::Count(least) if value.parse::<u64>().is_ok_and(|count| count >= least) => Ok(()),
        Form::Count(least) => Err(format!("must be a whole number, {least} at least")),
        Form::Ratio if value.parse::<f64>().is_ok_and(|ratio| (0.0..=1.0).contains(&ratio)) => Ok(()),
        Form::Ratio => Err("must be a number from 0 to 1".to_owned()),
        Form::One(choices) if choices.contains(&value) => Ok(()),
        Form::One(choices) => Err(format!("must be {}", one_of(choices))),
        Form::Some(choices) => {
            let chosen: Vec<_> = value.split(',').map(str::trim).collect();
            if !chosen.iter().all(|choice| choices.contains(choice)) {
                Err(format!("must be {}, several with commas between", one_of(choices)))
            } else if chosen.contains(&"none") && chosen.len() > 1 {
                Err("`none` stands alone".to_owned())
            } else {
                Ok(())
            }
        }
        Form::Refused(instead) => Err(format!("is not supported: {instead}")),
    }
}

fn one_of(choices: &[&str]) -> String {
    let mut text = String::new();
    for (index, choice) in choices.iter().enumerate() {
        let between = match index {
            0 => "",
            _ if index + 1 == choices.len() => " or ",
            _ => ", ",
        };
        // Writing to a text cannot fail.
        let _ = write!(text, "{between}`{choice}`");
    }
    text
}

/// Notes what is wrong with a variable.
pub(super) fn fault(reader: &mut Reader, name: &str, value: &str, reason: &str) {
    reader.fault(Fault {
        name: name.to_owned(),
        source: Some("environment".to_owned()),
        value: Some(shown_fault::<BaseUrl>(value)),
        reason: reason.to_owned(),
    });
}

/// All that can be set, as the rows of a table in Markdown.
#[cfg(test)]
pub(in crate::config) fn table() -> String {
    let mut text = "| Variable | Holds | Meaning |\n|---|---|---|\n".to_owned();
    for (name, form, meaning) in ALL {
        let holds = match form {
            Form::Text => "text".to_owned(),
            Form::Url => "URL".to_owned(),
            Form::File => "file name".to_owned(),
            Form::Secrets => "pairs, never shown".to_owned(),
            Form::Pairs => "pairs".to_owned(),
            Form::Flag => "`true`, `false`".to_owned(),
            Form::Count(_) => "whole number".to_owned(),
            Form::Ratio => "0 to 1".to_owned(),
            Form::One(choices) => one_of(choices),
            Form::Some(choices) => format!("{}, several with commas", one_of(choices)),
            Form::Refused(instead) => {
                let _ = writeln!(text, "| `{name}` | refused | {instead} |");
                continue;
            }
        };
        let _ = writeln!(text, "| `{name}` | {holds} | {meaning} |");
    }
    text
}
