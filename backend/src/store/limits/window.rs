//! The windows of limits: minutes, days and months of the calendar in UTC.

use std::ops::Range;

use crate::ports::Quota;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;

/// The window of a quota that holds a time; both in milliseconds since 1970.
pub(crate) fn window(quota: Quota, at_ms: u64) -> Range<u64> {
    match quota {
        Quota::Requests | Quota::Tokens => {
            let start = at_ms - at_ms % MINUTE_MS;
            start..start.saturating_add(MINUTE_MS)
        }
        Quota::DailySpend => {
            let start = at_ms - at_ms % DAY_MS;
            start..start.saturating_add(DAY_MS)
        }
        Quota::MonthlySpend => {
            let days = month(at_ms / DAY_MS);
            days.start.saturating_mul(DAY_MS)..days.end.saturating_mul(DAY_MS)
        }
    }
}

/// The days, since 1970, of the month that holds one.
fn month(day: u64) -> Range<u64> {
    // The calendar repeats itself after 400 years, which are 146,097 days; 1970 is 370 years after 1600, a leap year
    // with which such a period begins.
    const PERIOD: u64 = 146_097;
    const FROM_1600: u64 = 135_140;
    let since_1600 = day.saturating_add(FROM_1600);
    let (mut start, mut year) = (since_1600 - since_1600 % PERIOD, 1600);
    while since_1600 >= start + days_of_year(year) {
        start += days_of_year(year);
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if since_1600 < start + length {
            // Only the first month of all begins before 1970, and that at 1970 itself.
            return start.saturating_sub(FROM_1600)..(start + length).saturating_sub(FROM_1600);
        }
        start += length;
    }
    unreachable!("a year has no more days than its months")
}

/// Of a year from 1600 to 1999, for which every such year of a later period stands.
const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_of_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn windows_are_those_of_the_calendar() {
        // 2024-02-29T23:59:59.999Z and the millisecond after it.
        let (leap, march) = (1_709_251_199_999, 1_709_251_200_000);
        assert_eq!(window(Quota::MonthlySpend, leap), 1_706_745_600_000..march);
        assert_eq!(window(Quota::MonthlySpend, march), march..1_711_929_600_000);
        assert_eq!(window(Quota::DailySpend, leap), march - DAY_MS..march);
        assert_eq!(window(Quota::Requests, leap), march - MINUTE_MS..march);
        assert_eq!(window(Quota::Tokens, march), march..march + MINUTE_MS);
        assert_eq!(window(Quota::MonthlySpend, 0), 0..31 * DAY_MS);
        // February 2100 has 28 days.
        assert_eq!(window(Quota::MonthlySpend, 4_107_542_399_999), 4_105_123_200_000..4_107_542_400_000);
    }

    proptest! {
        #[test]
        fn months_follow_each_other_without_gap(at in 0..40_000_000_000_000_u64) {
            let this = window(Quota::MonthlySpend, at);
            prop_assert!(this.contains(&at));
            let length = (this.end - this.start) / DAY_MS;
            prop_assert!((28..=31).contains(&length), "{length}");
            prop_assert_eq!(window(Quota::MonthlySpend, this.end).start, this.end);
            prop_assert_eq!(window(Quota::MonthlySpend, this.end - 1), this);
        }
    }
}
