//! What the program tells of itself: traces, metrics and logs by OTLP, metrics to be fetched, a log on standard output.

mod batch;
pub(crate) mod business_metrics;
mod drops;
mod exporters;
mod exposition;
pub(crate) mod genai;
mod log_export;
mod log_levels;
mod logging;
mod metric_export;
pub(crate) mod metrics;
mod propagator;
mod redaction;
mod rejections;
pub(crate) mod slos;
mod span_export;
mod store_calls;
pub(crate) mod tracing;

use std::{error::Error, sync::Arc, time::Duration};

use opentelemetry::{logs::LoggerProvider, metrics::MeterProvider, trace::TracerProvider};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{LogExporter, SdkLoggerProvider},
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::{SdkTracerProvider, SpanExporter},
};

use self::{
    batch::Queue,
    drops::Drops,
    exporters::ExporterError,
    log_export::{LogQueue, LogSink},
    metric_export::Watched,
    metrics::Signal,
    propagator::Propagator,
    slos::Slos,
    span_export::{SpanQueue, SpanSink},
};
use crate::{
    config::{LogConfig, TelemetryConfig},
    ports::Clock,
};

pub(crate) use self::{
    exposition::{CONTENT_TYPE, Exposition},
    log_levels::LogLevels,
    redaction::redact,
    store_calls::{Statement, StoreWatch},
};

/// Longest wait for the last telemetry to leave.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// Telemetry in operation.
pub(crate) struct Monitoring {
    spans: SdkTracerProvider,
    meters: SdkMeterProvider,
    logs: Option<SdkLoggerProvider>,
    watch: Watch,
}

/// What the parts of the program count with, and what operators look at.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    /// The instruments.
    pub(crate) metrics: metrics::Metrics,
    /// What can be fetched; `None`: nothing.
    pub(crate) exposition: Option<Exposition>,
    /// What the log tells.
    pub(crate) levels: LogLevels,
    /// Whether objectives are met.
    pub(crate) slos: Slos,
}

#[cfg(test)]
impl Watch {
    /// With these instruments, nothing to be fetched, and a log that nobody writes.
    pub(crate) fn of(metrics: metrics::Metrics) -> Self {
        let (levels, _) = LogLevels::new::<tracing_subscriber::Registry>("info", None);
        let exposition = Exposition::new().map(|(exposition, _)| exposition).ok();
        let slos = metrics.slos().clone();
        Self { metrics, exposition, levels, slos }
    }
}

impl Monitoring {
    /// Sets up everything for the whole process. Called once, within the runtime. `secrets` are in nothing that is told.
    pub(crate) fn install<'a>(
        secrets: impl IntoIterator<Item = &'a str>,
        log: &LogConfig,
        telemetry: &TelemetryConfig,
        slos: Slos,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ExporterError> {
        redaction::know(secrets);
        let drops = Drops::default();
        let resource = exporters::resource(telemetry.service_version.as_deref());
        let spans = spans(telemetry, &resource, &drops)?;
        let (meters, exposition) = meters(telemetry, resource.clone(), &drops)?;
        let logs = logs(telemetry, resource, &drops)?;
        let metrics = metrics::Metrics::new(&meters.meter(tracing::OWN_TARGET), slos.clone());
        metrics.observe_slos();
        metrics.observe_drops(drops.clone());
        let logger = logs.as_ref().map(|logs| logs.logger(tracing::OWN_TARGET));
        let own_level = telemetry.own_level;
        let levels = tracing::install(spans.tracer(tracing::OWN_TARGET), log, own_level, clock, logger, drops);
        opentelemetry::global::set_text_map_propagator(Propagator::new(telemetry.formats.clone()));
        logging::log_panics();
        Ok(Self { spans, meters, logs, watch: Watch { metrics, exposition, levels, slos } })
    }

