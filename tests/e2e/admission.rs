//! Who is let in: lists, traps, keys and what clients say of themselves.

use futures_util::{StreamExt as _, stream};
use goblin_tests::{
    api_key::mint_api_key,
    edge::{Edge, EdgeOptions},
    patience::PATIENCE,
    secret,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::json;

use crate::{
    answered::send,
    client::{self, Door, own_path},
    decisions::wait_for_decision,
    heads::{Browser, CHROME, CURL, GPTBOT, HEADLESS_CHROME, Head as _, own_address},
    shared_stack::{SharedStack, shared},
    started_once::StartedOnce,
    suite::{Suite, tests},
    trust::assert_vouched,
    watched_edge::WatchedEdge,
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        a_crawler_is_refused_with_its_reason,
        a_script_is_refused_without_a_key_and_served_with_one,
        a_client_without_a_name_is_refused,
        browsers_are_served_without_a_key,
        a_browsers_name_without_a_browsers_head_is_refused,
        a_headless_browser_is_refused,
        a_key_with_one_character_changed_is_refused,
        a_malformed_key_is_refused,
        a_key_of_another_issuer_is_refused,
        a_key_may_come_in_either_field,
        a_key_of_the_issuer_before_is_served,
        a_foreign_credential_goes_on_to_the_backend_unchanged,
        a_foreign_credential_makes_no_script_welcome,
        who_asks_for_what_only_intruders_want_is_refused_and_remembered,
        a_rule_that_only_observes_serves_and_tells,
        a_rule_that_is_off_tells_nothing,
        listed_addresses_are_refused_whatever_their_key,
        an_allowed_address_is_no_bot_even_within_a_refused_network,
        a_listed_path_is_refused,
        the_backend_hears_why_a_request_was_admitted,
        faults_of_admissions_settings_are_told_together,
        health_is_told_to_anybody,
    );
}

/// An edge with the rules as they are by default.
async fn plain(shared: &SharedStack) -> &'static WatchedEdge {
    static PLAIN: StartedOnce<WatchedEdge> = StartedOnce::new();
    PLAIN.get(|| WatchedEdge::start(&shared.sink, &[])).await
}

/// An edge with rules and lists of its own.
async fn ruled(shared: &SharedStack) -> &'static WatchedEdge {
    static RULED: StartedOnce<WatchedEdge> = StartedOnce::new();
    let vars = [
        ("ADMIT_RULES", "address_limit=observe, scripted_tool=observe, headless_browser=off"),
        ("BLOCK_ADDRESSES", "203.0.113.9, 198.51.100.0/24, 2001:db8:bad::/48"),
        ("ALLOW_ADDRESSES", "198.51.100.7, 2001:db8:bad:1::/64"),
        ("BLOCK_PATHS", "/v1/models"),
    ];
    RULED.get(|| WatchedEdge::start(&shared.sink, &vars)).await
}

fn get(door: impl Into<Door>, path: &str) -> RequestBuilder {
    client::request(Method::GET, door, path)
}

/// A path and query for [`chat_at`].
fn own_chat_path() -> String {
    own_path().replace("/v1/models", CHAT)
}

fn chat_at(door: impl Into<Door>, path: &str) -> RequestBuilder {
    client::post(door, path, &client::demo_chat("Hello"))
}

const CHAT: &str = "/v1/chat/completions";
const SEARCH_CRAWLER: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
const OTHER_CRAWLER: &str = "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)";

async fn a_crawler_is_refused_with_its_reason(shared: &SharedStack) {
    let edge = plain(shared).await;
    for (agent, reason) in [(GPTBOT, "ai_crawler"), (SEARCH_CRAWLER, "search_crawler"), (OTHER_CRAWLER, "crawler")] {
        let (list, chat) = (own_path(), own_chat_path());
        for (path, request) in [(&list, get(edge.without_key(), &list)), (&chat, chat_at(edge.without_key(), &chat))] {
            let answer = send(request.named(agent)).await;
            answer.assert_bot(reason);
            assert!(answer.body.contains("API key"), "it says what would help: {}", answer.body);
            assert!(!edge.let_through(path), "the backend heard of {agent}");
            let span = answer.span(&shared.sink).await;
            assert_eq!(span.attributes["goblin.admit.decision"], "refused");
            assert_eq!(span.attributes["goblin.admit.reason"], reason);
            let pattern = span.attributes["goblin.bot.pattern"].as_str().expect("the pattern that it was known by");
            assert!(!pattern.is_empty(), "{agent}");
        }
    }
}

