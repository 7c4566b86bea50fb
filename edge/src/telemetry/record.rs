//! What is told of one request.

use goblin_shared::trace_context::SpanId;

use crate::{admit::Record, identify::Identity, preflight::Endpoint};

/// When something began and ended, in milliseconds since 1970, as finely as the platform tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval {
    /// Begin.
    pub start: f64,
    /// End.
    pub end: f64,
}

impl Interval {
    /// How long, in milliseconds; nothing when the clock was set back.
    #[must_use]
    pub fn millis(self) -> f64 {
        (self.end - self.start).max(0.0)
    }
}

/// One request, as its spans, counts and log record tell it.
#[derive(Clone, Debug)]
pub struct RequestRecord<'a> {
    /// Id and trace.
    pub identity: &'a Identity,
    /// Whether its trace is recorded. The spans of a request that failed are told even if not; then they are the edge's
    /// alone.
    pub sampled: bool,
    /// HTTP method.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The endpoint; `None` for an unknown path, which is not recorded as it may hold anything.
    pub endpoint: Option<Endpoint>,
    /// From the request's arrival to the end of the answer's body.
    pub server: Interval,
    /// What the edge itself took of that time, in milliseconds.
    pub overhead_ms: f64,
    /// What the client got.
    pub status: u16,
    /// What was decided at the door.
    pub admission: &'a Record,
    /// What became of a trace grant: `valid`, `invalid` or `expired`; `None` when none was shown.
    pub grant: Option<&'static str>,
    /// How the plan was made, if it came to that.
    pub route: Option<RouteFacts<'a>>,
    /// Code of the edge's own refusal, if it refused.
    pub refusal: Option<&'static str>,
    /// Why it failed, for the log alone. Never what the client sent.
    pub cause: Option<&'a str>,
    /// The fetches to the backend, in their order.
    pub attempts: &'a [Forwarded<'a>],
    /// How the answer's body ended.
    pub ending: Ending,
}

/// How a plan was made. None of it is the client's text: models are named as the catalogue names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteFacts<'a> {
    /// Why this plan.
    pub reason: Option<&'a str>,
    /// Its first entry, as `provider/model`.
    pub first: Option<&'a str>,
    /// Version of the catalogue that it was made from.
    pub catalogue: Option<&'a str>,
}

/// One fetch to the backend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forwarded<'a> {
    /// Its CLIENT span, the parent of the backend's.
    pub span: SpanId,
    /// From the fetch to the end of the body, or to its failure.
    pub interval: Interval,
    /// What the backend answered; `None` when it did not.
    pub status: Option<u16>,
    /// Host and port of the backend.
    pub authority: &'a str,
    /// What went wrong, such as `backend_unreachable`; `None` leaves it to status and ending to tell.
    pub error: Option<&'static str>,
}

/// How the answer's body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Whole.
    Complete,
    /// The client left.
    ClientLeft,
    /// The backend broke off.
    Broken,
}

/// A value of `error.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorType {
    /// By name.
    Named(&'static str),
    /// The status tells it all.
    Status(u16),
}

impl Ending {
    fn error_type(self) -> Option<&'static str> {
        match self {
            Self::Complete => None,
            Self::ClientLeft => Some("client_left"),
            Self::Broken => Some("backend_broke_off"),
        }
    }
}

impl RequestRecord<'_> {
    /// Whether it is a failure of the service: a client's mistake or leaving is none.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.error().is_some()
    }

    pub(super) fn error(&self) -> Option<ErrorType> {
        if self.status >= 500 {
            return Some(self.refusal.map_or(ErrorType::Status(self.status), ErrorType::Named));
        }
        self.ending.error_type().filter(|_| self.ending == Ending::Broken).map(ErrorType::Named)
    }

    /// The error of an attempt; the answer's ending is the last one's.
    pub(super) fn attempt_error(&self, index: usize) -> Option<ErrorType> {
        let attempt = &self.attempts[index];
        let ending = self.ending.error_type().filter(|_| index + 1 == self.attempts.len());
        let named = match attempt.status {
            _ if attempt.error.is_some() => attempt.error,
            None => self.refusal.or(ending).or(Some("backend_unreachable")),
            Some(status @ 400..) => return Some(ErrorType::Status(status)),
            Some(_) => ending,
        };
        named.map(ErrorType::Named)
    }

    /// The method, or `_OTHER`: there are no other labels than known ones.
    pub(super) fn known_method(&self) -> &'static str {
        const KNOWN: [&str; 10] =
            ["POST", "GET", "HEAD", "OPTIONS", "CONNECT", "DELETE", "PATCH", "PUT", "QUERY", "TRACE"];
        KNOWN.into_iter().find(|known| *known == self.method).unwrap_or("_OTHER")
    }

    pub(super) fn known_scheme(&self) -> Option<&'static str> {
        ["https", "http"].into_iter().find(|known| *known == self.scheme)
    }

    pub(super) fn route_template(&self) -> Option<&'static str> {
        self.endpoint.map(Endpoint::path)
    }
}

/// Host and port of an authority.
pub(super) fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => (host, port.parse().ok()),
        _ => (authority, None),
    }
}
