//! `slo report`: how the objectives stand, by what is in the store.

use crate::{
    command_line::SloCommand,
    monitoring::slos::{Objectives, SloReport, minute_of},
    ports::{Clock, SloCounts, StoreError},
};

/// Longest time that is looked at, in minutes.
const KEPT: u32 = 31 * 24 * 60;

/// The text. What is counted right now by those who serve is in it after ten seconds.
pub(crate) async fn slo(
    store: &dyn SloCounts,
    objectives: Objectives,
    clock: &dyn Clock,
    wish: &SloCommand,
) -> Result<String, StoreError> {
    let now_ms = clock.unix_millis();
    // Of all runs, among which this command's is not.
    let counts = store.read([0; 16], minute_of(now_ms).saturating_sub(KEPT)).await?;
    let report = SloReport::of_counts(objectives, now_ms, &counts);
    let SloCommand::Report { json } = wish;
    Ok(if *json { format!("{}\n", report.json()) } else { report.text() })
}
