//! The state of the providers as the backend sees it, told to the edge so that its plans avoid what does not answer.
//!
//! The field `x-goblin-health` is an RFC 9651 dictionary: a member for each provider that is configured, holding an inner
//! list of those of its models that there is something to say of, as in
//! `openai=("gpt-4.1";ms=420 "gpt-4o-mini";down);down, demo=()`. `ms` is the time to the first content in milliseconds;
//! `down` says that calls fail for now. The field is signed, because whoever could write it would direct the traffic.

use std::collections::BTreeMap;

use sfv::{BareItem, Dictionary, ItemSerializer, KeyRef, ListEntry, Parameters, Parser, StringRef};

use crate::{
    catalogue::Target,
    edge_signature::{self, InvalidEdgeSignature, SigningKey},
};

/// Longest field that models lengthen, in bytes.
pub const FIELD_BYTES: usize = 4_096;

/// Longest field that is read, in bytes.
const READ_BYTES: usize = 4 * FIELD_BYTES;

/// Begins what is signed. No head begins with it and a number: after a method comes a path.
const PURPOSE: &str = "health";

const MILLISECONDS: &str = "ms";
const DOWN: &str = "down";

/// Before keys of providers that do not begin with a letter, as keys of a dictionary must.
const MARK: &str = "*";

