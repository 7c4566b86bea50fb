//! Days in UTC, as the ledger adds them up.

const DAY_MS: u64 = 86_400_000;
/// The last day that is written with four digits: 9999-12-31.
const LAST: u32 = 2_932_896;

/// The day of a moment, in days since 1970-01-01.
pub(crate) fn of_millis(unix_millis: u64) -> u32 {
    u32::try_from(unix_millis / DAY_MS).unwrap_or(u32::MAX)
}

/// Reads `YYYY-MM-DD`, from 1970 on. The error completes "this value …".
pub(crate) fn read(text: &str) -> Result<u32, String> {
    let wrong = || "must be a day such as 2026-01-31, from 1970 on".to_owned();
    let digits = |range: std::ops::Range<usize>| {
        let part = text.get(range).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?;
        part.parse::<u32>().ok()
    };
    let (Some(year), Some(month), Some(day)) = (digits(0..4), digits(5..7), digits(8..10)) else { return Err(wrong()) };
    let formed = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
    if !formed || year < 1970 || !(1..=12).contains(&month) || day == 0 || day > length(year, month) {
        return Err(wrong());
    }
    let before = (1970..year).map(|year| 365 + u32::from(is_leap(year))).sum::<u32>();
    let months = (1..month).map(|month| length(year, month)).sum::<u32>();
    Ok(before + months + day - 1)
}

/// Writes a day as `YYYY-MM-DD`; what is later than 9999 is written as the last day of that.
pub(crate) fn written(day: u32) -> String {
    let mut left = day.min(LAST);
    let mut year = 1970;
    while left >= 365 + u32::from(is_leap(year)) {
        left -= 365 + u32::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    while left >= length(year, month) {
        left -= length(year, month);
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", left + 1)
}

const fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn length(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (text, day) in [
            ("1970-01-01", 0),
            ("1972-02-29", 789),
            ("2000-03-01", 11_017),
            ("2026-11-25", 20_782),
            ("9999-12-31", LAST),
        ] {
            assert_eq!(read(text), Ok(day), "{text}");
            assert_eq!(written(day), text);
        }
        assert_eq!(of_millis(1_800_000_000_000), read("2027-01-15").unwrap());
        for text in
            ["", "2026-1-1", "2026-13-01", "2025-02-29", "1969-12-31", "2026-01-00", "2026-01-01T", "２026-01-01"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(day in 0..=LAST) {
            prop_assert_eq!(read(&written(day)), Ok(day));
        }

        #[test]
        fn reading_never_panics(text in "\\PC{0,12}") {
            let _ = read(&text);
        }
    }
}
