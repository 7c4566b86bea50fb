//! The keys of a provider, and whose turn it is.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

/// A key, and how often it is used compared with others.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Printable ASCII without spaces, so that it can stand in a header.
    pub(crate) secret: SecretString,
    /// At least 1.
    pub(crate) weight: u32,
}

/// Which key was used for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyIndex(usize);

/// Takes turns with the keys by smooth weighted round robin, as nginx does: each turn every key gains its weight, the
/// richest is used and pays the sum of all weights. Over as many turns as that sum each key is used exactly as often as
/// its weight says, and heavy keys are spread out
/// (<https://github.com/nginx/nginx/commit/52327e0627f49dbda1e8db695e63a4b0af4448b1>).
///
/// A key that was refused is set aside for a time, for all models or for one: permissions and limits differ by model.
/// Where all are, the one that was set aside longest ago is used: it is likelier to work than none.
pub(super) struct Keys {
    keys: Vec<Key>,
    turns: Mutex<Vec<Turn>>,
}

/// What a refusal of a key is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The key itself, whatever is asked with it.
    AllModels,
    /// What it may do with the model that was asked.
    ThisModel,
}

#[derive(Clone, Default)]
struct Turn {
    credit: i64,
    aside: Option<Aside>,
    /// By the provider's name of the model; what is over is taken out when something is added.
    aside_for: BTreeMap<String, Aside>,
}

#[derive(Clone, Copy)]
struct Aside {
    since: Instant,
    until: Instant,
}

impl Aside {
    fn is_over(&self, now: Instant) -> bool {
        self.until <= now
    }

    /// What holds after one more refusal. Two calls may be refused one after the other: the longer wish holds.
    fn after(earlier: Option<Self>, now: Instant, time: Duration) -> Self {
        let until = now.checked_add(time).unwrap_or(now);
        Self { since: now, until: earlier.map_or(until, |earlier| until.max(earlier.until)) }
    }
}

impl Turn {
    fn is_aside(&self, model: &str, now: Instant) -> bool {
        [self.aside.as_ref(), self.aside_for.get(model)].into_iter().flatten().any(|aside| !aside.is_over(now))
    }

    /// When it was set aside last, of what counts for a model.
    fn aside_since(&self, model: &str) -> Option<Instant> {
        [self.aside.as_ref(), self.aside_for.get(model)].into_iter().flatten().map(|aside| aside.since).max()
    }
}

impl Keys {
    /// No keys at all are fine: a server of one's own may need none.
    pub(super) fn new(keys: Vec<Key>) -> Self {
        let turns = Mutex::new(vec![Turn::default(); keys.len()]);
        Self { keys, turns }
    }

    /// The key whose turn it is for a model; `None` where there are none.
    pub(super) fn next(&self, model: &str) -> Option<KeyIndex> {
        let now = Instant::now();
        let mut turns = self.turns();
        let mut sum = 0;
        let mut richest: Option<(usize, i64)> = None;
        for (index, (turn, key)) in turns.iter_mut().zip(&self.keys).enumerate() {
            if turn.is_aside(model, now) {
                continue;
            }
            let weight = i64::from(key.weight);
            turn.credit += weight;
            sum += weight;
            if richest.is_none_or(|(_, credit)| turn.credit > credit) {
                richest = Some((index, turn.credit));
            }
        }
        if let Some((index, _)) = richest {
            if let Some(turn) = turns.get_mut(index) {
                turn.credit -= sum;
            }
            return Some(KeyIndex(index));
        }
        turns.iter().enumerate().min_by_key(|(_, turn)| turn.aside_since(model)).map(|(index, _)| KeyIndex(index))
    }

    /// Uses a key that was refused for a model no more for some time. Whether there is another for this model that is
    /// not set aside.
    pub(super) fn set_aside(&self, index: KeyIndex, model: &str, reach: Reach, time: Duration) -> bool {
        let now = Instant::now();
        let mut turns = self.turns();
        if let Some(turn) = turns.get_mut(index.0) {
            match reach {
                Reach::AllModels => {
                    turn.credit = 0;
                    turn.aside = Some(Aside::after(turn.aside, now, time));
                }
                // Its turns with other models go on, so that the credit stays.
                Reach::ThisModel => {
                    turn.aside_for.retain(|_, aside| !aside.is_over(now));
                    let earlier = turn.aside_for.get(model).copied();
                    turn.aside_for.insert(model.to_owned(), Aside::after(earlier, now, time));
                }
            }
        }
        turns.iter().enumerate().any(|(other, turn)| other != index.0 && !turn.is_aside(model, now))
    }

