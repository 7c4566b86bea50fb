//! What one connection waits longer for a short answer.

use anyhow::Result;
use goblin_tests::backend::Backend;

use super::Pace;
use crate::{
    canned::Origin,
    rounds::Rounds,
    wrk::{self, Load},
};

/// A table with the goal of 0.2 ms.
pub(super) async fn measure(origin: &Origin, backend: &Backend, pace: Pace) -> Result<String> {
    let (mut medians, mut added) = ([Rounds::default(), Rounds::default()], Rounds::default());
    for _ in 0..pace.rounds {
        let mut round = Vec::new();
        for (median, address) in medians.iter_mut().zip([origin.address, backend.service()]) {
            let run = wrk::run(address, Load::Chat, None, 1, pace.round).await?;
            median.push(run.p50_ms);
            round.push(run.p50_ms);
        }
        added.push(round[1] - round[0]);
    }
    Ok(format!(
        "| short unary chat, one connection | p50 in ms |\n|---|---|\n| upstream directly | {} |\n\
         | through the backend | {} |\n| added (goal: at most 0.2) | {} |\n",
        medians[0].show(3),
        medians[1].show(3),
        added.show(3)
    ))
}
