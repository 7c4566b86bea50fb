//! Web Bot Auth: an automated client says who it is by signing its requests (RFC 9421).
//!
//! Source: draft-ietf-webbotauth-httpsig-protocol-00 ("the draft"), and what went before it:
//! draft-meunier-webbotauth-httpsig-protocol and draft-meunier-web-bot-auth-architecture. Here a request's claim is
//! read and made ready for verification; the signature is verified by the runtime, with the key that the claimed agent
//! publishes at [`directory_url`].

mod agent_origin;
mod signature_agent;

#[cfg(test)]
mod draft_vectors;
#[cfg(test)]
mod foreign_signer;

use sfv::{BareItem, InnerList, Item, ListEntry};

use crate::admit::message_signature::{NoSignatureBase, SignedRequest, signature_base, structured_field};

pub use agent_origin::{AgentOrigin, InvalidAgentOrigin};
use signature_agent::SignatureAgent;

/// Path of an agent's keys at its origin.
const DIRECTORY_PATH: &str = "/.well-known/http-message-signatures-directory";

/// Value of the parameter `tag` that tells these signatures from others.
const TAG: &str = "web-bot-auth";

/// How far `created` may lie ahead, in seconds, as clocks differ.
pub const SKEW_SECONDS: i64 = 60;

/// The longest time from `created` to `expires`, in seconds: the draft advises a day.
pub const LIFETIME_SECONDS: i64 = 24 * 60 * 60;

/// How many tagged signatures of one request are looked at.
pub const SIGNATURES: usize = 4;

/// What a request says of its sender by signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// Nothing: no signature has the tag.
    None,
    /// No agent that is listed: another one, one without a name, or one that brings its keys along.
    Unlisted,
    /// To be a listed agent. True if the signature verifies.
    Claimed(Claim),
}

/// A listed agent's signature, to be verified with the key that its directory has under `key_id`, and no other's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who it claims to be.
    pub agent: AgentOrigin,
    /// JWK thumbprint of the key (RFC 7638).
    pub key_id: String,
    /// What was signed.
    pub base: String,
    /// Ed25519 signature of the base.
    pub signature: [u8; 64],
}

