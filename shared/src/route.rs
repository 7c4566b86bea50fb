//! From a request's facts to a plan: the (provider, model) pairs to call, in order.
//!
//! The edge makes the plan and signs it; a backend with no edge in front makes it with the same function. The backend
//! may drop entries, and never reorders them.

use sfv::{BareItem, KeyRef, List, ListEntry, ListSerializer, Parser, StringRef};

use crate::{
    catalogue::{Catalogue, Target},
    chat_request::ChatFacts,
    error_body::{ClientError, ErrorCode},
};

/// Parameter of each entry: the catalogue's version.
const VERSION: &str = "v";

/// What to call, best first. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    entries: Vec<Target>,
    catalogue_version: String,
}

/// The field `x-goblin-route` is not a plan.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a list of \"provider/model\" with one catalogue version")]
pub struct InvalidPlan;

impl Plan {
    /// Plans a chat request. The error is what the client is told.
    pub fn for_chat(catalogue: &Catalogue, facts: &ChatFacts<'_>) -> Result<Self, ClientError> {
        let target = catalogue.resolve(&facts.model).ok_or_else(|| {
            let message =
                format!("The model `{}` does not exist here; GET /v1/models lists them.", shown(&facts.model));
            ClientError::new(ErrorCode::ModelNotFound, message).with_param("model")
        })?;
        Ok(Self { entries: vec![target], catalogue_version: catalogue.version().to_owned() })
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

/// A client's text as it may stand in an answer: bounded, without control characters.
fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;
    use crate::catalogue::BUILT_IN;

    fn facts(model: &str) -> ChatFacts<'_> {
        ChatFacts { model: Cow::Borrowed(model), stream: false, include_usage: false }
    }

    #[test]
    fn a_plan_travels_as_a_structured_field() {
        let catalogue = Catalogue::parse(BUILT_IN).unwrap();
        let plan = Plan::for_chat(&catalogue, &facts("auto")).unwrap();
        assert_eq!(plan.to_field(), format!("\"demo/goblin-demo\";v=\"{}\"", catalogue.version()));
        assert_eq!(Plan::parse(&plan.to_field()), Ok(plan));
    }

    #[test]
    fn an_unknown_model_is_the_clients_error() {
        let catalogue = Catalogue::parse(BUILT_IN).unwrap();
        let error = Plan::for_chat(&catalogue, &facts("no\nsuch")).unwrap_err();
        assert_eq!((error.code.status(), error.param.as_deref()), (422, Some("model")));
        assert!(error.message.contains("`nosuch`"), "{}", error.message);
    }

    #[test]
    fn other_fields_are_refused() {
        for field in [
            "",
            "demo/goblin-demo",
            "\"demo/goblin-demo\"",
            "\"demo\";v=\"1\"",
            "(\"demo/goblin-demo\");v=\"1\"",
            "\"demo/a\";v=\"1\", \"demo/b\";v=\"2\"",
            "\"demo/a\";v=1",
        ] {
            assert_eq!(Plan::parse(field), Err(InvalidPlan), "{field}");
        }
    }

    proptest! {
        #[test]
        fn plans_round_trip(
            entries in prop::collection::vec(("[a-z0-9_.-]{1,12}", "[!#-\\[\\]-~]{1,20}"), 1..5),
            catalogue_version in "[!-~]{1,12}",
        ) {
            let entries = entries.into_iter().map(|(provider, model)| Target { provider, model }).collect();
            let plan = Plan { entries, catalogue_version };
            prop_assert_eq!(Plan::parse(&plan.to_field()), Ok(plan));
        }

        #[test]
        fn parsing_never_panics(field in "\\PC*") {
            let _ = Plan::parse(&field);
        }
    }
}
