//! What Alertmanager told of alerts.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::StoreError;

/// One alert, from when it began to hold on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incident {
    /// Alertmanager's, of the labels.
    pub(crate) fingerprint: String,
    /// When it began, in milliseconds since 1970.
    pub(crate) started_ms: u64,
    /// When it ended; `None`: it goes on.
    pub(crate) ended_ms: Option<u64>,
    /// When it was told last.
    pub(crate) told_ms: u64,
    /// What tells it from others.
    pub(crate) labels: BTreeMap<String, String>,
    /// What is said of it.
    pub(crate) annotations: BTreeMap<String, String>,
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IncidentState {
    /// Those that go on.
    Open,
    /// Those that have ended.
    Ended,
}

/// Keeps incidents.
#[async_trait]
pub(crate) trait Incidents: Send + Sync {
    /// Keeps them, each once by fingerprint and beginning, as it was told last.
    async fn tell(&self, incidents: &[Incident]) -> Result<(), StoreError>;

    /// At most so many, the youngest first.
    async fn list(&self, state: Option<IncidentState>, most: u32) -> Result<Vec<Incident>, StoreError>;

    /// Drops those that ended before a moment.
    async fn forget(&self, before_ms: u64) -> Result<(), StoreError>;
}
