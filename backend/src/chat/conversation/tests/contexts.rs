//! What goes along, and what is kept.

use std::time::Duration;

use serde_json::json;

use super::*;

fn asks(id: &str, messages: &Value) -> String {
    json!({ "model": "m", "conversation_id": id, "messages": messages, "temperature": 0.5 }).to_string()
}

fn says(id: &str, text: &str) -> String {
    asks(id, &json!([{ "role": "user", "content": text }]))
}

/// Who speaks in a prompt, and what.
fn spoken(sent: &Value) -> Vec<String> {
    let messages = sent["messages"].as_array().unwrap().iter();
    messages.map(|message| format!("{}: {}", message["role"].as_str().unwrap(), message["content"])).collect()
}

#[tokio::test]
async fn what_was_said_goes_along() {
    let (room, who) = (Room::new(), user("u"));
    let id = room.service.create(&who, None, Some("Be brief.".to_owned())).await.unwrap().id;
    room.says(&who, &says(&id, "one"), &text("1"), 10_000).await;
    let (sent, dropped) = room.says(&who, &says(&id, "two"), &text("2"), 10_000).await;
    assert_eq!(dropped, 0);
    assert_eq!(spoken(&sent), ["system: \"Be brief.\"", "user: \"one\"", "assistant: \"1\"", "user: \"two\""]);
    assert_eq!((&sent["temperature"], sent.get("conversation_id")), (&json!(0.5), None));
    let conversation = room.service.get(&who, &id).await.unwrap();
    assert_eq!((conversation.turns, conversation.prompt_tokens, conversation.completion_tokens), (2, 14, 6));
    let turns = room.service.turns(&who, &id, 0, 10).await.unwrap();
    assert_eq!(turns[1].messages, r#"[{"role":"user","content":"two"},{"role":"assistant","content":"2"}]"#);
}

#[tokio::test]
async fn a_requests_own_instructions_count_for_it_alone() {
    let (room, who) = (Room::new(), user("u"));
    let id = room.service.create(&who, None, Some("Be brief.".to_owned())).await.unwrap().id;
    let messages = json!([
        { "role": "developer", "content": "Rhyme." },
        { "role": "system", "content": "Now." },
        { "role": "user", "content": "one" },
    ]);
    let (sent, _) = room.says(&who, &asks(&id, &messages), &text("1"), 10_000).await;
    assert_eq!(spoken(&sent), ["developer: \"Rhyme.\"", "system: \"Now.\"", "user: \"one\""]);
    let (sent, _) = room.says(&who, &says(&id, "two"), &text("2"), 10_000).await;
    assert_eq!(spoken(&sent)[..2], ["system: \"Be brief.\"", "user: \"one\""]);
}

#[tokio::test]
async fn the_oldest_turns_are_left_out_first() {
    let (room, who) = (Room::new(), user("u"));
    let id = room.service.create(&who, None, None).await.unwrap().id;
    for turn in 1..=300 {
        let (_, dropped) = room.says(&who, &says(&id, &format!("question {turn}")), &text("answer"), 100_000).await;
        assert_eq!(dropped, 0, "{turn}");
    }
    let (sent, dropped) = room.says(&who, &says(&id, "last"), &text("end"), 400).await;
    let spoken = spoken(&sent);
    assert!(dropped > 250 && dropped < 300, "{dropped}");
    assert_eq!(spoken.len(), usize::try_from(300 - dropped).unwrap() * 2 + 1);
    assert_eq!(spoken[0], format!("user: \"question {}\"", dropped + 1));
    // No more is read than may fit.
    room.store.pages.store(0, Ordering::Relaxed);
    let (_, dropped) = room.says(&who, &says(&id, "more"), &text("end"), 200).await;
    assert!(dropped > 290);
    assert_eq!(room.store.pages.load(Ordering::Relaxed), 1);
    let (sent, dropped) = room.says(&who, &says(&id, "alone"), &text("end"), 1).await;
    assert_eq!((dropped, sent["messages"].as_array().unwrap().len()), (302, 1));
}

#[tokio::test]
async fn a_tools_result_is_never_without_its_call() {
    let (room, who) = (Room::new(), user("u"));
    let id = room.service.create(&who, None, None).await.unwrap().id;
    room.says(&who, &says(&id, "hello"), &text("hi"), 10_000).await;
    let call = r#"{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}"#;
    room.says(&who, &says(&id, "look it up"), &answer(call), 10_000).await;
    let result = json!([{ "role": "tool", "tool_call_id": "c", "content": "found" }]);
    // Too long for any window, and yet there.
    let (sent, dropped) = room.says(&who, &asks(&id, &result), &text("It is there."), 1).await;
    assert_eq!((dropped, spoken(&sent)[0].as_str()), (1, "user: \"look it up\""));
    assert_eq!(sent["messages"][1]["tool_calls"][0]["id"], "c");
    // The turn that begins with the result would fit, but goes with the one that calls, or not at all.
    let (room, who) = (&room, &who);
    let dropped = async |window| room.begin(who, &says(&id, "thanks"), window).await.unwrap().dropped;
    let mut seen = Vec::new();
    for window in 100..300 {
        seen.push(dropped(window).await);
    }
    seen.dedup();
    assert_eq!(seen, [3, 1, 0], "never 2");
}

#[tokio::test]
async fn requests_that_cannot_go_on_are_told_why() {
    let (room, who) = (Room::new(), user("u"));
    let id = room.service.create(&who, None, None).await.unwrap().id;
    let refused = async |body: String| match room.begin(&who, &body, 1_000).await {
        Err(ConversationFailure::Invalid { param, .. }) => param,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(asks(&id, &json!([{ "role": "system", "content": "x" }]))).await, "messages");
    let several = says(&id, "x").replace("\"temperature\":0.5", "\"n\":2");
    assert_eq!(refused(several).await, "n");
    let one = says(&id, "x").replace("\"temperature\":0.5", "\"n\":1");
    assert!(room.begin(&who, &one, 1_000).await.is_ok());
}

#[tokio::test]
async fn somebody_elses_is_as_if_it_were_not_there() {
    let (room, who, other) = (Room::new(), user("u"), user("v"));
    let id = room.service.create(&who, Some("mine".to_owned()), None).await.unwrap().id;
    let elsewhere = Principal { owner: Owner { tenant: "s".to_owned(), ..who.owner.clone() }, ..who.clone() };
    for stranger in [&other, &elsewhere] {
        let not_found = |failed: Option<ConversationFailure>| matches!(failed, Some(ConversationFailure::NotFound));
        assert!(not_found(room.begin(stranger, &says(&id, "x"), 1_000).await.err()));
        assert!(not_found(room.service.get(stranger, &id).await.err()));
        assert!(not_found(room.service.turns(stranger, &id, 0, 1).await.err()));
        assert!(not_found(room.service.rename(stranger, &id, None).await.err()));
        assert!(not_found(room.service.delete(stranger, &id).await.err()));
        assert!(room.service.list(stranger, None, 10).await.unwrap().is_empty());
    }
    assert_eq!(room.service.get(&who, &id).await.unwrap().title.as_deref(), Some("mine"));
    // One that asks for it does not reach the store.
    room.store.is_down.store(true, Ordering::Relaxed);
    assert!(matches!(room.service.get(&who, "x").await, Err(ConversationFailure::NotFound)));
    assert!(matches!(room.service.get(&who, &id).await, Err(ConversationFailure::Store(_))));
}

#[tokio::test]
async fn nobody_has_conversations_unless_everybody_is_nobody() {
    let anonymous = Principal::anonymous();
    let created = Room::new().service.create(&anonymous, None, None).await;
    assert!(matches!(created, Err(ConversationFailure::Anonymous)));
    assert!(Room::with_anonymous(true).service.create(&anonymous, None, None).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_nobody_changed_for_long_is_deleted() {
    let (room, who) = (Room::new(), user("u"));
    for _ in 0..120 {
        room.service.create(&who, None, None).await.unwrap();
    }
    room.clock.0.fetch_add(Duration::from_hours(24).as_millis().try_into().unwrap(), Ordering::Relaxed);
    let young = room.service.create(&who, None, None).await.unwrap().id;
    room.store.is_down.store(true, Ordering::Relaxed);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async move { drop(stopped.await) };
    let task = expire_old(room.store.clone(), room.clock.clone(), Duration::from_hours(12), stopped);
    let task = tokio::spawn(task);
    tokio::time::sleep(Duration::from_secs(5)).await;
    room.store.is_down.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(31)).await;
    let left = room.service.list(&who, None, 200).await.unwrap();
    assert_eq!(left.iter().map(|one| &one.id).collect::<Vec<_>>(), [&young]);
    stop.send(()).unwrap();
    task.await.unwrap();
}
