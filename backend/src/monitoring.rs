//! What the program tells of itself: traces and metrics by OTLP, a log on standard output.

pub(crate) mod genai;
mod logging;
pub(crate) mod metrics;
mod otlp;
pub(crate) mod tracing;

use std::{error::Error, sync::Arc, time::Duration};

use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::{metrics::SdkMeterProvider, trace::SdkTracerProvider};

use crate::{
    config::{LogConfig, TelemetryConfig},
    ports::Clock,
};

/// Longest wait for the last telemetry to leave.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// Telemetry in operation.
pub(crate) struct Monitoring {
    provider: SdkTracerProvider,
    meters: SdkMeterProvider,
}

impl Monitoring {
    /// Sets up spans and log for the whole process. Called once, within the runtime.
    pub(crate) fn install(
        log: &LogConfig,
        telemetry: &TelemetryConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, otlp::ExporterError> {
        let provider = otlp::tracer_provider(telemetry)?;
        let meters = otlp::meter_provider(telemetry)?;
        tracing::install(&provider, log, clock);
        logging::log_panics();
        Ok(Self { provider, meters })
    }

    /// The instruments, to be handed to who counts.
    pub(crate) fn metrics(&self) -> metrics::Metrics {
        metrics::Metrics::new(&self.meters.meter(tracing::OWN_TARGET))
    }

    /// Sends what has not been sent, in bounded time. Spans that end later, and what is counted later, are lost.
    pub(crate) fn flush(&self) {
        // Side by side, so that a collector that is away costs the time once.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                if let Err(error) = self.meters.shutdown_with_timeout(FLUSH_WITHIN) {
                    ::tracing::warn!(cause = chain(&error), "the last metrics could not be exported");
                }
            });
            if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_WITHIN) {
                ::tracing::warn!(cause = chain(&error), "the last spans could not be exported");
            }
        });
    }
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
