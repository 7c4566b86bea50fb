-- The ledger added up for the business. A slot is ten minutes, counted from 1970; a row is of one slot, or of the 144 of a day (UTC).
-- Its figures are JSON: sums, and counts of values by size.
CREATE TABLE business (
    slot bigint NOT NULL,
    slots bigint NOT NULL CHECK (slots IN (1, 144)),
    provider text NOT NULL,
    model text NOT NULL,
    outcome text NOT NULL,
    figures text NOT NULL,
    PRIMARY KEY (slot, slots, provider, model, outcome)
);

CREATE INDEX business_unfolded ON business (slot) WHERE slots = 1;

-- The first slot that is not added up yet, in the one row there is.
CREATE TABLE business_state (
    id bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    next_slot bigint NOT NULL
);

-- Users with a settled request, by day.
CREATE TABLE active_users (
    day bigint NOT NULL,
    tenant text NOT NULL,
    user_name text NOT NULL,
    PRIMARY KEY (day, tenant, user_name)
);

-- Conversations by their requests: from the first to the last, how many completed, and whether the last did.
CREATE TABLE conversation_activity (
    id text NOT NULL PRIMARY KEY,
    first_ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    turns bigint NOT NULL,
    completed bigint NOT NULL CHECK (completed IN (0, 1))
);

CREATE INDEX conversation_activity_first ON conversation_activity (first_ms, last_ms, turns, completed);
