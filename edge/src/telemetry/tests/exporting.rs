//! Who sends, when, and that nothing is lost unseen.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const ACCEPTED: Outcome = Outcome::Accepted { rejected: 0 };
const FAILED: Outcome = Outcome::Failed { retry_after_ms: None };

fn small(queue_items: usize, batch_items: usize) -> Telemetry {
    let mut config = config(Protocol::Protobuf);
    config.logs = config.logs.map(|logs| SignalConfig { queue_items, batch_items, ..logs });
    Telemetry::new(&config, "instance")
}

fn log(telemetry: &mut Telemetry, number: u64) {
    telemetry.log(&LogLine::new(Severity::Info, &number.to_string(), START, None));
}

fn numbers(batch: &Batch) -> Vec<u64> {
    let mut sent = ExportLogsServiceRequest::decode(batch.body.as_slice()).unwrap();
    let records = sent.resource_logs.remove(0).scope_logs.remove(0).log_records;
    let number = |record: &LogRecord| match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(Value::StringValue(text)) => text.parse().unwrap(),
        other => panic!("{other:?}"),
    };
    let numbers: Vec<_> = records.iter().map(number).collect();
    assert_eq!(batch.items, numbers.len() as u64);
    numbers
}

#[test]
fn one_at_a_time_is_to_send_and_who_vanishes_is_replaced() {
    let mut telemetry = small(10, 8);
    assert_eq!(telemetry.claim(Signal::Logs, 0.0), None, "there is nothing to send");
    log(&mut telemetry, 1);
    let turn = telemetry.claim(Signal::Logs, 0.0).unwrap();
    assert_eq!(turn.wait_ms, 1_000);
    assert_eq!(telemetry.claim(Signal::Logs, 59_999.0), None);
    let turn = telemetry.claim(Signal::Logs, 60_000.0).expect("the sleeper is gone");
    let lost = telemetry.take(&turn, 61_000.0).unwrap();
    assert_eq!(lost.timeout_ms, 10_000);
    log(&mut telemetry, 2);
    assert_eq!(telemetry.claim(Signal::Logs, 120_999.0), None);
    let turn = telemetry.claim(Signal::Logs, 121_000.0).expect("the sender is gone");
    let batch = telemetry.take(&turn, 122_000.0).unwrap();
    assert_eq!(numbers(&batch), [1, 2], "what was under way is sent again");
    telemetry.settle(&lost, ACCEPTED, 122_000.0);
    telemetry.settle(&batch, FAILED, 122_000.0);
    let turn = telemetry.claim(Signal::Logs, 130_000.0).unwrap();
    assert_eq!(numbers(&telemetry.take(&turn, 131_000.0).unwrap()), [1, 2], "who came too late settled nothing");
}

#[test]
fn a_full_batch_does_not_wait() {
    let mut telemetry = small(10, 2);
    log(&mut telemetry, 1);
    let sleeper = telemetry.claim(Signal::Logs, 0.0).unwrap();
    log(&mut telemetry, 2);
    let turn = telemetry.claim(Signal::Logs, 10.0).expect("a full batch waits");
    assert_eq!((turn.wait_ms, telemetry.claim(Signal::Logs, 10.0)), (0, None));
    let batch = telemetry.take(&turn, 10.0).unwrap();
    log(&mut telemetry, 3);
    assert!(telemetry.take(&sleeper, 1_000.0).is_none(), "somebody else sends");
    telemetry.settle(&batch, ACCEPTED, 1_001.0);
    assert_eq!(numbers(&telemetry.take(&turn, 1_001.0).unwrap()), [3], "the turn goes on");
}

#[test]
fn a_turn_ends_before_the_runtime_ends_it() {
    let mut telemetry = small(10, 1);
    (1..=2).for_each(|number| log(&mut telemetry, number));
    let turn = telemetry.claim(Signal::Logs, 0.0).unwrap();
    let batch = telemetry.take(&turn, 20_000.0).unwrap();
    assert_eq!(batch.timeout_ms, 8_000);
    telemetry.settle(&batch, ACCEPTED, 27_500.0);
    assert!(telemetry.take(&turn, 27_500.0).is_none());
    assert!(telemetry.claim(Signal::Logs, 27_500.0).is_some(), "others may");
}

#[test]
fn pauses_grow_with_failures_and_batches_shrink() {
    let mut telemetry = small(100, 8);
    (0..50).for_each(|number| log(&mut telemetry, number));
    let mut now = 0.0;
    let mut pauses = Vec::new();
    let mut sizes = Vec::new();
    for _ in 0..8 {
        let Some(turn) = telemetry.claim(Signal::Logs, now) else {
            // Nobody may sleep so long; a later request comes at the end of the pause.
            now += 1_000.0;
            continue;
        };
        pauses.push(turn.wait_ms);
        now += f64::from(turn.wait_ms);
        let batch = telemetry.take(&turn, now).unwrap();
        sizes.push(batch.items);
        telemetry.settle(&batch, FAILED, now);
        assert!(telemetry.take(&turn, now).is_none(), "no batch during a pause");
    }
    assert_eq!(pauses, [0, 1_000, 2_000, 4_000, 8_000, 16_000]);
    assert_eq!(sizes, [8, 4, 2, 1, 1, 1]);
    assert_eq!(telemetry.claim(Signal::Logs, now), None, "a pause of 32 s outlives any turn");
    now += 60_000.0;
    let turn = telemetry.claim(Signal::Logs, now).unwrap();
    let batch = telemetry.take(&turn, now).unwrap();
    telemetry.settle(&batch, ACCEPTED, now);
    assert_eq!(telemetry.take(&turn, now).unwrap().items, 8, "it is as before");
}

