//! The error code that a client is told: one place for answers and ledger alike.

use goblin_shared::error_body::ErrorCode;

use super::run::PlanFailure;
use crate::ports::{Obstacle, ProviderError};

impl PlanFailure {
    /// The code that a client is told.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Provider { error, .. } => provider_code(error),
            Self::Full => ErrorCode::Overloaded,
            Self::Closed { by_its_word: true, .. } => ErrorCode::ProviderOverloaded,
            Self::Closed { by_its_word: false, .. } => ErrorCode::NoProvider,
            Self::Inexpressible(_) => ErrorCode::InvalidField,
            Self::Unread => ErrorCode::InvalidRequest,
            Self::NotKept(_) => ErrorCode::StoreUnavailable,
            Self::Lost => ErrorCode::Internal,
        }
    }
}

/// The code for a provider that failed last.
fn provider_code(error: &ProviderError) -> ErrorCode {
    match error {
        ProviderError::Rejected { status: 413, .. } => ErrorCode::BodyTooLarge,
        ProviderError::Rejected { .. } => ErrorCode::InvalidRequest,
        ProviderError::Overloaded { .. }
        | ProviderError::Status { status: 500.., retry_after: Some(_), .. }
        | ProviderError::Reported { overloaded: true, .. }
        | ProviderError::Status { status: 529, .. } => ErrorCode::ProviderOverloaded,
        ProviderError::TimedOut { .. } | ProviderError::Unreachable { why: Obstacle::TimedOut, .. } => {
            ErrorCode::ProviderTimeout
        }
        ProviderError::Cut
        | ProviderError::Broken(_)
        | ProviderError::Unauthorized { .. }
        | ProviderError::Status { .. }
        | ProviderError::Unreachable { .. }
        | ProviderError::Reported { .. }
        | ProviderError::Garbage(_) => ErrorCode::ProviderFailed,
    }
}
