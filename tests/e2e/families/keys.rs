//! What providers hear of clients and of each other: nothing.

use goblin_tests::{
    stack::{ANTHROPIC_KEY, GEMINI_KEY, OPENAI_KEY},
    upstream::{Family, Script},
};
use serde_json::json;

use super::{CHAT, MESSAGES, PEERS, ask};
use crate::{client, shared_stack::SharedStack};

pub(super) async fn each_provider_gets_its_own_key_and_nothing_of_the_clients(shared: &SharedStack) {
    for (family, _, model) in PEERS {
        for path in [CHAT, MESSAGES] {
            let scenario = shared.upstream.script(Script::Friendly);
            let request = client::post(shared, path, &ask(&scenario, model, "Hello", json!({})));
            // Its API key is in `authorization` by now.
            let request = request.header("cookie", "session=1").header("baggage", "user=1").header("x-secret", "s");
            assert_eq!(request.send().await.unwrap().status(), 200, "{model}, {path}");
            let received = scenario.request().await;

            let bearer = format!("Bearer {OPENAI_KEY}");
            let (field, value, called) = match family {
                Family::OpenAi => ("authorization", bearer.as_str(), "/v1/chat/completions".to_owned()),
                Family::Anthropic => ("x-api-key", ANTHROPIC_KEY, "/v1/messages".to_owned()),
                Family::Gemini => ("x-goog-api-key", GEMINI_KEY, format!("/v1beta/models/{model}:generateContent")),
            };
            assert_eq!(received.uri, called.as_str(), "{path}: no key stands in a URL");
            for name in ["authorization", "x-api-key", "x-goog-api-key", "api-key"] {
                assert_eq!(received.header(name), (name == field).then_some(value), "{model}, {path}: {name}");
            }
            assert_eq!(received.header("anthropic-version").is_some(), family == Family::Anthropic, "{model}, {path}");
            for name in ["cookie", "baggage", "x-secret", "tracestate", "x-request-id"] {
                assert_eq!(received.header(name), None, "{model}, {path}: {name}");
            }
            let ours = received.headers.keys().find(|name| name.as_str().starts_with("x-goblin-"));
            assert_eq!(ours, None, "{model}, {path}");
            let everything = format!("{:?} {}", received.headers, String::from_utf8_lossy(&received.body));
            let strangers = [OPENAI_KEY, ANTHROPIC_KEY, GEMINI_KEY, &shared.stack.api_key];
            for key in strangers.into_iter().filter(|key| !value.ends_with(key)) {
                assert!(!everything.contains(key), "{model}, {path} heard of another's key");
            }
        }
    }
}
