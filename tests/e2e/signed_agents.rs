//! Agents that prove by a signature who they are: Web Bot Auth.

use std::time::Duration;

use futures_util::future::join_all;
use goblin_tests::{
    key_directory::{DirectoryOrder, KeyDirectory},
    patience::patiently,
};
use http::{HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder};
use web_bot_auth::{
    WebBotAuthVerifier,
    components::{CoveredComponent, DerivedComponent, HTTPField},
    keyring::{Algorithm, KeyRing, Thumbprintable},
    message_signatures::SignedMessage,
};

use crate::{
    answered::send,
    client::{self, own_path},
    heads::{Browser, CURL, GPTBOT, Head as _},
    shared_stack::{SharedStack, shared},
    signer::{AgentKey, Form, KNOWN, LIFETIME, PRINTED, Signing, UNRELATED},
    started_once::StartedOnce,
    suite::{Suite, tests},
    watched_edge::WatchedEdge,
};

pub(crate) fn register(suite: &mut Suite) {
    suite.test("signatures_of_the_tests_are_what_cloudflares_own_verifier_takes", || async {
        signatures_of_the_tests_are_what_cloudflares_own_verifier_takes();
    });
    tests!(
        suite,
        a_signed_agent_is_served_whatever_it_is_called,
        the_name_of_an_agent_without_its_signature_is_worth_nothing,
        an_altered_signature_is_refused,
        a_signature_for_another_host_is_refused,
        an_expired_signature_is_refused,
        a_signature_by_another_key_is_refused,
        a_signature_that_everybody_can_make_is_refused,
        nobody_fetches_the_keys_of_an_agent_that_is_not_listed,
        keys_are_fetched_once,
        an_agent_whose_keys_cannot_be_fetched_is_treated_like_anybody,
    );
}

/// An edge that knows some agents, and what serves their keys.
struct Knowing {
    watched: WatchedEdge,
    /// Its host and port, as clients name it.
    authority: String,
    /// Each of these is listed and has the keys [`KNOWN`] and [`PRINTED`].
    listed: KeyDirectory,
    counted: KeyDirectory,
    broken: [KeyDirectory; 3],
    unlisted: KeyDirectory,
}

impl Knowing {
    async fn start(shared: &SharedStack) -> anyhow::Result<Self> {
        let directory = || KeyDirectory::start(&[KNOWN.public, PRINTED.public]);
        let (listed, counted, unlisted) = (directory().await?, directory().await?, directory().await?);
        let broken = [directory().await?, directory().await?, directory().await?];
        for (directory, order) in
            broken.iter().zip([DirectoryOrder::Fail, DirectoryOrder::HangUp, DirectoryOrder::Hang])
        {
            directory.order(order);
        }
        let agents: Vec<String> = [&listed, &counted].into_iter().chain(&broken).map(KeyDirectory::origin).collect();
        let agents = agents.join(",");
        let rules = "address_limit=observe,web_bot_auth=enforce";
        let vars = [("WEB_BOT_AUTH_AGENTS", agents.as_str()), ("ADMIT_RULES", rules)];
        let watched = WatchedEdge::start(&shared.sink, &vars).await?;
        let authority = watched.edge.address().to_string();
        Ok(Self { watched, authority, listed, counted, broken, unlisted })
    }

    fn request(&self, path: &str, head: HeaderMap) -> RequestBuilder {
        client::request(Method::GET, self.watched.without_key(), path).headers(head)
    }

    /// Refused for its signature, and for nothing else: everything else is a browser's.
    async fn assert_signature_refused(&self, head: HeaderMap) {
        let path = own_path();
        let answer = send(self.request(&path, head).dressed_as(Browser::Chrome)).await;
        answer.assert_bot("web_bot_auth");
        assert!(!self.watched.let_through(&path));
    }
}

async fn knowing(shared: &SharedStack) -> &'static Knowing {
    static KNOWING: StartedOnce<Knowing> = StartedOnce::new();
    KNOWING.get(|| Knowing::start(shared)).await
}

/// A request as a verifier sees it.
struct Received<'a> {
    authority: &'a str,
    head: &'a HeaderMap,
}

