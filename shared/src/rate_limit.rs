//! Rate limits by the Generic Cell Rate Algorithm, and the fields that tell a client of them.
//!
//! GCRA (ITU-T I.371, annex A) keeps one number per client: the theoretical arrival time (TAT), when the bucket will be
//! full again. A request passes when taking one more token keeps TAT within the burst; TAT then moves by one emission
//! interval. There is no window whose border lets twice the quota through. The clock is handed in.

use std::{fmt, time::Duration};

/// At most `burst` requests at once, and one more per `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatePolicy {
    /// Requests that a client may make at once.
    burst: u32,
    /// Time after which one more is free, in microseconds.
    interval_us: u64,
}

/// The policy would let nothing through, or is too slow or too fast to be counted in microseconds.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a rate is <requests>/<seconds>, such as 600/60: both whole, from 1, and at most a request per day or a million per second"
)]
pub struct InvalidRate;

/// A year. Far within what a double holds exactly, as storage in JavaScript keeps it.
const LONGEST_WINDOW_US: u64 = 366 * 86_400_000_000;

/// What a client may still do, after its request was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether the request passes.
    pub passes: bool,
    /// Requests that would pass now.
    pub remaining: u32,
    /// Until the whole burst is free again.
    pub reset: Duration,
    /// Until one request passes; zero when one does now.
    pub retry_after: Duration,
}

impl RatePolicy {
    /// `burst` requests at once, `requests` per `seconds` sustained.
    pub fn new(burst: u32, requests: u32, seconds: u32) -> Result<Self, InvalidRate> {
        let interval_us = (u64::from(seconds) * 1_000_000).checked_div(u64::from(requests)).ok_or(InvalidRate)?;
        let window_us = u64::from(burst).checked_mul(interval_us).ok_or(InvalidRate)?;
        if !(1..=LONGEST_WINDOW_US).contains(&window_us) {
            return Err(InvalidRate);
        }
        Ok(Self { burst, interval_us })
    }

    /// The same with the sustained rate as text, `<requests>/<seconds>`.
    pub fn parse(burst: u32, sustained: &str) -> Result<Self, InvalidRate> {
        let (requests, seconds) = sustained.split_once('/').ok_or(InvalidRate)?;
        let number = |text: &str| text.trim().parse().map_err(|_| InvalidRate);
        Self::new(burst, number(requests)?, number(seconds)?)
    }

    /// Requests at once.
    #[must_use]
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// Time in which a used up burst is free again.
    #[must_use]
    pub fn window(&self) -> Duration {
        Duration::from_micros(self.window_us())
    }

    fn window_us(&self) -> u64 {
        u64::from(self.burst) * self.interval_us
    }

    /// Decides one request at `now_us` (microseconds since 1970) and moves `tat`, the theoretical arrival time, in the
    /// same unit; a client that is not known yet has 0. A refused request costs nothing. A clock that goes back lets
    /// nothing more through than one that stands, and never refuses for longer than a window.
    #[must_use]
    pub fn take(&self, tat: &mut u64, now_us: u64) -> Standing {
        let window = self.window_us();
        // A stored time beyond a full window can only come from a clock that went back, or from a wider policy before.
        let arrival = (*tat).clamp(now_us, now_us + window);
        let wanted = arrival + self.interval_us;
        let passes = wanted - now_us <= window;
        if passes {
            *tat = wanted;
        } else {
            *tat = arrival;
        }
        let backlog = *tat - now_us;
        let remaining = (window - backlog) / self.interval_us;
        let retry_after = (backlog + self.interval_us).saturating_sub(window);
        Standing {
            passes,
            // At most `burst`, which is a u32.
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset: Duration::from_micros(backlog),
            retry_after: Duration::from_micros(retry_after),
        }
    }
}

/// The fields `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-10, for one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateFields {
    /// `"burst";r=50;t=30`: what remains, and in how many seconds the quota is whole again.
    pub limit: String,
    /// `"burst";q=100;w=60`: the quota, and the seconds that it is for.
    pub policy: String,
}

impl RateFields {
    /// Of a policy named `name` (printable ASCII without quotes).
    #[must_use]
    pub fn new(name: &str, policy: &RatePolicy, standing: &Standing) -> Self {
        Self {
            limit: format!("\"{name}\";r={};t={}", standing.remaining, Seconds(standing.reset)),
            policy: format!("\"{name}\";q={};w={}", policy.burst, Seconds(policy.window())),
        }
    }
}

/// Whole seconds, rounded up, so that who waits as long does not come too early.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(pub Duration);

impl Seconds {
    /// As a number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.get())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_800_000_000_000_000;
    const SECOND: u64 = 1_000_000;

    fn policy(burst: u32, sustained: &str) -> RatePolicy {
        RatePolicy::parse(burst, sustained).unwrap()
    }

    fn passing(policy: &RatePolicy, tat: &mut u64, now: u64, tries: u32) -> u32 {
        (0..tries).map(|_| u32::from(policy.take(tat, now).passes)).sum()
    }

    #[test]
    fn exactly_the_burst_passes_at_once() {
        let (policy, mut tat) = (policy(100, "1/3600"), 0);
        assert_eq!(passing(&policy, &mut tat, NOW, 500), 100);
        let refused = policy.take(&mut tat, NOW);
        assert_eq!((refused.remaining, refused.retry_after), (0, Duration::from_hours(1)));
        assert_eq!(refused.reset, Duration::from_hours(100));
    }

