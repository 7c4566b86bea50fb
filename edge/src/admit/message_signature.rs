//! What an HTTP message signature signs: the signature base of a request (RFC 9421 §2).
//!
//! Nothing is verified here. Of a request, what the runtime shows of it is known: its method, its URL and its header
//! fields, of which several of one name come joined. Three things follow:
//!
//! - `@request-target` is the origin form, as a proxy's other forms are not seen.
//! - `bs` is right for a field that came on one line, which cannot be told from several.
//! - A line break in a value is a fault, as no runtime hands one on.

mod query_parameter;
pub(super) mod structured_field;
mod target_uri;

#[cfg(test)]
mod rfc9421_vectors;

use std::borrow::Cow;

use sfv::{BareItem, FieldType, InnerList, Item, ItemSerializer};

use target_uri::TargetUri;

/// The most components that a signature may cover. Each may have to be looked for in a long field, so that a request
/// which lists thousands would cost much more than it cost its sender.
pub const COMPONENTS: usize = 32;

/// A request as the runtime shows it.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// Method, as it was sent: methods are case-sensitive.
    pub method: &'a str,
    /// Absolute URL.
    pub url: &'a str,
    /// Header fields: names in lower case, one entry for each, several values joined by a comma and a space.
    pub fields: &'a [(String, String)],
}

impl<'a> SignedRequest<'a> {
    /// Value of a header field, without the white space around it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.fields.iter().find(|(field, _)| field == name)?;
        Some(value.trim_matches([' ', '\t']))
    }
}

/// Why there is no signature base. All but the last name the component, as the signature writes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSignatureBase {
    /// The field, member or query parameter is not in the request.
    #[error("{0} is not in the request")]
    Absent(String),
    /// The identifier is listed twice, or the query parameter occurs twice (RFC 9421 §2.5 and §2.2.8).
    #[error("{0} is there more than once")]
    Repeated(String),
    /// No component that a request has, or none that this edge knows.
    #[error("{0} is not a component of a request")]
    Unsupported(String),
    /// A parameter that is unknown, not of its type, missing, or not meant for this component; `req` and `tr` always.
    #[error("{0} has a parameter that does not apply")]
    Parameter(String),
    /// `bs` together with `sf` or `key`.
    #[error("{0} has parameters that exclude each other")]
    Incompatible(String),
    /// Not a structured field where one is needed, or of no certain type.
    #[error("{0} is not a structured field of a certain type")]
    NotStructured(String),
    /// The value holds something else than printable ASCII, or the URL is none.
    #[error("{0} has a value that cannot be signed")]
    Characters(String),
    /// More than [`COMPONENTS`].
    #[error("more than {COMPONENTS} components are covered")]
    TooMany,
}

/// The signature base for one label of `Signature-Input`, whose value is `covered` (RFC 9421 §2.5).
pub fn signature_base(request: &SignedRequest<'_>, covered: &InnerList) -> Result<String, NoSignatureBase> {
    if covered.items.len() > COMPONENTS {
        return Err(NoSignatureBase::TooMany);
    }
    let mut base = String::new();
    for (index, component) in covered.items.iter().enumerate() {
        let identifier = component.serialize();
        let named = |fault: fn(String) -> NoSignatureBase| fault(abridged(&identifier));
        if covered.items[..index].iter().any(|earlier| same(earlier, component)) {
            return Err(named(NoSignatureBase::Repeated));
        }
        let value = component_value(request, component).map_err(named)?;
        base.push_str(&identifier);
        base.push_str(": ");
        base.push_str(&value);
        base.push('\n');
    }
    base.push_str("\"@signature-params\": ");
    base.push_str(&structured_field::inner_list(covered));
    Ok(base)
}

/// Whether two identifiers mean one component: their parameters may be in another order (RFC 9421 §2), and a member is
/// the same member with or without `sf` (§2.1.2).
fn same(one: &Item, other: &Item) -> bool {
    let same_member = || one.params.get("key").is_some_and(|key| other.params.get("key") == Some(key));
    one == other || (one.bare_item == other.bare_item && same_member())
}

/// Enough of an identifier to recognise it; it is a stranger's text and goes into logs.
fn abridged(identifier: &str) -> String {
    identifier.chars().take(80).collect()
}

