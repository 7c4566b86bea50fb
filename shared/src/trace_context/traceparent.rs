//! The `traceparent` field: `version "-" trace-id "-" parent-id "-" trace-flags`.

use std::fmt;

/// Identifies a trace. Never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// Identifies a span within a trace. Never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

macro_rules! identifier {
    ($name:ident, $length:literal) => {
        impl $name {
            /// `None` when every byte is zero, which the recommendation forbids.
            #[must_use]
            pub fn from_bytes(bytes: [u8; $length]) -> Option<Self> {
                (bytes != [0; $length]).then_some(Self(bytes))
            }

            /// The bytes, most significant first.
            #[must_use]
            pub fn to_bytes(self) -> [u8; $length] {
                self.0
            }

            pub(super) fn from_hex(text: &[u8]) -> Option<Self> {
                let mut bytes = [0; $length];
                lower_hex(text, &mut bytes)?;
                Self::from_bytes(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; $length * 2];
                hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
                f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

identifier!(TraceId, 16);
identifier!(SpanId, 8);

/// The flags that level 2 defines. Bits that it does not know are not handed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceFlags {
    /// The caller records this trace.
    pub sampled: bool,
    /// At least the right-most seven bytes of the trace id are random.
    pub random: bool,
}

impl TraceFlags {
    const SAMPLED: u8 = 0b01;
    const RANDOM: u8 = 0b10;

    fn from_bits(bits: u8) -> Self {
        Self { sampled: bits & Self::SAMPLED != 0, random: bits & Self::RANDOM != 0 }
    }

    /// As the byte of the header.
    #[must_use]
    pub fn bits(self) -> u8 {
        (u8::from(self.sampled) * Self::SAMPLED) | (u8::from(self.random) * Self::RANDOM)
    }
}

/// A valid `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The trace.
    pub trace_id: TraceId,
    /// The span of the hop that sent the header.
    pub span_id: SpanId,
    /// Its flags.
    pub flags: TraceFlags,
}

/// The field is not a `traceparent`: a new trace is to be started.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent")]
pub struct InvalidTraceParent;

impl TraceParent {
    /// Length of a field of version 00, and of the part of later versions that is known today.
    pub const LENGTH: usize = 55;

    /// Reads a field. Later versions are read as far as they agree with version 00; version `ff` is invalid.
    pub fn parse(field: &str) -> Result<Self, InvalidTraceParent> {
        Self::read(field.trim_matches([' ', '\t']).as_bytes()).ok_or(InvalidTraceParent)
    }

    fn read(field: &[u8]) -> Option<Self> {
        let (known, rest) = field.split_at_checked(Self::LENGTH)?;
        let mut version = [0];
        lower_hex(&known[..2], &mut version)?;
        match version[0] {
            0xff => return None,
            0x00 if !rest.is_empty() => return None,
            _ if !rest.is_empty() && rest[0] != b'-' => return None,
            _ => {}
        }
        if [known[2], known[35], known[52]] != [b'-'; 3] {
            return None;
        }
        let mut flags = [0];
        lower_hex(&known[53..], &mut flags)?;
        Some(Self {
            trace_id: TraceId::from_hex(&known[3..35])?,
            span_id: SpanId::from_hex(&known[36..52])?,
            flags: TraceFlags::from_bits(flags[0]),
        })
    }
}

/// Always in version 00, the one that this program speaks.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.span_id, self.flags.bits())
    }
}

/// Upper case is not allowed in a `traceparent`, so the general hex decoder alone would be too kind.
fn lower_hex(text: &[u8], into: &mut [u8]) -> Option<()> {
    if text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    hex::decode_to_slice(text, into).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALID: &str = "00-12345678901234567890123456789012-1234567890123456-01";

    #[test]
    fn surrounding_white_space_is_allowed() {
        for field in [format!(" {VALID}"), format!("\t {VALID} \t")] {
            assert_eq!(TraceParent::parse(&field).unwrap().to_string(), VALID);
        }
    }

    #[test]
    fn later_versions_are_read_as_far_as_known() {
        for suffix in ["", "-what-the-future-will-be-like"] {
            let field = format!("cc{}{suffix}", &VALID[2..]);
            assert_eq!(TraceParent::parse(&field).unwrap().to_string(), VALID);
        }
        assert!(TraceParent::parse(&format!("cc{}.what", &VALID[2..])).is_err());
    }

    #[test]
    fn what_the_official_suite_refuses_is_refused() {
        let wrong = [
            "",
            "00",
            "00-12345678901234567890123456789012-1234567890123456-01.",
            "00-12345678901234567890123456789012-1234567890123456-01-more",
            "ff-12345678901234567890123456789012-1234567890123456-01",
            ".0-12345678901234567890123456789012-1234567890123456-01",
            "0.-12345678901234567890123456789012-1234567890123456-01",
            "000-12345678901234567890123456789012-1234567890123456-01",
            "0-12345678901234567890123456789012-1234567890123456-01",
            "00-00000000000000000000000000000000-1234567890123456-01",
            "00-.2345678901234567890123456789012-1234567890123456-01",
            "00-1234567890123456789012345678901.-1234567890123456-01",
            "00-123456789012345678901234567890123-1234567890123456-01",
            "00-1234567890123456789012345678901-1234567890123456-01",
            "00-12345678901234567890123456789012-0000000000000000-01",
            "00-12345678901234567890123456789012-.234567890123456-01",
            "00-12345678901234567890123456789012-12345678901234567-01",
            "00-12345678901234567890123456789012-123456789012345-01",
            "00-12345678901234567890123456789012-1234567890123456-.0",
            "00-12345678901234567890123456789012-1234567890123456-0.",
            "00-12345678901234567890123456789012-1234567890123456-001",
            "00-12345678901234567890123456789012-1234567890123456-1",
            "00-ABCDEF78901234567890123456789012-1234567890123456-01",
            "00_12345678901234567890123456789012_1234567890123456_01",
        ];
        for field in wrong {
            assert_eq!(TraceParent::parse(field), Err(InvalidTraceParent), "{field}");
        }
    }

    #[test]
    fn unknown_flags_are_not_handed_on() {
        let field = format!("{}{}", &VALID[..53], "ff");
        assert_eq!(TraceParent::parse(&field).unwrap().to_string(), format!("{}03", &VALID[..53]));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(field in "\\PC*") {
            let _ = TraceParent::parse(&field);
        }

        /// Fields close to valid ones: each character of a valid field replaced by any other text.
        #[test]
        fn near_misses_are_refused_or_say_the_same(position in 0..55_usize, text in "\\PC{0,3}") {
            let field = format!("{}{text}{}", &VALID[..position], &VALID[position + 1..]);
            if let Ok(parent) = TraceParent::parse(&field) {
                let read = parent.to_string();
                prop_assert_eq!(read.len(), TraceParent::LENGTH);
                prop_assert_eq!(&read[3..52], &field.trim_matches([' ', '\t'])[3..52]);
            }
        }

        #[test]
        fn written_fields_are_read_back(trace in any::<[u8; 16]>(), span in any::<[u8; 8]>(), sampled: bool, random: bool) {
            prop_assume!(trace != [0; 16] && span != [0; 8]);
            let parent = TraceParent {
                trace_id: TraceId::from_bytes(trace).unwrap(),
                span_id: SpanId::from_bytes(span).unwrap(),
                flags: TraceFlags { sampled, random },
            };
            prop_assert_eq!(TraceParent::parse(&parent.to_string()), Ok(parent));
        }
    }
}
