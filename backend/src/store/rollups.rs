//! The ledger added up for the business, whichever database it is in.
//!
//! A request counts in the ten minutes in which it began. Once these are over and nothing that began in them is open,
//! nothing can change there any more: they are added up, once, in one transaction with the mark that says so. Ten minutes
//! of a day that is over become a day. What is not added up yet is read row by row, so that figures are exact at any moment.

pub(super) mod rows;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use crate::ports::{ActiveUsers, Business, ConversationFigures, Figures, GroupKey, StoreError, day};

/// Milliseconds of a slot.
pub(super) const SLOT_MS: u64 = 600_000;

/// Slots of a day.
pub(super) const DAY_SLOTS: u32 = 144;

/// How long after its end a slot is left alone: a request that began in it may not be written down yet.
const GRACE_MS: u64 = 120_000;

/// Slots that are added up in one go: those of some years.
const AT_ONCE: usize = 200_000;

/// For how long nobody goes on with a conversation that is abandoned.
const ABANDONED_MS: u64 = 86_400_000;

/// A settled row of the ledger.
#[derive(Clone, Debug, Default)]
pub(super) struct SettledRow {
    pub(super) started_ms: u64,
    pub(super) tenant: String,
    pub(super) user: String,
    pub(super) conversation_id: Option<String>,
    pub(super) key: GroupKey,
    pub(super) attempts: u64,
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
    pub(super) cached_tokens: u64,
    pub(super) reasoning_tokens: u64,
    pub(super) cost_nano_usd: Option<u64>,
    pub(super) duration_us: Option<u64>,
    pub(super) first_content_us: Option<u64>,
}

/// What is known of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Activity {
    pub(super) id: String,
    pub(super) first_ms: u64,
    pub(super) last_ms: u64,
    /// Requests that completed.
    pub(super) turns: u64,
    /// Whether the last request did.
    pub(super) completed: bool,
}

/// Conversations alike, and how many there are.
#[derive(Clone, Debug)]
pub(super) struct Alike {
    pub(super) turns: u64,
    pub(super) abandoned: bool,
    pub(super) count: u64,
    pub(super) length_ms: u64,
}

/// What ten minutes came to.
#[derive(Clone, Debug, Default)]
pub(super) struct SlotSum {
    pub(super) groups: BTreeMap<GroupKey, Figures>,
    pub(super) users: BTreeSet<(String, String)>,
    pub(super) conversations: Vec<Activity>,
}

/// What each database does in its own words.
#[async_trait]
pub(super) trait Rows: Send + Sync {
    /// The first slot that is not added up; `None`: nothing is.
    async fn next_slot(&self) -> Result<Option<u32>, StoreError>;

    /// When the first request of all began.
    async fn first_started_ms(&self) -> Result<Option<u64>, StoreError>;

    /// Whether something is open that began before.
    async fn is_open_before(&self, ms: u64) -> Result<bool, StoreError>;

    /// Settled rows that began in a time, its end not within; in the order in which they began.
    async fn settled(&self, from_ms: u64, to_ms: u64) -> Result<Vec<SettledRow>, StoreError>;

    /// Writes what a slot came to, and that it is added up, unless somebody else has done it.
    async fn finish(&self, next: Option<u32>, slot: u32, sum: &SlotSum) -> Result<(), StoreError>;

    /// The earliest slot before one that is not in a day yet.
    async fn unfolded_before(&self, slot: u32) -> Result<Option<u32>, StoreError>;

    /// Puts a day in the place of its slots.
    async fn fold(&self, day: u32, groups: &BTreeMap<GroupKey, Figures>) -> Result<(), StoreError>;

    /// What slots and days came to that begin in a time, its end not within.
    async fn groups(&self, from_slot: u32, to_slot: u32) -> Result<Vec<(GroupKey, Figures)>, StoreError>;

    /// How many users were active on these days: as added up, and by rows that began since.
    async fn users(&self, days: (u32, u32), since_ms: u64) -> Result<u64, StoreError>;

    /// The same, day by day.
    async fn users_by_day(&self, days: (u32, u32), since_ms: u64) -> Result<Vec<(u32, u64)>, StoreError>;