/// What is known of the providers that can be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderHealth {
    providers: BTreeMap<String, Provider>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Provider {
    is_down: bool,
    models: BTreeMap<String, Model>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Model {
    is_down: bool,
    first_content_ms: Option<u32>,
}

/// The field is not a dictionary of inner lists of names, or too long.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a bounded RFC 9651 dictionary of providers with lists of their models")]
pub struct InvalidProviderHealth;

impl ProviderHealth {
    /// Adds a provider by its key in the catalogue, or changes whether it is down.
    pub fn provider(&mut self, key: &str, is_down: bool) {
        self.providers.entry(key.to_owned()).or_default().is_down = is_down;
    }

    /// Says of a model whether it is down, and its time to the first content in milliseconds. Adds its provider too.
    pub fn model(&mut self, target: &Target, is_down: bool, first_content_ms: Option<u32>) {
        let models = &mut self.providers.entry(target.provider.clone()).or_default().models;
        if is_down || first_content_ms.is_some() {
            models.insert(target.model.clone(), Model { is_down, first_content_ms });
        } else {
            models.remove(&target.model);
        }
    }

    /// Whether the backend can call this provider at all.
    #[must_use]
    pub fn is_offered(&self, provider: &str) -> bool {
        self.providers.contains_key(provider)
    }

    /// Whether calls of this model, or of its whole provider, fail for now.
    #[must_use]
    pub fn is_down(&self, target: &Target) -> bool {
        let is_down =
            |provider: &Provider| provider.is_down || provider.model(target).is_some_and(|model| model.is_down);
        self.providers.get(&target.provider).is_some_and(is_down)
    }

    /// The time to the first content in milliseconds, where it was measured.
    #[must_use]
    pub fn first_content_ms(&self, target: &Target) -> Option<u32> {
        self.providers.get(&target.provider)?.model(target)?.first_content_ms
    }

    /// The field's value, of at most [`FIELD_BYTES`] as far as models lengthen it: those that are not down are left out
    /// first. Providers never are.
    #[must_use]
    pub fn to_field(&self) -> String {
        let longest = |key: &String| MARK.len() + key.len() + "=();down, ".len();
        let mut free = FIELD_BYTES.saturating_sub(self.providers.keys().map(longest).sum());
        let mut lists: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for is_down in [true, false] {
            for (key, provider) in &self.providers {
                let items = provider.models.iter().filter(|(_, model)| model.is_down == is_down);
                for item in items.filter_map(|(name, model)| model.to_item(name)) {
                    // With the space between it and the next.
                    if let Some(less) = free.checked_sub(item.len() + 1) {
                        free = less;
                        lists.entry(key).or_default().push(item);
                    }
                }
            }
        }
        let member = |(key, provider): (&String, &Provider)| {
            let mark = if key.starts_with(|first: char| first.is_ascii_lowercase()) { "" } else { MARK };
            let models = lists.get(key.as_str()).map(|items| items.join(" ")).unwrap_or_default();
            let down = if provider.is_down { ";down" } else { "" };
            format!("{mark}{key}=({models}){down}")
        };
        self.providers.iter().map(member).collect::<Vec<_>>().join(", ")
    }

    /// Reads a field's value; parameters that it does not know are skipped, so that an older edge takes a newer backend.
    pub fn parse(field: &str) -> Result<Self, InvalidProviderHealth> {
        if field.len() > READ_BYTES {
            return Err(InvalidProviderHealth);
        }
        let dictionary: Dictionary = Parser::new(field).parse().map_err(|_| InvalidProviderHealth)?;
        let mut providers = BTreeMap::new();
        for (key, entry) in dictionary {
            let ListEntry::InnerList(list) = entry else { return Err(InvalidProviderHealth) };
            let mut models = BTreeMap::new();
            for item in list.items {
                let BareItem::String(name) = item.bare_item else { return Err(InvalidProviderHealth) };
                models.insert(name.into(), Model::of(&item.params));
            }
            let key = key.as_str();
            let key = key.strip_prefix(MARK).unwrap_or(key).to_owned();
            providers.insert(key, Provider { is_down: is_down(&list.params), models });
        }
        Ok(Self { providers })
    }
}

impl Provider {
    fn model(&self, target: &Target) -> Option<&Model> {
        self.models.get(&target.model)
    }
}

impl Model {
    fn of(parameters: &Parameters) -> Self {
        let milliseconds = match parameters.get(MILLISECONDS) {
            Some(BareItem::Integer(milliseconds)) => u32::try_from(i64::from(*milliseconds)).ok(),
            _ => None,
        };
        Self { is_down: is_down(parameters), first_content_ms: milliseconds }
    }

    /// Its place in the list; none for a name that a field cannot hold.
    fn to_item(&self, name: &str) -> Option<String> {
        let mut item = ItemSerializer::new().bare_item(StringRef::from_str(name).ok()?);
        if let Some(milliseconds) = self.first_content_ms {
            item = item.parameter(KeyRef::constant(MILLISECONDS), milliseconds);
        }
        if self.is_down {
            item = item.parameter(KeyRef::constant(DOWN), true);
        }
        Some(item.finish())
    }
}

fn is_down(parameters: &Parameters) -> bool {
    matches!(parameters.get(DOWN), Some(BareItem::Boolean(true)))
}

/// The value of `x-goblin-health-signature` for a value of `x-goblin-health`, made at `unix_seconds`.
#[must_use]
pub fn sign_health(field: &str, key: &SigningKey, unix_seconds: u64) -> String {
    edge_signature::sign(&[PURPOSE], &[field], key, unix_seconds)
}

/// Checks a value of `x-goblin-health-signature` at `unix_seconds`, as [`crate::edge_signature::SignedHead::verify`] does.
pub fn verify_health(
    field: &str,
    signature: &str,
    keys: &[SigningKey],
    unix_seconds: u64,
    skew_seconds: u64,
) -> Result<(), InvalidEdgeSignature> {
    edge_signature::verify(&[PURPOSE], &[field], signature, keys, unix_seconds, skew_seconds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::edge_signature::{SECRET_BYTES, SignedHead};

    const NOW: u64 = 1_800_000_000;

    fn target(text: &str) -> Target {
        Target::parse(text).unwrap()
    }

    fn key(id: &str) -> SigningKey {
        format!("{id}:{}", id.repeat(SECRET_BYTES)).parse().unwrap()
    }

    fn health() -> ProviderHealth {
        let mut health = ProviderHealth::default();
        health.provider("demo", false);
        health.model(&target("openai/gpt-4.1"), false, Some(420));
        health.model(&target("openai/gpt-4o-mini"), true, Some(300));
        health.model(&target("openai/gpt-4o"), false, None);
        health.provider("3rd", true);
        health
    }

    #[test]
    fn state_travels_as_a_structured_field() {
        let health = health();
        let field = health.to_field();
        assert_eq!(field, r#"*3rd=();down, demo=(), openai=("gpt-4o-mini";ms=300;down "gpt-4.1";ms=420)"#);
        assert_eq!(ProviderHealth::parse(&field), Ok(health));
        assert_eq!(ProviderHealth::default().to_field(), "");
        assert_eq!(ProviderHealth::parse(""), Ok(ProviderHealth::default()));
    }

    #[test]
    fn what_was_told_can_be_asked() {
        let mut health = health();
        assert!(health.is_offered("3rd") && !health.is_offered("*3rd") && !health.is_offered("other"));
        for (text, is_down, milliseconds) in [
            ("openai/gpt-4.1", false, Some(420)),
            ("openai/gpt-4o-mini", true, Some(300)),
            ("openai/gpt-4o", false, None),
            ("3rd/any", true, None),
            ("other/any", false, None),
        ] {
            assert_eq!(health.is_down(&target(text)), is_down, "{text}");
            assert_eq!(health.first_content_ms(&target(text)), milliseconds, "{text}");
        }
        health.model(&target("openai/gpt-4o-mini"), false, None);
        health.provider("3rd", false);
        assert_eq!(health.to_field(), r#"*3rd=(), demo=(), openai=("gpt-4.1";ms=420)"#);
    }

    #[test]
    fn what_is_not_known_is_skipped_and_other_fields_are_refused() {
        let read = ProviderHealth::parse(r#"a=("m";ms=-1;x=?1;down=1 "n";ms=1.5;down=?0);y;down"#).unwrap();
        assert_eq!((read.is_down(&target("a/m")), read.first_content_ms(&target("a/m"))), (true, None));
        let long = format!("a=(){}", " ".repeat(READ_BYTES));
        for field in ["a", "a=1", "a=(m)", "a=(1)", "a=(\"m\"", "\"list\"", "A=()", &long] {
            assert_eq!(ProviderHealth::parse(field), Err(InvalidProviderHealth), "{field}");
        }
    }

    #[test]
    fn a_long_field_loses_what_is_well_before_what_is_down() {
        let mut health = ProviderHealth::default();
        health.provider("z", true);
        for index in 0..200 {
            health.model(&target(&format!("a/model-{index:03}-{}", "x".repeat(20))), index % 10 == 9, Some(index));
        }
        let field = health.to_field();
        assert!((FIELD_BYTES - 50..=FIELD_BYTES).contains(&field.len()), "{}", field.len());
        let read = ProviderHealth::parse(&field).unwrap();
        assert!(read.is_down(&target("z/any")));
        assert_eq!(field.matches(";down").count(), 21);
        assert!(read.providers["a"].models.len() < 200);
    }

    #[test]
    fn every_part_is_signed_and_nothing_else_is_taken_for_it() {
        let signature = sign_health("demo=()", &key("a"), NOW);
        let verify = |field, signature, now| verify_health(field, signature, &[key("b"), key("a")], now, 60);
        assert_eq!(verify("demo=()", &signature, NOW + 60), Ok(()));
        assert_eq!(verify("demo=()", &signature, NOW + 61), Err(InvalidEdgeSignature::Expired));
        assert_eq!(verify("demo=();down", &signature, NOW), Err(InvalidEdgeSignature::Mismatch));
        assert_eq!(verify("", &signature, NOW), Err(InvalidEdgeSignature::Mismatch));
        let later = signature.replace(&NOW.to_string(), &(NOW + 1).to_string());
        assert_eq!(verify("demo=()", &later, NOW), Err(InvalidEdgeSignature::Mismatch));
        let other = sign_health("demo=()", &key("c"), NOW);
        assert_eq!(verify("demo=()", &other, NOW), Err(InvalidEdgeSignature::UnknownKey));
        assert_eq!(verify("demo=()", "v1", NOW), Err(InvalidEdgeSignature::Malformed));
        let head = SignedHead {
            method: PURPOSE,
            path_and_query: "demo=()",
            request_id: "",
            attempt: "",
            route: "",
            client: "",
            traceparent: "",
        };
        assert_eq!(verify("demo=()", &head.sign(&key("a"), NOW), NOW), Err(InvalidEdgeSignature::Mismatch));
    }

    proptest! {
        #[test]
        fn health_round_trips(
            providers in prop::collection::btree_map("[a-z0-9_.-]{1,12}", any::<bool>(), 0..5),
            models in prop::collection::vec(("[a-z0-9_.-]{1,12}", "[!#-\\[\\]-~]{1,20}", any::<bool>(), any::<Option<u32>>()), 0..20),
        ) {
            let mut health = ProviderHealth::default();
            for (provider, model, is_down, milliseconds) in models {
                health.model(&Target { provider, model }, is_down, milliseconds);
            }
            for (key, is_down) in providers {
                health.provider(&key, is_down);
            }
            prop_assert_eq!(ProviderHealth::parse(&health.to_field()), Ok(health));
        }

        #[test]
        fn reading_and_verifying_never_panic(field in "\\PC*", signature in "(v1;k=a;t=)?\\PC*") {
            let _ = ProviderHealth::parse(&field);
            let _ = verify_health(&field, &signature, &[key("a")], NOW, 60);
        }
    }
}
