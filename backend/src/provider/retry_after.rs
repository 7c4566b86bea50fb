//! How long a server wants to be left alone.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, header::RETRY_AFTER};

/// OpenAI's and Azure's field beside `retry-after`, in milliseconds
/// (<https://learn.microsoft.com/azure/ai-services/openai/how-to/quota>).
const RETRY_AFTER_MS: &str = "retry-after-ms";
/// Longest wait that is believed, in seconds.
const LONGEST: u32 = 24 * 60 * 60;

/// Whole seconds, rounded up, from `retry-after-ms`, or from `retry-after` in either of its forms: seconds, or a date
/// (RFC 9110, section 10.2.3). `unix_millis` is the time now.
pub(super) fn of_headers(headers: &HeaderMap, unix_millis: u64) -> Option<u32> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(millis) = text(RETRY_AFTER_MS).and_then(number) {
        return whole(millis / 1_000.0);
    }
    let value = text(RETRY_AFTER.as_str())?;
    if let Some(seconds) = number(value) {
        return whole(seconds);
    }
    let date = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
    whole(date.saturating_sub(Duration::from_millis(unix_millis)).as_secs_f64())
}

/// Whole seconds, rounded up, of a duration as JSON has it: `7s`, `0.250s`
/// (<https://protobuf.dev/reference/protobuf/google.protobuf/#duration>).
pub(super) fn of_duration(text: &str) -> Option<u32> {
    whole(number(text.strip_suffix('s')?)?)
}

/// Servers write decimals here too. Words such as `inf`, signs and exponents are no numbers.
fn number(text: &str) -> Option<f64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| digits)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and the longest wait")]
fn whole(seconds: f64) -> Option<u32> {
    seconds.is_finite().then(|| seconds.ceil().clamp(0.0, f64::from(LONGEST)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-10-21 07:28:00 in UTC.
    const DATE: &str = "Wed, 21 Oct 2026 07:28:00 GMT";
    const DATE_SECONDS: u64 = 1_792_567_680;

    fn told(fields: &[(&'static str, &str)]) -> Option<u32> {
        let fields = fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        of_headers(&fields.collect(), DATE_SECONDS * 1_000 - 6_500)
    }

    #[test]
    fn all_forms_are_whole_seconds_rounded_up() {
        assert_eq!(told(&[("retry-after", "7")]), Some(7));
        assert_eq!(told(&[("retry-after", " 6.2 ")]), Some(7));
        assert_eq!(told(&[("retry-after", DATE)]), Some(7));
        assert_eq!(told(&[("retry-after", "Wednesday, 21-Oct-26 07:28:00 GMT")]), Some(7));
        assert_eq!(told(&[("retry-after-ms", "6001"), ("retry-after", "60")]), Some(7));
        assert_eq!(told(&[("retry-after-ms", "soon"), ("retry-after", "60")]), Some(60));
        assert_eq!(of_duration("6.000000001s"), Some(7));
        assert_eq!(of_duration("0s"), Some(0));
    }

    #[test]
    fn what_is_past_is_now_and_what_is_far_is_bounded() {
        assert_eq!(told(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")]), Some(0));
        assert_eq!(told(&[("retry-after", "99999999999999999999")]), Some(LONGEST));
        assert_eq!(told(&[("retry-after", "Sat, 06 Nov 2094 08:49:37 GMT")]), Some(LONGEST));
    }

    #[test]
    fn anything_else_says_nothing() {
        for value in ["", "-1", "soon", "inf", "nan", "1e3", ".", "1.2.3", "Wed, 99 Oct 2026 07:28:00 GMT"] {
            assert_eq!(told(&[("retry-after", value)]), None, "{value}");
            assert_eq!(of_duration(&format!("{value}s")), None, "{value}");
        }
        assert_eq!(told(&[]), None);
        assert_eq!(of_duration("7"), None);
    }
}
