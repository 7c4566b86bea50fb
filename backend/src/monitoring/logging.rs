//! The log: one line an event, with the ids by which a line, a trace and an answer are found from one another.

use std::{
    borrow::Cow,
    fmt::{Debug, Write as _},
    io::Write,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use opentelemetry::{
    logs::{AnyValue, LogRecord, Logger, Severity},
    trace::{SpanContext, TraceContextExt},
};
use opentelemetry_sdk::logs::SdkLogger;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;
use tracing::{
    Dispatch, Event, Level, Subscriber,
    dispatcher::WeakDispatch,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::redaction::redact_named;
use crate::{config::LogFormat, ports::Clock};

/// The attribute of the SERVER span that holds the request's id.
const REQUEST_ID_FIELD: &str = "goblin.request.id";

/// Writes events as lines, and hands them on to a collector.
pub(super) struct LogLayer<W> {
    format: LogFormat,
    clock: Arc<dyn Clock>,
    writer: W,
    logger: Option<SdkLogger>,
    dispatch: OnceLock<WeakDispatch>,
}

impl<W, O> LogLayer<W>
where
    W: Fn() -> O,
    O: Write,
{
    /// `writer` gives the stream anew for each line; `logger` leads to the collector, if there is one.
    pub(super) fn new(format: LogFormat, clock: Arc<dyn Clock>, writer: W, logger: Option<SdkLogger>) -> Self {
        Self { format, clock, writer, logger, dispatch: OnceLock::new() }
    }

    fn write(&self, line: Line) {
        let mut text = match self.format {
            LogFormat::Json => line.json(),
            LogFormat::Pretty => line.pretty(),
        };
        text.push('\n');
        // Who has closed our output has no more use for the log; that must not end the service.
        let _ = (self.writer)().write_all(text.as_bytes());
        if let Some(logger) = &self.logger {
            line.emit(logger);
        }
    }
}

/// Kept with the span that carries a request's id.
struct RequestIdOfSpan(String);

impl<S, W, O> Layer<S> for LogLayer<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: Fn() -> O + 'static,
    O: Write,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(Value::String(request_id)) = fields.take(REQUEST_ID_FIELD)
            && let Some(span) = context.span(id)
        {
            span.extensions_mut().insert(RequestIdOfSpan(request_id));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        fields.redact();
        let message = match fields.take("message") {
            Some(Value::String(message)) => message,
            _ => String::new(),
        };
        let mut line = Line {
            unix_millis: self.clock.unix_millis(),
            level: *metadata.level(),
            target: metadata.target(),
            message,
            fields: fields.0,
            span: None,
            request_id: None,
        };
        // The SDK may speak while it holds the lock on a span, which asking for that span's ids would take again.
        if !metadata.target().starts_with("opentelemetry")
            && let Some(span) = context.lookup_current()
        {
            line.request_id = span
                .scope()
                .find_map(|span| span.extensions().get::<RequestIdOfSpan>().map(|RequestIdOfSpan(id)| id.clone()));
            let dispatch = self.dispatch.get().and_then(WeakDispatch::upgrade);
            let context = dispatch.and_then(|dispatch| tracing_opentelemetry::get_otel_context(&span.id(), &dispatch));
            line.span = context.map(|context| context.span().span_context().clone());
        }
        self.write(line);
    }
}

struct Line {
    unix_millis: u64,
    level: Level,
    target: &'static str,
    message: String,
    fields: Vec<(&'static str, Value)>,
    span: Option<SpanContext>,
    request_id: Option<String>,
}

impl Line {
    /// By the names that OpenTelemetry gives them in logs that are not its own
    /// (<https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/>).
    fn ids(&self) -> impl Iterator<Item = (&'static str, String)> {
        let span = self.span.as_ref().map(|span| {
            let flags = format!("{:02x}", span.trace_flags().to_u8());
            [("trace_id", span.trace_id().to_string()), ("span_id", span.span_id().to_string()), ("trace_flags", flags)]
        });
        span.into_iter().flatten().chain(self.request_id.clone().map(|id| ("request_id", id)))
    }

    /// Hands it on to the collector.
    fn emit(self, logger: &SdkLogger) {
        let mut record = logger.create_log_record();
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(self.unix_millis);
        record.set_timestamp(time);
        record.set_observed_timestamp(time);
        let severity = match self.level {
            Level::ERROR => Severity::Error,
            Level::WARN => Severity::Warn,
            Level::INFO => Severity::Info,
            Level::DEBUG => Severity::Debug,
            Level::TRACE => Severity::Trace,
        };
        record.set_severity_number(severity);
        record.set_severity_text(self.level.as_str());
        record.set_target(self.target);
        record.set_body(self.message.into());
        for (name, value) in self.fields {
            record.add_attribute(name, any_value(value));
        }
        if let Some(id) = self.request_id {
            record.add_attribute(REQUEST_ID_FIELD, id);
        }
        if let Some(span) = &self.span {
            record.set_trace_context(span.trace_id(), span.span_id(), Some(span.trace_flags()));
        }
        logger.emit(record);
    }

    fn json(&self) -> String {
        // Texts and numbers always become JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn pretty(&self) -> String {
        let mut text = format!("{} {:>5} {}", rfc3339(self.unix_millis), self.level.as_str(), one_line(&self.message));
        for (name, value) in &self.fields {
            let _ = write!(text, " {name}={value}");
        }
        for (name, id) in self.ids() {
            let _ = write!(text, " {name}={id}");
        }
        text
    }
}

/// As an object. No field can stand in for what every line has.
impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const OF_ALL: [&str; 8] =
            ["timestamp", "level", "target", "message", "trace_id", "span_id", "trace_flags", "request_id"];
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("timestamp", &rfc3339(self.unix_millis))?;
        object.serialize_entry("level", self.level.as_str())?;
        object.serialize_entry("target", self.target)?;
        object.serialize_entry("message", &self.message)?;
        for (name, value) in self.fields.iter().filter(|(name, _)| !OF_ALL.contains(name)) {
            object.serialize_entry(name, value)?;
        }
        for (name, id) in self.ids() {
            object.serialize_entry(name, &id)?;
        }
        object.end()
    }
}