#[test]
fn a_collector_may_ask_for_a_longer_pause() {
    let mut telemetry = small(10, 1);
    log(&mut telemetry, 1);
    let turn = telemetry.claim(Signal::Logs, 0.0).unwrap();
    let batch = telemetry.take(&turn, 0.0).unwrap();
    telemetry.settle(&batch, Outcome::of_status(503, Some(5_000.0)), 0.0);
    assert_eq!(telemetry.claim(Signal::Logs, 1_000.0).unwrap().wait_ms, 4_000);
}

#[test]
fn statuses_mean_what_otlp_says() {
    assert_eq!(Outcome::of_status(200, None), ACCEPTED);
    for status in [429, 502, 503, 504] {
        assert_eq!(Outcome::of_status(status, None), FAILED, "{status}");
    }
    for status in [101, 302, 400, 401, 404, 413, 500, 501] {
        assert_eq!(Outcome::of_status(status, None), Outcome::Refused, "{status}");
    }
}

#[test]
fn what_has_no_endpoint_is_not_kept() {
    let mut config = config(Protocol::Protobuf);
    (config.traces, config.metrics) = (None, None);
    let mut telemetry = Telemetry::new(&config, "instance");
    let (identity, attempts) = (identity(), [attempt(1)]);
    telemetry.record(&record(&identity, &attempts));
    assert_eq!(Signal::ALL.map(|signal| telemetry.claim(signal, START)), [None; 3]);
    telemetry.record(&RequestRecord { status: 500, ..record(&identity, &attempts) });
    assert_eq!(Signal::ALL.map(|signal| telemetry.claim(signal, START).is_some()), [false, false, true]);
}

#[test]
fn memory_is_bounded_under_a_collector_that_never_takes_anything() {
    let (identity, mut telemetry) = (identity(), Telemetry::new(&config(Protocol::Protobuf), "instance"));
    let attempts = [attempt(1)];
    let agent = Some("a".repeat(1_000));
    let large = Record { agent, ..Record::default() };
    let mut now = START;
    for index in 0..100_000_u64 {
        let admission = if index % 2 == 0 { &large } else { &ADMITTED };
        telemetry.record(&RequestRecord { status: 503, admission, ..record(&identity, &attempts) });
        for signal in Signal::ALL {
            if let Some(turn) = telemetry.claim(signal, now) {
                let batch = telemetry.take(&turn, now);
                // Each third sender vanishes.
                if let Some(batch) = batch.filter(|_| index % 3 > 0) {
                    telemetry.settle(&batch, FAILED, now);
                }
            }
        }
        now += 7.0;
        for (lane, most) in [(&telemetry.traces, 2_048), (&telemetry.logs, 2_048)] {
            let lane = lane.as_ref().unwrap();
            assert!(lane.queue.len() <= most && lane.taken.len() <= 512);
            assert!(lane.queue.bytes() <= Queue::MOST_BYTES);
        }
    }
    for (signal, recorded) in [(Signal::Traces, 200_000), (Signal::Logs, 100_000)] {
        let lane = if signal == Signal::Traces { &telemetry.traces } else { &telemetry.logs };
        let lane = lane.as_ref().unwrap();
        let kept = (lane.queue.len() + lane.taken.len()) as u64;
        assert_eq!(telemetry.dropped(signal, DropReason::QueueFull) + kept, recorded, "{signal:?}");
    }
    let counted: u64 = {
        let turn = telemetry.claim(Signal::Metrics, now + 120_000.0).unwrap();
        let batch = telemetry.take(&turn, now + 120_000.0).unwrap();
        let sent = ExportMetricsServiceRequest::decode(batch.body.as_slice()).unwrap();
        let metrics = &sent.resource_metrics[0].scope_metrics[0].metrics;
        let server = metrics.iter().find(|metric| metric.name == "http.server.request.duration").unwrap();
        let Some(opentelemetry_proto::tonic::metrics::v1::metric::Data::Histogram(server)) = &server.data else {
            panic!("no histogram")
        };
        server.data_points.iter().map(|point| point.count).sum()
    };
    assert_eq!(counted, 100_000, "counts are put back and lose nothing");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Log,
    Claim,
    /// Somebody who was told takes a batch, or another.
    Take(usize),
    Settle(Outcome),
    /// Somebody who was given up settles after all.
    SettleLate(Outcome),
    Pass(f64),
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        (0..4_u64).prop_map(|rejected| Outcome::Accepted { rejected }),
        Just(Outcome::Refused),
        Just(FAILED),
        (0.0..1e6).prop_map(|millis| Outcome::Failed { retry_after_ms: Some(millis) }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Log),
        3 => Just(Step::Claim),
        3 => any::<usize>().prop_map(Step::Take),
        2 => outcome().prop_map(Step::Settle),
        1 => outcome().prop_map(Step::SettleLate),
        2 => (0.0..70_000.0).prop_map(Step::Pass),
    ]
}

