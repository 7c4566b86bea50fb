//! Who may come in: block lists, keys, bots, limits, challenges.
//!
//! The order is that of cost: lists, then Cloudflare's own counter, then what the head alone tells, then what needs a
//! fetch, last the exact limit, which counts no request that is refused here for another reason. Nothing here knows the runtime: what
//! must be asked of others goes through [`Outside`], so that every order and outcome is tested natively.

pub mod address;
pub mod bot;
pub mod browser_head;
pub mod clearance;
pub mod config;
pub mod credential;
pub mod directory_cache;
pub mod honeypot;
pub mod key_bucket;
pub mod key_directory;
pub mod key_limit;
pub mod key_memory;
pub mod lists;
pub mod message_signature;
pub mod record;
mod refusals;
pub mod rule;
pub mod turnstile;
pub mod user_agent;
pub mod web_bot_auth;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use goblin_shared::{
    api_key::ApiKey,
    headers::TURNSTILE_TOKEN,
    rate_limit::{RateFields, Seconds, Standing},
};

pub use self::{
    address::client_address,
    config::AdmitConfig,
    directory_cache::{DirectoryCache, Look},
    honeypot::Trapped,
    key_bucket::{IDLE_US, KeyBucket, Waking},
    key_directory::KeyDirectory,
    key_limit::{KeyLimitConfig, from_text, to_text},
    key_memory::KeyMemory,
    record::{Decision, Record, Verdict},
    rule::Rule,
    turnstile::TurnstileConfig,
    web_bot_auth::{AgentOrigin, Claim, directory_url},
};
use self::{
    bot::Finding,
    clearance::Holder,
    credential::Credential,
    rule::{Failure, Mode},
    turnstile::{Siteverified, TOKEN_LENGTH},
    web_bot_auth::Signature,
};
use crate::{facts::RequestFacts, preflight::Endpoint, refusal::Refusal};

/// Longest directory of an agent's keys that is read, in bytes.
pub const DIRECTORY_BYTES: usize = key_directory::BYTES;

/// What cannot be asked for now; with the reason, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(pub String);

/// What admission must ask of others.
#[expect(async_fn_in_trait, reason = "a Worker has one thread, so that no future needs to be `Send`")]
pub trait Outside {
    /// Milliseconds since 1970.
    fn unix_millis(&self) -> u64;
    /// Remembers that a client fell into a trap.
    fn trap(&self, bucket: &str);
    /// Whether a client did so a short time ago.
    fn is_trapped(&self, bucket: &str) -> bool;
    /// Counts a request of a client; false when it has made too many.
    async fn address_allows(&self, bucket: &str) -> Result<bool, Unavailable>;
    /// The public key that an agent publishes under an id; `None` when it publishes no such key.
    async fn agent_key(&self, agent: &AgentOrigin, key_id: &str) -> Result<Option<[u8; 32]>, Unavailable>;
    /// Whether an Ed25519 signature is right.
    async fn verifies(&self, key: &[u8; 32], message: &str, signature: &[u8]) -> Result<bool, Unavailable>;
    /// Asks siteverify; the body of its answer.
    async fn siteverify(&self, config: &TurnstileConfig, question: String) -> Result<Vec<u8>, Unavailable>;
    /// Takes one request from a key's quota.
    async fn take(&self, key_id: &str) -> Result<Standing, Unavailable>;
    /// The same without asking anybody, as far as one isolate can count.
    fn take_alone(&self, key_id: &str) -> Standing;
    /// Tells the operator.
    fn log(&self, message: &str);
}

/// A request that may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// For whom it was taken.
    pub verdict: Verdict,
    /// Fields that its answer carries, whoever gives it.
    pub fields: Vec<(&'static str, String)>,
}

impl Admitted {
    fn as_verdict(verdict: Verdict) -> Self {
        Self { verdict, fields: Vec::new() }
    }
}

/// Looks at a path before anything else: some are asked for by scanners only, and lead to nothing here.
pub fn tripwire(
    config: &AdmitConfig,
    facts: &RequestFacts,
    outside: &impl Outside,
    record: &mut Record,
) -> Result<(), Refusal> {
    if !config.honeypot_paths.iter().any(|path| path == facts.path()) {
        return Ok(());
    }
    let address = client_address(facts, config.dev_address_header.as_deref());
    let mut door = Door { config, facts, outside, record, address, bucket: address::bucket(address) };
    // A page of another site can make any visitor's browser ask for it; and who has no address is everybody.
    let is_made_to = matches!(facts.header("sec-fetch-site"), Some("cross-site" | "same-site"));
    let is_trusted = config.lists.allow_client(facts, address);
    if config.rules.mode(Rule::Honeypot) == Mode::Enforce && !is_trusted && !is_made_to && address.is_some() {
        outside.trap(&door.bucket);
    }
    door.found(Rule::Honeypot.into())
}

