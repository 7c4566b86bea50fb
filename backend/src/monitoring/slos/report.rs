//! How the objectives stand, for programs and for people.

use std::{borrow::Cow, fmt::Write as _};

use serde_json::{Map, Value, json};

use super::{
    BURN_ALERTS, BurnAlert, Count, DAY, Objectives, Slo, WINDOWS, Windows,
    counts::{Counts, sum},
    minute_of,
};
use crate::ports::{SloCount, day};

/// Days of the history.
const DAYS: u32 = 30;

/// Heights of a column.
const COLUMNS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Cells of the bar of a budget.
const BAR: usize = 20;

/// What one is about, and who says so: the edge sees requests that never come here.
fn title(slo: Slo) -> Cow<'static, str> {
    match slo {
        Slo::Api => format!("{} (as the backend sees it)", slo.title()).into(),
        _ => slo.title().into(),
    }
}

/// How all of them stand at a moment.
#[derive(Clone, Debug)]
pub(crate) struct SloReport {
    objectives: Objectives,
    now_ms: u64,
    windows: Windows,
    period: Counts,
    /// Each day's, the oldest first.
    history: Vec<(u32, Counts)>,
}

/// How one stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Standing {
    /// What is promised.
    pub(crate) objective: f64,
    /// Over the period.
    pub(crate) period: Count,
}

impl Standing {
    /// How many events may go wrong of those that there were.
    #[expect(clippy::cast_precision_loss, reason = "events are fewer than 2^53")]
    pub(crate) fn allowed(&self) -> f64 {
        self.period.valid as f64 * (1.0 - self.objective)
    }

    /// The share of the error budget that is left: 1, all; 0, none; less, it is overdrawn. All, where nothing happened.
    #[expect(clippy::cast_precision_loss, reason = "events are fewer than 2^53")]
    pub(crate) fn budget_remaining(&self) -> f64 {
        let bad = (self.period.valid - self.period.good) as f64;
        if bad > 0.0 { 1.0 - bad / self.allowed() } else { 1.0 }
    }

    /// How fast it burns in a window: 1 uses the budget up in exactly the period.
    pub(crate) fn burn_rate(&self, window: Count) -> f64 {
        window.compliance().map_or(0.0, |compliance| (1.0 - compliance) / (1.0 - self.objective))
    }
}

impl SloReport {
    /// Of what happened, the oldest first.
    pub(super) fn new(objectives: Objectives, now_ms: u64, all: &[(u32, Counts)]) -> Self {
        let now = minute_of(now_ms);
        let today = now / DAY;
        let of_day = |day: u32| (day, sum(all, day * DAY, day * DAY + DAY - 1));
        Self {
            objectives,
            now_ms,
            windows: Windows::of(all, now),
            period: sum(all, (now + 1).saturating_sub(objectives.period_days * DAY), now),
            history: (today.saturating_sub(DAYS - 1)..=today).map(of_day).collect(),
        }
    }

    /// Of what a store has of all runs.
    pub(crate) fn of_counts(objectives: Objectives, now_ms: u64, counts: &[SloCount]) -> Self {
        let minutes = super::Minutes::default();
        minutes.learn(0, counts);
        Self::new(objectives, now_ms, &minutes.all(minute_of(now_ms)))
    }

    /// Whether it is as things are at a moment, or were shortly before.
    pub(super) fn is_of(&self, now_ms: u64, within_ms: u64) -> bool {
        now_ms.abs_diff(self.now_ms) < within_ms
    }

    /// How one stands.
    pub(crate) fn standing(&self, slo: Slo) -> Standing {
        Standing { objective: self.objectives.ratio(slo), period: self.period[slo as usize] }
    }

