//! Every metric of the product's own: name, kind, unit, labels. Instruments, rules and dashboards take them from here.
//!
//! No label ever holds a user, a key, an address or a conversation.

/// How values of a metric add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows; OpenTelemetry calls it a monotonic sum.
    Counter,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Name, as OpenTelemetry writes it.
    pub name: &'static str,
    /// How its values add up.
    pub kind: MetricKind,
    /// Unit, in UCUM.
    pub unit: &'static str,
    /// What it counts or measures.
    pub description: &'static str,
    /// Names of its attributes.
    pub labels: &'static [&'static str],
}

/// What the edge decided on requests: each counts once as `admitted` or `refused`, with the reason; each rule that only
/// observes and would have refused counts besides as `observed`.
pub const EDGE_DECISIONS: Metric = Metric {
    name: "goblin.edge.decisions",
    kind: MetricKind::Counter,
    unit: "{decision}",
    description: "Requests that the edge admitted, refused, or would have refused",
    labels: &["decision", "reason"],
};

/// All of them.
pub const METRICS: &[Metric] = &[EDGE_DECISIONS];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_are_opentelemetrys_and_unique() {
        let allowed = |text: &str, more: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || more.contains(c))
        };
        for (index, metric) in METRICS.iter().enumerate() {
            assert!(metric.name.starts_with("goblin.") && allowed(metric.name, "._"), "{}", metric.name);
            assert!(metric.labels.iter().all(|label| allowed(label, "._")), "{:?}", metric.labels);
            assert!(!metric.description.is_empty() && !metric.unit.is_empty());
            assert!(METRICS[..index].iter().all(|other| other.name != metric.name), "{}", metric.name);
        }
    }
}
