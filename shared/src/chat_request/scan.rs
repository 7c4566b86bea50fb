//! One walk over the bytes of a body: how deeply it is nested, how long its prompt is, what it needs.
//!
//! It runs before the JSON is known to be valid; what it finds counts only when that turns out so. It looks at names
//! and shapes alone, so that a provider may take what is not known here, and copies nothing: texts are taken as they
//! are written, escapes and all.

use memchr::memchr2;

use super::estimate::{self, Estimate};
use crate::catalogue::Capabilities;

/// Deepest nesting that can be walked, whatever the caller allows.
const LEVELS: usize = 127;

/// The container is an array.
const ARRAY: u8 = 1;
/// The container is `messages`, a message, its `content`, a part of that, or the `content` of such a part and so on.
const CONTENT: u8 = 1 << 1;

/// What a walk finds.
#[derive(Debug, Default)]
pub(super) struct Scan<'a> {
    pub(super) prompt: Estimate,
    pub(super) needs: Capabilities,
    pub(super) max_completion_tokens: Option<u32>,
    pub(super) max_tokens: Option<u32>,
    pub(super) conversation_id: &'a [u8],
    pub(super) prompt_cache_key: &'a [u8],
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
    ConversationId,
    PromptCacheKey,
    User,
}

impl Member {
    fn of_name(name: &[u8]) -> Self {
        match name {
            b"messages" => Self::Messages,
            b"system" => Self::System,
            b"tools" | b"functions" => Self::Tools,
            b"response_format" => Self::ResponseFormat,
            b"reasoning" | b"reasoning_effort" => Self::Reasoning,
            b"max_completion_tokens" => Self::MaxCompletionTokens,
            b"max_tokens" => Self::MaxTokens,
            b"conversation_id" => Self::ConversationId,
            b"prompt_cache_key" => Self::PromptCacheKey,
            b"user" => Self::User,
            _ => Self::Other,
        }
    }
}

/// Where a walk is.
struct Place<'a> {
    /// Containers around it; the body itself is the first.
    level: usize,
    /// What each of them is.
    containers: [u8; LEVELS + 1],
    /// The member of the body that it is in.
    member: Member,
    /// The last name that was read.
    name: &'a [u8],
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
}

/// Walks over the body. None if it is nested deeper than `depth`, which counts brackets outside strings and is exact
/// for valid JSON.
pub(super) fn scan(body: &[u8], depth: usize) -> Option<Scan<'_>> {
    let mut scan = Scan::default();
    let mut place = Place { level: 0, containers: [0; LEVELS + 1], member: Member::Other, name: b"", is_value: false };
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
            place.member = Member::of_name(name);
        } else if matches!(place.member, Member::Tools | Member::ResponseFormat) {
            self.prompt.text(name);
        }
    }

    fn open(&mut self, place: &mut Place<'_>, is_array: bool) {
        self.element(place);
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
        if place.level == 3 && is_content {
            self.prompt.message();
        }
    }

    fn string(&mut self, place: &Place<'_>, text: &'a [u8]) {
        self.element(place);
        match place.member {
            Member::Messages => self.content(place, text),
            Member::System | Member::Tools => self.prompt.text(text),
            Member::ResponseFormat => {
                if place.level == 2 && place.name == b"type" && text == b"json_schema" {
                    self.needs = self.needs.with(Capabilities::JSON_SCHEMA);
                }
                self.prompt.text(text);
            }
            Member::Reasoning if place.level == 1 && text != b"none" => {
                self.needs = self.needs.with(Capabilities::REASONING);
            }
            Member::Reasoning if place.level == 2 && place.name == b"effort" && text == b"none" => {
                self.needs = self.needs.without(Capabilities::REASONING);
            }
            Member::ConversationId if place.level == 1 => self.conversation_id = text,
            Member::PromptCacheKey if place.level == 1 => self.prompt_cache_key = text,
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
        } else if !text.starts_with(b"data:") && !estimate::holds_media(name) {
            self.prompt.text(text);
        }
    }

    fn scalar(&mut self, place: &Place<'_>, text: &[u8]) {
        self.element(place);
        if place.level == 1 {
            match place.member {
                Member::MaxCompletionTokens => self.max_completion_tokens = whole_number(text),
                Member::MaxTokens => self.max_tokens = whole_number(text),
                _ => {}
            }
        }
    }

    /// An element of a list of tools is a tool, whatever it is.
    fn element(&mut self, place: &Place<'_>) {
        if place.level == 2 && place.member == Member::Tools && place.is_array() {
            self.needs = self.needs.with(Capabilities::TOOLS);
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
