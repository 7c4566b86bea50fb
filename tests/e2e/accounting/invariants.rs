//! What is true of a store whatever happened to those who used it.

use std::collections::{BTreeMap, BTreeSet};

use goblin_tests::{
    ledger_reader::{ConversationRow, LedgerReader, LedgerRow, TurnRow},
    patience::PATIENCE,
};

use super::{
    bench::Bench,
    load::Kind,
    provider::{COMPLETION_TOKENS, PROMPT_TOKENS},
    seen::{End, Seen},
};

/// Pause between two looks at a store that settles.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// All that a store holds.
pub(super) struct Books {
    pub(super) rows: Vec<LedgerRow>,
    pub(super) turns: Vec<TurnRow>,
    pub(super) conversations: Vec<ConversationRow>,
}

impl Books {
    /// Reads them once nothing is open any more, which the backend sees to by itself.
    pub(super) async fn settled(bench: &Bench) -> Self {
        let mut reader = bench.reader().await;
        let mut open = Vec::new();
        let settling = async {
            loop {
                open = reader.rows().await.unwrap();
                open.retain(|row| row.outcome.is_none());
                if open.is_empty() {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        let settled = tokio::time::timeout(PATIENCE, settling).await;
        assert!(settled.is_ok(), "requests of the ledger stay open: {open:?}");
        let books = Self::read(&mut reader).await;
        reader.close().await.unwrap();
        books
    }

    /// Reads all, and checks what holds at any time: the sums are those of the rows, and every turn has its place.
    pub(super) async fn read(reader: &mut LedgerReader) -> Self {
        let rows = reader.rows().await.unwrap();
        let (turns, conversations) = (reader.turns().await.unwrap(), reader.conversations().await.unwrap());
        assert_eq!(reader.wrong_sums().await.unwrap(), [""; 0], "a row was settled twice, or not added up");
        let books = Self { rows, turns, conversations };
        books.assert_turns_in_order();
        books
    }

    fn assert_turns_in_order(&self) {
        let mut numbers = BTreeMap::<&str, Vec<u64>>::new();
        for turn in &self.turns {
            numbers.entry(&turn.conversation_id).or_default().push(turn.number);
        }
        for ConversationRow { id, turns } in &self.conversations {
            let kept = numbers.remove(id.as_str()).unwrap_or_default();
            assert_eq!(kept, (1..=*turns).collect::<Vec<_>>(), "turns of {id}");
        }
        assert!(numbers.is_empty(), "turns of no conversation: {numbers:?}");
        // A turn is written with the settlement of its request, or neither is.
        let of_turns: Vec<&str> = self.turns.iter().map(|turn| turn.request_id.as_str()).collect();
        let sorted = |mut ids: Vec<&'_ str>| -> Vec<String> {
            ids.sort_unstable();
            ids.into_iter().map(str::to_owned).collect()
        };
        let completed = self.rows.iter().filter(|row| row.conversation_id.is_some() && row.is("completed"));
        let completed = completed.map(|row| row.request_id.as_str()).collect();
        assert_eq!(sorted(of_turns), sorted(completed), "turns and the requests that completed in conversations");
    }

    /// Every request that a caller saw accepted and every call of the provider has a row, which says what the caller
    /// saw. `died`: the backend may have ended in the midst of any.
    pub(super) fn assert_account_for(&self, seen: &[Seen], traces: &[String], died: bool) {
        let by_id: BTreeMap<&str, &LedgerRow> = self.rows.iter().map(|row| (row.request_id.as_str(), row)).collect();
        assert_eq!(by_id.len(), self.rows.len(), "one row for each request");
        let of_turns: BTreeSet<&str> = self.turns.iter().map(|turn| turn.request_id.as_str()).collect();
        for seen in seen {
            assert!(!matches!(seen.end, End::Wrong(_)), "{seen:?}");
            let Some(id) = &seen.accepted else { continue };
            let row = by_id.get(id.as_str()).unwrap_or_else(|| panic!("no row for {seen:?}"));
            assert_eq!(row.conversation_id, seen.conversation, "{row:?}");
            let outcome = row.outcome.as_deref().unwrap_or_else(|| panic!("still open: {row:?}"));
            let expected: &[&str] = match (&seen.end, died) {
                (End::Whole, false) => &["completed"],
                (End::Whole, true) => &["completed", "interrupted"],
                (End::Failed(_), false) => &["failed", "completed"],
                // Who left may have been answered just before.
                (End::Left, false) => &["completed", "cancelled"],
                _ => &["completed", "cancelled", "failed", "interrupted"],
            };
            assert!(expected.contains(&outcome), "{seen:?}: {row:?}");
            if seen.kind == Kind::Turn && seen.end == End::Whole && seen.conversation.is_some() {
                assert!(of_turns.contains(id.as_str()), "the turn is lost: {seen:?}: {row:?}");
            }
        }
        let known: BTreeSet<&str> = self.rows.iter().filter_map(|row| row.trace_id.as_deref()).collect();
        let unknown: Vec<_> = traces.iter().filter(|trace| !known.contains(trace.as_str())).collect();
        assert!(unknown.is_empty(), "calls of the provider without a row: {unknown:?}");
        self.rows.iter().for_each(assert_adds_up);
    }
}

/// A row that completed says what the provider told, and what that costs.
fn assert_adds_up(row: &LedgerRow) {
    if row.is("interrupted") {
        assert_eq!((row.provider.as_deref(), row.cost_nano_usd), (None, None), "{row:?}");
        assert_eq!(row.charged_tokens, Some(row.reserved_tokens), "nobody knows, so that all is charged: {row:?}");
        return;
    }
    if row.is("completed") {
        assert_eq!((row.provider.as_deref(), row.attempts), (Some("openai"), Some(1)), "{row:?}");
        assert_eq!(row.prompt_tokens, Some(PROMPT_TOKENS), "{row:?}");
        assert_eq!(row.completion_tokens, Some(COMPLETION_TOKENS), "{row:?}");
        // gpt-4o-mini: 0.15 and 0.60 dollars a million.
        let cost = PROMPT_TOKENS * 150 + COMPLETION_TOKENS * 600;
        assert_eq!((row.cost_nano_usd, row.charged_nano_usd), (Some(cost), Some(cost)), "{row:?}");
        assert_eq!(row.charged_tokens, Some(PROMPT_TOKENS + COMPLETION_TOKENS), "{row:?}");
    }
    assert!(row.charged_tokens <= Some(row.reserved_tokens), "more than was reserved: {row:?}");
}
