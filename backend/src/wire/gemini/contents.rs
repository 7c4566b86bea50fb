//! The conversation: instructions, turns and their parts.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use crate::{
    ports::Inexpressible,
    wire::{
        neutral::{AssistantPart, Image, Request, ToolCall, Turn, UserPart},
        places::{Fault, Places, Spot},
        strict::refuse,
    },
};

/// Stands for the signature that is missing. Models of generation 3 and later refuse a turn whose first call has none,
/// which is so where another model made the call, or the client's API has no place for signatures; this word has the
/// check skipped. Source: <https://ai.google.dev/gemini-api/docs/thought-signatures>.
pub(super) const UNSIGNED: &str = "skip_thought_signature_validator";

/// One side's turn.
#[derive(Serialize)]
pub(super) struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<Part<'a>>,
}

/// A part, of which one member but `thought` and `thoughtSignature` is said.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inline_data: Option<Blob<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<FileData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_response: Option<FunctionResponse<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Blob<'a> {
    mime_type: &'a str,
    data: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'static str>,
    file_uri: &'a str,
}

#[derive(Serialize)]
struct FunctionCall<'a> {
    id: &'a str,
    name: &'a str,
    args: &'a Value,
}

#[derive(Serialize)]
struct FunctionResponse<'a> {
    id: &'a str,
    name: &'a str,
    response: Outcome<'a>,
    /// Images; models of generation 3 and later look at them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Part<'a>>,
}

/// The two keys that the API's reference names for what a function gave back.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome<'a> {
    Output(Said<'a>),
    Error(Said<'a>),
}

/// One text as it is, any other number of them as a list.
#[derive(Serialize)]
#[serde(untagged)]
enum Said<'a> {
    Text(&'a str),
    List(Vec<&'a str>),
}

/// The API's word for a detail; none for what it finds right itself.
#[derive(Clone, Copy)]
struct Resolution(Option<&'static str>);

/// Where a part stands.
#[derive(Clone, Copy)]
struct At<'p> {
    places: &'p Places,
    spot: Spot,
}

impl At<'_> {
    fn refuse(self, fault: Fault, advice: &str) -> Inexpressible {
        refuse(self.places.path(self.spot, fault), advice)
    }
}

/// Writes turns, and keeps what one says for others.
#[derive(Default)]
pub(super) struct Contents<'a> {
    /// Names of tools by the ids of their calls so far: a result must tell both.
    names: HashMap<&'a str, &'a str>,
    /// What all images say of their detail, once there is one: the API has one setting for all.
    detail: Option<Resolution>,
}

impl<'a> Contents<'a> {
    /// The instructions before the conversation.
    pub(super) fn system(texts: &'a [String]) -> Option<Content<'a>> {
        let parts = texts.iter().map(|text| Part { text: Some(text), ..Part::default() }).collect();
        (!texts.is_empty()).then_some(Content { role: None, parts })
    }

    /// The conversation.
    pub(super) fn write(&mut self, request: &'a Request) -> Result<Vec<Content<'a>>, Inexpressible> {
        let write = |(number, turn): (usize, &'a Turn)| {
            let place = |part| At { places: &request.places, spot: Spot { turn: number, part, within: None } };
            let (role, parts) = match turn {
                Turn::User(parts) => {
                    let parts = parts.iter().enumerate().map(|(part, said)| self.user(said, place(part)));
                    ("user", parts.collect::<Result<_, _>>()?)
                }
                Turn::Assistant(parts) => ("model", self.assistant(parts, place)?),
            };
            Ok(Content { role: Some(role), parts })
        };
        request.turns.iter().enumerate().map(write).collect()
    }

    /// The setting that stands for the `detail` of all images; to be asked after all was written.
    pub(super) fn media_resolution(&self) -> Option<&'static str> {
        self.detail.and_then(|Resolution(resolution)| resolution)
    }

    fn user(&mut self, part: &'a UserPart, at: At<'_>) -> Result<Part<'a>, Inexpressible> {
        match part {
            UserPart::Text(text) => Ok(Part { text: Some(text), ..Part::default() }),
            UserPart::Image(Image::Data { media_type, data, detail }) => {
                self.note_detail(detail.as_deref(), at)?;
                Ok(Part { inline_data: Some(Blob { mime_type: media_type, data }), ..Part::default() })
            }
            UserPart::Image(Image::Url { url, detail }) => {
                self.note_detail(detail.as_deref(), at)?;
                Ok(Part { file_data: Some(file(url, at)?), ..Part::default() })
            }
            UserPart::ToolResult { id, content, is_error } => self.tool_result(id, content, *is_error, at),
        }
    }

