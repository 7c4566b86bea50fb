//! Conversations and the turns that settlements add.

use super::bench::{Kept, NOW, entry, owner, settlement};
use crate::ports::{Conversation, NewTurn, OpeningId, PageCursor, Settlement, UsageBy};

fn conversation(id: &str, updated_ms: u64) -> Conversation {
    Conversation {
        id: id.to_owned(),
        title: Some("Ünïcode \"quoted\"".to_owned()),
        instructions: None,
        created_ms: 1,
        updated_ms,
        turns: 0,
        prompt_tokens: 0,
        completion_tokens: 0,
    }
}

fn turn(id: &str, user: &str, text: &str) -> NewTurn {
    NewTurn {
        conversation_id: id.to_owned(),
        owner: owner("T", user),
        at_ms: NOW,
        model: "demo/echo".to_owned(),
        messages: format!("[\"{text}\"]"),
        prompt_tokens: 5,
        completion_tokens: 2,
    }
}

pub(crate) async fn turns_are_added_once_and_only_to_ones_own(kept: Kept) {
    let (ledger, conversations) = (&kept.ledgers[0], &kept.conversations);
    let mine = owner("T", "U");
    conversations.create(&mine, &conversation("conv_1", 1)).await.unwrap();
    let texts =
        [("conv_1", "U", "one"), ("conv_1", "U", "two"), ("conv_1", "V", "stranger"), ("conv_0", "U", "nowhere")];
    for (id, user, text) in texts {
        let entry = entry();
        let settled = Settlement { turn: Some(turn(id, user, text)), ..settlement(entry.request_id) };
        ledger.open(entry).await.unwrap();
        // Nor does another try of the request add one.
        let theirs =
            Settlement { opening: OpeningId([1; 16]), turn: Some(turn(id, user, "theirs")), ..settled.clone() };
        ledger.settle(theirs).await.unwrap();
        // Whoever does not know whether it was written tells it again.
        for _ in 0..2 {
            ledger.settle(settled.clone()).await.unwrap();
        }
    }
    let turns = conversations.turns(&mine, "conv_1", 0, 9).await.unwrap().unwrap();
    let seen: Vec<_> = turns.iter().map(|turn| (turn.number, turn.messages.as_str())).collect();
    assert_eq!(seen, [(1, "[\"one\"]"), (2, "[\"two\"]")]);
    let last = conversations.turns_before(&mine, "conv_1", 9, 1).await.unwrap().unwrap();
    assert_eq!(last, turns[1..]);
    assert!(conversations.turns(&mine, "conv_1", 2, 9).await.unwrap().unwrap().is_empty());
    assert_eq!(conversations.turns(&mine, "conv_0", 0, 9).await.unwrap(), None);
    assert_eq!(conversations.turns(&owner("T", "V"), "conv_1", 0, 9).await.unwrap(), None);
    let now = conversations.get(&mine, "conv_1").await.unwrap().unwrap();
    assert_eq!((now.turns, now.updated_ms, now.prompt_tokens, now.completion_tokens), (2, NOW, 10, 4));
    assert!(!conversations.delete(&owner("T", "V"), "conv_1").await.unwrap());
    assert!(conversations.delete(&mine, "conv_1").await.unwrap());
    assert_eq!(conversations.turns(&mine, "conv_1", 0, 9).await.unwrap(), None);
}

pub(crate) async fn answers_in_one_conversation_number_their_turns_one_by_one(kept: Kept) {
    let (instances, conversations) = (&kept.ledgers, &kept.conversations);
    let mine = owner("T", "U");
    conversations.create(&mine, &conversation("conv_1", 1)).await.unwrap();
    let answer = async |number: usize| {
        let entry = entry();
        let settled = Settlement { turn: Some(turn("conv_1", "U", "hello")), ..settlement(entry.request_id) };
        instances[number % 2].open(entry).await.unwrap();
        instances[number % 2].settle(settled).await.unwrap();
    };
    futures_util::future::join_all((0..40).map(answer)).await;
    let turns = conversations.turns(&mine, "conv_1", 0, 99).await.unwrap().unwrap();
    assert!(turns.iter().map(|turn| turn.number).eq(1..=40), "{turns:?}");
    assert_eq!(conversations.get(&mine, "conv_1").await.unwrap().unwrap().turns, 40);
}

pub(crate) async fn a_turn_for_what_was_deleted_is_settled_without_it(kept: Kept) {
    let (ledger, conversations) = (&kept.ledgers[0], &kept.conversations);
    let mine = owner("T", "U");
    conversations.create(&mine, &conversation("conv_1", 1)).await.unwrap();
    let entry = entry();
    let settled = Settlement { turn: Some(turn("conv_1", "U", "late")), ..settlement(entry.request_id) };
    ledger.open(entry).await.unwrap();
    assert!(conversations.delete(&mine, "conv_1").await.unwrap());
    assert!(!conversations.delete(&mine, "conv_1").await.unwrap());
    ledger.settle(settled).await.unwrap();
    assert_eq!(conversations.get(&mine, "conv_1").await.unwrap(), None);
    assert_eq!(kept.usage(UsageBy::Key).await[0].completed, 1);
}

pub(crate) async fn lists_go_on_where_they_ended_and_the_old_expire(kept: Kept) {
    let conversations = &kept.conversations;
    let mine = owner("T", "U");
    for (id, updated_ms) in [("conv_a", 5), ("conv_B", 7), ("conv_b", 7), ("conv_c", 3)] {
        conversations.create(&mine, &conversation(id, updated_ms)).await.unwrap();
    }
    conversations.create(&owner("", "U"), &conversation("conv_other", 9)).await.unwrap();
    let mut seen = Vec::new();
    let mut after = None;
    while let Some(last) = conversations.list(&mine, after.as_ref(), 1).await.unwrap().pop() {
        after = Some(PageCursor { updated_ms: last.updated_ms, id: last.id.clone() });
        seen.push(last.id);
    }
    assert_eq!(seen, ["conv_b", "conv_B", "conv_a", "conv_c"]);
    let renamed = conversations.rename(&mine, "conv_c", None, 8).await.unwrap().unwrap();
    assert_eq!((renamed.title, renamed.updated_ms), (None, 8));
    assert_eq!(conversations.rename(&owner("", "U"), "conv_c", None, 8).await.unwrap(), None);
    assert_eq!(conversations.expire(8, 2).await.unwrap(), 2);
    assert_eq!(conversations.expire(8, 9).await.unwrap(), 1);
    assert_eq!(conversations.list(&mine, None, 9).await.unwrap().len(), 1);
}
