//! How values of the domain stand in columns.

use std::borrow::Cow;

use goblin_shared::request_id::{InvalidRequestId, RequestId};
use sqlx::types::Uuid;

/// A number as a `bigint`. What is beyond it is as good as its greatest: no window holds so many tokens or dollars.
pub(crate) fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What a request is charged for, as a `bigint`: at most a million dollars or as many billionths of tokens, so that the
/// sums of many fit too.
pub(crate) fn amount(number: u64) -> i64 {
    bigint(number.min(1_000_000_000_000_000))
}

/// A number of a `bigint`; none is negative.
pub(crate) fn number(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

/// A small number as an `integer`.
pub(crate) fn integer(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A text as PostgreSQL takes it: it has no NUL, for which U+FFFD stands.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// An id as a `uuid`.
pub(crate) fn uuid(id: &RequestId) -> Uuid {
    Uuid::parse_str(&id.to_string()).unwrap_or_default()
}

/// An id of a `uuid`.
pub(crate) fn request_id(column: Uuid) -> Result<RequestId, sqlx::Error> {
    column.to_string().parse().map_err(|error: InvalidRequestId| sqlx::Error::Decode(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        for value in [0, 1, u64::try_from(i64::MAX).unwrap()] {
            assert_eq!(number(bigint(value)), value);
        }
        assert_eq!((bigint(u64::MAX), number(-1)), (i64::MAX, 0));
        assert_eq!((text("a\0b").as_ref(), text("ab").as_ref()), ("a\u{fffd}b", "ab"));
        let id = RequestId::new(1_700_000_000_000, &[9; 10]);
        assert_eq!(request_id(uuid(&id)).unwrap(), id);
        assert!(request_id(Uuid::nil()).is_err());
    }
}
