//! Figures of the business, from the ledger.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// Counts of values by their size, in buckets that are never wider than a sixteenth of what is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Sizes(Vec<(u32, u64)>);

impl Sizes {
    /// One more value.
    pub(crate) fn add(&mut self, value: u64) {
        self.add_to(bucket(value), 1);
    }

    fn add_to(&mut self, bucket: u32, count: u64) {
        match self.0.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.0[at].1 += count,
            Err(at) => self.0.insert(at, (bucket, count)),
        }
    }

    /// All of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            self.add_to(*bucket, *count);
        }
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// The value below which a share of all is, off by a thirty-second at most. `None`: there is none.
    pub(crate) fn quantile(&self, share: f64) -> Option<u64> {
        let count = self.count();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "fewer than 2^53"
        )]
        let rank = ((count as f64 * share).ceil() as u64).max(1);
        let mut below = 0;
        let found = self.0.iter().find(|(_, count)| {
            below += count;
            below >= rank
        });
        found.map(|(bucket, _)| middle(*bucket))
    }
}

/// Values below 16 have buckets of their own; each octave above has 16.
fn bucket(value: u64) -> u32 {
    if value < 16 {
        return u32::try_from(value).unwrap_or(0);
    }
    let octave = value.ilog2() - 4;
    let within = u32::try_from((value >> octave) & 15).unwrap_or(0);
    16 + octave * 16 + within
}

fn middle(bucket: u32) -> u64 {
    if bucket < 16 {
        return bucket.into();
    }
    let (octave, within) = ((bucket - 16) / 16, u64::from((bucket - 16) % 16));
    let lowest = (16 + within) << octave;
    lowest + ((1_u64 << octave) - 1) / 2
}

/// What requests of one kind came to together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Requests.
    pub(crate) requests: u64,
    /// Calls of providers.
    pub(crate) attempts: u64,
    /// Tokens of prompts.
    pub(crate) prompt_tokens: u64,
    /// Tokens of answers.
    pub(crate) completion_tokens: u64,
    /// Those of prompts that came from a cache.
    pub(crate) cached_tokens: u64,
    /// Those of answers that were reasoning.
    pub(crate) reasoning_tokens: u64,
    /// Billionths of a dollar, where it is known.
    pub(crate) cost_nano_usd: u64,
    /// Requests whose cost is not known.
    pub(crate) cost_unknown: u64,
    /// Costs of requests, where they are known.
    pub(crate) costs: Sizes,
    /// Times to the end of the answer, in microseconds.
    pub(crate) durations: Sizes,
    /// Times to the first content, in microseconds.
    pub(crate) first_contents: Sizes,
}

impl Figures {
    /// With another's.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.attempts += other.attempts;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.cached_tokens += other.cached_tokens;
        self.reasoning_tokens += other.reasoning_tokens;
        self.cost_nano_usd += other.cost_nano_usd;
        self.cost_unknown += other.cost_unknown;
        self.costs.merge(&other.costs);
        self.durations.merge(&other.durations);
        self.first_contents.merge(&other.first_contents);
    }
}

/// Which kind of requests: who was called last, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupKey {
    /// Empty: nobody was called.
    pub(crate) provider: String,
    /// Likewise.
    pub(crate) model: String,
    /// `completed`, `failed`, `cancelled` or `interrupted`.
    pub(crate) outcome: String,
}

/// Users with a settled request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ActiveUsers {
    /// On the day.
    pub(crate) day: u64,
    /// In the seven days that end with it.
    pub(crate) week: u64,
    /// In the thirty days that end with it.
    pub(crate) month: u64,
}

/// Conversations that began in a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConversationFigures {
    /// How many.
    pub(crate) started: u64,
    /// How many have so many turns.
    pub(crate) turns: std::collections::BTreeMap<u64, u64>,
    /// From the first request to the last, in milliseconds, all together.
    pub(crate) length_ms: u64,
    /// Those that nobody went on with for a day, after one turn or none, or after a request that did not complete.
    pub(crate) abandoned: u64,
}

/// Adds the ledger up.
#[async_trait]
pub(crate) trait Business: Send + Sync {
    /// Adds up what nothing can be added to any more. Figures are the same before and after, and sooner there.
    async fn roll_up(&self, now_ms: u64) -> Result<(), StoreError>;

    /// What requests that began on these days (UTC, both within) came to.
    async fn figures(
        &self,
        from_day: u32,
        to_day: u32,
    ) -> Result<std::collections::BTreeMap<GroupKey, Figures>, StoreError>;

    /// Users that were active up to the end of a day.
    async fn users(&self, day: u32) -> Result<ActiveUsers, StoreError>;

    /// Users that were active on each of these days, where there were any.
    async fn users_by_day(&self, from_day: u32, to_day: u32) -> Result<Vec<(u32, u64)>, StoreError>;

    /// Conversations that began on these days, as they are at a moment.
    async fn conversations(&self, from_day: u32, to_day: u32, now_ms: u64) -> Result<ConversationFigures, StoreError>;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quantiles_are_off_by_a_thirty_second_at_most(mut values in prop::collection::vec(0..1_u64 << 50, 1..200), share in 0.0..1.0_f64) {
            let mut sizes = Sizes::default();
            for value in &values {
                sizes.add(*value);
            }
            values.sort_unstable();
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few")]
            let rank = ((values.len() as f64 * share).ceil() as usize).max(1);
            let (exact, told) = (values[rank - 1], sizes.quantile(share).unwrap());
            prop_assert!(told.abs_diff(exact) * 32 <= exact, "{} is told as {}", exact, told);
            prop_assert_eq!(sizes.count(), values.len() as u64);
        }

        #[test]
        fn buckets_rise_with_their_values(one in any::<u64>(), other in any::<u64>()) {
            prop_assert_eq!(bucket(one.min(other)).cmp(&bucket(one.max(other))).is_le(), true);
            prop_assert_eq!(bucket(middle(bucket(one))), bucket(one));
        }
    }

    #[test]
    fn small_values_are_exact_and_nothing_has_no_quantile() {
        let mut sizes = Sizes::default();
        assert_eq!(sizes.quantile(0.5), None);
        for value in [3, 3, 7, 15] {
            sizes.add(value);
        }
        assert_eq!((sizes.quantile(0.5), sizes.quantile(0.95)), (Some(3), Some(15)));
        let mut twice = sizes.clone();
        twice.merge(&sizes);
        assert_eq!((twice.count(), twice.quantile(0.75)), (8, Some(7)));
    }
}
