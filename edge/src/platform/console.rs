//! Log lines of the Worker: one JSON object each, for Workers Logs and `wrangler tail`.

use serde::Serialize;

use crate::identify::Identity;

#[derive(Serialize)]
struct Line<'a> {
    level: &'a str,
    message: &'a str,
    request_id: String,
    trace_id: String,
    span_id: String,
}

/// Tells of something that an operator should look at. The message never holds what a client sent.
pub(crate) fn error(identity: &Identity, message: &str) {
    let line = Line {
        level: "ERROR",
        message,
        request_id: identity.request_id.to_string(),
        trace_id: identity.server.parent.trace_id.to_string(),
        span_id: identity.server.parent.span_id.to_string(),
    };
    worker::console_error!("{}", serde_json::to_string(&line).unwrap_or_default());
}

/// Writes a line that is made already.
pub(crate) fn line(line: &str) {
    worker::console_log!("{line}");
}
