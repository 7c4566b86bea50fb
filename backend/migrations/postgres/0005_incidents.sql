-- What Alertmanager told of alerts, each by its fingerprint and beginning. Labels and annotations are JSON.
CREATE TABLE incidents (
    fingerprint text NOT NULL,
    started_ms bigint NOT NULL,
    ended_ms bigint,
    told_ms bigint NOT NULL,
    labels text NOT NULL,
    annotations text NOT NULL,
    PRIMARY KEY (fingerprint, started_ms)
);

CREATE INDEX incidents_by_beginning ON incidents (started_ms);