impl SignedMessage for Received<'_> {
    fn lookup_component(&self, component: &CoveredComponent) -> Vec<String> {
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        match component {
            CoveredComponent::Derived(DerivedComponent::Authority { .. }) => vec![self.authority.to_owned()],
            CoveredComponent::HTTP(HTTPField { name, parameters }) if parameters.0.is_empty() => {
                self.head.get_all(name).iter().map(text).collect()
            }
            // The one member of the one dictionary that is ever signed in part.
            CoveredComponent::HTTP(HTTPField { name, .. }) => self
                .head
                .get(name)
                .map(text)
                .iter()
                .filter_map(|field| Some(field.split_once('=')?.1.to_owned()))
                .collect(),
            CoveredComponent::Derived(_) => Vec::new(),
        }
    }
}

fn signatures_of_the_tests_are_what_cloudflares_own_verifier_takes() {
    const AUTHORITY: &str = "127.0.0.1:8787";
    // The name that RFC 9421's test key has in the drafts' examples.
    assert_eq!(PRINTED.id(), "poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U");
    let mut keys = KeyRing::default();
    for key in [&KNOWN, &PRINTED, &UNRELATED] {
        let jwk = Thumbprintable::OKP { crv: "Ed25519".to_owned(), x: key.public.to_owned() };
        assert!(keys.import_raw(key.id(), Algorithm::Ed25519, jwk.public_key().unwrap()));
    }
    let verified = |signing: Signing| {
        let head = signing.head();
        let verifier = WebBotAuthVerifier::parse(&Received { authority: AUTHORITY, head: &head }).unwrap();
        let advice = verifier.get_parsed_label().base.parameters.details.possibly_insecure(|_| false);
        (verifier.verify(&keys, None).is_ok(), advice.is_expired)
    };
    let right = Signing::right("http://127.0.0.1:1", AUTHORITY);
    let of = |key: &'static AgentKey| Signing { key, named: key, ..right };
    for (signing, expected) in [
        (right, (true, Some(false))),
        (Signing { form: Form::Member, ..right }, (true, Some(false))),
        (of(&UNRELATED), (true, Some(false))),
        (of(&PRINTED), (true, Some(false))),
        (Signing { key: &UNRELATED, ..right }, (false, Some(false))),
        (Signing { authority: "edge.example", ..right }, (false, Some(false))),
        (Signing { age: LIFETIME + Duration::from_secs(1), ..right }, (true, Some(true))),
    ] {
        assert_eq!(verified(signing), expected);
    }
}

async fn a_signed_agent_is_served_whatever_it_is_called(shared: &SharedStack) {
    let edge = knowing(shared).await;
    let agent = edge.listed.origin();
    let right = Signing::right(&agent, &edge.authority);
    for form in [Form::Text, Form::Member] {
        for name in [GPTBOT, CURL] {
            let path = own_path();
            let answer = send(edge.request(&path, Signing { form, ..right }.head()).named(name)).await;
            assert_eq!(answer.status, 200, "{form:?}, {name}: {}", answer.body);
            answer.assert_admitted(&shared.sink, "signed_agent").await;
            let span = answer.span(&shared.sink).await;
            let named = span.attributes["goblin.client.agent"].as_str().expect("the agent's name").to_owned();
            assert!(agent.ends_with(&named) && named.starts_with(['h', '1']), "{named} is not a name of {agent}");
            let received = edge.watched.origin.wait_for_request(|request| request.uri == *path).await;
            let client = received.header("x-goblin-client").expect("what the edge knows of the client");
            assert!(client.contains(&format!("agent=\"{named}\"")), "{client}");
        }
    }
}

async fn the_name_of_an_agent_without_its_signature_is_worth_nothing(shared: &SharedStack) {
    let edge = knowing(shared).await;
    let agent = edge.listed.origin();
    let mut named = Signing::right(&agent, &edge.authority).head();
    named.remove("signature");
    named.remove("signature-input");
    for (name, reason) in [(GPTBOT, "ai_crawler"), (CURL, "scripted_tool")] {
        let path = own_path();
        send(edge.request(&path, HeaderMap::new()).named(name)).await.assert_bot(reason);
        send(edge.request(&path, named.clone()).named(name)).await.assert_bot(reason);
        assert!(!edge.watched.let_through(&path), "{name}");
    }
}

