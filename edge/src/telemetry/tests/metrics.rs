//! Counts and durations.

use std::collections::BTreeMap;

use goblin_shared::vocabulary::{self, HTTP_SECONDS};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, HistogramDataPoint, NumberDataPoint, metric::Data, number_data_point,
};

use super::*;
use crate::admit::Decision;

fn named<'a>(metrics: &'a [Metric], name: &str) -> &'a Data {
    metrics.iter().find(|metric| metric.name == name).and_then(|metric| metric.data.as_ref()).expect(name)
}

fn points<'a>(metrics: &'a [Metric], name: &str) -> &'a [HistogramDataPoint] {
    let Data::Histogram(histogram) = named(metrics, name) else { panic!("{name} is no histogram") };
    assert_eq!(histogram.aggregation_temporality(), AggregationTemporality::Delta);
    &histogram.data_points
}

fn counts<'a>(metrics: &'a [Metric], name: &str) -> &'a [NumberDataPoint] {
    let Data::Sum(sum) = named(metrics, name) else { panic!("{name} is no sum") };
    assert!(sum.is_monotonic && sum.aggregation_temporality() == AggregationTemporality::Delta);
    &sum.data_points
}

fn labels(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.as_str(), text(attribute))).collect()
}

fn count(point: &NumberDataPoint) -> i64 {
    let Some(number_data_point::Value::AsInt(count)) = point.value else { panic!("{point:?}") };
    count
}

fn read(body: &[u8]) -> Vec<Metric> {
    let mut sent = ExportMetricsServiceRequest::decode(body).unwrap();
    sent.resource_metrics.remove(0).scope_metrics.remove(0).metrics
}

#[test]
fn a_request_counts_in_what_the_vocabulary_declares() {
    let identity = identity();
    let attempts = [Forwarded { status: None, error: Some("backend_unreachable"), ..attempt(1) }, attempt(2)];
    let sent = metrics(&|telemetry| {
        for _ in 0..2 {
            telemetry.record(&record(&identity, &attempts));
        }
    });
    for metric in &sent {
        let declared = vocabulary::METRICS.iter().find(|declared| declared.name == metric.name).expect(&metric.name);
        assert_eq!((metric.unit.as_str(), metric.description.as_str()), (declared.unit, declared.description));
    }
    let decisions = counts(&sent, "goblin.edge.decisions");
    assert_eq!(labels(&decisions[0].attributes), [("decision", "admitted"), ("reason", "api_key")].into_text());
    assert_eq!((decisions.len(), count(&decisions[0])), (1, 2));

    let server = &points(&sent, "http.server.request.duration")[0];
    let expected = [
        ("http.request.method", "POST"),
        ("http.route", "/v1/chat/completions"),
        ("http.response.status_code", "200"),
        ("url.scheme", "https"),
    ];
    assert_eq!(labels(&server.attributes), expected.into_text());
    assert_eq!((server.count, server.sum, server.explicit_bounds.as_slice()), (2, Some(0.02), HTTP_SECONDS));
    assert_eq!(server.bucket_counts[1], 2, "a bound belongs to the bucket below: 10 ms");
    let window = (server.start_time_unix_nano, server.time_unix_nano);
    assert_eq!(window, (1_800_000_000_000_500_000, 1_800_000_005_010_500_000));

    let client = points(&sent, "http.client.request.duration");
    let failed = client.iter().find(|point| labels(&point.attributes).contains_key("error.type")).unwrap();
    let expected = [
        ("http.request.method", "POST"),
        ("server.address", "backend.example"),
        ("server.port", "8080"),
        ("error.type", "backend_unreachable"),
    ];
    assert_eq!((client.len(), labels(&failed.attributes)), (2, expected.into_text()));

    let overhead = &points(&sent, "goblin.edge.overhead.duration")[0];
    assert_eq!((labels(&overhead.attributes), overhead.sum), ([("decision", "admitted")].into_text(), Some(0.004)));
}

trait IntoText<'a> {
    fn into_text(self) -> BTreeMap<&'a str, String>;
}

impl<'a, const N: usize> IntoText<'a> for [(&'a str, &'a str); N] {
    fn into_text(self) -> BTreeMap<&'a str, String> {
        self.map(|(key, value)| (key, value.to_owned())).into()
    }
}

#[test]
fn a_status_is_a_number_as_itself_and_a_text_as_an_error() {
    let identity = identity();
    let failed = RequestRecord { status: 500, ..record(&identity, &[]) };
    let sent = metrics(&|telemetry| telemetry.record(&failed));
    let attributes = &points(&sent, "http.server.request.duration")[0].attributes;
    assert_eq!(value(attributes, "http.response.status_code"), Some(&Value::IntValue(500)));
    assert_eq!(value(attributes, "error.type"), Some(&string("500")));
}

