//! How much text a client was given, read from what it was given, in its own shape.
//!
//! For answers whose provider does not say how many tokens they have. Counted are text, refusals, reasoning, and the names
//! and arguments of tool calls, as they are written. Odd members count nothing: an answer must not fail on a detail that
//! only we look at.

use goblin_shared::{api::Api, chat_request::Estimate};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::lenient::lenient;

/// What is looked into of any event or answer, of either shape.
#[derive(Default, Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    choices: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

/// One of OpenAI's choices: `delta` of a chunk, `message` of an answer.
#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow, default)]
    function: Option<&'a RawValue>,
}

/// Anything with members that hold what a model wrote: Anthropic's blocks and deltas, OpenAI's functions and parts.
#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow, default)]
    summary: Option<&'a RawValue>,
    #[serde(borrow, default)]
    partial_json: Option<&'a RawValue>,
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

/// Adds the texts of an event of a stream, or of a whole answer. Embeddings have none.
pub(crate) fn count(api: Api, json: &[u8], estimate: &mut Estimate) {
    let wire: Wire<'_> = serde_json::from_slice(json).unwrap_or_default();
    match api {
        Api::ChatCompletions => {
            for choice in lenient::<Vec<Choice<'_>>>(wire.choices).into_iter().flatten() {
                message(choice.delta.or(choice.message), estimate);
            }
        }
        Api::Messages => {
            piece(wire.delta, estimate);
            // Of a block that begins only a tool's name is news: its other members come as deltas, and are empty here.
            piece(wire.content_block, estimate);
            pieces(wire.content, estimate);
        }
        Api::Embeddings => {}
    }
}

fn message(raw: Option<&RawValue>, estimate: &mut Estimate) {
    let Some(message) = lenient::<Message<'_>>(raw) else { return };
    text(message.content, estimate);
    pieces(message.content, estimate);
    text(message.refusal, estimate);
    // They say the same.
    match message.reasoning_content.filter(is_said).or(message.reasoning.filter(is_said)) {
        Some(reasoning) => text(Some(reasoning), estimate),
        None => pieces(message.reasoning_details, estimate),
    }
    for call in lenient::<Vec<ToolCall<'_>>>(message.tool_calls).into_iter().flatten() {
        piece(call.function, estimate);
    }
    piece(message.function_call, estimate);
}

fn is_said(raw: &&RawValue) -> bool {
    raw.get().len() > 2 && raw.get().starts_with('"')
}

fn pieces(raw: Option<&RawValue>, estimate: &mut Estimate) {
    for one in lenient::<Vec<&RawValue>>(raw).into_iter().flatten() {
        piece(Some(one), estimate);
    }
}

fn piece(raw: Option<&RawValue>, estimate: &mut Estimate) {
    let Some(piece) = raw.filter(|raw| raw.get().starts_with('{')).and_then(|raw| lenient::<Piece<'_>>(Some(raw)))
    else {
        return;
    };
    let texts =
        [piece.text, piece.refusal, piece.thinking, piece.summary, piece.partial_json, piece.name, piece.arguments];
    for raw in texts {
        text(raw, estimate);
    }
    // An object that the model wrote as text.
    if let Some(input) = piece.input.map(RawValue::get).filter(|input| input.starts_with('{') && *input != "{}") {
        estimate.text(input.as_bytes());
    }
}

/// A text as it is written, without its quotation marks.
fn text(raw: Option<&RawValue>, estimate: &mut Estimate) {
    let written = raw.map(RawValue::get).and_then(|raw| raw.strip_prefix('"')?.strip_suffix('"'));
    estimate.text(written.unwrap_or_default().as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(api: Api, json: &str) -> u32 {
        let mut estimate = Estimate::default();
        count(api, json.as_bytes(), &mut estimate);
        estimate.tokens()
    }

    #[test]
    fn everything_that_a_model_wrote_counts() {
        for (delta, expected) in [
            (r#"{"content":"12345678"}"#, 2),
            (r#"{"content":"世界"}"#, 2),
            (r#"{"content":[{"type":"text","text":"12345678"}]}"#, 2),
            (r#"{"refusal":"12345678"}"#, 2),
            (r#"{"reasoning_content":"12345678","reasoning":"12345678"}"#, 2),
            (r#"{"reasoning":"1234","reasoning_details":[{"type":"reasoning.text","text":"1234"}]}"#, 1),
            (r#"{"reasoning_details":[{"type":"reasoning.summary","summary":"1234"}]}"#, 1),
            (r#"{"tool_calls":[{"index":0,"id":"call","function":{"name":"look","arguments":"{\"a\"}"}}]}"#, 3),
            (r#"{"function_call":{"name":"look","arguments":"1234"}}"#, 2),
            (r#"{"role":"assistant","content":null,"tool_calls":7}"#, 0),
            ("{}", 0),
        ] {
            let chunk = format!(r#"{{"id":"not counted","choices":[{{"index":0,"delta":{delta}}}]}}"#);
            assert_eq!(tokens(Api::ChatCompletions, &chunk), expected, "{delta}");
            let whole = format!(r#"{{"choices":[{{"index":0,"message":{delta}}}]}}"#);
            assert_eq!(tokens(Api::ChatCompletions, &whole), expected, "{delta}");
        }
        let two = r#"{"choices":[{"delta":{"content":"1234"}},{"delta":{"content":"1234"}}]}"#;
        assert_eq!(tokens(Api::ChatCompletions, two), 2);
        assert_eq!(tokens(Api::Embeddings, two), 0);
    }

    #[test]
    fn blocks_and_their_deltas_count() {
        for (json, expected) in [
            (r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"12345678"}}"#, 2),
            (r#"{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"12345678"}}"#, 2),
            (r#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"1234"}}"#, 1),
            (r#"{"type":"content_block_delta","delta":{"type":"signature_delta","signature":"1234"}}"#, 0),
            (r#"{"type":"content_block_start","content_block":{"type":"tool_use","name":"look","input":{}}}"#, 1),
            (r#"{"content":[{"type":"text","text":"1234"},{"type":"thinking","thinking":"1234","signature":"x"}]}"#, 2),
            (r#"{"content":[{"type":"tool_use","name":"look","input":{"a":12}}]}"#, 3),
        ] {
            assert_eq!(tokens(Api::Messages, json), expected, "{json}");
        }
    }

    proptest! {
        #[test]
        fn counting_never_panics(json in "\\PC*") {
            for api in [Api::ChatCompletions, Api::Messages, Api::Embeddings] {
                let _ = tokens(api, &json);
            }
        }

        /// Text that comes in pieces counts as much as at once.
        #[test]
        fn pieces_add_up(words in prop::collection::vec("[a-zà-ö世界]{0,9}", 0..9)) {
            let mut estimate = Estimate::default();
            for word in &words {
                let chunk = format!(r#"{{"choices":[{{"delta":{{"content":"{word}"}}}}]}}"#);
                count(Api::ChatCompletions, chunk.as_bytes(), &mut estimate);
            }
            let whole = format!(r#"{{"choices":[{{"message":{{"content":"{}"}}}}]}}"#, words.concat());
            prop_assert_eq!(estimate.tokens(), tokens(Api::ChatCompletions, &whole));
        }
    }
}
