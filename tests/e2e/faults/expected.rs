//! What should become of each fault.
//!
//! Three things decide: whose fault it is (the way to the provider, its answer, its load), whether the same call may do
//! better a moment later, and whether the client has content already.

use goblin_tests::fault_server::Fault;

use super::{
    asking::{End, Form},
    bench::Left,
    cell::{Cell, LeftAlone},
};

/// What should become of a request.
pub(super) fn expected(fault: Fault, form: Form, left: Left) -> Cell {
    use Form::{Streamed, Whole};
    let again_when_alone = if left == Left::Nobody { 2 } else { 1 };
    let cell = match (fault, form) {
        // The way to the provider may be free again in a moment; all of its models share it.
        (Fault::RefusedConnection, _) => failed(2, "connection_refused", LeftAlone::Provider),
        (Fault::TlsFailure, _) => failed(2, "tls_failed", LeftAlone::Provider),
        (Fault::UnknownHost, _) => failed(2, "dns_failed", LeftAlone::Provider),
        // It takes as long again, so that the next one is better asked at once.
        (Fault::ConnectTimeout, _) => {
            cell(told(504, "provider_timeout", None), 1, "connect_timed_out", LeftAlone::Provider)
        }
        // There it was, so that the way is free.
        (Fault::Reset | Fault::CutHead | Fault::CutBeforeContent, _) | (Fault::CutAfterContent, Whole) => {
            failed(2, "connection_broken", LeftAlone::Model)
        }
        (Fault::CutAfterContent, Streamed) => broken_off("provider_failed", "connection_broken"),
        // What one provider refuses another may take; nobody is to blame but the request.
        (Fault::BadRequest | Fault::ReportedRejection, _) => {
            cell(told(400, "invalid_request", None), 1, "400", LeftAlone::Never)
        }
        // Another key might do; there is none.
        (Fault::Unauthorized, _) => failed(1, "401", LeftAlone::Model),
        (Fault::Forbidden, _) => failed(1, "403", LeftAlone::Model),
        // The load is nobody's fault; the same provider is asked again only when nobody else can be.
        (Fault::RateLimited, _) => overloaded(again_when_alone, "429", LeftAlone::Never),
        // Longer than `retries.retry_after_limit`.
        (Fault::RateLimitedWithRetryAfter | Fault::RateLimitedBriefly, _) => {
            cell(told(503, "provider_overloaded", Some(60)), 1, "429", LeftAlone::AsItSays)
        }
        (Fault::InternalError, _) => failed(2, "500", LeftAlone::Model),
        // One that everybody overloads is better left alone for a while.
        (Fault::Overloaded, _) => overloaded(2, "529", LeftAlone::Model),
        (Fault::ReportedOverload, _) => overloaded(2, "reported_in_stream", LeftAlone::Model),
        (Fault::ReportedError, _) => failed(2, "reported_in_stream", LeftAlone::Model),
        // Time is up, and nobody knows whether the provider is there.
        (Fault::SlowHead | Fault::SlowFirstToken, _) | (Fault::SilenceBetweenTokens, Whole) => {
            cell(told(504, "provider_timeout", None), 1, "timeout", LeftAlone::Model)
        }
        (Fault::SilenceBetweenTokens, Streamed) => broken_off("provider_timeout", "timeout"),
        // What answers like that will do so again.
        (Fault::Garbage | Fault::WrongContentType, _)
        | (Fault::HugeLine, Streamed)
        | (Fault::EmptyBody | Fault::NothingSaid | Fault::CutInEvent, Whole) => {
            failed(1, "invalid_answer", LeftAlone::Model)
        }
        // No stream has to fit into one line, an answer in one piece does.
        (Fault::HugeLine, Whole) => {
            Cell { end: End::Answered, calls: 1, error_type: None, left_alone: LeftAlone::Never }
        }
        // A stream of nothing is one that was cut, as is one that ends before its end.
        (Fault::EmptyBody | Fault::NothingSaid | Fault::CutInEvent, Streamed) => {
            failed(2, "stream_cut", LeftAlone::Model)
        }
        (Fault::Found, _) => failed(1, "302", LeftAlone::Model),
        (Fault::TemporaryRedirect, _) => failed(1, "307", LeftAlone::Model),
    };
    match (left, &cell.end) {
        (Left::Spare, End::Told { .. }) => Cell { end: End::BySpare, ..cell },
        // What the client has of an answer cannot be taken back.
        _ => cell,
    }
}

fn told(status: u16, code: &str, retry_after: Option<u32>) -> End {
    End::Told { status, code: code.to_owned(), retry_after }
}

fn cell(end: End, calls: usize, error_type: &str, left_alone: LeftAlone) -> Cell {
    Cell { end, calls, error_type: Some(error_type.to_owned()), left_alone }
}

fn failed(calls: usize, error_type: &str, left_alone: LeftAlone) -> Cell {
    cell(told(502, "provider_failed", None), calls, error_type, left_alone)
}

/// Where the provider does not say for how long, clients are told a second.
fn overloaded(calls: usize, error_type: &str, left_alone: LeftAlone) -> Cell {
    cell(told(503, "provider_overloaded", Some(1)), calls, error_type, left_alone)
}

fn broken_off(code: &str, error_type: &str) -> Cell {
    cell(End::BrokenOff { code: code.to_owned() }, 1, error_type, LeftAlone::Model)
}
