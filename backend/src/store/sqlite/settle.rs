//! What settles rows of the ledger, within a transaction of [`super::batch`].

use std::collections::HashMap;

use goblin_shared::request_id::RequestId;
use rusqlite::{Connection, OptionalExtension as _, Result, ToSql, params, params_from_iter};

use super::values::{amount, integer};
use crate::ports::{NewTurn, Settlement};

/// Where sums end: two of them are still one of SQLite's integers.
const MOST: i64 = 1 << 62;

const SETTLE: &str = "UPDATE ledger SET outcome = ?3, provider = ?4, model = ?5, attempts = ?6, prompt_tokens = ?7, \
     completion_tokens = ?8, cached_tokens = ?9, cache_write_tokens = ?10, reasoning_tokens = ?11, \
     tokens_estimated = ?12, cost_nano_usd = ?13, charged_requests = ?14, charged_tokens = ?15, \
     charged_nano_usd = ?16, duration_us = ?17, first_content_us = ?18, error_code = ?19 \
     WHERE request_id = ?1 AND opening = ?2 AND outcome IS NULL \
     RETURNING started_ms / 86400000, COALESCE(key_id, ''), tenant, user_name";

/// Adds to the sums of a day. These end at 2^62: one beyond SQLite's integers would be an error, of the settlements too.
const ADD_UP: &str = "INSERT INTO usage_daily AS u (day, key_id, tenant, user_name, provider, model, outcome, requests, \
     prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, estimated, cost_nano_usd, \
     cost_unknown, charged_requests, charged_tokens, charged_nano_usd) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19) \
     ON CONFLICT (day, key_id, tenant, user_name, provider, model, outcome) DO UPDATE SET \
     requests = u.requests + excluded.requests, \
     prompt_tokens = MIN(u.prompt_tokens + excluded.prompt_tokens, 4611686018427387904), \
     completion_tokens = MIN(u.completion_tokens + excluded.completion_tokens, 4611686018427387904), \
     cached_tokens = MIN(u.cached_tokens + excluded.cached_tokens, 4611686018427387904), \
     cache_write_tokens = MIN(u.cache_write_tokens + excluded.cache_write_tokens, 4611686018427387904), \
     reasoning_tokens = MIN(u.reasoning_tokens + excluded.reasoning_tokens, 4611686018427387904), \
     estimated = u.estimated + excluded.estimated, \
     cost_nano_usd = MIN(u.cost_nano_usd + excluded.cost_nano_usd, 4611686018427387904), \
     cost_unknown = u.cost_unknown + excluded.cost_unknown, \
     charged_requests = u.charged_requests + excluded.charged_requests, \
     charged_tokens = MIN(u.charged_tokens + excluded.charged_tokens, 4611686018427387904), \
     charged_nano_usd = MIN(u.charged_nano_usd + excluded.charged_nano_usd, 4611686018427387904)";

const LENGTHEN: &str = "UPDATE conversations SET turns = turns + 1, updated_ms = ?4, prompt_tokens = prompt_tokens + ?5, \
     completion_tokens = completion_tokens + ?6 WHERE id = ?1 AND tenant = ?2 AND user_name = ?3 RETURNING turns";

const APPEND: &str = "INSERT INTO turns (conversation_id, number, request_id, at_ms, model, messages, prompt_tokens, \
     completion_tokens) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";

/// Which sums a settled row belongs to: its day, key, tenant, user, provider, model and outcome.
type Group = (i64, String, String, String, String, String, &'static str);

/// The sums of a transaction, in the order of the columns; few, however many rows are settled.
#[derive(Default)]
pub(super) struct DailySums(HashMap<Group, [i64; 12]>);

impl DailySums {
    fn add(&mut self, group: Group, row: [i64; 12]) {
        let sums = self.0.entry(group).or_default();
        for (sum, more) in sums.iter_mut().zip(row) {
            *sum = sum.saturating_add(more).min(MOST);
        }
    }

    /// Adds them to those of the database.
    pub(super) fn write(self, connection: &Connection) -> Result<()> {
        let mut statement = connection.prepare_cached(ADD_UP)?;
        for ((day, key_id, tenant, user_name, provider, model, outcome), sums) in self.0 {
            let group = params![day, key_id, tenant, user_name, provider, model, outcome];
            let values = group.iter().copied().chain(sums.iter().map(|sum| sum as &dyn ToSql));
            statement.execute(params_from_iter(values))?;
        }
        Ok(())
    }
}

/// Settles what is open and of this try, and adds it to the sums; `false`: there is no such row.
pub(super) fn settle(connection: &Connection, settlement: &Settlement, sums: &mut DailySums) -> Result<bool> {
    let Settlement { tokens, charged, .. } = settlement;
    let [prompt, completion, cached, cache_write, reasoning] =
        [tokens.prompt, tokens.completion, tokens.cached, tokens.cache_write, tokens.reasoning].map(amount);
    let [requests, charged_tokens, nano_usd] = [charged.requests, charged.tokens, charged.nano_usd].map(amount);
    let cost = settlement.cost_nano_usd.map(amount);
    let outcome = settlement.outcome.as_str();
    let row = connection
        .prepare_cached(SETTLE)?
        .query_row(
            params![
                settlement.request_id.as_bytes(),
                settlement.opening.0,
                outcome,
                settlement.provider,
                settlement.model,
                settlement.attempts,
                prompt,
                completion,
                cached,
                cache_write,
                reasoning,
                tokens.estimated,
                cost,
                requests,
                charged_tokens,
                nano_usd,
                integer(settlement.duration_us),
                settlement.first_content_us.map(integer),
                settlement.error_code,
            ],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .optional()?;
    let Some((day, key_id, tenant, user_name)) = row else { return Ok(false) };
    let [provider, model] = [&settlement.provider, &settlement.model].map(|name| name.clone().unwrap_or_default());
    let row = [
        1,
        prompt,
        completion,
        cached,
        cache_write,
        reasoning,
        tokens.estimated.into(),
        cost.unwrap_or_default(),
        cost.is_none().into(),
        requests,
        charged_tokens,
        nano_usd,
    ];
    sums.add((day, key_id, tenant, user_name, provider, model, outcome), row);
    Ok(true)
}

/// Adds a turn to its conversation, as long as that is there and its owner's.
pub(super) fn append(connection: &Connection, request_id: RequestId, turn: &NewTurn) -> Result<()> {
    let (prompt, completion) = (amount(turn.prompt_tokens), amount(turn.completion_tokens));
    let NewTurn { conversation_id, owner, .. } = turn;
    let lengthened = params![conversation_id, owner.tenant, owner.user, integer(turn.at_ms), prompt, completion];
    let number = connection.prepare_cached(LENGTHEN)?.query_row(lengthened, |row| row.get(0)).optional()?;
    let Some(number): Option<i64> = number else { return Ok(()) };
    let appended = params![
        conversation_id,
        number,
        request_id.as_bytes(),
        integer(turn.at_ms),
        turn.model,
        turn.messages,
        prompt,
        completion
    ];
    connection.prepare_cached(APPEND)?.execute(appended).map(drop)
}