/// Why a listed agent's signature cannot be valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSignature {
    /// The named field is not a dictionary, or has a label twice.
    #[error("the field {0} is malformed")]
    Malformed(&'static str),
    /// The label is in `signature-input` alone.
    #[error("the signature itself is missing")]
    NoSignature,
    /// Not a byte sequence of 64 bytes.
    #[error("the signature is not 64 bytes long")]
    NotSixtyFourBytes,
    /// The named parameter is missing or of another type.
    #[error("the parameter {0} is missing or not of its type")]
    Parameter(&'static str),
    /// `keyid` is not the thumbprint of a key.
    #[error("the parameter keyid is not a JWK thumbprint")]
    KeyId,
    /// `alg` is there and is not `ed25519`.
    #[error("the parameter alg is not ed25519")]
    Algorithm,
    /// `created` is more than [`SKEW_SECONDS`] ahead.
    #[error("the signature was created in the future")]
    NotYetValid,
    /// `expires` is past.
    #[error("the signature has expired")]
    Expired,
    /// `expires` is before `created`, or more than [`LIFETIME_SECONDS`] after it.
    #[error("the signature's lifetime is not between 1 second and 24 hours")]
    Lifetime,
    /// What must be signed is not.
    #[error("the signature does not cover {0}")]
    NotCovered(&'static str),
    /// There is no signature base.
    #[error(transparent)]
    Base(#[from] NoSignatureBase),
}

/// Where an agent publishes its keys.
#[must_use]
pub fn directory_url(agent: &AgentOrigin) -> String {
    format!("{agent}{DIRECTORY_PATH}")
}

/// Reads who a request claims to be by signature, at `unix_seconds`.
///
/// A request may carry several signatures (RFC 9421 §4.3, draft §5.2.2), such as a remote browser's beside that of the
/// agent which uses it. Of those with the tag, the first [`SIGNATURES`] are looked at in order, each by itself, and the
/// first that names a listed agent and has no fault is the claim. Where all that name a listed agent have faults, the
/// first one's is the error: a name was used that is not proved. A `signature-input` that cannot be read is an error
/// only next to a listed agent's name; otherwise it says nothing of Web Bot Auth.
pub fn read(
    request: &SignedRequest<'_>,
    listed: &[AgentOrigin],
    unix_seconds: u64,
) -> Result<Signature, InvalidSignature> {
    let Some(inputs) = request.field("signature-input") else { return Ok(Signature::None) };
    let agents = SignatureAgent::read(request.field("signature-agent"));
    let Some(inputs) = structured_field::labelled(inputs) else {
        let claimed = agents.names_any_of(listed);
        return if claimed { Err(InvalidSignature::Malformed("signature-input")) } else { Ok(Signature::None) };
    };
    let mut answer = Ok(Signature::None);
    for (label, covered) in
        inputs.iter().filter_map(|(label, input)| Some((label.as_str(), tagged(input)?))).take(SIGNATURES)
    {
        let Some(agent) = agents.claimed_by(label, covered).filter(|agent| listed.contains(agent)) else {
            if answer == Ok(Signature::None) {
                answer = Ok(Signature::Unlisted);
            }
            continue;
        };
        match claim(request, label, covered, agent, unix_seconds) {
            Ok(claim) => return Ok(Signature::Claimed(claim)),
            Err(fault) if answer.is_ok() => answer = Err(fault),
            Err(_) => {}
        }
    }
    answer
}

fn tagged(input: &ListEntry) -> Option<&InnerList> {
    let ListEntry::InnerList(covered) = input else { return None };
    (covered.params.get("tag")?.as_string()?.as_str() == TAG).then_some(covered)
}

fn claim(
    request: &SignedRequest<'_>,
    label: &str,
    covered: &InnerList,
    agent: AgentOrigin,
    unix_seconds: u64,
) -> Result<Claim, InvalidSignature> {
    // Draft §5.2: the authority, in either form, and who signs.
    if !covers(covered, &["@authority", "@target-uri"]) {
        return Err(InvalidSignature::NotCovered("@authority or @target-uri"));
    }
    if !covers(covered, &["signature-agent"]) {
        return Err(InvalidSignature::NotCovered("signature-agent"));
    }
    check_time(covered, unix_seconds)?;
    if covered.params.get("alg").is_some_and(|alg| alg.as_string().is_none_or(|alg| alg.as_str() != "ed25519")) {
        return Err(InvalidSignature::Algorithm);
    }
    let key_id = covered.params.get("keyid").and_then(BareItem::as_string);
    let key_id = key_id.ok_or(InvalidSignature::Parameter("keyid"))?.as_str().to_owned();
    if !is_thumbprint(&key_id) {
        return Err(InvalidSignature::KeyId);
    }
    let signature = signature(request, label)?;
    Ok(Claim { agent, key_id, base: signature_base(request, covered)?, signature })
}

fn covers(covered: &InnerList, names: &[&str]) -> bool {
    covered.items.iter().filter_map(|item| item.bare_item.as_string()).any(|name| names.contains(&name.as_str()))
}

fn check_time(covered: &InnerList, unix_seconds: u64) -> Result<(), InvalidSignature> {
    let instant = |name| {
        let value = covered.params.get(name).and_then(BareItem::as_integer);
        value.map(i64::from).ok_or(InvalidSignature::Parameter(name))
    };
    let (created, expires) = (instant("created")?, instant("expires")?);
    let now = i64::try_from(unix_seconds).unwrap_or(i64::MAX);
    if created > now.saturating_add(SKEW_SECONDS) {
        return Err(InvalidSignature::NotYetValid);
    }
    if expires <= now {
        return Err(InvalidSignature::Expired);
    }
    // Integers of structured fields have at most 15 digits, so that this does not overflow.
    if !(1..=LIFETIME_SECONDS).contains(&(expires - created)) {
        return Err(InvalidSignature::Lifetime);
    }
    Ok(())
}

/// SHA-256 in base64url without padding.
fn is_thumbprint(key_id: &str) -> bool {
    key_id.len() == 43 && key_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn signature(request: &SignedRequest<'_>, label: &str) -> Result<[u8; 64], InvalidSignature> {
    let field = request.field("signature").ok_or(InvalidSignature::NoSignature)?;
    let signatures = structured_field::labelled(field).ok_or(InvalidSignature::Malformed("signature"))?;
    match signatures.get(label).ok_or(InvalidSignature::NoSignature)? {
        ListEntry::Item(Item { bare_item: BareItem::ByteSequence(bytes), .. }) => {
            bytes.as_slice().try_into().map_err(|_| InvalidSignature::NotSixtyFourBytes)
        }
        _ => Err(InvalidSignature::NotSixtyFourBytes),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_750_000_000;
    const KEY_ID: &str = "poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U";
    /// 64 bytes.
    const BYTES: &str = ":AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==:";
    const COVERED: &str = r#"("@authority" "signature-agent";key="sig")"#;
    const AGENT: &str = r#"sig="https://agent.example""#;

    fn listed() -> [AgentOrigin; 2] {
        ["https://agent.example", "http://127.0.0.1:8080"].map(|origin| origin.parse().unwrap())
    }

    /// Reads a request with these three fields, empty ones being absent.
    fn read_fields(input: &str, signature: &str, agent: &str) -> Result<Signature, InvalidSignature> {
        let fields: Vec<_> = [("signature-input", input), ("signature", signature), ("signature-agent", agent)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let request = SignedRequest { method: "GET", url: "https://api.example/v1/models", fields: &fields };
        read(&request, &listed(), NOW)
    }

    fn parameters() -> String {
        format!(r#";created={NOW};expires={};keyid="{KEY_ID}";tag="web-bot-auth""#, NOW + 60)
    }

    /// Reads a request with one signature.
    fn read_one(covered: &str, parameters: &str, agent: &str) -> Result<Signature, InvalidSignature> {
        read_fields(&format!("sig={covered}{parameters}"), &format!("sig={BYTES}"), agent)
    }

    fn agent(signature: Result<Signature, InvalidSignature>) -> String {
        match signature {
            Ok(Signature::Claimed(claim)) => claim.agent.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_listed_agents_claim_is_read() {
        let Ok(Signature::Claimed(claim)) = read_one(COVERED, &parameters(), AGENT) else { panic!() };
        assert_eq!(claim.agent, listed()[0]);
        assert_eq!(claim.key_id, KEY_ID);
        assert_eq!(claim.signature.to_vec(), (0..64).collect::<Vec<u8>>());
        let expected = [
            r#""@authority": api.example"#,
            r#""signature-agent";key="sig": "https://agent.example""#,
            &format!(r#""@signature-params": {COVERED}{}"#, parameters()),
        ];
        assert_eq!(claim.base, expected.join("\n"));
    }

    #[test]
    fn the_directory_is_at_the_agents_well_known_url() {
        for (agent, url) in [
            ("https://agent.example", "https://agent.example/.well-known/http-message-signatures-directory"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/.well-known/http-message-signatures-directory"),
        ] {
            assert_eq!(directory_url(&agent.parse().unwrap()), url);
        }
    }

    #[test]
    fn a_request_without_the_tag_claims_nothing() {
        let untagged = parameters().replace(r#";tag="web-bot-auth""#, "");
        for input in [
            String::new(),
            "sig".to_owned(),
            format!("sig={COVERED}{untagged}"),
            format!(r#"sig={COVERED}{untagged};tag="other""#),
            format!("sig={COVERED}{untagged};tag=web-bot-auth"),
            format!("sig=1{}", parameters()),
        ] {
            assert_eq!(read_fields(&input, &format!("sig={BYTES}"), AGENT), Ok(Signature::None), "{input}");
        }
    }

    #[test]
    fn an_agent_is_named_in_several_ways() {
        let whole = r#"("@authority" "signature-agent")"#;
        let keyed = r#"("@authority" "signature-agent";key="a")"#;
        for (covered, field) in [
            (whole, r#""https://agent.example""#),
            (whole, r#""https://agent.example/""#),
            (whole, r#""HTTPS://Agent.Example:443""#),
            (whole, r#""https://agent.example/.well-known/http-message-signatures-directory""#),
            (whole, r#""https://agent.example";type=directory"#),
            (whole, AGENT),
            (whole, r#"a="https://agent.example", b="https://other.example""#),
            (whole, r#"b="https://other.example", sig="https://agent.example""#),
            (r#"("@target-uri" "signature-agent";sf)"#, AGENT),
            (r#"("@target-uri" "signature-agent";bs)"#, AGENT),
            (COVERED, AGENT),
            (COVERED, r#"sig="https://agent.example/.well-known/http-message-signatures-directory";type=directory"#),
            (COVERED, r#"a=?0, b="https://other.example", sig="https://agent.example""#),
            (keyed, r#"a="https://agent.example""#),
            (keyed, r#"b="https://other.example", a="https://agent.example", sig="https://other.example""#),
            (r#"("@authority" "signature-agent";key="b" "signature-agent";key="sig")"#, &format!(r#"b="x", {AGENT}"#)),
        ] {
            assert_eq!(agent(read_one(covered, &parameters(), field)), "https://agent.example", "{covered} {field}");
        }
        assert_eq!(agent(read_one(whole, &parameters(), r#""http://127.0.0.1:8080""#)), "http://127.0.0.1:8080");
    }

    #[test]
    fn another_agent_is_unlisted() {
        let whole = r#"("@authority" "signature-agent")"#;
        for (covered, field) in [
            (r#"("@authority")"#, ""),
            (whole, r#""https://other.example""#),
            (whole, r#""https://agent.example:8443""#),
            (whole, r#""http://agent.example""#),
            (whole, r#""https://agent.example.evil.example""#),
            (whole, r#""https://agent.example@evil.example""#),
            (whole, r#""https://evil.example/https://agent.example""#),
            (whole, r#""https://agent.example/agents/1""#),
            (whole, r#""agent.example""#),
            (whole, r#""data:application/http-message-signatures-directory+json;utf8,{}""#),
            (whole, r#""https://agent.example";type=jwks_uri"#),
            (whole, r#""https://agent.example", "https://agent.example""#),
            (whole, "https://agent.example"),
            (COVERED, r#"sig="https://other.example", a="https://agent.example""#),
            (COVERED, r#"sig="https://agent.example";type=cimd"#),
            (COVERED, r#"sig="https://agent.example";type="directory""#),
            (COVERED, r#"sig=("https://agent.example")"#),
            (COVERED, "sig=agent"),
            (COVERED, r#"a="https://agent.example""#),
            (COVERED, &format!("{AGENT}, {AGENT}")),
            (COVERED, "("),
        ] {
            assert_eq!(read_one(covered, &parameters(), field), Ok(Signature::Unlisted), "{covered} {field}");
        }
    }

    #[test]
    fn what_must_be_signed_and_is_not_is_an_error() {
        let authority = InvalidSignature::NotCovered("@authority or @target-uri");
        let agent = InvalidSignature::NotCovered("signature-agent");
        for (covered, field, error) in [
            (r#"("signature-agent";key="sig")"#, AGENT, &authority),
            (r#"("@path" "host" "signature-agent";key="sig")"#, AGENT, &authority),
            ("()", AGENT, &authority),
            (r#"("@authority")"#, AGENT, &agent),
            (r#"("@authority")"#, r#""https://agent.example""#, &agent),
            (r#"("@authority")"#, r#"a="https://agent.example""#, &agent),
        ] {
            assert_eq!(read_one(covered, &parameters(), field).as_ref(), Err(error), "{covered} {field}");
        }
    }

    #[test]
    fn a_member_that_is_not_covered_is_not_claimed() {
        // The signature covers another's member; that its own label names a listed agent proves nothing of it.
        let covered = r#"("@authority" "signature-agent";key="a")"#;
        let field = r#"sig="https://agent.example", a="https://other.example""#;
        assert_eq!(read_one(covered, &parameters(), field), Ok(Signature::Unlisted));
    }

    #[test]
    fn every_parameter_is_needed_and_of_its_type() {
        let (expires, created) = (format!(";expires={}", NOW + 60), format!(";created={NOW}"));
        for (parameter, others, name) in [
            (&*created, [";created", ";created=1750000000.5", ";created=\"1\"", ";created=@1750000000"], "created"),
            (&*expires, [";expires", ";expires=1.0", ";expires=\"1\"", ";expires=a"], "expires"),
            (&*format!(";keyid=\"{KEY_ID}\""), [";keyid", ";keyid=1", ";keyid=a", ";keyid=:YQ==:"], "keyid"),
        ] {
            for other in others.into_iter().chain([""]) {
                let parameters = parameters().replace(parameter, other);
                let error = InvalidSignature::Parameter(name);
                assert_eq!(read_one(COVERED, &parameters, AGENT), Err(error), "{parameters}");
            }
        }
    }

    #[test]
    fn a_key_id_must_be_a_thumbprint() {
        for key_id in ["", "test-key-ed25519", &format!("{KEY_ID}="), &KEY_ID.replace('_', "/"), &KEY_ID[1..]] {
            let parameters = parameters().replace(KEY_ID, key_id);
            assert_eq!(read_one(COVERED, &parameters, AGENT), Err(InvalidSignature::KeyId), "{key_id}");
        }
    }

    #[test]
    fn another_algorithm_is_an_error() {
        let with = |alg: &str| read_one(COVERED, &format!("{};alg={alg}", parameters()), AGENT);
        assert_eq!(agent(with("\"ed25519\"")), "https://agent.example");
        for alg in ["\"rsa-pss-sha512\"", "\"hmac-sha256\"", "\"Ed25519\"", "ed25519", "\"\"", "?1"] {
            assert_eq!(with(alg), Err(InvalidSignature::Algorithm), "{alg}");
        }
    }

    #[test]
    fn a_signature_has_its_time() {
        let at = |created: i64, expires: i64| {
            let now = i64::try_from(NOW).unwrap();
            let times = format!(";created={};expires={}", now + created, now + expires);
            let parameters = format!(r#"{times};keyid="{KEY_ID}";tag="web-bot-auth""#);
            read_one(COVERED, &parameters, AGENT).map(|_| ())
        };
        for (created, expires) in [(0, 1), (-60, 1), (60, 61), (-86_399, 1), (0, 86_400), (60, 86_460)] {
            assert_eq!(at(created, expires), Ok(()), "{created} {expires}");
        }
        assert_eq!(at(61, 62), Err(InvalidSignature::NotYetValid));
        assert_eq!(at(-60, 0), Err(InvalidSignature::Expired));
        assert_eq!(at(-86_400, -1), Err(InvalidSignature::Expired));
        assert_eq!(at(0, 86_401), Err(InvalidSignature::Lifetime));
        assert_eq!(at(-86_400, 1), Err(InvalidSignature::Lifetime));
        assert_eq!(at(30, 30), Err(InvalidSignature::Lifetime));
        assert_eq!(at(30, 10), Err(InvalidSignature::Lifetime));
    }

    #[test]
    fn the_greatest_numbers_do_no_harm() {
        let input = format!(
            r#"sig={COVERED};created=-999999999999999;expires=999999999999999;keyid="{KEY_ID}";tag="web-bot-auth""#
        );
        let fields = [
            ("signature-input".to_owned(), input),
            ("signature".to_owned(), format!("sig={BYTES}")),
            ("signature-agent".to_owned(), AGENT.to_owned()),
        ];
        let request = SignedRequest { method: "GET", url: "https://api.example/", fields: &fields };
        assert_eq!(read(&request, &listed(), NOW), Err(InvalidSignature::Lifetime));
        assert_eq!(read(&request, &listed(), u64::MAX), Err(InvalidSignature::Expired));
    }

    #[test]
    fn the_signature_must_be_there_and_whole() {
        let with = |signature: &str| read_fields(&format!("sig={COVERED}{}", parameters()), signature, AGENT);
        for (signature, error) in [
            ("", InvalidSignature::NoSignature),
            (&*format!("other={BYTES}"), InvalidSignature::NoSignature),
            ("sig=(", InvalidSignature::Malformed("signature")),
            (&*format!("sig={BYTES}, sig={BYTES}"), InvalidSignature::Malformed("signature")),
            ("sig", InvalidSignature::NotSixtyFourBytes),
            ("sig=::", InvalidSignature::NotSixtyFourBytes),
            ("sig=:YQ==:", InvalidSignature::NotSixtyFourBytes),
            ("sig=\"YQ==\"", InvalidSignature::NotSixtyFourBytes),
            (&*format!("sig=({BYTES})"), InvalidSignature::NotSixtyFourBytes),
        ] {
            assert_eq!(with(signature), Err(error), "{signature}");
        }
    }

    #[test]
    fn what_has_no_base_is_an_error() {
        for (covered, error) in [
            (r#"("@authority" "date" "signature-agent";key="sig")"#, NoSignatureBase::Absent(r#""date""#.to_owned())),
            (
                r#"("@authority";req "signature-agent";key="sig")"#,
                NoSignatureBase::Parameter(r#""@authority";req"#.to_owned()),
            ),
            (
                r#"("@authority" "@authority" "signature-agent";key="sig")"#,
                NoSignatureBase::Repeated(r#""@authority""#.to_owned()),
            ),
        ] {
            assert_eq!(read_one(covered, &parameters(), AGENT), Err(InvalidSignature::Base(error)), "{covered}");
        }
    }

    #[test]
    fn unreadable_inputs_are_an_error_next_to_a_listed_agents_name_alone() {
        let input = format!("sig={COVERED}{}", parameters());
        for inputs in
            [&*format!("{input}, {input}"), "sig=(", "Sig=()", &format!("{input};x=\"{}\"", "x".repeat(20_000))]
        {
            let read = |agent| read_fields(inputs, &format!("sig={BYTES}"), agent);
            assert_eq!(read(AGENT), Err(InvalidSignature::Malformed("signature-input")), "{inputs}");
            assert_eq!(read(r#""https://agent.example""#), Err(InvalidSignature::Malformed("signature-input")));
            assert_eq!(read(r#"sig="https://other.example""#), Ok(Signature::None));
            assert_eq!(read(""), Ok(Signature::None));
        }
    }

    /// Reads a request with the signatures `a` and `b`, each covering its own member of `Signature-Agent`.
    fn read_two(a: &str, b: &str, agents: &str, signatures: &[&str]) -> Result<Signature, InvalidSignature> {
        let inputs =
            format!(r#"a=("@authority" "signature-agent";key="a"){a}, b=("@authority" "signature-agent";key="b"){b}"#);
        let signatures: Vec<_> = signatures.iter().map(|label| format!("{label}={BYTES}")).collect();
        read_fields(&inputs, &signatures.join(", "), agents)
    }

    #[test]
    fn of_several_signatures_the_first_listed_and_faultless_one_is_the_claim() {
        let good = &parameters();
        let late = &good.replace(&format!("created={NOW}"), &format!("created={}", NOW + 61));
        let old = &good.replace(&format!("expires={}", NOW + 60), &format!("expires={NOW}"));
        let (first, second) = ("https://agent.example", "http://127.0.0.1:8080");
        let both = &format!(r#"a="{first}", b="{second}""#);
        let other = &format!(r#"a="https://other.example", b="{second}""#);
        assert_eq!(agent(read_two(good, good, both, &["a", "b"])), first);
        // Another's signature beside it, as a remote browser's, does not hide it.
        assert_eq!(agent(read_two(good, good, other, &["a", "b"])), second);
        assert_eq!(agent(read_two("", good, both, &["a", "b"])), second);
        assert_eq!(agent(read_two(good, good, both, &["b"])), second);
        assert_eq!(agent(read_two(late, good, both, &["a", "b"])), second);
        assert_eq!(read_two(late, old, both, &["a", "b"]), Err(InvalidSignature::NotYetValid));
        assert_eq!(read_two(good, old, other, &["a", "b"]), Err(InvalidSignature::Expired));
        let listed_first = &format!(r#"a="{first}", b="https://other.example""#);
        assert_eq!(read_two(old, good, listed_first, &["a", "b"]), Err(InvalidSignature::Expired));
        assert_eq!(read_two(good, good, both, &[]), Err(InvalidSignature::NoSignature));
        assert_eq!(read_two(good, good, r#"a="https://other.example""#, &["a", "b"]), Ok(Signature::Unlisted));
    }

    #[test]
    fn the_number_of_signatures_is_bounded() {
        let last = |count: usize| {
            let label = |index: usize| if index == count { "sig".to_owned() } else { format!("l{index}") };
            let input =
                |index| format!(r#"{0}=("@authority" "signature-agent";key="{0}"){1}"#, label(index), parameters());
            let inputs: Vec<_> = (1..=count).map(input).collect();
            let others = (1..count).map(|index| format!(r#"l{index}="https://other.example""#));
            let agents: Vec<_> = others.chain([AGENT.to_owned()]).collect();
            read_fields(&inputs.join(", "), &format!("sig={BYTES}"), &agents.join(", "))
        };
        assert_eq!(agent(last(SIGNATURES)), "https://agent.example");
        assert_eq!(last(SIGNATURES + 1), Ok(Signature::Unlisted));
    }

    proptest! {
        #[test]
        fn no_fields_make_it_panic(input in "\\PC*", signature in "\\PC*", agent in "\\PC*", url in "\\PC*", now: u64) {
            let fields = [("signature-input", input), ("signature", signature), ("signature-agent", agent)]
                .map(|(name, value)| (name.to_owned(), value));
            let request = SignedRequest { method: "GET", url: &url, fields: &fields };
            let _ = read(&request, &listed(), now);
        }

        #[test]
        fn nothing_near_the_form_makes_it_panic(
            input in near(&format!("sig={COVERED}{}", parameters())),
            signature in near(&format!("sig={BYTES}")),
            agent in near(AGENT),
        ) {
            let _ = read_fields(&input, &signature, &agent);
        }
    }

    /// The text with some of its parts left out, repeated, or replaced.
    fn near(text: &str) -> impl Strategy<Value = String> + use<> {
        let characters: Vec<char> = text.chars().collect();
        let edit = (any::<prop::sample::Index>(), "[ -~é]{0,3}|[;=\"(),:?@0-9]{1,2}", 0_usize..4);
        prop::collection::vec(edit, 0..4).prop_map(move |edits| {
            let mut characters = characters.clone();
            for (index, replacement, length) in edits {
                let start = index.index(characters.len() + 1);
                let end = (start + length).min(characters.len());
                characters.splice(start..end, replacement.chars());
            }
            characters.into_iter().collect()
        })
    }
}
