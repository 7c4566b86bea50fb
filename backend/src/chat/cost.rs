//! What tokens cost, in whole numbers.
//!
//! Prices are trillionths of a dollar per token. Products are added up exactly and rounded once, half up, to billionths
//! of a dollar.

use goblin_shared::catalogue::Price;

use crate::ports::TokenCounts;

/// The most that is kept of any amount: a store's integers are signed.
pub(super) const MOST: u64 = i64::MAX as u64;

/// How a provider says that it processed a request, as far as that decides on the price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tier {
    /// At the ordinary price.
    Standard,
    /// At the price of batches, which OpenAI's `flex` has too
    /// (<https://developers.openai.com/api/docs/guides/flex-processing>).
    Batch,
    /// Faster, at a price that no catalogue has.
    Priority,
}

impl Tier {
    /// Of an answer's `service_tier`. What is not known here costs the ordinary price: servers have words of their own
    /// for what they always do.
    pub(super) fn of(service_tier: Option<&str>) -> Self {
        match service_tier {
            Some("flex" | "batch") => Self::Batch,
            Some("priority" | "fast" | "ultrafast" | "scale") => Self::Priority,
            _ => Self::Standard,
        }
    }
}

/// Whether a catalogue can know what a request costs that asks for this `service_tier`, as it is written in the body. `auto`
/// leaves it to the project's settings at the provider, which may make it dearer: those who limit spending should not set
/// it so.
pub(super) fn may_be_priced(asked: Option<&str>) -> bool {
    const PRICED: [&str; 6] = ["auto", "default", "flex", "standard", "standard_only", "on_demand"];
    asked.is_none_or(|tier| PRICED.contains(&tier))
}

/// Trillionths of a dollar for a token of each kind.
struct Rates {
    input: u32,
    cached: u32,
    written: u32,
    output: u32,
    reasoning: u32,
}

/// The rates of a tier; none where the catalogue cannot know them. Where no price of batches is listed the ordinary one
/// counts, which is never less.
fn rates(price: &Price, tier: Tier) -> Option<Rates> {
    let written = price.cache_write_input.unwrap_or(price.input);
    let ordinary = Rates {
        input: price.input,
        cached: price.cached_input.unwrap_or(price.input),
        written,
        output: price.output,
        reasoning: price.reasoning.unwrap_or(price.output),
    };
    match (tier, price.batch) {
        (Tier::Priority, _) => None,
        (Tier::Standard, _) | (Tier::Batch, None) => Some(ordinary),
        (Tier::Batch, Some(batch)) => Some(Rates {
            input: batch.input,
            cached: batch.cached_input.unwrap_or(batch.input),
            // Of writing to a cache the ordinary price is known alone.
            written,
            output: batch.output,
            reasoning: batch.output,
        }),
    }
}

/// What tokens cost in billionths of a dollar; `None` where the price is not known. Parts that are larger than their
/// whole count as the whole; what is more than a store can keep is the most that it can.
pub(super) fn cost(price: Option<&Price>, tier: Tier, tokens: &TokenCounts) -> Option<u64> {
    let Rates { input, cached, written, output, reasoning } = rates(price?, tier)?;
    let from_cache = tokens.cached.min(tokens.prompt);
    let to_cache = tokens.cache_write.min(tokens.prompt - from_cache);
    let thought = tokens.reasoning.min(tokens.completion);
    let parts = [
        (tokens.prompt - from_cache - to_cache, input),
        (from_cache, cached),
        (to_cache, written),
        (tokens.completion - thought, output),
        (thought, reasoning),
    ];
    Some(rounded(parts))
}

/// The most that a request may cost: no token is cheaper than the dearest of its side, whatever cache or tier.
pub(super) fn most(price: &Price, prompt: u64, completion: u64) -> u64 {
    let input = price.input.max(price.cache_write_input.unwrap_or(0));
    let output = price.output.max(price.reasoning.unwrap_or(0));
    rounded([(prompt, input), (completion, output)])
}

fn rounded(parts: impl IntoIterator<Item = (u64, u32)>) -> u64 {
    // Each product is below 2^96.
    let trillionths: u128 = parts.into_iter().map(|(tokens, rate)| u128::from(tokens) * u128::from(rate)).sum();
    u64::try_from((trillionths + 500) / 1_000).unwrap_or(MOST).min(MOST)
}

#[cfg(test)]
mod tests {
    use goblin_shared::catalogue::BatchPrice;
    use proptest::prelude::*;

    use super::*;

    const PRICE: Price = Price {
        from: 0,
        input: 2_000_000,
        cached_input: Some(500_000),
        cache_write_input: Some(2_500_000),
        output: 8_000_000,
        reasoning: Some(9_000_000),
        batch: Some(BatchPrice { input: 1_000_000, cached_input: Some(250_000), output: 4_000_000 }),
    };

    fn tokens(prompt: u64, completion: u64) -> TokenCounts {
        TokenCounts { prompt, completion, ..TokenCounts::default() }
    }

