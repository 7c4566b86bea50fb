//! Money as people write it, and as it is counted: in billionths of a dollar.

const NANO: u64 = 1_000_000_000;

/// Reads dollars such as `12.50`: digits, and after a point up to nine more. The error completes "this value …".
pub(crate) fn read(text: &str) -> Result<u64, String> {
    let wrong = || "must be dollars as decimal text such as 12.50, with at most nine digits after the point".to_owned();
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 9 {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let part: u64 = format!("{part:0<9}").parse().map_err(|_| wrong())?;
    let nano = whole.checked_mul(NANO).and_then(|nano| nano.checked_add(part));
    // What a store keeps is signed.
    nano.filter(|nano| i64::try_from(*nano).is_ok()).ok_or_else(wrong)
}

/// Writes them, exactly, with two digits after the point at least.
pub(crate) fn written(nano: u64) -> String {
    let part = format!("{:09}", nano % NANO);
    let (cents, finer) = part.split_at(2);
    format!("{}.{cents}{}", nano / NANO, finer.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dollars_are_decimal_text() {
        for (text, nano) in
            [("0", 0), ("12.50", 12_500_000_000), ("12.5", 12_500_000_000), ("0.000000001", 1), ("007", 7 * NANO)]
        {
            assert_eq!(read(text), Ok(nano), "{text}");
        }
        for text in
            ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "$1", "0.0000000001", "9223372037", "99999999999999999999"]
        {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(
            (written(0), written(1), written(12_500_000_000)),
            ("0.00".into(), "0.000000001".into(), "12.50".into())
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(nano in 0..=u64::try_from(i64::MAX).unwrap()) {
            prop_assert_eq!(read(&written(nano)), Ok(nano));
        }

        #[test]
        fn reading_never_panics(text in "\\PC*") {
            let _ = read(&text);
        }
    }
}
