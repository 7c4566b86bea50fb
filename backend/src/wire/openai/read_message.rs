//! Reads messages into turns.

use super::message::{ImageUrl, Message, Part, ToolCall};
use crate::{
    ports::Inexpressible,
    wire::{
        arguments,
        data_url::DataUrl,
        neutral::{self, AssistantPart, Image, Turn, UserPart},
        places::{Member, Place},
        strict::{TextOr, absent, foreign, needed, no_rest, refuse},
    },
};

/// A conversation that is being read. Messages of one side that follow each other are one turn.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    system: Vec<String>,
    turns: Vec<Turn>,
    places: Vec<Vec<Place>>,
}

impl Conversation {
    /// Instructions, turns, and the places of their parts.
    pub(super) fn into_parts(self) -> (Vec<String>, Vec<Turn>, Vec<Vec<Place>>) {
        (self.system, self.turns, self.places)
    }

    /// Takes the next message in, which has this number. Empty texts say nothing, and are not kept.
    pub(super) fn add(&mut self, message: Message, number: usize) -> Result<(), Inexpressible> {
        let path = &format!("messages[{number}]");
        no_rest(&message.rest, path)?;
        if message.role != "assistant" {
            absent(message.refusal.as_ref(), path, "refusal")?;
            absent(message.reasoning_details.as_ref(), path, "reasoning_details")?;
            absent(message.reasoning_content.as_ref(), path, "reasoning_content")?;
            absent(message.reasoning.as_ref(), path, "reasoning")?;
            absent(message.tool_calls.as_ref(), path, "tool_calls")?;
            absent(message.annotations.as_ref(), path, "annotations")?;
        }
        if message.role != "tool" {
            absent(message.tool_call_id.as_ref(), path, "tool_call_id")?;
        }
        match message.role.as_str() {
            "system" | "developer" => {
                if !self.turns.is_empty() {
                    return Err(refuse(
                        format!("{path}.role"),
                        "Instructions must stand before the conversation for this provider; move them to the beginning.",
                    ));
                }
                self.system.extend(texts(message.content, path)?);
                Ok(())
            }
            "user" => self.extend_user(user_parts(message.content, number, path)?, path),
            "tool" => {
                let id = needed(message.tool_call_id, path, "tool_call_id")?;
                let content = texts(message.content, path)?.into_iter().map(UserPart::Text).collect();
                let result = UserPart::ToolResult { id, content, is_error: false };
                self.extend_user(vec![(result, Place::new(number, Member::Message))], path)
            }
            "assistant" => self.extend_assistant(assistant_parts(message, number, path)?, path),
            "function" => Err(refuse(format!("{path}.role"), "Functions were replaced by tools; use `tool`.")),
            _ => Err(refuse(
                format!("{path}.role"),
                "The role must be `system`, `developer`, `user`, `assistant` or `tool`.",
            )),
        }
    }

    fn extend_user(&mut self, parts: Vec<(UserPart, Place)>, path: &str) -> Result<(), Inexpressible> {
        not_empty(&parts, path)?;
        let is_result = |part: &UserPart| matches!(part, UserPart::ToolResult { .. });
        if let (Some(Turn::User(turn)), Some(places)) = (self.turns.last_mut(), self.places.last_mut()) {
            if is_result(&parts[0].0) && turn.last().is_some_and(|last| !is_result(last)) {
                return Err(refuse(
                    path,
                    "Results of tools must directly follow the message that called them; move this one there.",
                ));
            }
            for (part, place) in parts {
                turn.push(part);
                places.push(place);
            }
        } else {
            let (parts, places) = parts.into_iter().unzip();
            self.turns.push(Turn::User(parts));
            self.places.push(places);
        }
        Ok(())
    }

    fn extend_assistant(&mut self, parts: Vec<(AssistantPart, Place)>, path: &str) -> Result<(), Inexpressible> {
        not_empty(&parts, path)?;
        if let (Some(Turn::Assistant(turn)), Some(places)) = (self.turns.last_mut(), self.places.last_mut()) {
            for (part, place) in parts {
                turn.push(part);
                places.push(place);
            }
        } else {
            let (parts, places) = parts.into_iter().unzip();
            self.turns.push(Turn::Assistant(parts));
            self.places.push(places);
        }
        Ok(())
    }
}

fn not_empty<T>(parts: &[T], path: &str) -> Result<(), Inexpressible> {
    if parts.is_empty() {
        return Err(refuse(format!("{path}.content"), "The message says nothing; give it a text, or leave it out."));
    }
    Ok(())
}

fn parts(content: Option<TextOr<Vec<Part>>>) -> Vec<Part> {
    match content {
        None => Vec::new(),
        Some(TextOr::Text(text)) => vec![Part::Text { text, rest: serde_json::Map::new() }],
        Some(TextOr::Other(parts)) => parts,
    }
}

/// What is said where texts alone may stand.
fn texts(content: Option<TextOr<Vec<Part>>>, path: &str) -> Result<Vec<String>, Inexpressible> {
    let mut texts = Vec::new();
    for (index, part) in parts(content).into_iter().enumerate() {
        let path = format!("{path}.content[{index}]");
        let Part::Text { text, rest } = part else {
            return Err(refuse(path, "A message of this role holds texts alone; send a text."));
        };
        no_rest(&rest, &path)?;
        texts.extend(Some(text).filter(|text| !text.is_empty()));
    }
    Ok(texts)
}

