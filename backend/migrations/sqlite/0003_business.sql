-- The ledger added up for the business. A slot is ten minutes, counted from 1970; a row is of one slot, or of the 144 of a day (UTC).
-- Its figures are JSON: sums, and counts of values by size.
CREATE TABLE business (
    slot INTEGER NOT NULL,
    slots INTEGER NOT NULL CHECK (slots IN (1, 144)),
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    outcome TEXT NOT NULL,
    figures TEXT NOT NULL,
    PRIMARY KEY (slot, slots, provider, model, outcome)
) STRICT, WITHOUT ROWID;

CREATE INDEX business_unfolded ON business (slot) WHERE slots = 1;

-- The first slot that is not added up yet, in the one row there is.
CREATE TABLE business_state (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    next_slot INTEGER NOT NULL
) STRICT;

-- Users with a settled request, by day.
CREATE TABLE active_users (
    day INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    user_name TEXT NOT NULL,
    PRIMARY KEY (day, tenant, user_name)
) STRICT, WITHOUT ROWID;

-- Conversations by their requests: from the first to the last, how many completed, and whether the last did.
CREATE TABLE conversation_activity (
    id TEXT NOT NULL PRIMARY KEY,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    turns INTEGER NOT NULL,
    completed INTEGER NOT NULL CHECK (completed IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX conversation_activity_first ON conversation_activity (first_ms, last_ms, turns, completed);