async fn an_altered_signature_is_refused(shared: &SharedStack) {
    let edge = knowing(shared).await;
    let agent = edge.listed.origin();
    // A character of the signature itself, the time of its end, and what makes it different from all others.
    for (field, before) in [("signature", "sig1=:"), ("signature-input", "expires="), ("signature-input", "nonce=\"")] {
        let mut head = Signing::right(&agent, &edge.authority).head();
        let mut value = head[field].as_bytes().to_vec();
        let at = head[field].to_str().unwrap().find(before).expect("a place to alter") + before.len();
        value[at] = if value[at] == b'2' { b'3' } else { b'2' };
        head.insert(field, HeaderValue::from_bytes(&value).unwrap());
        edge.assert_signature_refused(head).await;
    }
}

async fn a_signature_for_another_host_is_refused(shared: &SharedStack) {
    let edge = knowing(shared).await;
    let agent = edge.listed.origin();
    edge.assert_signature_refused(Signing::right(&agent, "edge.example").head()).await;
}

async fn an_expired_signature_is_refused(shared: &SharedStack) {
    let edge = knowing(shared).await;
    let agent = edge.listed.origin();
    let right = Signing::right(&agent, &edge.authority);
    let age = LIFETIME + Duration::from_hours(1);
    edge.assert_signature_refused(Signing { age, ..right }.head()).await;
    // Not because it is dated: one that has some time left is as good as a fresh one.
    let answer = send(edge.request(&own_path(), Signing { age: LIFETIME / 5, ..right }.head()).named(CURL)).await;
    answer.assert_served();
}

async fn a_signature_by_another_key_is_refused(shared: &SharedStack) {
    let edge = knowing(shared).await;
    let agent = edge.listed.origin();
    let right = Signing::right(&agent, &edge.authority);
    for named in [&KNOWN, &UNRELATED] {
        edge.assert_signature_refused(Signing { key: &UNRELATED, named, ..right }.head()).await;
    }
}

async fn a_signature_that_everybody_can_make_is_refused(shared: &SharedStack) {
    let edge = knowing(shared).await;
    let agent = edge.listed.origin();
    let right = Signing::right(&agent, &edge.authority);
    edge.assert_signature_refused(Signing { key: &PRINTED, named: &PRINTED, ..right }.head()).await;
}

async fn nobody_fetches_the_keys_of_an_agent_that_is_not_listed(shared: &SharedStack) {
    let edge = knowing(shared).await;
    let agent = edge.unlisted.origin();
    let head = || Signing::right(&agent, &edge.authority).head();
    send(edge.request(&own_path(), head()).named(CURL)).await.assert_bot("scripted_tool");
    let as_browser = edge.request(&own_path(), head()).dressed_as(Browser::Chrome);
    send(as_browser).await.assert_admitted(&shared.sink, "anonymous").await;
    assert_eq!(edge.unlisted.fetches(), 0);
}

async fn keys_are_fetched_once(shared: &SharedStack) {
    let edge = knowing(shared).await;
    let agent = edge.counted.origin();
    let ask = || async {
        let head = Signing::right(&agent, &edge.authority).head();
        send(edge.request(&own_path(), head).named(CURL)).await.assert_served();
    };
    ask().await;
    assert_eq!(edge.counted.fetches(), 1);
    join_all((0..8).map(|_| ask())).await;
    ask().await;
    assert_eq!(edge.counted.fetches(), 1, "the directory says that its keys may be kept for a day");
}

async fn an_agent_whose_keys_cannot_be_fetched_is_treated_like_anybody(shared: &SharedStack) {
    let edge = knowing(shared).await;
    for directory in &edge.broken {
        let agent = directory.origin();
        let head = || Signing::right(&agent, &edge.authority).head();
        let as_script = send(edge.request(&own_path(), head()).named(CURL));
        let answer = patiently(as_script, || "an agent's keys are waited for without end".to_owned()).await;
        answer.assert_bot("scripted_tool");
        directory.wait_for_fetch().await;
        let as_browser = send(edge.request(&own_path(), head()).dressed_as(Browser::Chrome));
        let answer = patiently(as_browser, || "an agent's keys are waited for without end".to_owned()).await;
        answer.assert_admitted(&shared.sink, "anonymous").await;
        // Nobody else is touched by it.
        send(client::request(Method::GET, &edge.watched, &own_path())).await.assert_served();
        let listed = edge.listed.origin();
        let head = Signing::right(&listed, &edge.authority).head();
        send(edge.request(&own_path(), head).named(CURL)).await.assert_served();
    }
}
