//! From a request's facts to a plan: the (provider, model) pairs to call, in order.
//!
//! The edge makes the plan and signs it; a backend with no edge in front makes it with the same function. The backend
//! may drop entries, and never reorders them.

mod candidates;
mod circumstances;
mod draw;
mod near_names;
mod planner;
mod reason;
mod refusal;
#[cfg(test)]
mod tests;

use sfv::{BareItem, KeyRef, List, ListEntry, ListSerializer, Parser, StringRef};

pub use self::{circumstances::Circumstances, planner::MOST_ENTRIES, reason::REASON_BYTES};
use crate::{
    catalogue::{Catalogue, Target},
    chat_request::ChatFacts,
    error_body::ClientError,
};

/// Parameter of each entry: the catalogue's version.
const VERSION: &str = "v";

/// What to call, best first. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    entries: Vec<Target>,
    catalogue_version: String,
}

/// A plan that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What to call.
    pub plan: Plan,
    /// Why, for people: printable ASCII of at most [`REASON_BYTES`], with no other names than the catalogue's.
    pub reason: String,
}

/// The field `x-goblin-route` is not a plan.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a list of \"provider/model\" with one catalogue version")]
pub struct InvalidPlan;

impl Plan {
    /// Plans a request: at most [`MOST_ENTRIES`] entries, all of the kind that the request's API is for. The same
    /// arguments make the same plan. The error is what the client is told.
    pub fn for_request(
        catalogue: &Catalogue,
        facts: &ChatFacts<'_>,
        circumstances: &Circumstances<'_>,
    ) -> Result<Planned, ClientError> {
        planner::plan(catalogue, facts, circumstances)
    }

    /// The entries, best first.
    #[must_use]
    pub fn entries(&self) -> &[Target] {
        &self.entries
    }

    /// The version of the catalogue that the plan was made from.
    #[must_use]
    pub fn catalogue_version(&self) -> &str {
        &self.catalogue_version
    }

    /// As the value of `x-goblin-route`: an RFC 9651 list of strings with parameter `v`.
    #[must_use]
    pub fn to_field(&self) -> String {
        let mut list = ListSerializer::new();
        for entry in &self.entries {
            let text = entry.to_string();
            if let (Ok(text), Ok(key), Ok(version)) =
                (StringRef::from_str(&text), KeyRef::from_str(VERSION), StringRef::from_str(&self.catalogue_version))
            {
                list.bare_item(text).parameter(key, version);
            }
        }
        list.finish().unwrap_or_default()
    }

    /// Reads a value of `x-goblin-route`.
    pub fn parse(field: &str) -> Result<Self, InvalidPlan> {
        let list: List = Parser::new(field).parse().map_err(|_| InvalidPlan)?;
        let mut catalogue_version: Option<String> = None;
        let mut entries = Vec::with_capacity(list.len());
        for entry in list {
            let ListEntry::Item(item) = entry else { return Err(InvalidPlan) };
            let BareItem::String(text) = &item.bare_item else { return Err(InvalidPlan) };
            let Some(BareItem::String(version)) = item.params.get(VERSION) else { return Err(InvalidPlan) };
            if catalogue_version.as_ref().is_some_and(|earlier| earlier != version.as_str()) {
                return Err(InvalidPlan);
            }
            catalogue_version = Some(version.as_str().to_owned());
            entries.push(Target::parse(text.as_str()).ok_or(InvalidPlan)?);
        }
        Ok(Self { entries, catalogue_version: catalogue_version.ok_or(InvalidPlan)? })
    }
}
