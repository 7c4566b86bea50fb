//! Rows of the ledger as JSON, which SQLite takes apart: one parameter however many there are.
//!
//! SQLite's JSON holds integers of 64 bits, and texts without losses.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::values::{amount, hex, integer};
use crate::ports::{LedgerEntry, Settlement};

/// Everything of a batch, as members `opens`, `settlements` and `turns`.
pub(super) fn all(entries: &[LedgerEntry], all: &[Settlement]) -> String {
    json!({ "opens": opens(entries), "settlements": settlements(all), "turns": turns(all) }).to_string()
}

/// Openings, each an array in the order of [`super::batch`]'s columns.
fn opens(entries: &[LedgerEntry]) -> Value {
    let row = |entry: &LedgerEntry| {
        json!([
            hex(&entry.request_id),
            integer(entry.started_ms),
            entry.api.path(),
            u8::from(entry.stream),
            entry.owner.tenant,
            entry.owner.user,
            entry.key_id,
            entry.model_asked,
            entry.trace_id,
            entry.conversation_id,
            amount(entry.reserved.requests),
            amount(entry.reserved.tokens),
            amount(entry.reserved.nano_usd),
        ])
    };
    entries.iter().map(row).collect()
}

/// Settlements, likewise; of two of one request the first counts.
fn settlements(all: &[Settlement]) -> Value {
    let row = |settlement: &Settlement| {
        json!([
            hex(&settlement.request_id),
            settlement.outcome.as_str(),
            settlement.provider,
            settlement.model,
            settlement.attempts,
            amount(settlement.tokens.prompt),
            amount(settlement.tokens.completion),
            amount(settlement.tokens.cached),
            amount(settlement.tokens.cache_write),
            amount(settlement.tokens.reasoning),
            u8::from(settlement.tokens.estimated),
            settlement.cost_nano_usd.map(amount),
            amount(settlement.charged.requests),
            amount(settlement.charged.tokens),
            amount(settlement.charged.nano_usd),
            integer(settlement.duration_us),
            settlement.first_content_us.map(integer),
            settlement.error_code,
        ])
    };
    firsts(all).map(row).collect()
}

/// The turns of those that have one.
fn turns(all: &[Settlement]) -> Value {
    let row = |settlement: &Settlement| {
        let turn = settlement.turn.as_ref()?;
        Some(json!([
            hex(&settlement.request_id),
            turn.conversation_id,
            turn.owner.tenant,
            turn.owner.user,
            integer(turn.at_ms),
            turn.model,
            turn.messages,
            amount(turn.prompt_tokens),
            amount(turn.completion_tokens),
        ]))
    };
    firsts(all).filter_map(row).collect()
}

fn firsts(all: &[Settlement]) -> impl Iterator<Item = &Settlement> {
    let mut seen = HashSet::with_capacity(all.len());
    all.iter().filter(move |settlement| seen.insert(settlement.request_id))
}
