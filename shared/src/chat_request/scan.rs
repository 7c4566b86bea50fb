//! One walk over the bytes of a body: how deeply it is nested, how long its prompt is, what it needs.
//!
//! It runs before the JSON is known to be valid; what it finds counts only when that turns out so. It looks at names
//! and shapes alone, so that a provider may take what is not known here, and copies nothing: texts are taken as they
//! are written, escapes and all.

use memchr::memchr2;

use super::estimate::{self, Estimate};
use crate::{api::Api, catalogue::Capabilities};

/// Deepest nesting that can be walked, whatever the caller allows.
const LEVELS: usize = 127;

/// The container is an array.
const ARRAY: u8 = 1;
/// The container is `messages`, a message, its `content`, a part of that, or the `content` of such a part and so on.
const CONTENT: u8 = 1 << 1;

/// What the member holds that a request is about: `messages`, or of embeddings `input`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing that could be one.
    #[default]
    Other,
    /// A text that is not empty.
    Text,
    /// A list with at least one element, whatever that is.
    List,
}

/// What the member `conversation_id` holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Conversation<'a> {
    /// It is not there, or null.
    #[default]
    None,
    /// A text, as it is written.
    Text(&'a [u8]),
    /// Anything else.
    Other,
}

/// What a walk finds.
#[derive(Debug, Default)]
pub(super) struct Scan<'a> {
    pub(super) content: Content,
    pub(super) prompt: Estimate,
    /// Of embeddings: the longest input, and the one of tokens that is being counted.
    pub(super) longest_input: Estimate,
    input: Estimate,
    pub(super) needs: Capabilities,
    pub(super) max_completion_tokens: Option<u32>,
    pub(super) max_tokens: Option<u32>,
    pub(super) choices: Option<u32>,
    pub(super) conversation_id: Conversation<'a>,
    pub(super) prompt_cache_key: &'a [u8],
    pub(super) service_tier: &'a [u8],
    pub(super) user: &'a [u8],
}

/// The members of the body that are looked into.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    Other,
    Messages,
    System,
    Tools,
    ResponseFormat,
    Reasoning,
    MaxCompletionTokens,
    MaxTokens,
    Choices,
    ConversationId,
    PromptCacheKey,
    ServiceTier,
    User,
    // Of Anthropic's messages alone.
    OutputConfig,
    Thinking,
    Metadata,
    // Of embeddings alone.
    Input,
}

impl Member {
    fn of_name(api: Api, name: &[u8]) -> Self {
        match (api, name) {
            (Api::Embeddings, b"input") => Self::Input,
            (Api::ChatCompletions | Api::Embeddings, b"user") => Self::User,
            (_, b"conversation_id") => Self::ConversationId,
            (_, b"service_tier") => Self::ServiceTier,
            (Api::Embeddings, _) => Self::Other,
            (_, b"messages") => Self::Messages,
            (_, b"system") => Self::System,
            (_, b"tools") | (Api::ChatCompletions, b"functions") => Self::Tools,
            (_, b"max_tokens") => Self::MaxTokens,
            (Api::Messages, b"output_format") | (Api::ChatCompletions, b"response_format") => Self::ResponseFormat,
            (Api::Messages, b"output_config") => Self::OutputConfig,
            (Api::Messages, b"thinking") => Self::Thinking,
            (Api::Messages, b"metadata") => Self::Metadata,
            (Api::ChatCompletions, b"reasoning" | b"reasoning_effort") => Self::Reasoning,
            (Api::ChatCompletions, b"max_completion_tokens") => Self::MaxCompletionTokens,
            (Api::ChatCompletions, b"n") => Self::Choices,
            (Api::ChatCompletions, b"prompt_cache_key") => Self::PromptCacheKey,
            _ => Self::Other,
        }
    }

    /// Whether this is what the request is about.
    fn is_content(self) -> bool {
        matches!(self, Self::Messages | Self::Input)
    }
}

