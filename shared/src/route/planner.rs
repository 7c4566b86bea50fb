//! From a request's facts to a plan.
//!
//! 1. **find** what the name means: the targets and fallbacks of an alias, or the providers of a model. What is of the
//!    wrong kind for the request's API is no candidate.
//! 2. **leave out** what cannot do it, what it does not fit into, and, while anything else is there, what is not well.
//! 3. **order** the targets by the alias's strategy, those of the request's region before the others.
//! 4. **canary**: its share of the requests goes to it first.
//! 5. **fallbacks** come last, in their order.

use super::{
    Plan, Planned,
    candidates::{self, Candidate},
    circumstances::Circumstances,
    draw::{Draw, KeyHash, scale},
    reason::Reason,
    refusal,
};
use crate::{
    catalogue::{Asked, Canary, Capabilities, Catalogue, Model, Regions, Strategy},
    chat_request::ChatFacts,
    error_body::ClientError,
};

/// Most entries of a plan.
pub const MOST_ENTRIES: usize = 8;

pub(super) fn plan(
    catalogue: &Catalogue,
    facts: &ChatFacts<'_>,
    circumstances: &Circumstances<'_>,
) -> Result<Planned, ClientError> {
    let mut reason = Reason::default();
    let asked = catalogue.find(&facts.model).ok_or_else(|| refusal::unknown_model(catalogue, facts))?;
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    let (strategy, canary) = match asked {
        Asked::Alias(name, alias) => {
            reason.add(&["alias ", name, "; ", alias.strategy.as_str()]);
            let targets = alias.targets.iter().filter(|choice| choice.weight > 0);
            candidates.extend(targets.map(|choice| Candidate::new(catalogue, choice.model, choice.weight)));
            for &fallback in &alias.fallbacks {
                add(&mut candidates, Candidate::new(catalogue, fallback, 0));
            }
            (Some(alias.strategy), alias.canary)
        }
        Asked::Models(models) => {
            reason.add(&["model ", &catalogue.models()[models[0]].name]);
            candidates.extend(models.into_iter().map(|model| Candidate::new(catalogue, model, 1)));
            (None, None)
        }
    };
    candidates.retain(|candidate| candidate.model.kind == facts.api.kind());
    if candidates.is_empty() {
        return Err(refusal::wrong_kind(catalogue, facts));
    }
    Planner { catalogue, facts, circumstances, reason, left_out: Reason::default() }.plan(candidates, strategy, canary)
}

/// Adds a candidate that is not there yet.
fn add<'a>(candidates: &mut Vec<Candidate<'a>>, candidate: Candidate<'a>) {
    if candidates.iter().all(|other| other.target != candidate.target) {
        candidates.push(candidate);
    }
}

struct Planner<'a> {
    catalogue: &'a Catalogue,
    facts: &'a ChatFacts<'a>,
    circumstances: &'a Circumstances<'a>,
    reason: Reason,
    left_out: Reason,
}

impl<'a> Planner<'a> {
    fn plan(
        mut self,
        mut candidates: Vec<Candidate<'a>>,
        strategy: Option<Strategy>,
        canary: Option<Canary>,
    ) -> Result<Planned, ClientError> {
        let facts = self.facts;
        let union = candidates.iter().fold(Capabilities::default(), |all, one| all.with(one.model.capabilities));
        candidates.retain(|candidate| self.is_capable(candidate));
        if candidates.is_empty() {
            return Err(self.incapable(union));
        }
        let is_doubtful = self.fit(&mut candidates)?;
        // What only may be too small must not be tried out on top.
        let mut canary = canary.filter(|_| !is_doubtful).and_then(|canary| self.canary(canary));

        let ill = |candidate: &Candidate<'_>| candidate.trouble(self.circumstances).is_some();
        let is_hopeless = candidates.iter().all(ill) && canary.as_ref().is_none_or(ill);
        if !is_hopeless {
            candidates.retain(|candidate| self.is_well(candidate));
            canary = canary.filter(|canary| self.is_well(canary));
        }

        let targets = candidates.iter().position(|candidate| candidate.weight == 0).unwrap_or(candidates.len());
        let targets = &mut candidates[..targets];
        let region = self.circumstances.region.map_or(Regions::default(), Regions::of_code);
        let note = candidates::order(targets, strategy, facts, self.circumstances, region);
        self.reason.add(&[note]);
        if !targets.iter().all(|target| target.model.regions.serve(region)) {
            self.reason.add(&["; region ", region.code().unwrap_or_default()]);
        }
        if let Some(canary) = canary {
            candidates.retain(|candidate| candidate.target != canary.target);
            candidates.insert(0, canary);
            self.reason.add(&["; canary"]);
        }
        if is_doubtful {
            self.reason.add(&["; context_doubtful"]);
        }
        if is_hopeless {
            self.reason.add(&["; none is healthy"]);
        }
        candidates.truncate(MOST_ENTRIES);
        Ok(self.finish(&candidates))
    }

