//! What settles one row of the ledger, within a transaction of [`super::batch`].

use goblin_shared::request_id::RequestId;
use rusqlite::{Connection, OptionalExtension as _, Result, params};

use super::values::{amount, integer};
use crate::ports::{NewTurn, Settlement};

const SETTLE: &str = "UPDATE ledger SET outcome = ?3, provider = ?4, model = ?5, attempts = ?6, prompt_tokens = ?7, \
     completion_tokens = ?8, cached_tokens = ?9, cache_write_tokens = ?10, reasoning_tokens = ?11, \
     tokens_estimated = ?12, cost_nano_usd = ?13, charged_requests = ?14, charged_tokens = ?15, \
     charged_nano_usd = ?16, duration_us = ?17, first_content_us = ?18, error_code = ?19 \
     WHERE request_id = ?1 AND opening = ?2 AND outcome IS NULL \
     RETURNING started_ms / 86400000, COALESCE(key_id, ''), tenant, user_name";

/// Adds it to the sums of its day. These end at 2^62: one beyond SQLite's integers would be an error, of the settlement
/// too.
const ADD_UP: &str = "INSERT INTO usage_daily AS u (day, key_id, tenant, user_name, provider, model, outcome, requests, \
     prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, estimated, cost_nano_usd, \
     cost_unknown, charged_requests, charged_tokens, charged_nano_usd) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18) \
     ON CONFLICT (day, key_id, tenant, user_name, provider, model, outcome) DO UPDATE SET \
     requests = u.requests + 1, \
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

/// Settles what is open and of this try, and adds it to its day; `false`: there is no such row.
pub(super) fn settle(connection: &Connection, settlement: &Settlement) -> Result<bool> {
    let Settlement { tokens, charged, .. } = settlement;
    let row = connection
        .prepare_cached(SETTLE)?
        .query_row(
            params![
                settlement.request_id.as_bytes(),
                settlement.opening.0,
                settlement.outcome.as_str(),
                settlement.provider,
                settlement.model,
                settlement.attempts,
                amount(tokens.prompt),
                amount(tokens.completion),
                amount(tokens.cached),
                amount(tokens.cache_write),
                amount(tokens.reasoning),
                tokens.estimated,
                settlement.cost_nano_usd.map(amount),
                amount(charged.requests),
                amount(charged.tokens),
                amount(charged.nano_usd),
                integer(settlement.duration_us),
                settlement.first_content_us.map(integer),
                settlement.error_code,
            ],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .optional()?;
    let Some((day, key_id, tenant, user_name)) = row else { return Ok(false) };
    let (day, key_id, tenant, user_name): (i64, String, String, String) = (day, key_id, tenant, user_name);
    connection.prepare_cached(ADD_UP)?.execute(params![
        day,
        key_id,
        tenant,
        user_name,
        settlement.provider.as_deref().unwrap_or_default(),
        settlement.model.as_deref().unwrap_or_default(),
        settlement.outcome.as_str(),
        amount(tokens.prompt),
        amount(tokens.completion),
        amount(tokens.cached),
        amount(tokens.cache_write),
        amount(tokens.reasoning),
        tokens.estimated,
        settlement.cost_nano_usd.map_or(0, amount),
        settlement.cost_nano_usd.is_none(),
        amount(charged.requests),
        amount(charged.tokens),
        amount(charged.nano_usd),
    ])?;
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
