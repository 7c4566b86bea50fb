//! Values in normal form, as far as a format can express them.

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Number, Value, json};

use crate::{
    ports::Usage,
    wire::neutral::{
        Answer, AssistantPart, Choice, Format, Image, Reasoning, Request, Stop, Tool, ToolCall, ToolChoice, Turn,
        UserPart,
    },
};

/// What a value must be expressible in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    OpenAi,
    Anthropic,
    Both,
}

fn text() -> impl Strategy<Value = String> {
    "[a-zß€𝄞 \"\\\\{}:\n]{1,10}"
}

/// Any JSON of some depth, with members that the formats know.
pub(super) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from)
    ];
    let name = select(vec![
        "model",
        "messages",
        "content",
        "text",
        "role",
        "type",
        "tools",
        "function",
        "arguments",
        "id",
        "index",
        "input",
        "delta",
        "stop",
        "usage",
        "tool_calls",
        "source",
        "image_url",
        "x",
    ]);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name.clone(), inner), 0..5)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

pub(in crate::wire) fn object() -> impl Strategy<Value = Value> {
    vec(("[a-c]", json()), 0..3).prop_map(|members| members.into_iter().collect())
}

fn tool_call(family: Family) -> impl Strategy<Value = ToolCall> {
    let signature = option::of(text()).prop_map(move |signature| signature.filter(|_| family == Family::OpenAi));
    (text(), text(), object(), signature).prop_map(|(id, name, arguments, signature)| ToolCall {
        id,
        name,
        arguments,
        signature,
    })
}

/// Reasoning, texts, refusals, calls: the order that OpenAI's shape has.
fn parts(family: Family, texts: std::ops::Range<usize>) -> impl Strategy<Value = Vec<AssistantPart>> {
    let reasoning = prop_oneof![
        (text(), text()).prop_map(|(text, proof)| AssistantPart::Reasoning { text, signature: Some(proof) }),
        text().prop_map(AssistantPart::RedactedReasoning),
    ];
    let refusal = option::of(text()).prop_map(move |refusal| refusal.filter(|_| family == Family::OpenAi));
    let parts = (vec(reasoning, 0..3), vec(text(), texts), refusal, vec(tool_call(family), 0..3));
    parts.prop_map(|(mut parts, texts, refusal, calls)| {
        parts.extend(texts.into_iter().map(AssistantPart::Text));
        parts.extend(refusal.map(AssistantPart::Refusal));
        parts.extend(calls.into_iter().map(AssistantPart::ToolCall));
        if parts.is_empty() {
            parts.push(AssistantPart::Text("x".to_owned()));
        }
        parts
    })
}

fn image(family: Family) -> impl Strategy<Value = Image> {
    let detail = option::of(select(vec!["low", "high"]).prop_map(str::to_owned));
    (any::<bool>(), detail).prop_map(move |(url, detail)| {
        let detail = detail.filter(|_| family == Family::OpenAi);
        if url {
            Image::Url { url: "https://example.com/a.png".to_owned(), detail }
        } else {
            Image::Data { media_type: "image/png".to_owned(), data: "iVBORw==".to_owned(), detail }
        }
    })
}

fn user(family: Family) -> impl Strategy<Value = Vec<UserPart>> {
    let said = move || prop_oneof![text().prop_map(UserPart::Text), image(family).prop_map(UserPart::Image)];
    let content = vec(said(), 0..3);
    let result = (text(), content, any::<bool>()).prop_map(move |(id, content, is_error)| {
        let is_open = family == Family::Anthropic;
        let content = content.into_iter().filter(|part| is_open || matches!(part, UserPart::Text(_))).collect();
        UserPart::ToolResult { id, content, is_error: is_error && is_open }
    });
    (vec(result, 0..3), vec(said(), 0..3)).prop_map(|(mut parts, said)| {
        parts.extend(said);
        if parts.is_empty() {
            parts.push(UserPart::Text("x".to_owned()));
        }
        parts
    })
}

fn turns(family: Family) -> impl Strategy<Value = Vec<Turn>> {
    (vec((user(family), parts(family, 0..3)), 0..3), user(family)).prop_map(|(pairs, last)| {
        let pairs = pairs.into_iter().flat_map(|(user, assistant)| [Turn::User(user), Turn::Assistant(assistant)]);
        pairs.chain([Turn::User(last)]).collect()
    })
}

fn number() -> impl Strategy<Value = Option<Number>> {
    option::of((0..=100_u32).prop_filter_map("finite", |hundredths| Number::from_f64(f64::from(hundredths) / 100.0)))
}

fn tool() -> impl Strategy<Value = Tool> {
    (text(), option::of(text()), object(), option::of(any::<bool>())).prop_map(
        |(name, description, parameters, strict)| Tool { name, description, parameters: Some(parameters), strict },
    )
}

fn tool_choice() -> impl Strategy<Value = ToolChoice> {
    prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        text().prop_map(ToolChoice::Named)
    ]
}

