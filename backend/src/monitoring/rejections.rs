//! What a collector took in part alone. The exporters tell of it in the log and nowhere else.

use std::fmt::Debug;

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use super::{
    drops::Drops,
    metrics::{DropReason, Signal},
};

/// Counts what they tell.
pub(super) struct RejectionLayer(pub(super) Drops);

impl<S: Subscriber> Layer<S> for RejectionLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        event.record(&mut Rejected(&self.0));
    }
}

struct Rejected<'a>(&'a Drops);

impl Visit for Rejected<'_> {
    fn record_i64(&mut self, field: &Field, count: i64) {
        let signal = match field.name() {
            "rejected_spans" => Signal::Traces,
            "rejected_data_points" => Signal::Metrics,
            "rejected_log_records" => Signal::Logs,
            _ => return,
        };
        self.0.add(signal, DropReason::Rejected, u64::try_from(count).unwrap_or(0));
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn Debug) {}
}
