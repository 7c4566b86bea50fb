//! The providers of traces and metrics, and the exporters behind them.

use opentelemetry::{Key, Value};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol, SpanExporter, WithExportConfig, WithTonicConfig, tonic_types,
};
use opentelemetry_sdk::{Resource, metrics::SdkMeterProvider, trace::SdkTracerProvider};
use opentelemetry_semantic_conventions::resource::{SERVICE_NAME, SERVICE_VERSION};

use crate::config::{OtlpProtocol, TelemetryConfig};

/// Name of this service unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` say another.
const DEFAULT_SERVICE_NAME: &str = "goblin-backend";

/// The exporter cannot be built from the variables `OTEL_*`.
#[derive(Debug, thiserror::Error)]
#[error("telemetry cannot be exported: {0}")]
pub(crate) struct ExporterError(#[from] ExporterBuildError);

/// Builds the provider. Without an exporter spans still have ids, for the log, the answers and the providers.
///
/// Spans wait in a bounded queue and leave in batches from a thread of their own: a collector that is slow or absent
/// costs requests nothing. Sampler (default: parent-based, always on), batching, headers and time-outs are read from
/// the environment by the SDK.
pub(super) fn tracer_provider(config: &TelemetryConfig) -> Result<SdkTracerProvider, ExporterError> {
    let builder = SdkTracerProvider::builder().with_resource(resource());
    let exporter = match config.traces {
        None => return Ok(builder.build()),
        Some(OtlpProtocol::HttpProtobuf) => {
            SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).build()?
        }
        Some(OtlpProtocol::Grpc) => {
            // Used for https endpoints alone.
            let tls = tonic_types::transport::ClientTlsConfig::new().with_enabled_roots();
            SpanExporter::builder().with_tonic().with_tls_config(tls).build()?
        }
    };
    Ok(builder.with_batch_exporter(exporter).build())
}

/// Builds the provider of metrics. Without an exporter nothing is counted. They leave every
/// `OTEL_METRIC_EXPORT_INTERVAL` from a thread of their own, and once more at the end.
pub(super) fn meter_provider(config: &TelemetryConfig) -> Result<SdkMeterProvider, ExporterError> {
    let builder = SdkMeterProvider::builder().with_resource(resource());
    let exporter = match config.metrics {
        None => return Ok(builder.build()),
        Some(OtlpProtocol::HttpProtobuf) => {
            MetricExporter::builder().with_http().with_protocol(Protocol::HttpBinary).build()?
        }
        Some(OtlpProtocol::Grpc) => {
            // Used for https endpoints alone.
            let tls = tonic_types::transport::ClientTlsConfig::new().with_enabled_roots();
            MetricExporter::builder().with_tonic().with_tls_config(tls).build()?
        }
    };
    Ok(builder.with_periodic_exporter(exporter).build())
}

fn resource() -> Resource {
    let detected = Resource::builder().build();
    let named = match detected.get(&Key::new(SERVICE_NAME)) {
        // What the SDK makes of the program's file name when nobody named the service.
        Some(Value::String(name)) => !name.as_str().starts_with("unknown_service"),
        _ => false,
    };
    let version = opentelemetry::KeyValue::new(SERVICE_VERSION, env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    if named { builder } else { builder.with_service_name(DEFAULT_SERVICE_NAME) }.build()
}
