-- What objectives are judged by: what a run of the program counted in a minute (since 1970) in all.
CREATE TABLE slo_counts (
    minute INTEGER NOT NULL,
    slo TEXT NOT NULL,
    run BYTEA NOT NULL CHECK (length(run) = 16),
    good BIGINT NOT NULL,
    valid BIGINT NOT NULL,
    PRIMARY KEY (minute, slo, run)
);
