//! What is reserved and written down before anybody is called, and what becomes of it where that fails.

use super::{
    recorded::{accounts, bill, counts, refused},
    *,
};
use crate::{
    chat::{
        Bill, NotAccounted,
        recording::{NOW, Recorder, Told, Trouble},
    },
    ports::{Amounts, Quota},
};

fn entries(count: usize) -> Vec<Usable> {
    Plan::new((0..count).map(|_| answers([]) as Arc<dyn Provider>).collect()).entries
}

async fn reserved(bill: Bill<'_>) -> Amounts {
    let recorder = Recorder::new(Trouble::None);
    let opened = accounts(&recorder, None).open(bill).await.unwrap();
    let told = recorder.told();
    let [Told::Reserved(amounts), Told::Opened(entry)] = &told[..] else { panic!("{told:?}") };
    assert_eq!(entry.reserved, *amounts);
    drop(opened);
    *amounts
}

#[tokio::test]
async fn reserved_is_the_most_that_the_dearest_entry_may_come_to() {
    let (one, two, three) = (entries(1), entries(2), entries(3));
    for (bill, tokens, micro_usd) in [
        // The model's longest answer.
        (bill(&one), 210, 10 + 2 * 200),
        // The client's.
        (Bill { output_tokens: Some(50), ..bill(&one) }, 60, 10 + 2 * 50),
        (Bill { output_tokens: Some(50), ..bill(&two) }, 60, 3 * 10 + 4 * 50),
        // The one answers longer, the other is dearer.
        (bill(&two), 210, 3 * 10 + 4 * 100),
        // Each answer counts.
        (Bill { output_tokens: Some(50), choices: 3, ..bill(&one) }, 160, 10 + 2 * 150),
        (Bill { output_tokens: Some(50), choices: 0, ..bill(&one) }, 60, 10 + 2 * 50),
        (Bill { output_tokens: Some(1), choices: u32::MAX, ..bill(&one) }, 1_034, 10 + 2 * 1_024),
        // Embeddings have none.
        (Bill { api: Api::Embeddings, ..bill(&one) }, 10, 10),
        // As far as prices are known.
        (bill(&three), 210, 3 * 10 + 4 * 100),
    ] {
        let expected = Amounts { requests: 1, tokens, nano_usd: micro_usd * 1_000 };
        assert_eq!(reserved(bill).await, expected);
    }
}

#[tokio::test]
async fn the_row_says_who_asks_for_what() {
    let recorder = Recorder::new(Trouble::None);
    let (entries, asked) = (entries(1), "é".repeat(200));
    let bill = Bill {
        model_asked: &asked,
        stream: true,
        trace_id: Some("t".repeat(32)),
        conversation_id: Some("conv_1".to_owned()),
        ..bill(&entries)
    };
    let opened = accounts(&recorder, None).open(bill).await.unwrap();
    assert_eq!((opened.limits.len(), opened.at_ms), (1, NOW));
    let told = recorder.told();
    let [_, Told::Opened(entry)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((entry.started_ms, entry.api, entry.stream), (NOW, Api::ChatCompletions, true));
    assert_eq!((entry.model_asked.len(), entry.owner.user.as_str()), (256, "anonymous"));
    assert_eq!(
        (entry.trace_id.as_ref().map(String::len), entry.conversation_id.as_deref()),
        (Some(32), Some("conv_1"))
    );
}

#[tokio::test]
async fn a_model_of_unknown_price_is_refused_only_where_spending_is_limited() {
    let entries = entries(3);
    let recorder = Recorder::new(Trouble::None);
    let told = refused(accounts(&recorder, Some(u64::MAX)).open(bill(&entries)).await);
    assert!(matches!(told, NotAccounted::PriceUnknown(target) if target.provider == "c"));
    assert_eq!(recorder.told(), []);
    assert!(accounts(&recorder, Some(u64::MAX)).open(bill(&entries[..2])).await.is_ok());
    assert!(accounts(&recorder, None).open(bill(&entries)).await.is_ok());
    // Before its first price a model has none.
    recorder.set_now(1_700_000_000_000);
    let told = refused(accounts(&recorder, Some(u64::MAX)).open(bill(&entries[..1])).await);
    assert!(matches!(told, NotAccounted::PriceUnknown(target) if target.provider == "a"));
}

#[tokio::test]
async fn a_tier_of_unknown_price_is_refused_only_where_spending_is_limited() {
    let entries = entries(1);
    for (tier, is_refused) in [
        ("priority", true),
        ("prior\\u0069ty", true),
        ("scale", true),
        ("flex", false),
        ("auto", false),
        ("default", false),
    ] {
        let bill = || Bill { service_tier: Some(tier), ..bill(&entries) };
        let recorder = Recorder::new(Trouble::None);
        let limited = accounts(&recorder, Some(u64::MAX)).open(bill()).await;
        assert_eq!(matches!(limited, Err(NotAccounted::TierUnpriced)), is_refused, "{tier}");
        assert_eq!(recorder.told().is_empty(), is_refused, "{tier}");
        assert!(accounts(&recorder, None).open(bill()).await.is_ok(), "{tier}");
    }
}

#[tokio::test]
async fn what_cannot_be_written_down_is_put_back() {
    let entries = entries(1);
    let nothing = Told::Used(Amounts::default());
    for (trouble, told) in [(Trouble::LedgerDown, 2), (Trouble::Claimed, 2), (Trouble::LimitsDown, 1)] {
        let recorder = Recorder::new(trouble);
        let refused = refused(accounts(&recorder, None).open(bill(&entries)).await);
        assert_eq!(matches!(refused, NotAccounted::Claimed), trouble == Trouble::Claimed);
        assert_eq!(matches!(refused, NotAccounted::Store(_)), trouble != Trouble::Claimed);
        assert_eq!(recorder.told().len(), told, "{trouble:?}");
        assert_eq!(recorder.told().last(), Some(&nothing), "{trouble:?}");
    }
}

#[tokio::test]
async fn over_a_limit_nothing_is_taken_and_nothing_put_back() {
    let entries = entries(1);
    for (quota, most) in [(Quota::Requests, 1), (Quota::Tokens, 210), (Quota::MonthlySpend, 410_000)] {
        let recorder = Recorder::new(Trouble::Over(quota));
        let refused = refused(accounts(&recorder, None).open(bill(&entries)).await);
        let NotAccounted::Over { state, wanted, at_ms } = refused else { panic!("{refused}") };
        assert_eq!((state.quota, wanted, at_ms), (quota, most, NOW));
        assert_eq!(recorder.told(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_it_is_written_down_uses_nothing() {
    let entries = entries(1);
    for (trouble, told) in [(Trouble::LimitsHang, 1), (Trouble::LedgerHangs, 2)] {
        let recorder = Recorder::new(trouble);
        let opening = accounts(&recorder, None);
        let opening = opening.open(bill(&entries));
        assert!(tokio::time::timeout(Duration::from_secs(1), opening).await.is_err());
        assert_eq!(recorder.told().len(), told, "{trouble:?}");
        assert_eq!(recorder.told().last(), Some(&Told::Used(Amounts::default())), "{trouble:?}");
        assert_eq!(counts(&recorder.told()).get("settled"), None);
    }
}
