//! The tables' rows, and the SQL that reads them.

use serde::Deserialize;

/// One question in the words of both databases; each answers with a column of text.
#[derive(Clone, Copy)]
pub(super) struct Query {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

/// A request in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LedgerRow {
    /// Its id, 32 hexadecimal digits.
    pub request_id: String,
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
    /// The user.
    pub user: String,
    /// With which key.
    pub key_id: Option<String>,
    /// The model as it was asked for.
    pub model_asked: String,
    /// Its trace, 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// Its conversation.
    pub conversation_id: Option<String>,
    /// Tokens that it may use at most.
    pub reserved_tokens: u64,
    /// Billionths of a dollar that it may cost at most.
    pub reserved_nano_usd: u64,
    /// `completed`, `failed`, `cancelled` or `interrupted`; `None` while it is open, and then all that follows is too.
    pub outcome: Option<String>,
    /// Who was called last.
    pub provider: Option<String>,
    /// Calls of providers.
    pub attempts: Option<u64>,
    /// Tokens of the prompt.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer.
    pub completion_tokens: Option<u64>,
    /// Billionths of a dollar, where the price is known.
    pub cost_nano_usd: Option<u64>,
    /// What its limits were charged: requests.
    pub charged_requests: Option<u64>,
    /// Likewise tokens.
    pub charged_tokens: Option<u64>,
    /// Likewise billionths of a dollar.
    pub charged_nano_usd: Option<u64>,
    /// What the client was told.
    pub error_code: Option<String>,
}

impl LedgerRow {
    /// Whether it was settled with this outcome.
    #[must_use]
    pub fn is(&self, outcome: &str) -> bool {
        self.outcome.as_deref() == Some(outcome)
    }
}

/// A conversation, without its turns.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ConversationRow {
    /// Its id.
    pub id: String,
    /// How many turns it says that it has.
    pub turns: u64,
}

/// A turn, without what was said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TurnRow {
    /// Its conversation.
    pub conversation_id: String,
    /// From 1.
    pub number: u64,
    /// The request that it came from, 32 hexadecimal digits.
    pub request_id: String,
}

/// The same columns for both: only ids are kept in two ways, and JSON is made by two names.
macro_rules! query {
    (@sql $object:literal, $id:literal, $text:literal, with id [$($with_id:literal)*], $fields:literal, $from:literal) => {
        concat!("SELECT ", $object, "(", $($with_id, $id, ", ",)* $fields, ")", $text, " ", $from)
    };
    ($($part:tt)*) => {
        Query {
            sqlite: query!(@sql "json_object", "lower(hex(request_id))", "", $($part)*),
            postgres: query!(@sql "json_build_object", "replace(request_id::text, '-', '')", "::text", $($part)*),
        }
    };
}

pub(super) const LEDGER: Query = query!(
    with id ["'request_id', "],
    "'started_ms', started_ms, 'user', user_name, 'key_id', key_id, 'model_asked', model_asked, 'trace_id', trace_id, \
     'conversation_id', conversation_id, 'reserved_tokens', reserved_tokens, 'reserved_nano_usd', reserved_nano_usd, \
     'outcome', outcome, 'provider', provider, 'attempts', attempts, 'prompt_tokens', prompt_tokens, \
     'completion_tokens', completion_tokens, 'cost_nano_usd', cost_nano_usd, 'charged_requests', charged_requests, \
     'charged_tokens', charged_tokens, 'charged_nano_usd', charged_nano_usd, 'error_code', error_code",
    "FROM ledger ORDER BY request_id"
);

pub(super) const TURNS: Query = query!(
    with id ["'request_id', "],
    "'conversation_id', conversation_id, 'number', number",
    "FROM turns ORDER BY conversation_id, number"
);

pub(super) const CONVERSATIONS: Query =
    query!(with id [], "'id', id, 'turns', turns", "FROM conversations ORDER BY id");

/// A row of sums that only one of the two has, the kept and the recomputed.
macro_rules! wrong_sums {
    ($object:literal, $text:literal, $estimated:literal) => {
        concat!(
            "WITH recomputed AS (SELECT CAST(started_ms / 86400000 AS integer) AS day, coalesce(key_id, '') AS key_id, \
             tenant, user_name, coalesce(provider, '') AS provider, coalesce(model, '') AS model, outcome, \
             CAST(count(*) AS bigint) AS requests, CAST(sum(prompt_tokens) AS bigint) AS prompt, \
             CAST(sum(completion_tokens) AS bigint) AS completion, CAST(sum(cached_tokens) AS bigint) AS cached, \
             CAST(sum(cache_write_tokens) AS bigint) AS cache_write, \
             CAST(sum(reasoning_tokens) AS bigint) AS reasoning, CAST(sum(",
            $estimated,
            ") AS bigint) AS estimated, CAST(coalesce(sum(cost_nano_usd), 0) AS bigint) AS cost, \
             CAST(sum(CASE WHEN cost_nano_usd IS NULL THEN 1 ELSE 0 END) AS bigint) AS unknown, \
             CAST(sum(charged_requests) AS bigint) AS charged_requests, \
             CAST(sum(charged_tokens) AS bigint) AS charged_tokens, \
             CAST(sum(charged_nano_usd) AS bigint) AS charged_nano_usd \
             FROM ledger WHERE outcome IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7), \
             kept AS (SELECT day, key_id, tenant, user_name, provider, model, outcome, requests, \
             prompt_tokens AS prompt, completion_tokens AS completion, cached_tokens AS cached, \
             cache_write_tokens AS cache_write, reasoning_tokens AS reasoning, estimated, cost_nano_usd AS cost, \
             cost_unknown AS unknown, charged_requests, charged_tokens, charged_nano_usd FROM usage_daily), \
             differences AS (SELECT 'kept' AS side, k.* FROM (SELECT * FROM kept EXCEPT SELECT * FROM recomputed) k \
             UNION ALL \
             SELECT 'recomputed' AS side, r.* FROM (SELECT * FROM recomputed EXCEPT SELECT * FROM kept) r) SELECT ",
            $object,
            "('side', side, 'day', day, 'key_id', key_id, 'user', user_name, 'provider', provider, 'model', model, \
             'outcome', outcome, 'requests', requests, 'prompt', prompt, 'completion', completion, \
             'estimated', estimated, 'cost', cost, 'unknown', unknown, 'charged_requests', charged_requests, \
             'charged_tokens', charged_tokens, 'charged_nano_usd', charged_nano_usd)",
            $text,
            " FROM differences"
        )
    };
}

pub(super) const WRONG_SUMS: Query = Query {
    sqlite: wrong_sums!("json_object", "", "tokens_estimated"),
    postgres: wrong_sums!("json_build_object", "::text", "tokens_estimated::integer"),
};
