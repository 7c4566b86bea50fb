//! Round trips between the families: what a client says in one format means the same after it was written in another,
//! as far as both can say it; and what a server answers means the same to a client of another format.

use proptest::prelude::*;
use serde_json::json;

use super::{
    generated::{self, Family},
    origin,
};
use crate::wire::{
    Model, anthropic,
    gemini::{self, mirror, tests::arbitrary},
    neutral::{Answer, AssistantPart, Format, Image, Reasoning, Request, Stop, Turn, UserPart},
    openai,
};

/// What is written in OpenAI's format, read again.
fn by_openai(request: &Request) -> Request {
    let model = &Model::named("m");
    let target = openai::Target { model, max_tokens_field: "max_tokens", stream_usage: true, reasoning_details: true };
    openai::read_request(&openai::write_request(request, target).unwrap()).unwrap()
}

/// The same in Anthropic's.
fn by_anthropic(request: &Request) -> Request {
    anthropic::read_request(&anthropic::write_request(request, &Model::named("m")).unwrap()).unwrap()
}

/// The same in Gemini's, read as its server does.
fn by_gemini(request: &Request) -> Request {
    mirror::read_request(&gemini::write_request(request, &Model::named("m")).unwrap())
}

fn assistants(request: &mut Request) -> impl Iterator<Item = &mut Vec<AssistantPart>> {
    request.turns.iter_mut().filter_map(|turn| if let Turn::Assistant(parts) = turn { Some(parts) } else { None })
}

fn users(request: &mut Request) -> impl Iterator<Item = &mut UserPart> {
    let parts =
        request.turns.iter_mut().filter_map(|turn| if let Turn::User(parts) = turn { Some(parts) } else { None });
    parts.flatten()
}

/// Reasoning, texts, calls: the one order of OpenAI's format.
fn in_openais_order(parts: &mut [AssistantPart]) {
    parts.sort_by_key(|part| match part {
        AssistantPart::Reasoning { .. } | AssistantPart::RedactedReasoning(_) => 0,
        AssistantPart::Text(_) | AssistantPart::Refusal(_) => 1,
        AssistantPart::ToolCall(_) => 2,
    });
}

/// What Gemini's format and OpenAI's can both say.
fn for_openai(mut request: Request) -> Request {
    assistants(&mut request).for_each(|parts| in_openais_order(parts));
    for part in users(&mut request) {
        if let UserPart::ToolResult { content, is_error, .. } = part {
            content.retain(|part| matches!(part, UserPart::Text(_)));
            *is_error = false;
        }
    }
    request.top_k = None;
    request.reasoning =
        request.reasoning.filter(|reasoning| !matches!(reasoning, Reasoning::Adaptive | Reasoning::Budget(_)));
    request
}

/// What Gemini's format and Anthropic's can both say.
fn for_anthropic(mut request: Request) -> Request {
    for part in assistants(&mut request).flatten() {
        match part {
            // Anthropic's reasoning is proven.
            AssistantPart::Reasoning { signature, .. } => *signature = Some("c2ln".to_owned()),
            AssistantPart::ToolCall(call) => call.signature = None,
            _ => {}
        }
    }
    for part in users(&mut request) {
        let no_detail = |part: &mut UserPart| {
            if let UserPart::Image(Image::Url { detail, .. } | Image::Data { detail, .. }) = part {
                *detail = None;
            }
        };
        no_detail(part);
        if let UserPart::ToolResult { content, .. } = part {
            content.iter_mut().for_each(no_detail);
        }
    }
    for tool in &mut request.tools {
        tool.parameters.get_or_insert_with(|| json!({"type": "object"}));
    }
    request.max_tokens.get_or_insert(99);
    request.format = request.format.filter(|format| *format != Format::Json);
    if let Some(Format::Schema { strict, .. }) = &mut request.format {
        *strict = Some(true);
    }
    if request.reasoning == Some(Reasoning::Effort("minimal".to_owned())) {
        request.reasoning = Some(Reasoning::Off);
    }
    let temperature =
        request.temperature.filter(|temperature| temperature.as_f64().is_some_and(|number| number <= 1.0));
    Request {
        temperature,
        seed: None,
        presence_penalty: None,
        frequency_penalty: None,
        choices: None,
        logprobs: None,
        top_logprobs: None,
        ..request
    }
}