    #[test]
    fn every_kind_of_token_has_its_price() {
        let all = TokenCounts { cached: 300, cache_write: 200, reasoning: 40, ..tokens(1_000, 100) };
        // 500 × 2 + 300 × 0.5 + 200 × 2.5 + 60 × 8 + 40 × 9, in millionths of a dollar.
        assert_eq!(cost(Some(&PRICE), Tier::Standard, &all), Some(2_490_000));
        // 500 × 1 + 300 × 0.25 + 200 × 2.5 + 100 × 4.
        assert_eq!(cost(Some(&PRICE), Tier::Batch, &all), Some(1_475_000));
        let plain = Price { cached_input: None, cache_write_input: None, reasoning: None, batch: None, ..PRICE };
        for tier in [Tier::Standard, Tier::Batch] {
            assert_eq!(cost(Some(&plain), tier, &all), Some(2_800_000), "{tier:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_zero() {
        assert_eq!(cost(None, Tier::Standard, &tokens(1, 1)), None);
        assert_eq!(cost(Some(&PRICE), Tier::Priority, &tokens(1, 1)), None);
        assert_eq!(cost(Some(&PRICE), Tier::Standard, &tokens(0, 0)), Some(0));
    }

    #[test]
    fn half_a_billionth_is_rounded_up() {
        let price = Price { input: 1, cached_input: None, cache_write_input: None, ..PRICE };
        for (prompt, nano) in [(0, 0), (499, 0), (500, 1), (1_499, 1), (1_500, 2)] {
            assert_eq!(cost(Some(&price), Tier::Standard, &tokens(prompt, 0)), Some(nano), "{prompt}");
        }
    }

    #[test]
    fn tiers_are_the_vendors_words() {
        for (word, tier) in [
            (None, Tier::Standard),
            (Some("default"), Tier::Standard),
            (Some("standard"), Tier::Standard),
            (Some("on_demand"), Tier::Standard),
            (Some("flex"), Tier::Batch),
            (Some("batch"), Tier::Batch),
            (Some("priority"), Tier::Priority),
        ] {
            assert_eq!(Tier::of(word), tier, "{word:?}");
        }
    }

    fn prices() -> impl Strategy<Value = Price> {
        let optional = || prop::option::of(any::<u32>());
        let batch = prop::option::of((any::<u32>(), optional(), any::<u32>()));
        (any::<u32>(), optional(), optional(), any::<u32>(), optional(), batch).prop_map(
            |(input, cached_input, cache_write_input, output, reasoning, batch)| Price {
                from: 0,
                input,
                cached_input,
                cache_write_input,
                output,
                reasoning,
                batch: batch.map(|(input, cached_input, output)| BatchPrice { input, cached_input, output }),
            },
        )
    }

    fn counts() -> impl Strategy<Value = TokenCounts> {
        let count = || prop_oneof![0_u64..10_000, any::<u64>()];
        (count(), count(), count(), count(), count()).prop_map(
            |(prompt, completion, cached, cache_write, reasoning)| TokenCounts {
                prompt,
                completion,
                cached,
                cache_write,
                reasoning,
                estimated: false,
            },
        )
    }

    proptest! {
        /// Against the definition, token by token of each kind, in wide numbers.
        #[test]
        fn costs_are_those_of_wide_arithmetic(price in prices(), tokens in counts()) {
            let wide = |count: u64, rate: u32| u128::from(count) * u128::from(rate);
            let cached = tokens.cached.min(tokens.prompt);
            let written = tokens.cache_write.min(tokens.prompt - cached);
            let thought = tokens.reasoning.min(tokens.completion);
            let sum = wide(tokens.prompt - cached - written, price.input)
                + wide(cached, price.cached_input.unwrap_or(price.input))
                + wide(written, price.cache_write_input.unwrap_or(price.input))
                + wide(tokens.completion - thought, price.output)
                + wide(thought, price.reasoning.unwrap_or(price.output));
            let nano = sum / 1_000 + u128::from(sum % 1_000 >= 500);
            let expected = nano.min(u128::from(MOST));
            prop_assert_eq!(cost(Some(&price), Tier::Standard, &tokens).map(u128::from), Some(expected));
        }

        /// More tokens of a kind never cost less, and nothing costs more than was reserved for it.
        #[test]
        fn costs_grow_and_stay_within_the_bound(
            price in prices(), tokens in counts(), more in 0_u64..1_000_000, standard: bool,
        ) {
            let tier = if standard { Tier::Standard } else { Tier::Batch };
            let before = cost(Some(&price), tier, &tokens).unwrap();
            for grown in [
                TokenCounts { prompt: tokens.prompt.saturating_add(more), ..tokens },
                TokenCounts { completion: tokens.completion.saturating_add(more), ..tokens },
            ] {
                prop_assert!(cost(Some(&price), tier, &grown).unwrap() >= before);
            }
            let dearest_cached = price.cached_input.is_none_or(|cached| cached <= price.input);
            if standard && dearest_cached {
                prop_assert!(before <= most(&price, tokens.prompt, tokens.completion));
            }
        }
    }
}
