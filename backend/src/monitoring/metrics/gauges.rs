//! What is the case at a moment: asked for whenever metrics are read.

use std::sync::Arc;

use goblin_shared::vocabulary::{self, Metric};
use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Callback},
};

use super::Metrics;
use crate::monitoring::{
    drops::Drops,
    genai::{GEN_AI_PROVIDER_NAME, GEN_AI_REQUEST_MODEL},
    slos::Slo,
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

/// How the business stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::monitoring) struct BusinessState {
    /// Users by window.
    pub(in crate::monitoring) users: [(&'static str, f64); 3],
    /// [`vocabulary::USERS_STICKINESS`]
    pub(in crate::monitoring) stickiness: Option<f64>,
    /// [`vocabulary::CONVERSATIONS_ABANDONMENT`]
    pub(in crate::monitoring) abandonment: Option<f64>,
    /// [`vocabulary::CONVERSATION_LENGTH`]
    pub(in crate::monitoring) length_seconds: Option<f64>,
    /// Of each model.
    pub(in crate::monitoring) models: Vec<ModelState>,
}

/// How a model stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::monitoring) struct ModelState {
    /// Whose it is.
    pub(in crate::monitoring) provider: String,
    /// Its name.
    pub(in crate::monitoring) model: String,
    /// [`vocabulary::LLM_REQUEST_SHARE`]
    pub(in crate::monitoring) share: f64,
    /// [`vocabulary::LLM_REQUEST_COST`] by statistic.
    pub(in crate::monitoring) costs: [(&'static str, Option<f64>); 3],
}

impl ModelState {
    fn labels(&self) -> [KeyValue; 2] {
        [
            KeyValue::new(GEN_AI_PROVIDER_NAME, self.provider.clone()),
            KeyValue::new(GEN_AI_REQUEST_MODEL, self.model.clone()),
        ]
    }
}

fn tell(gauge: &dyn AsyncInstrument<f64>, value: Option<f64>) {
    if let Some(value) = value {
        gauge.observe(value, &[]);
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

    /// The figures of the business from now on; nothing is told while `state` knows nothing.
    pub(in crate::monitoring) fn observe_business(
        &self,
        state: impl Fn() -> Option<Arc<BusinessState>> + Clone + Send + Sync + 'static,
    ) {
        let gauge = |metric: &Metric, tell: fn(&BusinessState, &dyn AsyncInstrument<f64>)| {
            let state = state.clone();
            self.observe(metric, move |gauge| {
                if let Some(state) = state() {
                    tell(&state, gauge);
                }
            });
        };
        gauge(&vocabulary::USERS_ACTIVE, |state, gauge| {
            for (window, users) in &state.users {
                gauge.observe(*users, &[KeyValue::new("window", *window)]);
            }
        });
        gauge(&vocabulary::USERS_STICKINESS, |state, gauge| tell(gauge, state.stickiness));
        gauge(&vocabulary::CONVERSATIONS_ABANDONMENT, |state, gauge| tell(gauge, state.abandonment));
        gauge(&vocabulary::CONVERSATION_LENGTH, |state, gauge| tell(gauge, state.length_seconds));
        gauge(&vocabulary::LLM_REQUEST_COST, |state, gauge| {
            for model in &state.models {
                let known = model.costs.iter().filter_map(|(statistic, cost)| Some((*statistic, (*cost)?)));
                for (statistic, cost) in known {
                    let [provider, name] = model.labels();
                    gauge.observe(cost, &[provider, name, KeyValue::new("statistic", statistic)]);
                }
            }
        });
        gauge(&vocabulary::LLM_REQUEST_SHARE, |state, gauge| {
            for model in &state.models {
                gauge.observe(model.share, &model.labels());
            }
        });
    }

    /// [`vocabulary::SLO_COMPLIANCE`] and [`vocabulary::SLO_ERROR_BUDGET_REMAINING`] from now on.
    pub(in crate::monitoring) fn observe_slos(&self) {
        let slos = self.0.slos.clone();
        self.observe(&vocabulary::SLO_COMPLIANCE, move |gauge| {
            let report = slos.recent_report();
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
            let report = slos.recent_report();
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
