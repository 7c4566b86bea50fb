//! What objectives are judged by, kept across restarts and shared by instances.

use async_trait::async_trait;

use super::StoreError;

/// Who counted: a run of the program.
pub(crate) type Run = [u8; 16];

/// What happened in a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SloCount {
    /// Which objective, by its id.
    pub(crate) slo: String,
    /// Minutes since 1970.
    pub(crate) minute: u32,
    /// Events that were as they should be.
    pub(crate) good: u64,
    /// Those, and the others.
    pub(crate) valid: u64,
}

/// Keeps counts by objective, minute and run.
#[async_trait]
pub(crate) trait SloCounts: Send + Sync {
    /// Says what a run has counted in all in these minutes so far. The same may be said again.
    async fn write(&self, run: Run, counts: &[SloCount]) -> Result<(), StoreError>;

    /// What all runs but one counted together, from a minute on.
    async fn read(&self, except: Run, from_minute: u32) -> Result<Vec<SloCount>, StoreError>;

    /// Drops what is older than a minute.
    async fn forget(&self, before_minute: u32) -> Result<(), StoreError>;
}
