//! What the test runners say, counted.

use std::collections::BTreeMap;

/// Counts of passed, failed and skipped checks and tests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TestResults {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// What was skipped, and why.
    pub(crate) reasons: BTreeMap<String, String>,
}

impl TestResults {
    /// Counts one check that went well or not.
    pub(crate) fn check(&mut self, is_good: bool) {
        if is_good {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }

    /// Counts one check that this machine cannot do.
    pub(crate) fn skip(&mut self, what: &str, reason: &str) {
        self.skipped += 1;
        self.reasons.insert(what.to_owned(), reason.to_owned());
    }

    /// Counts what `cargo test` printed.
    pub(crate) fn read<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) {
        let mut counted_as_passed = 0;
        for line in lines {
            if let Some(counts) = line.strip_prefix("test result: ") {
                self.passed += count(counts, "passed");
                self.failed += count(counts, "failed");
                self.skipped += count(counts, "ignored");
            } else if let Some((name, reason)) =
                line.strip_prefix("SKIPPED (not passed) ").and_then(|rest| rest.split_once(": "))
            {
                // A test of the standard harness, which knows no skipping in mid-test and counts it as passed.
                counted_as_passed += 1;
                self.skip(name, reason);
            } else if let Some((name, reason)) = line.strip_prefix("SKIPPED ").and_then(|rest| rest.split_once(": ")) {
                self.reasons.insert(name.to_owned(), reason.to_owned());
            } else if let Some((name, reason)) = ignored(line) {
                // The end-to-end tests have said it in better words before.
                self.reasons.entry(name.to_owned()).or_insert_with(|| reason.to_owned());
            }
        }
        self.passed = self.passed.saturating_sub(counted_as_passed);
    }

    /// The closing line.
    pub(crate) fn summary(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The number before `word` in "ok. 18 passed; 0 failed; …".
fn count(counts: &str, word: &str) -> u64 {
    let parts = counts.split([';', '.']).filter_map(|part| part.trim().strip_suffix(word));
    parts.map(str::trim).find_map(|number| number.parse().ok()).unwrap_or(0)
}

fn ignored(line: &str) -> Option<(&str, &str)> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
    // The standard harness puts the reason behind a comma, that of the end-to-end tests into parentheses.
    let reason = result.trim_start_matches(',').trim().trim_start_matches('(').trim_end_matches(')');
    Some((name.trim(), if reason.is_empty() { "marked as ignored" } else { reason }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_runners_are_added() {
        let mut results = TestResults::default();
        results.check(true);
        results.skip("cargo deny", "not installed");
        results.read([
            "running 20 tests",
            "test a::b ... ok",
            "test c ... ignored, takes an hour",
            "SKIPPED (not passed) keys_are_kept: PostgreSQL is missing",
            "test result: ok. 18 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.07s",
            "SKIPPED python_sdk_chats: Python is missing",
            "test python_sdk_chats   ... ignored (no Python)",
            "test d ... ignored",
            "test result: FAILED. 3 passed; 2 failed; 2 ignored; 0 measured; 0 filtered out; finished in 9.10s",
        ]);
        assert_eq!(results.summary(), "21 passed, 2 failed, 5 skipped");
        let reasons: Vec<_> = results.reasons.iter().map(|(name, reason)| format!("{name}: {reason}")).collect();
        assert_eq!(
            reasons,
            [
                "c: takes an hour",
                "cargo deny: not installed",
                "d: marked as ignored",
                "keys_are_kept: PostgreSQL is missing",
                "python_sdk_chats: Python is missing"
            ]
        );
    }
}
