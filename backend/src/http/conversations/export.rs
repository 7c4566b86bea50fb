//! A conversation as a document, written page by page: it may be larger than what fits into memory.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::Stream;
use http::{
    HeaderValue, Uri,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName},
};

use super::{
    markdown,
    query::{invalid, parameter},
    view::{ConversationView, TurnView},
};
use crate::{
    chat::conversation::ConversationService,
    http::errors::Failure,
    ports::{Conversation, Principal, Turn},
};

/// Turns that are read at once; each may be as large as a request and its answer.
const PAGE: u32 = 8;

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// For programs: everything.
    Json,
    /// For people.
    Markdown,
}

impl Format {
    /// By the parameter `format`; JSON where there is none.
    pub(super) fn of(uri: &Uri) -> Result<Self, Failure> {
        match parameter(uri, "format").as_deref() {
            None | Some("json") => Ok(Self::Json),
            Some("markdown") => Ok(Self::Markdown),
            Some(_) => Err(invalid("format", "`format` must be `json` or `markdown`.")),
        }
    }

    /// What it is, and what browsers are to call the file.
    pub(super) fn headers(self, id: &str) -> [(HeaderName, HeaderValue); 2] {
        let (kind, ending) = match self {
            Self::Json => ("application/json", "json"),
            Self::Markdown => ("text/markdown; charset=utf-8", "md"),
        };
        // Ids are letters and digits. Without the name it is still a download.
        let disposition = HeaderValue::try_from(format!("attachment; filename=\"{id}.{ending}\""))
            .unwrap_or_else(|_| HeaderValue::from_static("attachment"));
        [(CONTENT_TYPE, HeaderValue::from_static(kind)), (CONTENT_DISPOSITION, disposition)]
    }

    fn begin(self, conversation: Conversation) -> Result<String, serde_json::Error> {
        match self {
            Self::Json => {
                let conversation = serde_json::to_string(&ConversationView::from(conversation))?;
                Ok(format!(r#"{{"object":"conversation.export","conversation":{conversation},"turns":["#))
            }
            Self::Markdown => Ok(markdown::head(&conversation)),
        }
    }

    fn turn(self, turn: Turn, is_first: bool) -> io::Result<String> {
        match self {
            Self::Json => {
                let view = TurnView::try_from(turn).map_err(io::Error::other)?;
                let comma = if is_first { "" } else { "," };
                Ok(format!("{comma}{}", serde_json::to_string(&view)?))
            }
            Self::Markdown => Ok(markdown::turn(&turn)),
        }
    }

    const fn end(self) -> &'static str {
        match self {
            Self::Json => "]}",
            Self::Markdown => "",
        }
    }
}

/// The document's pieces. Where something comes between, such as its deletion, it breaks off, and so does the answer: a
/// client does not take half for the whole.
pub(super) fn document(
    format: Format,
    conversations: Arc<ConversationService>,
    principal: Principal,
    conversation: Conversation,
) -> impl Stream<Item = io::Result<Bytes>> {
    async_stream::try_stream! {
        let id = conversation.id.clone();
        // Turns that come while it is written are left out: the head would not know of them.
        let last = conversation.turns;
        yield format.begin(conversation)?.into();
        let mut after = 0;
        while after < last {
            let page = conversations.turns(&principal, &id, after, PAGE).await.map_err(|failure| {
                tracing::warn!(cause = crate::monitoring::chain(&failure), "an export is broken off");
                io::Error::other("the conversation cannot be read any further")
            })?;
            let mut text = String::new();
            let before = after;
            for turn in page.into_iter().filter(|turn| turn.number <= last) {
                let is_first = after == 0;
                after = turn.number;
                text.push_str(&format.turn(turn, is_first)?);
            }
            if after == before {
                Err(io::Error::other("a turn is missing"))?;
            }
            yield text.into();
        }
        yield Bytes::from_static(format.end().as_bytes());
    }
}