    #[test]
    fn refills_come_one_by_one_at_their_time() {
        let (policy, mut tat) = (policy(3, "2/10"), 0);
        assert_eq!(passing(&policy, &mut tat, NOW, 9), 3);
        assert_eq!(passing(&policy, &mut tat, NOW + 5 * SECOND - 1, 9), 0);
        assert_eq!(passing(&policy, &mut tat, NOW + 5 * SECOND, 9), 1);
        assert_eq!(passing(&policy, &mut tat, NOW + 14 * SECOND, 9), 1);
        assert_eq!(passing(&policy, &mut tat, NOW + 15 * SECOND, 9), 1);
        assert_eq!(passing(&policy, &mut tat, NOW + 60 * SECOND, 9), 3, "never more than the burst");
    }

    #[test]
    fn who_waits_as_told_passes() {
        let (policy, mut tat) = (policy(7, "13/60"), 0);
        let mut now = NOW;
        for _ in 0..50 {
            let standing = policy.take(&mut tat, now);
            if !standing.passes {
                now += u64::try_from(standing.retry_after.as_micros()).unwrap();
                assert!(policy.take(&mut tat, now).passes);
            }
        }
    }

    #[test]
    fn a_refused_request_costs_nothing() {
        let (policy, mut tat) = (policy(1, "1/10"), 0);
        assert!(policy.take(&mut tat, NOW).passes);
        for tenth in 1..100 {
            assert!(!policy.take(&mut tat, NOW + tenth * SECOND / 10).passes);
        }
        assert!(policy.take(&mut tat, NOW + 10 * SECOND).passes);
    }

    #[test]
    fn a_clock_that_goes_back_neither_opens_nor_locks_out() {
        let (policy, mut tat) = (policy(5, "1/1"), 0);
        assert_eq!(passing(&policy, &mut tat, NOW, 9), 5);
        let earlier = NOW - 3_600 * SECOND;
        assert_eq!(passing(&policy, &mut tat, earlier, 9), 0);
        assert_eq!(policy.take(&mut tat, earlier).reset, Duration::from_secs(5), "an hour is not added");
        assert_eq!(passing(&policy, &mut tat, earlier + 5 * SECOND, 9), 5);
    }

    #[test]
    fn a_narrower_policy_holds_from_its_first_request() {
        let mut tat = 0;
        assert_eq!(passing(&policy(1_000, "1/1"), &mut tat, NOW, 1_000), 1_000);
        let narrow = policy(10, "1/1");
        assert!(!narrow.take(&mut tat, NOW).passes);
        assert_eq!(passing(&narrow, &mut tat, NOW + 10 * SECOND, 99), 10);
    }

    #[test]
    fn fields_are_the_drafts() {
        let (policy, mut tat) = (policy(100, "600/60"), 0);
        let standing = policy.take(&mut tat, NOW);
        let fields = RateFields::new("burst", &policy, &standing);
        assert_eq!((fields.limit.as_str(), fields.policy.as_str()), ("\"burst\";r=99;t=1", "\"burst\";q=100;w=10"));
        let parsed = sfv::Parser::new(&fields.limit).parse::<sfv::List>().unwrap();
        assert_eq!(parsed.len(), 1);
    }

    #[test]
    fn nonsense_is_no_rate() {
        for (burst, sustained) in [
            (0, "1/1"),
            (1, "0/1"),
            (1, "1/0"),
            (1, "1"),
            (1, "a/b"),
            (367, "1/86400"),
            (1, "2000000/1"),
            (u32::MAX, "1/3600"),
            (1, "-1/1"),
        ] {
            assert_eq!(RatePolicy::parse(burst, sustained), Err(InvalidRate), "{burst} {sustained}");
        }
        assert!(RatePolicy::parse(366, "1/86400").is_ok());
    }

    proptest! {
        /// Against the definition: over any span of time no more passes than burst plus what the span refills.
        #[test]
        fn no_span_of_time_lets_more_through(
            burst in 1_u32..20,
            requests in 1_u32..50,
            seconds in 1_u32..100,
            steps in prop::collection::vec(0_u64..3_000_000, 1..200),
        ) {
            let policy = RatePolicy::new(burst, requests, seconds).unwrap();
            let (mut tat, mut now) = (0, NOW);
            let mut passed = Vec::new();
            for step in steps {
                now += step;
                let standing = policy.take(&mut tat, now);
                prop_assert!(standing.remaining <= burst);
                prop_assert_eq!(standing.passes || standing.retry_after > Duration::ZERO, true);
                if standing.passes {
                    passed.push(now);
                }
            }
            for (index, from) in passed.iter().enumerate() {
                for (count, to) in passed[index..].iter().enumerate() {
                    let refilled = (to - from) / policy.interval_us;
                    prop_assert!((count as u64) < u64::from(burst) + refilled);
                }
            }
        }

        /// Against counting tokens: what remains is what then passes.
        #[test]
        fn what_remains_passes(burst in 1_u32..50, steps in prop::collection::vec(0_u64..5_000_000, 0..20)) {
            let policy = RatePolicy::new(burst, 1, 1).unwrap();
            let (mut tat, mut now) = (0, NOW);
            for step in steps {
                now += step;
                let standing = policy.take(&mut tat, now);
                let mut copy = tat;
                prop_assert_eq!(passing(&policy, &mut copy, now, burst + 5), standing.remaining);
            }
        }

        #[test]
        fn nothing_overflows(burst: u32, requests: u32, seconds: u32, tat: u64, now in 0_u64..=4_000_000_000_000_000) {
            let mut tat = tat;
            if let Ok(policy) = RatePolicy::new(burst, requests, seconds) {
                let standing = policy.take(&mut tat, now);
                prop_assert!(standing.remaining <= burst);
            }
        }
    }
}