    /// What happened to one in each of [`WINDOWS`].
    pub(crate) fn windows(&self, slo: Slo) -> impl Iterator<Item = (&'static str, Count)> + '_ {
        WINDOWS.iter().zip(&self.windows.0).map(move |(window, counts)| (window.name, counts[slo as usize]))
    }

    pub(super) fn is_firing(&self, slo: Slo, alert: &BurnAlert) -> bool {
        let standing = self.standing(slo);
        let burns = |window: usize| standing.burn_rate(self.windows.0[window][slo as usize]) > alert.factor;
        burns(alert.long) && burns(alert.short)
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let period = format!("{}d", self.objectives.period_days);
        let data: Vec<_> = Slo::ALL.into_iter().map(|slo| self.json_of(slo, &period)).collect();
        json!({ "object": "slo", "at_ms": self.now_ms, "seen_by": "backend", "data": data })
    }

    fn json_of(&self, slo: Slo, period: &str) -> Value {
        let standing = self.standing(slo);
        let windows = self.windows(slo).map(|(name, count)| {
            let value = json!({
                "good": count.good,
                "valid": count.valid,
                "compliance": count.compliance(),
                "burn_rate": standing.burn_rate(count),
            });
            (name.to_owned(), value)
        });
        let alerts = BURN_ALERTS.iter().map(|alert| {
            json!({
                "severity": alert.severity,
                "factor": alert.factor,
                "long_window": WINDOWS[alert.long].name,
                "short_window": WINDOWS[alert.short].name,
                "firing": self.is_firing(slo, alert),
            })
        });
        let history = self.history.iter().map(|(of_day, counts)| {
            let count = counts[slo as usize];
            json!({
                "day": day::written(*of_day),
                "good": count.good,
                "valid": count.valid,
                "compliance": count.compliance(),
            })
        });
        let within = (slo == Slo::ChatLatency).then_some(self.objectives.chat_within.as_secs_f64());
        json!({
            "id": slo.id(),
            "title": title(slo),
            "objective": standing.objective,
            "threshold_seconds": within,
            "period": period,
            "good": standing.period.good,
            "valid": standing.period.valid,
            "compliance": standing.period.compliance(),
            "error_budget": {
                "allowed": standing.allowed(),
                "used": standing.period.valid - standing.period.good,
                "remaining": standing.budget_remaining(),
            },
            "windows": Value::Object(windows.collect::<Map<_, _>>()),
            "alerts": alerts.collect::<Vec<_>>(),
            "history": history.collect::<Vec<_>>(),
        })
    }

    /// For people: a paragraph each, with the days' error rates as columns.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for slo in Slo::ALL {
            let standing = self.standing(slo);
            let compliance = standing.period.compliance().map_or_else(|| "–".to_owned(), percent);
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{}  [{}]", title(slo), slo.id());
            let _ = writeln!(
                text,
                "  objective {}, kept {compliance} over {} days, {} of {} events good",
                percent(standing.objective),
                self.objectives.period_days,
                standing.period.good,
                standing.period.valid
            );
            let remaining = standing.budget_remaining();
            let _ = writeln!(text, "  budget    {} {} left", bar(remaining), percent(remaining));
            let _ = writeln!(text, "  errors    {}  by day, at most {}", self.columns(slo), self.worst(slo));
            let rates = self.windows(slo).map(|(name, count)| format!("{name} {:.1}", standing.burn_rate(count)));
            let _ = writeln!(text, "  burn rate {}", rates.collect::<Vec<_>>().join("  "));
            for alert in BURN_ALERTS.iter().filter(|alert| self.is_firing(slo, alert)) {
                let (long, short) = (WINDOWS[alert.long].name, WINDOWS[alert.short].name);
                let _ = writeln!(text, "  {}: more than {} over {long} and {short}", alert.severity, alert.factor);
            }
            text.push('\n');
        }
        text
    }

    /// The share of bad events of each day; `None`: nothing happened.
    fn errors(&self, slo: Slo) -> impl Iterator<Item = Option<f64>> + '_ {
        self.history.iter().map(move |(_, counts)| counts[slo as usize].compliance().map(|compliance| 1.0 - compliance))
    }

    /// Against the worst day, or the promise where no day was worse.
    fn columns(&self, slo: Slo) -> String {
        let promised = 1.0 - self.objectives.ratio(slo);
        let highest = self.errors(slo).flatten().fold(promised, f64::max);
        let column = |errors: Option<f64>| match errors {
            None => '·',
            Some(errors) => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 7")]
                let height = (errors / highest * 7.0).round().clamp(0.0, 7.0) as usize;
                COLUMNS[height]
            }
        };
        self.errors(slo).map(column).collect()
    }

    fn worst(&self, slo: Slo) -> String {
        percent(self.errors(slo).flatten().fold(0.0, f64::max))
    }
}

fn percent(share: f64) -> String {
    let text = format!("{:.3}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

fn bar(share: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is from 0 to the length of the bar"
    )]
    let full = (share.clamp(0.0, 1.0) * 20.0).round() as usize;
    format!("[{}{}]", "█".repeat(full), "░".repeat(BAR - full))
}