    /// Whether it can do all that is needed.
    fn is_capable(&mut self, candidate: &Candidate<'_>) -> bool {
        let lacking = self.facts.needs.without(candidate.model.capabilities);
        if !lacking.is_empty() {
            let names: Vec<&str> = lacking.names().collect();
            self.leave_out(candidate, &names.join("+"));
        }
        lacking.is_empty()
    }

    /// Whether it can be called.
    fn is_well(&mut self, candidate: &Candidate<'_>) -> bool {
        let trouble = candidate.trouble(self.circumstances);
        if let Some(trouble) = trouble {
            self.leave_out(candidate, trouble);
        }
        trouble.is_none()
    }

    /// Leaves out what the request does not fit into. The prompt's length is an estimate: where it fits into nothing,
    /// the largest stay, which is doubtful, unless it is more than twice as long as they take.
    fn fit(&mut self, candidates: &mut Vec<Candidate<'_>>) -> Result<bool, ClientError> {
        let facts = self.facts;
        let is_doubtful = candidates.iter().all(|candidate| candidate.exceeded(facts).is_some());
        let largest = candidates.iter().map(|candidate| candidate.model.context_window).max().unwrap_or_default();
        if is_doubtful && facts.longest_input_tokens / 2 > largest {
            return Err(refusal::too_long(facts, largest));
        }
        candidates.retain(|candidate| {
            let exceeded = candidate.exceeded(facts);
            let stays = exceeded.is_none() || is_doubtful && candidate.model.context_window == largest;
            if !stays {
                self.leave_out(candidate, exceeded.unwrap_or_default());
            }
            stays
        });
        Ok(is_doubtful)
    }

    /// The canary, if it gets this request: by the conversation where there is one, so that all of it goes one way.
    fn canary(&mut self, canary: Canary) -> Option<Candidate<'a>> {
        let candidate = Candidate::new(self.catalogue, canary.model, 0);
        let number = match self.facts.sticky {
            Some(key) => KeyHash::new(key).of(candidate.target),
            // Another stream than that of the order.
            None => Draw::new(!self.circumstances.seed).next(),
        };
        if scale(number, 100) >= u32::from(canary.percent) || !self.is_capable(&candidate) {
            return None;
        }
        if let Some(exceeded) = candidate.exceeded(self.facts) {
            self.leave_out(&candidate, exceeded);
            return None;
        }
        Some(candidate)
    }

    fn leave_out(&mut self, candidate: &Candidate<'_>, why: &str) {
        let before = if self.left_out.is_empty() { "; left out " } else { ", " };
        self.left_out.target(before, candidate.target, &[" (", why, ")"]);
    }

    /// Nothing that was asked for is capable. What is not called here is no alternative.
    fn incapable(&self, union: Capabilities) -> ClientError {
        let health = self.circumstances.health;
        let offered = |model: &&Model| health.is_none_or(|health| health.is_offered(&model.provider));
        refusal::incapable(self.facts, union, self.catalogue.models().iter().filter(offered))
    }

    fn finish(mut self, candidates: &[Candidate<'_>]) -> Planned {
        if let Some(first) = candidates.first() {
            self.reason.target("; first ", first.target, &[]);
        }
        self.reason.add(&[&self.left_out.finish()]);
        let entries = candidates.iter().map(|candidate| candidate.target.clone()).collect();
        let plan = Plan { entries, catalogue_version: self.catalogue.version().to_owned() };
        Planned { plan, reason: self.reason.finish() }
    }
}
