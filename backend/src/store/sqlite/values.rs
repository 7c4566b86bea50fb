//! How values of the domain stand in columns.

use goblin_shared::request_id::{InvalidRequestId, RequestId};
use sqlx::{Error, types::Uuid};

/// A number as an `INTEGER`. What is beyond it is as good as its greatest: no window holds so many tokens or dollars.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// In SQL, a sum that ends at 2^62 instead of being an error beyond SQLite's integers; exact below 2^53.
macro_rules! sum {
    ($($column:literal),+) => {
        concat!("CAST(MIN(TOTAL(", $($column),+, "), 4611686018427387904) AS INTEGER)")
    };
}
pub(super) use sum;

/// The most that a row of the ledger has of anything, 2^53: nine million dollars. Of the rows of a transaction SQLite can
/// add up so much exactly; a sum that is beyond its integers would be an error.
const MOST: u64 = 1 << 53;

/// An amount of a row of the ledger.
pub(super) fn amount(number: u64) -> i64 {
    integer(number.min(MOST))
}

/// A number of an `INTEGER`; one that is negative was not put there by this program.
pub(super) fn number(column: i64) -> Result<u64, Error> {
    u64::try_from(column).map_err(|error| Error::Decode(error.into()))
}

/// A small number of an `INTEGER`, likewise.
pub(super) fn small(column: i64) -> Result<u32, Error> {
    u32::try_from(column).map_err(|error| Error::Decode(error.into()))
}

/// An id of a `BLOB`.
pub(super) fn request_id(column: &[u8]) -> Result<RequestId, Error> {
    let uuid = Uuid::from_slice(column).map_err(|error| Error::Decode(error.into()))?;
    uuid.to_string().parse().map_err(|error: InvalidRequestId| Error::Decode(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        for value in [0, 1, u64::try_from(i64::MAX).unwrap()] {
            assert_eq!(number(integer(value)).unwrap(), value);
        }
        assert_eq!((integer(u64::MAX), amount(u64::MAX), amount(7)), (i64::MAX, 1 << 53, 7));
        for beyond in [-1, i64::MIN] {
            assert!(number(beyond).is_err() && small(beyond).is_err());
        }
        assert!(small(1 << 32).is_err());
        let id = RequestId::new(1_700_000_000_000, &[9; 10]);
        let bytes = id.as_bytes();
        assert_eq!(request_id(bytes).unwrap(), id);
        assert!(request_id(&bytes[1..]).is_err());
    }
}
