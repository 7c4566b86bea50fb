//! The `tracestate` field: up to 32 `key=value` members, newest first.

use std::fmt;

/// From how many characters on a member goes before all others.
const LONG: usize = 128;

/// Members of a valid `tracestate`, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceState(Vec<(String, String)>);

/// The fields together are not a `tracestate`: all of it is to be dropped.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTraceState {
    /// A member is not `key=value`, or key or value have characters or lengths that are not allowed.
    #[error("a member is malformed")]
    Member,
    /// The same key twice.
    #[error("a key occurs twice")]
    Duplicate,
    /// More than [`TraceState::MEMBERS`].
    #[error("more than 32 members")]
    TooMany,
}

impl TraceState {
    /// Most members that a state may have.
    pub const MEMBERS: usize = 32;

    /// Longest text that is handed on, in bytes. The specification asks for 512 at least.
    pub const BYTES: usize = 4_096;

    /// Reads the fields of one request, in order; several count as one. Empty members are skipped.
    pub fn parse<'a>(fields: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidTraceState> {
        let mut members: Vec<(String, String)> = Vec::new();
        for member in fields.into_iter().flat_map(|field| field.split(',')) {
            let member = member.trim_matches([' ', '\t']);
            if member.is_empty() {
                continue;
            }
            let (key, value) = member.split_once('=').ok_or(InvalidTraceState::Member)?;
            if !is_key(key) || !is_value(value) {
                return Err(InvalidTraceState::Member);
            }
            if members.iter().any(|(earlier, _)| earlier == key) {
                return Err(InvalidTraceState::Duplicate);
            }
            if members.len() == Self::MEMBERS {
                return Err(InvalidTraceState::TooMany);
            }
            members.push((key.to_owned(), value.to_owned()));
        }
        Ok(Self(members))
    }

    /// The field's value, of at most [`Self::BYTES`]. What is too long gets shorter as the specification has it
    /// (<https://www.w3.org/TR/trace-context-2/#tracestate-limits>): members of more than 128 characters go first, then the
    /// last ones, always as a whole.
    #[must_use]
    pub fn bounded(&self) -> String {
        self.within(Self::BYTES)
    }

    fn within(&self, limit: usize) -> String {
        let length = |(key, value): &(String, String)| key.len() + 1 + value.len();
        let mut members: Vec<&(String, String)> = self.0.iter().collect();
        let total = |members: &[&(String, String)]| {
            members.iter().map(|member| length(member)).sum::<usize>() + members.len().saturating_sub(1)
        };
        // Of the long ones too the last goes first.
        while total(&members) > limit {
            let long = members.iter().rposition(|member| length(member) > LONG);
            members.remove(long.unwrap_or(members.len() - 1));
        }
        members.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
    }

    /// No member: the header is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members in order.
    pub fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{key}={value}")?;
        }
        Ok(())
    }
}

/// A key of one vendor has up to 256 characters; `tenant@system` up to 241 and 14, the system beginning with a letter.
fn is_key(key: &str) -> bool {
    let part = |text: &str, longest: usize, digit_first: bool| {
        let first = text.bytes().next();
        text.len() <= longest
            && first.is_some_and(|byte| byte.is_ascii_lowercase() || (digit_first && byte.is_ascii_digit()))
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/'))
    };
    match key.split_once('@') {
        None => part(key, 256, true),
        Some((tenant, system)) => part(tenant, 241, true) && part(system, 14, false),
    }
}