/// Where a walk is.
struct Place<'a> {
    /// What was called.
    api: Api,
    /// Containers around it; the body itself is the first.
    level: usize,
    /// What each of them is.
    containers: [u8; LEVELS + 1],
    /// The member of the body that it is in.
    member: Member,
    /// The last name that was read.
    name: &'a [u8],
    /// The last one at the second level: in what member of `member` it is.
    second_name: &'a [u8],
    /// What comes next is the value of that name.
    is_value: bool,
}

impl Place<'_> {
    fn container(&self) -> u8 {
        self.containers[self.level]
    }

    fn is_array(&self) -> bool {
        self.container() & ARRAY != 0
    }

    /// Whether it is right in the format of the answer.
    fn is_format(&self) -> bool {
        match self.member {
            Member::ResponseFormat => self.level == 2,
            Member::OutputConfig => self.level == 3 && self.second_name == b"format",
            _ => false,
        }
    }
}

/// Walks over the body. None if it is nested deeper than `depth`, which counts brackets outside strings and is exact
/// for valid JSON.
pub(super) fn scan(body: &[u8], depth: usize, api: Api) -> Option<Scan<'_>> {
    let place = Place {
        api,
        level: 0,
        containers: [0; LEVELS + 1],
        member: Member::Other,
        name: b"",
        second_name: b"",
        is_value: false,
    };
    walk(body, depth, place)
}

/// Walks over a list of messages as if it stood in the body of a chat completion, however deep it is.
pub(super) fn scan_messages(messages: &[u8]) -> Scan<'_> {
    let place = Place {
        api: Api::ChatCompletions,
        level: 1,
        containers: [0; LEVELS + 1],
        member: Member::Messages,
        name: b"messages",
        second_name: b"",
        is_value: true,
    };
    walk(messages, LEVELS, place).unwrap_or_default()
}

fn walk<'a>(body: &'a [u8], depth: usize, mut place: Place<'a>) -> Option<Scan<'a>> {
    let mut scan = Scan::default();
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        at += 1;
        match byte {
            b'"' => {
                let end = string_end(body, at);
                let text = &body[at..end];
                at = end + 1;
                if place.is_value || place.is_array() {
                    scan.string(&place, text);
                } else {
                    scan.name(&mut place, text);
                }
            }
            b'[' | b'{' => {
                if place.level >= depth.min(LEVELS) {
                    return None;
                }
                scan.open(&mut place, byte == b'[');
            }
            b']' | b'}' => place.level = place.level.saturating_sub(1),
            b':' => place.is_value = true,
            b',' => place.is_value = false,
            b' ' | b'\t' | b'\n' | b'\r' => {}
            _ => {
                let rest = &body[at..];
                let length = rest.iter().position(|byte| b",]} \t\n\r\"".contains(byte)).unwrap_or(rest.len());
                scan.scalar(&place, &body[at - 1..at + length]);
                at += length;
            }
        }
    }
    Some(scan)
}

/// Where the string ends that begins at `at`: the place of its closing quotation mark.
fn string_end(body: &[u8], mut at: usize) -> usize {
    while let Some(found) = body.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if body[at] == b'"' {
            return at;
        }
        at += 2;
    }
    body.len()
}

impl<'a> Scan<'a> {
    fn name(&mut self, place: &mut Place<'a>, name: &'a [u8]) {
        place.name = name;
        if place.level == 1 {
            place.member = Member::of_name(place.api, name);
            return;
        }
        if place.level == 2 {
            place.second_name = name;
        }
        if matches!(place.member, Member::Tools | Member::ResponseFormat | Member::OutputConfig) {
            self.prompt.text(name);
        }
    }

