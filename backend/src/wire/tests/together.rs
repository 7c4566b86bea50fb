//! Answers in pieces, and pieces put together.

use std::collections::BTreeMap;

use crate::wire::{
    arguments,
    neutral::{Answer, AssistantPart, Choice, Delta, ToolCall},
};

/// Puts the pieces of a stream together.
pub(in crate::wire) fn put_together(deltas: Vec<Delta>) -> Answer {
    let mut answer = Answer::default();
    let mut choices: BTreeMap<u32, Choice> = BTreeMap::new();
    let mut calls: BTreeMap<(u32, u32), (usize, String)> = BTreeMap::new();
    for delta in deltas {
        match delta {
            Delta::Begin { id, model } => (answer.id, answer.model) = (id, model),
            Delta::Text { choice, text: more } => {
                let parts = &mut choices.entry(choice).or_default().parts;
                match parts.last_mut() {
                    Some(AssistantPart::Text(text)) => text.push_str(&more),
                    _ => parts.push(AssistantPart::Text(more)),
                }
            }
            Delta::Refusal { choice, text: more } => {
                let parts = &mut choices.entry(choice).or_default().parts;
                match parts.last_mut() {
                    Some(AssistantPart::Refusal(text)) => text.push_str(&more),
                    _ => parts.push(AssistantPart::Refusal(more)),
                }
            }
            Delta::Reasoning { choice, text: more } => {
                let parts = &mut choices.entry(choice).or_default().parts;
                match parts.last_mut() {
                    Some(AssistantPart::Reasoning { text, signature: None }) => text.push_str(&more),
                    _ => parts.push(AssistantPart::Reasoning { text: more, signature: None }),
                }
            }
            Delta::ReasoningSignature { choice, signature: proof } => {
                let parts = &mut choices.entry(choice).or_default().parts;
                match parts.last_mut() {
                    Some(AssistantPart::Reasoning { signature, .. }) if signature.is_none() => *signature = Some(proof),
                    _ => parts.push(AssistantPart::Reasoning { text: String::new(), signature: Some(proof) }),
                }
            }
            Delta::RedactedReasoning { choice, data } => {
                choices.entry(choice).or_default().parts.push(AssistantPart::RedactedReasoning(data));
            }
            Delta::ToolCall { choice, call, id, name, signature } => {
                let parts = &mut choices.entry(choice).or_default().parts;
                calls.insert((choice, call), (parts.len(), String::new()));
                let arguments = serde_json::Value::Null;
                parts.push(AssistantPart::ToolCall(ToolCall { id, name, arguments, signature }));
            }
            Delta::Arguments { choice, call, json } => calls.get_mut(&(choice, call)).unwrap().1.push_str(&json),
            Delta::Logprobs { choice, logprobs } => choices.entry(choice).or_default().logprobs = Some(logprobs),
            Delta::Stop { choice, stop } => choices.entry(choice).or_default().stop = Some(stop),
            Delta::Usage(usage) => answer.usage = Some(usage),
            Delta::Done => {}
        }
    }
    for ((choice, _), (part, json)) in calls {
        let AssistantPart::ToolCall(call) = &mut choices.get_mut(&choice).unwrap().parts[part] else { unreachable!() };
        call.arguments = arguments::read(&json).unwrap();
    }
    answer.choices = choices.into_values().collect();
    answer
}

/// Takes an answer apart, each text in two.
pub(super) fn deltas_of(answer: &Answer) -> Vec<Delta> {
    let halves = |text: &str| {
        let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(index, _)| index);
        let (first, second) = text.split_at(middle);
        [first.to_owned(), second.to_owned()].into_iter().filter(|half| !half.is_empty()).collect::<Vec<_>>()
    };
    let mut deltas = vec![Delta::Begin { id: answer.id.clone(), model: answer.model.clone() }];
    for (choice, of) in (0..).zip(&answer.choices) {
        let mut call = 0;
        for part in &of.parts {
            match part {
                AssistantPart::Text(text) => {
                    deltas.extend(halves(text).into_iter().map(|text| Delta::Text { choice, text }));
                }
                AssistantPart::Refusal(text) => {
                    deltas.extend(halves(text).into_iter().map(|text| Delta::Refusal { choice, text }));
                }
                AssistantPart::Reasoning { text, signature } => {
                    deltas.extend(halves(text).into_iter().map(|text| Delta::Reasoning { choice, text }));
                    let signature = signature.clone();
                    deltas.extend(signature.map(|signature| Delta::ReasoningSignature { choice, signature }));
                }
                AssistantPart::RedactedReasoning(data) => {
                    deltas.push(Delta::RedactedReasoning { choice, data: data.clone() });
                }
                AssistantPart::ToolCall(ToolCall { id, name, arguments, signature }) => {
                    let (id, name, signature) = (id.clone(), name.clone(), signature.clone());
                    deltas.push(Delta::ToolCall { choice, call, id, name, signature });
                    let json = arguments.to_string();
                    deltas.extend(halves(&json).into_iter().map(|json| Delta::Arguments { choice, call, json }));
                    call += 1;
                }
            }
        }
        deltas.extend(of.logprobs.clone().map(|logprobs| Delta::Logprobs { choice, logprobs }));
        deltas.extend(of.stop.clone().map(|stop| Delta::Stop { choice, stop }));
    }
    deltas.extend(answer.usage.map(Delta::Usage));
    deltas.push(Delta::Done);
    deltas
}