/// What is to be true of log records, in plain words: a queue, at most one batch under way, and three counts.
#[derive(Default)]
struct Model {
    queue: VecDeque<u64>,
    under_way: Option<(Batch, Vec<u64>, f64)>,
    given_up: Vec<Batch>,
    recorded: u64,
    sent: u64,
    full: u64,
    rejected: u64,
}

impl Model {
    const QUEUE: usize = 6;
    const BATCH: usize = 3;

    fn put_back(&mut self, numbers: Vec<u64>) {
        for number in numbers.into_iter().rev() {
            if self.queue.len() < Self::QUEUE {
                self.queue.push_front(number);
            } else {
                self.full += 1;
            }
        }
    }

    fn claim(&mut self, now: f64) {
        if let Some((batch, numbers, _)) = self.under_way.take_if(|(_, _, since)| now >= *since + 60_000.0) {
            self.put_back(numbers);
            self.given_up.push(batch);
        }
    }

    fn settle(&mut self, numbers: Vec<u64>, outcome: Outcome) {
        let items = numbers.len() as u64;
        let rejected = match outcome {
            Outcome::Accepted { rejected } => rejected.min(items),
            Outcome::Refused => items,
            Outcome::Failed { .. } => return self.put_back(numbers),
        };
        self.rejected += rejected;
        self.sent += items - rejected;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_each_item_is_sent_waits_or_is_counted_once_as_dropped(
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut telemetry = small(Model::QUEUE, Model::BATCH);
        let mut model = Model::default();
        let (mut now, mut turns) = (1_000.0, Vec::new());
        for step in steps {
            match step {
                Step::Log => {
                    log(&mut telemetry, model.recorded);
                    if model.queue.len() < Model::QUEUE {
                        model.queue.push_back(model.recorded);
                    } else {
                        model.full += 1;
                    }
                    model.recorded += 1;
                }
                Step::Claim => {
                    model.claim(now);
                    if let Some(turn) = telemetry.claim(Signal::Logs, now) {
                        prop_assert!(turn.wait_ms <= 25_000 && model.under_way.is_none() && !model.queue.is_empty());
                        turns.push(turn);
                    }
                }
                Step::Take(which) if !turns.is_empty() => {
                    if let Some(batch) = telemetry.take(&turns[which % turns.len()], now) {
                        prop_assert!(model.under_way.is_none(), "one sends at a time");
                        prop_assert!((1..=Model::BATCH as u64).contains(&batch.items) && batch.timeout_ms >= 1_000);
                        let first: Vec<_> = model.queue.drain(..usize::try_from(batch.items).unwrap()).collect();
                        prop_assert_eq!(&numbers(&batch), &first);
                        model.under_way = Some((batch, first, now));
                    }
                }
                Step::Settle(outcome) => {
                    if let Some((batch, numbers, _)) = model.under_way.take() {
                        telemetry.settle(&batch, outcome, now);
                        telemetry.settle(&batch, outcome, now);
                        model.settle(numbers, outcome);
                    }
                }
                Step::SettleLate(outcome) => {
                    if let Some(batch) = model.given_up.pop() {
                        telemetry.settle(&batch, outcome, now);
                    }
                }
                Step::Pass(millis) => now += millis,
                Step::Take(_) => {}
            }
            let under_way = model.under_way.as_ref().map_or(0, |(_, numbers, _)| numbers.len());
            let lane = telemetry.logs.as_ref().unwrap();
            prop_assert_eq!((lane.queue.len(), lane.taken.len()), (model.queue.len(), under_way));
            prop_assert_eq!(telemetry.dropped(Signal::Logs, DropReason::QueueFull), model.full);
            prop_assert_eq!(telemetry.dropped(Signal::Logs, DropReason::Rejected), model.rejected);
            let kept = (model.queue.len() + under_way) as u64;
            prop_assert_eq!(model.sent + model.full + model.rejected + kept, model.recorded);
        }
        // However it went, time makes it possible to send the rest: first whoever vanished is found out, then a pause ends.
        for _ in 0..2 {
            now += 200_000.0;
            model.claim(now);
            turns.extend(telemetry.claim(Signal::Logs, now));
        }
        if !model.queue.is_empty() {
            now += 25_000.0;
            prop_assert!(turns.last().is_some_and(|turn| telemetry.take(turn, now).is_some()));
        }
    }
}
