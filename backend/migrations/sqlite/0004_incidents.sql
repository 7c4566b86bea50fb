-- What Alertmanager told of alerts, each by its fingerprint and beginning. Labels and annotations are JSON.
CREATE TABLE incidents (
    fingerprint TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    told_ms INTEGER NOT NULL,
    labels TEXT NOT NULL,
    annotations TEXT NOT NULL,
    PRIMARY KEY (fingerprint, started_ms)
) STRICT, WITHOUT ROWID;

CREATE INDEX incidents_by_beginning ON incidents (started_ms);
