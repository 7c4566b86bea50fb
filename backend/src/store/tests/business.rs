//! The ledger added up for the business, in every store.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Kept,
    bench::{NOW, PATIENCE, TODAY, entry, owner, settlement},
};
use crate::ports::{
    ConversationFigures, Figures, GroupKey, LedgerEntry, LedgerOutcome, OpeningId, Settlement, TokenCounts,
};

const DAY_MS: u64 = 86_400_000;
const ROWS: usize = 240;

/// A generator of numbers, the same ones each time: xorshift (<https://www.jstatsoft.org/article/view/v008i14>).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

type Row = (LedgerEntry, Settlement);

/// A request of the last forty days, many of them at midnight or at the border of ten minutes.
fn row(dice: &mut Dice) -> Row {
    let day_ms = u64::from(TODAY) * DAY_MS - dice.below(40) * DAY_MS;
    let started_ms = match dice.below(4) {
        0 => day_ms,
        1 => day_ms - 1,
        2 => day_ms + dice.below(100) * 600_000 - dice.below(2),
        _ => day_ms + dice.below(DAY_MS / 2),
    };
    let user = ["", "ann", "bob", "cid"][usize::try_from(dice.below(4)).unwrap()];
    let conversation = dice.below(8);
    let entry = LedgerEntry {
        started_ms,
        owner: owner(["", "T"][usize::try_from(dice.below(2)).unwrap()], user),
        conversation_id: (conversation < 5).then(|| format!("conversation-{conversation}")),
        ..entry()
    };
    let outcome = [LedgerOutcome::Completed, LedgerOutcome::Completed, LedgerOutcome::Failed, LedgerOutcome::Cancelled];
    let called = dice.below(6) > 0;
    let of = |name: &str| called.then(|| name.to_owned());
    let settlement = Settlement {
        outcome: outcome[usize::try_from(dice.below(4)).unwrap()],
        provider: of(["demo", "other"][usize::try_from(dice.below(2)).unwrap()]),
        model: of("echo"),
        attempts: u32::try_from(dice.below(3)).unwrap(),
        tokens: TokenCounts {
            prompt: dice.below(1_000),
            completion: dice.below(1_000),
            cached: dice.below(10),
            reasoning: dice.below(10),
            ..TokenCounts::default()
        },
        cost_nano_usd: (dice.below(5) > 0).then(|| dice.below(1 << 40)),
        duration_us: dice.below(1 << 30),
        first_content_us: (dice.below(2) > 0).then(|| dice.below(1 << 30)),
        ..settlement(entry.request_id)
    };
    (entry, settlement)
}

fn in_order(row: &Row) -> (u64, String) {
    (row.0.started_ms, row.0.request_id.to_string())
}

fn day(row: &Row) -> u32 {
    u32::try_from(row.0.started_ms / DAY_MS).unwrap()
}

/// A look at each row.
fn naive(rows: &[Row], from: u32, to: u32) -> BTreeMap<GroupKey, Figures> {
    let mut groups = BTreeMap::<GroupKey, Figures>::new();
    for (_, settled) in rows.iter().filter(|row| (from..=to).contains(&day(row))) {
        let key = GroupKey {
            provider: settled.provider.clone().unwrap_or_default(),
            model: settled.model.clone().unwrap_or_default(),
            outcome: settled.outcome.as_str().to_owned(),
        };
        let figures = groups.entry(key).or_default();
        figures.requests += 1;
        figures.attempts += u64::from(settled.attempts);
        figures.prompt_tokens += settled.tokens.prompt;
        figures.completion_tokens += settled.tokens.completion;
        figures.cached_tokens += settled.tokens.cached;
        figures.reasoning_tokens += settled.tokens.reasoning;
        figures.cost_nano_usd += settled.cost_nano_usd.unwrap_or(0);
        figures.cost_unknown += u64::from(settled.cost_nano_usd.is_none());
        settled.cost_nano_usd.into_iter().for_each(|cost| figures.costs.add(cost));
        figures.durations.add(settled.duration_us);
        settled.first_content_us.into_iter().for_each(|first| figures.first_contents.add(first));
    }
    groups
}

fn naive_users(rows: &[Row], from: u32, to: u32) -> u64 {
    let active = rows.iter().filter(|row| (from..=to).contains(&day(row)) && !row.0.owner.user.is_empty());
    active.map(|(entry, _)| (&entry.owner.tenant, &entry.owner.user)).collect::<BTreeSet<_>>().len() as u64
}

