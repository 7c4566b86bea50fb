//! Texts that PostgreSQL does not take as they are.

use super::bench::{kept, owner};
use crate::ports::Conversation;

#[tokio::test]
async fn a_nul_within_a_text_is_replaced() {
    let Some(kept) = kept("a_nul_within_a_text_is_replaced").await else { return };
    let mine = owner("T", "a\0b");
    let conversation = Conversation {
        id: "conv_1".to_owned(),
        title: Some("a\0b".to_owned()),
        instructions: Some("\0".to_owned()),
        created_ms: 1,
        updated_ms: 1,
        turns: 0,
        prompt_tokens: 0,
        completion_tokens: 0,
    };
    kept.conversations.create(&mine, &conversation).await.unwrap();
    let found = kept.conversations.get(&mine, "conv_1").await.unwrap().unwrap();
    assert_eq!((found.title.as_deref(), found.instructions.as_deref()), (Some("a\u{fffd}b"), Some("\u{fffd}")));
}
