//! Rows of requests, each opened and settled once.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use super::bench::{Kept, NOW, PATIENCE, TODAY, entry, owner, settlement, today};
use crate::ports::{
    Amounts, LedgerEntry, LedgerOutcome, NotOpened, OpeningId, Quota, Settlement, Subject, TokenCounts, UsageBy,
    UsageQuery,
};

pub(crate) async fn a_request_is_claimed_once_and_settled_once(kept: Kept) {
    let [one, other] = &kept.ledgers;
    let entry = entry();
    one.open(entry.clone()).await.unwrap();
    assert!(matches!(other.open(entry.clone()).await, Err(NotOpened::Claimed)));
    let first = settlement(entry.request_id);
    one.settle(first.clone()).await.unwrap();
    other
        .settle(Settlement { outcome: LedgerOutcome::Failed, cost_nano_usd: Some(99), ..first.clone() })
        .await
        .unwrap();
    one.settle(first).await.unwrap();
    assert!(matches!(one.open(entry).await, Err(NotOpened::Claimed)));
    let rows = kept.usage(UsageBy::Key).await;
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((row.name.as_str(), row.completed, row.failed, row.cost_nano_usd), ("K", 1, 0, 20));
}

pub(crate) async fn what_was_charged_is_what_was_settled_and_what_is_reserved(kept: Kept) {
    let ledger = &kept.ledgers[0];
    let (settled, open, yesterday, nobodys) = (entry(), entry(), entry(), entry());
    let yesterday = LedgerEntry { started_ms: NOW - 86_400_000, ..yesterday };
    let nobodys = LedgerEntry { key_id: None, owner: owner("", "V"), ..nobodys };
    for entry in [&settled, &open, &yesterday, &nobodys] {
        ledger.open(entry.clone()).await.unwrap();
    }
    for entry in [&settled, &yesterday, &nobodys] {
        ledger.settle(settlement(entry.request_id)).await.unwrap();
    }
    let key = Subject::Key("K".to_owned());
    for (subject, quota, charged) in [
        (&key, Quota::Requests, 2),
        (&key, Quota::Tokens, 103),
        (&key, Quota::DailySpend, 1_020),
        (&key, Quota::MonthlySpend, 1_040),
        (&Subject::User(owner("T", "U")), Quota::Tokens, 103),
        (&Subject::User(owner("", "U")), Quota::Tokens, 0),
        (&Subject::User(owner("", "V")), Quota::MonthlySpend, 20),
        (&Subject::Tenant("T".to_owned()), Quota::Requests, 2),
        (&Subject::Tenant("T".to_owned()), Quota::DailySpend, 1_020),
    ] {
        assert_eq!(ledger.charged(subject, quota, NOW + 59_999).await.unwrap(), charged, "{subject:?} {quota:?}");
    }
    assert_eq!(ledger.charged(&key, Quota::Tokens, NOW + 60_000).await.unwrap(), 0);
    assert_eq!(ledger.charged(&key, Quota::MonthlySpend, NOW + 20 * 86_400_000).await.unwrap(), 0);
}

pub(crate) async fn use_is_added_up_by_whatever_is_asked(kept: Kept) {
    let ledger = &kept.ledgers[0];
    let (known, unknown) = (entry(), LedgerEntry { key_id: None, owner: owner("", "V"), ..entry() });
    for entry in [&known, &unknown] {
        ledger.open(entry.clone()).await.unwrap();
    }
    ledger.settle(settlement(known.request_id)).await.unwrap();
    let tokens = TokenCounts { prompt: 5, estimated: true, ..TokenCounts::default() };
    let lost = Settlement {
        outcome: LedgerOutcome::Cancelled,
        provider: None,
        model: None,
        cost_nano_usd: None,
        tokens,
        charged: Amounts { requests: 1, tokens: 5, nano_usd: u64::MAX },
        ..settlement(unknown.request_id)
    };
    ledger.settle(lost).await.unwrap();
    for (by, names) in [
        (UsageBy::Key, ["", "K"]),
        (UsageBy::User, ["T/U", "V"]),
        (UsageBy::Tenant, ["", "T"]),
        (UsageBy::Model, ["", "demo/echo"]),
    ] {
        let rows = kept.usage(by).await;
        assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), names);
    }
    let days = kept.usage(UsageBy::Day).await;
    let [day] = &days[..] else { panic!("{days:?}") };
    assert_eq!((day.name.as_str(), day.completed, day.cancelled), ("2023-11-14", 1, 1));
    assert_eq!((day.cost_nano_usd, day.cost_unknown), (20, 1));
    assert_eq!((day.tokens.prompt, day.tokens.completion, day.tokens.cached, day.tokens.estimated), (7, 1, 1, true));
    let only = UsageQuery { user: Some("V".to_owned()), ..today(UsageBy::Tenant) };
    assert_eq!(ledger.usage(&only).await.unwrap().len(), 1);
    let before = UsageQuery { from_day: TODAY - 1, to_day: TODAY - 1, ..today(UsageBy::Day) };
    assert!(ledger.usage(&before).await.unwrap().is_empty());
}

