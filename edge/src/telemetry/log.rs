//! Log records: for refusals and failures, and for whatever else an operator should look at.

use std::borrow::Cow;

use super::{
    otlp::{Envelope, Writer, nanos},
    record::{ErrorType, RequestRecord},
};
use crate::{
    admit::{Decision, Record},
    config::otlp::Signal,
    identify::Identity,
};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody was refused, or something is not as it should be.
    Warn,
    /// Something failed.
    Error,
}

impl Severity {
    /// As in OTLP's `SeverityNumber`, and as text.
    const fn parts(self) -> (u32, &'static str) {
        match self {
            Self::Info => (9, "INFO"),
            Self::Warn => (13, "WARN"),
            Self::Error => (17, "ERROR"),
        }
    }

    /// Upper case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.parts().1
    }
}

/// One line of the log. It never holds what a client sent.
#[derive(Clone, Debug)]
pub struct LogLine<'a> {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of event it is, if there are several of its kind; such as `goblin.edge.refusal`.
    pub event: Option<&'static str>,
    /// In words. What is longer than 4 KiB is cut.
    pub message: Cow<'a, str>,
    /// When, in milliseconds since 1970.
    pub time: f64,
    /// The request that it is about.
    pub identity: Option<&'a Identity>,
    /// What the client got.
    pub status: Option<u16>,
    /// Code of the edge's own refusal, or what went wrong.
    pub code: Option<Cow<'static, str>>,
    /// Whether `code` is a refusal of the edge's own.
    pub refused: bool,
    /// Why admission decided as it did.
    pub reason: Option<&'static str>,
    /// Template of the path.
    pub route: Option<&'static str>,
}

impl<'a> LogLine<'a> {
    /// Longest message, in bytes.
    const LONGEST: usize = 4_096;

    /// A line that is about no request, or about one but not about its outcome.
    #[must_use]
    pub fn new(severity: Severity, message: &'a str, time: f64, identity: Option<&'a Identity>) -> Self {
        Self {
            severity,
            event: None,
            message: message.into(),
            time,
            identity,
            status: None,
            code: None,
            refused: false,
            reason: None,
            route: None,
        }
    }

    /// What is to be said of a request: a warning when it was refused, an error when it failed, else nothing.
    #[must_use]
    pub fn of_request(record: &RequestRecord<'a>) -> Option<Self> {
        let (severity, event, message, code) = match (record.error(), record.refusal) {
            (Some(error), _) => {
                let code = match error {
                    ErrorType::Named(name) => name.into(),
                    ErrorType::Status(status) => Cow::from(status.to_string()),
                };
                let why = record.cause.unwrap_or(&code);
                let message = format!("request failed: {why}");
                (Severity::Error, "goblin.edge.failure", message, code)
            }
            (None, Some(code)) => {
                (Severity::Warn, "goblin.edge.refusal", format!("request refused: {code}"), code.into())
            }
            (None, None) => return None,
        };
        Some(Self {
            event: Some(event),
            status: Some(record.status),
            code: Some(code),
            refused: record.refusal.is_some(),
            reason: reason(record.admission),
            route: record.route_template(),
            ..Self::new(severity, "", record.server.end, Some(record.identity)).saying(message)
        })
    }

    fn saying(self, message: String) -> Self {
        Self { message: message.into(), ..self }
    }

    fn message(&self) -> &str {
        let end = self.message.floor_char_boundary(Self::LONGEST);
        &self.message[..end]
    }

    /// As one JSON object in one line, for the runtime's own log.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut writer = Writer::new(true);
        writer.begin_root();
        writer.string((0, "level"), self.severity.as_str());
        writer.string((0, "message"), self.message());
        if let Some(identity) = self.identity {
            let parent = &identity.server.parent;
            writer.string((0, "request_id"), &identity.request_id.to_string());
            writer.id((0, "trace_id"), &parent.trace_id.to_bytes());
            writer.id((0, "span_id"), &parent.span_id.to_bytes());
            writer.id((0, "trace_flags"), &[parent.flags.bits()]);
        }
        writer.number((0, "status"), self.status.unwrap_or_default().into());
        writer.string((0, "code"), self.code.as_deref().unwrap_or_default());
        writer.string((0, "reason"), self.reason.unwrap_or_default());
        writer.end_root();
        String::from_utf8(writer.into_bytes()).unwrap_or_default()
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let (number, name) = self.severity.parts();
        let record = writer.begin_item(Envelope::items_field(Signal::Logs));
        writer.fixed64((1, "timeUnixNano"), nanos(self.time));
        writer.number((2, "severityNumber"), number);
        writer.string((3, "severityText"), name);
        writer.any_text((5, "body"), self.message());
        let list = writer.begin_list((6, "attributes"));
        if let Some(identity) = self.identity {
            writer.text(list, "goblin.request.id", &identity.request_id.to_string());
        }
        if let Some(status) = self.status {
            writer.integer(list, "http.response.status_code", status.into());
        }
        let code = self.code.as_deref();
        for (key, value) in [
            ("error.type", code),
            ("goblin.refusal.code", code.filter(|_| self.refused)),
            ("goblin.admit.reason", self.reason),
            ("http.route", self.route),
        ] {
            if let Some(value) = value {
                writer.text(list, key, value);
            }
        }
        writer.end_list(list);
        if let Some(identity) = self.identity {
            let parent = &identity.server.parent;
            writer.fixed32((8, "flags"), parent.flags.bits().into());
            writer.id((9, "traceId"), &parent.trace_id.to_bytes());
            writer.id((10, "spanId"), &parent.span_id.to_bytes());
        }
        writer.fixed64((11, "observedTimeUnixNano"), nanos(self.time));
        writer.string((12, "eventName"), self.event.unwrap_or_default());
        writer.end(record);
    }
}

fn reason(admission: &Record) -> Option<&'static str> {
    admission.decision.map(|decision| match decision {
        Decision::Admitted(reason) | Decision::Refused(reason) => reason,
    })
}
