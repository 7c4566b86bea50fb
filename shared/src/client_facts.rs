//! What the edge knows of a client, as the signed field `x-goblin-client`: an RFC 9651 dictionary of strings.

use sfv::{BareItem, DictSerializer, Dictionary, KeyRef, ListEntry, Parser, StringRef};

/// Facts that only the edge can see. Each is absent when the platform did not tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFacts {
    /// Why the edge let it in, such as `api_key` or `anonymous`.
    pub verdict: Option<String>,
    /// Origin of an agent that proved its name by signature.
    pub agent: Option<String>,
    /// ISO 3166-1 alpha-2 code of the country.
    pub country: Option<String>,
    /// IATA code of the Cloudflare location that took the request.
    pub colo: Option<String>,
    /// Cloudflare's id of the request.
    pub ray: Option<String>,
    /// IP address of the client. Personal: never to be put into spans, metrics or logs.
    pub address: Option<String>,
}

/// The field is not a dictionary.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 9651 dictionary")]
pub struct InvalidClientFacts;

impl ClientFacts {
    /// The field's value; empty when nothing is known. A fact that is not printable ASCII is left out.
    #[must_use]
    pub fn to_field(&self) -> String {
        let mut dictionary = DictSerializer::new();
        for (name, value) in [
            ("verdict", &self.verdict),
            ("agent", &self.agent),
            ("country", &self.country),
            ("colo", &self.colo),
            ("ray", &self.ray),
            ("address", &self.address),
        ] {
            let Some(value) = value else { continue };
            if let (Ok(name), Ok(value)) = (KeyRef::from_str(name), StringRef::from_str(value)) {
                dictionary.bare_item(name, value);
            }
        }
        dictionary.finish().unwrap_or_default()
    }

    /// Reads the field; members that it does not know are skipped, so that an older backend takes a newer edge.
    pub fn parse(field: &str) -> Result<Self, InvalidClientFacts> {
        let mut dictionary: Dictionary = Parser::new(field).parse().map_err(|_| InvalidClientFacts)?;
        let mut text = |name: &str| match dictionary.shift_remove(name) {
            Some(ListEntry::Item(item)) => match item.bare_item {
                BareItem::String(value) => Some(value.as_str().to_owned()),
                _ => None,
            },
            _ => None,
        };
        Ok(Self {
            verdict: text("verdict"),
            agent: text("agent"),
            country: text("country"),
            colo: text("colo"),
            ray: text("ray"),
            address: text("address"),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_facts_are_written_and_read() {
        let facts =
            ClientFacts { country: Some("DE".into()), address: Some("2001:db8::1".into()), ..ClientFacts::default() };
        assert_eq!(facts.to_field(), r#"country="DE", address="2001:db8::1""#);
        assert_eq!(ClientFacts::parse(&facts.to_field()), Ok(facts));
        assert_eq!(ClientFacts::default().to_field(), "");
    }

    #[test]
    fn unknown_members_are_skipped() {
        assert_eq!(ClientFacts::parse("score=human, colo=7"), Ok(ClientFacts::default()));
        assert_eq!(ClientFacts::parse("\"list\""), Err(InvalidClientFacts));
    }

    proptest! {
        #[test]
        fn any_facts_give_a_readable_field(country in "\\PC*", ray in "[ -~]*") {
            let facts = ClientFacts { country: Some(country.clone()), ray: Some(ray), ..ClientFacts::default() };
            let read = ClientFacts::parse(&facts.to_field()).unwrap();
            prop_assert_eq!(&read.ray, &facts.ray);
            prop_assert_eq!(read.country.is_some(), country.is_ascii());
        }
    }
}
