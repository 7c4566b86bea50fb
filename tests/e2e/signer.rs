//! Signs requests as agents do that are known by Web Bot Auth, with Cloudflare's own implementation.
//!
//! <https://datatracker.ietf.org/doc/draft-meunier-web-bot-auth-architecture/>, on RFC 9421.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use indexmap::IndexMap;
use web_bot_auth::{
    ImplementationError,
    components::{CoveredComponent, DerivedComponent, HTTPField, HTTPFieldParameters, HTTPFieldParametersSet},
    keyring::{Algorithm, Thumbprintable},
    message_signatures::{GenerateSignature, MessageSigner, UnsignedMessage},
};

/// An Ed25519 key.
pub(crate) struct AgentKey {
    /// The private key, in hex.
    seed: &'static str,
    /// The public key in base64url, as a JSON Web Key has it.
    pub(crate) public: &'static str,
}

/// The key of the tests' agents.
pub(crate) const KNOWN: AgentKey = AgentKey {
    seed: "95c081589208ca173ecfab6712cc2712e8f482e6ba711cb6a104c8810d2869dc",
    public: "YlMpT7cEeuykM6x8AQw51a0uYswdyskCGqa0ptEvTuI",
};

/// `test-key-ed25519` of RFC 9421, appendix B.1.4: everybody can sign with it.
pub(crate) const PRINTED: AgentKey = AgentKey {
    seed: "9f8362f87a484a954e6e740c5b4c0e84229139a20aa8ab56ff66586f6a7d29c5",
    public: "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs",
};

/// The key of test 1 of RFC 8032, section 7.1, which has nothing to do with the other.
pub(crate) const UNRELATED: AgentKey = AgentKey {
    seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    public: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
};

impl AgentKey {
    /// Its name in a signature: the thumbprint of RFC 7638.
    pub(crate) fn id(&self) -> String {
        Thumbprintable::OKP { crv: "Ed25519".to_owned(), x: self.public.to_owned() }.b64_thumbprint()
    }

    fn private(&self) -> [u8; 32] {
        let bytes = hex::decode(self.seed).expect("hex digits");
        bytes.try_into().expect("32 bytes")
    }
}

/// How `Signature-Agent` names the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As a string: what agents have sent since the first drafts.
    Text,
    /// As the member of a dictionary that the signature names: what newer drafts say.
    Member,
}

/// A signature to be made, with all that can be wrong with one.
#[derive(Clone, Copy)]
pub(crate) struct Signing<'a> {
    /// Origin of the agent's keys.
    pub(crate) agent: &'a str,
    pub(crate) form: Form,
    /// To whom the request goes: `host:port`.
    pub(crate) authority: &'a str,
    /// What signs.
    pub(crate) key: &'a AgentKey,
    /// What is said to have signed.
    pub(crate) named: &'a AgentKey,
    /// How long ago it was signed.
    pub(crate) age: Duration,
}

/// How long a signature is valid.
pub(crate) const LIFETIME: Duration = Duration::from_mins(5);

const LABEL: &str = "sig1";
const MEMBER: &str = "agent1";

impl<'a> Signing<'a> {
    /// What is right in every respect.
    pub(crate) fn right(agent: &'a str, authority: &'a str) -> Self {
        Self { agent, form: Form::Text, authority, key: &KNOWN, named: &KNOWN, age: Duration::ZERO }
    }

    /// The three fields that prove who sends a request.
    pub(crate) fn head(&self) -> HeaderMap {
        let mut message = Message { signing: self, input: String::new(), signature: String::new() };
        let nonce = hex::encode([uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes).concat());
        let signer = MessageSigner { keyid: self.named.id(), nonce, tag: "web-bot-auth".to_owned() };
        signer
            .generate_signature_headers_content(&mut message, LIFETIME, Algorithm::Ed25519, self)
            .unwrap_or_else(|error| panic!("{error}"));
        let agent = match self.form {
            Form::Text => self.quoted_agent(),
            Form::Member => format!("{MEMBER}={}", self.quoted_agent()),
        };
        let fields = [
            ("signature-agent", agent),
            ("signature-input", format!("{LABEL}={}", message.input)),
            ("signature", format!("{LABEL}={}", message.signature)),
        ];
        let field = |(name, value): (&'static str, String)| {
            (HeaderName::from_static(name), HeaderValue::from_str(&value).expect("a field of text"))
        };
        fields.into_iter().map(field).collect()
    }

    fn quoted_agent(&self) -> String {
        format!("\"{}\"", self.agent)
    }

    /// Times moved to when it was signed; the signer knows only the present.
    fn dated(&self, text: &str) -> String {
        ["created=", "expires="].iter().fold(text.to_owned(), |text, name| {
            let (before, rest) = text.split_once(name).expect("a time");
            let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
            let time: u64 = rest[..end].parse().expect("seconds");
            format!("{before}{name}{}{}", time - self.age.as_secs(), &rest[end..])
        })
    }
}

impl GenerateSignature for Signing<'_> {
    fn generate_signature(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, ImplementationError> {
        let message = self.dated(std::str::from_utf8(message).expect("ASCII"));
        self.key.private().generate_signature(algorithm, message.as_bytes())
    }
}

/// A request as the signer sees it.
struct Message<'a> {
    signing: &'a Signing<'a>,
    input: String,
    signature: String,
}

impl UnsignedMessage for Message<'_> {
    fn fetch_components_to_cover(&self) -> IndexMap<CoveredComponent, String> {
        let parameters = match self.signing.form {
            Form::Text => Vec::new(),
            Form::Member => vec![HTTPFieldParameters::Key(MEMBER.to_owned())],
        };
        let agent = HTTPField { name: "signature-agent".to_owned(), parameters: HTTPFieldParametersSet(parameters) };
        IndexMap::from_iter([
            (CoveredComponent::Derived(DerivedComponent::Authority { req: false }), self.signing.authority.to_owned()),
            (CoveredComponent::HTTP(agent), self.signing.quoted_agent()),
        ])
    }

    fn register_header_contents(&mut self, signature_input: String, signature_header: String) {
        self.input = self.signing.dated(&signature_input);
        self.signature = signature_header;
    }
}
