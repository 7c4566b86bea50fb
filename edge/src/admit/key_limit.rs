//! The exact limit of each API key: what its Durable Object and the Worker say to each other.

use std::time::Duration;

use goblin_shared::rate_limit::{RatePolicy, Standing};

use super::rule::Failure;

/// The one protective policy that all keys are under. What a key's contract allows is the backend's to limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLimitConfig {
    /// `KEY_LIMIT_BURST` and `KEY_LIMIT_SUSTAINED`
    pub policy: RatePolicy,
    /// `KEY_LIMIT_TIMEOUT_MS`: how long the object may take.
    pub timeout_ms: u32,
    /// `KEY_LIMIT_FAILURE`
    pub failure: Failure,
}

/// A standing as the object sends it: `1 99 100000 0`, times in microseconds.
#[must_use]
pub fn to_text(standing: &Standing) -> String {
    let Standing { passes, remaining, reset, retry_after } = standing;
    format!("{} {remaining} {} {}", u8::from(*passes), reset.as_micros(), retry_after.as_micros())
}

/// Reads what [`to_text`] wrote.
#[must_use]
pub fn from_text(text: &str) -> Option<Standing> {
    let mut words = text.split(' ');
    let passes = match words.next()? {
        "1" => true,
        "0" => false,
        _ => return None,
    };
    let remaining = words.next()?.parse().ok()?;
    let mut duration = || words.next()?.parse().ok().map(Duration::from_micros);
    let (reset, retry_after) = (duration()?, duration()?);
    words.next().is_none().then_some(Standing { passes, remaining, reset, retry_after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_survives_the_way() {
        let policy = RatePolicy::parse(2, "1/3600").unwrap();
        let mut tat = 0;
        for _ in 0..3 {
            let standing = policy.take(&mut tat, 1_800_000_000_000_000);
            assert_eq!(from_text(&to_text(&standing)), Some(standing));
        }
        for nonsense in ["", "1", "2 1 1 1", "1 1 1", "1 1 1 1 1", "1 -1 1 1", "1 a 1 1"] {
            assert_eq!(from_text(nonsense), None, "{nonsense}");
        }
    }
}
