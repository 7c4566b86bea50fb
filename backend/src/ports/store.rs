//! What every store has in common: how it fails.

use super::Cause;

/// Why a store could not do what it was asked. Never the fault of who asks; the texts are for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// It cannot be reached, is locked by somebody else, or did not answer in time. What was asked may have been done.
    #[error("the store cannot be reached")]
    Unavailable(#[source] Cause),
    /// It has no room left. Nothing was done.
    #[error("the store is full")]
    Full(#[source] Cause),
    /// It answered with an error that does not pass by itself. Nothing was done.
    #[error("the store refuses: check its schema and its rights")]
    Refused(#[source] Cause),
    /// What is in it is not what was put there.
    #[error("the store holds what cannot be understood: {0}")]
    Corrupt(&'static str),
}

impl StoreError {
    /// What kind of failure it is, in one word.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Full(_) => "full",
            Self::Refused(_) => "refused",
            Self::Corrupt(_) => "corrupt",
        }
    }

    /// The same for somebody else who hears of it: its kind, with the cause as a text.
    pub(crate) fn alike(&self) -> Self {
        let told = |cause: &Cause| Cause::from(cause.to_string());
        match self {
            Self::Unavailable(cause) => Self::Unavailable(told(cause)),
            Self::Full(cause) => Self::Full(told(cause)),
            Self::Refused(cause) => Self::Refused(told(cause)),
            Self::Corrupt(what) => Self::Corrupt(what),
        }
    }
}

/// A word on how a store does, for readiness.
#[async_trait::async_trait]
pub(crate) trait Health: Send + Sync {
    /// Asks it something small.
    async fn check(&self) -> Result<(), StoreError>;
}