async fn a_script_is_refused_without_a_key_and_served_with_one(shared: &SharedStack) {
    let edge = plain(shared).await;
    for agent in [CURL, "python-requests/2.32.5", "Go-http-client/1.1", "OpenAI/Python 3.54.0"] {
        let path = own_path();
        send(get(edge.without_key(), &path).named(agent)).await.assert_bot("scripted_tool");
        assert!(!edge.let_through(&path), "the backend heard of {agent}");
        send(get(edge, &path).named(agent)).await.assert_admitted(&shared.sink, "api_key").await;
        assert!(edge.let_through(&path), "{agent} with a key");
    }
}

async fn a_client_without_a_name_is_refused(shared: &SharedStack) {
    let edge = plain(shared).await;
    let path = own_path();
    send(get(edge.without_key(), &path)).await.assert_bot("empty_user_agent");
    send(get(edge.without_key(), &path).named("")).await.assert_bot("empty_user_agent");
    assert!(!edge.let_through(&path));
}

async fn browsers_are_served_without_a_key(shared: &SharedStack) {
    let edge = plain(shared).await;
    for browser in Browser::ALL {
        let path = own_path();
        let answer = send(get(edge.without_key(), &path).dressed_as(browser)).await;
        assert_eq!(answer.status, 200, "{browser:?}: {}", answer.body);
        answer.assert_admitted(&shared.sink, "anonymous").await;
        send(chat_at(edge.without_key(), CHAT).dressed_as(browser)).await.assert_served();
    }
}

async fn a_browsers_name_without_a_browsers_head_is_refused(shared: &SharedStack) {
    let edge = plain(shared).await;
    let path = own_path();
    send(get(edge.without_key(), &path).named(CHROME)).await.assert_bot("impossible_headers");
    assert!(!edge.let_through(&path));
}

async fn a_headless_browser_is_refused(shared: &SharedStack) {
    let edge = plain(shared).await;
    let path = own_path();
    let request = get(edge.without_key(), &path).dressed_as(Browser::Chrome).named(HEADLESS_CHROME);
    send(request).await.assert_bot("headless_browser");
    assert!(!edge.let_through(&path));
}

/// 401, and the backend does not hear of it.
async fn assert_no_key(edge: &WatchedEdge, key: &str) {
    assert_no_key_by(&Client::new(), edge, key).await;
}

async fn assert_no_key_by(client: &Client, edge: &WatchedEdge, key: &str) {
    let path = own_path();
    for (field, value) in [("authorization", format!("Bearer {key}")), ("x-api-key", key.to_owned())] {
        // Nothing else is wrong with it.
        let request = client::request_by(client, Method::GET, edge.without_key(), &path).dressed_as(Browser::Chrome);
        let answer = send(request.header(field, value)).await;
        let error = answer.assert_error(401, "invalid_api_key");
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(answer.header("www-authenticate").as_deref(), Some("Bearer error=\"invalid_token\""));
        // The advice itself shows how keys begin.
        assert!(key == "gob_" || !answer.body.contains(key), "the key is in the answer: {}", answer.body);
        assert!(!edge.let_through(&path), "the backend heard of {field}: {key}");
    }
}

async fn a_key_with_one_character_changed_is_refused(shared: &SharedStack) {
    let edge = plain(shared).await;
    let connections = Client::new();
    let changed = (4..edge.api_key.len()).map(|at| {
        let mut key = edge.api_key.clone().into_bytes();
        key[at] = if key[at] == b'a' { b'b' } else { b'a' };
        String::from_utf8(key).expect("ASCII")
    });
    stream::iter(changed)
        .for_each_concurrent(8, |key| {
            let connections = connections.clone();
            async move { assert_no_key_by(&connections, edge, &key).await }
        })
        .await;
}

async fn a_malformed_key_is_refused(shared: &SharedStack) {
    let edge = plain(shared).await;
    let genuine = &edge.api_key;
    let shorter = &genuine[..genuine.len() - 1];
    for key in ["gob_", "gob_x", shorter, &format!("{genuine}0"), &genuine.replace('_', "-").replacen('-', "_", 1)] {
        assert_no_key(edge, key).await;
    }
}

async fn a_key_of_another_issuer_is_refused(shared: &SharedStack) {
    let stranger = mint_api_key(&secret::fresh().unwrap()).await.unwrap();
    assert_no_key(plain(shared).await, &stranger).await;
}

async fn a_key_may_come_in_either_field(shared: &SharedStack) {
    let edge = plain(shared).await;
    for (field, value) in [
        ("authorization", format!("Bearer {}", edge.api_key)),
        // RFC 9110, section 11.1: the scheme's case says nothing.
        ("authorization", format!("bearer {}", edge.api_key)),
        ("x-api-key", edge.api_key.clone()),
    ] {
        let request = get(edge.without_key(), &own_path()).named(CURL).header(field, value);
        send(request).await.assert_admitted(&shared.sink, "api_key").await;
    }
}