    /// To be handed to who counts and who shows.
    pub(crate) fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Sends what has not been sent, in bounded time. Spans that end later, and what is counted later, are lost.
    pub(crate) fn flush(&self) {
        // Side by side, so that a collector that is away costs the time once.
        std::thread::scope(|scope| {
            scope.spawn(|| tell("spans", &self.spans.shutdown_with_timeout(FLUSH_WITHIN)));
            scope.spawn(|| tell("metrics", &self.meters.shutdown_with_timeout(FLUSH_WITHIN)));
        });
        // Last, as it tells of the others.
        if let Some(logs) = &self.logs {
            tell("lines of the log", &logs.shutdown_with_timeout(FLUSH_WITHIN));
        }
    }
}

fn tell(what: &str, ended: &OTelSdkResult) {
    if let Err(error) = ended {
        ::tracing::warn!(what, cause = chain(error), "the last telemetry could not be exported");
    }
}

/// Builds the provider of spans. Without an exporter spans still have ids, for the log, the answers and the providers.
///
/// Spans wait in a bounded queue and leave in batches from a thread of their own: a collector that is slow or absent
/// costs requests nothing. The sampler (default: parent-based, always on) is read from the environment by the SDK.
fn spans(config: &TelemetryConfig, resource: &Resource, drops: &Drops) -> Result<SdkTracerProvider, ExporterError> {
    let mut builder = SdkTracerProvider::builder().with_resource(resource.clone());
    if let Some(otlp) = &config.traces.otlp {
        let mut exporter = exporters::of_spans(otlp)?;
        exporter.set_resource(resource);
        builder = builder.with_span_processor(span_queue(config, drops, exporter)?);
    }
    if config.traces.console {
        let mut exporter = opentelemetry_stdout::SpanExporter::default();
        exporter.set_resource(resource);
        builder = builder.with_span_processor(span_queue(config, drops, exporter)?);
    }
    Ok(builder.build())
}

fn span_queue(
    config: &TelemetryConfig,
    drops: &Drops,
    exporter: impl SpanExporter + 'static,
) -> Result<SpanQueue, std::io::Error> {
    Queue::start(Signal::Traces, config.span_batches, drops.clone(), SpanSink(exporter)).map(SpanQueue)
}

/// Builds the provider of metrics, and what can be fetched. They leave every `OTEL_METRIC_EXPORT_INTERVAL` from a thread
/// of their own, and once more at the end. Without a reader nothing is counted.
fn meters(
    config: &TelemetryConfig,
    resource: Resource,
    drops: &Drops,
) -> Result<(SdkMeterProvider, Option<Exposition>), ExporterError> {
    let mut builder = SdkMeterProvider::builder().with_resource(resource);
    if let Some(otlp) = &config.metrics.otlp {
        let watched = Watched { exporter: exporters::of_metrics(otlp)?, drops: drops.clone() };
        builder = builder.with_reader(PeriodicReader::builder(watched).build());
    }
    if config.metrics.console {
        let watched = Watched { exporter: opentelemetry_stdout::MetricExporter::default(), drops: drops.clone() };
        builder = builder.with_reader(PeriodicReader::builder(watched).build());
    }
    let exposition = if config.prometheus {
        let (exposition, reader) = Exposition::new()?;
        builder = builder.with_reader(reader);
        Some(exposition)
    } else {
        None
    };
    Ok((builder.build(), exposition))
}

/// Builds what takes the log to a collector. On standard output it is anyway.
fn logs(
    config: &TelemetryConfig,
    resource: Resource,
    drops: &Drops,
) -> Result<Option<SdkLoggerProvider>, ExporterError> {
    let Some(otlp) = &config.logs.otlp else { return Ok(None) };
    let mut exporter = exporters::of_logs(otlp)?;
    exporter.set_resource(&resource);
    let queue = Queue::start(Signal::Logs, config.log_batches, drops.clone(), LogSink(exporter))?;
    let builder = SdkLoggerProvider::builder().with_resource(resource);
    Ok(Some(builder.with_log_processor(LogQueue::new(queue)).build()))
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