/// Decides on a request that preflight has let pass. What was decided, and what would have been, is in `record`.
pub async fn admit(
    config: &AdmitConfig,
    facts: &RequestFacts,
    endpoint: Endpoint,
    outside: &impl Outside,
    record: &mut Record,
) -> Result<Admitted, Refusal> {
    if endpoint == Endpoint::Healthz {
        record.admitted(Verdict::Health.as_str());
        return Ok(Admitted::as_verdict(Verdict::Health));
    }
    let address = client_address(facts, config.dev_address_header.as_deref());
    let bucket = address::bucket(address);
    let mut door = Door { config, facts, outside, record, address, bucket };
    let admitted = door.decide(endpoint).await?;
    // Unless something more telling than who it is was said already.
    if door.record.decision.is_none() {
        door.record.admitted(admitted.verdict.as_str());
    }
    Ok(admitted)
}

/// One request at the door.
struct Door<'a, O> {
    config: &'a AdmitConfig,
    facts: &'a RequestFacts,
    outside: &'a O,
    record: &'a mut Record,
    address: Option<IpAddr>,
    bucket: String,
}

impl<O: Outside> Door<'_, O> {
    async fn decide(&mut self, endpoint: Endpoint) -> Result<Admitted, Refusal> {
        let lists = &self.config.lists;
        let is_trusted = lists.allow_client(self.facts, self.address);
        if !is_trusted {
            for rule in lists.refuse(self.facts, self.address) {
                self.found(rule.into())?;
            }
        }
        // Cheap, and whoever tries keys or names has a limit too.
        self.limit_address().await?;
        let is_spared = is_trusted || lists.allow_path(self.facts.path());
        if endpoint.is_health() {
            return Ok(Admitted::as_verdict(Verdict::Health));
        }
        match credential::read(self.facts, &self.config.issuers) {
            Err(_) => Err(self.refuse("invalid_api_key", refusals::invalid_api_key())),
            Ok(Credential::Genuine(key)) => self.limit_key(&key).await,
            Ok(_) if is_spared => Ok(Admitted::as_verdict(Verdict::AllowList)),
            Ok(Credential::Foreign) if self.config.trust_foreign => {
                Ok(Admitted::as_verdict(Verdict::ForeignCredential))
            }
            Ok(credential) => {
                self.is_no_scanner()?;
                if let Some(claim) = self.claim()?
                    && self.proves(&claim).await?
                {
                    self.record.agent = Some(claim.agent.to_string());
                    return Ok(Admitted::as_verdict(Verdict::SignedAgent));
                }
                if bot::is_wanted(&self.config.bots, self.facts) {
                    return Ok(Admitted::as_verdict(Verdict::VerifiedBot));
                }
                self.is_no_bot()?;
                self.challenge(&credential).await
            }
        }
    }

    /// What a finding leads to, by its rule's mode.
    fn found(&mut self, finding: Finding) -> Result<(), Refusal> {
        self.breaks(finding, || refusals::denied(finding.rule))
    }

    fn breaks(&mut self, finding: Finding, refusal: impl FnOnce() -> Refusal) -> Result<(), Refusal> {
        match self.config.rules.mode(finding.rule) {
            Mode::Off => Ok(()),
            Mode::Observe => {
                self.record.observe(finding);
                Ok(())
            }
            Mode::Enforce => {
                self.record.pattern = finding.pattern;
                self.record.detail = finding.detail.map(str::to_owned).or(self.record.detail.take());
                Err(self.refuse(finding.rule.as_str(), refusal()))
            }
        }
    }

    fn refuse(&mut self, reason: &'static str, refusal: Refusal) -> Refusal {
        self.record.refused(reason);
        refusal
    }

    /// What a rule depends on fails: tells of it, and decides as configured.
    fn lacks(&mut self, rule: Rule, reason: &'static str, failure: Failure, why: &Unavailable) -> Result<(), Refusal> {
        self.record.lacked(rule);
        self.outside.log(&format!("{reason}: {}", why.0));
        if failure == Failure::Closed && self.config.rules.mode(rule) == Mode::Enforce {
            return Err(self.refuse(reason, refusals::unavailable()));
        }
        self.record.admitted(reason);
        Ok(())
    }

    fn is_no_scanner(&mut self) -> Result<(), Refusal> {
        if self.config.rules.looks_at(Rule::Honeypot) && self.outside.is_trapped(&self.bucket) {
            self.found(Rule::Honeypot.into())?;
        }
        Ok(())
    }

    fn is_no_bot(&mut self) -> Result<(), Refusal> {
        for finding in bot::findings(&self.config.bots, &self.config.rules, self.facts) {
            self.found(finding)?;
        }
        Ok(())
    }

    async fn limit_address(&mut self) -> Result<(), Refusal> {
        if !self.config.rules.looks_at(Rule::AddressLimit) {
            return Ok(());
        }
        match self.outside.address_allows(&self.bucket).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let policy = self.config.address_limit;
                self.breaks(Rule::AddressLimit.into(), || refusals::address_limit(&policy))
            }
            Err(why) => {
                // Cloudflare's counter is approximate by design: nobody is refused for its absence.
                self.record.lacked(Rule::AddressLimit);
                self.outside.log(&format!("address_limit: {}", why.0));
                Ok(())
            }
        }
    }

    /// Who the request claims to be, if its signature says so and that agent is known here.
    fn claim(&mut self) -> Result<Option<Claim>, Refusal> {
        if !self.config.rules.looks_at(Rule::WebBotAuth) {
            return Ok(None);
        }
        let request = message_signature::SignedRequest {
            method: &self.facts.method,
            url: &self.facts.url,
            fields: &self.facts.fields,
        };
        match web_bot_auth::read(&request, &self.config.agents, self.outside.unix_millis() / 1_000) {
            Ok(Signature::Claimed(claim)) => Ok(Some(claim)),
            Ok(Signature::None | Signature::Unlisted) => Ok(None),
            Err(error) => {
                self.record.detail = Some(error.to_string());
                self.breaks(Rule::WebBotAuth.into(), || refusals::unproven(&error.to_string()))?;
                Ok(None)
            }
        }
    }

    /// Whether a claim is true. When it cannot be checked the request is like any other.
    async fn proves(&mut self, claim: &Claim) -> Result<bool, Refusal> {
        let checked = match self.outside.agent_key(&claim.agent, &claim.key_id).await {
            Ok(Some(key)) => self.outside.verifies(&key, &claim.base, &claim.signature).await,
            Ok(None) => Ok(false),
            Err(why) => Err(why),
        };
        match checked {
            Ok(true) => return Ok(true),
            Ok(false) => {
                let why = "the signature is not of a key in the agent's directory";
                self.breaks(Rule::WebBotAuth.into(), || refusals::unproven(why))?;
            }
            Err(why) => {
                self.record.lacked(Rule::WebBotAuth);
                self.outside.log(&format!("web_bot_auth: {}", why.0));
            }
        }
        Ok(false)
    }

    async fn challenge(&mut self, credential: &Credential) -> Result<Admitted, Refusal> {
        let unchallenged = match credential {
            Credential::Foreign => Verdict::ForeignCredential,
            _ => Verdict::Anonymous,
        };
        let Some(turnstile) = self.config.turnstile.as_ref().filter(|_| self.config.rules.looks_at(Rule::Turnstile))
        else {
            return Ok(Admitted::as_verdict(unchallenged));
        };
        let millis = self.outside.unix_millis();
        let user_agent = self.facts.header("user-agent").unwrap_or_default();
        let bucket = self.bucket.clone();
        let holder = Holder { bucket: &bucket, user_agent };
        let cookies = self.facts.header("cookie").unwrap_or_default();
        if holder.is_cleared(&self.config.clearance.key, cookies, millis / 1_000) {
            return Ok(Admitted::as_verdict(Verdict::Clearance));
        }
        let judged = match self.facts.header(TURNSTILE_TOKEN).map(str::trim) {
            None | Some("") => {
                self.breaks(Rule::Turnstile.into(), refusals::challenge_required)?;
                return Ok(Admitted::as_verdict(unchallenged));
            }
            Some(token) if token.len() > TOKEN_LENGTH => Siteverified::Failed("a token over the length".to_owned()),
            Some(token) => {
                let address = self.address.map(|address| address.to_string());
                match self.outside.siteverify(turnstile, turnstile.question(token, address.as_deref())).await {
                    Ok(answer) => turnstile.judge(&answer, millis),
                    Err(Unavailable(why)) => Siteverified::Unusable(why),
                }
            }
        };
        match judged {
            Siteverified::Solved => {
                let cookie = holder.set_cookie(&self.config.clearance, millis / 1_000, turnstile.clearance_s);
                Ok(Admitted { verdict: Verdict::Turnstile, fields: vec![("set-cookie", cookie)] })
            }
            Siteverified::Failed(why) => {
                self.record.detail = Some(why.clone());
                self.breaks(Rule::Turnstile.into(), || refusals::challenge_failed(&why))?;
                Ok(Admitted::as_verdict(unchallenged))
            }
            Siteverified::Unusable(why) => {
                self.lacks(Rule::Turnstile, "turnstile_unavailable", turnstile.failure, &Unavailable(why))?;
                Ok(Admitted::as_verdict(unchallenged))
            }
        }
    }

    async fn limit_key(&mut self, key: &ApiKey) -> Result<Admitted, Refusal> {
        let mut admitted = Admitted::as_verdict(Verdict::ApiKey);
        if !self.config.rules.looks_at(Rule::KeyLimit) {
            return Ok(admitted);
        }
        let KeyLimitConfig { policy, failure, .. } = self.config.key_limit;
        let standing = match self.outside.take(key.id()).await {
            Ok(standing) => {
                admitted.fields = refusals::rate_fields(&RateFields::new("burst", &policy, &standing));
                standing
            }
            Err(why) => {
                self.lacks(Rule::KeyLimit, "key_limit_unavailable", failure, &why)?;
                self.outside.take_alone(key.id())
            }
        };
        if !standing.passes {
            let fields = RateFields::new("burst", &policy, &standing);
            let seconds = Seconds(standing.retry_after);
            self.breaks(Rule::KeyLimit.into(), || refusals::key_limit(&fields, seconds))?;
        }
        Ok(admitted)
    }
}