    /// What to send of a key, after `prefix`. Marked as sensitive, so that it is shown nowhere.
    pub(super) fn header_value(&self, index: KeyIndex, prefix: &str) -> Option<HeaderValue> {
        let secret = self.keys.get(index.0)?.secret.expose_secret();
        let mut value = HeaderValue::try_from(format!("{prefix}{secret}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Whether all of them can be sent.
    pub(super) fn can_be_sent(&self) -> bool {
        (0..self.keys.len()).all(|index| self.header_value(KeyIndex(index), "").is_some())
    }

    fn turns(&self) -> MutexGuard<'_, Vec<Turn>> {
        // What is behind it is whole between any two statements.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(weights: &[u32]) -> Keys {
        let key = |(index, weight): (usize, &u32)| Key { secret: format!("key-{index}").into(), weight: *weight };
        Keys::new(weights.iter().enumerate().map(key).collect())
    }

    fn next(keys: &Keys) -> usize {
        next_for(keys, "m")
    }

    fn next_for(keys: &Keys, model: &str) -> usize {
        keys.next(model).unwrap().0
    }

    fn set_aside(keys: &Keys, index: usize, time: Duration) -> bool {
        keys.set_aside(KeyIndex(index), "m", Reach::AllModels, time)
    }

    #[tokio::test(start_paused = true)]
    async fn the_order_is_nginxs() {
        let keys = keys(&[5, 1, 1]);
        let turns: Vec<usize> = (0..14).map(|_| next(&keys)).collect();
        assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_set_aside_comes_back() {
        let keys = keys(&[1, 1]);
        assert!(set_aside(&keys, 0, Duration::from_mins(1)));
        for _ in 0..3 {
            assert_eq!(next(&keys), 1);
        }
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(next(&keys), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        let turns: Vec<usize> = (0..4).map(|_| next(&keys)).collect();
        assert_eq!(turns.iter().filter(|turn| **turn == 0).count(), 2, "{turns:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_refusal_does_not_shorten_a_long_one() {
        let keys = keys(&[1, 1]);
        set_aside(&keys, 0, Duration::from_mins(1));
        set_aside(&keys, 0, Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!((next(&keys), next(&keys)), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_set_aside_the_one_of_longest_ago_is_used() {
        let keys = keys(&[1, 1, 1]);
        for (index, left) in [(1, true), (0, true), (2, false)] {
            assert_eq!(set_aside(&keys, index, Duration::from_mins(1)), left);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(next(&keys), 1);
        assert!(!set_aside(&keys, 1, Duration::from_mins(1)));
        assert_eq!(next(&keys), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_model_refuses_others_may_take() {
        let keys = keys(&[1, 1]);
        assert!(keys.set_aside(KeyIndex(0), "a", Reach::ThisModel, Duration::from_mins(1)));
        for _ in 0..3 {
            assert_eq!(next_for(&keys, "a"), 1);
        }
        let mut of_other: Vec<usize> = (0..4).map(|_| next_for(&keys, "b")).collect();
        of_other.sort_unstable();
        assert_eq!(of_other, [0, 0, 1, 1]);
        // For "b" the first is left, for "a" none is: then it is the one of longest ago.
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(keys.set_aside(KeyIndex(1), "b", Reach::AllModels, Duration::from_mins(1)));
        assert_eq!((next_for(&keys, "b"), next_for(&keys, "a")), (0, 0));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!keys.set_aside(KeyIndex(0), "a", Reach::ThisModel, Duration::from_mins(1)));
        assert_eq!((next_for(&keys, "b"), next_for(&keys, "a")), (0, 1));
        tokio::time::advance(Duration::from_mins(1)).await;
        let turns: Vec<usize> = (0..4).map(|_| next_for(&keys, "a")).collect();
        assert!(turns.contains(&0) && turns.contains(&1), "{turns:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_key_or_none_is_no_choice() {
        assert_eq!(keys(&[]).next("m"), None);
        let one = keys(&[3]);
        assert!(!set_aside(&one, 0, Duration::from_mins(1)));
        assert_eq!(next(&one), 0);
        assert!(!set_aside(&one, 0, Duration::ZERO));
        assert!(!set_aside(&keys(&[]), 7, Duration::MAX));
    }

    #[test]
    fn values_are_never_shown() {
        let keys = keys(&[1]);
        let value = keys.header_value(KeyIndex(0), "Bearer ").unwrap();
        assert_eq!(value, "Bearer key-0");
        assert!(!format!("{value:?} {:?}", keys.keys).contains("key-0"));
    }

    proptest! {
        #[test]
        fn over_a_cycle_each_is_used_as_its_weight_says(weights in prop::collection::vec(1_u32..20, 1..6)) {
            let keys = keys(&weights);
            for _ in 0..2 {
                let mut used = vec![0; weights.len()];
                for _ in 0..weights.iter().sum() {
                    used[next(&keys)] += 1;
                }
                prop_assert_eq!(&used, &weights);
            }
        }

        #[test]
        fn nothing_panics(
            weights in prop::collection::vec(any::<u32>(), 0..5),
            steps in prop::collection::vec((0_usize..8, any::<bool>(), any::<u64>()), 0..40),
        ) {
            let keys = keys(&weights);
            for (index, all, millis) in steps {
                if index < 6 {
                    let reach = if all { Reach::AllModels } else { Reach::ThisModel };
                    keys.set_aside(KeyIndex(index), "m", reach, Duration::from_millis(millis));
                }
                prop_assert_eq!(keys.next("m").is_some(), !weights.is_empty());
            }
        }
    }
}
