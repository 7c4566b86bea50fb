//! What the edge tells: spans, counts and log records, in OTLP that it writes itself (docs/decisions/0007-edge-otlp-writer.md).
//!
//! What is recorded is written at once and waits, bounded, until a request that is over sends it with the platform's
//! help: [`Telemetry::claim`] says who, [`Telemetry::take`] gives what, [`Telemetry::settle`] learns what came of it.
//! Nothing here waits, and nothing here can fail a request.

mod batch;
mod dropped;
mod exporter;
mod log;
mod metrics;
mod otlp;
mod queue;
mod record;
mod span;
#[cfg(test)]
mod tests;

pub use self::{
    batch::{Batch, Outcome},
    dropped::DropReason,
    exporter::Turn,
    log::{LogLine, Severity},
    otlp::PartialSuccess,
    record::{Ending, Forwarded, Interval, RequestRecord, RouteFacts},
};
use self::{
    dropped::Dropped,
    exporter::{Exporter, Waiting},
    metrics::{Metrics, Taken},
    otlp::{Envelope, Writer},
    queue::{Item, Queue},
};
pub use crate::config::otlp::Signal;
use crate::config::otlp::{OtlpConfig, Protocol, SignalConfig};

/// The telemetry of one isolate: what waits, what is under way, and how the collector has answered.
#[derive(Debug)]
pub struct Telemetry {
    envelope: Envelope,
    /// Reused for every item.
    writer: Writer,
    traces: Option<Lane>,
    logs: Option<Lane>,
    metrics: Option<MetricsLane>,
    /// Since the isolate began.
    dropped: Dropped,
    /// Not yet told of.
    untold: Dropped,
}

/// Spans or log records.
#[derive(Debug)]
struct Lane {
    exporter: Exporter,
    queue: Queue,
    batch_items: usize,
    /// What is under way.
    taken: Vec<Item>,
}

#[derive(Debug)]
struct MetricsLane {
    exporter: Exporter,
    metrics: Metrics,
    taken: Option<Taken>,
}

impl Lane {
    fn new(config: &SignalConfig, timeout_ms: u32) -> Self {
        Self {
            exporter: Exporter::new(config.delay_ms, timeout_ms),
            queue: Queue::new(config.queue_items),
            batch_items: config.batch_items,
            taken: Vec::new(),
        }
    }

    fn waiting(&self) -> Waiting {
        match self.queue.len() {
            0 => Waiting::Nothing,
            _ if self.queue.fills(self.batch_items) => Waiting::FullBatch,
            _ => Waiting::Some,
        }
    }

    /// Puts back what was under way; tells how much of it found no room.
    fn put_back(&mut self) -> u64 {
        self.queue.put_back(std::mem::take(&mut self.taken)) as u64
    }
}

impl Telemetry {
    /// Begins with nothing. `instance` tells this isolate from all others.
    #[must_use]
    pub fn new(config: &OtlpConfig, instance: &str) -> Self {
        let envelope = Envelope::new(config.protocol == Protocol::Json, &config.resource, instance);
        let lane = |signal: &Option<SignalConfig>| signal.as_ref().map(|signal| Lane::new(signal, config.timeout_ms));
        Self {
            writer: envelope.writer(),
            envelope,
            traces: lane(&config.traces),
            logs: lane(&config.logs),
            metrics: config.metrics.as_ref().map(|metrics| MetricsLane {
                exporter: Exporter::new(metrics.delay_ms, config.timeout_ms),
                metrics: Metrics::new(),
                taken: None,
            }),
            dropped: Dropped::default(),
            untold: Dropped::default(),
        }
    }

    /// Takes down a request that is over: its spans when it is sampled or failed, its counts, and a log record when it
    /// was refused or failed.
    pub fn record(&mut self, record: &RequestRecord<'_>) {
        if record.sampled || record.failed() {
            self.push(Signal::Traces, record.server.end, |writer| span::write_server(writer, record));
            for index in 0..record.attempts.len() {
                self.push(Signal::Traces, record.server.end, |writer| span::write_client(writer, record, index));
            }
        }
        if let Some(lane) = &mut self.metrics {
            lane.metrics.record(record);
        }
        if self.logs.is_some()
            && let Some(line) = LogLine::of_request(record)
        {
            self.log(&line);
        }
    }

    /// Takes down a line of the log.
    pub fn log(&mut self, line: &LogLine<'_>) {
        self.push(Signal::Logs, line.time, |writer| line.write(writer));
    }

    /// Whether the caller, whose answer is over, is to send a signal: sleep, [`Self::take`], send, [`Self::settle`], and
    /// take again until nothing is given.
    #[must_use]
    pub fn claim(&mut self, signal: Signal, now: f64) -> Option<Turn> {
        if self.exporter(signal)?.is_abandoned(now) {
            self.exporter(signal)?.abandon();
            self.put_back(signal, now);
            self.exporter(signal)?.fail(None, now);
        }
        let waiting = self.waiting(signal);
        self.exporter(signal)?.claim(signal, waiting, now)
    }

