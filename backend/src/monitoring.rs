//! What the program tells of itself: traces by OTLP, a log on standard output.

pub(crate) mod genai;
mod logging;
mod otlp;
pub(crate) mod tracing;

use std::{error::Error, sync::Arc, time::Duration};

use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::{
    config::{LogConfig, TelemetryConfig},
    ports::Clock,
};

/// Longest wait for the last telemetry to leave.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// Telemetry in operation.
pub(crate) struct Monitoring {
    provider: SdkTracerProvider,
}

impl Monitoring {
    /// Sets up spans and log for the whole process. Called once, within the runtime.
    pub(crate) fn install(
        log: &LogConfig,
        telemetry: &TelemetryConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, otlp::ExporterError> {
        let provider = otlp::tracer_provider(telemetry)?;
        tracing::install(&provider, log, clock);
        logging::log_panics();
        Ok(Self { provider })
    }

    /// Sends what has not been sent, in bounded time. Spans that end later are lost.
    pub(crate) fn flush(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_WITHIN) {
            ::tracing::warn!(cause = chain(&error), "the last spans could not be exported");
        }
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
