//! What is the case at a moment: asked for whenever metrics are read.

use goblin_shared::vocabulary::{self, Metric};
use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Callback},
};

use super::Metrics;
use crate::{
    monitoring::{drops::Drops, genai::GEN_AI_PROVIDER_NAME, slos::Slo},
    ports::ActiveUsers,
};

/// How far a provider is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BreakerLevel {
    /// It is.
    Closed,
    /// To see whether it is back.
    HalfOpen,
    /// It is not.
    Open,
}

impl BreakerLevel {
    const fn value(self) -> f64 {
        match self {
            Self::Closed => 0.0,
            Self::HalfOpen => 1.0,
            Self::Open => 2.0,
        }
    }
}

impl Metrics {
    /// [`vocabulary::LLM_BREAKER_STATE`] from now on: `levels` names each provider.
    pub(crate) fn observe_breakers(&self, levels: impl Fn() -> Vec<(String, BreakerLevel)> + Send + Sync + 'static) {
        self.observe(&vocabulary::LLM_BREAKER_STATE, move |gauge| {
            for (provider, level) in levels() {
                gauge.observe(level.value(), &[KeyValue::new(GEN_AI_PROVIDER_NAME, provider)]);
            }
        });
    }

    /// [`vocabulary::USERS_ACTIVE`] from now on; nothing is told while `users` knows nothing.
    pub(in crate::monitoring) fn observe_users(&self, users: impl Fn() -> Option<ActiveUsers> + Send + Sync + 'static) {
        self.observe(&vocabulary::USERS_ACTIVE, move |gauge| {
            if let Some(ActiveUsers { day, week, month }) = users() {
                for (window, count) in [("day", day), ("week", week), ("month", month)] {
                    #[expect(clippy::cast_precision_loss, reason = "users are fewer than 2^53")]
                    gauge.observe(count as f64, &[KeyValue::new("window", window)]);
                }
            }
        });
    }

    /// [`vocabulary::SLO_COMPLIANCE`] and [`vocabulary::SLO_ERROR_BUDGET_REMAINING`] from now on.
    pub(in crate::monitoring) fn observe_slos(&self) {
        let slos = self.0.slos.clone();
        self.observe(&vocabulary::SLO_COMPLIANCE, move |gauge| {
            let report = slos.report();
            for slo in Slo::ALL {
                for (window, count) in report.windows(slo) {
                    if let Some(compliance) = count.compliance() {
                        gauge.observe(compliance, &[KeyValue::new("slo", slo.id()), KeyValue::new("window", window)]);
                    }
                }
            }
        });
        let slos = self.0.slos.clone();
        self.observe(&vocabulary::SLO_ERROR_BUDGET_REMAINING, move |gauge| {
            let report = slos.report();
            for slo in Slo::ALL {
                gauge.observe(report.standing(slo).budget_remaining(), &[KeyValue::new("slo", slo.id())]);
            }
        });
    }

    /// What objectives are judged by.
    #[cfg(test)]
    pub(in crate::monitoring) fn slos(&self) -> &crate::monitoring::slos::Slos {
        &self.0.slos
    }

    /// [`vocabulary::TELEMETRY_DROPPED`] from now on.
    pub(in crate::monitoring) fn observe_drops(&self, drops: Drops) {
        let metric = &vocabulary::TELEMETRY_DROPPED;
        let builder = self.0.meter.u64_observable_counter(metric.name).with_unit(metric.unit);
        let builder = builder.with_description(metric.description).with_callback(move |counter| {
            for (signal, reason, items) in drops.all() {
                let attributes = [KeyValue::new("signal", signal.as_str()), KeyValue::new("reason", reason.as_str())];
                counter.observe(items, &attributes);
            }
        });
        // Lives as long as its meter.
        let _ = builder.build();
    }

    pub(super) fn observe(
        &self,
        metric: &Metric,
        callback: impl Fn(&dyn AsyncInstrument<f64>) + Send + Sync + 'static,
    ) {
        let callback: Callback<f64> = Box::new(callback);
        let builder = self.0.meter.f64_observable_gauge(metric.name).with_unit(metric.unit);
        // Lives as long as its meter.
        let _ = builder.with_description(metric.description).with_callback(callback).build();
    }
}
