//! Which catalogue counts: the one in KV where that is bound and valid, otherwise the one that is built in.

use std::rc::Rc;

use goblin_shared::catalogue::{BUILT_IN, Catalogue};

use crate::freshness::Freshness;

/// The binding of the KV namespace, and the key in it.
pub const BINDING: &str = "CATALOGUE";
/// See [`BINDING`].
pub const KEY: &str = "catalogue";

/// The catalogue that one isolate works with. A text that is not valid changes nothing.
#[derive(Debug)]
pub struct CatalogueSource {
    current: Rc<Catalogue>,
    /// What was read last, valid or not; `None` for the one that is built in.
    text: Option<String>,
    freshness: Freshness,
}

impl Default for CatalogueSource {
    fn default() -> Self {
        Self { current: Rc::new(built_in()), text: None, freshness: Freshness::default() }
    }
}

fn built_in() -> Catalogue {
    Catalogue::parse(BUILT_IN).unwrap_or_else(|_| unreachable!("a test parses the built-in catalogue"))
}

impl CatalogueSource {
    /// What counts now.
    #[must_use]
    pub fn current(&self) -> Rc<Catalogue> {
        Rc::clone(&self.current)
    }

    /// Whether nothing was ever read, so that the first request waits for it.
    #[must_use]
    pub fn is_unread(&self, now: f64) -> bool {
        self.freshness.age(now).is_none()
    }

    /// Whether the caller is to read KV anew.
    pub fn is_to_read(&mut self, now: f64, max_age_ms: f64) -> bool {
        self.freshness.is_to_ask(now, max_age_ms)
    }

    /// Notes that KV could not be read, which is tried again like any reading; gives a line for the log.
    pub fn not_read(&mut self, why: &str, now: f64) -> String {
        self.freshness.came(now);
        format!("KV cannot be read, the catalogue {} stays in use: {why}", self.current.version())
    }

    /// Takes what KV holds, `None` being nothing; the error is for the log, and comes once for each text.
    pub fn read(&mut self, text: Option<String>, now: f64) -> Result<(), String> {
        self.freshness.came(now);
        if text == self.text {
            return Ok(());
        }
        let parsed = text.as_deref().map_or_else(|| Ok(built_in()), Catalogue::parse);
        self.text = text;
        match parsed {
            Ok(catalogue) => {
                self.current = Rc::new(catalogue);
                Ok(())
            }
            Err(error) => Err(format!("KV: {error}\nThe catalogue {} stays in use.", self.current.version())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edition(version: &str) -> String {
        BUILT_IN.replacen(Catalogue::parse(BUILT_IN).unwrap().version(), version, 1)
    }

    #[test]
    fn a_valid_text_counts_and_another_changes_nothing() {
        let mut source = CatalogueSource::default();
        let own = source.current().version().to_owned();
        assert!(source.is_unread(0.0) && source.is_to_read(0.0, 30.0) && !source.is_to_read(0.0, 30.0));
        assert_eq!(source.read(Some(edition("next")), 1.0), Ok(()));
        assert_eq!(source.current().version(), "next");
        assert!(!source.is_unread(1.0) && !source.is_to_read(30.0, 30.0) && source.is_to_read(31.0, 30.0));
        let error = source.read(Some("{}".to_owned()), 32.0).unwrap_err();
        assert!(error.contains("next"), "{error}");
        assert_eq!(source.read(Some("{}".to_owned()), 64.0), Ok(()), "said once");
        assert_eq!(source.current().version(), "next");
        assert_eq!(source.read(None, 96.0), Ok(()));
        assert_eq!(source.current().version(), own, "what is taken away counts no more");
    }

    #[test]
    fn a_failing_kv_holds_up_the_first_request_only() {
        let mut source = CatalogueSource::default();
        assert!(source.not_read("no answer", 0.0).contains("no answer"));
        assert!(!source.is_unread(1.0) && !source.is_to_read(1.0, 30.0) && source.is_to_read(30.0, 30.0));
        assert_eq!(source.read(Some(edition("next")), 31.0), Ok(()));
        assert_eq!(source.current().version(), "next");
    }
}