fn user_parts(
    content: Option<TextOr<Vec<Part>>>,
    number: usize,
    path: &str,
) -> Result<Vec<(UserPart, Place)>, Inexpressible> {
    let mut read = Vec::new();
    for (index, part) in parts(content).into_iter().enumerate() {
        let path = format!("{path}.content[{index}]");
        let place = Place::new(number, Member::Content(index));
        match part {
            Part::Text { text, rest } => {
                no_rest(&rest, &path)?;
                read.extend(Some(text).filter(|text| !text.is_empty()).map(|text| (UserPart::Text(text), place)));
            }
            Part::ImageUrl { image_url, rest } => {
                no_rest(&rest, &path)?;
                read.push((UserPart::Image(image(image_url, &format!("{path}.image_url"))?), place));
            }
            Part::InputAudio { .. } => return Err(foreign(format!("{path}.input_audio"))),
            Part::File { .. } => return Err(foreign(format!("{path}.file"))),
            Part::Refusal { .. } => {
                return Err(refuse(format!("{path}.refusal"), "Only assistants refuse; send a text."));
            }
        }
    }
    Ok(read)
}

fn image(image: ImageUrl, path: &str) -> Result<Image, Inexpressible> {
    let ImageUrl { url, detail, rest } = image;
    no_rest(&rest, path)?;
    if !DataUrl::is_one(&url) {
        return Ok(Image::Url { url, detail });
    }
    let DataUrl { media_type, data } = DataUrl::read(&url).ok_or_else(|| {
        refuse(format!("{path}.url"), "Write the image as `data:image/…;base64,…`, or as an http(s) URL.")
    })?;
    Ok(Image::Data { media_type: media_type.to_owned(), data: data.to_owned(), detail })
}

/// Reasoning, then texts and refusals in their order, then calls.
fn assistant_parts(message: Message, number: usize, path: &str) -> Result<Vec<(AssistantPart, Place)>, Inexpressible> {
    let place = |member| Place::new(number, member);
    let mut read = Vec::new();
    match message.reasoning_details.filter(|details| !details.is_empty()) {
        Some(details) => {
            for (index, detail) in details.into_iter().enumerate() {
                let part = detail.read(&format!("{path}.reasoning_details[{index}]"))?;
                read.push((part, place(Member::Reasoning(index))));
            }
        }
        None => {
            for (name, text) in [("reasoning_content", message.reasoning_content), ("reasoning", message.reasoning)] {
                if text.is_some_and(|text| !text.is_empty()) {
                    let advice =
                        "Reasoning is taken by its `reasoning_details` alone; leave this field out, or send both.";
                    return Err(refuse(format!("{path}.{name}"), advice));
                }
            }
        }
    }
    for (index, part) in parts(message.content).into_iter().enumerate() {
        let path = format!("{path}.content[{index}]");
        let (Part::Text { rest, .. }
        | Part::Refusal { rest, .. }
        | Part::ImageUrl { rest, .. }
        | Part::InputAudio { rest }
        | Part::File { rest }) = &part;
        no_rest(rest, &path)?;
        let part = match part {
            Part::Text { text, .. } if text.is_empty() => continue,
            Part::Text { text, .. } => AssistantPart::Text(text),
            Part::Refusal { refusal, .. } => AssistantPart::Refusal(refusal),
            _ => return Err(refuse(path, "An assistant's message holds texts and refusals alone; send one of them.")),
        };
        read.push((part, place(Member::Content(index))));
    }
    let refusal = message.refusal.filter(|refusal| !refusal.is_empty()).map(AssistantPart::Refusal);
    read.extend(refusal.map(|refusal| (refusal, place(Member::Refusal))));
    if message.annotations.is_some_and(|annotations| !annotations.is_empty()) {
        return Err(foreign(format!("{path}.annotations")));
    }
    for (index, call) in message.tool_calls.unwrap_or_default().into_iter().enumerate() {
        let call = tool_call(call, &format!("{path}.tool_calls[{index}]"))?;
        read.push((AssistantPart::ToolCall(call), place(Member::Call(index))));
    }
    Ok(read)
}

fn tool_call(call: ToolCall, path: &str) -> Result<neutral::ToolCall, Inexpressible> {
    no_rest(&call.rest, path)?;
    if call.kind.is_some_and(|kind| kind != "function") {
        return Err(foreign(format!("{path}.type")));
    }
    no_rest(&call.function.rest, &format!("{path}.function"))?;
    let extra = call.extra_content.unwrap_or_default();
    no_rest(&extra.rest, &format!("{path}.extra_content"))?;
    if let Some(google) = &extra.google {
        no_rest(&google.rest, &format!("{path}.extra_content.google"))?;
    }
    let arguments = arguments::read(&call.function.arguments).ok_or_else(|| {
        refuse(format!("{path}.function.arguments"), "The arguments must be the text of a JSON object.")
    })?;
    Ok(neutral::ToolCall { id: call.id, name: call.function.name, arguments, signature: extra.signature() })
}
