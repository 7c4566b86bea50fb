//! One metric and its series. What makes up a series are statics and small numbers, so that counting copies no text.

use std::collections::BTreeMap;

use goblin_shared::vocabulary::{Metric, MetricKind};

use crate::{
    config::otlp::Signal,
    telemetry::{
        otlp::{Envelope, List, Writer, nanos},
        record::host_and_port,
    },
};

/// The value of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    /// It has none.
    Absent,
    Text(&'static str),
    Number(u16),
    /// A status where the label is a text.
    NumberAsText(u16),
    /// The host at a place of the list of authorities.
    Host(u8),
}

/// As many labels as the metric with the most has.
const MOST_LABELS: usize = 5;

/// What tells a series from others; no labels are the series of all that found no room.
type Key = [Label; MOST_LABELS];

const OVERFLOW: Key = [Label::Absent; MOST_LABELS];

/// Of OTLP's `AggregationTemporality`.
const DELTA: u32 = 1;

/// What has been added up.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sum {
    Count(u64),
    Histogram {
        micros: u64,
        /// One more than there are bounds.
        buckets: Box<[u64]>,
    },
}

/// From when to when deltas were gathered, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(in crate::telemetry) struct Window {
    pub(in crate::telemetry) start: f64,
    pub(in crate::telemetry) end: f64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Instrument {
    declared: &'static Metric,
    series: BTreeMap<Key, Sum>,
}

impl Instrument {
    /// Series of one metric, the one of all others included.
    const MOST_SERIES: usize = 256;

    pub(super) fn new(declared: &'static Metric) -> Self {
        Self { declared, series: BTreeMap::new() }
    }

    pub(super) fn count<const N: usize>(&mut self, labels: [Label; N]) {
        self.count_many(labels, 1);
    }

    pub(super) fn count_many<const N: usize>(&mut self, labels: [Label; N], count: u64) {
        self.add_to(key(labels), Sum::Count(count));
    }

    pub(super) fn measure<const N: usize>(&mut self, labels: [Label; N], micros: u64) {
        self.measure_key(key(labels), micros);
    }

    /// Measures what cannot be told apart any more.
    pub(super) fn measure_overflow(&mut self, micros: u64) {
        self.measure_key(OVERFLOW, micros);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    pub(super) fn take(&mut self) -> Self {
        Self { declared: self.declared, series: std::mem::take(&mut self.series) }
    }

    pub(super) fn add(&mut self, other: Self) {
        for (key, sum) in other.series {
            self.add_to(key, sum);
        }
    }

    fn measure_key(&mut self, key: Key, micros: u64) {
        let MetricKind::Histogram(bounds) = self.declared.kind else { return };
        #[expect(clippy::cast_precision_loss, reason = "a duration; bounds are far apart")]
        let seconds = micros as f64 / 1e6;
        let bucket = bounds.partition_point(|bound| *bound < seconds);
        let key = self.room_for(key);
        let empty = || Sum::Histogram { micros: 0, buckets: vec![0; bounds.len() + 1].into() };
        if let Sum::Histogram { micros: sum, buckets } = self.series.entry(key).or_insert_with(empty) {
            *sum = sum.saturating_add(micros);
            buckets[bucket] += 1;
        }
    }

    fn add_to(&mut self, key: Key, more: Sum) {
        let key = self.room_for(key);
        let Some(sum) = self.series.get_mut(&key) else {
            self.series.insert(key, more);
            return;
        };
        match (sum, more) {
            (Sum::Count(sum), Sum::Count(more)) => *sum += more,
            (Sum::Histogram { micros, buckets }, Sum::Histogram { micros: more, buckets: others }) => {
                *micros = micros.saturating_add(more);
                for (bucket, more) in buckets.iter_mut().zip(others) {
                    *bucket += more;
                }
            }
            _ => unreachable!("all series of a metric are of its kind"),
        }
    }

    fn room_for(&self, key: Key) -> Key {
        let others = self.series.len() - usize::from(self.series.contains_key(&OVERFLOW));
        if others + 1 < Self::MOST_SERIES || self.series.contains_key(&key) { key } else { OVERFLOW }
    }

    /// Writes the metric with all its series as an item.
    pub(super) fn write(&self, writer: &mut Writer, window: Window, hosts: &[Box<str>]) {
        let metric = writer.begin_item(Envelope::items_field(Signal::Metrics));
        writer.string((1, "name"), self.declared.name);
        writer.string((2, "description"), self.declared.description);
        writer.string((3, "unit"), self.declared.unit);
        let (data, attributes) = match self.declared.kind {
            MetricKind::Counter => ((7, "sum"), 7),
            MetricKind::Histogram(_) => ((9, "histogram"), 9),
            MetricKind::Gauge => unreachable!("no instrument here is a gauge"),
        };
        let data = writer.begin(data);
        let points = writer.begin_list((1, "dataPoints"));
        for (key, sum) in &self.series {
            let point = writer.begin_element(points);
            writer.fixed64((2, "startTimeUnixNano"), nanos(window.start));
            writer.fixed64((3, "timeUnixNano"), nanos(window.end.max(window.start)));
            if let Sum::Count(count) = sum {
                writer.member_fixed64((6, "asInt"), *count);
            }
            if let (Sum::Histogram { micros, buckets }, MetricKind::Histogram(bounds)) = (sum, self.declared.kind) {
                writer.fixed64((4, "count"), buckets.iter().sum());
                #[expect(clippy::cast_precision_loss, reason = "exact for 285 years of microseconds")]
                writer.double((5, "sum"), *micros as f64 / 1e6);
                writer.fixed64s((6, "bucketCounts"), buckets);
                writer.doubles((7, "explicitBounds"), bounds);
            }
            let list = writer.begin_list((attributes, "attributes"));
            self.write_labels(writer, list, key, hosts);
            writer.end_list(list);
            writer.end(point);
        }
        writer.end_list(points);
        writer.number((2, "aggregationTemporality"), DELTA);
        if self.declared.kind == MetricKind::Counter {
            writer.bool((3, "isMonotonic"), true);
        }
        writer.end(data);
        writer.end(metric);
    }

    fn write_labels(&self, writer: &mut Writer, list: List, key: &Key, hosts: &[Box<str>]) {
        if *key == OVERFLOW {
            writer.truth(list, "otel.metric.overflow");
        }
        for (name, label) in self.declared.labels.iter().zip(key) {
            match label {
                Label::Absent => {}
                Label::Text(text) => writer.text(list, name, text),
                Label::Number(number) => writer.integer(list, name, (*number).into()),
                Label::NumberAsText(number) => writer.text(list, name, &number.to_string()),
                Label::Host(place) => writer.text(list, name, host_and_port(&hosts[usize::from(*place)]).0),
            }
        }
    }
}

fn key<const N: usize>(labels: [Label; N]) -> Key {
    let mut key = OVERFLOW;
    key[..N].copy_from_slice(&labels);
    key
}
