//! What is shown of a key: all but its secrets.

use serde::Serialize;

use super::Issued;
use crate::ports::{KeyRecord, Scope, usd};

/// A key, for JSON. Times are whole seconds since 1970, money is decimal text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct KeyView<'a> {
    object: &'static str,
    /// Which key it is.
    pub(crate) id: &'a str,
    /// What it is called.
    pub(crate) name: &'a str,
    /// Whose it is.
    pub(crate) user: &'a str,
    /// And whose that is.
    pub(crate) tenant: Option<&'a str>,
    scopes: Vec<&'static str>,
    /// `active`, `expired` or `revoked`.
    pub(crate) state: &'static str,
    created_at: u64,
    /// From when on it counts no more.
    pub(crate) expires_at: Option<u64>,
    revoked_at: Option<u64>,
    previous_secret_until: Option<u64>,
    requests_per_minute: Option<u64>,
    tokens_per_minute: Option<u64>,
    usd_per_day: Option<String>,
    usd_per_month: Option<String>,
}

impl<'a> KeyView<'a> {
    /// As it stands at a moment.
    pub(crate) fn new(key: &'a KeyRecord, now_ms: u64) -> Self {
        let seconds = |millis: u64| millis / 1_000;
        let state = if key.revoked_ms.is_some() {
            "revoked"
        } else if key.expires_ms.is_some_and(|expires| expires <= now_ms) {
            "expired"
        } else {
            "active"
        };
        let previous = key.previous.map(|(_, until)| until).filter(|until| *until > now_ms);
        let scopes = Scope::ALL.into_iter().filter(|scope| key.scopes.contains(*scope));
        Self {
            object: "api_key",
            id: &key.id,
            name: &key.name,
            user: &key.owner.user,
            tenant: Some(key.owner.tenant.as_str()).filter(|tenant| !tenant.is_empty()),
            scopes: scopes.map(Scope::as_str).collect(),
            state,
            created_at: seconds(key.created_ms),
            expires_at: key.expires_ms.map(seconds),
            revoked_at: key.revoked_ms.map(seconds),
            previous_secret_until: previous.map(seconds),
            requests_per_minute: key.limits.requests_per_minute,
            tokens_per_minute: key.limits.tokens_per_minute,
            usd_per_day: key.limits.nano_usd_per_day.map(usd::written),
            usd_per_month: key.limits.nano_usd_per_month.map(usd::written),
        }
    }

    /// The names of its scopes with commas between.
    pub(crate) fn scopes(&self) -> String {
        self.scopes.join(",")
    }
}

/// A key that was just made, with its secret.
#[derive(Serialize)]
pub(crate) struct IssuedView<'a> {
    #[serde(flatten)]
    view: KeyView<'a>,
    /// Shown this once.
    key: &'a str,
}

impl<'a> IssuedView<'a> {
    /// As it was made.
    pub(crate) fn new(issued: &'a Issued, now_ms: u64) -> Self {
        Self { view: KeyView::new(&issued.record, now_ms), key: issued.key.expose() }
    }
}
