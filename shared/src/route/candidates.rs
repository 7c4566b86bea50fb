//! Which models may answer a request, and how they are ordered.

use super::{
    circumstances::Circumstances,
    draw::{Draw, KeyHash},
};
use crate::{
    catalogue::{Catalogue, Model, Regions, Strategy, Target},
    chat_request::ChatFacts,
};

/// Tokens of an answer whose length nobody has said.
pub(super) const DEFAULT_OUTPUT_TOKENS: u32 = 256;

/// One in so many requests goes first to a model whose speed is not known, so that it becomes known.
const EXPLORE: u32 = 20;

/// A model that may answer.
pub(super) struct Candidate<'a> {
    pub(super) model: &'a Model,
    pub(super) target: &'a Target,
    /// 0 for fallbacks, which the strategy does not touch.
    pub(super) weight: u8,
    rank: u64,
}

impl<'a> Candidate<'a> {
    pub(super) fn new(catalogue: &'a Catalogue, model: usize, weight: u8) -> Self {
        Self { model: &catalogue.models()[model], target: &catalogue.targets()[model], weight, rank: 0 }
    }

    /// Why it cannot answer this, beside what it lacks in capabilities.
    pub(super) fn exceeded(&self, facts: &ChatFacts<'_>) -> Option<&'static str> {
        let output = facts.output_tokens.unwrap_or(DEFAULT_OUTPUT_TOKENS.min(self.model.max_output_tokens));
        let window = u64::from(self.model.context_window);
        if u64::from(facts.longest_input_tokens) + u64::from(output) > window {
            Some("context")
        } else if output > self.model.max_output_tokens {
            Some("output")
        } else {
            None
        }
    }

    /// Why it is not called for now.
    pub(super) fn trouble(&self, circumstances: &Circumstances<'_>) -> Option<&'static str> {
        let health = circumstances.health?;
        if !health.is_offered(&self.target.provider) {
            Some("not offered")
        } else if health.is_down(self.target) {
            Some("down")
        } else {
            None
        }
    }
}

/// Orders targets by a strategy (none: they stay), and then those that are served in the request's region before the
/// others. Equals stay in their order. Says what was out of the ordinary.
pub(super) fn order(
    targets: &mut [Candidate<'_>],
    strategy: Option<Strategy>,
    facts: &ChatFacts<'_>,
    circumstances: &Circumstances<'_>,
    region: Regions,
) -> &'static str {
    let mut draw = Draw::new(circumstances.seed);
    let mut note = "";
    match (strategy, facts.sticky) {
        (None, _) => {}
        (Some(Strategy::Sticky), Some(key)) => rank_sticky(targets, key),
        (Some(Strategy::Sticky), None) => {
            rank_weighted(targets, &mut draw);
            note = "; no key";
        }
        (Some(Strategy::Weighted), _) => rank_weighted(targets, &mut draw),
        (Some(Strategy::Fastest), _) => {
            if rank_fastest(targets, circumstances, &mut draw) {
                note = "; exploring";
            }
        }
        (Some(Strategy::Cheapest), _) => {
            for candidate in &mut *targets {
                candidate.rank = cost(candidate.model, facts, circumstances.unix_days);
            }
        }
        (Some(Strategy::Quality), _) => {
            for candidate in &mut *targets {
                candidate.rank = u64::from(u8::MAX - candidate.model.quality);
            }
        }
    }
    let key = |candidate: &Candidate<'_>| (!candidate.model.regions.serve(region), candidate.rank);
    // Insertion: they are few, and the library's stable sort would take kilobytes in WebAssembly.
    for end in 1..targets.len() {
        let mut place = end;
        while place > 0 && key(&targets[place - 1]) > key(&targets[place]) {
            targets.swap(place - 1, place);
            place -= 1;
        }
    }
    note
}

/// Draws one after the other, each by its weight among those that are left.
fn rank_weighted(targets: &mut [Candidate<'_>], draw: &mut Draw) {
    let mut total: u32 = targets.iter().map(|candidate| u32::from(candidate.weight)).sum();
    for candidate in &mut *targets {
        candidate.rank = u64::MAX;
    }
    for rank in 0..targets.len() as u64 {
        let mut ticket = draw.below(total);
        for candidate in targets.iter_mut().filter(|candidate| candidate.rank == u64::MAX) {
            let weight = u32::from(candidate.weight);
            if ticket < weight {
                candidate.rank = rank;
                total -= weight;
                break;
            }
            ticket -= weight;
        }
    }
}

/// Rendezvous hashing (Thaler, Ravishankar 1998): each target has as many numbers for the key as its weight, and the
/// highest of all wins. A target that leaves moves no key but its own, and weights are met exactly.
fn rank_sticky(targets: &mut [Candidate<'_>], key: &str) {
    let key = KeyHash::new(key);
    for candidate in targets {
        let mut numbers = Draw::new(key.of(candidate.target));
        let highest = (0..candidate.weight).map(|_| numbers.next()).max();
        candidate.rank = u64::MAX - highest.unwrap_or(0);
    }
}

/// By milliseconds as measured, then what is not measured. Now and then one of the latter is first; says whether now.
fn rank_fastest(targets: &mut [Candidate<'_>], circumstances: &Circumstances<'_>, draw: &mut Draw) -> bool {
    const UNKNOWN: u64 = u64::MAX;
    let Some(health) = circumstances.health else { return false };
    let mut unknown = 0;
    for candidate in &mut *targets {
        // From 1, so that 0 is before all.
        candidate.rank = health.first_content_ms(candidate.target).map_or(UNKNOWN, |ms| u64::from(ms) + 1);
        unknown += u32::from(candidate.rank == UNKNOWN);
    }
    if unknown == 0 || draw.below(EXPLORE) != 0 {
        return false;
    }
    let chosen = draw.below(unknown) as usize;
    if let Some(candidate) = targets.iter_mut().filter(|candidate| candidate.rank == UNKNOWN).nth(chosen) {
        candidate.rank = 0;
    }
    true
}

/// What the request costs in trillionths of a dollar; the most where no price is known.
fn cost(model: &Model, facts: &ChatFacts<'_>, day: u32) -> u64 {
    let Some(price) = model.price(day) else { return u64::MAX };
    let output = facts.output_tokens.unwrap_or(DEFAULT_OUTPUT_TOKENS);
    let input = u64::from(price.input) * u64::from(facts.prompt_tokens);
    input.saturating_add(u64::from(price.output) * u64::from(output))
}