async fn a_key_of_the_issuer_before_is_served(shared: &SharedStack) {
    let edge = plain(shared).await;
    let key = mint_api_key(&edge.issuer_secrets[1]).await.unwrap();
    let request = get(Door::with_key(&edge.edge, &key), &own_path()).named(CURL);
    send(request).await.assert_admitted(&shared.sink, "api_key").await;
}

async fn a_foreign_credential_goes_on_to_the_backend_unchanged(shared: &SharedStack) {
    let edge = plain(shared).await;
    for (field, value) in
        [("authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."), ("x-api-key", "sk-foreign")]
    {
        let path = own_path();
        let request = get(edge.without_key(), &path).dressed_as(Browser::Firefox).header(field, value);
        send(request).await.assert_admitted(&shared.sink, "foreign_credential").await;
        let received = edge.origin.wait_for_request(|request| request.uri == *path).await;
        assert_eq!(received.header(field), Some(value));
    }
}

async fn a_foreign_credential_makes_no_script_welcome(shared: &SharedStack) {
    let edge = plain(shared).await;
    let path = own_path();
    let request = get(edge.without_key(), &path).named(CURL).bearer_auth("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.");
    send(request).await.assert_bot("scripted_tool");
    assert!(!edge.let_through(&path));
}

async fn who_asks_for_what_only_intruders_want_is_refused_and_remembered(shared: &SharedStack) {
    let edge = plain(shared).await;
    for trap in ["/wp-login.php", "/.env", "/.git/config", "/xmlrpc.php"] {
        let (intruder, neighbour) = (own_address(), own_address());
        let from =
            |address: &str, path: &str| get(edge.without_key(), path).dressed_as(Browser::Chrome).coming_from(address);
        // A page of another site can make any visitor's browser ask for it: it gets nothing, and is not remembered.
        send(from(&intruder, trap)).await.assert_bot("honeypot");
        send(from(&intruder, &own_path())).await.assert_served();
        let by_itself =
            HeaderMap::from_iter([(HeaderName::from_static("sec-fetch-site"), HeaderValue::from_static("none"))]);
        send(from(&intruder, trap).headers(by_itself)).await.assert_bot("honeypot");
        let path = own_path();
        send(from(&intruder, &path)).await.assert_bot("honeypot");
        send(from(&intruder, "/readyz")).await.assert_served();
        send(from(&intruder, "/healthz")).await.assert_served();
        assert!(!edge.let_through(&path) && !edge.let_through(trap));
        send(from(&neighbour, &path)).await.assert_served();
        // Whoever holds a key may share the address with others.
        send(get(edge, &own_path()).coming_from(&intruder)).await.assert_served();
    }
}

async fn a_rule_that_only_observes_serves_and_tells(shared: &SharedStack) {
    let edge = ruled(shared).await;
    let path = own_chat_path();
    let answer = send(chat_at(edge.without_key(), &path).named(CURL)).await;
    answer.assert_admitted(&shared.sink, "anonymous").await;
    assert!(edge.let_through(&path));
    assert_eq!(answer.span(&shared.sink).await.attributes["goblin.admit.observed"], json!(["scripted_tool"]));
    wait_for_decision(&shared.sink, &edge.service, "observed", "scripted_tool").await;
    // The others are as they were.
    send(chat_at(edge.without_key(), CHAT).named(GPTBOT)).await.assert_bot("ai_crawler");
}

async fn a_rule_that_is_off_tells_nothing(shared: &SharedStack) {
    let edge = ruled(shared).await;
    let request = chat_at(edge.without_key(), CHAT).dressed_as(Browser::Chrome).named(HEADLESS_CHROME);
    let answer = send(request).await;
    answer.assert_admitted(&shared.sink, "anonymous").await;
    let span = answer.span(&shared.sink).await;
    assert!(!span.attributes.contains_key("goblin.admit.observed"), "{:?}", span.attributes);
}

async fn listed_addresses_are_refused_whatever_their_key(shared: &SharedStack) {
    let edge = ruled(shared).await;
    for (address, is_listed) in [
        ("203.0.113.9", true),
        ("203.0.113.10", false),
        ("198.51.100.0", true),
        ("198.51.100.255", true),
        ("198.51.101.0", false),
        ("2001:db8:bad::1", true),
        ("2001:0DB8:0bad:ffff::1", true),
        ("2001:db8:bae::1", false),
    ] {
        let (anonymous, holder) = (own_chat_path(), own_chat_path());
        let requests = [
            (&anonymous, chat_at(edge.without_key(), &anonymous).dressed_as(Browser::Safari)),
            (&holder, chat_at(edge, &holder)),
        ];
        for (path, request) in requests {
            let answer = send(request.coming_from(address)).await;
            if is_listed {
                answer.assert_refused("access_denied", "address_list");
            } else {
                assert_eq!(answer.status, 200, "{address}: {}", answer.body);
            }
            assert_eq!(edge.let_through(path), !is_listed, "{address}");
        }
    }
}

