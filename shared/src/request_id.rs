//! The id of a request: a UUID of version 7 (RFC 9562), so that ids sort by the time they were given.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// Id of one client request. The same at every hop and for every try of another origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(Uuid);

impl RequestId {
    /// Makes an id from the time in milliseconds since 1970 and ten random bytes.
    #[must_use]
    pub fn new(unix_millis: u64, random: &[u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(unix_millis, random).into_uuid())
    }

    /// Its 16 bytes, in the order of the text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// What is random for this request and the same at every hop: the id's last 64 bits, 62 of them random.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.0.as_u64_pair().1
    }

    /// The day on which it was given, in days since 1970-01-01 in UTC. The same at every hop.
    #[must_use]
    pub fn unix_days(&self) -> u32 {
        let unix_millis = self.0.as_u64_pair().0 >> 16;
        // 48 bits of milliseconds are fewer than 2^22 days.
        u32::try_from(unix_millis / 86_400_000).unwrap_or(u32::MAX)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// The text is not a hyphenated UUID of version 7.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a hyphenated UUID of version 7")]
pub struct InvalidRequestId;

impl FromStr for RequestId {
    type Err = InvalidRequestId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = Uuid::try_parse(text).map_err(|_| InvalidRequestId)?;
        // `try_parse` also takes braces, `urn:` and upper case; one spelling keeps replay detection exact.
        if text == id.hyphenated().to_string() && id.get_version_num() == 7 {
            Ok(Self(id))
        } else {
            Err(InvalidRequestId)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let early = RequestId::new(1_000, &[0xff; 10]);
        let late = RequestId::new(1_001, &[0; 10]);
        assert!(early.to_string() < late.to_string());
    }

    #[test]
    fn every_hop_reads_the_same_day_and_seed() {
        let id = RequestId::new(1_700_000_000_000, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!((id.unix_days(), id.seed() & 0xff), (19_675, 10));
        let read: RequestId = id.to_string().parse().unwrap();
        assert_eq!((read.unix_days(), read.seed()), (id.unix_days(), id.seed()));
        assert_ne!(RequestId::new(1_700_000_000_000, &[0; 10]).seed(), id.seed());
    }

    #[test]
    fn only_the_canonical_spelling_of_version_7_is_read() {
        let id = RequestId::new(1_700_000_000_000, &[7; 10]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in [
            id.to_string().to_uppercase(),
            format!("{{{id}}}"),
            "67e55044-10b1-426f-9247-bb680e5fe0c8".to_owned(),
            String::new(),
        ] {
            assert_eq!(wrong.parse::<RequestId>(), Err(InvalidRequestId), "{wrong}");
        }
    }
}
