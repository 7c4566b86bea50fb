-- What objectives are judged by: what a run of the program counted in a minute (since 1970) in all.
CREATE TABLE slo_counts (
    minute INTEGER NOT NULL,
    slo TEXT NOT NULL,
    run BLOB NOT NULL CHECK (length(run) = 16),
    good INTEGER NOT NULL,
    valid INTEGER NOT NULL,
    PRIMARY KEY (minute, slo, run)
) STRICT, WITHOUT ROWID;
