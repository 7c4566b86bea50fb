//! Use and its cost, as people and programs read it.

use std::fmt::Write;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::ports::{UsageBy, UsageQuery, UsageRow, day, usd};

/// Days of a report when nobody says which.
const DAYS: u32 = 30;

/// The days of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    from: u32,
    to: u32,
}

impl Span {
    /// From one day to another, both within. What is not said is today, or 30 days in all.
    pub(crate) fn new(from: Option<u32>, to: Option<u32>, today: u32) -> Result<Self, &'static str> {
        let to = to.unwrap_or_else(|| from.map_or(today, |from| today.max(from)));
        let from = from.unwrap_or_else(|| to.saturating_sub(DAYS - 1));
        if from <= to { Ok(Self { from, to }) } else { Err("must not be later than `to`") }
    }

    /// The first and the last.
    pub(crate) const fn days(self) -> (u32, u32) {
        (self.from, self.to)
    }

    /// Asks for these days.
    pub(crate) fn query(
        self,
        by: UsageBy,
        key_id: Option<String>,
        user: Option<String>,
        tenant: Option<String>,
    ) -> UsageQuery {
        UsageQuery { from_day: self.from, to_day: self.to, by, key_id, user, tenant }
    }
}

/// What a ledger answered.
pub(crate) struct UsageReport<'a> {
    query: &'a UsageQuery,
    rows: &'a [UsageRow],
}

impl<'a> UsageReport<'a> {
    /// What it answered to a question.
    pub(crate) fn new(query: &'a UsageQuery, rows: &'a [UsageRow]) -> Self {
        Self { query, rows }
    }

