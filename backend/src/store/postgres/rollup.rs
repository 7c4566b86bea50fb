//! The sums of settled rows, by day.

/// The part of a statement that adds the rows of `settled`, which are rows of `ledger` with their outcomes, to
/// `usage_daily`. Rows of sums are locked sorted, whatever order the ledger's come in.
macro_rules! add_up {
    () => {
        "added_up AS (INSERT INTO usage_daily AS u (day, key_id, tenant, user_name, provider, model, outcome, requests, \
         prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, estimated, \
         cost_nano_usd, cost_unknown, charged_requests, charged_tokens, charged_nano_usd) \
         SELECT (started_ms / 86400000)::integer, COALESCE(key_id, ''), tenant, user_name, COALESCE(provider, ''), \
         COALESCE(model, ''), outcome, COUNT(*), SUM(prompt_tokens), SUM(completion_tokens), SUM(cached_tokens), \
         SUM(cache_write_tokens), SUM(reasoning_tokens), COUNT(*) FILTER (WHERE tokens_estimated), \
         COALESCE(SUM(cost_nano_usd), 0), COUNT(*) FILTER (WHERE cost_nano_usd IS NULL), SUM(charged_requests), \
         SUM(charged_tokens), SUM(charged_nano_usd) FROM settled GROUP BY 1, 2, 3, 4, 5, 6, 7 \
         ORDER BY 1, 2, 3, 4, 5, 6, 7 \
         ON CONFLICT (day, key_id, tenant, user_name, provider, model, outcome) DO UPDATE SET \
         requests = u.requests + excluded.requests, \
         prompt_tokens = u.prompt_tokens + excluded.prompt_tokens, \
         completion_tokens = u.completion_tokens + excluded.completion_tokens, \
         cached_tokens = u.cached_tokens + excluded.cached_tokens, \
         cache_write_tokens = u.cache_write_tokens + excluded.cache_write_tokens, \
         reasoning_tokens = u.reasoning_tokens + excluded.reasoning_tokens, \
         estimated = u.estimated + excluded.estimated, \
         cost_nano_usd = u.cost_nano_usd + excluded.cost_nano_usd, \
         cost_unknown = u.cost_unknown + excluded.cost_unknown, \
         charged_requests = u.charged_requests + excluded.charged_requests, \
         charged_tokens = u.charged_tokens + excluded.charged_tokens, \
         charged_nano_usd = u.charged_nano_usd + excluded.charged_nano_usd)"
    };
}
pub(super) use add_up;
