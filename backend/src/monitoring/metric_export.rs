//! Metrics on their way to a collector: what does not arrive is counted, and an exporter that breaks is no end.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use opentelemetry_sdk::{
    error::{OTelSdkError, OTelSdkResult},
    metrics::{
        Temporality,
        data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics},
        exporter::PushMetricExporter,
    },
};

use super::{
    drops::Drops,
    metrics::{DropReason, Signal},
};

/// An exporter that is watched.
#[derive(Debug)]
pub(super) struct Watched<E> {
    pub(super) exporter: E,
    pub(super) drops: Drops,
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let (ended, reason) = match AssertUnwindSafe(self.exporter.export(metrics)).catch_unwind().await {
            Ok(ended) => (ended, DropReason::ExportFailed),
            Err(_) => {
                (Err(OTelSdkError::InternalFailure("the exporter of metrics broke".to_owned())), DropReason::Panicked)
            }
        };
        if ended.is_err() {
            let points = metrics.scope_metrics().flat_map(ScopeMetrics::metrics).map(|metric| points(metric.data()));
            self.drops.add(Signal::Metrics, reason, points.sum());
        }
        ended
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

fn points(data: &AggregatedMetrics) -> u64 {
    fn of<T>(data: &MetricData<T>) -> usize {
        match data {
            MetricData::Gauge(gauge) => gauge.data_points().count(),
            MetricData::Sum(sum) => sum.data_points().count(),
            MetricData::Histogram(histogram) => histogram.data_points().count(),
            MetricData::ExponentialHistogram(histogram) => histogram.data_points().count(),
        }
    }
    let count = match data {
        AggregatedMetrics::F64(data) => of(data),
        AggregatedMetrics::U64(data) => of(data),
        AggregatedMetrics::I64(data) => of(data),
    };
    count as u64
}

#[cfg(test)]
mod tests {
    use opentelemetry::{KeyValue, metrics::MeterProvider};
    use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};

    use super::*;

    /// Fails, or breaks.
    struct Broken(bool);

    impl PushMetricExporter for Broken {
        async fn export(&self, _metrics: &ResourceMetrics) -> OTelSdkResult {
            assert!(self.0, "as the test wants it");
            Err(OTelSdkError::InternalFailure("as the test wants it".to_owned()))
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
            Ok(())
        }

        fn temporality(&self) -> Temporality {
            Temporality::Cumulative
        }
    }

    #[test]
    fn points_that_do_not_arrive_are_counted() {
        for (fails, reason) in [(true, "export_failed"), (false, "panicked")] {
            let drops = Drops::default();
            let watched = Watched { exporter: Broken(fails), drops: drops.clone() };
            let reader = PeriodicReader::builder(watched).with_interval(Duration::from_hours(1)).build();
            let provider = SdkMeterProvider::builder().with_reader(reader).build();
            let counter = provider.meter("test").u64_counter("a").build();
            counter.add(1, &[KeyValue::new("one", 1)]);
            counter.add(1, &[KeyValue::new("one", 2)]);
            provider.meter("test").f64_histogram("b").build().record(1.0, &[]);
            for _ in 0..2 {
                assert!(provider.force_flush().is_err());
            }
            let lost: Vec<_> = drops.all().map(|(_, reason, items)| (reason.as_str(), items)).collect();
            assert_eq!(lost, [(reason, 6)]);
        }
    }
}
