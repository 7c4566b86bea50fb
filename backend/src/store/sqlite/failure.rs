//! What SQLite's errors mean to those who asked.

use sqlx::Error;

use crate::ports::{Cause, StoreError};

/// Sorts an error by what can be done about it, by SQLite's result code: <https://www.sqlite.org/rescode.html>.
pub(crate) fn store_error(error: Error) -> StoreError {
    match &error {
        Error::Database(answer) => by_code(answer.code().and_then(|code| code.parse().ok()), error.into()),
        Error::Io(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed | Error::BeginFailed => {
            StoreError::Unavailable(error.into())
        }
        Error::RowNotFound | Error::ColumnDecode { .. } | Error::Decode(_) => {
            StoreError::Corrupt("a row of SQLite is not as it was written")
        }
        _ => StoreError::Refused(error.into()),
    }
}

/// The same, of the connection that writes the ledger.
pub(super) fn write_error(error: rusqlite::Error) -> StoreError {
    let code = error.sqlite_error().map(|answer| answer.extended_code.unsigned_abs());
    match error {
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => {
            StoreError::Corrupt("a row of SQLite is not as it was written")
        }
        error => by_code(code, error.into()),
    }
}

fn by_code(code: Option<u32>, cause: Cause) -> StoreError {
    match code.map(primary) {
        // SQLITE_FULL
        Some(13) => StoreError::Full(cause),
        // SQLITE_BUSY, _LOCKED, _NOMEM, _INTERRUPT, _IOERR, _CANTOPEN, _PROTOCOL
        Some(5 | 6 | 7 | 9 | 10 | 14 | 15) => StoreError::Unavailable(cause),
        _ => StoreError::Refused(cause),
    }
}

/// The low byte of an extended result code.
fn primary(code: u32) -> u32 {
    code & 0xff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_codes_are_of_a_primary_one() {
        // SQLITE_IOERR_WRITE and SQLITE_BUSY_SNAPSHOT.
        assert_eq!((primary(778), primary(517), primary(13)), (10, 5, 13));
        assert!(matches!(store_error(Error::PoolTimedOut), StoreError::Unavailable(_)));
        assert!(matches!(store_error(Error::RowNotFound), StoreError::Corrupt(_)));
    }
}
