//! Whatever goes wrong with a provider: what clients are told, how often it is called, what spans say, and when it is left
//! alone. The page that tells operators of it is written from what is observed here.

mod asking;
mod bench;
mod calls;
mod cell;
mod expected;
mod healing;
mod page;
mod speech;
mod waiting;

use std::fmt::Write as _;

use futures_util::{StreamExt as _, future::join_all, stream};
use goblin_tests::{fault_server::Fault, otlp_sink::OtlpSink};

use self::{
    asking::Form,
    bench::{Bench, Left, Peer},
    cell::{BREAKER, Cell, observe},
    expected::expected,
    healing::a_probe_closes_what_faults_opened,
    page::{Row, check_page},
    speech::Speech,
    waiting::a_short_retry_after_is_waited_for,
};
use crate::suite::Suite;

pub(crate) fn register(suite: &mut Suite) {
    suite.test("faults_of_providers_are_told_counted_and_left_alone", every_fault_is_as_the_table_has_it);
    suite.test("faults_that_heal_are_found_out_by_a_probe", a_probe_closes_what_faults_opened);
    suite.test("faults_that_say_when_they_pass_are_waited_for", a_short_retry_after_is_waited_for);
}

/// Cells of one backend that are observed at a time. The slow ones wait, and come first.
const AT_A_TIME: usize = 8;

/// What was observed of a fault in a form, and how the provider speaks.
type Observed = (Fault, Form, Speech, Cell);

/// The faults of a provider that speaks so, in both forms; the slow ones first.
fn cells(speech: Speech) -> Vec<(Fault, Form, Speech)> {
    let faults = if speech == Speech::OPENAI { &Fault::ALL[..] } else { &Speech::FAULTS[..] };
    let mut all: Vec<_> = faults.iter().flat_map(|fault| Form::ALL.map(|form| (*fault, form, speech))).collect();
    all.sort_by_key(|(fault, ..)| !fault.is_silence());
    all
}

async fn every_fault_is_as_the_table_has_it() {
    let sink = &OtlpSink::start().await.unwrap();
    let speeches = || [Speech::OPENAI].into_iter().chain(Speech::OTHERS);
    let columns = |left| join_all(speeches().map(move |speech| column(sink, left, speech)));
    // One after the other, as other tests run too.
    let (alone, with_spare) = (columns(Left::Nobody).await, columns(Left::Spare).await);
    let (alone, with_spare) = (alone.concat(), with_spare.concat());
    let mut wrong = String::new();
    for (left, observed) in [(Left::Nobody, &alone), (Left::Spare, &with_spare)] {
        for (fault, form, speech, cell) in observed {
            let expected = expected(*fault, *form, left);
            if *cell != expected {
                let name = fault.name();
                let _ = writeln!(
                    wrong,
                    "{name}, {speech:?}, {form:?}, {left:?} left:\n  is        {cell:?}\n  should be {expected:?}"
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let rows: Vec<Row> = Fault::ALL
        .map(|fault| Row {
            fault,
            alone: Form::ALL.map(|form| of_page(&alone, fault, form)),
            with_spare: Form::ALL.map(|form| of_page(&with_spare, fault, form)),
        })
        .into();
    check_page(&rows);
}

/// The cell of which the page tells.
fn of_page(cells: &[Observed], fault: Fault, form: Form) -> Cell {
    let is_it = |cell: &&Observed| (cell.0, cell.1, cell.2) == (fault, form, Speech::OPENAI);
    cells.iter().find(is_it).map(|(.., cell)| cell.clone()).expect("every cell is observed")
}

/// The cells of providers that speak so, at a backend of their own: a catalogue has no more than 64 providers.
async fn column(sink: &OtlpSink, left: Left, speech: Speech) -> Vec<Observed> {
    let (bench, peers) = Bench::start(sink, left, &cells(speech), &BREAKER).await.unwrap();
    let observing = |peer: Peer| {
        let bench = &bench;
        async move { (peer.fault, peer.form, peer.speech, observe(bench, &peer).await) }
    };
    let cells = stream::iter(peers).map(observing).buffer_unordered(AT_A_TIME).collect().await;
    bench.end().await;
    cells
}
