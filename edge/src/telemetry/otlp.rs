//! OTLP, as far as the edge speaks it.

mod attributes;
mod response;
mod scalars;
mod writer;

pub use self::response::PartialSuccess;
pub(super) use self::writer::{Field, List, Writer};
use crate::config::otlp::Signal;

/// The parts of an export's body that do not change, written once.
#[derive(Debug)]
pub(super) struct Envelope {
    json: bool,
    resource: Box<[u8]>,
    scope: Box<[u8]>,
}

impl Envelope {
    pub(super) fn new(json: bool, resource: &[(String, String)], instance: &str) -> Self {
        let mut writer = Writer::new(json);
        let open = writer.begin((1, "resource"));
        let attributes = writer.begin_list((1, "attributes"));
        for (key, value) in resource {
            writer.text(attributes, key, value);
        }
        writer.text(attributes, "service.instance.id", instance);
        writer.end_list(attributes);
        writer.end(open);
        let resource = writer.take_item();
        let open = writer.begin((1, "scope"));
        writer.string((1, "name"), env!("CARGO_PKG_NAME"));
        writer.string((2, "version"), env!("CARGO_PKG_VERSION"));
        writer.end(open);
        Self { json, resource, scope: writer.take_item() }
    }

    /// A writer of the same format.
    pub(super) fn writer(&self) -> Writer {
        Writer::new(self.json)
    }

    /// The field of a scope that items of a signal are elements of.
    pub(super) const fn items_field(signal: Signal) -> Field {
        match signal {
            Signal::Traces => (2, "spans"),
            Signal::Metrics => (2, "metrics"),
            Signal::Logs => (2, "logRecords"),
        }
    }

    /// The body of an export of items that were each begun by [`Writer::begin_item`].
    pub(super) fn body<'a>(&self, signal: Signal, items: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let (resources, scopes) = match signal {
            Signal::Traces => ("resourceSpans", "scopeSpans"),
            Signal::Metrics => ("resourceMetrics", "scopeMetrics"),
            Signal::Logs => ("resourceLogs", "scopeLogs"),
        };
        let mut writer = self.writer();
        writer.begin_root();
        let resources = writer.begin_list((1, resources));
        let resource = writer.begin_element(resources);
        writer.raw(&self.resource);
        let scopes = writer.begin_list((2, scopes));
        let scope = writer.begin_element(scopes);
        writer.raw(&self.scope);
        let list = writer.begin_list(Self::items_field(signal));
        for item in items {
            writer.raw(item);
        }
        writer.end_list(list);
        writer.end(scope);
        writer.end_list(scopes);
        writer.end(resource);
        writer.end_list(resources);
        writer.end_root();
        writer.into_bytes()
    }
}

/// Nanoseconds of milliseconds since 1970. Microseconds are all that a double holds of today's time.
pub(super) fn nanos(millis: f64) -> u64 {
    micros(millis) * 1_000
}

/// Microseconds of milliseconds; none of what is negative or no number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
pub(super) fn micros(millis: f64) -> u64 {
    ((millis * 1_000.0).round() as u64).min(u64::MAX / 1_000)
}
