//! `docs/metrics.md`: the whole vocabulary as people read it, and the snapshot that a change of it has to change.

use std::fmt::Write as _;

use goblin_shared::vocabulary::{METRICS, Metric, MetricKind, Source};
use goblin_tests::workspace;

const BEGIN: &str = "<!-- generated: metrics -->\n";
const END: &str = "<!-- end of metrics -->\n";

/// As Prometheus' text format at `/metrics` names it; of a histogram, what stands before `_count`, `_sum` and `_bucket`.
fn exposed(metric: &Metric) -> String {
    metric.prometheus_name().replace("_USD", "")
}

fn table() -> String {
    let mut text = "| metric | at `/metrics` | kind, unit | labels | meaning |\n|---|---|---|---|---|\n".to_owned();
    for metric in METRICS {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Histogram(_) => "histogram",
            MetricKind::Gauge => "gauge",
        };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let source = if metric.source == Source::Conventions { " (conventions)" } else { "" };
        writeln!(
            text,
            "| `{}`{source} | `{}` | {kind}, `{}` | {} | {} |",
            metric.name,
            exposed(metric),
            metric.unit,
            if labels.is_empty() { "–".to_owned() } else { labels.join(", ") },
            metric.description.trim_end_matches('.')
        )
        .unwrap();
    }
    text.push_str("\n| histogram | upper bounds of its buckets |\n|---|---|\n");
    for metric in METRICS {
        if let MetricKind::Histogram(bounds) = metric.kind {
            let bounds: Vec<_> = bounds.iter().map(ToString::to_string).collect();
            writeln!(text, "| `{}` | {} |", metric.name, bounds.join(", ")).unwrap();
        }
    }
    text
}

#[test]
fn the_page_has_the_whole_vocabulary() {
    let path = workspace::root().join("docs/metrics.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (_, tail) = rest.split_once(END).unwrap();
    let anew = format!("{head}{BEGIN}{}{END}{tail}", table());
    if std::env::var_os("GOBLIN_UPDATE_DOCS").is_some() {
        std::fs::write(&path, anew).unwrap();
    } else {
        assert_eq!(page, anew, "docs/metrics.md is of another time; write it anew with GOBLIN_UPDATE_DOCS=1");
    }
}
