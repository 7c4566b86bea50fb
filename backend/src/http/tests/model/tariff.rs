//! What the model knows of models, money and tokens: written down anew, so that it is not what is tested.

use serde_json::{Value, json};

use crate::ports::day;

/// The first day of prices that change, and how many there are, which is as many as a catalogue takes of one model.
const FIRST_DAY: &str = "2027-01-15";
const PRICES: u32 = 64;
/// After so many days the price is another, so that requests are often open when it changes.
const PRICE_DAYS: u32 = 2;
/// Of `steady` in turn: trillionths of a dollar for a token that is read, read from the cache, and written. Odd digits,
/// so that rounding shows.
const CHANGING: [[u64; 3]; 2] = [[2_000_123, 500_001, 8_000_777], [1_000_321, 1_000_321, 4_000_001]];

fn first_day() -> u32 {
    day::read(FIRST_DAY).unwrap()
}

/// The catalogue that the product is given.
pub(super) fn catalogue() -> String {
    let price = |(from, [input, cached_input, output]): (&str, [u64; 3])| json!({ "from": from, "input": input, "cached_input": cached_input, "output": output });
    let days = (0..PRICES).map(|number| first_day() + number * PRICE_DAYS);
    let changing = days.zip(CHANGING.into_iter().cycle());
    let changing: Vec<_> = changing.map(|(from, rates)| price((&day::written(from), rates))).collect();
    let model = |Known { name, window, longest, .. }: Known, prices: Vec<Value>| {
        let mut model =
            json!({ "provider": "openai", "name": name, "context_window": window, "max_output_tokens": longest });
        if !prices.is_empty() {
            model["prices"] = prices.into();
        }
        model
    };
    let dear = DEAR.price.map(price).into_iter().collect();
    let pair = json!({ "strategy": "weighted", "targets": [{ "model": "openai/steady", "weight": 1 }],
        "fallbacks": ["openai/dear"] });
    json!({
        "version": "2027-01-01.1",
        "providers": { "openai": { "title": "The provider under the test's control" } },
        "models": [model(STEADY, changing), model(DEAR, dear), model(UNPRICED, Vec::new())],
        "aliases": { "pair": pair },
    })
    .to_string()
}

/// What may be asked for.
pub(super) const ASKED: [&str; 5] = ["openai/steady", "openai/steady", "openai/dear", "openai/unpriced", "pair"];

/// A model of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) window: u64,
    pub(super) longest: u64,
    /// First day, and rates as in [`CHANGING`], where it has one price from then on.
    price: Option<(&'static str, [u64; 3])>,
}

const STEADY: Known = Known { name: "steady", window: 400, longest: 64, price: None };
const DEAR: Known =
    Known { name: "dear", window: 300, longest: 48, price: Some(("2027-01-20", [6_000_500, 600, 9_000_499])) };
const UNPRICED: Known = Known { name: "unpriced", window: 400, longest: 64, price: None };

/// Who may answer what is asked for, in their order.
pub(super) fn entries(asked: &str) -> Vec<Known> {
    match asked {
        "pair" => vec![STEADY, DEAR],
        "openai/dear" => vec![DEAR],
        "openai/unpriced" => vec![UNPRICED],
        _ => vec![STEADY],
    }
}

impl Known {
    fn rates(&self, at_ms: u64) -> Option<[u64; 3]> {
        let today = day::of_millis(at_ms);
        if *self == STEADY {
            return Some(CHANGING[(((today - first_day()) / PRICE_DAYS).min(PRICES - 1) % 2) as usize]);
        }
        self.price.filter(|(from, _)| **from <= *day::written(today)).map(|(_, rates)| rates)
    }

    /// What tokens cost in billionths of a dollar, by the price of a day.
    pub(super) fn cost(&self, at_ms: u64, prompt: u64, cached: u64, completion: u64) -> Option<u64> {
        let [input, from_cache, output] = self.rates(at_ms)?;
        Some(((prompt - cached) * input + cached * from_cache + completion * output + 500) / 1_000)
    }
}

/// Tokens of texts, roles among them: a quarter for each ASCII byte and a third for any other, four for each message,
/// rounded up.
pub(super) fn tokens<'a>(messages: u64, texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let bytes = texts.into_iter().flat_map(str::bytes);
    (messages * 48 + bytes.map(|byte| if byte.is_ascii() { 3 } else { 4 }).sum::<u64>()).div_ceil(12)
}
