-- Times are milliseconds since 1970, durations microseconds, money billionths of a dollar.

CREATE TABLE keys (
    id TEXT NOT NULL PRIMARY KEY,
    secret_hash BLOB NOT NULL CHECK (length(secret_hash) = 32),
    previous_hash BLOB CHECK (length(previous_hash) = 32),
    previous_until_ms INTEGER,
    name TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user_name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    requests_per_minute INTEGER,
    tokens_per_minute INTEGER,
    nano_usd_per_day INTEGER,
    nano_usd_per_month INTEGER,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    revoked_ms INTEGER,
    CHECK ((previous_hash IS NULL) = (previous_until_ms IS NULL))
) STRICT, WITHOUT ROWID;

-- A row for each request, from before it may cost anything. Never what was said in it.
CREATE TABLE ledger (
    request_id BLOB NOT NULL PRIMARY KEY CHECK (length(request_id) = 16),
    -- The try that opened it: only that one settles it.
    opening BLOB NOT NULL CHECK (length(opening) = 16),
    started_ms INTEGER NOT NULL,
    api TEXT NOT NULL,
    stream INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    user_name TEXT NOT NULL,
    key_id TEXT,
    model_asked TEXT NOT NULL,
    trace_id TEXT,
    conversation_id TEXT,
    reserved_requests INTEGER NOT NULL,
    reserved_tokens INTEGER NOT NULL,
    reserved_nano_usd INTEGER NOT NULL,
    -- All that follows is known once it is settled; until then it has no outcome.
    outcome TEXT CHECK (outcome IN ('completed', 'failed', 'cancelled', 'interrupted')),
    provider TEXT,
    model TEXT,
    attempts INTEGER,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    cached_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    tokens_estimated INTEGER,
    cost_nano_usd INTEGER,
    charged_requests INTEGER,
    charged_tokens INTEGER,
    charged_nano_usd INTEGER,
    duration_us INTEGER,
    first_content_us INTEGER,
    error_code TEXT
) STRICT, WITHOUT ROWID;

-- What a minute was charged.
CREATE INDEX ledger_started ON ledger (started_ms);
-- Few rows, whatever the ledger holds.
CREATE INDEX ledger_open ON ledger (started_ms) WHERE outcome IS NULL;

-- The settled rows of the ledger, added up by day (days since 1970 in UTC) as they are settled. Empty texts stand for
-- "none": all columns of the primary key are compared.
CREATE TABLE usage_daily (
    day INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    user_name TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    outcome TEXT NOT NULL,
    requests INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    -- Requests whose tokens are estimated.
    estimated INTEGER NOT NULL,
    cost_nano_usd INTEGER NOT NULL,
    -- Requests whose cost is not known.
    cost_unknown INTEGER NOT NULL,
    charged_requests INTEGER NOT NULL,
    charged_tokens INTEGER NOT NULL,
    charged_nano_usd INTEGER NOT NULL,
    PRIMARY KEY (day, key_id, tenant, user_name, provider, model, outcome)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_daily_key ON usage_daily (key_id, day);
CREATE INDEX usage_daily_owner ON usage_daily (tenant, user_name, day);

CREATE TABLE conversations (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    user_name TEXT NOT NULL,
    title TEXT,
    instructions TEXT,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    turns INTEGER NOT NULL DEFAULT 0,
    prompt_tokens INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX conversations_owner ON conversations (tenant, user_name, updated_ms DESC, id DESC);
CREATE INDEX conversations_updated ON conversations (updated_ms);

CREATE TABLE turns (
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    request_id BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    model TEXT NOT NULL,
    messages TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, number)
) STRICT;
