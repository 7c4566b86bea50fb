//! API keys as they are kept.

use async_trait::async_trait;

use super::{LimitSet, Owner, Scopes, StoreError};

/// SHA-256 of a key's secret: it has more than 128 bits, so that nobody finds it from this.
pub(crate) type SecretHash = [u8; 32];

/// A key. Its secret is nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRecord {
    /// Which key it is, 12 characters; not secret.
    pub(crate) id: String,
    /// Of the secret that counts.
    pub(crate) secret_hash: SecretHash,
    /// Of the one before the last rotation, and until when that counts too (milliseconds since 1970).
    pub(crate) previous: Option<(SecretHash, u64)>,
    /// For people.
    pub(crate) name: String,
    /// Whose it is; the user is the id where none was named.
    pub(crate) owner: Owner,
    /// What it may do.
    pub(crate) scopes: Scopes,
    /// How much.
    pub(crate) limits: LimitSet,
    /// Milliseconds since 1970, as all times here.
    pub(crate) created_ms: u64,
    /// From when on it counts no more.
    pub(crate) expires_ms: Option<u64>,
    /// Since when it counts no more.
    pub(crate) revoked_ms: Option<u64>,
}

/// Where keys are kept.
#[async_trait]
pub(crate) trait Keys: Send + Sync {
    /// The key of an id.
    async fn find(&self, id: &str) -> Result<Option<KeyRecord>, StoreError>;

    /// Keeps a new key. Ids are random: one that is taken already is an error of the store.
    async fn insert(&self, key: &KeyRecord) -> Result<(), StoreError>;

    /// Up to `limit` keys by id, those after `after`; revoked and expired ones too.
    async fn list(&self, after: Option<&str>, limit: u32) -> Result<Vec<KeyRecord>, StoreError>;

    /// Makes `secret_hash` the key's, and what was its until now the previous one, which counts until `overlap_until_ms`.
    /// `false`: there is no such key, or it is revoked.
    async fn rotate(&self, id: &str, secret_hash: &SecretHash, overlap_until_ms: u64) -> Result<bool, StoreError>;

    /// From now on it counts no more. `false`: there is no such key. Revoking twice keeps the first time.
    async fn revoke(&self, id: &str, now_ms: u64) -> Result<bool, StoreError>;
}
