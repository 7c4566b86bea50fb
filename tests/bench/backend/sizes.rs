//! Long prompts and long answers.

use std::fmt::Write as _;

use anyhow::Result;
use goblin_tests::backend::Backend;

use super::Pace;
use crate::{
    canned::Origin,
    rounds::Rounds,
    wrk::{self, Load},
};

const CONNECTIONS: u32 = 16;
const LOADS: [(&str, Load); 2] =
    [("prompt of 200 KB, some 50,000 tokens", Load::LongChat), ("answer of 1 MB", Load::LongAnswer)];

/// A table: median latency at one connection, rate at several.
pub(super) async fn measure(origin: &Origin, backend: &Backend, pace: Pace) -> Result<String> {
    let mut table = format!(
        "| unary chat | | p50 in ms, 1 connection | requests/s, {CONNECTIONS} connections |\n|---|---|---|---|\n"
    );
    for (name, load) in LOADS {
        let targets = [("upstream directly", origin.address), ("through the backend", backend.service())];
        let mut figures = [(Rounds::default(), Rounds::default()), (Rounds::default(), Rounds::default())];
        for _ in 0..pace.rounds {
            for ((_, address), (median, rate)) in targets.iter().zip(&mut figures) {
                median.push(wrk::run(*address, load, None, 1, pace.round).await?.p50_ms);
                rate.push(wrk::run(*address, load, None, CONNECTIONS, pace.round).await?.per_second);
            }
        }
        for ((target, _), (median, rate)) in targets.iter().zip(&figures) {
            writeln!(table, "| {name} | {target} | {} | {} |", median.show(3), rate.show(0))?;
        }
    }
    Ok(table)
}
