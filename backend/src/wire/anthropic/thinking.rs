//! How hard a model thinks, and how long its answer may be, which has the thinking in it.
//!
//! Models from generation 4.6 on decide themselves how long they think, and are told an effort; later ones refuse
//! budgets. Those up to 4.5 know budgets alone. Sources:
//! <https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking>,
//! <https://platform.claude.com/docs/en/build-with-claude/extended-thinking>.

use super::request::Thinking;
use crate::{
    ports::Inexpressible,
    wire::{
        Model,
        neutral::{Reasoning, Request},
        strict::{foreign, refuse},
    },
};

/// Longest answer in tokens where neither the client nor the catalogue sets a bound, which must be there. All models of
/// the last years can give as many.
const MAX_TOKENS: u64 = 8_192;
/// Longest answer in tokens where the client sets no bound and waits for it whole: what comes in ten minutes at 128,000
/// tokens an hour, beyond which Anthropic's own clients want a stream
/// (<https://github.com/anthropics/anthropic-sdk-python#long-requests>).
const UNSTREAMED_MAX_TOKENS: u64 = 21_333;
/// Smallest budget in tokens.
const LEAST_BUDGET: u64 = 1_024;
/// The first generation that decides itself how long it thinks.
const ADAPTIVE_FROM: (u32, u32) = (4, 6);

/// What a request says of it.
#[derive(Debug, PartialEq)]
pub(super) struct Wish {
    /// Member `thinking`.
    pub(super) thinking: Option<Thinking>,
    /// Member `output_config.effort`.
    pub(super) effort: Option<String>,
    /// Member `max_tokens`.
    pub(super) max_tokens: u64,
}

/// How hard to think. `minimal` becomes `low`, the least that models know.
///
/// For models that know budgets alone an effort becomes one: `minimal` 1,024 tokens, `low` 2,048, `medium` 8,192, `high`
/// 16,384, above 32,768, but no more than half of the longest answer. The numbers are this gateway's own; no provider
/// documents any. Models that do not think are not told not to.
pub(super) fn wish(request: &Request, model: &Model) -> Result<Wish, Inexpressible> {
    let kind = |kind: &str| Some(Thinking { kind: kind.to_owned(), ..Thinking::default() });
    let enabled =
        |budget| Some(Thinking { kind: "enabled".to_owned(), budget_tokens: Some(budget), ..Thinking::default() });
    let told = |thinking, effort, budget| Ok(Wish { thinking, effort, max_tokens: max_tokens(request, model, budget) });
    let adapts = generation(&model.name).is_none_or(|generation| generation >= ADAPTIVE_FROM);
    let word = match request.reasoning.as_ref() {
        None => return told(None, None, 0),
        Some(Reasoning::Off) => return told(kind("disabled").filter(|_| model.reasons), None, 0),
        Some(Reasoning::Budget(tokens)) => return told(enabled(*tokens), None, *tokens),
        Some(Reasoning::Adaptive) if adapts => return told(kind("adaptive"), None, 0),
        // The effort that models have by themselves.
        Some(Reasoning::Adaptive) => "high",
        Some(Reasoning::Effort(word)) => word.as_str(),
    };
    let (word, budget) = match word {
        "minimal" => ("low", LEAST_BUDGET),
        "low" => (word, 2_048),
        "medium" => (word, 8_192),
        "high" => (word, 16_384),
        "xhigh" | "max" => (word, 32_768),
        _ => return Err(foreign("reasoning_effort")),
    };
    if adapts {
        return told(kind("adaptive"), Some(word.to_owned()), 0);
    }
    let max_tokens = max_tokens(request, model, budget);
    if max_tokens <= LEAST_BUDGET {
        let advice = format!("This model needs more than {LEAST_BUDGET} tokens to think and answer; allow more.");
        return Err(refuse(request.places.max_tokens(), advice));
    }
    Ok(Wish { thinking: enabled(budget.min(max_tokens / 2).max(LEAST_BUDGET)), effort: None, max_tokens })
}

/// The client's bound, or else the model's, or else one that has room for the budget.
fn max_tokens(request: &Request, model: &Model, budget: u64) -> u64 {
    request.max_tokens.unwrap_or_else(|| {
        let most = model.max_output_tokens.unwrap_or(MAX_TOKENS.saturating_add(budget));
        if request.stream { most } else { most.min(UNSTREAMED_MAX_TOKENS) }
    })
}