/// One to 256 printable ASCII characters without `,` and `=`, the last not a space.
fn is_value(value: &str) -> bool {
    (1..=256).contains(&value.len())
        && !value.ends_with(' ')
        && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(field: &str) -> Result<String, InvalidTraceState> {
        TraceState::parse([field]).map(|state| state.to_string())
    }

    #[test]
    fn fields_are_combined_in_order_and_empty_ones_skipped() {
        let state = TraceState::parse(["foo=1,bar=2", "", " \t", "rojo=1 , congo=2", "baz=3"]).unwrap();
        assert_eq!(state.to_string(), "foo=1,bar=2,rojo=1,congo=2,baz=3");
        assert_eq!(state.members().next(), Some(("foo", "1")));
    }

    #[test]
    fn white_space_around_members_is_ignored_but_leading_space_of_a_value_kept() {
        assert_eq!(parse("\t foo=1 \t , \t bar= 2 ").unwrap(), "foo=1,bar= 2");
    }

    #[test]
    fn every_allowed_character_is_allowed() {
        let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
        let value: String = (' '..='~').filter(|character| !",=".contains(*character)).collect();
        for key in [key.to_owned(), format!("{key}@a-z0-9_-*/"), format!("0{key}")] {
            let field = format!("{key}={value}");
            assert_eq!(parse(&field).unwrap(), field);
        }
    }

    #[test]
    fn lengths_are_exact() {
        for (key, allowed) in [
            ("z".repeat(256), true),
            ("z".repeat(257), false),
            (format!("{}@{}", "t".repeat(241), "v".repeat(14)), true),
            (format!("{}@v", "t".repeat(242)), false),
            (format!("t@{}", "v".repeat(15)), false),
        ] {
            assert_eq!(parse(&format!("{key}=1")).is_ok(), allowed, "{key}");
        }
        assert!(parse(&format!("foo={}", "v".repeat(256))).is_ok());
        assert_eq!(parse(&format!("foo={}", "v".repeat(257))), Err(InvalidTraceState::Member));
    }

    #[test]
    fn malformed_members_drop_everything() {
        for field in [
            "foo =1",
            "FOO=1",
            "foo.bar=1",
            "foo@=1,bar=2",
            "@foo=1,bar=2",
            "foo@@bar=1,bar=2",
            "foo@bar@baz=1,bar=2",
            "foo=bar=baz",
            "foo=,bar=3",
            "foo",
            "=1",
            "foo=\u{fc}",
            "foo@1bar=1",
        ] {
            assert_eq!(parse(field), Err(InvalidTraceState::Member), "{field}");
        }
    }

    #[test]
    fn a_key_may_occur_once_over_all_fields() {
        assert_eq!(TraceState::parse(["foo=1", "foo=1"]), Err(InvalidTraceState::Duplicate));
    }

    #[test]
    fn members_are_counted_over_all_fields() {
        let field = |range: std::ops::Range<usize>| range.map(|n| format!("bar{n}={n}")).collect::<Vec<_>>().join(",");
        let (first, second) = (field(0..20), field(20..32));
        assert_eq!(TraceState::parse([first.as_str(), &second]).unwrap().members().count(), 32);
        assert_eq!(TraceState::parse([first.as_str(), &second, "more=1"]), Err(InvalidTraceState::TooMany));
    }

    #[test]
    fn what_is_too_long_loses_long_members_first_and_then_the_last() {
        let (long, longer) = (format!("long={}", "v".repeat(124)), format!("longer={}", "v".repeat(200)));
        let just_not = format!("short={}", "v".repeat(122));
        let state = TraceState::parse([format!("a=1,{long},b=2,{longer},{just_not},c=3").as_str()]).unwrap();
        let within = |limit| state.within(limit);
        let all = state.to_string();
        assert_eq!((within(all.len()), state.bounded()), (all.clone(), all.clone()));
        assert_eq!(within(all.len() - 1), format!("a=1,{long},b=2,{just_not},c=3"));
        assert_eq!(within(200), format!("a=1,b=2,{just_not},c=3"));
        assert_eq!(within(138), format!("a=1,b=2,{just_not}"));
        assert_eq!(
            (within(100), within(7), within(6), within(0)),
            ("a=1,b=2".into(), "a=1,b=2".into(), "a=1".into(), String::new())
        );
        let full: Vec<_> = (0..32).map(|n| format!("k{n}={}", "v".repeat(256))).collect();
        let full = TraceState::parse(full.iter().map(String::as_str)).unwrap();
        assert_eq!(full.bounded().split(',').count(), 15);
    }

    prop_compose! {
        fn member()(
            key in "[a-z0-9][a-z0-9_*/-]{0,20}|[a-z0-9][a-z0-9_*/-]{0,20}@[a-z][a-z0-9_*/-]{0,13}",
            value in "[ !-+\\--<>-~]{0,20}[!-+\\--<>-~]",
        ) -> (String, String) { (key, value) }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(fields in prop::collection::vec("\\PC*", 0..4)) {
            let _ = TraceState::parse(fields.iter().map(String::as_str));
        }

        #[test]
        fn valid_states_round_trip(members in prop::collection::vec(member(), 0..=32)) {
            let unique = members.iter().map(|(key, _)| key).collect::<std::collections::HashSet<_>>().len();
            prop_assume!(unique == members.len());
            let field = members.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
            let state = TraceState::parse([field.as_str()]).unwrap();
            prop_assert_eq!(state.to_string(), field);
        }

        #[test]
        fn what_is_accepted_is_written_so_that_it_is_accepted_again(field in "[a-z0-9@=, _*/\t-]{0,80}") {
            if let Ok(state) = TraceState::parse([field.as_str()]) {
                let text = state.to_string();
                prop_assert_eq!(TraceState::parse([text.as_str()]), Ok(state));
            }
        }
    }
}
