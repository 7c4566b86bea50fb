//! What the files below `infra/` and the runbooks ask Prometheus for is there to be asked for.

use std::{collections::BTreeSet, fs, path::Path};

use goblin_shared::vocabulary::{METRICS, Metric};
use goblin_tests::workspace;

/// Series of others: of Prometheus itself, the Collector, its spanmetrics, the blackbox exporter.
const FOREIGN: [&str; 24] = [
    "otelcol_exporter_enqueue_failed_log_records_total",
    "otelcol_exporter_enqueue_failed_metric_points_total",
    "otelcol_exporter_enqueue_failed_spans_total",
    "otelcol_exporter_queue_capacity",
    "otelcol_exporter_queue_size",
    "otelcol_exporter_send_failed_log_records_total",
    "otelcol_exporter_send_failed_metric_points_total",
    "otelcol_exporter_send_failed_spans_total",
    "otelcol_exporter_sent_log_records_total",
    "otelcol_exporter_sent_metric_points_total",
    "otelcol_exporter_sent_spans_total",
    "otelcol_process_memory_rss_bytes",
    "otelcol_process_uptime_seconds_total",
    "otelcol_processor_memory_limiter_refused_spans_total",
    "otelcol_receiver_accepted_log_records_total",
    "otelcol_receiver_accepted_metric_points_total",
    "otelcol_receiver_accepted_spans_total",
    "otelcol_receiver_refused_spans_total",
    "probe_duration_seconds",
    "probe_http_status_code",
    "probe_success",
    "traces_spanmetrics_calls_total",
    "traces_spanmetrics_duration_seconds_bucket",
    "traces_spanmetrics_duration_seconds_count",
];

/// How names begin that are looked for.
const BEGINNINGS: [&str; 9] = [
    "db_client_",
    "gen_ai_client_",
    "goblin_",
    "http_client_",
    "http_server_",
    "otelcol_",
    "probe_",
    "slo:",
    "traces_spanmetrics_",
];

/// The product's own, as the Collector's exporters name them.
fn own() -> BTreeSet<String> {
    METRICS.iter().flat_map(Metric::prometheus_series).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| // Neither a label before its value nor a path of Rust's.
            !word.ends_with(':') && !word.contains("::") && BEGINNINGS.iter().any(|beginning| word.starts_with(beginning)))
}

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("native") {
                files(&path, found);
            }
        } else if path
            .extension()
            .is_some_and(|ending| ["yml", "yaml", "json", "md"].iter().any(|known| ending == *known))
        {
            found.push(path);
        }
    }
}

#[test]
fn no_file_asks_for_a_metric_that_is_not_there() {
    let infra = workspace::root().join("infra");
    let recorded = fs::read_to_string(infra.join("recording_rules.yml")).unwrap();
    let mut known = own();
    known.extend(FOREIGN.map(str::to_owned));
    known.extend(recorded.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).map(str::to_owned));
    let mut paths = Vec::new();
    files(&infra, &mut paths);
    files(&workspace::root().join("docs/runbooks"), &mut paths);
    let mut seen = 0;
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        for word in words(&text) {
            seen += 1;
            assert!(known.contains(word), "{} asks for {word}, which nobody tells", path.display());
        }
    }
    assert!(seen > 100, "{seen} names were found");
}
