//! Each family of providers behind both chat APIs: whoever answers, clients see the API that they asked.

mod answers;
mod keys;
mod pictures;
mod reasoning;
mod refusals;
mod stops;
mod streams;
mod tools;

use goblin_tests::upstream::{Family, Scenario};
use reqwest::Response;
use serde_json::{Value, json};

use crate::{
    client,
    shared_stack::{SharedStack, shared},
    suite::{Suite, tests},
};

pub(crate) fn register(suite: &mut Suite) {
    use self::{
        answers::{tokens_from_a_cache_are_told_in_the_apis_own_way, whoever_answers_the_api_is_the_clients},
        keys::each_provider_gets_its_own_key_and_nothing_of_the_clients,
        pictures::pictures_reach_every_family_by_url_and_by_bytes,
        reasoning::{
            each_model_is_told_to_think_as_it_can_be, not_to_think_is_nothing_to_models_that_cannot,
            what_keeps_requests_together_changes_no_answer,
        },
        refusals::what_a_family_cannot_say_is_refused_by_its_field,
        stops::why_an_answer_ends_is_told_in_the_apis_own_words,
        streams::{chat_streams_of_every_family_are_openais, message_streams_of_every_family_are_anthropics},
        tools::{chat_tools_go_all_the_way_round, message_tools_go_all_the_way_round},
    };
    tests!(
        suite,
        whoever_answers_the_api_is_the_clients,
        tokens_from_a_cache_are_told_in_the_apis_own_way,
        chat_streams_of_every_family_are_openais,
        message_streams_of_every_family_are_anthropics,
        chat_tools_go_all_the_way_round,
        message_tools_go_all_the_way_round,
        pictures_reach_every_family_by_url_and_by_bytes,
        why_an_answer_ends_is_told_in_the_apis_own_words,
        what_a_family_cannot_say_is_refused_by_its_field,
        each_provider_gets_its_own_key_and_nothing_of_the_clients,
        each_model_is_told_to_think_as_it_can_be,
        not_to_think_is_nothing_to_models_that_cannot,
        what_keeps_requests_together_changes_no_answer,
    );
}

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";

/// A family, its name as a provider, and a model of it.
type Peer = (Family, &'static str, &'static str);

const PEERS: [Peer; 3] = [
    (Family::OpenAi, "openai", "gpt-4o-mini"),
    (Family::Anthropic, "anthropic", "claude-haiku-4-5"),
    (Family::Gemini, "gemini", "gemini-3.8-flash"),
];

/// A request that either API takes: the user says `text`, at most 200 tokens are wanted.
fn ask(scenario: &Scenario, model: &str, text: &str, more: Value) -> Value {
    let mut body = scenario.ask(model, text, more);
    if body.get("max_tokens").is_none() {
        body["max_tokens"] = json!(200);
    }
    body
}

async fn send(shared: &SharedStack, path: &str, body: &Value) -> Response {
    client::post(shared, path, body).send().await.expect("an answer")
}

/// The answer to a request that is served, as JSON.
async fn served(shared: &SharedStack, path: &str, body: &Value) -> Value {
    let answer = send(shared, path, body).await;
    let (status, text) = (answer.status(), answer.text().await.expect("a body"));
    assert_eq!(status, 200, "{body} gives {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}