fn reasoning(family: Family) -> impl Strategy<Value = Option<Reasoning>> {
    let effort = select(vec!["low", "medium", "high", "xhigh"]).prop_map(|effort| Reasoning::Effort(effort.to_owned()));
    let budget = (1_024..99_999_u64).prop_map(Reasoning::Budget);
    let any = prop_oneof![Just(Reasoning::Off), Just(Reasoning::Adaptive), effort, budget];
    option::of(any).prop_map(move |reasoning| {
        let foreign = |reasoning: &Reasoning| matches!(reasoning, Reasoning::Adaptive | Reasoning::Budget(_));
        reasoning.filter(|reasoning| family == Family::Anthropic || !foreign(reasoning))
    })
}

fn format(family: Family) -> impl Strategy<Value = Option<Format>> {
    (0..3, text(), option::of(text()), object(), option::of(any::<bool>())).prop_map(
        move |(kind, name, description, schema, strict)| match (kind, family) {
            (0, _) => None,
            (1, Family::OpenAi) => Some(Format::Json),
            (_, Family::OpenAi) => Some(Format::Schema { name: Some(name), description, schema, strict }),
            _ => Some(Format::Schema { name: None, description: None, schema, strict: Some(true) }),
        },
    )
}

/// A request. The conversation ends with the user, as it does for both.
pub(super) fn request(family: Family) -> impl Strategy<Value = Request> {
    let said =
        (vec(text(), 0..3), turns(family), vec(tool(), 0..3), option::of(tool_choice()), option::of(any::<bool>()));
    let numbers = (1..99_999_u64, number(), number(), option::of(1..50_u64), vec(text(), 0..3));
    let form = (format(family), reasoning(family), option::of(text()), any::<bool>());
    let openai = (option::of(any::<i64>()), number(), number(), option::of(1..4_u32), option::of(any::<bool>()));
    (said, numbers, form, openai).prop_map(move |(said, numbers, form, openai)| {
        let (system, turns, tools, tool_choice, parallel_tool_calls) = said;
        let (max_tokens, temperature, top_p, top_k, stop) = numbers;
        let (format, reasoning, user, stream) = form;
        let is_said_there = tool_choice.as_ref().is_some_and(|choice| *choice != ToolChoice::None);
        let mut request = Request {
            system,
            turns,
            tools,
            tool_choice,
            parallel_tool_calls: parallel_tool_calls.filter(|_| family == Family::OpenAi || is_said_there),
            max_tokens: Some(max_tokens),
            temperature,
            top_p,
            stop,
            format,
            reasoning,
            user,
            stream,
            ..Request::default()
        };
        if family == Family::OpenAi {
            let (seed, presence_penalty, frequency_penalty, choices, logprobs) = openai;
            let top_logprobs = choices;
            request = Request { seed, presence_penalty, frequency_penalty, choices, logprobs, top_logprobs, ..request };
        } else if family == Family::Anthropic {
            request.top_k = top_k;
        }
        request
    })
}

fn stop(family: Family) -> impl Strategy<Value = Stop> {
    let common = select(vec![Stop::End, Stop::Length, Stop::ToolCalls, Stop::Filtered]);
    (common, any::<bool>(), option::of(text())).prop_map(move |(stop, own, sequence)| match (family, own) {
        (Family::Anthropic, true) => Stop::Sequence(sequence),
        _ => stop,
    })
}

fn usage() -> impl Strategy<Value = Usage> {
    let count = || 0..1_000_000_u64;
    (count(), count(), option::of(count()), option::of(count()), option::of(count())).prop_map(
        |(input, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens)| Usage {
            prompt_tokens: input + cached_tokens.unwrap_or(0) + cache_write_tokens.unwrap_or(0),
            completion_tokens,
            cached_tokens,
            cache_write_tokens,
            reasoning_tokens,
        },
    )
}

fn choice(family: Family) -> impl Strategy<Value = Choice> {
    let unsigned = option::of(text());
    (parts(family, 0..2), unsigned, stop(family), any::<bool>()).prop_map(
        move |(mut parts, unsigned, stop, logprobs)| {
            let is_reasoning = |part: &AssistantPart| {
                matches!(part, AssistantPart::Reasoning { .. } | AssistantPart::RedactedReasoning(_))
            };
            if let Some(text) = unsigned.filter(|_| !parts.iter().any(is_reasoning)) {
                parts.insert(0, AssistantPart::Reasoning { text, signature: None });
            }
            let logprobs = (logprobs && family == Family::OpenAi)
                .then(|| json!({"content": [{"token": "x", "logprob": -0.5, "top_logprobs": []}], "refusal": null}));
            // In OpenAI's shape an end beside calls means that they are to be made.
            let calls = parts.iter().any(|part| matches!(part, AssistantPart::ToolCall(_)));
            let stop = if calls && stop == Stop::End && family != Family::Anthropic { Stop::ToolCalls } else { stop };
            Choice { parts, stop: Some(stop), logprobs }
        },
    )
}

/// An answer: of several choices where that can be.
pub(super) fn answer(family: Family) -> impl Strategy<Value = Answer> {
    let most = if family == Family::OpenAi { 4 } else { 2 };
    (text(), text(), vec(choice(family), 1..most), usage()).prop_map(|(id, model, choices, usage)| Answer {
        id: Some(id),
        model: Some(model),
        choices,
        usage: Some(usage),
    })
}