/// A fault without the component that it befell.
type Fault = fn(String) -> NoSignatureBase;

fn component_value<'a>(request: &SignedRequest<'a>, component: &'a Item) -> Result<Cow<'a, str>, Fault> {
    let name = component.bare_item.as_string().ok_or(NoSignatureBase::Unsupported as Fault)?.as_str();
    let parameters = Parameters::of(name, component)?;
    if name.starts_with('@') {
        let value = derived_value(request, name, &parameters)?;
        // RFC 9421 §2.2.
        let printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if printable && value.trim_matches(' ') == value { Ok(value) } else { Err(NoSignatureBase::Characters) }
    } else {
        field_value(request, name, &parameters)
    }
}

/// Parameters of a component that are understood.
#[derive(Default)]
struct Parameters<'a> {
    strict: bool,
    binary: bool,
    key: Option<&'a str>,
    name: Option<&'a str>,
}

impl<'a> Parameters<'a> {
    fn of(component_name: &str, component: &'a Item) -> Result<Self, Fault> {
        let mut parameters = Self::default();
        let field = !component_name.starts_with('@');
        for (parameter, value) in &component.params {
            match (parameter.as_str(), value) {
                ("sf", BareItem::Boolean(true)) if field => parameters.strict = true,
                ("bs", BareItem::Boolean(true)) if field => parameters.binary = true,
                ("key", BareItem::String(key)) if field => parameters.key = Some(key.as_str()),
                ("name", BareItem::String(name)) if component_name == "@query-param" => {
                    parameters.name = Some(name.as_str());
                }
                _ => return Err(NoSignatureBase::Parameter),
            }
        }
        Ok(parameters)
    }
}

/// RFC 9421 §2.2.
fn derived_value<'a>(
    request: &SignedRequest<'a>,
    name: &str,
    parameters: &Parameters<'_>,
) -> Result<Cow<'a, str>, Fault> {
    if name == "@method" {
        return Ok(request.method.into());
    }
    let target = TargetUri::read(request.url).ok_or(NoSignatureBase::Characters as Fault)?;
    Ok(match name {
        "@target-uri" => target.whole.into(),
        "@authority" => target.authority.into(),
        "@scheme" => target.scheme.into(),
        "@request-target" => target.origin_form(),
        "@path" => target.path.into(),
        "@query" => format!("?{}", target.query.unwrap_or_default()).into(),
        "@query-param" => {
            let name = parameters.name.ok_or(NoSignatureBase::Parameter as Fault)?;
            let mut values = query_parameter::values(target.query.unwrap_or_default(), name);
            match (values.next(), values.next()) {
                (Some(value), None) => value.into(),
                (None, _) => return Err(NoSignatureBase::Absent),
                (Some(_), Some(_)) => return Err(NoSignatureBase::Repeated),
            }
        }
        _ => return Err(NoSignatureBase::Unsupported),
    })
}