    /// Conversations as added up that began in a time, its end not within; abandoned where nobody went on since a moment.
    async fn conversations(&self, from_ms: u64, to_ms: u64, abandoned_ms: u64) -> Result<Vec<Alike>, StoreError>;

    /// Some of them.
    async fn activities(&self, ids: &[String]) -> Result<Vec<Activity>, StoreError>;
}

/// Adds up the rows of one database.
pub(crate) struct Rollups<R>(pub(super) R);

#[async_trait]
impl<R: Rows> Business for Rollups<R> {
    async fn roll_up(&self, now_ms: u64) -> Result<(), StoreError> {
        for _ in 0..AT_ONCE {
            let next = self.0.next_slot().await?;
            let slot = match next {
                Some(slot) => slot,
                None => match self.0.first_started_ms().await? {
                    Some(ms) => slot_of(ms),
                    None => return Ok(()),
                },
            };
            if let Some(unfolded) = self.0.unfolded_before(slot / DAY_SLOTS * DAY_SLOTS).await? {
                self.fold(unfolded / DAY_SLOTS).await?;
            }
            let end_ms = start_of(slot + 1);
            if now_ms < end_ms + GRACE_MS || self.0.is_open_before(end_ms).await? {
                return Ok(());
            }
            let sum = summed(&self.0.settled(start_of(slot), end_ms).await?);
            self.0.finish(next, slot, &sum).await?;
        }
        Ok(())
    }

    async fn figures(&self, from_day: u32, to_day: u32) -> Result<BTreeMap<GroupKey, Figures>, StoreError> {
        let (from, to) = (from_day * DAY_SLOTS, (to_day + 1) * DAY_SLOTS);
        loop {
            let since = self.since().await?;
            let mut groups = BTreeMap::<GroupKey, Figures>::new();
            for (key, figures) in self.0.groups(from, to).await? {
                groups.entry(key).or_default().merge(&figures);
            }
            for row in self.live(since, from, to).await? {
                add(groups.entry(row.key.clone()).or_default(), &row);
            }
            // Otherwise some of it was added up meanwhile, and would be in it twice.
            if self.since().await? == since {
                return Ok(groups);
            }
        }
    }

    async fn users(&self, day: u32) -> Result<ActiveUsers, StoreError> {
        let since = start_of(self.since().await?);
        let of = async |days: u32| self.0.users((day.saturating_sub(days - 1), day), since).await;
        Ok(ActiveUsers { day: of(1).await?, week: of(7).await?, month: of(30).await? })
    }

    async fn users_by_day(&self, from_day: u32, to_day: u32) -> Result<Vec<(u32, u64)>, StoreError> {
        let since = start_of(self.since().await?);
        self.0.users_by_day((from_day, to_day), since).await
    }

    async fn conversations(&self, from_day: u32, to_day: u32, now_ms: u64) -> Result<ConversationFigures, StoreError> {
        let (from, to) = (from_day * DAY_SLOTS, (to_day + 1) * DAY_SLOTS);
        let abandoned_ms = now_ms.saturating_sub(ABANDONED_MS);
        loop {
            let since = self.since().await?;
            let mut figures = ConversationFigures::default();
            for alike in self.0.conversations(start_of(from), start_of(to), abandoned_ms).await? {
                count(&mut figures, &alike, true);
            }
            // Those that somebody went on with since are as they are now, and not as they were.
            let rows = self.0.settled(start_of(since), u64::MAX / 2).await?;
            let mut now = activities(&rows);
            let ids: Vec<String> = now.keys().cloned().collect();
            for before in self.0.activities(&ids).await? {
                if let Some(after) = now.get_mut(&before.id) {
                    after.first_ms = before.first_ms;
                    after.turns += before.turns;
                }
                if (start_of(from)..start_of(to)).contains(&before.first_ms) {
                    count(&mut figures, &alike(&before, abandoned_ms), false);
                }
            }
            for activity in now.values().filter(|one| (start_of(from)..start_of(to)).contains(&one.first_ms)) {
                count(&mut figures, &alike(activity, abandoned_ms), true);
            }
            if self.since().await? == since {
                figures.turns.retain(|_, count| *count > 0);
                return Ok(figures);
            }
        }
    }
}