fn naive_conversations(rows: &[Row], from: u32, to: u32, now_ms: u64) -> ConversationFigures {
    let mut by_id = BTreeMap::<&str, Vec<&Row>>::new();
    for row in rows {
        if let Some(id) = &row.0.conversation_id {
            by_id.entry(id).or_default().push(row);
        }
    }
    let mut figures = ConversationFigures::default();
    for of_one in by_id.values_mut() {
        of_one.sort_by_key(|row| in_order(row));
        let (first, last) = (of_one[0], of_one[of_one.len() - 1]);
        if !(from..=to).contains(&day(first)) {
            continue;
        }
        let turns = of_one.iter().filter(|row| row.1.outcome == LedgerOutcome::Completed).count() as u64;
        let is_old = last.0.started_ms + DAY_MS < now_ms;
        let abandoned = is_old && (turns <= 1 || last.1.outcome != LedgerOutcome::Completed);
        figures.started += 1;
        *figures.turns.entry(turns).or_default() += 1;
        figures.length_ms += last.0.started_ms - first.0.started_ms;
        figures.abandoned += u64::from(abandoned);
    }
    figures
}

async fn settle(kept: &Kept, settled: Settlement) {
    let written = kept.ledgers[0].settle(settled);
    tokio::time::timeout(PATIENCE, written).await.unwrap().unwrap();
}

async fn assert_found(kept: &Kept, rows: &[Row], when: &str) {
    for (from, to) in [(TODAY - 45, TODAY), (TODAY - 7, TODAY - 3), (TODAY, TODAY), (TODAY + 1, TODAY + 2)] {
        assert_eq!(kept.business.figures(from, to).await.unwrap(), naive(rows, from, to), "{when}: {from} to {to}");
        let conversations = kept.business.conversations(from, to, NOW).await.unwrap();
        assert_eq!(conversations, naive_conversations(rows, from, to, NOW), "{when}: {from} to {to}");
    }
    for of_day in [TODAY - 35, TODAY - 1, TODAY] {
        let users = kept.business.users(of_day).await.unwrap();
        let expected = [1, 7, 30].map(|days| naive_users(rows, of_day - (days - 1), of_day));
        assert_eq!([users.day, users.week, users.month], expected, "{when}: {of_day}");
    }
    let by_day = kept.business.users_by_day(TODAY - 45, TODAY).await.unwrap();
    let expected = (TODAY - 45..=TODAY).map(|day| (day, naive_users(rows, day, day))).filter(|(_, users)| *users > 0);
    assert_eq!(by_day, expected.collect::<Vec<_>>(), "{when}");
}

/// Before and after rows are added up, in parts and once more, over midnights: always what each row says.
pub(crate) async fn rollups_are_what_a_look_at_each_row_finds(kept: Kept) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut rows: Vec<Row> = (0..ROWS).map(|_| row(&mut dice)).collect();
    // Of two that began in the same millisecond, of which there are some, the one with the lesser id counts as the first.
    rows.sort_by_key(in_order);
    for index in (1..rows.len()).step_by(3) {
        rows[index].0.started_ms = rows[index - 1].0.started_ms;
        rows[index].0.conversation_id = rows[index - 1].0.conversation_id.clone();
    }
    for (entry, settled) in &mut rows {
        settled.request_id = entry.request_id;
    }
    for (entry, settled) in &rows {
        kept.ledgers[0].open(entry.clone()).await.unwrap();
        settle(&kept, settled.clone()).await;
    }
    assert_found(&kept, &rows, "as rows").await;
    let moments = [TODAY - 20, TODAY - 1, TODAY].map(|day| u64::from(day) * DAY_MS + 7 * 3_600_000);
    for (part, now_ms) in moments.into_iter().enumerate() {
        // More slots than are added up in one go; and once more, which changes nothing.
        for _ in 0..8 {
            kept.business.roll_up(now_ms).await.unwrap();
        }
        assert_found(&kept, &rows, &format!("after part {part}")).await;
    }
    // Settled again, as if by a second try: nothing changes.
    settle(&kept, rows[0].1.clone()).await;
    kept.business.roll_up(NOW + 40 * DAY_MS).await.unwrap();
    assert_found(&kept, &rows, "at the end").await;
}

/// A request that is open holds its ten minutes open too, and counts when it is settled.
pub(crate) async fn what_is_open_is_waited_for(kept: Kept) {
    let opened = LedgerEntry { opening: OpeningId([7; 16]), ..entry() };
    let settled = settlement(opened.request_id);
    kept.ledgers[0].open(opened.clone()).await.unwrap();
    for hours in [1, 2, 30] {
        kept.business.roll_up(NOW + hours * 3_600_000).await.unwrap();
    }
    assert!(kept.business.figures(TODAY, TODAY).await.unwrap().is_empty());
    settle(&kept, settled.clone()).await;
    let rows = [(opened, settled)];
    assert_eq!(kept.business.figures(TODAY, TODAY).await.unwrap(), naive(&rows, TODAY, TODAY));
    kept.business.roll_up(NOW + 48 * 3_600_000).await.unwrap();
    assert_eq!(kept.business.figures(TODAY, TODAY).await.unwrap(), naive(&rows, TODAY, TODAY));
    assert_eq!(kept.business.users(TODAY).await.unwrap().day, 1);
}
