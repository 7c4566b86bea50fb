//! W3C Baggage (<https://www.w3.org/TR/baggage/>, `baggage-string`): what callers hand along with a trace.
//!
//! It may hold anything, so that it is in no span, metric or log; it goes on as far as the backend.

use std::{borrow::Cow, fmt};

/// Most members that are handed on: what the specification makes every platform hand on.
pub const MEMBERS: usize = 64;
/// Longest text that is handed on, in bytes, likewise.
pub const BYTES: usize = 8_192;

/// The members that are in the specification's format, in order, duplicates included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage<'a>(Vec<Member<'a>>);

/// A key with its value and properties, as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// A token.
    pub key: &'a str,
    /// Percent-encoded UTF-8; may be empty.
    value: &'a str,
    /// What stands behind the first `;`, blanks included.
    properties: Option<&'a str>,
}

impl<'a> Baggage<'a> {
    /// Reads the fields of one request, in order; several count as one. A member in another format is left out, and so
    /// is what goes beyond [`MEMBERS`] or [`BYTES`].
    #[must_use]
    pub fn parse(fields: impl IntoIterator<Item = &'a str>) -> Self {
        let mut members = Vec::new();
        let mut length = 0;
        for member in fields.into_iter().flat_map(|field| field.split(',')).filter_map(Member::parse) {
            let longer = length + member.length() + usize::from(length > 0);
            if longer > BYTES {
                continue;
            }
            length = longer;
            members.push(member);
            if members.len() == MEMBERS {
                break;
            }
        }
        Self(members)
    }

    /// No member: the header is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members in order.
    pub fn members(&self) -> impl Iterator<Item = &Member<'a>> {
        self.0.iter()
    }
}

impl<'a> Member<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (pair, properties) = match text.split_once(';') {
            Some((pair, properties)) => (pair, Some(trimmed(properties))),
            None => (text, None),
        };
        let (key, value) = pair.split_once('=')?;
        let (key, value) = (trimmed(key), trimmed(value));
        let are_properties = properties.is_none_or(|properties| properties.split(';').all(is_property));
        (is_token(key) && is_value(value) && are_properties).then_some(Self { key, value, properties })
    }

    /// The value, decoded. What is not the encoding of UTF-8 is replaced by U+FFFD, as the specification has it.
    #[must_use]
    pub fn value(&self) -> Cow<'a, str> {
        if !self.value.contains('%') {
            return Cow::Borrowed(self.value);
        }
        let mut decoded = Vec::with_capacity(self.value.len());
        let mut rest = self.value.as_bytes();
        while let Some((&first, after)) = rest.split_first() {
            let mut byte = [0];
            let is_encoded = first == b'%' && after.len() >= 2 && hex::decode_to_slice(&after[..2], &mut byte).is_ok();
            decoded.push(if is_encoded { byte[0] } else { first });
            rest = if is_encoded { &after[2..] } else { after };
        }
        Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
    }

    /// Its properties, as they were written, without the blanks around them.
    pub fn properties(&self) -> impl Iterator<Item = &'a str> {
        self.properties.into_iter().flat_map(|properties| properties.split(';')).map(trimmed)
    }

    fn length(&self) -> usize {
        self.key.len() + 1 + self.value.len() + self.properties().map(|property| 1 + property.len()).sum::<usize>()
    }
}

impl fmt::Display for Member<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)?;
        self.properties().try_for_each(|property| write!(f, ";{property}"))
    }
}

/// As the value of one `baggage` field.
impl fmt::Display for Baggage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, member) in self.0.iter().enumerate() {
            write!(f, "{}{member}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Without optional white space (RFC 9110, section 5.6.3) at its ends.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn is_property(text: &str) -> bool {
    match text.split_once('=') {
        Some((key, value)) => is_token(trimmed(key)) && is_value(trimmed(value)),
        None => is_token(trimmed(text)),
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// `baggage-octet`s: printable ASCII without blank, `"`, `,`, `;` and `\`.
fn is_value(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passed(field: &str) -> String {
        Baggage::parse([field]).to_string()
    }

    #[test]
    fn the_specifications_example_is_read() {
        let field = "key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue";
        let baggage = Baggage::parse([field]);
        let members: Vec<_> = baggage.members().map(|member| (member.key, member.value().into_owned())).collect();
        let expected = [("key1", "value1"), ("key2", "value2"), ("key3", "value3")];
        assert_eq!(members, expected.map(|(key, value)| (key, value.to_owned())));
        let properties: Vec<_> = baggage.members().flat_map(Member::properties).collect();
        assert_eq!(properties, ["property1", "property2", "propertyKey=propertyValue"]);
        assert_eq!(
            baggage.to_string(),
            "key1=value1;property1;property2,key2=value2,key3=value3;propertyKey=propertyValue"
        );
    }

    #[test]
    fn several_fields_are_one_in_order_and_duplicates_stay() {
        let baggage = Baggage::parse(["a=1", "", "b=2,a=3"]);
        assert_eq!(baggage.to_string(), "a=1,b=2,a=3");
    }

    #[test]
    fn values_are_decoded_and_may_hold_equals_signs() {
        let value = |field| Baggage::parse([field]).members().next().unwrap().value().into_owned();
        assert_eq!(value("serverNode=DF%2028"), "DF 28");
        assert_eq!(value("a=b=c=="), "b=c==");
        assert_eq!(value("a=%F0%9F%91%BA"), "👺");
        assert_eq!(value("a=%FF"), "\u{fffd}");
        assert_eq!(value("a=100%"), "100%");
        assert_eq!(value("a="), "");
    }

    #[test]
    fn what_has_another_format_is_left_out_and_the_rest_stays() {
        for wrong in ["a", "=1", "a b=1", "a=1 2", "a=\"1\"", "a=1\\", "a=1;", "a=1;=2", "a=1;p=\"", "ä=1", "a=ä", ""]
        {
            assert_eq!(passed(&format!("x=1,{wrong},y=2")), "x=1,y=2", "{wrong}");
        }
    }

    #[test]
    fn what_every_platform_hands_on_is_handed_on_and_no_more() {
        let many = |count| (0..count).map(|index| format!("k{index}=v")).collect::<Vec<_>>().join(",");
        assert_eq!(passed(&many(64)), many(64));
        assert_eq!(passed(&many(65)), many(64));
        let long = |length| format!("a={}", "x".repeat(length - 2));
        assert_eq!(passed(&long(BYTES)), long(BYTES));
        assert_eq!(passed(&format!("{},b=1", long(BYTES + 1))), "b=1");
        assert_eq!(passed(&format!("{},b=1", long(BYTES - 4))), format!("{},b=1", long(BYTES - 4)));
        assert_eq!(passed(&format!("{},b=1", long(BYTES - 3))), long(BYTES - 3));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(field in "[ -~\t]{0,200}") {
            let written = passed(&field);
            prop_assert!(written.len() <= BYTES);
            prop_assert_eq!(passed(&written), written);
        }

        #[test]
        fn reading_never_panics(fields in prop::collection::vec("\\PC*", 0..4)) {
            let baggage = Baggage::parse(fields.iter().map(String::as_str));
            let _ = baggage.members().map(|member| member.value().len() + member.properties().count()).sum::<usize>();
        }
    }
}
