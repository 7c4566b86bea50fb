//! Where traces and metrics go: OpenTelemetry's own variables. What the SDK reads by itself (sampler, batching, headers,
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
    /// The same for metrics, whose variables have `METRICS` in the place of `TRACES`. How often they are exported says
    /// `OTEL_METRIC_EXPORT_INTERVAL`, in milliseconds, default 60,000; the SDK reads it.
    pub(crate) metrics: Option<OtlpProtocol>,
}

const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// What is exported, by the names that its variables have.
struct Signal {
    endpoint: &'static str,
    protocol: &'static str,
    exporter: &'static str,
}

const TRACES: Signal = Signal {
    endpoint: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    protocol: "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    exporter: "OTEL_TRACES_EXPORTER",
};

const METRICS: Signal = Signal {
    endpoint: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    protocol: "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    exporter: "OTEL_METRICS_EXPORTER",
};

/// What holds for both.
#[derive(Clone, Copy)]
struct Common<'a> {
    protocol: OtlpProtocol,
    endpoint: Option<(&'static str, &'a str)>,
    disabled: bool,
}

impl TelemetryConfig {
    pub(super) fn read(environment: &[(String, String)], reader: &mut Reader) -> Self {
        let variables = Variables(environment);
        let common = Common {
            protocol: variables.protocol("OTEL_EXPORTER_OTLP_PROTOCOL", OtlpProtocol::HttpProtobuf, reader),
            endpoint: variables.endpoint("OTEL_EXPORTER_OTLP_ENDPOINT", reader),
            disabled: variables.set("OTEL_SDK_DISABLED").is_some_and(|(_, value)| value.eq_ignore_ascii_case("true")),
        };
        if let Some(other) = variables.set("OTEL_TRACES_SAMPLER").filter(|(_, sampler)| !SAMPLERS.contains(sampler)) {
            fault(reader, other, &format!("must be one of {}", SAMPLERS.join(", ")));
        }
        let mut told = None;
        let traces = variables.signal(&TRACES, common, &mut told, reader);
        let metrics = variables.signal(&METRICS, common, &mut told, reader);
        Self { traces, metrics }
    }
}

/// The environment.
struct Variables<'a>(&'a [(String, String)]);

impl<'a> Variables<'a> {
    /// An empty variable counts as unset, as OpenTelemetry has it.
    fn set(&self, name: &'static str) -> Option<(&'static str, &'a str)> {
        let found = self.0.iter().find(|(variable, value)| variable == name && !value.trim().is_empty());
        found.map(|(_, value)| (name, value.trim()))
    }

    fn protocol(&self, name: &'static str, default: OtlpProtocol, reader: &mut Reader) -> OtlpProtocol {
        match self.set(name) {
            None => default,
            Some((_, "grpc")) => OtlpProtocol::Grpc,
            Some((_, "http/protobuf")) => OtlpProtocol::HttpProtobuf,
            Some(other) => {
                fault(reader, other, "must be `grpc` or `http/protobuf`");
                default
            }
        }
    }

    fn endpoint(&self, name: &'static str, reader: &mut Reader) -> Option<(&'static str, &'a str)> {
        let found = self.set(name)?;
        match BaseUrl::from_text(found.1) {
            Ok(_) => Some(found),
            Err(reason) => {
                fault(reader, found, &reason);
                None
            }
        }
    }

    /// How one signal is exported. Its own variables win; a fault in any is a fault. `told` is the name of the variable
    /// that was shown last, so that one for both is shown once.
    fn signal(
        &self,
        signal: &Signal,
        common: Common<'a>,
        told: &mut Option<&'static str>,
        reader: &mut Reader,
    ) -> Option<OtlpProtocol> {
        let protocol = self.protocol(signal.protocol, common.protocol, reader);
        let own = self.endpoint(signal.endpoint, reader);
        let wanted = match self.set(signal.exporter) {
            None | Some((_, "otlp")) => true,
            Some((_, "none")) => false,
            Some(other) => {
                fault(reader, other, "must be `otlp` or `none`");
                false
            }
        };
        let (name, value) = own.or(common.endpoint).filter(|_| wanted && !common.disabled)?;
        if told.replace(name) != Some(name) {
            reader.tell_variable(name, value);
        }
        Some(protocol)
    }
}

fn fault(reader: &mut Reader, (name, value): (&str, &str), reason: &str) {
    reader.fault(Fault {
        name: name.to_owned(),
        source: Some("environment".to_owned()),
        value: Some(shown_fault::<BaseUrl>(value)),
        reason: reason.to_owned(),
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn both(environment: &[(&str, &str)]) -> Result<TelemetryConfig, String> {
        let environment: Vec<_> = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let mut reader = Reader::new(BTreeMap::new(), Vec::new());
        let telemetry = TelemetryConfig::read(&environment, &mut reader);
        reader.finish().map(|_| telemetry).map_err(|faults| faults.to_string())
    }

    fn read(environment: &[(&str, &str)]) -> Result<Option<OtlpProtocol>, String> {
        both(environment).map(|telemetry| telemetry.traces)
    }

    #[test]
    fn metrics_have_variables_of_their_own() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        let protocols = |environment: &[_]| both(environment).map(|both| (both.traces, both.metrics)).unwrap();
        let (grpc, http) = (Some(OtlpProtocol::Grpc), Some(OtlpProtocol::HttpProtobuf));
        assert_eq!(protocols(&[endpoint]), (http, http));
        assert_eq!(protocols(&[endpoint, ("OTEL_METRICS_EXPORTER", "none")]), (http, None));
        assert_eq!(protocols(&[endpoint, ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc")]), (http, grpc));
        assert_eq!(protocols(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://[::1]:4318/v1/metrics")]), (None, http));
        assert!(both(&[endpoint, ("OTEL_METRICS_EXPORTER", "prometheus")]).is_err());
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
