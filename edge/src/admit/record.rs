//! What was decided on a request, for its span and for the metric.

use super::{bot::Finding, rule::Rule};
use crate::refusal::Refusal;

/// For whom a request was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Somebody who asks for the service's health.
    Health,
    /// The holder of a key that was issued here.
    ApiKey,
    /// A client or a path that an allow list names.
    AllowList,
    /// An agent that proved its name.
    SignedAgent,
    /// A bot that Cloudflare has verified, of a category that is wanted.
    VerifiedBot,
    /// Somebody who solved a challenge a short time ago.
    Clearance,
    /// Somebody who solved a challenge just now.
    Turnstile,
    /// The holder of a credential that only the backend can judge.
    ForeignCredential,
    /// Anybody.
    Anonymous,
}

impl Verdict {
    /// As telemetry and the backend are told.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::ApiKey => "api_key",
            Self::AllowList => "allow_list",
            Self::SignedAgent => "signed_agent",
            Self::VerifiedBot => "verified_bot",
            Self::Clearance => "clearance",
            Self::Turnstile => "turnstile",
            Self::ForeignCredential => "foreign_credential",
            Self::Anonymous => "anonymous",
        }
    }
}

/// Whether a request may go on, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Admitted(&'static str),
    /// It may not.
    Refused(&'static str),
}

/// Everything that telemetry is told of an admission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The decision; `None` until there is one.
    pub decision: Option<Decision>,
    /// Rules that would have refused, were they enforced.
    pub observed: Vec<Rule>,
    /// Rules that could not be checked, as what they depend on did not answer.
    pub lacking: Vec<Rule>,
    /// The pattern of the list that the User-Agent matched.
    pub pattern: Option<&'static str>,
    /// What exactly is wrong, where the rule's name does not say it. Never a value that the client sent.
    pub detail: Option<String>,
    /// Origin of an agent that proved its name.
    pub agent: Option<String>,
}

impl Record {
    pub(super) fn admitted(&mut self, reason: &'static str) {
        self.decision = Some(Decision::Admitted(reason));
    }

    /// Notes a refusal, of admission or of preflight.
    pub fn refused(&mut self, reason: &'static str) {
        self.decision = Some(Decision::Refused(reason));
    }

    /// Notes what was answered before anybody was asked who it is.
    pub fn answered<T>(&mut self, answer: &Result<T, Refusal>, reason: &'static str) {
        match answer {
            Ok(_) => self.admitted(reason),
            Err(refusal) => self.refused(refusal.error.code.as_str()),
        }
    }

    pub(super) fn observe(&mut self, finding: Finding) {
        self.pattern = self.pattern.or(finding.pattern);
        self.detail = self.detail.take().or(finding.detail.map(str::to_owned));
        if !self.observed.contains(&finding.rule) {
            self.observed.push(finding.rule);
        }
    }

    pub(super) fn lacked(&mut self, rule: Rule) {
        if !self.lacking.contains(&rule) {
            self.lacking.push(rule);
        }
    }

    /// What the metric counts of this request, as decision and reason: it was admitted or refused once, and each rule
    /// that only observes or could not be checked counts besides.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let decision = self.decision.map(|decision| match decision {
            Decision::Admitted(reason) => ("admitted", reason),
            Decision::Refused(reason) => ("refused", reason),
        });
        let observed = self.observed.iter().map(|rule| ("observed", rule.as_str()));
        let lacking = self.lacking.iter().map(|rule| ("unavailable", rule.as_str()));
        decision.into_iter().chain(observed).chain(lacking)
    }
}
