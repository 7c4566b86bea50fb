//! The operations on conversations.

use goblin_shared::conversation::ConversationPath;

use super::{
    answers::{Form, Success},
    errors::ErrorsOf,
    examples,
    operations::{Described, Method, PLAIN},
};

/// How a page is asked for.
const PAGE: &[(&str, &str)] = &[
    ("limit", "Most entries of the page, 1 to 100; 20 where it is left out."),
    ("after", "The member `next` of the page before."),
];

const fn one(path: ConversationPath, has_body: bool) -> Described {
    Described { path: path.template(), errors: ErrorsOf::Conversations { has_body, has_id: true }, ..PLAIN }
}

/// All of them.
pub(super) const CONVERSATIONS: [Described; 7] = [
    Described {
        method: Method::Post,
        path: ConversationPath::All.template(),
        id: "createConversation",
        summary: "Makes a conversation, to go on with by `conversation_id` in chat completions",
        body: Some("CreateConversation"),
        example: examples::create_conversation,
        success: Success { status: "201", schema: Some("Conversation"), ..PLAIN.success },
        errors: ErrorsOf::Conversations { has_body: true, has_id: false },
        ..PLAIN
    },
    Described {
        path: ConversationPath::All.template(),
        id: "listConversations",
        summary: "Lists the caller's conversations, the latest changed first",
        success: Success { schema: Some("ConversationList"), ..PLAIN.success },
        errors: ErrorsOf::Conversations { has_body: false, has_id: false },
        query: PAGE,
        ..PLAIN
    },
    Described {
        id: "getConversation",
        summary: "Tells of a conversation, without what was said",
        success: Success { schema: Some("Conversation"), ..PLAIN.success },
        ..one(ConversationPath::One, false)
    },
    Described {
        method: Method::Patch,
        id: "renameConversation",
        summary: "Gives a conversation another title",
        body: Some("RenameConversation"),
        example: examples::rename_conversation,
        success: Success { schema: Some("Conversation"), ..PLAIN.success },
        ..one(ConversationPath::One, true)
    },
    Described {
        method: Method::Delete,
        id: "deleteConversation",
        summary: "Deletes a conversation with all that was said in it",
        success: Success { status: "204", form: Form::Empty, ..PLAIN.success },
        ..one(ConversationPath::One, false)
    },
    Described {
        id: "listTurns",
        summary: "Lists what was said in a conversation, in its order",
        success: Success { schema: Some("TurnList"), ..PLAIN.success },
        query: PAGE,
        ..one(ConversationPath::Turns, false)
    },
    Described {
        id: "exportConversation",
        summary: "All of a conversation as a file",
        success: Success { form: Form::Document, schema: Some("ConversationExport"), ..PLAIN.success },
        query: &[("format", "`json` for programs, which is the default, or `markdown` for people.")],
        ..one(ConversationPath::Export, false)
    },
];