    /// For programs. Money is decimal text, exact.
    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "name": row.name,
                "requests": {
                    "completed": row.completed,
                    "failed": row.failed,
                    "cancelled": row.cancelled,
                    "interrupted": row.interrupted,
                },
                "tokens": {
                    "prompt": row.tokens.prompt,
                    "completion": row.tokens.completion,
                    "cached": row.tokens.cached,
                    "cache_write": row.tokens.cache_write,
                    "reasoning": row.tokens.reasoning,
                    "estimated": row.tokens.estimated,
                },
                "cost_usd": usd::written(row.cost_nano_usd),
                "cost_unknown": row.cost_unknown,
            })
        });
        json!({
            "object": "usage",
            "from": day::written(self.query.from_day),
            "to": day::written(self.query.to_day),
            "by": self.by(),
            "data": rows.collect::<Vec<_>>(),
        })
    }

    /// For spreadsheets (RFC 4180).
    pub(crate) fn csv(&self) -> String {
        let mut csv = format!(
            "{},completed,failed,cancelled,interrupted,prompt_tokens,completion_tokens,cached_tokens,\
             cache_write_tokens,reasoning_tokens,estimated,cost_usd,cost_unknown\r\n",
            self.by()
        );
        for row in self.rows {
            let tokens = &row.tokens;
            // A text always takes it.
            let _ = write!(
                csv,
                "{},{},{},{},{},{},{},{},{},{},{},{},{}\r\n",
                cell(&row.name),
                row.completed,
                row.failed,
                row.cancelled,
                row.interrupted,
                tokens.prompt,
                tokens.completion,
                tokens.cached,
                tokens.cache_write,
                tokens.reasoning,
                tokens.estimated,
                usd::written(row.cost_nano_usd),
                row.cost_unknown
            );
        }
        csv
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let head = [self.by(), "requests".into(), "failed".into(), "prompt".into(), "completion".into(), "usd".into()];
        let rows = self.rows.iter().map(|row| {
            let requests = row.completed + row.failed + row.cancelled + row.interrupted;
            let unknown = if row.cost_unknown > 0 { format!(" + {} unknown", row.cost_unknown) } else { String::new() };
            let estimated = if row.tokens.estimated { "~" } else { "" };
            [
                if row.name.is_empty() { "(none)".to_owned() } else { row.name.clone() },
                requests.to_string(),
                row.failed.to_string(),
                format!("{estimated}{}", row.tokens.prompt),
                format!("{estimated}{}", row.tokens.completion),
                format!("{}{unknown}", usd::written(row.cost_nano_usd)),
            ]
        });
        table(&head, rows.collect::<Vec<_>>().as_slice())
    }

    fn by(&self) -> String {
        let value = self.query.by.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// A cell that is no formula to a spreadsheet, whatever somebody calls himself.
pub(crate) fn cell(text: &str) -> String {
    let guarded = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if guarded.contains([',', '"', '\n', '\r']) { format!("\"{}\"", guarded.replace('"', "\"\"")) } else { guarded }
}

/// Columns side by side, each as wide as it needs. Control characters, which nothing of ours has, are left out.
pub(crate) fn table<const COLUMNS: usize>(head: &[String; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let clean = |text: &String| text.chars().filter(|character| !character.is_control()).collect::<String>();
    let lines: Vec<[String; COLUMNS]> =
        std::iter::once(head).chain(rows).map(|line| line.each_ref().map(clean)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<_> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::TokenCounts;

    fn rows() -> Vec<UsageRow> {
        let tokens =
            TokenCounts { prompt: 10, completion: 20, reasoning: 5, estimated: true, ..TokenCounts::default() };
        let one = UsageRow {
            name: "acme/=1,\"x\"".into(),
            completed: 3,
            failed: 1,
            tokens,
            cost_nano_usd: 1,
            cost_unknown: 2,
            ..UsageRow::default()
        };
        vec![
            one,
            UsageRow { name: "=SUM(A1)".into(), cancelled: 1, cost_nano_usd: 12_500_000_000, ..UsageRow::default() },
        ]
    }

    #[test]
    fn a_report_has_three_forms() {
        let query = Span::new(day::read("2026-01-31").ok(), None, day::read("2026-02-01").unwrap()).unwrap();
        let query = query.query(UsageBy::User, None, None, None);
        let rows = rows();
        let report = UsageReport::new(&query, &rows);
        let json = report.json();
        assert_eq!(
            (&json["from"], &json["to"], &json["by"]),
            (&"2026-01-31".into(), &"2026-02-01".into(), &"user".into())
        );
        assert_eq!(
            (&json["data"][0]["cost_usd"], &json["data"][0]["cost_unknown"]),
            (&"0.000000001".into(), &2.into())
        );
        assert_eq!(
            (&json["data"][0]["tokens"]["reasoning"], &json["data"][1]["requests"]["cancelled"]),
            (&5.into(), &1.into())
        );
        let csv = report.csv();
        let lines: Vec<_> = csv.split("\r\n").collect();
        assert!(lines[0].starts_with("user,completed,failed,"), "{csv}");
        assert_eq!(lines[1], r#""acme/=1,""x""",3,1,0,0,10,20,0,0,5,true,0.000000001,2"#);
        assert_eq!(lines[2], "'=SUM(A1),0,0,1,0,0,0,0,0,0,false,12.50,0");
        let table = report.table();
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines[0], "user         requests  failed  prompt  completion  usd");
        assert_eq!(lines[1], "acme/=1,\"x\"  4         1       ~10     ~20         0.000000001 + 2 unknown");
    }

    #[test]
    fn days_that_are_not_said_are_the_last_thirty() {
        assert_eq!(Span::new(None, None, 100), Ok(Span { from: 71, to: 100 }));
        assert_eq!(Span::new(Some(90), None, 100), Ok(Span { from: 90, to: 100 }));
        assert_eq!(Span::new(None, Some(50), 100), Ok(Span { from: 21, to: 50 }));
        assert_eq!(Span::new(Some(200), None, 100), Ok(Span { from: 200, to: 200 }));
        assert!(Span::new(Some(2), Some(1), 100).is_err());
    }
}
