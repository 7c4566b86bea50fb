//! What was found, and whether it may be so.

use std::fmt;

/// A table of all findings. [`Report::violations`] is empty when all is well.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<(String, Found)>,
}

/// One finding.
#[derive(Debug)]
pub(super) struct Found {
    is_allowed: bool,
    value: String,
    allowed: String,
}

impl Found {
    pub(super) fn at_most(found: usize, bound: usize) -> Self {
        Self::told(found <= bound, found.to_string(), format!("at most {bound}"))
    }

    pub(super) fn exactly(found: usize, expected: usize) -> Self {
        Self::told(found == expected, found.to_string(), expected.to_string())
    }

    pub(super) fn told(is_allowed: bool, found: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self { is_allowed, value: found.into(), allowed: allowed.into() }
    }
}

impl Report {
    /// Adds what is only told.
    pub(super) fn tell(&mut self, what: &str, found: impl Into<String>) {
        self.check(what, Found::told(true, found, ""));
    }

    /// Adds what must be as it is allowed.
    pub(super) fn check(&mut self, what: &str, found: Found) {
        self.rows.push((what.to_owned(), found));
    }

    /// What is not as it must be, in a sentence each.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let wrong = self.rows.iter().filter(|(_, found)| !found.is_allowed);
        wrong.map(|(what, found)| format!("{what}: {}, allowed: {}", found.value, found.allowed)).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("| | found | allowed | |\n|---|---|---|---|\n")?;
        for (what, Found { is_allowed, value, allowed }) in &self.rows {
            let verdict = if *is_allowed { "" } else { "VIOLATED" };
            writeln!(f, "| {what} | {value} | {allowed} | {verdict} |")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_allowed_is_named() {
        let mut report = Report::default();
        report.tell("traffic", "some");
        report.check("sockets", Found::at_most(3, 3));
        assert_eq!(report.violations(), [""; 0]);
        report.check("sockets", Found::at_most(4, 3));
        report.check("permits", Found::exactly(63, 64));
        assert_eq!(report.violations(), ["sockets: 4, allowed: at most 3", "permits: 63, allowed: 64"]);
        assert_eq!(report.to_string().matches("VIOLATED").count(), 2);
    }
}
