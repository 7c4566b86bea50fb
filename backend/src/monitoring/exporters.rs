//! The exporters that speak OTLP, as the configuration has them, and what this service is to those who receive.

use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
    tonic_types::transport::{Certificate, ClientTlsConfig, Identity},
};
use opentelemetry_sdk::Resource;
use opentelemetry_semantic_conventions::resource::{SERVICE_NAME, SERVICE_VERSION};

use crate::config::{OtlpConfig, OtlpProtocol};

/// Name of this service unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` say another.
const DEFAULT_SERVICE_NAME: &str = "goblin-backend";

/// Telemetry cannot be exported as the variables `OTEL_*` say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExporterError {
    /// The exporter does not take them.
    #[error("telemetry cannot be exported: {0}")]
    Build(#[from] ExporterBuildError),
    /// Certificates or key are none.
    #[error("telemetry cannot be exported: what OTEL_EXPORTER_OTLP_…CERTIFICATE or …CLIENT_KEY names is not usable")]
    Tls(#[source] reqwest::Error),
    /// The system gives no thread.
    #[error("telemetry cannot be exported: no thread can be started")]
    Thread(#[from] std::io::Error),
    /// Metrics cannot be collected.
    #[error("metrics cannot be collected: {0}")]
    Sdk(#[from] opentelemetry_sdk::error::OTelSdkError),
}

/// Builds an exporter of one kind. They have no trait in common.
macro_rules! exporter {
    ($kind:ident, $config:expr) => {{
        let config: &OtlpConfig = $config;
        match config.protocol {
            OtlpProtocol::HttpProtobuf => $kind::builder()
                .with_http()
                .with_protocol(Protocol::HttpBinary)
                .with_timeout(config.timeout)
                .with_http_client(http_client(config)?)
                .build()?,
            // The settings of TLS are used for https endpoints alone.
            OtlpProtocol::Grpc => {
                $kind::builder().with_tonic().with_timeout(config.timeout).with_tls_config(tls(config)).build()?
            }
        }
    }};
}

/// For spans.
pub(super) fn of_spans(config: &OtlpConfig) -> Result<SpanExporter, ExporterError> {
    Ok(exporter!(SpanExporter, config))
}

/// For metrics.
pub(super) fn of_metrics(config: &OtlpConfig) -> Result<MetricExporter, ExporterError> {
    Ok(exporter!(MetricExporter, config))
}

/// For lines of the log.
pub(super) fn of_logs(config: &OtlpConfig) -> Result<LogExporter, ExporterError> {
    Ok(exporter!(LogExporter, config))
}

/// What exports over HTTP: from threads of their own, without a runtime.
fn http_client(config: &OtlpConfig) -> Result<reqwest::blocking::Client, ExporterError> {
    let config = config.clone();
    let build = move || -> Result<reqwest::blocking::Client, reqwest::Error> {
        // A collector that answers with the way to another gets nothing: the fields may let in.
        let redirects = reqwest::redirect::Policy::none();
        let mut builder = reqwest::blocking::Client::builder().timeout(config.timeout).redirect(redirects);
        if let Some(authorities) = &config.authorities {
            builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(authorities.as_bytes())?);
        }
        if let Some((certificate, key)) = &config.identity {
            builder = builder.identity(reqwest::Identity::from_pem(format!("{certificate}\n{key}").as_bytes())?);
        }
        builder.build()
    };
    // It makes a runtime of its own, which must not be made within another.
    let ended = std::thread::Builder::new().spawn(build)?.join();
    let client = ended.map_err(|_| std::io::Error::other("the thread that makes the HTTP client broke"))?;
    client.map_err(ExporterError::Tls)
}

fn tls(config: &OtlpConfig) -> ClientTlsConfig {
    let tls = ClientTlsConfig::new();
    let tls = match &config.authorities {
        Some(authorities) => tls.ca_certificate(Certificate::from_pem(authorities)),
        None => tls.with_enabled_roots(),
    };
    match &config.identity {
        Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key)),
        None => tls,
    }
}

/// This service, with what the environment adds.
pub(super) fn resource(version: Option<&str>) -> Resource {
    let detected = Resource::builder().build();
    let named = match detected.get(&Key::new(SERVICE_NAME)) {
        // What the SDK makes of the program's file name when nobody named the service.
        Some(Value::String(name)) => !name.as_str().starts_with("unknown_service"),
        _ => false,
    };
    let builder = match (version, detected.get(&Key::new(SERVICE_VERSION))) {
        (None, Some(_)) => Resource::builder(),
        (version, _) => {
            let version = version.unwrap_or(env!("CARGO_PKG_VERSION")).to_owned();
            Resource::builder().with_attribute(KeyValue::new(SERVICE_VERSION, version))
        }
    };
    if named { builder } else { builder.with_service_name(DEFAULT_SERVICE_NAME) }.build()
}
