//! Which traces are recorded. All, unless configured otherwise: what is worth keeping is the Collector's decision, which
//! sees whole traces.

use goblin_shared::trace_context::TraceId;

use crate::config::Variables;

/// A share of all traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Random numbers below this one, of [`RANDOM_BITS`], are left out.
    rejected_below: u64,
}

/// What level 2 of W3C Trace Context calls the random part of a trace id: its right-most seven bytes.
const RANDOM_BITS: u32 = 56;
const BILLION: u64 = 1_000_000_000;

impl Sampling {
    /// Every trace.
    pub const ALL: Self = Self { rejected_below: 0 };
    /// None, but those that a grant forces.
    pub const NONE: Self = Self { rejected_below: 1 << RANDOM_BITS };

    /// Reads `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`, a ratio with up to nine decimals.
    pub fn read(variables: &Variables<'_>, faults: &mut Vec<String>) -> Self {
        let ratio = variables.text("OTEL_TRACES_SAMPLER_ARG").map_or(Some(Self::ALL), |text| Self::ratio(&text));
        match variables.text("OTEL_TRACES_SAMPLER").as_deref() {
            None | Some("always_on") => Self::ALL,
            Some("always_off") => Self::NONE,
            Some("traceidratio") => ratio.unwrap_or_else(|| {
                faults.push("OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, such as 0.05".to_owned());
                Self::ALL
            }),
            Some(_) => {
                let fault = "OTEL_TRACES_SAMPLER must be always_on, always_off or traceidratio: what a caller has decided \
                             is not trusted at the edge";
                faults.push(fault.to_owned());
                Self::ALL
            }
        }
    }

    fn ratio(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let are_digits = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits(whole) || !are_digits(decimals) || decimals.len() > 9 || whole.len() + decimals.len() == 0 {
            return None;
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let decimals: u64 = format!("{decimals:0<9}").parse().ok()?;
        let billionths = whole.checked_mul(BILLION)?.checked_add(decimals)?;
        let rejected = BILLION.checked_sub(billionths)?;
        // Below 2^56, as the ratio is at most one.
        let rejected_below = (u128::from(rejected) << RANDOM_BITS) / u128::from(BILLION);
        u64::try_from(rejected_below).ok().map(|rejected_below| Self { rejected_below })
    }

    /// Whether a trace is recorded of which this is the random part.
    #[must_use]
    pub fn records(self, random: u64) -> bool {
        random & ((1 << RANDOM_BITS) - 1) >= self.rejected_below
    }
}

/// The random part of an id that was drawn here: the edge and every tracer that samples by the id agree on it.
#[must_use]
pub fn random_part(id: TraceId) -> u64 {
    let bytes = id.to_bytes();
    bytes[9..].iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sampler: &str, argument: &str) -> Result<Sampling, Vec<String>> {
        let get = |name: &str| match name {
            "OTEL_TRACES_SAMPLER" => Some(sampler.to_owned()),
            "OTEL_TRACES_SAMPLER_ARG" => Some(argument.to_owned()),
            _ => None,
        };
        let mut faults = Vec::new();
        let sampling = Sampling::read(&Variables::new(&get), &mut faults);
        if faults.is_empty() { Ok(sampling) } else { Err(faults) }
    }

    #[test]
    fn a_ratio_is_read_as_opentelemetry_writes_it() {
        for (text, rejected_below) in [
            ("1", Some(0)),
            ("1.0", Some(0)),
            ("0.5", Some(1 << 55)),
            (".25", Some(3 << 54)),
            ("0", Some(1 << 56)),
            ("0.000000001", Some((1 << 56) - 72_057_595)),
            ("1.1", None),
            ("-1", None),
            ("0,5", None),
            ("1e-3", None),
            (".", None),
            ("0.0000000001", None),
            ("18446744073709551616", None),
        ] {
            let sampling = read("traceidratio", text);
            assert_eq!(sampling.ok().map(|sampling| sampling.rejected_below), rejected_below, "{text}");
        }
        assert_eq!(read("", ""), Ok(Sampling::ALL));
        assert_eq!(read("traceidratio", ""), Ok(Sampling::ALL));
        assert_eq!(read("always_off", ""), Ok(Sampling::NONE));
        assert!(read("parentbased_always_on", "").unwrap_err()[0].contains("not trusted"));
    }

    #[test]
    fn the_share_is_that_of_the_random_parts() {
        let quarter = Sampling::ratio("0.25").unwrap();
        assert!(!quarter.records(0) && !quarter.records((3 << 54) - 1));
        assert!(quarter.records(3 << 54) && quarter.records(u64::MAX));
        assert!(Sampling::ALL.records(0) && !Sampling::NONE.records(u64::MAX));
        let id = TraceId::from_bytes(std::array::from_fn(|index| u8::try_from(index).unwrap())).unwrap();
        assert_eq!(random_part(id), 0x09_0a0b_0c0d_0e0f);
    }
}