/// What comes back from Gemini's format: it has no names of schemas, no proofs of reasoning, and is always strict.
fn as_gemini_has_it(mut request: Request) -> Request {
    for part in assistants(&mut request).flatten() {
        if let AssistantPart::Reasoning { signature, .. } = part {
            *signature = None;
        }
    }
    if let Some(Format::Schema { strict, .. }) = &mut request.format {
        *strict = None;
    }
    request
}

/// What both Gemini's answers and a client's format can say: of a client of OpenAI's, one text; of Anthropic's, one
/// choice.
fn answer_for(mut answer: Answer, family: Family) -> Answer {
    answer.id.get_or_insert_with(|| "a".to_owned());
    answer.model.get_or_insert_with(|| "m".to_owned());
    let mut usage = answer.usage.unwrap_or_default();
    usage.prompt_tokens += usage.cached_tokens.unwrap_or_default();
    answer.usage = Some(usage);
    if family == Family::Anthropic {
        answer.choices.truncate(1);
    }
    for choice in &mut answer.choices {
        let calls = choice.parts.iter().any(|part| matches!(part, AssistantPart::ToolCall(_)));
        if let Some(Stop::Other(_)) = choice.stop {
            choice.stop = Some(Stop::Length);
        }
        if choice.stop == Some(Stop::End) && calls {
            choice.stop = Some(Stop::ToolCalls);
        }
        if family == Family::OpenAi {
            in_openais_order(&mut choice.parts);
            choice.parts.dedup_by(|next, part| match (part, next) {
                (AssistantPart::Text(text), AssistantPart::Text(more)) => {
                    text.push_str(more);
                    true
                }
                _ => false,
            });
        } else {
            choice.logprobs = None;
            for part in &mut choice.parts {
                if let AssistantPart::ToolCall(call) = part {
                    call.signature = None;
                }
            }
        }
    }
    answer
}

fn answer_by_openai(answer: &Answer) -> Answer {
    openai::read_answer(&openai::write_answer(answer, &origin())).unwrap()
}

fn answer_by_anthropic(answer: &Answer) -> Answer {
    anthropic::read_answer(&anthropic::write_answer(answer, &origin())).unwrap()
}

fn answer_by_gemini(answer: &Answer) -> Answer {
    gemini::read_answer(&mirror::write_answer(answer), origin().request_id).unwrap()
}

proptest! {
    #[test]
    fn requests_of_openais_clients_to_anthropic(request in generated::request(Family::Both)) {
        prop_assert_eq!(by_anthropic(&by_openai(&request)), request);
    }

    #[test]
    fn requests_of_anthropics_clients_to_openai(request in generated::request(Family::Both)) {
        let mut expected = request.clone();
        if let Some(Format::Schema { name, .. }) = &mut expected.format {
            // It must have one there.
            *name = Some("answer".to_owned());
        }
        prop_assert_eq!(by_openai(&by_anthropic(&request)), expected);
    }

    #[test]
    fn requests_of_openais_clients_to_gemini(request in arbitrary::request().prop_map(for_openai)) {
        prop_assert_eq!(by_gemini(&by_openai(&request)), as_gemini_has_it(request));
    }

    #[test]
    fn requests_of_anthropics_clients_to_gemini(request in arbitrary::request().prop_map(for_anthropic)) {
        prop_assert_eq!(by_gemini(&by_anthropic(&request)), as_gemini_has_it(request));
    }

    #[test]
    fn answers_of_anthropic_and_openai_to_each_others_clients(answer in generated::answer(Family::Both)) {
        prop_assert_eq!(&answer_by_openai(&answer_by_anthropic(&answer)), &answer);
        prop_assert_eq!(&answer_by_anthropic(&answer_by_openai(&answer)), &answer);
    }

    #[test]
    fn answers_of_gemini(answer in arbitrary::answer()) {
        let openai = answer_for(answer.clone(), Family::OpenAi);
        prop_assert_eq!(&answer_by_openai(&answer_by_gemini(&openai)), &openai);
        let anthropic = answer_for(answer, Family::Anthropic);
        prop_assert_eq!(&answer_by_anthropic(&answer_by_gemini(&anthropic)), &anthropic);
    }
}