/// RFC 9421 §2.1.
fn field_value<'a>(
    request: &SignedRequest<'a>,
    name: &str,
    parameters: &Parameters<'_>,
) -> Result<Cow<'a, str>, Fault> {
    let value = request.field(name).ok_or(NoSignatureBase::Absent as Fault)?;
    if !value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        return Err(NoSignatureBase::Characters);
    }
    match parameters {
        Parameters { binary: true, strict: true, .. } | Parameters { binary: true, key: Some(_), .. } => {
            Err(NoSignatureBase::Incompatible)
        }
        Parameters { binary: true, .. } => Ok(ItemSerializer::new().bare_item(value.as_bytes()).finish().into()),
        // Members are serialised strictly in any case, so that `sf` adds nothing.
        Parameters { key: Some(key), .. } => {
            let dictionary = structured_field::dictionary(value).ok_or(NoSignatureBase::NotStructured as Fault)?;
            let member = dictionary.get(*key).ok_or(NoSignatureBase::Absent as Fault)?;
            Ok(structured_field::member(member).into())
        }
        Parameters { strict: true, .. } => {
            Ok(structured_field::canonical(value).ok_or(NoSignatureBase::NotStructured as Fault)?.into())
        }
        _ => Ok(value.into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sfv::{List, ListEntry, Parser};

    use super::*;

    fn covered(text: &str) -> InnerList {
        let mut list: List = Parser::new(text).parse().unwrap();
        match list.pop() {
            Some(ListEntry::InnerList(covered)) => covered,
            other => panic!("{other:?}"),
        }
    }

    /// Covers components of a request with the fields `a` and `dict`.
    fn base(url: &str, a: &str, components: &str) -> Result<String, NoSignatureBase> {
        let fields = [("a".to_owned(), a.to_owned()), ("dict".to_owned(), "k=1, l=2, k=3".to_owned())];
        signature_base(&SignedRequest { method: "GET", url, fields: &fields }, &covered(components))
    }

    fn fault(components: &str) -> NoSignatureBase {
        base("https://e.example/?x=1&x=2&y=3", "text", components).unwrap_err()
    }

    #[test]
    fn what_is_not_in_the_request_is_a_fault() {
        for component in [r#""b""#, r#""A""#, r#""""#, r#""dict";key="m""#, r#""@query-param";name="z""#] {
            assert_eq!(fault(&format!("({component})")), NoSignatureBase::Absent(component.to_owned()));
        }
    }

    #[test]
    fn a_component_may_not_occur_twice() {
        for (components, second) in [
            (r#"("a" "@path" "a")"#, r#""a""#),
            (r#"("@path" "a" "@path")"#, r#""@path""#),
            (r#"("dict";key="k" "dict";key="k")"#, r#""dict";key="k""#),
            (r#"("dict";key="k";sf "dict";sf;key="k")"#, r#""dict";sf;key="k""#),
            (r#"("dict";key="k" "dict";key="k";sf)"#, r#""dict";key="k";sf"#),
            (r#"("@query-param";name="x")"#, r#""@query-param";name="x""#),
        ] {
            assert_eq!(fault(components), NoSignatureBase::Repeated(second.to_owned()), "{components}");
        }
        let distinct =
            base("https://e.example/", "text", r#"("dict" "dict";sf "dict";bs "dict";key="k" "dict";key="l")"#);
        assert_eq!(
            distinct.unwrap().lines().take(5).collect::<Vec<_>>(),
            [
                r#""dict": k=1, l=2, k=3"#,
                r#""dict";sf: k=3, l=2"#,
                r#""dict";bs: :az0xLCBsPTIsIGs9Mw==:"#,
                // The last of several members with one key counts (RFC 9651 §4.2.2).
                r#""dict";key="k": 3"#,
                r#""dict";key="l": 2"#,
            ],
        );
    }

    #[test]
    fn components_of_responses_and_unknown_ones_are_faults() {
        for component in [r#""@status""#, r#""@signature-params""#, r#""@body""#, r#""@""#, "a", "1", ":YQ==:"] {
            assert_eq!(fault(&format!("({component})")), NoSignatureBase::Unsupported(component.to_owned()));
        }
    }

    #[test]
    fn parameters_that_do_not_apply_are_faults() {
        for component in [
            r#""a";req"#,
            r#""a";tr"#,
            r#""a";unknown"#,
            r#""a";sf=1"#,
            r#""a";sf=?0"#,
            r#""a";bs="""#,
            r#""dict";key"#,
            r#""dict";key=k"#,
            r#""a";name="a""#,
            r#""@path";req"#,
            r#""@path";sf"#,
            r#""@path";key="a""#,
            r#""@path";name="y""#,
            r#""@query-param""#,
            r#""@query-param";name=y"#,
            r#""@query-param";name="y";req"#,
        ] {
            assert_eq!(fault(&format!("({component})")), NoSignatureBase::Parameter(component.to_owned()));
        }
    }

    #[test]
    fn parameters_that_exclude_each_other_are_faults() {
        for component in [r#""a";bs;sf"#, r#""a";sf;bs"#, r#""dict";bs;key="k""#] {
            assert_eq!(fault(&format!("({component})")), NoSignatureBase::Incompatible(component.to_owned()));
        }
    }

    #[test]
    fn a_field_without_structure_has_no_strict_form() {
        let unstructured = |components: &str| base("https://e.example/", "two words", components).unwrap_err();
        for component in [r#""a";sf"#, r#""a";key="two""#] {
            assert_eq!(unstructured(&format!("({component})")), NoSignatureBase::NotStructured(component.to_owned()));
        }
    }

    #[test]
    fn only_printable_ascii_is_signed() {
        for value in ["é", "a\nb", "a\r\n b", "a\0b", "\u{7f}"] {
            for component in [r#""a""#, r#""a";bs"#] {
                let fault = base("https://e.example/", value, &format!("({component})")).unwrap_err();
                assert_eq!(fault, NoSignatureBase::Characters(component.to_owned()), "{value:?}");
            }
        }
        assert!(base("https://e.example/", "a\tb", r#"("a")"#).is_ok());
        for (url, component) in [
            ("https://e.example/é", r#""@path""#),
            ("https://e.example/a\nb", r#""@target-uri""#),
            ("https://e.example/?a ", r#""@query""#),
            ("/relative", r#""@path""#),
            ("https://user@e.example/", r#""@authority""#),
        ] {
            let fault = base(url, "", &format!("({component})")).unwrap_err();
            assert_eq!(fault, NoSignatureBase::Characters(component.to_owned()), "{url:?}");
        }
    }

    #[test]
    fn the_number_of_components_is_bounded() {
        let list = |count: usize| {
            let components: Vec<_> = (0..count).map(|index| format!("\"@query-param\";name=\"{index}\"")).collect();
            let query: Vec<_> = (0..count).map(|index| format!("{index}=a")).collect();
            base(&format!("https://e.example/?{}", query.join("&")), "", &format!("({})", components.join(" ")))
        };
        assert_eq!(list(COMPONENTS).unwrap().lines().count(), COMPONENTS + 1);
        assert_eq!(list(COMPONENTS + 1), Err(NoSignatureBase::TooMany));
    }

    #[test]
    fn a_fault_does_not_repeat_a_long_identifier() {
        let NoSignatureBase::Absent(component) = fault(&format!("(\"{}\")", "x".repeat(500))) else { panic!() };
        assert_eq!(component.len(), 80);
    }

    /// Some component, mostly one that the request of [`base`] has.
    fn any_component() -> impl Strategy<Value = String> {
        let name = "@method|@target-uri|@authority|@scheme|@request-target|@path|@query|@query-param|@status|a|dict|b";
        (name, "(;sf|;bs|;key=\"[klm]\"|;name=\"[xyz]\"|;req|;tr|;x=1\\.5){0,2}")
            .prop_map(|(name, parameters)| format!("\"{name}\"{parameters}"))
    }

    proptest! {
        #[test]
        fn every_line_of_a_base_is_a_component_and_the_last_one_is_the_list(
            components in prop::collection::vec(any_component(), 0..6),
            parameters in "(;(created=[0-9]{1,9}|keyid=\"[ -!#-\\[\\]-~]*\"|nonce|tag=:YQ==:)){0,4}",
        ) {
            let text = format!("({}){parameters}", components.join(" "));
            if let Ok(base) = base("https://e.example/?y=3", "text", &text) {
                let mut lines: Vec<_> = base.split('\n').collect();
                let last = lines.pop().unwrap().strip_prefix("\"@signature-params\": ").unwrap();
                let list = covered(last);
                prop_assert_eq!(&list, &covered(&text));
                prop_assert_eq!(lines.len(), list.items.len());
                for (line, item) in lines.into_iter().zip(&list.items) {
                    prop_assert!(line.starts_with(&format!("{}: ", item.serialize())), "{}", line);
                }
            }
        }

        #[test]
        fn no_request_makes_it_panic(
            method in "\\PC*",
            url in "(https?://)?\\PC*",
            value in "\\PC*",
            component in any_component(),
        ) {
            let fields = [("a".to_owned(), value.clone()), ("dict".to_owned(), value)];
            let request = SignedRequest { method: &method, url: &url, fields: &fields };
            if let Ok(base) = signature_base(&request, &covered(&format!("({component})"))) {
                prop_assert!(base.is_ascii());
                prop_assert_eq!(base.lines().count(), 2);
            }
        }
    }
}
