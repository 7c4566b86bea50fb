//! What a plan depends on beside request and catalogue.

use crate::{provider_health::ProviderHealth, request_id::RequestId};

/// The circumstances of a request. Whoever knows the same makes the same plan.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The continent that it comes from, as Cloudflare codes it (`EU`, in either case). Others are as none.
    pub region: Option<&'a str>,
    /// How the providers are; without it all are taken to be well.
    pub health: Option<&'a ProviderHealth>,
    /// What chance is drawn from: [`RequestId::seed`].
    pub seed: u64,
    /// The day whose prices count, in days since 1970-01-01 in UTC: [`RequestId::unix_days`].
    pub unix_days: u32,
}

impl Circumstances<'_> {
    /// Those that the id alone tells.
    #[must_use]
    pub fn of(request_id: &RequestId) -> Self {
        Self { region: None, health: None, seed: request_id.seed(), unix_days: request_id.unix_days() }
    }
}