pub(crate) async fn many_settle_at_once_and_every_sum_is_exact(kept: Kept) {
    let caller = async |number: usize| {
        let ledger = &kept.ledgers[number % 2];
        for round in 0..20 {
            let key = format!("K{}", (number * 31 + round * 17) % 12);
            let entry = LedgerEntry { key_id: Some(key), ..entry() };
            let id = entry.request_id;
            ledger.open(entry).await.unwrap();
            ledger.settle(settlement(id)).await.unwrap();
        }
    };
    let all = futures_util::future::join_all((0..24).map(caller));
    tokio::time::timeout(PATIENCE * 2, all).await.expect("they wait for each other");
    let rows = kept.usage(UsageBy::Key).await;
    assert_eq!(rows.len(), 12);
    assert_eq!(rows.iter().map(|row| row.completed).sum::<u64>(), 24 * 20);
    assert_eq!(rows.iter().map(|row| row.cost_nano_usd).sum::<u64>(), 24 * 20 * 20);
}

pub(crate) async fn only_the_try_that_opened_a_row_settles_it(kept: Kept) {
    let ledger = &kept.ledgers[0];
    let entry = entry();
    ledger.open(entry.clone()).await.unwrap();
    let stranger = Settlement { opening: OpeningId([1; 16]), ..settlement(entry.request_id) };
    let theirs = Settlement { outcome: LedgerOutcome::Failed, ..stranger };
    ledger.settle(theirs.clone()).await.unwrap();
    let key = Subject::Key("K".to_owned());
    assert_eq!(ledger.charged(&key, Quota::DailySpend, NOW).await.unwrap(), 1_000);
    // In one transaction with the right one too.
    let (theirs, ours) = (ledger.settle(theirs), ledger.settle(settlement(entry.request_id)));
    theirs.await.unwrap();
    ours.await.unwrap();
    assert_eq!(ledger.charged(&key, Quota::DailySpend, NOW).await.unwrap(), 20);
    assert_eq!((kept.usage(UsageBy::Key).await[0].completed, kept.usage(UsageBy::Key).await[0].failed), (1, 0));
}

pub(crate) async fn an_opening_that_nobody_waits_for_leaves_nothing_open(kept: Kept) {
    let ledger = &kept.ledgers[0];
    for polls in 0..20 {
        let entry = entry();
        let request_id = entry.request_id;
        let mut opening = pin!(ledger.open(entry));
        for _ in 0..polls % 4 {
            if poll_fn(|context| Poll::Ready(opening.as_mut().poll(context).is_ready())).await {
                // Its caller heard of it, and has to settle it.
                let nothing = Settlement { charged: Amounts::default(), ..settlement(request_id) };
                ledger.settle(nothing).await.unwrap();
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let known = entry();
    ledger.open(known.clone()).await.unwrap();
    ledger.settle(settlement(known.request_id)).await.unwrap();
    let key = Subject::Key("K".to_owned());
    let settled = async {
        while ledger.charged(&key, Quota::DailySpend, NOW).await.unwrap() >= 1_000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("rows that nobody waits for stay open");
    assert_eq!(ledger.charged(&key, Quota::DailySpend, NOW).await.unwrap(), 20);
}
