//! Makes, rotates and revokes API keys, for the commands and for `/admin` alike.

use std::{sync::Arc, time::Duration};

use goblin_shared::api_key::{ApiKey, IssuerSecret};

use super::api_keys::hash;
use crate::ports::{Clock, Entropy, KeyRecord, Keys, LimitSet, Owner, Quota, Scopes, StoreError};

/// Longest name of a key, in characters.
const NAME: usize = 128;
/// Longest name of a user or tenant, in bytes.
const OWNER_BYTES: usize = 256;
/// Longest life of a key, and longest overlap at its rotation: ten years.
const LONGEST: Duration = Duration::from_hours(24 * 3_653);
/// How long the previous secret counts after a rotation when nothing else is said.
pub(crate) const OVERLAP: Duration = Duration::from_hours(24);
/// Most keys of one page.
pub(crate) const PAGE: u32 = 100;

/// A key that somebody wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NewKey {
    /// For people; empty: none.
    pub(crate) name: String,
    /// Whose it is to be; `None`: the user is the key itself, by its id.
    pub(crate) user: Option<String>,
    /// Whose the user is.
    pub(crate) tenant: Option<String>,
    /// What it may do.
    pub(crate) scopes: Scopes,
    /// How much.
    pub(crate) limits: LimitSet,
    /// How long it counts; `None`: until it is revoked.
    pub(crate) expires_in: Option<Duration>,
}

/// A key whose secret is known for this moment only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issued {
    /// The key as its holder has it.
    pub(crate) key: ApiKey,
    /// What is kept of it.
    pub(crate) record: KeyRecord,
}

/// Why a key was not made or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OfficeError {
    /// A wish that cannot be granted.
    #[error("{field} {reason}")]
    Invalid {
        /// The part of the wish at fault.
        field: &'static str,
        /// What it must be.
        reason: &'static str,
    },
    /// There is no key with this id.
    #[error("there is no key with this id; `keys list` shows all")]
    NoSuchKey,
    /// A revoked key stays revoked.
    #[error("the key is revoked, and stays so; create another")]
    Revoked,
    /// No issuer's secret is configured.
    #[error("no issuer secret is configured (auth.issuer_secrets), without which no key can be made")]
    NoIssuer,
    /// Nothing is known of what became of it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where keys are made.
pub(crate) struct KeyOffice {
    keys: Arc<dyn Keys>,
    issuer: Option<IssuerSecret>,
    entropy: Arc<dyn Entropy>,
    clock: Arc<dyn Clock>,
}

impl KeyOffice {
    /// Makes keys with this issuer's secret. Without one, keys can still be listed and revoked.
    pub(crate) fn new(
        keys: Arc<dyn Keys>,
        issuer: Option<IssuerSecret>,
        entropy: Arc<dyn Entropy>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { keys, issuer, entropy, clock }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.unix_millis()
    }

    /// Makes a key and keeps what is to be kept of it.
    pub(crate) async fn create(&self, wish: NewKey) -> Result<Issued, OfficeError> {
        if wish.name.chars().count() > NAME || wish.name.chars().any(char::is_control) {
            return Err(invalid("name", "must be at most 128 characters, none of them a control character"));
        }
        for (field, name) in [("user", &wish.user), ("tenant", &wish.tenant)] {
            let fits = |name: &String| {
                !name.trim().is_empty() && name.len() <= OWNER_BYTES && !name.chars().any(char::is_control)
            };
            if !name.as_ref().is_none_or(fits) {
                return Err(invalid(field, "must be 1 to 256 bytes, none of them a control character"));
            }
        }
        if wish.scopes == Scopes::NONE {
            return Err(invalid("scopes", "must name at least one of chat, conversations and admin"));
        }
        if wish.expires_in.is_some_and(|life| life.is_zero() || life > LONGEST) {
            return Err(invalid("expires", "must be in the future, within ten years"));
        }
        // What a store keeps is signed.
        if Quota::ALL.into_iter().filter_map(|quota| wish.limits.of(quota)).any(|limit| i64::try_from(limit).is_err()) {
            return Err(invalid("limits", "must be smaller"));
        }
        let issuer = self.issuer.as_ref().ok_or(OfficeError::NoIssuer)?;
        let key = ApiKey::mint(issuer, &self.entropy.key_entropy());
        let now_ms = self.now_ms();
        let owner =
            Owner { tenant: wish.tenant.unwrap_or_default(), user: wish.user.unwrap_or_else(|| key.id().to_owned()) };
        let record = KeyRecord {
            id: key.id().to_owned(),
            secret_hash: hash(&key),
            previous: None,
            name: wish.name,
            owner,
            scopes: wish.scopes,
            limits: wish.limits,
            created_ms: now_ms,
            expires_ms: wish.expires_in.map(|life| after(now_ms, life)),
            revoked_ms: None,
        };
        self.keys.insert(&record).await?;
        Ok(Issued { key, record })
    }

    /// Gives a key a new secret; the one that it had counts for `overlap` more.
    pub(crate) async fn rotate(&self, id: &str, overlap: Duration) -> Result<Issued, OfficeError> {
        if overlap > LONGEST {
            return Err(invalid("overlap", "must be at most ten years"));
        }
        let issuer = self.issuer.as_ref().ok_or(OfficeError::NoIssuer)?;
        let key = ApiKey::mint_successor(issuer, id, &self.entropy.key_entropy()).ok_or(OfficeError::NoSuchKey)?;
        // Looked up first: once the new secret counts, nothing may keep it from whoever asked for it.
        let record = self.keys.find(id).await?.ok_or(OfficeError::NoSuchKey)?;
        let (secret_hash, until_ms) = (hash(&key), after(self.now_ms(), overlap));
        if !self.keys.rotate(id, &secret_hash, until_ms).await? {
            return Err(OfficeError::Revoked);
        }
        let previous = Some((record.secret_hash, until_ms));
        Ok(Issued { key, record: KeyRecord { secret_hash, previous, ..record } })
    }

    /// Ends a key. Once more does no harm.
    pub(crate) async fn revoke(&self, id: &str) -> Result<(), OfficeError> {
        if self.keys.revoke(id, self.now_ms()).await? { Ok(()) } else { Err(OfficeError::NoSuchKey) }
    }

    /// Up to `limit` keys by id, those after `after`, and whether there are more.
    pub(crate) async fn list(&self, after: Option<&str>, limit: u32) -> Result<(Vec<KeyRecord>, bool), OfficeError> {
        let limit = limit.clamp(1, PAGE);
        let mut keys = self.keys.list(after, limit + 1).await?;
        let more = keys.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        if more {
            keys.pop();
        }
        Ok((keys, more))
    }
}

fn invalid(field: &'static str, reason: &'static str) -> OfficeError {
    OfficeError::Invalid { field, reason }
}

fn after(now_ms: u64, time: Duration) -> u64 {
    now_ms.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