    /// The next batch of a turn. `None` ends the turn: nothing waits, somebody else sends, there is a pause after a
    /// failure, or there is no time left.
    #[must_use]
    pub fn take(&mut self, turn: &Turn, now: f64) -> Option<Batch> {
        let signal = turn.signal;
        let waiting = self.waiting(signal);
        let (ticket, timeout_ms) = self.exporter(signal)?.begin(turn, waiting, now)?;
        let (body, items) = match signal {
            Signal::Traces => Self::take_items(self.traces.as_mut()?, &self.envelope, signal),
            Signal::Logs => Self::take_items(self.logs.as_mut()?, &self.envelope, signal),
            Signal::Metrics => {
                let lane = self.metrics.as_mut()?;
                let taken = lane.metrics.take(std::mem::take(&mut self.untold), now);
                let (items, points) = lane.metrics.write(&taken, &self.envelope, now);
                lane.taken = Some(taken);
                (self.envelope.body(signal, items.iter().map(AsRef::as_ref)), points)
            }
        };
        Some(Batch { signal, body, items, timeout_ms, ticket })
    }

    /// Takes down what became of a batch. One whose sender was given up by then does not count any more.
    pub fn settle(&mut self, batch: &Batch, outcome: Outcome, now: f64) {
        let signal = batch.signal;
        let Some(exporter) = self.exporter(signal) else { return };
        if !exporter.end(batch.ticket) {
            return;
        }
        let rejected = match outcome {
            Outcome::Accepted { rejected } => rejected.min(batch.items),
            Outcome::Refused => batch.items,
            Outcome::Failed { retry_after_ms } => {
                exporter.fail(retry_after_ms, now);
                self.put_back(signal, now);
                return;
            }
        };
        exporter.succeed();
        match signal {
            Signal::Traces => self.traces.iter_mut().for_each(|lane| lane.taken.clear()),
            Signal::Logs => self.logs.iter_mut().for_each(|lane| lane.taken.clear()),
            Signal::Metrics => {
                let taken = self.metrics.as_mut().and_then(|lane| lane.taken.take());
                // The news of what was dropped is not to be lost with the rest.
                if let Some(taken) = taken.filter(|_| outcome == Outcome::Refused) {
                    self.untold.add_all(taken.into_dropped());
                }
            }
        }
        self.count_dropped(signal, DropReason::Rejected, rejected, now);
    }

    /// Items of a signal that were dropped since the isolate began.
    #[must_use]
    pub fn dropped(&self, signal: Signal, reason: DropReason) -> u64 {
        self.dropped.get(signal, reason)
    }

    fn take_items(lane: &mut Lane, envelope: &Envelope, signal: Signal) -> (Vec<u8>, u64) {
        lane.taken = lane.queue.take(lane.exporter.batch_items(lane.batch_items));
        (envelope.body(signal, lane.taken.iter().map(AsRef::as_ref)), lane.taken.len() as u64)
    }

    fn push(&mut self, signal: Signal, now: f64, write: impl FnOnce(&mut Writer)) {
        let lane = match signal {
            Signal::Traces => &mut self.traces,
            Signal::Logs => &mut self.logs,
            Signal::Metrics => return,
        };
        let Some(lane) = lane else { return };
        write(&mut self.writer);
        if !lane.queue.push(self.writer.take_item()) {
            self.count_dropped(signal, DropReason::QueueFull, 1, now);
        }
    }

    fn put_back(&mut self, signal: Signal, now: f64) {
        let unplaced = match signal {
            Signal::Traces => self.traces.as_mut().map_or(0, Lane::put_back),
            Signal::Logs => self.logs.as_mut().map_or(0, Lane::put_back),
            Signal::Metrics => {
                if let Some(lane) = &mut self.metrics
                    && let Some(taken) = lane.taken.take()
                {
                    self.untold.add_all(lane.metrics.put_back(taken));
                }
                0
            }
        };
        self.count_dropped(signal, DropReason::QueueFull, unplaced, now);
    }

    fn count_dropped(&mut self, signal: Signal, reason: DropReason, count: u64, now: f64) {
        if count > 0 {
            self.dropped.add(signal, reason, count);
            self.untold.add(signal, reason, count);
            if let Some(lane) = &mut self.metrics {
                lane.metrics.begin_window(now);
            }
        }
    }

    fn exporter(&mut self, signal: Signal) -> Option<&mut Exporter> {
        match signal {
            Signal::Traces => self.traces.as_mut().map(|lane| &mut lane.exporter),
            Signal::Metrics => self.metrics.as_mut().map(|lane| &mut lane.exporter),
            Signal::Logs => self.logs.as_mut().map(|lane| &mut lane.exporter),
        }
    }

    fn waiting(&self, signal: Signal) -> Waiting {
        let lane = match signal {
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
            Signal::Metrics => {
                let nothing =
                    self.metrics.as_ref().is_none_or(|lane| lane.metrics.is_empty() && self.untold.is_empty());
                return if nothing { Waiting::Nothing } else { Waiting::Some };
            }
        };
        lane.as_ref().map_or(Waiting::Nothing, Lane::waiting)
    }
}
