//! What is promised, as configured.

use std::sync::Arc;

use crate::{
    ambient::RandomIds,
    config::SloConfig,
    monitoring::slos::{Objectives, Slos},
    ports::{Clock, Ids},
};

/// Counts what the promises are judged by, in a run of its own.
pub(crate) fn slos(config: &SloConfig, clock: Arc<dyn Clock>) -> Slos {
    let run = RandomIds::new(clock.clone()).opening_id().0;
    Slos::new(objectives(config), clock, run)
}

/// The promises.
pub(super) fn objectives(config: &SloConfig) -> Objectives {
    Objectives {
        ratios: [config.chat_latency, config.auth, config.llm, config.api],
        chat_within: config.chat_within,
        period_days: config.period_days,
    }
}
