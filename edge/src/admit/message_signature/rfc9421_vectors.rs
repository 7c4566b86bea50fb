//! The examples of RFC 9421, compared byte by byte.

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, VerifyingKey};
use sfv::{InnerList, ListEntry, Parser};

use super::*;

const CONTENT_DIGEST: &str =
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn covered(text: &str) -> InnerList {
    let mut list: sfv::List = Parser::new(text).parse().unwrap();
    match list.pop() {
        Some(ListEntry::InnerList(covered)) => covered,
        other => panic!("{other:?}"),
    }
}

/// Base without its last line, and so the lines of the components alone.
fn lines(method: &str, url: &str, pairs: &[(&str, &str)], components: &str) -> Result<String, NoSignatureBase> {
    let fields = fields(pairs);
    let request = SignedRequest { method, url, fields: &fields };
    let base = signature_base(&request, &covered(&format!("({components})")))?;
    let lines = base.strip_suffix(&format!("\"@signature-params\": ({components})")).unwrap();
    Ok(lines.strip_suffix('\n').unwrap_or(lines).to_owned())
}

fn field_line(name: &str, value: &str, component: &str) -> Result<String, NoSignatureBase> {
    lines("GET", "https://www.example.com/", &[(name, value)], component)
}

fn derived_line(method: &str, url: &str, component: &str) -> Result<String, NoSignatureBase> {
    lines(method, url, &[], component)
}

/// The request of §B.2.
fn test_request_base(parameters: &str) -> String {
    let fields = fields(&[
        ("host", "example.com"),
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("content-type", "application/json"),
        ("content-digest", CONTENT_DIGEST),
        ("content-length", "18"),
    ]);
    let request = SignedRequest { method: "POST", url: "https://example.com/foo?param=Value&Pet=dog", fields: &fields };
    signature_base(&request, &covered(parameters)).unwrap()
}

/// With test-key-ed25519 of §B.1.4.
fn verifies(base: &str, signature: &str) -> bool {
    let key: [u8; 32] = STANDARD.decode("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=").unwrap().try_into().unwrap();
    let signature = Signature::from_slice(&STANDARD.decode(signature).unwrap()).unwrap();
    VerifyingKey::from_bytes(&key).unwrap().verify_strict(base.as_bytes(), &signature).is_ok()
}