impl<R: Rows> Rollups<R> {
    /// The slot from which on rows are read one by one.
    async fn since(&self) -> Result<u32, StoreError> {
        Ok(self.0.next_slot().await?.unwrap_or(0))
    }

    async fn live(&self, since: u32, from: u32, to: u32) -> Result<Vec<SettledRow>, StoreError> {
        let from = since.max(from);
        if from >= to { Ok(Vec::new()) } else { self.0.settled(start_of(from), start_of(to)).await }
    }

    async fn fold(&self, day: u32) -> Result<(), StoreError> {
        let mut groups = BTreeMap::<GroupKey, Figures>::new();
        for (key, figures) in self.0.groups(day * DAY_SLOTS, (day + 1) * DAY_SLOTS).await? {
            groups.entry(key).or_default().merge(&figures);
        }
        self.0.fold(day, &groups).await
    }
}

/// What rows came to.
pub(super) fn summed(rows: &[SettledRow]) -> SlotSum {
    let mut sum = SlotSum { conversations: activities(rows).into_values().collect(), ..SlotSum::default() };
    for row in rows {
        add(sum.groups.entry(row.key.clone()).or_default(), row);
        // Nobody in particular is nobody.
        if !row.user.is_empty() {
            sum.users.insert((row.tenant.clone(), row.user.clone()));
        }
    }
    sum
}

fn add(figures: &mut Figures, row: &SettledRow) {
    figures.requests += 1;
    figures.attempts += row.attempts;
    figures.prompt_tokens += row.prompt_tokens;
    figures.completion_tokens += row.completion_tokens;
    figures.cached_tokens += row.cached_tokens;
    figures.reasoning_tokens += row.reasoning_tokens;
    match row.cost_nano_usd {
        Some(cost) => {
            figures.cost_nano_usd += cost;
            figures.costs.add(cost);
        }
        None => figures.cost_unknown += 1,
    }
    if let Some(duration) = row.duration_us {
        figures.durations.add(duration);
    }
    if let Some(first) = row.first_content_us {
        figures.first_contents.add(first);
    }
}

/// Conversations by their rows, which are in the order in which they began.
fn activities(rows: &[SettledRow]) -> BTreeMap<String, Activity> {
    let mut activities = BTreeMap::<String, Activity>::new();
    for row in rows {
        let Some(id) = &row.conversation_id else { continue };
        let completed = row.key.outcome == "completed";
        let activity = activities.entry(id.clone()).or_insert_with(|| Activity {
            id: id.clone(),
            first_ms: row.started_ms,
            last_ms: row.started_ms,
            turns: 0,
            completed,
        });
        activity.last_ms = row.started_ms;
        activity.turns += u64::from(completed);
        activity.completed = completed;
    }
    activities
}

fn alike(activity: &Activity, abandoned_ms: u64) -> Alike {
    Alike {
        turns: activity.turns,
        abandoned: activity.last_ms < abandoned_ms && (activity.turns <= 1 || !activity.completed),
        count: 1,
        length_ms: activity.last_ms - activity.first_ms,
    }
}

fn count(figures: &mut ConversationFigures, alike: &Alike, more: bool) {
    let change = |number: &mut u64, by: u64| *number = if more { *number + by } else { *number - by };
    change(&mut figures.started, alike.count);
    change(figures.turns.entry(alike.turns).or_default(), alike.count);
    change(&mut figures.length_ms, alike.length_ms);
    change(&mut figures.abandoned, if alike.abandoned { alike.count } else { 0 });
}

pub(super) fn slot_of(ms: u64) -> u32 {
    u32::try_from(ms / SLOT_MS).unwrap_or(u32::MAX - 1)
}

pub(super) fn start_of(slot: u32) -> u64 {
    u64::from(slot) * SLOT_MS
}

/// When a day begins, in milliseconds since 1970.
pub(super) fn start_of_day(day: u32) -> u64 {
    u64::from(day) * u64::from(DAY_SLOTS) * SLOT_MS
}

/// The day of a slot, and of a row.
pub(super) fn day_of_slot(slot: u32) -> u32 {
    day::of_millis(start_of(slot))
}
