//! What PostgreSQL's errors mean to those who asked.

use sqlx::Error;

use crate::ports::StoreError;

/// Sorts an error by what can be done about it, by SQLSTATE where the server gave one:
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(crate) fn store_error(error: Error) -> StoreError {
    match &error {
        Error::Database(answer) => match answer.code().as_deref() {
            Some("53100") => StoreError::Full(error.into()),
            Some(code) if passes_by_itself(code) => StoreError::Unavailable(error.into()),
            _ => StoreError::Refused(error.into()),
        },
        Error::Io(_)
        | Error::Tls(_)
        | Error::Protocol(_)
        | Error::BeginFailed
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed => StoreError::Unavailable(error.into()),
        Error::RowNotFound | Error::ColumnDecode { .. } | Error::Decode(_) => {
            StoreError::Corrupt("a row of PostgreSQL is not as it was written")
        }
        _ => StoreError::Refused(error.into()),
    }
}

/// Lost connections (08), no writing on a standby (25006), transactions that collided (40), no room for another
/// connection (53), locks (55P03), cancelled or shut down (57), errors of its disk (58).
fn passes_by_itself(code: &str) -> bool {
    ["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class)) || ["25006", "55P03"].contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        for passing in ["08006", "25006", "40001", "40P01", "53300", "55P03", "57014", "57P01", "57P03", "58030"] {
            assert!(passes_by_itself(passing), "{passing}");
        }
        for lasting in ["22021", "23505", "28P01", "3D000", "42501", "42P01", "25001", "XX000"] {
            assert!(!passes_by_itself(lasting), "{lasting}");
        }
        assert!(matches!(store_error(Error::PoolTimedOut), StoreError::Unavailable(_)));
        assert!(matches!(store_error(Error::RowNotFound), StoreError::Corrupt(_)));
    }
}
