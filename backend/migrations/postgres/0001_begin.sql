-- Times are milliseconds since 1970, durations microseconds, money billionths of a dollar. Ids are compared byte by byte
-- (COLLATE "C"), so that lists go on where they ended whatever the database's language is.

CREATE TABLE instances (
    id uuid PRIMARY KEY,
    -- By this database's clock. Whoever does not renew it by then is dead, and its open rows are interrupted.
    lease_until timestamptz NOT NULL
);

CREATE TABLE keys (
    id text COLLATE "C" PRIMARY KEY,
    secret_hash bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
    previous_hash bytea CHECK (octet_length(previous_hash) = 32),
    previous_until_ms bigint,
    name text NOT NULL,
    tenant text NOT NULL,
    user_name text NOT NULL,
    scopes text NOT NULL,
    requests_per_minute bigint,
    tokens_per_minute bigint,
    nano_usd_per_day bigint,
    nano_usd_per_month bigint,
    created_ms bigint NOT NULL,
    expires_ms bigint,
    revoked_ms bigint,
    CHECK ((previous_hash IS NULL) = (previous_until_ms IS NULL))
);

-- A row for each request, from before it may cost anything. Never what was said in it.
CREATE TABLE ledger (
    request_id uuid PRIMARY KEY,
    -- The try that opened it: only that one settles it.
    opening uuid NOT NULL,
    instance uuid NOT NULL,
    started_ms bigint NOT NULL,
    api text NOT NULL,
    stream boolean NOT NULL,
    tenant text NOT NULL,
    user_name text NOT NULL,
    key_id text COLLATE "C",
    model_asked text NOT NULL,
    trace_id text,
    conversation_id text,
    reserved_requests bigint NOT NULL,
    reserved_tokens bigint NOT NULL,
    reserved_nano_usd bigint NOT NULL,
    -- All that follows is known once it is settled; until then it has no outcome.
    outcome text CHECK (outcome IN ('completed', 'failed', 'cancelled', 'interrupted')),
    provider text,
    model text,
    attempts integer,
    prompt_tokens bigint,
    completion_tokens bigint,
    cached_tokens bigint,
    cache_write_tokens bigint,
    reasoning_tokens bigint,
    tokens_estimated boolean,
    cost_nano_usd bigint,
    charged_requests bigint,
    charged_tokens bigint,
    charged_nano_usd bigint,
    duration_us bigint,
    first_content_us bigint,
    error_code text
);

-- What a minute was charged.
CREATE INDEX ledger_started ON ledger (started_ms);
-- Few rows, whatever the ledger holds.
CREATE INDEX ledger_open ON ledger (instance) WHERE outcome IS NULL;

-- The settled rows of the ledger, added up by day (days since 1970 in UTC) as they are settled. Empty texts stand for
-- "none": all columns of the primary key are compared.
CREATE TABLE usage_daily (
    day integer NOT NULL,
    key_id text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    user_name text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    requests bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    -- Requests whose tokens are estimated.
    estimated bigint NOT NULL,
    cost_nano_usd bigint NOT NULL,
    -- Requests whose cost is not known.
    cost_unknown bigint NOT NULL,
    charged_requests bigint NOT NULL,
    charged_tokens bigint NOT NULL,
    charged_nano_usd bigint NOT NULL,
    PRIMARY KEY (day, key_id, tenant, user_name, provider, model, outcome)
);

CREATE INDEX usage_daily_key ON usage_daily (key_id, day);
CREATE INDEX usage_daily_owner ON usage_daily (tenant, user_name, day);

CREATE TABLE conversations (
    id text COLLATE "C" PRIMARY KEY,
    tenant text NOT NULL,
    user_name text NOT NULL,
    title text,
    instructions text,
    created_ms bigint NOT NULL,
    updated_ms bigint NOT NULL,
    turns integer NOT NULL DEFAULT 0,
    prompt_tokens bigint NOT NULL DEFAULT 0,
    completion_tokens bigint NOT NULL DEFAULT 0
);

CREATE INDEX conversations_owner ON conversations (tenant, user_name, updated_ms DESC, id DESC);
CREATE INDEX conversations_updated ON conversations (updated_ms);

CREATE TABLE turns (
    conversation_id text COLLATE "C" NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    number integer NOT NULL,
    request_id uuid NOT NULL,
    at_ms bigint NOT NULL,
    model text NOT NULL,
    messages text NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    PRIMARY KEY (conversation_id, number)
);

-- Counters of limits, where they are counted here. A window is known by its beginning.
CREATE TABLE limit_counters (
    subject text COLLATE "C" NOT NULL,
    quota text COLLATE "C" NOT NULL,
    window_ms bigint NOT NULL,
    used bigint NOT NULL,
    -- When nobody asks for it any more, by this database's clock.
    forget_at timestamptz NOT NULL,
    PRIMARY KEY (subject, quota, window_ms)
) WITH (fillfactor = 50);

CREATE INDEX limit_counters_forget ON limit_counters (forget_at);

-- What is reserved, and what was settled a while ago: each is done once, and not after the other.
CREATE TABLE limit_reservations (
    opening uuid PRIMARY KEY,
    settled boolean NOT NULL,
    forget_at timestamptz NOT NULL
);

CREATE INDEX limit_reservations_forget ON limit_reservations (forget_at);
