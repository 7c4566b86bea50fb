//! Keys as they come back.

use super::bench::{Kept, owner};
use crate::ports::{KeyRecord, LimitSet, Scopes};

fn key(id: &str) -> KeyRecord {
    KeyRecord {
        id: id.to_owned(),
        secret_hash: [1; 32],
        previous: None,
        name: "for tests".to_owned(),
        owner: owner("T", "U"),
        scopes: Scopes::DEFAULT,
        limits: LimitSet { requests_per_minute: Some(5), nano_usd_per_month: Some(0), ..LimitSet::default() },
        created_ms: 1,
        expires_ms: Some(2),
        revoked_ms: None,
    }
}

pub(crate) async fn keys_are_kept_rotated_and_revoked(kept: Kept) {
    let keys = kept.keys;
    assert_eq!(keys.find("B").await.unwrap(), None);
    for id in ["B", "a", "A"] {
        keys.insert(&key(id)).await.unwrap();
    }
    keys.insert(&key("A")).await.unwrap_err();
    assert_eq!(keys.find("B").await.unwrap(), Some(key("B")));
    assert!(keys.rotate("B", &[2; 32], 77).await.unwrap());
    let rotated = KeyRecord { secret_hash: [2; 32], previous: Some(([1; 32], 77)), ..key("B") };
    assert_eq!(keys.find("B").await.unwrap(), Some(rotated.clone()));
    assert!(keys.revoke("B", 88).await.unwrap());
    assert!(keys.revoke("B", 99).await.unwrap());
    assert!(!keys.rotate("B", &[3; 32], 77).await.unwrap());
    let revoked = KeyRecord { revoked_ms: Some(88), ..rotated };
    assert!(!keys.revoke("none", 1).await.unwrap());
    assert!(!keys.rotate("none", &[3; 32], 1).await.unwrap());
    assert_eq!(keys.list(None, 2).await.unwrap(), [key("A"), revoked]);
    assert_eq!(keys.list(Some("B"), 9).await.unwrap(), [key("a")]);
}