#[test]
fn a_minimal_base_has_one_line() {
    // §B.2.1
    assert_eq!(
        test_request_base(r#"();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd""#),
        r#""@signature-params": ();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd""#,
    );
}

#[test]
fn components_are_selected() {
    // §B.2.2
    assert_eq!(
        test_request_base(concat!(
            r#"("@authority" "content-digest" "@query-param";name="Pet")"#,
            r#";created=1618884473;keyid="test-key-rsa-pss";tag="header-example""#,
        )),
        [
            r#""@authority": example.com"#,
            &format!(r#""content-digest": {CONTENT_DIGEST}"#),
            r#""@query-param";name="Pet": dog"#,
            concat!(
                r#""@signature-params": ("@authority" "content-digest" "@query-param";name="Pet")"#,
                r#";created=1618884473;keyid="test-key-rsa-pss";tag="header-example""#,
            ),
        ]
        .join("\n"),
    );
}

#[test]
fn all_of_a_request_is_covered() {
    // §B.2.3
    assert_eq!(
        test_request_base(concat!(
            r#"("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length")"#,
            r#";created=1618884473;keyid="test-key-rsa-pss""#,
        )),
        [
            r#""date": Tue, 20 Apr 2021 02:07:55 GMT"#,
            r#""@method": POST"#,
            r#""@path": /foo"#,
            r#""@query": ?param=Value&Pet=dog"#,
            r#""@authority": example.com"#,
            r#""content-type": application/json"#,
            &format!(r#""content-digest": {CONTENT_DIGEST}"#),
            r#""content-length": 18"#,
            concat!(
                r#""@signature-params": ("date" "@method" "@path" "@query" "@authority" "content-type" "#,
                r#""content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss""#,
            ),
        ]
        .join("\n"),
    );
}

#[test]
fn a_base_for_a_shared_secret_is_as_any() {
    // §B.2.5
    assert_eq!(
        test_request_base(r#"("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#),
        [
            r#""date": Tue, 20 Apr 2021 02:07:55 GMT"#,
            r#""@authority": example.com"#,
            r#""content-type": application/json"#,
            concat!(
                r#""@signature-params": ("date" "@authority" "content-type")"#,
                r#";created=1618884473;keyid="test-shared-secret""#,
            ),
        ]
        .join("\n"),
    );
}

#[test]
fn an_ed25519_signature_verifies() {
    // §B.2.6
    let base = test_request_base(concat!(
        r#"("date" "@method" "@path" "@authority" "content-type" "content-length")"#,
        r#";created=1618884473;keyid="test-key-ed25519""#,
    ));
    assert_eq!(
        base,
        [
            r#""date": Tue, 20 Apr 2021 02:07:55 GMT"#,
            r#""@method": POST"#,
            r#""@path": /foo"#,
            r#""@authority": example.com"#,
            r#""content-type": application/json"#,
            r#""content-length": 18"#,
            concat!(
                r#""@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length")"#,
                r#";created=1618884473;keyid="test-key-ed25519""#,
            ),
        ]
        .join("\n"),
    );
    let signature = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
    assert!(verifies(&base, signature));
    assert!(!verifies(&base.replace("POST", "GET"), signature));
}

#[test]
fn a_signature_outlives_what_it_does_not_cover() {
    // §B.4: the same signature over a message and what intermediaries made of it.
    let verifies = |method, url: &str, pairs: &[(&str, &str)]| {
        let fields = fields(pairs);
        let parameters =
            covered(r#"("@method" "@path" "@authority" "accept");created=1618884473;keyid="test-key-ed25519""#);
        let base = signature_base(&SignedRequest { method, url, fields: &fields }, &parameters).unwrap();
        verifies(&base, "ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==")
    };
    let url = "https://example.org/demo?name1=Value1&Name2=value2";
    let accept = ("accept", "application/json, */*");
    assert!(verifies("GET", url, &[("date", "Fri, 15 Jul 2022 14:24:55 GMT"), accept]));
    assert!(verifies("GET", &format!("{url}&param=added"), &[accept, ("accept-language", "en-US,en;q=0.5")]));
    assert!(verifies("GET", url, &[("referer", "https://developer.example.org/demo"), accept]));
    assert!(!verifies("POST", "https://example.com/demo?name1=Value1&Name2=value2", &[accept]));
    assert!(!verifies("GET", url, &[("accept", "*/*, application/json")]));
}

#[test]
fn fields_are_taken_as_they_are() {
    // §2.1. A folded line reaches no one as such: whoever reads HTTP/1.1 has made a space of the fold.
    let pairs = [
        ("host", "www.example.com"),
        ("date", "Tue, 20 Apr 2021 02:07:56 GMT"),
        ("x-ows-header", "   Leading and trailing whitespace.   "),
        ("x-obs-fold-header", "Obsolete line folding."),
        ("cache-control", "max-age=60, must-revalidate"),
        ("example-dict", " a=1,    b=2;x=1;y=2,   c=(a   b   c)"),
        ("x-empty-header", ""),
    ];
    let components =
        r#""host" "date" "x-ows-header" "x-obs-fold-header" "cache-control" "example-dict" "x-empty-header""#;
    assert_eq!(
        lines("GET", "https://www.example.com/", &pairs, components).unwrap(),
        [
            r#""host": www.example.com"#,
            r#""date": Tue, 20 Apr 2021 02:07:56 GMT"#,
            r#""x-ows-header": Leading and trailing whitespace."#,
            r#""x-obs-fold-header": Obsolete line folding."#,
            r#""cache-control": max-age=60, must-revalidate"#,
            r#""example-dict": a=1,    b=2;x=1;y=2,   c=(a   b   c)"#,
            r#""x-empty-header": "#,
        ]
        .join("\n"),
    );
}

#[test]
fn structured_fields_are_made_strict() {
    // §2.1.1
    assert_eq!(
        field_line("example-dict", " a=1,    b=2;x=1;y=2,   c=(a   b   c)", r#""example-dict";sf"#).unwrap(),
        r#""example-dict";sf: a=1, b=2;x=1;y=2, c=(a b c)"#,
    );
}

#[test]
fn members_of_dictionaries_are_covered_alone() {
    // §2.1.2
    let components = r#""example-dict";key="a" "example-dict";key="d" "example-dict";key="b" "example-dict";key="c""#;
    assert_eq!(
        field_line("example-dict", "  a=1, b=2;x=1;y=2, c=(a   b    c), d", components).unwrap(),
        [
            r#""example-dict";key="a": 1"#,
            r#""example-dict";key="d": ?1"#,
            r#""example-dict";key="b": 2;x=1;y=2"#,
            r#""example-dict";key="c": (a b c)"#,
        ]
        .join("\n"),
    );
}

#[test]
fn values_are_wrapped_in_bytes() {
    // §2.1.3, as far as it is about fields on one line.
    for (value, wrapped) in [
        ("value, with, lots, of, commas", ":dmFsdWUsIHdpdGgsIGxvdHMsIG9mLCBjb21tYXM=:"),
        ("value, with, lots", ":dmFsdWUsIHdpdGgsIGxvdHM=:"),
        (" of, commas ", ":b2YsIGNvbW1hcw==:"),
    ] {
        assert_eq!(
            field_line("example-header", value, r#""example-header";bs"#).unwrap(),
            format!(r#""example-header";bs: {wrapped}"#),
        );
    }
}

#[test]
fn components_are_derived_from_the_target() {
    // §2.2.1 to §2.2.7
    let url = "https://www.example.com/path?param=value";
    for (url, component, value) in [
        (url, "@method", "POST"),
        (url, "@target-uri", "https://www.example.com/path?param=value"),
        (url, "@authority", "www.example.com"),
        (url, "@scheme", "https"),
        ("http://www.example.com/path?param=value", "@scheme", "http"),
        (url, "@request-target", "/path?param=value"),
        (url, "@path", "/path"),
        (url, "@query", "?param=value"),
        (
            "https://www.example.com/path?param=value&foo=bar&baz=bat%2Dman",
            "@query",
            "?param=value&foo=bar&baz=bat%2Dman",
        ),
        ("https://www.example.com/path?queryString", "@query", "?queryString"),
        ("https://www.example.com/path", "@query", "?"),
        ("https://www.example.com", "@path", "/"),
        ("HTTPS://WWW.Example.com:443/Path", "@authority", "www.example.com"),
        ("https://www.example.com:8443/", "@authority", "www.example.com:8443"),
    ] {
        let line = derived_line("POST", url, &format!("\"{component}\"")).unwrap();
        assert_eq!(line, format!("\"{component}\": {value}"), "{url}");
    }
}

#[test]
fn query_parameters_are_covered_by_name() {
    // §2.2.8
    assert_eq!(
        derived_line(
            "GET",
            "https://www.example.com/path?param=value&foo=bar&baz=batman&qux=",
            r#""@query-param";name="baz" "@query-param";name="qux" "@query-param";name="param""#,
        )
        .unwrap(),
        [
            r#""@query-param";name="baz": batman"#,
            r#""@query-param";name="qux": "#,
            r#""@query-param";name="param": value"#,
        ]
        .join("\n"),
    );
    assert_eq!(
        derived_line(
            "GET",
            concat!(
                "https://www.example.com/parameters?var=this%20is%20a%20big%0Amultiline%20value",
                "&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something",
            ),
            concat!(
                r#""@query-param";name="var" "@query-param";name="bar" "#,
                r#""@query-param";name="fa%C3%A7ade%22%3A%20""#,
            ),
        )
        .unwrap(),
        [
            r#""@query-param";name="var": this%20is%20a%20big%0Amultiline%20value"#,
            r#""@query-param";name="bar": with%20plus%20whitespace"#,
            r#""@query-param";name="fa%C3%A7ade%22%3A%20": something"#,
        ]
        .join("\n"),
    );
}
