//! What is known of a model.

use super::words::{Capabilities, Regions};

/// What a model makes, and so which requests it can answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Messages: `chat`.
    #[default]
    Chat,
    /// Vectors of texts: `embedding`.
    Embedding,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Chat, Self::Embedding];

    /// As the catalogue spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embedding => "embedding",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A model of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Key of the provider.
    pub provider: String,
    /// What clients call it, and the provider too unless the backend's configuration maps it.
    pub name: String,
    /// What it makes.
    pub kind: Kind,
    /// Prompt and answer together, in tokens; of an embedding model one text.
    pub context_window: u32,
    /// Longest answer in tokens; 0 of an embedding model, whose answers have none.
    pub max_output_tokens: u32,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Where it is served.
    pub regions: Regions,
    /// How good its answers are, 0 to 100; the operator's own judgement.
    pub quality: u8,
    /// What it costs, by date, ascending.
    pub prices: Vec<Price>,
}

/// What a model costs from a day on. Prices are in millionths of a dollar per million tokens, which is trillionths of a
/// dollar per token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// The first day, in days since 1970-01-01, in UTC.
    pub from: u32,
    /// Of the prompt.
    pub input: u32,
    /// Of what the provider remembers of the prompt, where that is cheaper.
    pub cached_input: Option<u32>,
    /// Of what the provider is to remember of the prompt, where that is dearer.
    pub cache_write_input: Option<u32>,
    /// Of the answer; 0 of an embedding model.
    pub output: u32,
    /// Of what of the answer is reasoning, where that is another.
    pub reasoning: Option<u32>,
    /// Of what is not done at once, where that is cheaper.
    pub batch: Option<BatchPrice>,
}

/// What a model costs where the provider may take its time: in batches, or as OpenAI's `service_tier` `flex`. Units are
/// those of [`Price`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchPrice {
    /// Of the prompt.
    pub input: u32,
    /// Of what the provider remembers of the prompt, where that is cheaper.
    pub cached_input: Option<u32>,
    /// Of the answer; 0 of an embedding model.
    pub output: u32,
}

impl Model {
    /// Its price on a day, in days since 1970-01-01; none before the first.
    #[must_use]
    pub fn price(&self, day: u32) -> Option<&Price> {
        self.prices.iter().rev().find(|price| price.from <= day)
    }
}

/// The days from 1970-01-01 to a date `YYYY-MM-DD` of the Gregorian calendar, which must exist and not be earlier.
pub(super) fn days(date: &str) -> Option<u32> {
    let bytes = date.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
    };
    let (year, month, day) = (number(&bytes[..4])?, number(&bytes[5..7])?, number(&bytes[8..])?);
    let leap = |year: u32| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        2 => 28 + u32::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    if year < 1970 || !(1..=length).contains(&day) {
        return None;
    }
    let past = year - 1;
    // 719 162 days lie before 1970-01-01.
    let before_year = past * 365 + past / 4 - past / 100 + past / 400 - 719_162;
    let before_month = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month as usize - 1];
    Some(before_year + before_month + u32::from(month > 2 && leap(year)) + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_since_1970() {
        for (date, expected) in [
            ("1970-01-01", 0),
            ("1970-12-31", 364),
            ("1972-03-01", 790),
            ("2000-02-29", 11_016),
            ("2024-07-18", 19_922),
            ("2100-03-01", 47_541),
        ] {
            assert_eq!(days(date), Some(expected), "{date}");
        }
        for wrong in
            ["", "1969-12-31", "2023-02-29", "2100-02-29", "2024-13-01", "2024-1-01", "2024-04-31", "2024-00-10"]
        {
            assert_eq!(days(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn consecutive_days_are_one_apart() {
        let dates = (1970..2110).flat_map(|year| (1..=12).map(move |month| (year, month)));
        let dates = dates.flat_map(|(year, month)| (1..=31).map(move |day| format!("{year:04}-{month:02}-{day:02}")));
        let days: Vec<u32> = dates.filter_map(|date| days(&date)).collect();
        assert!(days.iter().copied().eq(0..51_134), "{:?}", days.last());
    }
}