#[test]
fn windows_of_deltas_follow_one_another_and_failures_join_them() {
    let identity = identity();
    let mut telemetry = Telemetry::new(&config(Protocol::Protobuf), "instance");
    let mut send = |now: f64, outcome| {
        let later = Interval { start: now - 1.0, end: now };
        telemetry.record(&RequestRecord { server: later, ..record(&identity, &[]) });
        let turn = telemetry.claim(Signal::Metrics, now).expect("a turn");
        let batch = telemetry.take(&turn, now + 5_000.0).expect("a batch");
        telemetry.settle(&batch, outcome, now + 5_000.0);
        let sent = read(&batch.body);
        let point = counts(&sent, "goblin.edge.decisions")[0].clone();
        (point.start_time_unix_nano / 1_000_000, point.time_unix_nano / 1_000_000, count(&point))
    };
    let accepted = Outcome::Accepted { rejected: 0 };
    assert_eq!(send(10_000.0, accepted), (9_999, 15_000, 1));
    assert_eq!(send(20_000.0, Outcome::Failed { retry_after_ms: None }), (15_000, 25_000, 1));
    assert_eq!(send(30_000.0, accepted), (15_000, 35_000, 2), "what failed leaves with the next");
    assert_eq!(send(40_000.0, Outcome::Refused), (35_000, 45_000, 1));
    assert_eq!(send(50_000.0, accepted), (45_000, 55_000, 1), "what is not wanted is gone");
}

#[test]
fn series_are_bounded() {
    let (identity, mut telemetry) = (identity(), Telemetry::new(&config(Protocol::Protobuf), "instance"));
    let authorities: Vec<_> = (0..20).map(|index| format!("b{index}.example")).collect();
    for round in 0..400_u16 {
        let authority = &authorities[usize::from(round % 20)];
        let attempts = [Forwarded { authority, ..attempt(1) }];
        telemetry.record(&RequestRecord { status: round, ..record(&identity, &attempts) });
    }
    let sent = read(&body(&mut telemetry, Signal::Metrics, START + 10.0).unwrap());
    let server = points(&sent, "http.server.request.duration");
    let is_overflow =
        |point: &&HistogramDataPoint| value(&point.attributes, "otel.metric.overflow") == Some(&Value::BoolValue(true));
    let overflow = server.iter().find(is_overflow).unwrap();
    assert_eq!((server.len(), overflow.count, overflow.attributes.len()), (256, 400 - 255, 1));
    let client = points(&sent, "http.client.request.duration");
    assert_eq!((client.len(), client.iter().find(is_overflow).unwrap().count), (17, 4 * 20));
    let counted: u64 = client.iter().map(|point| point.count).sum();
    assert_eq!(counted, 400);
}

#[test]
fn drops_are_told_by_signal_and_reason_and_survive_a_refusal() {
    let identity = identity();
    let mut config = config(Protocol::Protobuf);
    config.traces.as_mut().unwrap().queue_items = 1;
    let mut telemetry = Telemetry::new(&config, "instance");
    let attempts = [attempt(1)];
    telemetry.record(&record(&identity, &attempts));
    let mut now = START;
    for outcome in [Outcome::Refused, Outcome::Accepted { rejected: 2 }, Outcome::Accepted { rejected: 0 }] {
        let turn = telemetry.claim(Signal::Metrics, now).unwrap();
        now += 10_000.0;
        let batch = telemetry.take(&turn, now).unwrap();
        telemetry.settle(&batch, outcome, now);
        let sent = read(&batch.body);
        let dropped: Vec<_> = counts(&sent, "goblin.telemetry.dropped")
            .iter()
            .map(|point| {
                (labels(&point.attributes)["signal"].clone(), labels(&point.attributes)["reason"].clone(), count(point))
            })
            .collect();
        let traces = ("traces".to_owned(), "queue_full".to_owned(), 1);
        let metrics = |count| ("metrics".to_owned(), "rejected".to_owned(), count);
        match outcome {
            Outcome::Refused => assert_eq!(dropped, [traces]),
            Outcome::Accepted { rejected: 2 } => assert_eq!(dropped, [metrics(5), traces]),
            _ => assert_eq!(dropped, [metrics(2)]),
        }
    }
    assert!(telemetry.claim(Signal::Metrics, now).is_none(), "nothing is left to tell");
}

#[test]
fn nothing_is_measured_of_a_decision_that_was_never_made() {
    let (identity, undecided) = (identity(), Record::default());
    let sent =
        metrics(&|telemetry| telemetry.record(&RequestRecord { admission: &undecided, ..record(&identity, &[]) }));
    let names: Vec<_> = sent.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(names, ["http.server.request.duration"]);
    let refused = Record { decision: Some(Decision::Refused("crawler")), ..Record::default() };
    let sent = metrics(&|telemetry| telemetry.record(&RequestRecord { admission: &refused, ..record(&identity, &[]) }));
    assert_eq!(labels(&counts(&sent, "goblin.edge.decisions")[0].attributes)["decision"], "refused");
}