/// The generation that a model's name tells, such as 4.5 of `claude-haiku-4-5-20251001` and 3.7 of
/// `anthropic/claude-3.7-sonnet`: the first number of one or two digits after `claude-`, and the next one. Dates have
/// more digits. `None` where the name tells none, which current models are believed of.
/// Source: <https://platform.claude.com/docs/en/about-claude/models/overview>.
fn generation(name: &str) -> Option<(u32, u32)> {
    let name = name.to_ascii_lowercase();
    let (_, rest) = name.split_once("claude-")?;
    let number = |word: &str| word.parse::<u32>().ok().filter(|_| word.len() <= 2);
    let mut words = rest.split(['-', '.', '@', ':']).map(number).skip_while(Option::is_none);
    let major = words.next().flatten()?;
    Some((major, words.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_generations() {
        for (name, expected) in [
            ("claude-haiku-4-5", Some((4, 5))),
            ("claude-haiku-4-5-20251001", Some((4, 5))),
            ("claude-haiku-4-5@20251001", Some((4, 5))),
            ("us.anthropic.claude-opus-4-20250514-v1:0", Some((4, 0))),
            ("anthropic/claude-3.7-sonnet:thinking", Some((3, 7))),
            ("Claude-Opus-4-6", Some((4, 6))),
            ("claude-sonnet-5", Some((5, 0))),
            ("claude-opus-5-5", Some((5, 5))),
            ("claude-opus-10", Some((10, 0))),
            ("claude-next", None),
            ("m", None),
        ] {
            assert_eq!(generation(name), expected, "{name}");
        }
    }

    fn asked(name: &str, word: &str, max_tokens: Option<u64>) -> Result<Wish, Inexpressible> {
        let reasoning = Some(Reasoning::Effort(word.to_owned()));
        let request = Request { reasoning, max_tokens, stream: true, ..Request::default() };
        wish(&request, &Model { max_output_tokens: Some(64_000), ..Model::named(name) })
    }

    #[test]
    fn older_models_get_a_budget_and_others_an_effort() {
        for name in ["claude-haiku-5-5", "claude-opus-4-6", "claude-next"] {
            let Wish { thinking, effort, max_tokens } = asked(name, "low", None).unwrap();
            assert_eq!((thinking.unwrap().kind.as_str(), effort.as_deref()), ("adaptive", Some("low")), "{name}");
            assert_eq!(max_tokens, 64_000);
        }
        for (word, bound, budget) in [
            ("minimal", None, 1_024),
            ("low", None, 2_048),
            ("medium", None, 8_192),
            ("high", None, 16_384),
            ("max", None, 32_000),
            ("high", Some(10_000), 5_000),
            ("high", Some(1_025), 1_024),
        ] {
            let Wish { thinking, effort, max_tokens } = asked("claude-haiku-4-5", word, bound).unwrap();
            let thinking = thinking.unwrap();
            assert_eq!((thinking.kind.as_str(), thinking.budget_tokens), ("enabled", Some(budget)), "{word}");
            assert_eq!((effort, max_tokens), (None, bound.unwrap_or(64_000)));
        }
        assert_eq!(asked("claude-haiku-4-5", "low", Some(1_024)).unwrap_err().param, "max_tokens");
        assert_eq!(asked("claude-haiku-4-5", "immense", None).unwrap_err().param, "reasoning_effort");
    }

    #[test]
    fn the_bound_is_the_clients_or_the_models() {
        let bound = |stream, max_tokens, max_output_tokens| {
            let request = Request { max_tokens, stream, ..Request::default() };
            let model = Model { max_output_tokens, ..Model::named("m") };
            wish(&request, &model).unwrap().max_tokens
        };
        assert_eq!(bound(true, None, Some(64_000)), 64_000);
        assert_eq!(bound(false, None, Some(64_000)), 21_333);
        assert_eq!(bound(false, None, Some(4_096)), 4_096);
        assert_eq!(bound(false, Some(64_000), Some(4_096)), 64_000);
        assert_eq!(bound(true, None, None), 8_192);
    }

    #[test]
    fn models_that_do_not_think_are_told_nothing() {
        let request = Request { reasoning: Some(Reasoning::Off), ..Request::default() };
        let told = |reasons| wish(&request, &Model { reasons, ..Model::named("m") }).unwrap().thinking;
        assert_eq!(told(true).map(|thinking| thinking.kind), Some("disabled".to_owned()));
        assert_eq!(told(false), None);
    }
}
