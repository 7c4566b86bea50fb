//! Cloudflare's own implementation of Web Bot Auth against this one, in both directions.

use ed25519_dalek::{Signer, SigningKey};
use indexmap::IndexMap;
use proptest::prelude::*;
use web_bot_auth::{
    WebBotAuthVerifier,
    components::{
        CoveredComponent, DerivedComponent, HTTPField, HTTPFieldParameters, HTTPFieldParametersSet,
        QueryParamParameters, QueryParamParametersSet,
    },
    keyring::{Algorithm, KeyRing, Thumbprintable},
    message_signatures::{MessageSigner, SignedMessage, UnsignedMessage},
};

use super::*;
use crate::admit::key_directory::{KeyDirectory, MEDIA_TYPE};

const SECRET: [u8; 32] = *b"a key that signs for tests alone";
const URL: &str = "https://api.example/v1/chat/completions?stream=1";
const AGENT: &str = "https://agent.example";

/// The agent's directory, as it would be served, and the id of its key by the other implementation.
fn directory() -> (String, String) {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let x = URL_SAFE_NO_PAD.encode(SigningKey::from_bytes(&SECRET).verifying_key());
    let key_id = Thumbprintable::OKP { crv: "Ed25519".to_owned(), x: x.clone() }.b64_thumbprint();
    (format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}]}}"#), key_id)
}

/// A request in the making, as the other implementation sees it.
struct Unsigned {
    components: IndexMap<CoveredComponent, String>,
    input: String,
    signature: String,
}

impl UnsignedMessage for Unsigned {
    fn fetch_components_to_cover(&self) -> IndexMap<CoveredComponent, String> {
        self.components.clone()
    }

    fn register_header_contents(&mut self, input: String, signature: String) {
        self.input = input;
        self.signature = signature;
    }
}

fn field(name: &str, parameters: Vec<HTTPFieldParameters>) -> CoveredComponent {
    CoveredComponent::HTTP(HTTPField { name: name.to_owned(), parameters: HTTPFieldParametersSet(parameters) })
}

/// A request that the other implementation signed.
#[derive(Clone)]
struct Signed {
    method: String,
    url: String,
    content_type: String,
    agent: String,
    /// Value of the label `sig1`.
    input: String,
    signature: Vec<u8>,
    /// When it was signed.
    now: u64,
}

impl Signed {
    fn new() -> Self {
        let quoted = format!("\"{AGENT}\"");
        let components = IndexMap::from_iter([
            (CoveredComponent::Derived(DerivedComponent::Method { req: false }), "POST".to_owned()),
            (CoveredComponent::Derived(DerivedComponent::Authority { req: false }), "api.example".to_owned()),
            (CoveredComponent::Derived(DerivedComponent::Path { req: false }), "/v1/chat/completions".to_owned()),
            (CoveredComponent::Derived(DerivedComponent::Query { req: false }), "?stream=1".to_owned()),
            (field("content-type", vec![]), "application/json".to_owned()),
            (field("signature-agent", vec![HTTPFieldParameters::Key("sig1".to_owned())]), quoted.clone()),
        ]);
        let mut message = Unsigned { components, input: String::new(), signature: String::new() };
        let others = MessageSigner { keyid: directory().1, nonce: "bm9uY2U=".to_owned(), tag: TAG.to_owned() };
        let hour = std::time::Duration::from_hours(1);
        others.generate_signature_headers_content(&mut message, hour, Algorithm::Ed25519, &SECRET).unwrap();
        let mut signed = Self {
            method: "POST".to_owned(),
            url: URL.to_owned(),
            content_type: "application/json".to_owned(),
            agent: format!("sig1={quoted}"),
            input: message.input,
            signature: vec![],
            now: 0,
        };
        let Some(BareItem::ByteSequence(signature)) =
            structured_field::item(&message.signature).map(|item| item.bare_item)
        else {
            panic!("{}", message.signature)
        };
        signed.signature = signature;
        let created = signed.covered().params.get("created").unwrap().as_integer().unwrap();
        signed.now = i64::from(created).try_into().unwrap();
        signed
    }

    fn covered(&self) -> InnerList {
        let dictionary = structured_field::labelled(&format!("sig1={}", self.input)).unwrap();
        tagged(dictionary.get("sig1").unwrap()).unwrap().clone()
    }

    /// What the edge would find, with the key from the agent's directory.
    fn is_verified(&self) -> bool {
        let signature = sfv::ItemSerializer::new().bare_item(self.signature.as_slice()).finish();
        let fields = [
            ("content-type".to_owned(), self.content_type.clone()),
            ("signature-agent".to_owned(), self.agent.clone()),
            ("signature-input".to_owned(), format!("sig1={}", self.input)),
            ("signature".to_owned(), format!("sig1={signature}")),
        ];
        let request = SignedRequest { method: &self.method, url: &self.url, fields: &fields };
        let Ok(Signature::Claimed(claim)) = read(&request, &[AGENT.parse().unwrap()], self.now) else { return false };
        let directory = KeyDirectory::parse(directory().0.as_bytes(), Some(MEDIA_TYPE), None, self.now).unwrap();
        let Some(key) = directory.key(&claim.key_id, self.now) else { return false };
        let key = ed25519_dalek::VerifyingKey::from_bytes(key).unwrap();
        key.verify_strict(claim.base.as_bytes(), &ed25519_dalek::Signature::from_bytes(&claim.signature)).is_ok()
    }

    /// Its texts, each of which is covered: values, and the parameters.
    fn texts(&mut self) -> [&mut String; 5] {
        [&mut self.method, &mut self.url, &mut self.content_type, &mut self.agent, &mut self.input]
    }
}

