//! A conversation for people to read, as Markdown (`CommonMark` 0.31, <https://spec.commonmark.org/0.31.2/>).
//!
//! Each message stands in a fenced block whose fence is longer than any in the message, so that whatever it holds, code
//! or half a table, cannot reach beyond it.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use crate::ports::{Conversation, Turn};

/// What stands before the turns.
pub(super) fn head(conversation: &Conversation) -> String {
    let title = conversation.title.as_deref().map_or_else(|| "Conversation".to_owned(), one_line);
    let (created, updated) = (time(conversation.created_ms), time(conversation.updated_ms));
    let id = &conversation.id;
    let turns = conversation.turns;
    let mut text = format!("# {title}\n\n- Id: `{id}`\n- Created: {created}\n- Changed: {updated}\n- Turns: {turns}\n");
    if let Some(instructions) = &conversation.instructions {
        text.push_str("\n## Instructions\n\n");
        fenced(&mut text, instructions, "text");
    }
    text
}

/// A turn.
pub(super) fn turn(turn: &Turn) -> String {
    let (number, model) = (turn.number, one_line(&turn.model));
    let mut text = format!("\n## Turn {number}, {}\n", time(turn.at_ms));
    let messages: Vec<Value> = serde_json::from_str(&turn.messages).unwrap_or_default();
    let last = messages.len().saturating_sub(1);
    for (place, message) in messages.iter().enumerate() {
        let role = one_line(message["role"].as_str().unwrap_or("unknown"));
        // The last is the answer: who gave it is known.
        let speaker = if place == last { format!("{role} ({model})") } else { role };
        text.extend(["\n### ", &speaker, "\n"]);
        said(&mut text, message);
    }
    text
}

fn said(text: &mut String, message: &Value) {
    match &message["content"] {
        Value::String(content) if !content.is_empty() => block(text, content, "text"),
        Value::Array(parts) => parts.iter().for_each(|part| self::part(text, part)),
        _ => {}
    }
    if let Some(refusal) = message["refusal"].as_str() {
        text.push_str("\nRefused:\n");
        block(text, refusal, "text");
    }
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    for call in calls.map(|call| if call["custom"].is_object() { &call["custom"] } else { &call["function"] }) {
        called(text, call);
    }
    if message["function_call"].is_object() {
        called(text, &message["function_call"]);
    }
}

fn called(text: &mut String, call: &Value) {
    text.push_str("\nCalls ");
    text.push_str(&one_line(call["name"].as_str().unwrap_or("a tool")));
    text.push_str(":\n");
    let input = call["arguments"].as_str().or(call["input"].as_str()).unwrap_or_default();
    block(text, input, "json");
}

/// Media are named, not shown.
fn part(text: &mut String, part: &Value) {
    if let Some(said) = part["text"].as_str() {
        block(text, said, "text");
    } else {
        let kind = one_line(part["type"].as_str().unwrap_or("part"));
        text.extend(["\n(", &kind, ")\n"]);
    }
}

fn block(text: &mut String, content: &str, info: &str) {
    text.push('\n');
    fenced(text, content, info);
}

fn fenced(text: &mut String, content: &str, info: &str) {
    let longest = content.split(|letter| letter != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    text.extend([&fence, info, "\n", content]);
    if !content.ends_with('\n') {
        text.push('\n');
    }
    text.extend([&fence, "\n"]);
}

/// A name within a line: without line breaks and other control characters, and without what Markdown or HTML would make
/// something of.
fn one_line(name: &str) -> String {
    let mut line = String::with_capacity(name.len());
    for letter in name.chars() {
        if letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}') {
            line.push(' ');
        } else {
            if letter.is_ascii_punctuation() && !matches!(letter, '/' | '.' | ',' | '-' | ':' | '?' | '\'') {
                line.push('\\');
            }
            line.push(letter);
        }
    }
    line
}

/// RFC 9110's form of dates, in GMT.
fn time(millis: u64) -> String {
    // What lies beyond the year 9999 has no such form.
    let millis = millis.min(253_402_300_799_000);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use goblin_shared::request_id::RequestId;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn turn_of(messages: &Value) -> Turn {
        Turn {
            number: 3,
            request_id: RequestId::new(0, &[0; 10]),
            at_ms: 1_800_000_000_000,
            model: "openai/gpt-4.1".to_owned(),
            messages: messages.to_string(),
            prompt_tokens: 1,
            completion_tokens: 1,
        }
    }

    #[test]
    fn a_turn_is_readable() {
        let text = turn(&turn_of(&json!([
            { "role": "user", "content": [{ "type": "text", "text": "Look:" }, { "type": "image_url", "image_url": {} }] },
            {
                "role": "assistant", "content": "```rust\nfn main() {}\n```",
                "tool_calls": [{ "id": "a", "function": { "name": "f", "arguments": "{}" } }],
            },
        ])));
        let expected = "\n## Turn 3, Fri, 15 Jan 2027 08:00:00 GMT\n\n### user\n\n```text\nLook:\n```\n\n(image\\_url)\n\n\
                        ### assistant (openai/gpt-4.1)\n\n````text\n```rust\nfn main() {}\n```\n````\n\nCalls f:\n\n\
                        ```json\n{}\n```\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_head_tells_what_it_is() {
        let conversation = Conversation {
            id: "conv_x".to_owned(),
            title: Some("# <b>A\n## title</b>".to_owned()),
            instructions: Some("Be brief.".to_owned()),
            created_ms: 0,
            updated_ms: u64::MAX,
            turns: 2,
            prompt_tokens: 0,
            completion_tokens: 0,
        };
        let text = head(&conversation);
        assert!(text.starts_with("# \\# \\<b\\>A \\#\\# title\\</b\\>\n\n- Id: `conv_x`\n"), "{text}");
        assert!(text.contains("- Created: Thu, 01 Jan 1970 00:00:00 GMT\n"));
        assert!(text.ends_with("## Instructions\n\n```text\nBe brief.\n```\n"));
    }

    proptest! {
        #[test]
        fn no_message_reaches_beyond_its_block(content in "[`~\n# a]{1,40}") {
            let text = turn(&turn_of(&json!([{ "role": "user", "content": content }, { "role": "assistant", "content": "end" }])));
            // As CommonMark closes a fenced block: a line of the same fence at least as long, and nothing else.
            let (mut fence, mut headings) = (None::<usize>, 0);
            for line in text.lines() {
                let ticks = line.bytes().take_while(|byte| *byte == b'`').count();
                match fence {
                    None if ticks >= 3 => fence = Some(ticks),
                    None if line.starts_with('#') => headings += 1,
                    Some(open) if ticks >= open && line.trim_end().len() == ticks => fence = None,
                    _ => {}
                }
            }
            prop_assert_eq!((fence, headings), (None, 3));
        }
    }
}