async fn an_allowed_address_is_no_bot_even_within_a_refused_network(shared: &SharedStack) {
    let edge = ruled(shared).await;
    for address in ["198.51.100.7", "2001:db8:bad:1::2"] {
        let request = chat_at(edge.without_key(), CHAT).named(GPTBOT).coming_from(address);
        send(request).await.assert_admitted(&shared.sink, "allow_list").await;
        // Exempt from the rules for bots, and from nothing else.
        let request = chat_at(edge.without_key(), CHAT).coming_from(address).bearer_auth("gob_x");
        send(request).await.assert_error(401, "invalid_api_key");
    }
}

async fn a_listed_path_is_refused(shared: &SharedStack) {
    let edge = ruled(shared).await;
    let path = own_path();
    send(get(edge.without_key(), &path).dressed_as(Browser::Chrome)).await.assert_refused("access_denied", "path_list");
    send(get(edge, &path)).await.assert_refused("access_denied", "path_list");
    assert!(!edge.let_through(&path));
    send(chat_at(edge, CHAT)).await.assert_served();
}

async fn the_backend_hears_why_a_request_was_admitted(shared: &SharedStack) {
    let edge = plain(shared).await;
    for verdict in ["api_key", "anonymous", "foreign_credential", "health"] {
        let path = if verdict == "health" { own_path().replace("/v1/models", "/readyz") } else { own_path() };
        let request = match verdict {
            "api_key" => get(edge, &path),
            "anonymous" => get(edge.without_key(), &path).dressed_as(Browser::Chrome),
            "foreign_credential" => get(edge.without_key(), &path).dressed_as(Browser::Chrome).bearer_auth("eyJ"),
            _ => get(edge.without_key(), &path),
        };
        send(request.header("x-goblin-client", "verdict=\"forged\"")).await.assert_served();
        let received = edge.origin.wait_for_request(|request| request.uri == *path).await;
        let client = received.header("x-goblin-client").expect("what the edge knows of the client");
        assert!(client.contains(&format!("verdict=\"{verdict}\"")), "not {verdict}: {client}");
        assert_vouched(&received, edge);
    }
}

async fn faults_of_admissions_settings_are_told_together(_: &SharedStack) {
    let wrong = [
        ("API_KEY_ISSUER_SECRETS", "canary-too-short"),
        ("ADMIT_RULES", "no_such_rule=enforce,scripted_tool=perhaps"),
        ("BLOCK_ADDRESSES", "300.1.1.1"),
        ("ALLOW_ADDRESSES", "2001:db8::/129"),
        ("BLOCK_ASNS", "many"),
        ("BOT_SCORE_LEAST", "high"),
        ("TURNSTILE_SECRET_KEY", "canary-of-turnstile"),
        ("TURNSTILE_FAILURE", "ajar"),
        ("FOREIGN_CREDENTIALS", "perhaps"),
        ("WEB_BOT_AUTH_AGENTS", "http://agent.example"),
        ("KEY_LIMIT_SUSTAINED", "fast"),
        ("KEY_LIMIT_FAILURE", "ajar"),
    ];
    let right =
        [("BACKEND_ORIGIN", "http://127.0.0.1:1"), ("EDGE_SIGNING_KEY", "test:0123456789abcdef0123456789abcdef")];
    let vars = wrong.into_iter().chain(right).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let edge = Edge::start(EdgeOptions { vars, ..EdgeOptions::default() }).await.unwrap();
    let answer = client::request(Method::GET, edge.address(), "/healthz").send().await.unwrap();
    let (status, code, _) = client::error(answer).await;
    assert_eq!((status, code.as_str()), (500, "misconfigured"));
    let told = |line: &str| line.contains("configuration is not valid").then(|| line.to_owned());
    let line = edge.process().wait_for_line(PATIENCE, told).await.unwrap();
    // The secret of Turnstile is in order by itself, but wants to know the hosts.
    let faulty = wrong.map(|(name, _)| if name == "TURNSTILE_SECRET_KEY" { "TURNSTILE_HOSTNAMES" } else { name });
    for name in faulty {
        assert!(line.contains(name), "{name} is missing in {line}");
    }
    assert!(!line.contains("canary"), "a secret is in {line}");
    for (name, _) in right {
        assert!(!line.contains(name), "{name} is in order: {line}");
    }
    edge.terminate().await;
}

async fn health_is_told_to_anybody(shared: &SharedStack) {
    let edge = plain(shared).await;
    for path in ["/healthz", "/readyz"] {
        send(get(edge.without_key(), path)).await.assert_admitted(&shared.sink, "health").await;
        send(get(edge.without_key(), path).named(GPTBOT)).await.assert_served();
    }
}
