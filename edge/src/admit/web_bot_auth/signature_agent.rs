//! The field `Signature-Agent`: where those who sign a request publish their keys.

use sfv::{Dictionary, InnerList, Item, ListEntry};

use super::{AgentOrigin, DIRECTORY_PATH};
use crate::admit::message_signature::structured_field;

/// What the field holds. The forms differ in their first character (draft §5.2.1).
pub(super) enum SignatureAgent {
    /// The field is absent or unreadable: nobody is named.
    Nobody,
    /// One string, as up to draft-meunier-web-bot-auth-architecture-03: it is for every signature.
    One(Option<AgentOrigin>),
    /// A dictionary, as from -04 on.
    Members(Dictionary),
}

impl SignatureAgent {
    pub(super) fn read(field: Option<&str>) -> Self {
        let Some(field) = field else { return Self::Nobody };
        if field.starts_with('"') {
            structured_field::item(field).map_or(Self::Nobody, |item| Self::One(origin(&item)))
        } else {
            structured_field::labelled(field).map_or(Self::Nobody, Self::Members)
        }
    }

    /// Whether it names one of these at all.
    pub(super) fn names_any_of(&self, listed: &[AgentOrigin]) -> bool {
        match self {
            Self::Nobody => false,
            Self::One(agent) => agent.as_ref().is_some_and(|agent| listed.contains(agent)),
            Self::Members(members) => members.values().filter_map(member).any(|agent| listed.contains(&agent)),
        }
    }

    /// The agent whom the signature with this label claims to be from.
    ///
    /// Of a dictionary, it is one that the signature covers: the member with the signature's label, as the newest draft
    /// demands, else the first covered one, as in the test vectors of -04 and -05. A signature that covers none by its
    /// key, be it that it covers the whole field or nothing of it, claims one of all in the same manner.
    pub(super) fn claimed_by(&self, label: &str, covered: &InnerList) -> Option<AgentOrigin> {
        let members = match self {
            Self::Nobody => return None,
            Self::One(agent) => return agent.clone(),
            Self::Members(members) => members,
        };
        let mut keys: Vec<&str> = covered.items.iter().filter_map(covered_key).collect();
        if keys.is_empty() {
            keys = members.keys().map(|key| key.as_str()).collect();
        }
        let key = if keys.contains(&label) { label } else { keys.first()? };
        member(members.get(key)?)
    }
}

/// The member that a component of a signature covers by its key.
fn covered_key(component: &Item) -> Option<&str> {
    let is_agent = component.bare_item.as_string()?.as_str() == "signature-agent";
    let key = component.params.get("key")?.as_string()?;
    is_agent.then(|| key.as_str())
}

fn member(entry: &ListEntry) -> Option<AgentOrigin> {
    match entry {
        ListEntry::Item(item) => origin(item),
        ListEntry::InnerList(_) => None,
    }
}

/// The origin whose directory has the keys. Other means of discovery, and values with another path than the
/// directory's, are ignored, as the draft demands (§5.5).
fn origin(item: &Item) -> Option<AgentOrigin> {
    if item.params.get("type").is_some_and(|kind| kind.as_token().is_none_or(|kind| kind.as_str() != "directory")) {
        return None;
    }
    let url = item.bare_item.as_string()?.as_str();
    url.strip_suffix(DIRECTORY_PATH).unwrap_or(url).parse().ok()
}
