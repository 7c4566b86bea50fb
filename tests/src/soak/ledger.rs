//! What clients saw of each request, against what the backend's log says of it. They are brought together by the
//! client's `x-request-id`, which the log repeats.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use super::report::{Found, Report};
use crate::backend::field;

/// What stands before the number in `x-request-id`.
const PREFIX: &str = "soak-";

/// Most faults that are told in full.
const SHOWN: usize = 5;

/// How a request ended for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// With the whole of an answer of this status.
    Answered(u16),
    /// With an error event in a stream.
    StreamFailed,
    /// The client left before the end.
    Left,
    /// As nothing may end; why.
    Wrong(String),
}

/// How the log says that a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    status: u64,
    outcome: String,
    code: Option<String>,
}

#[derive(Debug, Default)]
struct Entry {
    seen: Option<Seen>,
    line: Option<Line>,
    /// Lines beyond the first.
    more_lines: usize,
}

/// All requests of a run.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: Mutex<Vec<Entry>>,
}

impl Ledger {
    /// A new request: its number and its `x-request-id`.
    pub(super) fn begin(&self) -> (usize, String) {
        let mut entries = self.lock();
        entries.push(Entry::default());
        let number = entries.len() - 1;
        (number, format!("{PREFIX}{number}"))
    }

    /// How it ended for its client.
    pub(super) fn saw(&self, number: usize, seen: Seen) {
        if let Some(entry) = self.lock().get_mut(number) {
            entry.seen = Some(seen);
        }
    }

    /// A line of the log; all but the lines of requests are passed over.
    pub(super) fn read_line(&self, line: &str) {
        if !line.contains(PREFIX) {
            return;
        }
        let Ok(line) = serde_json::from_str::<Value>(line) else { return };
        let text = |name| field(&line, name).and_then(Value::as_str);
        let number = text("client_request_id").and_then(|id| id.strip_prefix(PREFIX)?.parse::<usize>().ok());
        let (Some("request"), Some(number)) = (text("message"), number) else { return };
        let told = Line {
            status: field(&line, "status").and_then(Value::as_u64).unwrap_or_default(),
            outcome: text("outcome").unwrap_or_default().to_owned(),
            code: text("code").map(str::to_owned),
        };
        if let Some(entry) = self.lock().get_mut(number) {
            if entry.line.is_some() {
                entry.more_lines += 1;
            } else {
                entry.line = Some(told);
            }
        }
    }

    /// Whether every request has ended and has a line.
    pub(super) fn is_balanced(&self) -> bool {
        self.lock().iter().all(|entry| entry.seen.is_some() && entry.line.is_some())
    }

    /// Counts and faults of all requests.
    pub(super) fn report(&self, report: &mut Report) {
        let entries = self.lock();
        let [mut seen, mut told, mut codes] = [(); 3].map(|()| BTreeMap::<String, usize>::new());
        let mut faults = Vec::new();
        let mut answered = 0;
        for (number, entry) in entries.iter().enumerate() {
            *seen.entry(entry.seen.as_ref().map_or("not ended".to_owned(), Seen::name)).or_default() += 1;
            if let Some(line) = &entry.line {
                *told.entry(line.outcome.clone()).or_default() += 1 + entry.more_lines;
                if let Some(code) = &line.code {
                    *codes.entry(code.clone()).or_default() += 1;
                }
            }
            answered += usize::from(entry.seen == Some(Seen::Answered(200)));
            if let Some(fault) = entry.fault() {
                faults.push(format!("{PREFIX}{number}: {fault}"));
            }
        }
        let lines: usize = told.values().sum();
        report.tell("requests as clients saw them end", counts(&seen));
        report.tell("their lines in the log, by outcome", counts(&told));
        report.tell("of those with an error, by code", counts(&codes));
        report.check("lines in the log", Found::exactly(lines, entries.len()));
        // Otherwise the run says nothing of a backend that works.
        let enough = format!("at least {}", entries.len() / 3);
        report.check("answered with 200", Found::told(answered >= entries.len() / 3, answered.to_string(), enough));
        let mut found = faults.len().to_string();
        if !faults.is_empty() {
            faults.truncate(SHOWN);
            found = format!("{found} ({})", faults.join("; "));
        }
        let is_well = found == "0";
        report.check("requests of which client and log disagree", Found::told(is_well, found, "0"));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn name(&self) -> String {
        match self {
            Self::Answered(status) => status.to_string(),
            Self::StreamFailed => "an error event".to_owned(),
            Self::Left => "left".to_owned(),
            Self::Wrong(_) => "wrong".to_owned(),
        }
    }
}

impl Entry {
    fn fault(&self) -> Option<String> {
        let (Some(seen), Some(line)) = (&self.seen, &self.line) else {
            return Some(format!("the client saw {:?}, the log says {:?}", self.seen, self.line));
        };
        if self.more_lines > 0 {
            return Some(format!("{} lines in the log", 1 + self.more_lines));
        }
        let fits = match seen {
            Seen::Wrong(why) => return Some(why.clone()),
            Seen::Answered(status) => {
                let outcome = if *status >= 500 { "failed" } else { "completed" };
                line.status == u64::from(*status) && line.outcome == outcome
            }
            Seen::StreamFailed => line.status == 200 && line.outcome == "failed",
            // It may have been answered, wholly or with an error, just before.
            Seen::Left => ["completed", "failed", "cancelled"].contains(&line.outcome.as_str()),
        };
        (!fits).then(|| format!("the client saw {seen:?}, the log says {line:?}"))
    }
}

fn counts(of: &BTreeMap<String, usize>) -> String {
    of.iter().map(|(name, count)| format!("{name}: {count}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize, status: u16, outcome: &str) -> String {
        let id = format!("{PREFIX}{number}");
        serde_json::json!({"message": "request", "status": status, "outcome": outcome, "client_request_id": id})
            .to_string()
    }

    fn violations(seen: &Seen, lines: &[String]) -> Vec<String> {
        let ledger = Ledger::default();
        let (number, _) = ledger.begin();
        ledger.saw(number, seen.clone());
        for line in lines {
            ledger.read_line(line);
        }
        assert_eq!(ledger.is_balanced(), !lines.is_empty());
        let mut report = Report::default();
        ledger.report(&mut report);
        report.violations()
    }

    #[test]
    fn every_request_has_one_line_that_says_what_its_client_saw() {
        for (seen, status, outcome) in [
            (Seen::Answered(200), 200, "completed"),
            (Seen::Answered(429), 429, "completed"),
            (Seen::Answered(502), 502, "failed"),
            (Seen::StreamFailed, 200, "failed"),
            (Seen::Left, 499, "cancelled"),
            (Seen::Left, 200, "completed"),
        ] {
            assert_eq!(violations(&seen, &[line(0, status, outcome)]), [""; 0], "{seen:?}");
        }
        for (seen, lines) in [
            (Seen::Answered(200), vec![]),
            (Seen::Answered(200), vec![line(0, 200, "completed"), line(0, 200, "completed")]),
            (Seen::Answered(200), vec![line(0, 200, "cancelled")]),
            (Seen::Answered(502), vec![line(0, 502, "completed")]),
            (Seen::StreamFailed, vec![line(0, 200, "completed")]),
            (Seen::Left, vec![line(0, 499, "forgotten")]),
            (Seen::Wrong("broken".to_owned()), vec![line(0, 200, "completed")]),
        ] {
            assert_ne!(violations(&seen, &lines), [""; 0], "{seen:?} with {lines:?}");
        }
    }
}
