//! The service level objectives: what each promises, over which windows it is looked at, and when somebody is called. The
//! backend counts by them at run time; rules and dashboards are made of them.

use std::time::Duration;

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slo {
    /// Chat answers come soon.
    ChatLatency,
    /// Who asks can be told.
    Auth,
    /// Models answer.
    Llm,
    /// Requests do not meet a fault of ours.
    Api,
}

impl Slo {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ChatLatency, Self::Auth, Self::Llm, Self::Api];

    /// Its id, as metrics and rules name it.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::ChatLatency => "chat-latency",
            Self::Auth => "auth",
            Self::Llm => "llm",
            Self::Api => "api",
        }
    }

    /// For people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::ChatLatency => "Chat response time",
            Self::Auth => "Auth success rate",
            Self::Llm => "LLM availability",
            Self::Api => "API availability",
        }
    }

    /// The share of good events that is promised, unless the configuration promises another.
    #[must_use]
    pub const fn objective(self) -> f64 {
        match self {
            Self::ChatLatency => 0.95,
            Self::Auth | Self::Api => 0.999,
            Self::Llm => 0.995,
        }
    }
}

/// Within which time a chat request is answered well, unless the configuration says another.
pub const CHAT_WITHIN: Duration = Duration::from_secs(2);

/// Over how many days a promise is kept or not, unless the configuration says fewer.
pub const PERIOD_DAYS: u32 = 30;

/// A time that ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// As metrics and rules name it, which is how Prometheus writes a duration.
    pub name: &'static str,
    /// How long it is.
    pub minutes: u32,
}

const DAY: u32 = 24 * 60;

/// All that are looked at, the shortest first.
pub const WINDOWS: [Window; 8] = [
    Window { name: "5m", minutes: 5 },
    Window { name: "30m", minutes: 30 },
    Window { name: "1h", minutes: 60 },
    Window { name: "2h", minutes: 120 },
    Window { name: "6h", minutes: 360 },
    Window { name: "1d", minutes: DAY },
    Window { name: "3d", minutes: 3 * DAY },
    Window { name: "30d", minutes: PERIOD_DAYS * DAY },
];

/// When the budget burns so fast that somebody must know: over a long and a short window both
/// (<https://sre.google/workbook/alerting-on-slos/>, the sixth way).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurnAlert {
    /// `page` or `ticket`.
    pub severity: &'static str,
    /// How many times faster than what would use the budget up in the period.
    pub factor: f64,
    /// Place of the long window in [`WINDOWS`].
    pub long: usize,
    /// Place of the short one.
    pub short: usize,
}

/// All of them.
pub const BURN_ALERTS: [BurnAlert; 4] = [
    BurnAlert { severity: "page", factor: 14.4, long: 2, short: 0 },
    BurnAlert { severity: "page", factor: 6.0, long: 4, short: 1 },
    BurnAlert { severity: "ticket", factor: 3.0, long: 5, short: 3 },
    BurnAlert { severity: "ticket", factor: 1.0, long: 6, short: 4 },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_looks_at_a_long_and_a_much_shorter_window() {
        for alert in BURN_ALERTS {
            assert!(WINDOWS[alert.long].minutes >= 12 * WINDOWS[alert.short].minutes, "{alert:?}");
        }
        assert!(WINDOWS.is_sorted_by_key(|window| window.minutes));
        assert!(BURN_ALERTS.is_sorted_by(|a, b| a.factor > b.factor));
    }
}
