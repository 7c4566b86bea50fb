//! `[slo]`: what is promised.

use std::time::Duration;

use goblin_shared::objectives::{CHAT_WITHIN, PERIOD_DAYS, Slo};

use super::{
    fault::ConfigFaults,
    reader::Reader,
    sources::{self, Inputs},
    value::{Count, Ratio},
};

/// How good is good enough, and over which time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SloConfig {
    /// `slo.period_days`, `GOBLIN_SLO__PERIOD_DAYS`: over how many days a promise is kept or not; 1 to 30. Default 30.
    pub(crate) period_days: u32,
    /// `slo.chat_latency.objective`: the share of chat requests that is answered in time. Default 0.95.
    pub(crate) chat_latency: f64,
    /// `slo.chat_latency.threshold`: in which time. Default 2 s.
    pub(crate) chat_within: Duration,
    /// `slo.auth.objective`: the share of decisions on who asks that can be made. Default 0.999.
    pub(crate) auth: f64,
    /// `slo.llm.objective`: the share of requests that a provider answers. Default 0.995.
    pub(crate) llm: f64,
    /// `slo.api.objective`: the share of requests that meet no fault of ours. Default 0.999.
    pub(crate) api: f64,
}

/// Longest period.
const DAYS: usize = PERIOD_DAYS as usize;

impl SloConfig {
    /// Reads this section alone, for a command.
    pub(crate) fn load(inputs: &Inputs) -> Result<Self, ConfigFaults> {
        let mut reader = sources::layered(inputs);
        let config = Self::read(&mut reader);
        reader.finish_section().map(|()| config)
    }

    pub(super) fn read(reader: &mut Reader) -> Self {
        let Count(days) = reader.or(&["slo", "period_days"], Count(DAYS));
        if !(1..=DAYS).contains(&days) {
            reader.fault_of(&["slo", "period_days"], "must be 1 to 30");
        }
        let mut objective = |name: &str, slo: Slo| {
            let path = ["slo", name, "objective"];
            let Ratio(objective) = reader.or(&path, Ratio(slo.objective()));
            if objective >= 1.0 {
                reader.fault_of(&path, "must be less than 1: nothing could go wrong otherwise");
            }
            objective
        };
        let (chat_latency, auth) = (objective("chat_latency", Slo::ChatLatency), objective("auth", Slo::Auth));
        let (llm, api) = (objective("llm", Slo::Llm), objective("api", Slo::Api));
        let chat_within = reader.nonzero(&["slo", "chat_latency", "threshold"], CHAT_WITHIN);
        Self { period_days: u32::try_from(days).unwrap_or(30), chat_latency, chat_within, auth, llm, api }
    }
}
