//! Where the client's own body says what the neutral form holds, so that who writes it for a server can refuse it by
//! the client's own path. Numbers alone are kept; a path is made when something is refused.

/// The places of a request's parts, and the client's names of what the formats call differently.
///
/// All of them are equal: they are no part of what a request means.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    client: Client,
    /// The name of the longest answer's bound, where it is not `max_tokens`.
    max_tokens: Option<&'static str>,
    /// Of each turn, those of its parts.
    turns: Vec<Vec<Place>>,
}

impl PartialEq for Places {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

/// Whose words a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Client {
    #[default]
    OpenAi,
    Anthropic,
}

/// Where a part stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The message, by its number in the client's list.
    message: usize,
    member: Member,
    /// Of a tool's result: the number of each of its own parts. Empty parts are not kept, but count.
    within: Vec<usize>,
}

/// Which member of the message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Member {
    /// None: it is the message itself, as OpenAI's results of tools are.
    Message,
    /// A part of the content.
    Content(usize),
    /// OpenAI's `refusal`.
    Refusal,
    /// One of OpenRouter's `reasoning_details`.
    Reasoning(usize),
    /// One of OpenAI's `tool_calls`.
    Call(usize),
}

/// What is at fault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The part.
    Part,
    /// Of an image: where it is.
    ImageUrl,
    /// Of an image: how closely it is looked at.
    ImageDetail,
    /// Of a tool's result: which call it answers.
    ResultId,
    /// Of reasoning: the proof.
    Signature,
}

/// A part in the neutral form, by its numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    /// Number of the turn.
    pub(crate) turn: usize,
    /// Number of the part in it.
    pub(crate) part: usize,
    /// Number of a part in the tool's result that the part is.
    pub(crate) within: Option<usize>,
}

impl Place {
    /// Of a part of a message.
    pub(crate) fn new(message: usize, member: Member) -> Self {
        Self { message, member, within: Vec::new() }
    }

    /// Of a tool's result that has parts at these numbers.
    pub(crate) fn with_parts(self, within: Vec<usize>) -> Self {
        Self { within, ..self }
    }
}

impl Places {
    /// Those of a client that speaks OpenAI's words, with its name for the longest answer.
    pub(crate) fn of_openai(max_tokens: Option<&'static str>, turns: Vec<Vec<Place>>) -> Self {
        Self { client: Client::OpenAi, max_tokens, turns }
    }

    /// Those of a client that speaks Anthropic's words.
    pub(crate) fn of_anthropic(turns: Vec<Vec<Place>>) -> Self {
        Self { client: Client::Anthropic, max_tokens: None, turns }
    }

    /// The client's path of what is at fault; `messages` where its place is not known.
    pub(crate) fn path(&self, spot: Spot, fault: Fault) -> String {
        let place = self.turns.get(spot.turn).and_then(|parts| parts.get(spot.part));
        let Some(Place { message, member, within }) = place else { return "messages".to_owned() };
        let member = match member {
            Member::Message => String::new(),
            Member::Content(part) => format!(".content[{part}]"),
            Member::Refusal => ".refusal".to_owned(),
            Member::Reasoning(detail) => format!(".reasoning_details[{detail}]"),
            Member::Call(call) => format!(".tool_calls[{call}]"),
        };
        let within = spot.within.and_then(|part| within.get(part)).map(|part| format!(".content[{part}]"));
        let fault = match (fault, self.client) {
            (Fault::Part, _) => "",
            (Fault::ImageUrl, Client::OpenAi) => ".image_url.url",
            (Fault::ImageUrl, Client::Anthropic) => ".source.url",
            // Anthropic's clients have no details.
            (Fault::ImageDetail, _) => ".image_url.detail",
            (Fault::ResultId, Client::OpenAi) => ".tool_call_id",
            (Fault::ResultId, Client::Anthropic) => ".tool_use_id",
            (Fault::Signature, _) => ".signature",
        };
        format!("messages[{message}]{member}{}{fault}", within.unwrap_or_default())
    }

    /// The path of the last message.
    pub(crate) fn last_message(&self) -> String {
        let last = self.turns.last().and_then(|parts| parts.last());
        last.map_or_else(|| "messages".to_owned(), |place| format!("messages[{}]", place.message))
    }

    /// The name of the longest answer's bound.
    pub(crate) fn max_tokens(&self) -> &'static str {
        self.max_tokens.unwrap_or("max_tokens")
    }

    /// The name of the texts that end the answer.
    pub(crate) fn stop(&self) -> &'static str {
        self.of_client("stop", "stop_sequences")
    }

    /// The name of how hard to think.
    pub(crate) fn effort(&self) -> &'static str {
        self.of_client("reasoning_effort", "output_config.effort")
    }

    /// The name of whether several tools may be called at once.
    pub(crate) fn parallel_tool_calls(&self) -> &'static str {
        self.of_client("parallel_tool_calls", "tool_choice.disable_parallel_tool_use")
    }

    fn of_client(&self, openai: &'static str, anthropic: &'static str) -> &'static str {
        match self.client {
            Client::OpenAi => openai,
            Client::Anthropic => anthropic,
        }
    }
}
