//! What variables come to.

use std::collections::BTreeMap;

use super::*;

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
const GRPC: Option<OtlpProtocol> = Some(OtlpProtocol::Grpc);
const HTTP: Option<OtlpProtocol> = Some(OtlpProtocol::HttpProtobuf);

fn read(environment: &[(&str, &str)]) -> Result<TelemetryConfig, String> {
    let environment: Vec<_> = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let mut reader = Reader::new(BTreeMap::new(), Vec::new());
    let telemetry = TelemetryConfig::read(&environment, &mut reader);
    reader.finish().map(|_| telemetry).map_err(|faults| faults.to_string())
}

/// By which protocols traces, metrics and logs go, and whether metrics can be fetched.
fn goes(environment: &[(&str, &str)]) -> ([Option<OtlpProtocol>; 3], bool) {
    let read = read(environment).unwrap();
    let protocol = |signal: &SignalConfig| signal.otlp.as_ref().map(|otlp| otlp.protocol);
    ([&read.traces, &read.metrics, &read.logs].map(protocol), read.prometheus)
}

#[test]
fn everything_goes_where_the_variables_say() {
    assert_eq!(goes(&[]), ([None; 3], true));
    assert_eq!(goes(&[ENDPOINT]), ([HTTP; 3], true));
    assert_eq!(goes(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]), ([GRPC; 3], true));
    let own = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc");
    assert_eq!(goes(&[ENDPOINT, own]), ([HTTP, GRPC, HTTP], true));
    assert_eq!(goes(&[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://[::1]:1/v1/logs")]), ([None, None, HTTP], true));
    assert_eq!(goes(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]), ([None, HTTP, HTTP], true));
    assert_eq!(goes(&[ENDPOINT, ("OTEL_METRICS_EXPORTER", "otlp")]), ([HTTP; 3], false));
    assert_eq!(goes(&[ENDPOINT, ("OTEL_METRICS_EXPORTER", "prometheus")]), ([HTTP, None, HTTP], true));
    assert_eq!(goes(&[("OTEL_METRICS_EXPORTER", "prometheus, otlp")]), ([None, HTTP, None], true));
    for off in [("OTEL_SDK_DISABLED", "true"), ("ENABLE_OPENTELEMETRY", "FALSE")] {
        assert_eq!(goes(&[ENDPOINT, off]), ([None; 3], false), "{off:?}");
    }
    assert!(read(&[("OTEL_TRACES_EXPORTER", "console")]).unwrap().traces.console);
}

#[test]
fn batches_time_outs_and_contexts_are_read() {
    let read = |environment: &[_]| read(environment).unwrap();
    let default = read(&[]);
    assert_eq!(default.span_batches, BatchConfig { queue: 2_048, batch: 512, delay: Duration::from_secs(5) });
    assert_eq!(default.log_batches.delay, Duration::from_secs(1));
    assert_eq!(default.formats, Formats::default());
    let small = read(&[("OTEL_BSP_MAX_QUEUE_SIZE", "10"), ("OTEL_BSP_SCHEDULE_DELAY", "7")]).span_batches;
    assert_eq!(small, BatchConfig { queue: 10, batch: 10, delay: Duration::from_millis(7) });
    let bound = read(&[ENDPOINT, ("OTEL_BSP_EXPORT_TIMEOUT", "40"), ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "50")]);
    let timeout = |signal: SignalConfig| signal.otlp.unwrap().timeout.as_millis();
    assert_eq!((timeout(bound.traces), timeout(bound.metrics), timeout(bound.logs)), (40, 10_000, 50));
    assert_eq!(read(&[("OTEL_PROPAGATORS", "b3, b3multi")]).formats, Formats::parse("b3,b3multi").unwrap());
    assert_eq!(read(&[("OTEL_PROPAGATORS", "none")]).formats, Formats::parse("none").unwrap());
    assert_eq!(read(&[("OTEL_LOG_LEVEL", "none")]).own_level, Some("off"));
    assert_eq!(read(&[("OTEL_SERVICE_VERSION", "7")]).service_version.as_deref(), Some("7"));
}

#[test]
fn certificates_and_keys_are_read_from_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("pem"), "-----BEGIN CERTIFICATE-----\n").unwrap();
    std::fs::write(path("other"), "nothing").unwrap();
    let (pem, other, missing) = (path("pem"), path("other"), path("missing"));
    let certificate = ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", pem.as_str());
    let tls = read(&[ENDPOINT, certificate, ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &pem)]).unwrap().logs.otlp.unwrap();
    assert!(tls.identity.is_some() && tls.authorities.is_none());
    let told = read(&[ENDPOINT, certificate]).unwrap_err();
    assert!(told.contains("needs OTEL_EXPORTER_OTLP_CLIENT_KEY beside it"), "{told}");
    for file in [other, missing] {
        assert!(read(&[("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", &file)]).is_err(), "{file}");
    }
}

#[test]
fn what_cannot_be_obeyed_is_refused_with_the_reason() {
    for ((name, value), reason) in [
        (("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"), "must be `grpc` or `http/protobuf`"),
        (("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "127.0.0.1:4318"), "http"),
        (("OTEL_TRACES_EXPORTER", "jaeger"), "`otlp`, `console` or `none`"),
        (("OTEL_TRACES_EXPORTER", "none,otlp"), "stands alone"),
        (("OTEL_TRACES_SAMPLER", "sometimes"), "`always_on`"),
        (("OTEL_TRACES_SAMPLER_ARG", "2"), "from 0 to 1"),
        (("OTEL_SDK_DISABLED", "yes"), "`true` or `false`"),
        (("OTEL_BSP_MAX_QUEUE_SIZE", "0"), "1 at least"),
        (("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "4096"), "OTEL_BLRP_MAX_QUEUE_SIZE, which is 2048"),
        (("OTEL_EXPORTER_PROMETHEUS_PORT", "9"), "operations.listen"),
        (("OTEL_CONFIG_FILE", "x"), "is not supported"),
        (("OTEL_EXPORTER_OTLP_ENDPIONT", "http://x"), "did you mean `OTEL_EXPORTER_OTLP_ENDPOINT`"),
        (("OTEL_RESOURCE_ATTRIBUTES", "a"), "`name=value`"),
    ] {
        let told = read(&[(name, value)]).unwrap_err();
        assert!(told.contains(name) && told.contains(reason), "{told}");
    }
    assert!(read(&[("ENABLE_OPENTELEMETRY", "true"), ("OTEL_SDK_DISABLED", "true")]).is_err());
    // Of others, for others.
    assert!(read(&[("OTEL_PYTHON_LOG_CORRELATION", "true")]).is_ok());
}

#[test]
fn fields_for_the_collector_are_never_shown() {
    let environment: Vec<(String, String)> =
        vec![("OTEL_EXPORTER_OTLP_HEADERS".into(), "authorization=Bearer%20secret-1".into())];
    let mut reader = Reader::new(BTreeMap::new(), Vec::new());
    TelemetryConfig::read(&environment, &mut reader);
    let shown: Vec<_> = reader.finish().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["OTEL_EXPORTER_OTLP_HEADERS = ***  (environment)"]);
    assert!(!read(&[("OTEL_EXPORTER_OTLP_HEADERS", "secret-2")]).unwrap_err().contains("secret-2"));
}