    fn open(&mut self, place: &mut Place<'_>, is_array: bool) {
        self.element(place);
        if place.level == 1 && place.member == Member::ConversationId {
            self.conversation_id = Conversation::Other;
        }
        let around = place.container();
        let is_content = match place.level {
            0 => false,
            1 => is_array && place.member == Member::Messages,
            _ if around & CONTENT == 0 || is_array == place.is_array() => false,
            _ => !is_array || place.name == b"content",
        };
        place.level += 1;
        place.containers[place.level] = if is_array { ARRAY } else { 0 } | if is_content { CONTENT } else { 0 };
        place.is_value = false;
        if place.level == 2 && !is_array && place.member == Member::Reasoning {
            self.needs = self.needs.with(Capabilities::REASONING);
        }
        if place.level == 3 {
            if is_content {
                self.prompt.message();
            }
            self.input = Estimate::default();
        }
    }

    fn string(&mut self, place: &Place<'_>, text: &'a [u8]) {
        self.element(place);
        if place.level == 1 && place.member.is_content() && !text.is_empty() {
            self.content = Content::Text;
        }
        match place.member {
            Member::Messages => self.content(place, text),
            Member::System | Member::Tools => self.prompt.text(text),
            Member::ResponseFormat | Member::OutputConfig => {
                if place.is_format() && place.name == b"type" && text == b"json_schema" {
                    self.needs = self.needs.with(Capabilities::JSON_SCHEMA);
                }
                self.prompt.text(text);
            }
            Member::Thinking
                if place.level == 2 && place.name == b"type" && matches!(text, b"enabled" | b"adaptive") =>
            {
                self.needs = self.needs.with(Capabilities::REASONING);
            }
            Member::Metadata if place.level == 2 && place.name == b"user_id" => self.user = text,
            Member::Input => {
                let mut input = Estimate::default();
                input.text(text);
                self.prompt.text(text);
                self.longest_input = self.longest_input.max(input);
            }
            Member::Reasoning if place.level == 1 && text != b"none" => {
                self.needs = self.needs.with(Capabilities::REASONING);
            }
            Member::Reasoning if place.level == 2 && place.name == b"effort" && text == b"none" => {
                self.needs = self.needs.without(Capabilities::REASONING);
            }
            Member::ConversationId if place.level == 1 => self.conversation_id = Conversation::Text(text),
            Member::PromptCacheKey if place.level == 1 => self.prompt_cache_key = text,
            Member::ServiceTier if place.level == 1 => self.service_tier = text,
            Member::User if place.level == 1 => self.user = text,
            _ => {}
        }
    }

    /// A text within `messages`.
    fn content(&mut self, place: &Place<'_>, text: &[u8]) {
        let name = if place.is_array() { b"" } else { place.name };
        let is_kind = name == b"type" && place.container() & CONTENT != 0;
        if let Some(is_image) = estimate::media(text).filter(|_| is_kind) {
            self.prompt.media();
            if is_image {
                self.needs = self.needs.with(Capabilities::VISION);
            }
        } else if !text.starts_with(b"data:") && !estimate::is_base64(name, text) {
            self.prompt.text(text);
        }
    }

    fn scalar(&mut self, place: &Place<'_>, text: &[u8]) {
        self.element(place);
        if place.level == 1 {
            match place.member {
                Member::MaxCompletionTokens => self.max_completion_tokens = whole_number(text),
                Member::MaxTokens => self.max_tokens = whole_number(text),
                Member::Choices => self.choices = whole_number(text),
                Member::ConversationId if text != b"null" => self.conversation_id = Conversation::Other,
                _ => {}
            }
        }
        if place.member == Member::Input && place.level > 1 {
            self.prompt.token();
            self.input.token();
            self.longest_input = self.longest_input.max(self.input);
        }
    }

    /// An element of a list of tools is a tool, whatever it is, and one of messages a message.
    fn element(&mut self, place: &Place<'_>) {
        if place.level != 2 || !place.is_array() {
            return;
        }
        if place.member == Member::Tools {
            self.needs = self.needs.with(Capabilities::TOOLS);
        } else if place.member.is_content() {
            self.content = Content::List;
        }
    }
}

/// A number that is written with digits alone; what is larger than fits is the largest.
fn whole_number(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0_u32, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}
