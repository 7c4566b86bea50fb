//! The model: rows, and sums over them. It has no counters that could be wrong: whatever is asked of a limit is added up
//! anew from all rows.

use std::collections::BTreeMap;

use crate::ports::{Amounts, Level, Owner, Quota, UsageBy, UsageRow, day};

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// Somebody with a key.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) owner: Owner,
    /// Limits by level, in the order of [`Quota::ALL`].
    pub(super) limits: [(Level, [Option<u64>; 4]); 3],
    pub(super) key_id: String,
    /// The secrets that there were, each with the time until which it counts.
    pub(super) secrets: Vec<(String, Option<u64>)>,
    pub(super) revoked: bool,
}

/// A row of the ledger, as it is read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) request_id: String,
    pub(super) started_ms: u64,
    pub(super) stream: bool,
    pub(super) owner: Owner,
    pub(super) key_id: String,
    pub(super) model_asked: String,
    pub(super) conversation_id: Option<String>,
    pub(super) reserved: Amounts,
    /// None: it is open.
    pub(super) settled: Option<Settled>,
}

/// How a row ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) outcome: String,
    /// `provider/model`.
    pub(super) target: Option<String>,
    pub(super) attempts: u64,
    pub(super) prompt: u64,
    pub(super) completion: u64,
    pub(super) cached: u64,
    pub(super) estimated: bool,
    pub(super) cost: Option<u64>,
    pub(super) charged: Amounts,
    pub(super) error_code: Option<String>,
}

/// How a limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) level: Level,
    pub(super) quota: Quota,
    pub(super) limit: u64,
    pub(super) used: u64,
    pub(super) resets_ms: u64,
}

/// All rows there were, in the order of their requests.
#[derive(Default)]
pub(super) struct Book(pub(super) Vec<Row>);

fn month(at_ms: u64) -> String {
    day::written(day::of_millis(at_ms))[..7].to_owned()
}

/// Beginning and end of the window that holds a time.
fn window(quota: Quota, at_ms: u64) -> (u64, u64) {
    let (minute, today) = (at_ms / MINUTE_MS * MINUTE_MS, at_ms / DAY_MS * DAY_MS);
    match quota {
        Quota::Requests | Quota::Tokens => (minute, minute + MINUTE_MS),
        Quota::DailySpend => (today, today + DAY_MS),
        Quota::MonthlySpend => {
            let (this, mut first, mut next) = (month(at_ms), today, today);
            while month(first - DAY_MS) == this {
                first -= DAY_MS;
            }
            while month(next) == this {
                next += DAY_MS;
            }
            (first, next)
        }
    }
}

impl Book {
    /// What somebody was charged in the window of a time, or has reserved in it.
    pub(super) fn charged(&self, holder: &Holder, level: Level, quota: Quota, at_ms: u64) -> u64 {
        let (from, to) = window(quota, at_ms);
        let is_his = |row: &&Row| match level {
            Level::Key => row.key_id == holder.key_id,
            Level::User => row.owner == holder.owner,
            Level::Tenant => row.owner.tenant == holder.owner.tenant,
        };
        let in_window = self.0.iter().filter(|row| (from..to).contains(&row.started_ms)).filter(is_his);
        in_window.map(|row| row.settled.as_ref().map_or(&row.reserved, |settled| &settled.charged).of(quota)).sum()
    }

    /// How all limits of somebody stand.
    pub(super) fn standings(&self, holder: &Holder, at_ms: u64) -> Vec<Standing> {
        let all = holder.limits.iter().flat_map(|(level, limits)| {
            Quota::ALL.into_iter().zip(limits).filter_map(|(quota, limit)| Some((*level, quota, (*limit)?)))
        });
        let standing = |(level, quota, limit)| Standing {
            level,
            quota,
            limit,
            used: self.charged(holder, level, quota, at_ms),
            resets_ms: window(quota, at_ms).1,
        };
        all.map(standing).collect()
    }

    /// The program dies: nobody knows what became of open requests, so that they stay charged.
    pub(super) fn interrupt(&mut self) {
        for row in self.0.iter_mut().filter(|row| row.settled.is_none()) {
            let settled = Settled { outcome: "interrupted".to_owned(), charged: row.reserved, ..Settled::default() };
            row.settled = Some(settled);
        }
    }

    /// Use, added up.
    pub(super) fn usage(&self, by: UsageBy) -> Vec<UsageRow> {
        let mut sums = BTreeMap::<String, UsageRow>::new();
        for (row, settled) in self.0.iter().filter_map(|row| Some((row, row.settled.as_ref()?))) {
            let Owner { tenant, user } = &row.owner;
            let name = match by {
                UsageBy::Key => row.key_id.clone(),
                UsageBy::User if tenant.is_empty() => user.clone(),
                UsageBy::User => format!("{tenant}/{user}"),
                UsageBy::Tenant => tenant.clone(),
                UsageBy::Model => settled.target.clone().unwrap_or_default(),
                UsageBy::Day => day::written(day::of_millis(row.started_ms)),
            };
            let sum = sums.entry(name.clone()).or_insert_with(|| UsageRow { name, ..UsageRow::default() });
            match settled.outcome.as_str() {
                "completed" => sum.completed += 1,
                "failed" => sum.failed += 1,
                "cancelled" => sum.cancelled += 1,
                _ => sum.interrupted += 1,
            }
            sum.tokens.prompt += settled.prompt;
            sum.tokens.completion += settled.completion;
            sum.tokens.cached += settled.cached;
            sum.tokens.estimated |= settled.estimated;
            sum.cost_nano_usd += settled.cost.unwrap_or_default();
            sum.cost_unknown += u64::from(settled.cost.is_none());
        }
        sums.into_values().collect()
    }
}

impl Standing {
    /// As the field `ratelimit` has it.
    pub(super) fn field(&self, at_ms: u64) -> String {
        let (name, unit) = match self.quota {
            Quota::Requests => ("requests", 1),
            Quota::Tokens => ("tokens", 1),
            Quota::DailySpend => ("usd-per-day", 1_000),
            Quota::MonthlySpend => ("usd-per-month", 1_000),
        };
        let left = self.limit.saturating_sub(self.used) / unit;
        format!("\"{}-{name}\";r={left};t={}", self.level.as_str(), (self.resets_ms - at_ms) / 1_000)
    }
}
