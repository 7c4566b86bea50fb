//! The test vectors of the drafts, made with the key of RFC 9421 §B.1.4.

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::VerifyingKey;

use super::*;

const CREATED: u64 = 1_735_689_600;
const KEY_ID: &str = "poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U";

/// One vector: what a request to `https://example.com/path/to/resource` carries.
struct Vector {
    agent: Option<&'static str>,
    label: &'static str,
    /// Covered components and parameters.
    input: String,
    signature: &'static str,
}

impl Vector {
    fn fields(&self) -> Vec<(String, String)> {
        let mut fields = vec![
            ("signature-input".to_owned(), format!("{}={}", self.label, self.input)),
            ("signature".to_owned(), format!("{}=:{}:", self.label, self.signature)),
        ];
        fields.extend(self.agent.map(|agent| ("signature-agent".to_owned(), agent.to_owned())));
        fields
    }

    fn with_request<T>(&self, use_it: impl FnOnce(&SignedRequest<'_>) -> T) -> T {
        let fields = self.fields();
        use_it(&SignedRequest { method: "GET", url: "https://example.com/path/to/resource", fields: &fields })
    }

    fn read(&self) -> Result<Signature, InvalidSignature> {
        let listed = ["https://signature-agent.test".parse().unwrap()];
        self.with_request(|request| read(request, &listed, CREATED))
    }

    /// Its base, whatever else may be wrong with it.
    fn base(&self) -> String {
        let inputs = structured_field::labelled(&format!("{}={}", self.label, self.input)).unwrap();
        let covered = tagged(inputs.get(self.label).unwrap()).unwrap();
        self.with_request(|request| signature_base(request, covered)).unwrap()
    }

    fn verifies(&self) -> bool {
        verifies(&self.base(), &STANDARD.decode(self.signature).unwrap().try_into().unwrap())
    }
}

fn verifies(base: &str, signature: &[u8; 64]) -> bool {
    let key: [u8; 32] = STANDARD.decode("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=").unwrap().try_into().unwrap();
    let key = VerifyingKey::from_bytes(&key).unwrap();
    key.verify_strict(base.as_bytes(), &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
}

fn parameters(expires: u64, nonce: &str) -> String {
    format!(r#";created={CREATED};keyid="{KEY_ID}";alg="ed25519";expires={expires};nonce="{nonce}";tag="web-bot-auth""#)
}

/// As all drafts have it, up to draft-ietf-webbotauth-httpsig-protocol-00 ("Legacy Signature-Agent").
fn with_a_string() -> Vector {
    let nonce = "e8N7S2MFd/qrd6T2R3tdfAuuANngKI7LFtKYI/vowzk4lAZYadIX6wW25MwG7DCT9RUKAJ0qVkU0mEeLElW1qg==";
    Vector {
        agent: Some(r#""https://signature-agent.test""#),
        label: "sig2",
        input: format!(r#"("@authority" "signature-agent"){}"#, parameters(CREATED + 3_600, nonce)),
        signature: "jdq0SqOwHdyHr9+r5jw3iYZH6aNGKijYp/EstF4RQTQdi5N5YYKrD+mCT1HA1nZDsi6nJKuHxUi/5Syp3rLWBA==",
    }
}

/// As from draft-meunier-web-bot-auth-architecture-05 on.
fn with_a_dictionary() -> Vector {
    let nonce = "n9p433xm+NJ3ph3upfBIGmsuwHw387YV7Q/F+6BSpGCVjYCqQw6rznNA8PVVLySrAWsv0hQtFioQb6E1YsauiA==";
    Vector {
        agent: Some(r#"agent2="https://signature-agent.test""#),
        label: "sig2",
        input: format!(r#"("@authority" "signature-agent";key="agent2"){}"#, parameters(4_889_289_600, nonce)),
        signature: "RdNFx5Bj6au3YgAMQL/RzmUlZE8QZLIaXGRpw985hWnwPfMxT228NMk6ehRS1PSl4e8PhbNZACSanGdhEwYCCg==",
    }
}

/// As up to draft-meunier-web-bot-auth-architecture-04.
fn without_an_agent() -> Vector {
    let nonce = "gubxywVx7hzbYKatLgzuKDllDAIXAkz41PydU7aOY7vT+Mb3GJNxW0qD4zJ+IOQ1NVtg+BNbTCRUMt1Ojr5BgA==";
    Vector {
        agent: None,
        label: "sig1",
        input: format!(r#"("@authority"){}"#, parameters(CREATED + 3_600, nonce)),
        signature: "uz2SAv+VIemw+Oo890bhYh6Xf5qZdLUgv6/PbiQfCFXcX/vt1A8Pf7OcgL2yUDUYXFtffNpkEr5W6dldqFrkDg==",
    }
}

/// As in draft-meunier-web-bot-auth-architecture-05.
fn without_an_agent_for_a_century() -> Vector {
    let nonce = "zIW8+cdmA3vdYagbxojpONwa/l0EKJ/O3/wD486VvsQjO/RxPaSt6ZxvQaMcQzNnqKN/mQ6hpGiFro2L2qkz5A==";
    Vector {
        agent: None,
        label: "sig1",
        input: format!(r#"("@authority"){}"#, parameters(4_889_289_600, nonce)),
        signature: "QKN4fTdIYfh82fvoZCQiQA1weuozfCS/Led2zTMbewMMqH8PI2Wsy/5c4ao6B6D09nraNQdBNOADg8aM1MqfCg==",
    }
}

#[test]
fn an_agent_named_by_a_string_is_claimed_and_verifies() {
    let Ok(Signature::Claimed(claim)) = with_a_string().read() else { panic!("{:?}", with_a_string().read()) };
    assert_eq!((claim.agent.to_string().as_str(), claim.key_id.as_str()), ("https://signature-agent.test", KEY_ID));
    assert_eq!(
        claim.base,
        [
            r#""@authority": example.com"#,
            r#""signature-agent": "https://signature-agent.test""#,
            concat!(
                r#""@signature-params": ("@authority" "signature-agent");created=1735689600"#,
                r#";keyid="poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U";alg="ed25519";expires=1735693200"#,
                r#";nonce="e8N7S2MFd/qrd6T2R3tdfAuuANngKI7LFtKYI/vowzk4lAZYadIX6wW25MwG7DCT9RUKAJ0qVkU0mEeLElW1qg==""#,
                r#";tag="web-bot-auth""#,
            ),
        ]
        .join("\n"),
    );
    assert!(verifies(&claim.base, &claim.signature));
}

#[test]
fn an_agent_named_by_a_member_verifies() {
    assert_eq!(
        with_a_dictionary().base(),
        [
            r#""@authority": example.com"#,
            r#""signature-agent";key="agent2": "https://signature-agent.test""#,
            concat!(
                r#""@signature-params": ("@authority" "signature-agent";key="agent2");created=1735689600"#,
                r#";keyid="poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U";alg="ed25519";expires=4889289600"#,
                r#";nonce="n9p433xm+NJ3ph3upfBIGmsuwHw387YV7Q/F+6BSpGCVjYCqQw6rznNA8PVVLySrAWsv0hQtFioQb6E1YsauiA==""#,
                r#";tag="web-bot-auth""#,
            ),
        ]
        .join("\n"),
    );
    assert!(with_a_dictionary().verifies());
}

#[test]
fn a_signature_for_a_century_is_refused() {
    // The vectors of the newer drafts are not to age; their texts advise a day.
    assert_eq!(with_a_dictionary().read(), Err(InvalidSignature::Lifetime));
}

#[test]
fn a_signature_without_an_agent_verifies_and_names_nobody() {
    for vector in [without_an_agent(), without_an_agent_for_a_century()] {
        assert!(vector.verifies());
        assert_eq!(vector.read(), Ok(Signature::Unlisted));
    }
}

#[test]
fn no_vector_verifies_with_anothers_signature() {
    let other = Vector { signature: without_an_agent().signature, ..with_a_string() };
    assert!(!other.verifies());
    assert!(!Vector { agent: Some(r#""https://signature-agent.tesu""#), ..with_a_string() }.verifies());
}