    fn tool_result(
        &mut self,
        id: &'a str,
        content: &'a [UserPart],
        is_error: bool,
        at: At<'_>,
    ) -> Result<Part<'a>, Inexpressible> {
        let Some(name) = self.names.get(id).copied() else {
            return Err(at.refuse(
                Fault::ResultId,
                "No call with this id stands before its result; send the model's message that made the call, too.",
            ));
        };
        let mut texts = Vec::new();
        let mut parts = Vec::new();
        for (number, part) in content.iter().enumerate() {
            let at = At { spot: Spot { within: Some(number), ..at.spot }, ..at };
            match part {
                UserPart::Text(text) => texts.push(text.as_str()),
                UserPart::Image(Image::Url { .. }) => {
                    let advice = "Images in a tool's result must be sent as data to this provider: a `data:` URL.";
                    return Err(at.refuse(Fault::ImageUrl, advice));
                }
                UserPart::ToolResult { .. } => {
                    return Err(
                        at.refuse(Fault::Part, "A tool's result cannot hold another's; send both side by side.")
                    );
                }
                part @ UserPart::Image(_) => parts.push(self.user(part, at)?),
            }
        }
        let said = match texts[..] {
            [text] => Said::Text(text),
            _ => Said::List(texts),
        };
        let response = if is_error { Outcome::Error(said) } else { Outcome::Output(said) };
        let function_response = Some(FunctionResponse { id, name, response, parts });
        Ok(Part { function_response, ..Part::default() })
    }

    fn assistant<'p>(
        &mut self,
        parts: &'a [AssistantPart],
        place: impl Fn(usize) -> At<'p>,
    ) -> Result<Vec<Part<'a>>, Inexpressible> {
        let mut is_first_call = true;
        let mut written = Vec::with_capacity(parts.len());
        for (number, part) in parts.iter().enumerate() {
            written.push(match part {
                // The API has no refusals of its own: it is what the model said.
                AssistantPart::Text(text) | AssistantPart::Refusal(text) => {
                    Part { text: Some(text), ..Part::default() }
                }
                // Its signature proves it to the provider that made it, and would be refused by another; this API's
                // own stand at calls.
                AssistantPart::Reasoning { text, .. } => {
                    Part { text: Some(text), thought: Some(true), ..Part::default() }
                }
                AssistantPart::RedactedReasoning(_) => {
                    return Err(place(number).refuse(
                        Fault::Part,
                        "Redacted thinking can be read by the provider alone that made it; leave it out.",
                    ));
                }
                AssistantPart::ToolCall(call) => {
                    let mut part = self.call(call);
                    if std::mem::take(&mut is_first_call) {
                        part.thought_signature.get_or_insert(UNSIGNED);
                    }
                    part
                }
            });
        }
        Ok(written)
    }

    fn call(&mut self, call: &'a ToolCall) -> Part<'a> {
        let ToolCall { id, name, arguments, signature } = call;
        self.names.insert(id, name);
        Part {
            function_call: Some(FunctionCall { id, name, args: arguments }),
            thought_signature: signature.as_deref(),
            ..Part::default()
        }
    }

    fn note_detail(&mut self, detail: Option<&str>, at: At<'_>) -> Result<(), Inexpressible> {
        let resolution = match detail {
            None | Some("auto") => None,
            Some("low") => Some("MEDIA_RESOLUTION_LOW"),
            Some("high") => Some("MEDIA_RESOLUTION_HIGH"),
            Some(_) => {
                let advice = "This provider knows the details `low`, `high` and `auto`; use one of them.";
                return Err(at.refuse(Fault::ImageDetail, advice));
            }
        };
        if self.detail.get_or_insert(Resolution(resolution)).0 == resolution {
            return Ok(());
        }
        let advice = "This provider has one detail for all images of a request; use the same everywhere.";
        Err(at.refuse(Fault::ImageDetail, advice))
    }
}

/// A file that the server fetches: by HTTPS, be it public, signed, or of the API's own store of files.
/// Source: <https://ai.google.dev/gemini-api/docs/file-input-methods>.
fn file<'a>(url: &'a str, at: At<'_>) -> Result<FileData<'a>, Inexpressible> {
    if url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) {
        return Ok(FileData { mime_type: media_type(url), file_uri: url });
    }
    let advice = "This provider fetches images from `https://` URLs alone; use such a one, or a `data:` URL.";
    Err(at.refuse(Fault::ImageUrl, advice))
}

/// What the URL's ending says, of the formats that the API takes; without it the server finds out itself.
/// Source: <https://ai.google.dev/gemini-api/docs/image-understanding>.
fn media_type(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let name = path.rsplit('/').next()?;
    let (_, ending) = name.rsplit_once('.')?;
    match ending.to_ascii_lowercase().as_str() {
        "png" => Some("image/png"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        "webp" => Some("image/webp"),
        "heic" => Some("image/heic"),
        "heif" => Some("image/heif"),
        _ => None,
    }
}
