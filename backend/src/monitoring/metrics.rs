//! The instruments: one value that is made at the start and handed in, with the names that [`vocabulary`] declares.

use goblin_shared::{
    catalogue::Target,
    vocabulary::{self, Metric},
};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Meter},
};

/// By which kind of credential somebody says who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AuthMethod {
    /// An API key.
    ApiKey,
    /// A token of somebody else.
    Jwt,
    /// None.
    None,
}

impl AuthMethod {
    /// The value of the attribute `method`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Jwt => "jwt",
            Self::None => "none",
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AuthOutcome {
    /// It is known who asks, or that nobody needs to say it.
    Accepted,
    /// The credential does not count, or there is none. The client's fault.
    Rejected,
    /// It cannot be said. Ours.
    Error,
}

impl AuthOutcome {
    /// The value of the attribute `outcome`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Error => "error",
        }
    }
}

/// All instruments of the backend. Copies count into the same.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    auth_attempts: Counter<u64>,
    cost_unknown: Counter<u64>,
}

impl Metrics {
    /// Makes them.
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            auth_attempts: counter(meter, &vocabulary::AUTH_ATTEMPTS),
            cost_unknown: counter(meter, &vocabulary::LLM_COST_UNKNOWN),
        }
    }

    /// Counts a decision on who asks: [`vocabulary::AUTH_ATTEMPTS`].
    pub(crate) fn auth_attempt(&self, method: AuthMethod, outcome: AuthOutcome) {
        let attributes = [KeyValue::new("method", method.as_str()), KeyValue::new("outcome", outcome.as_str())];
        self.auth_attempts.add(1, &attributes);
    }
}

impl Metrics {
    /// Counts a request whose cost is not known: [`vocabulary::LLM_COST_UNKNOWN`].
    pub(crate) fn cost_unknown(&self, target: &Target) {
        let attributes = [
            KeyValue::new("gen_ai.provider.name", target.provider.clone()),
            KeyValue::new("gen_ai.request.model", target.model.clone()),
        ];
        self.cost_unknown.add(1, &attributes);
    }
}

fn counter(meter: &Meter, metric: &Metric) -> Counter<u64> {
    meter.u64_counter(metric.name).with_unit(metric.unit).with_description(metric.description).build()
}

/// Metrics that tests read back.
#[cfg(test)]
pub(crate) mod read_back {
    use std::collections::BTreeMap;

    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::metrics::{
        InMemoryMetricExporter, PeriodicReader, SdkMeterProvider,
        data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics},
    };

    use super::Metrics;

    /// Instruments whose values end in memory.
    pub(crate) struct ReadBack {
        provider: SdkMeterProvider,
        exporter: InMemoryMetricExporter,
    }

    /// Instruments that nobody reads.
    pub(crate) fn unread() -> Metrics {
        Metrics::new(&SdkMeterProvider::builder().build().meter("test"))
    }

    impl ReadBack {
        /// Makes instruments of their own, and what reads them.
        pub(crate) fn new() -> (Metrics, Self) {
            let exporter = InMemoryMetricExporter::default();
            let reader = PeriodicReader::builder(exporter.clone()).build();
            let provider = SdkMeterProvider::builder().with_reader(reader).build();
            (Metrics::new(&provider.meter("test")), Self { provider, exporter })
        }

        /// How much a counter has counted so far, by the values of its attributes in the order of their names.
        pub(crate) fn counter(&self, name: &str) -> BTreeMap<Vec<String>, u64> {
            self.provider.force_flush().unwrap();
            let exported = self.exporter.get_finished_metrics().unwrap();
            let mut counts = BTreeMap::new();
            let scopes = exported.last().into_iter().flat_map(ResourceMetrics::scope_metrics);
            for metric in scopes.flat_map(ScopeMetrics::metrics).filter(|metric| metric.name() == name) {
                let AggregatedMetrics::U64(MetricData::Sum(sum)) = metric.data() else {
                    panic!("{name} is no counter")
                };
                for point in sum.data_points() {
                    let mut attributes: Vec<_> = point.attributes().collect();
                    attributes.sort_by(|one, other| one.key.cmp(&other.key));
                    counts.insert(attributes.iter().map(|one| one.value.to_string()).collect(), point.value());
                }
            }
            counts
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{read_back::ReadBack, *};

    #[test]
    fn attempts_are_counted_by_method_and_outcome() {
        let (metrics, counted) = ReadBack::new();
        metrics.auth_attempt(AuthMethod::ApiKey, AuthOutcome::Accepted);
        metrics.clone().auth_attempt(AuthMethod::ApiKey, AuthOutcome::Accepted);
        metrics.auth_attempt(AuthMethod::Jwt, AuthOutcome::Error);
        metrics.auth_attempt(AuthMethod::None, AuthOutcome::Rejected);
        let counted = counted.counter(vocabulary::AUTH_ATTEMPTS.name);
        let told: Vec<_> = counted.iter().map(|(labels, count)| (labels.join(" "), *count)).collect();
        let expected = [("api_key accepted", 2), ("jwt error", 1), ("none rejected", 1)];
        assert_eq!(told, expected.map(|(labels, count)| (labels.to_owned(), count)));
    }
}
