//! What the backends say of their providers, as one isolate remembers it.

use goblin_shared::{
    edge_signature::SigningKey,
    provider_health::{ProviderHealth, verify_health},
};

use crate::{config::Variables, freshness::Freshness};

/// How long what was said counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    /// `HEALTH_FRESH_MS`: how old it may be before it is asked for again. Default 10,000.
    pub fresh_ms: u32,
    /// `HEALTH_STALE_MS`: how old it may be to be used at all. Default 60,000.
    pub stale_ms: u32,
}

impl HealthConfig {
    /// Reads it.
    pub fn read(variables: &Variables<'_>, faults: &mut Vec<String>) -> Self {
        let fresh_ms = variables.number("HEALTH_FRESH_MS", 10_000, 100..=600_000, faults);
        let stale_ms = variables.number("HEALTH_STALE_MS", 60_000, 100..=3_600_000, faults);
        if stale_ms < fresh_ms {
            faults.push("HEALTH_STALE_MS must not be less than HEALTH_FRESH_MS".to_owned());
        }
        Self { fresh_ms, stale_ms }
    }
}

/// Seconds that a signature may be off.
const SKEW_SECONDS: u64 = 60;

/// By the number of the origin that said it.
#[derive(Debug, Default)]
pub struct HealthBook(Vec<Page>);

#[derive(Debug, Default)]
struct Page {
    state: ProviderHealth,
    /// The signature that it came with: it changes with whatever is said, and with each second.
    signature: String,
    /// When it was signed, in seconds since 1970: answers overtake each other.
    signed_at: u64,
    freshness: Freshness,
}

impl HealthBook {
    fn page(&mut self, origin: usize) -> &mut Page {
        if self.0.len() <= origin {
            self.0.resize_with(origin + 1, Page::default);
        }
        &mut self.0[origin]
    }

    /// What an origin said, unless that is too long ago to count.
    #[must_use]
    pub fn view(&self, origin: usize, config: HealthConfig, now: f64) -> Option<&ProviderHealth> {
        let page = self.0.get(origin)?;
        page.freshness.age(now).is_some_and(|age| age < f64::from(config.stale_ms)).then_some(&page.state)
    }

    /// Whether the caller is to ask an origin anew.
    pub fn is_to_ask(&mut self, origin: usize, config: HealthConfig, now: f64) -> bool {
        self.page(origin).freshness.is_to_ask(now, f64::from(config.fresh_ms))
    }

    /// Takes down what an origin says, if it is signed; the error is for the log.
    pub fn note(
        &mut self,
        origin: usize,
        said: &Said,
        key: &SigningKey,
        now: f64,
        unix_seconds: u64,
    ) -> Result<(), String> {
        let page = self.page(origin);
        if said.signature.is_empty() || said.signature == page.signature {
            return Ok(());
        }
        verify_health(&said.field, &said.signature, std::slice::from_ref(key), unix_seconds, SKEW_SECONDS)
            .map_err(|error| format!("an origin's word on its providers is not believed: {error}"))?;
        let signed_at = said.signed_at();
        if signed_at < page.signed_at {
            return Ok(());
        }
        page.state = ProviderHealth::parse(&said.field)
            .map_err(|error| format!("an origin's word on its providers cannot be read: {error}"))?;
        page.signature.clone_from(&said.signature);
        page.signed_at = signed_at;
        page.freshness.came(now);
        Ok(())
    }
}

/// The fields with which an origin tells of its providers; empty when it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// `x-goblin-health`
    pub field: String,
    /// `x-goblin-health-signature`
    pub signature: String,
}

impl Said {
    /// The time in a signature that was verified.
    fn signed_at(&self) -> u64 {
        let time = self.signature.split(';').find_map(|part| part.strip_prefix("t="));
        time.and_then(|time| time.parse().ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use goblin_shared::{catalogue::Target, provider_health::sign_health};

    use super::*;

    const CONFIG: HealthConfig = HealthConfig { fresh_ms: 10_000, stale_ms: 60_000 };
    const NOW: f64 = 1_800_000_000_000.0;

    fn key(id: &str) -> SigningKey {
        format!("{id}:{}", "0".repeat(32)).parse().unwrap()
    }

    fn said(field: &str, key: &SigningKey, unix_seconds: u64) -> Said {
        Said { field: field.to_owned(), signature: sign_health(field, key, unix_seconds) }
    }

    fn is_down(book: &HealthBook, origin: usize, now: f64) -> Option<bool> {
        book.view(origin, CONFIG, now).map(|state| state.is_down(&Target::parse("openai/gpt-4.1").unwrap()))
    }

    #[test]
    fn what_is_signed_is_believed_for_a_while() {
        let mut book = HealthBook::default();
        assert!(book.is_to_ask(1, CONFIG, NOW));
        let down = said("openai=();down", &key("a"), 1_800_000_000);
        assert_eq!(book.note(1, &down, &key("a"), NOW, 1_800_000_000), Ok(()));
        assert_eq!((is_down(&book, 1, NOW), is_down(&book, 0, NOW), is_down(&book, 7, NOW)), (Some(true), None, None));
        assert!(!book.is_to_ask(1, CONFIG, NOW + 9_999.0) && book.is_to_ask(1, CONFIG, NOW + 10_000.0));
        assert_eq!(is_down(&book, 1, NOW + 59_999.0), Some(true), "stale, while it is asked for again");
        assert_eq!(is_down(&book, 1, NOW + 60_000.0), None);
        // The same words again are no news: who repeats an old answer does not make it newer.
        assert_eq!(book.note(1, &down, &key("a"), NOW + 50_000.0, 1_800_000_050), Ok(()));
        assert_eq!(is_down(&book, 1, NOW + 60_000.0), None);
        let up = said("openai=()", &key("a"), 1_800_000_060);
        assert_eq!(book.note(1, &up, &key("a"), NOW + 60_000.0, 1_800_000_060), Ok(()));
        assert_eq!(is_down(&book, 1, NOW + 60_000.0), Some(false));
    }

    #[test]
    fn an_older_word_does_not_undo_a_newer_one() {
        let (mut book, own) = (HealthBook::default(), key("a"));
        let early = said("openai=();down", &own, 1_800_000_000);
        let late = said("openai=()", &own, 1_800_000_002);
        for word in [&late, &early] {
            assert_eq!(book.note(0, word, &own, NOW, 1_800_000_003), Ok(()));
        }
        assert_eq!(is_down(&book, 0, NOW), Some(false));
    }

    #[test]
    fn what_is_not_signed_old_or_unreadable_is_not_believed() {
        let mut book = HealthBook::default();
        let own = key("a");
        let strangers = said("openai=();down", &key("b"), 1_800_000_000);
        let old = said("openai=();down", &own, 1_799_999_939);
        let odd = said("openai=", &own, 1_800_000_000);
        let altered = Said { field: "demo=()".into(), ..said("openai=()", &own, 1_800_000_000) };
        for wrong in [&strangers, &old, &odd, &altered] {
            assert!(book.note(0, wrong, &own, NOW, 1_800_000_000).is_err(), "{wrong:?}");
        }
        assert_eq!(book.note(0, &Said::default(), &own, NOW, 1_800_000_000), Ok(()), "nothing was said");
        assert_eq!(is_down(&book, 0, NOW), None);
    }
}
