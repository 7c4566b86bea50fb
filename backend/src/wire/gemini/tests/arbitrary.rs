//! Requests, answers and streams that the format can say, in the form in which they come back.

use proptest::{collection::vec, option, prelude::*};
use serde_json::{Number, Value, json};

use crate::{
    ports::Usage,
    wire::neutral::{
        Answer, AssistantPart, Choice, Format, Image, Reasoning, Request, Stop, Tool, ToolCall, ToolChoice, Turn,
        UserPart,
    },
};

fn number() -> impl Strategy<Value = Number> {
    (-200_i32..200).prop_map(|hundredths| Number::from_f64(f64::from(hundredths) / 100.0).unwrap())
}

fn object() -> impl Strategy<Value = Value> {
    vec(("[a-z]{1,4}", any::<i32>()), 0..3).prop_map(|members| members.into_iter().collect())
}

fn word() -> impl Strategy<Value = String> {
    "[a-zäß€𝄞\"\\\\\n\r ]{1,8}"
}

fn call(id: String) -> impl Strategy<Value = ToolCall> {
    ("[a-z_]{1,8}", object(), option::of("[A-Za-z0-9+/]{1,8}")).prop_map(move |(name, arguments, signature)| ToolCall {
        id: id.clone(),
        name,
        arguments,
        signature,
    })
}

fn assistant_part(id: String) -> impl Strategy<Value = AssistantPart> {
    prop_oneof![
        word().prop_map(AssistantPart::Text),
        (word(), option::of("[A-Za-z0-9]{1,8}"))
            .prop_map(|(text, signature)| AssistantPart::Reasoning { text, signature }),
        call(id).prop_map(AssistantPart::ToolCall),
    ]
}

fn assistant_parts(prefix: String) -> impl Strategy<Value = Vec<AssistantPart>> {
    (1..4_usize).prop_flat_map(move |length| {
        (0..length).map(|place| assistant_part(format!("{prefix}{place}"))).collect::<Vec<_>>()
    })
}

fn data(detail: Option<String>) -> impl Strategy<Value = UserPart> {
    "[A-Za-z0-9+/]{4}".prop_map(move |data| {
        UserPart::Image(Image::Data { media_type: "image/png".to_owned(), data, detail: detail.clone() })
    })
}

fn url(detail: Option<String>) -> impl Strategy<Value = UserPart> {
    "https://a\\.example/[a-z]{1,4}(\\.png)?"
        .prop_map(move |url| UserPart::Image(Image::Url { url, detail: detail.clone() }))
}

/// Turns of both sides: the second answers all calls of the first.
fn exchange(number: usize, detail: Option<String>) -> impl Strategy<Value = Vec<Turn>> {
    let result = (vec(word().prop_map(UserPart::Text), 0..3), vec(data(detail.clone()), 0..2), any::<bool>());
    let said = vec(prop_oneof![word().prop_map(UserPart::Text), data(detail.clone()), url(detail)], 1..3);
    (assistant_parts(format!("call-{number}-")), result, said).prop_map(|(parts, (texts, images, is_error), said)| {
        let results = parts.iter().filter_map(|part| match part {
            AssistantPart::ToolCall(call) => {
                let content = [texts.clone(), images.clone()].concat();
                Some(UserPart::ToolResult { id: call.id.clone(), content, is_error })
            }
            _ => None,
        });
        let user = results.chain(said).collect();
        vec![Turn::Assistant(parts), Turn::User(user)]
    })
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let detail = prop_oneof![Just(None), Just(Some("low".to_owned())), Just(Some("high".to_owned()))];
    (word(), 0..3_usize, detail).prop_flat_map(|(first, exchanges, detail)| {
        let exchanges: Vec<_> = (0..exchanges).map(|number| exchange(number, detail.clone())).collect();
        exchanges.prop_map(move |exchanges| {
            let first = Turn::User(vec![UserPart::Text(first.clone())]);
            std::iter::once(first).chain(exchanges.into_iter().flatten()).collect()
        })
    })
}

fn tools() -> impl Strategy<Value = Vec<Tool>> {
    let tool = ("[a-z_]{1,8}", option::of(word()), option::of(object()));
    (vec(tool, 0..3), option::of(Just(true))).prop_map(|(tools, strict)| {
        let tool = |(name, description, parameters)| Tool { name, description, parameters, strict };
        tools.into_iter().map(tool).collect()
    })
}

