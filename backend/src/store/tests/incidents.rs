//! Incidents in every store.

use std::collections::BTreeMap;

use super::Kept;
use crate::ports::{Incident, IncidentState};

fn incident(fingerprint: &str, started_ms: u64, ended_ms: Option<u64>, told_ms: u64) -> Incident {
    let texts = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    Incident {
        fingerprint: fingerprint.to_owned(),
        started_ms,
        ended_ms,
        told_ms,
        labels: texts("alertname", fingerprint),
        annotations: texts("summary", &format!("told at {told_ms}")),
    }
}

/// One is kept once, as it was told last; lists begin with the youngest; old ones go, open ones never.
pub(crate) async fn incidents_are_kept_as_they_were_told_last(kept: Kept) {
    let store = &kept.incidents;
    store.tell(&[incident("a", 10, None, 11), incident("b", 20, None, 21)]).await.unwrap();
    store.tell(&[incident("a", 10, None, 12), incident("a", 10, Some(30), 31)]).await.unwrap();
    // An earlier word that comes late changes nothing.
    store.tell(&[incident("a", 10, None, 15)]).await.unwrap();
    store.tell(&[incident("a", 40, None, 41)]).await.unwrap();
    let all = [incident("a", 40, None, 41), incident("b", 20, None, 21), incident("a", 10, Some(30), 31)];
    assert_eq!(store.list(None, 10).await.unwrap(), all);
    assert_eq!(store.list(None, 1).await.unwrap(), all[..1]);
    assert_eq!(store.list(Some(IncidentState::Open), 10).await.unwrap(), all[..2]);
    assert_eq!(store.list(Some(IncidentState::Ended), 10).await.unwrap(), all[2..]);
    store.forget(30).await.unwrap();
    assert_eq!(store.list(None, 10).await.unwrap().len(), 3);
    store.forget(31).await.unwrap();
    assert_eq!(store.list(None, 10).await.unwrap(), all[..2]);
}
