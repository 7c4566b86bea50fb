//! Where traces go: OpenTelemetry's own variables. What the SDK reads by itself (sampler, batching, headers,
//! time-outs, resource) is not repeated here; what it would only warn about, or not look at, is checked.

use super::{
    fault::Fault,
    reader::Reader,
    value::{BaseUrl, Value, shown_fault},
};

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtlpProtocol {
    /// `grpc`
    Grpc,
    /// `http/protobuf`
    HttpProtobuf,
}

/// What is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TelemetryConfig {
    /// The protocol by which traces are exported. `None`: they are not, as neither `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`
    /// nor `OTEL_EXPORTER_OTLP_ENDPOINT` is set, or `OTEL_TRACES_EXPORTER` is `none`, or `OTEL_SDK_DISABLED` is `true`.
    /// Chosen by `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL` or `OTEL_EXPORTER_OTLP_PROTOCOL`, default `http/protobuf`.
    pub(crate) traces: Option<OtlpProtocol>,
}

const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

impl TelemetryConfig {
    pub(super) fn read(environment: &[(String, String)], reader: &mut Reader) -> Self {
        let set = |name: &'static str| {
            let found = environment.iter().find(|(variable, value)| variable == name && !value.trim().is_empty());
            found.map(|(_, value)| (name, value.trim()))
        };
        let fault = |reader: &mut Reader, (name, value): (&str, &str), reason: &str| {
            reader.fault(Fault {
                name: name.to_owned(),
                source: Some("environment".to_owned()),
                value: Some(shown_fault::<BaseUrl>(value)),
                reason: reason.to_owned(),
            });
        };

        let mut protocol = OtlpProtocol::HttpProtobuf;
        // The nearer one last, so that it wins; a fault in either is a fault.
        for name in ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] {
            match set(name) {
                None => {}
                Some((_, "grpc")) => protocol = OtlpProtocol::Grpc,
                Some((_, "http/protobuf")) => protocol = OtlpProtocol::HttpProtobuf,
                Some(other) => fault(reader, other, "must be `grpc` or `http/protobuf`"),
            }
        }
        let mut endpoint = None;
        for name in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
            let Some(found) = set(name) else { continue };
            match BaseUrl::from_text(found.1) {
                Ok(_) => endpoint = Some(found),
                Err(reason) => fault(reader, found, &reason),
            }
        }
        match set("OTEL_TRACES_EXPORTER") {
            Some((_, "none")) => endpoint = None,
            None | Some((_, "otlp")) => {}
            Some(other) => fault(reader, other, "must be `otlp` or `none`"),
        }
        if set("OTEL_SDK_DISABLED").is_some_and(|(_, value)| value.eq_ignore_ascii_case("true")) {
            endpoint = None;
        }
        if let Some(other) = set("OTEL_TRACES_SAMPLER").filter(|(_, sampler)| !SAMPLERS.contains(sampler)) {
            fault(reader, other, &format!("must be one of {}", SAMPLERS.join(", ")));
        }
        if let Some((name, value)) = endpoint {
            reader.tell_variable(name, value);
        }
        Self { traces: endpoint.map(|_| protocol) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(environment: &[(&str, &str)]) -> Result<Option<OtlpProtocol>, String> {
        let environment: Vec<_> = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let mut reader = Reader::new(BTreeMap::new(), Vec::new());
        let traces = TelemetryConfig::read(&environment, &mut reader).traces;
        reader.finish().map(|_| traces).map_err(|faults| faults.to_string())
    }

    #[test]
    fn traces_are_exported_when_there_is_an_endpoint() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[endpoint]), Ok(Some(OtlpProtocol::HttpProtobuf)));
        assert_eq!(read(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]), Ok(Some(OtlpProtocol::Grpc)));
        assert_eq!(
            read(&[
                endpoint,
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")
            ]),
            Ok(Some(OtlpProtocol::HttpProtobuf))
        );
        assert_eq!(read(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
        assert_eq!(read(&[endpoint, ("OTEL_SDK_DISABLED", "true")]), Ok(None));
    }

    #[test]
    fn what_the_sdk_would_pass_over_is_a_fault() {
        for wrong in [
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "127.0.0.1:4318"),
            ("OTEL_TRACES_EXPORTER", "jaeger"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
        ] {
            assert!(read(&[wrong]).unwrap_err().contains(wrong.0), "{wrong:?}");
        }
    }
}
