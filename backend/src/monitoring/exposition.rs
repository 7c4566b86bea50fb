//! The metrics as Prometheus fetches them: <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4.

use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Encoder, Registry, TextEncoder};

use super::exporters::ExporterError;

/// `content-type` of the text.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What can be fetched.
#[derive(Clone, Debug)]
pub(crate) struct Exposition(Registry);

impl Exposition {
    /// Makes it, and the reader that fills it.
    pub(super) fn new() -> Result<(Self, PrometheusExporter), ExporterError> {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build()?;
        Ok((Self(registry), reader))
    }

    /// Everything, as it is now.
    pub(crate) fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.0.gather(), &mut text)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::{KeyValue, metrics::MeterProvider};
    use opentelemetry_sdk::metrics::SdkMeterProvider;

    use super::*;

    #[test]
    fn labels_beyond_the_cap_are_one_series_that_says_so() {
        let (exposition, reader) = Exposition::new().unwrap();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let counter = provider.meter("test").u64_counter("goblin.test").build();
        for label in 0..3_000 {
            counter.add(1, &[KeyValue::new("label", label)]);
        }
        let text = String::from_utf8(exposition.text().unwrap()).unwrap();
        let series: Vec<&str> = text.lines().filter(|line| line.starts_with("goblin_test_total")).collect();
        assert_eq!(series.len(), 2_001);
        let rest = series.iter().find(|line| line.contains(r#"otel_metric_overflow="true""#)).unwrap();
        assert!(rest.ends_with(" 1000"), "{rest}");
    }
}