fn any_value(value: Value) -> AnyValue {
    match value {
        Value::Bool(value) => value.into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => value.into(),
            (None, Some(value)) => value.into(),
            (None, None) => number.to_string().into(),
        },
        Value::String(text) => text.into(),
        Value::Null | Value::Array(_) | Value::Object(_) => value.to_string().into(),
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// Collects fields with their types.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.push((field.name(), value.into()));
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let index = self.0.iter().position(|(other, _)| *other == name)?;
        Some(self.0.remove(index).1)
    }

    fn redact(&mut self) {
        for (name, value) in &mut self.0 {
            if let Value::String(text) = value
                && let Cow::Owned(redacted) = redact_named(name, text)
            {
                *text = redacted;
            }
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.insert(field, format!("{value:?}"));
    }
}

/// `2026-11-23T20:30:03.123Z`, by the civil-from-days algorithm of Howard Hinnant
/// (<https://howardhinnant.github.io/date_algorithms.html>).
fn rfc3339(unix_millis: u64) -> String {
    let (days, millis) = (unix_millis / 86_400_000, unix_millis % 86_400_000);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hours, minutes, seconds) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", millis % 1_000)
}

/// Panics go to the log like everything else, with the ids of the request that met them.
pub(super) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map_or_else(String::new, ToString::to_string);
        // A formatted message may repeat what it stumbled over, such as a prompt; a literal one cannot.
        let message = panic.payload().downcast_ref::<&'static str>().copied();
        tracing::error!(location, panic = message.unwrap_or("(message left out, as it may repeat data)"), "panicked");
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use opentelemetry::{logs::LoggerProvider, trace::TracerProvider};
    use opentelemetry_sdk::{
        logs::{InMemoryLogExporter, SdkLoggerProvider, in_memory_exporter::LogDataWithResource},
        trace::SdkTracerProvider,
    };
    use tracing_subscriber::layer::SubscriberExt;

    use serde_json::Map;

    use super::*;

    struct Fixed(u64);

    impl Clock for Fixed {
        fn unix_millis(&self) -> u64 {
            self.0
        }
    }

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, act: impl FnOnce()) -> String {
        logged_and_sent(format, act).0
    }

    /// The text, and what went to the collector.
    fn logged_and_sent(format: LogFormat, act: impl FnOnce()) -> (String, Vec<LogDataWithResource>) {
        let sink = Sink::default();
        let writer = sink.clone();
        let sent = InMemoryLogExporter::default();
        let logs = SdkLoggerProvider::builder().with_simple_exporter(sent.clone()).build();
        let clock = Arc::new(Fixed(1_795_465_803_042));
        let layer = LogLayer::new(format, clock, move || writer.clone(), Some(logs.logger("test")));
        let provider = SdkTracerProvider::builder().build();
        let spans = super::super::tracing::spans(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(spans).with(layer), act);
        (String::from_utf8(sink.0.lock().unwrap().clone()).unwrap(), sent.get_emitted_logs().unwrap())
    }

    #[test]
    fn every_line_within_a_request_carries_its_ids() {
        let text = logged(LogFormat::Json, || {
            let server = tracing::info_span!("server", goblin.request.id = "the-id");
            let _server = server.enter();
            let _inner = tracing::info_span!("inner").entered();
            tracing::info!(status = 200, trace_id = "forged", "a \"message\"\nof two lines");
        });
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert_eq!(line["timestamp"], "2026-11-23T20:30:03.042Z");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "a \"message\"\nof two lines");
        assert_eq!(line["status"], 200);
        assert_eq!(line["request_id"], "the-id");
        assert_eq!(line["trace_id"].as_str().unwrap().len(), 32);
        assert_eq!(line["span_id"].as_str().unwrap().len(), 16);
        assert_eq!(line["trace_flags"], "01");
    }

    #[test]
    fn the_collector_gets_the_same() {
        let (text, sent) = logged_and_sent(LogFormat::Json, || {
            let server = tracing::info_span!("server", goblin.request.id = "the-id");
            let _server = server.enter();
            tracing::warn!(status = 503, share = 0.5, is_last = true, model = "a", "failed");
        });
        let line: Value = serde_json::from_str(&text).unwrap();
        let record = &sent[0].record;
        let context = record.trace_context().unwrap();
        assert_eq!(sent.len(), 1);
        assert_eq!(line["trace_id"], context.trace_id.to_string());
        assert_eq!(line["span_id"], context.span_id.to_string());
        assert_eq!((record.severity_text(), record.severity_number()), (Some("WARN"), Some(Severity::Warn)));
        assert_eq!(record.body(), Some(&AnyValue::from("failed")));
        let attributes: Vec<_> = record.attributes_iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let expected = [
            ("status", AnyValue::from(503)),
            ("share", 0.5.into()),
            ("is_last", true.into()),
            ("model", "a".into()),
            (REQUEST_ID_FIELD, "the-id".into()),
        ];
        assert_eq!(attributes, expected);
    }

    #[test]
    fn what_must_not_leave_is_on_no_line() {
        let (text, sent) = logged_and_sent(LogFormat::Json, || {
            let cause = "no key sk-abcdefgh12345678 of ann@example.org";
            tracing::error!(cause, address = "127.0.0.1:80", n = 7, "from {}", "192.0.2.1");
        });
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["cause"], "no key [secret] of [email]");
        assert_eq!((line["address"].as_str(), line["message"].as_str()), (Some("127.0.0.1:80"), Some("from [ip]")));
        let sent = format!("{sent:?}");
        assert!(sent.contains("[secret]") && !sent.contains("sk-abc") && !sent.contains("192.0.2.1"), "{sent}");
    }

    #[test]
    fn lines_outside_of_requests_have_no_ids() {
        let text = logged(LogFormat::Json, || tracing::warn!("alone"));
        let line: Map<String, Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(line.keys().collect::<Vec<_>>(), ["timestamp", "level", "target", "message"]);
    }

    #[test]
    fn the_pretty_form_is_one_line_too() {
        let text = logged(LogFormat::Pretty, || tracing::info!(n = 1, "two\nlines"));
        assert_eq!(text, "2026-11-23T20:30:03.042Z  INFO two lines n=1\n");
    }

    #[test]
    fn dates_are_right_at_their_edges() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (1_798_761_599_000, "2026-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(rfc3339(millis), text);
        }
    }
}