#[test]
fn what_others_sign_verifies() {
    assert!(Signed::new().is_verified());
}

#[test]
fn one_changed_byte_of_what_is_covered_is_noticed() {
    let good = Signed::new();
    for text in 0..5 {
        for index in 0..good.clone().texts()[text].len() {
            let mut changed = good.clone();
            let target = &mut *changed.texts()[text];
            let byte = char::from(target.as_bytes()[index] ^ 1).to_string();
            target.replace_range(index..=index, &byte);
            let target = target.clone();
            assert!(!changed.is_verified(), "{target}");
        }
    }
}

#[test]
fn one_changed_bit_of_the_signature_is_noticed() {
    let good = Signed::new();
    for bit in 0..512 {
        let mut changed = good.clone();
        changed.signature[bit / 8] ^= 1 << (bit % 8);
        assert!(!changed.is_verified(), "{bit}");
    }
}

#[test]
fn a_longer_or_shorter_signature_is_noticed() {
    let good = Signed::new();
    let (mut longer, mut shorter) = (good.clone(), good);
    longer.signature.push(0);
    shorter.signature.pop();
    assert!(!longer.is_verified() && !shorter.is_verified());
}

/// A request as the other implementation verifies it: components with their values as the RFC defines them.
struct Received {
    fields: Vec<(String, String)>,
    derived: Vec<(CoveredComponent, String)>,
}

impl SignedMessage for Received {
    fn lookup_component(&self, component: &CoveredComponent) -> Vec<String> {
        match component {
            CoveredComponent::HTTP(HTTPField { name, parameters }) if parameters.0.is_empty() => {
                self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.clone()).collect()
            }
            component => {
                self.derived.iter().filter(|(known, _)| known == component).map(|(_, value)| value.clone()).collect()
            }
        }
    }
}

proptest! {
    // Signing takes its time in a debug build.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_changed_byte_is_noticed(text in 0_usize..5, index: prop::sample::Index, byte in b' '..=b'~') {
        let good = Signed::new();
        let mut changed = good.clone();
        let target = &mut *changed.texts()[text];
        let index = index.index(target.len());
        // The host and the scheme may be written in capitals.
        prop_assume!(!target.as_bytes()[index].eq_ignore_ascii_case(&byte));
        target.replace_range(index..=index, &char::from(byte).to_string());
        prop_assert!(!changed.is_verified());
    }

    #[test]
    fn what_is_to_be_verified_here_is_what_others_verify(
        value in "[!-~]([ -~]{0,20}[!-~])?",
        member in "[a-zA-Z0-9 ]{0,20}",
        parameter in "[a-zA-Z0-9._*-]{0,20}",
        order in Just(vec![
            r#""@method""#, r#""@authority""#, r#""@target-uri""#, r#""@path""#, r#""@query""#, r#""@scheme""#,
            r#""@request-target""#, r#""@query-param";name="q""#, r#""x-value""#, r#""x-dict";key="m""#,
            r#""signature-agent""#,
        ]).prop_shuffle(),
    ) {
        let (body, key_id) = directory();
        let input = format!(
            r#"sig=({});created=1750000000;expires=1750000060;keyid="{key_id}";tag="web-bot-auth""#,
            order.join(" "),
        );
        let url = format!("https://api.example/a/b?q={parameter}&r=1");
        let mut fields = vec![
            ("x-value".to_owned(), value),
            ("x-dict".to_owned(), format!("a=1,   m=\"{member}\";p, z")),
            ("signature-agent".to_owned(), format!("\"{AGENT}\"")),
            ("signature-input".to_owned(), input),
            ("signature".to_owned(), format!("sig=:{}:", "A".repeat(86))),
        ];
        let request = SignedRequest { method: "GET", url: &url, fields: &fields };
        let claim = match read(&request, &[AGENT.parse().unwrap()], 1_750_000_000) {
            Ok(Signature::Claimed(claim)) => claim,
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        let signature = SigningKey::from_bytes(&SECRET).sign(claim.base.as_bytes()).to_bytes();
        fields[4].1 = format!("sig={}", sfv::ItemSerializer::new().bare_item(signature.as_slice()).finish());

        let derived = |component| CoveredComponent::Derived(component);
        let name = QueryParamParametersSet(vec![QueryParamParameters::Name("q".to_owned())]);
        let received = Received {
            fields,
            derived: vec![
                (derived(DerivedComponent::Method { req: false }), "GET".to_owned()),
                (derived(DerivedComponent::Authority { req: false }), "api.example".to_owned()),
                (derived(DerivedComponent::TargetUri { req: false }), url.clone()),
                (derived(DerivedComponent::Path { req: false }), "/a/b".to_owned()),
                (derived(DerivedComponent::Query { req: false }), format!("?q={parameter}&r=1")),
                (derived(DerivedComponent::Scheme { req: false }), "https".to_owned()),
                (derived(DerivedComponent::RequestTarget { req: false }), format!("/a/b?q={parameter}&r=1")),
                (derived(DerivedComponent::QueryParams { parameters: name }), parameter),
                (field("x-dict", vec![HTTPFieldParameters::Key("m".to_owned())]), format!("\"{member}\";p")),
            ],
        };
        let mut ring = KeyRing::default();
        prop_assert!(ring.import_jwks(serde_json::from_str(&body).unwrap()).iter().all(Option::is_none));
        let verifier = WebBotAuthVerifier::parse(&received).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(verifier.verify(&ring, None).is_ok());
    }
}
