//! Which forms of thinking a model takes, by its generation.

/// What a model takes in `thinking`.
///
/// Up to 4.5 it is a budget of tokens, in 4.6 a budget or adaptive thinking, and after it adaptive thinking alone:
/// <https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    /// `enabled`, with a budget.
    pub(super) takes_budgets: bool,
    /// `adaptive`.
    pub(super) is_adaptive: bool,
    /// `output_config.effort`, which of those up to 4.5 Opus 4.5 alone has:
    /// <https://platform.claude.com/docs/en/build-with-claude/effort>.
    pub(super) takes_effort: bool,
}

impl Generation {
    /// Reads a name such as `claude-haiku-4-5-20251001`, `claude-opus-5` or `claude-3-7-sonnet-latest`. One that says no
    /// generation takes everything.
    pub(super) fn of(model: &str) -> Self {
        let all = Self { takes_budgets: true, is_adaptive: true, takes_effort: true };
        let Some(words) = model.strip_prefix("claude-") else { return all };
        // A date is no generation.
        let mut numbers = words.split('-').skip_while(|word| number(word).is_none()).map_while(number);
        let Some(major) = numbers.next() else { return all };
        let version = (major, numbers.next().unwrap_or_default());
        Self {
            takes_budgets: version <= (4, 6),
            is_adaptive: version >= (4, 6),
            takes_effort: version >= (4, 6) || (version == (4, 5) && words.starts_with("opus")),
        }
    }
}

/// The number of a generation: one or two digits.
fn number(word: &str) -> Option<u32> {
    word.parse().ok().filter(|_| word.len() <= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_taken() {
        let (old, between, new) = ((true, false), (true, true), (false, true));
        for (model, thinking, takes_effort) in [
            ("claude-haiku-4-5", old, false),
            ("claude-haiku-4-5-20251001", old, false),
            ("claude-sonnet-4-20250514", old, false),
            ("claude-3-7-sonnet-latest", old, false),
            ("claude-opus-4-5", old, true),
            ("claude-sonnet-4-6", between, true),
            ("claude-opus-4-7", new, true),
            ("claude-opus-5", new, true),
            ("claude-haiku-5-5", new, true),
            ("claude-next", between, true),
            ("m", between, true),
        ] {
            let generation = Generation::of(model);
            assert_eq!((generation.takes_budgets, generation.is_adaptive), thinking, "{model}");
            assert_eq!(generation.takes_effort, takes_effort, "{model}");
        }
    }
}
