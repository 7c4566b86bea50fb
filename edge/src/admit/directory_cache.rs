//! Agents' key directories, as far as one isolate remembers them.

use std::collections::HashMap;

use super::key_directory::KeyDirectory;

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The key.
    Key([u8; 32]),
    /// The agent has no such key.
    NoSuchKey,
    /// The directory failed a moment ago.
    Unreachable,
    /// Its directory should be fetched.
    Fetch,
}

/// One entry for each agent that configuration lists, so that it cannot grow.
#[derive(Debug, Default)]
pub struct DirectoryCache(HashMap<String, Entry>);

#[derive(Debug)]
struct Entry {
    directory: Option<KeyDirectory>,
    /// When it was last asked for, with success or without.
    asked: u64,
    /// Whether it failed then.
    failed: bool,
    /// When it last answered.
    confirmed: u64,
}

impl DirectoryCache {
    /// How long a directory that failed, or that lacks a key, is not asked again: keys may be new, but nobody shall make
    /// us ask with every request.
    const PAUSE_S: u64 = 60;
    /// How long what a directory said last counts while it fails: a withdrawn key must end.
    const STALE_S: u64 = 24 * 60 * 60;

    /// Looks for a key.
    #[must_use]
    pub fn look(&self, agent: &str, key_id: &str, unix_seconds: u64) -> Look {
        let Some(Entry { directory, asked, failed, confirmed }) = self.0.get(agent) else { return Look::Fetch };
        let is_pausing = unix_seconds < asked + Self::PAUSE_S;
        // While the directory fails, what it said last counts: an agent does not become a stranger by that.
        let is_believed = *failed && is_pausing && unix_seconds < confirmed + Self::STALE_S;
        let usable = directory.as_ref().filter(|directory| directory.is_fresh(unix_seconds) || is_believed);
        match usable.map(|directory| directory.key(key_id, unix_seconds)) {
            Some(Some(key)) => Look::Key(*key),
            Some(None) if is_pausing && !failed => Look::NoSuchKey,
            None | Some(None) if is_pausing && *failed => Look::Unreachable,
            _ => Look::Fetch,
        }
    }

    /// Keeps what was fetched; `None` for a directory that failed, which takes nothing away from what is known.
    pub fn store(&mut self, agent: &str, fetched: Option<KeyDirectory>, unix_seconds: u64) {
        let failed = fetched.is_none();
        let before = self.0.remove(agent);
        let confirmed = before.as_ref().filter(|_| failed).map_or(unix_seconds, |entry| entry.confirmed);
        let directory = fetched.or_else(|| before.and_then(|entry| entry.directory));
        self.0.insert(agent.to_owned(), Entry { directory, asked: unix_seconds, failed, confirmed });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: &str = "https://agent.example";
    /// The thumbprint of the key below, which is made of ones.
    const KEY: &str = "_9sEdkpM-VSozh9DaEbUdK72XWmZ3Zg2bvTDzBeuHDM";

    fn directory(max_age: u64, unix_seconds: u64) -> KeyDirectory {
        let body = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"}]}"#;
        let kind = Some("application/http-message-signatures-directory+json");
        KeyDirectory::parse(body, kind, Some(&format!("max-age={max_age}")), unix_seconds).unwrap()
    }

    #[test]
    fn a_directory_serves_while_it_is_fresh() {
        let mut cache = DirectoryCache::default();
        assert_eq!(cache.look(AGENT, KEY, 1_000), Look::Fetch);
        cache.store(AGENT, Some(directory(300, 1_000)), 1_000);
        assert!(matches!(cache.look(AGENT, KEY, 1_299), Look::Key(_)));
        assert_eq!(cache.look(AGENT, KEY, 1_301), Look::Fetch);
        assert_eq!(cache.look("https://other.example", KEY, 1_001), Look::Fetch);
    }

    #[test]
    fn a_key_may_be_new_but_is_not_asked_for_with_every_request() {
        let mut cache = DirectoryCache::default();
        cache.store(AGENT, Some(directory(3_600, 1_000)), 1_000);
        assert_eq!(cache.look(AGENT, "unknown", 1_059), Look::NoSuchKey);
        assert_eq!(cache.look(AGENT, "unknown", 1_060), Look::Fetch);
    }

    #[test]
    fn a_failure_is_remembered_for_a_minute() {
        let mut cache = DirectoryCache::default();
        cache.store(AGENT, None, 1_000);
        assert_eq!(cache.look(AGENT, KEY, 1_059), Look::Unreachable);
        assert_eq!(cache.look(AGENT, KEY, 1_060), Look::Fetch);
    }

    #[test]
    fn a_directory_that_fails_later_is_still_known() {
        let mut cache = DirectoryCache::default();
        cache.store(AGENT, Some(directory(300, 1_000)), 1_000);
        cache.store(AGENT, None, 1_400);
        assert!(matches!(cache.look(AGENT, KEY, 1_459), Look::Key(_)));
        assert_eq!(cache.look(AGENT, "unknown", 1_459), Look::Unreachable);
        assert_eq!(cache.look(AGENT, KEY, 1_460), Look::Fetch);
        let day = 24 * 60 * 60;
        cache.store(AGENT, None, 1_000 + day - 1);
        assert!(matches!(cache.look(AGENT, KEY, 1_000 + day - 1), Look::Key(_)));
        assert_eq!(cache.look(AGENT, KEY, 1_000 + day), Look::Unreachable, "a withdrawn key ends");
    }
}
