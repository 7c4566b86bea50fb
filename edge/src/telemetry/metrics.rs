//! Counts and durations of one isolate, added up for a while and sent as deltas.

mod series;

use goblin_shared::vocabulary::{
    EDGE_DECISIONS, EDGE_OVERHEAD_DURATION, HTTP_CLIENT_REQUEST_DURATION, HTTP_SERVER_REQUEST_DURATION,
    TELEMETRY_DROPPED,
};

pub(super) use self::series::Window;
use self::series::{Instrument, Label};
use super::{
    dropped::Dropped,
    otlp::{Envelope, micros},
    queue::Item,
    record::{ErrorType, RequestRecord, host_and_port},
};
use crate::admit::Decision;

/// What has been counted and is not sent yet.
#[derive(Debug)]
pub(super) struct Metrics {
    decisions: Instrument,
    overhead: Instrument,
    server: Instrument,
    client: Instrument,
    /// Authorities of backends, told apart by their place here.
    hosts: Vec<Box<str>>,
    /// Where the window of the next deltas begins: where that of the last ones ended.
    since: Option<f64>,
}

/// What was taken to be sent, in case that it has to be put back.
#[derive(Debug)]
pub(super) struct Taken {
    instruments: [Instrument; 4],
    dropped: Dropped,
    since: f64,
}

impl Metrics {
    /// More backends than there are ever configured.
    const MOST_HOSTS: usize = 16;

    pub(super) fn new() -> Self {
        Self {
            decisions: Instrument::new(&EDGE_DECISIONS),
            overhead: Instrument::new(&EDGE_OVERHEAD_DURATION),
            server: Instrument::new(&HTTP_SERVER_REQUEST_DURATION),
            client: Instrument::new(&HTTP_CLIENT_REQUEST_DURATION),
            hosts: Vec::new(),
            since: None,
        }
    }

    pub(super) fn record(&mut self, record: &RequestRecord<'_>) {
        self.begin_window(record.server.start);
        for (decision, reason) in record.admission.counts() {
            self.decisions.count([Label::Text(decision), Label::Text(reason)]);
        }
        if let Some(decision) = record.admission.decision {
            let decision = match decision {
                Decision::Admitted(_) => "admitted",
                Decision::Refused(_) => "refused",
            };
            self.overhead.measure([Label::Text(decision)], micros(record.overhead_ms));
        }
        let method = Label::Text(record.known_method());
        let labels = [
            method,
            record.route_template().into(),
            Label::Number(record.status),
            record.known_scheme().into(),
            record.error().into(),
        ];
        self.server.measure(labels, micros(record.server.millis()));
        for (index, attempt) in record.attempts.iter().enumerate() {
            let duration = micros(attempt.interval.millis());
            let Some(host) = self.host(attempt.authority) else {
                self.client.measure_overflow(duration);
                continue;
            };
            let port = host_and_port(attempt.authority).1;
            let status = attempt.status.map_or(Label::Absent, Label::Number);
            let error = record.attempt_error(index).into();
            self.client.measure([method, host, port.map_or(Label::Absent, Label::Number), status, error], duration);
        }
    }

    /// Something that is counted happened at `now`.
    pub(super) fn begin_window(&mut self, now: f64) {
        self.since.get_or_insert(now);
    }

    pub(super) fn is_empty(&self) -> bool {
        [&self.decisions, &self.overhead, &self.server, &self.client].iter().all(|instrument| instrument.is_empty())
    }

    /// Takes what there is, with what was dropped.
    pub(super) fn take(&mut self, dropped: Dropped, now: f64) -> Taken {
        let since = self.since.replace(now).unwrap_or(now);
        let instruments = [&mut self.decisions, &mut self.overhead, &mut self.server, &mut self.client];
        Taken { instruments: instruments.map(Instrument::take), dropped, since }
    }

    /// Puts back what could not be sent, so that it leaves with the next.
    pub(super) fn put_back(&mut self, taken: Taken) -> Dropped {
        self.since = Some(self.since.map_or(taken.since, |since| since.min(taken.since)));
        let [decisions, overhead, server, client] = taken.instruments;
        self.decisions.add(decisions);
        self.overhead.add(overhead);
        self.server.add(server);
        self.client.add(client);
        taken.dropped
    }

    /// Writes what was taken at `now`: an item for each metric, and how many data points there are in all.
    pub(super) fn write(&self, taken: &Taken, envelope: &Envelope, now: f64) -> (Vec<Item>, u64) {
        let window = Window { start: taken.since, end: now };
        let mut dropped = Instrument::new(&TELEMETRY_DROPPED);
        for (signal, reason, count) in taken.dropped.iter() {
            dropped.count_many([Label::Text(signal.as_str()), Label::Text(reason.as_str())], count);
        }
        let instruments = taken.instruments.iter().chain([&dropped]).filter(|instrument| !instrument.is_empty());
        let mut writer = envelope.writer();
        let (mut items, mut points) = (Vec::new(), 0);
        for instrument in instruments {
            instrument.write(&mut writer, window, &self.hosts);
            items.push(writer.take_item());
            points += instrument.len() as u64;
        }
        (items, points)
    }

    fn host(&mut self, authority: &str) -> Option<Label> {
        let known = self.hosts.iter().position(|known| **known == *authority);
        let place = match known {
            Some(place) => place,
            None if self.hosts.len() < Self::MOST_HOSTS => {
                self.hosts.push(authority.into());
                self.hosts.len() - 1
            }
            None => return None,
        };
        u8::try_from(place).ok().map(Label::Host)
    }
}

impl Taken {
    /// What cannot be sent at all is gone but for the news of what was dropped.
    pub(super) fn into_dropped(self) -> Dropped {
        self.dropped
    }
}

impl From<Option<&'static str>> for Label {
    fn from(text: Option<&'static str>) -> Self {
        text.map_or(Self::Absent, Self::Text)
    }
}

impl From<Option<ErrorType>> for Label {
    fn from(error: Option<ErrorType>) -> Self {
        match error {
            None => Self::Absent,
            Some(ErrorType::Named(name)) => Self::Text(name),
            Some(ErrorType::Status(status)) => Self::NumberAsText(status),
        }
    }
}
