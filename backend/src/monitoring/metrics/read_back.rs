//! Metrics that tests read back.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use opentelemetry::{KeyValue, metrics::MeterProvider};
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, PeriodicReader, SdkMeterProvider,
    data::{AggregatedMetrics, MetricData, ResourceMetrics},
};

use super::Metrics;
use crate::{
    monitoring::slos::{Objectives, Slo, Slos},
    ports::Clock,
};

/// Instruments whose values end in memory.
pub(crate) struct ReadBack {
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

/// It is always the same moment.
struct Stopped;

impl Clock for Stopped {
    fn unix_millis(&self) -> u64 {
        1_764_028_800_000
    }
}

fn slos() -> Slos {
    let objectives = Objectives { ratios: [0.9; Slo::ALL.len()], chat_within: Duration::from_secs(2), period_days: 30 };
    Slos::new(objectives, Arc::new(Stopped), [0; 16])
}

/// Instruments that nobody reads.
pub(crate) fn unread() -> Metrics {
    Metrics::new(&SdkMeterProvider::builder().build().meter("test"), slos())
}

impl ReadBack {
    /// Makes instruments of their own, and what reads them.
    pub(crate) fn new() -> (Metrics, Self) {
        let exporter = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(exporter.clone()).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        (Metrics::new(&provider.meter("test"), slos()), Self { provider, exporter })
    }

    /// How much a counter has counted so far, by the values of its attributes in the order of their names.
    pub(crate) fn counter(&self, name: &str) -> BTreeMap<Vec<String>, u64> {
        self.read(name, |data| match data {
            AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                sum.data_points().map(|point| (labels(point.attributes()), point.value())).collect()
            }
            _ => panic!("{name} is no counter"),
        })
    }

    /// How many values a histogram of durations has so far, by the values of its attributes in the order of their names.
    pub(crate) fn histogram(&self, name: &str) -> BTreeMap<Vec<String>, u64> {
        self.read(name, |data| match data {
            AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                histogram.data_points().map(|point| (labels(point.attributes()), point.count())).collect()
            }
            _ => panic!("{name} is no histogram"),
        })
    }

    fn read<T: Default>(&self, name: &str, read: impl Fn(&AggregatedMetrics) -> T) -> T {
        self.provider.force_flush().unwrap();
        let exported = self.exporter.get_finished_metrics().unwrap();
        let mut scopes = exported.last().into_iter().flat_map(ResourceMetrics::scope_metrics);
        let metric = scopes.find_map(|scope| scope.metrics().find(|metric| metric.name() == name));
        metric.map(|metric| read(metric.data())).unwrap_or_default()
    }
}

fn labels<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> Vec<String> {
    let mut attributes: Vec<_> = attributes.collect();
    attributes.sort_by(|one, other| one.key.cmp(&other.key));
    attributes.iter().map(|one| one.value.to_string()).collect()
}