fn reasoning() -> impl Strategy<Value = Reasoning> {
    prop_oneof![
        Just(Reasoning::Off),
        Just(Reasoning::Adaptive),
        "minimal|low|medium|high".prop_map(Reasoning::Effort),
        (1..100_000_u64).prop_map(Reasoning::Budget),
    ]
}

fn format() -> impl Strategy<Value = Format> {
    prop_oneof![
        Just(Format::Json),
        object().prop_map(|schema| Format::Schema { name: None, description: None, schema, strict: None }),
    ]
}

pub(in crate::wire) fn request() -> impl Strategy<Value = Request> {
    let choice = prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        "[a-z]{1,5}".prop_map(ToolChoice::Named),
    ];
    let conversation = (vec(word(), 0..3), turns(), tools(), option::of(choice));
    let bounds = (option::of(1..9_000_u64), option::of(1..99_u64), vec(word(), 0..6), option::of(1..9_u32));
    let chance = [(); 4].map(|()| option::of(number()));
    let seed = option::of(any::<i32>().prop_map(i64::from));
    let rest = (option::of(any::<bool>()), option::of(0..21_u32), option::of(format()), option::of(reasoning()));
    (conversation, bounds, chance, seed, rest).prop_map(|(conversation, bounds, chance, seed, rest)| {
        let (system, turns, mut tools, tool_choice) = conversation;
        let (max_tokens, top_k, stop, choices) = bounds;
        let [temperature, top_p, presence_penalty, frequency_penalty] = chance;
        let (logprobs, top_logprobs, format, reasoning) = rest;
        // Where something is said of the choice, strictness cannot come back.
        if tool_choice.is_some() {
            for tool in &mut tools {
                tool.strict = None;
            }
        }
        Request {
            system,
            turns,
            tools,
            tool_choice,
            max_tokens,
            temperature,
            top_p,
            top_k,
            stop,
            seed,
            presence_penalty,
            frequency_penalty,
            choices,
            logprobs,
            top_logprobs,
            format,
            reasoning,
            ..Request::default()
        }
    })
}

pub(super) fn usage() -> impl Strategy<Value = Usage> {
    (0..9_000_u64, 0..9_000_u64, option::of(0..9_u64), option::of(0..99_u64)).prop_map(
        |(prompt_tokens, said, cached_tokens, reasoning_tokens)| Usage {
            prompt_tokens,
            completion_tokens: said + reasoning_tokens.unwrap_or_default(),
            cached_tokens,
            cache_write_tokens: None,
            reasoning_tokens,
        },
    )
}

pub(super) fn logprobs() -> impl Strategy<Value = Value> {
    let token = |(token, logprob): (String, Number)| json!({ "token": token, "logprob": logprob, "bytes": null });
    let place = ((word(), number()), vec((word(), number()), 0..3)).prop_map(move |(chosen, tops)| {
        let mut chosen = token(chosen);
        chosen["top_logprobs"] = tops.into_iter().map(token).collect();
        chosen
    });
    vec(place, 1..3).prop_map(|content| json!({ "content": content, "refusal": null }))
}

fn stop() -> impl Strategy<Value = Stop> {
    let other = "OTHER|SOMETHING_NEW".prop_map(Stop::Other);
    prop_oneof![Just(Stop::End), Just(Stop::Length), Just(Stop::Filtered), other]
}

fn choice(number: usize) -> impl Strategy<Value = Choice> {
    let parts = assistant_parts(format!("call-{number}-"));
    (parts, stop(), option::of(logprobs())).prop_map(|(parts, stop, logprobs)| {
        let calls = parts.iter().any(|part| matches!(part, AssistantPart::ToolCall(_)));
        let stop = if calls && stop == Stop::End { Stop::ToolCalls } else { stop };
        Choice { parts, stop: Some(stop), logprobs }
    })
}

pub(in crate::wire) fn answer() -> impl Strategy<Value = Answer> {
    let choices = (1..4_usize).prop_flat_map(|count| (0..count).map(choice).collect::<Vec<_>>());
    (option::of(word()), option::of(word()), choices, option::of(usage()))
        .prop_map(|(id, model, choices, usage)| Answer { id, model, choices, usage })
}
