//! Every error is raised as the SDK's own type for its status. Each status is brought about as it happens to users.

use goblin_tests::{
    api_key::mint_api_key,
    origin::OriginAnswer,
    upstream::{Release, Scenario, Script},
};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{Language, Program};
use crate::{heads::GPTBOT, shared_stack::SharedStack, started_once::StartedOnce, watched_edge::WatchedEdge};

/// More than edge and backend take, which is 4 MiB.
const TOO_MUCH: usize = 4 * 1024 * 1024 + 1;

/// An edge that gives each key one request, before a backend that has a fault of its own.
async fn stingy(shared: &SharedStack) -> &'static WatchedEdge {
    static STINGY: StartedOnce<WatchedEdge> = StartedOnce::new();
    let vars = [("KEY_LIMIT_BURST", "1"), ("KEY_LIMIT_SUSTAINED", "1/3600"), ("KEY_LIMIT_FAILURE", "closed")];
    STINGY.get(|| WatchedEdge::start(&shared.sink, &vars)).await
}

/// What of the two SDKs differs.
struct Sdk {
    name: &'static str,
    /// A model of the family that speaks as the SDK does.
    model: &'static str,
    /// Path of the base URL at the edge.
    base_path: &'static str,
    /// Path that it asks.
    path: &'static str,
}

const OPENAI: Sdk = Sdk { name: "openai", model: "gpt-4o-mini", base_path: "/v1", path: "/v1/chat/completions" };
const ANTHROPIC: Sdk = Sdk { name: "anthropic", model: "claude-haiku-4-5", base_path: "", path: "/v1/messages" };

pub(super) async fn openai_raises_the_type_of_each(shared: &SharedStack, program: Program) {
    let base = match program.language {
        Language::Python => "APIStatusError",
        Language::Node => "APIError",
    };
    let seen = raised(shared, &program, &OPENAI).await;
    let expected = [
        ("BadRequestError", 400, "invalid_field"),
        ("AuthenticationError", 401, "invalid_api_key"),
        ("PermissionDeniedError", 403, "bot_refused"),
        ("NotFoundError", 404, "not_found"),
        // The SDKs have no type of its own for it.
        (base, 413, "body_too_large"),
        ("UnprocessableEntityError", 422, "model_not_found"),
        ("InternalServerError", 500, "internal_error"),
        ("RateLimitError", 429, "rate_limit_exceeded"),
        ("InternalServerError", 502, "provider_failed"),
        ("InternalServerError", 503, "provider_overloaded"),
        ("InternalServerError", 504, "provider_timeout"),
    ];
    assert_raised(&seen, &expected);
}

pub(super) async fn anthropic_raises_the_type_of_each(shared: &SharedStack, program: Program) {
    let seen = raised(shared, &program, &ANTHROPIC).await;
    let expected = [
        ("BadRequestError", 400, "invalid_field"),
        ("AuthenticationError", 401, "invalid_api_key"),
        ("PermissionDeniedError", 403, "bot_refused"),
        ("NotFoundError", 404, "not_found"),
        ("ContentTooLargeError", 413, "body_too_large"),
        ("UnprocessableEntityError", 422, "model_not_found"),
        ("InternalServerError", 500, "internal_error"),
        ("RateLimitError", 429, "rate_limit_exceeded"),
        ("InternalServerError", 502, "provider_failed"),
        ("ServiceUnavailableError", 503, "provider_overloaded"),
        ("GatewayTimeoutError", 504, "provider_timeout"),
    ];
    assert_raised(&seen, &expected);
    // <https://docs.anthropic.com/en/api/errors>
    for (status, kind) in [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
    ] {
        let of_status = seen.iter().find(|seen| seen["status"] == status).expect("it was raised");
        assert_eq!(of_status["kind"], kind, "{status}");
    }
}

fn assert_raised(seen: &[Value], expected: &[(&str, u64, &str)]) {
    for (seen, (kind, status, code)) in seen.iter().zip(expected) {
        assert_eq!(
            (&seen["type"], &seen["status"], &seen["code"]),
            (&json!(kind), &json!(status), &json!(code)),
            "{seen}"
        );
        assert_eq!(seen["is_server_error"], *status >= 500, "{seen}");
        // The fault of the backend's own was made up without one.
        assert!(*status == 500 || seen["header"].as_str().is_some_and(|id| id.len() == 36), "{seen}");
    }
    assert_eq!(seen.len(), expected.len());
    let of = |status: u64| seen.iter().find(|seen| seen["status"] == status).expect("it was raised");
    assert_eq!((&of(400)["param"], &of(422)["param"]), (&json!("messages"), &json!("model")));
    assert_eq!(of(503)["retry_after"], "7", "what the provider said");
    assert!(of(429)["retry_after"].is_string(), "when the key may ask again");
}

/// Brings each status about, in the order in which they are expected above.
async fn raised(shared: &SharedStack, program: &Program, sdk: &Sdk) -> Vec<Value> {
    let (stingy, impatient) = (stingy(shared).await, shared.impatient().await);
    let mine = mint_api_key(&stingy.issuer_secrets[0]).await.expect("a key");
    let fault = json!({"message": "oops", "type": "server_error", "code": "internal_error", "param": null});
    let fault = json!({"type": "error", "error": fault}).to_string();
    let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, "application/json".parse().expect("a value"))]);
    let order = OriginAnswer::Whole { status: StatusCode::INTERNAL_SERVER_ERROR, headers, body: fault.into() };
    stingy.origin.order(sdk.path, order);

    let failing = shared.upstream.script(Script::error(500, "boom", &[]));
    let busy = shared.upstream.script(Script::error(429, "slow down", &[("retry-after", "7")]));
    let (silent, _release): (Scenario, Release) = {
        let (script, release) = Script::held(Script::Friendly);
        (shared.upstream.script(script), release)
    };
    let (stingy_url, impatient_url) = (stingy.edge.url(sdk.base_path), impatient.edge.url(sdk.base_path));
    let case = |name: &str, text: &str, more: Value| {
        let mut case = json!({"name": name, "model": sdk.model, "text": text});
        case.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        case
    };
    let cases = json!([
        case("a field of a wrong type", "Hello", json!({"more": {"messages": "Hello"}})),
        case("a forged key", "Hello", json!({"api_key": format!("gob_{}_{}", "a".repeat(12), "b".repeat(40))})),
        case("a bot", "Hello", json!({"api_key": "nobody", "headers": {"user-agent": GPTBOT}})),
        case("a path that is none", "Hello", json!({"base_url": shared.url("/nowhere")})),
        case("a body over the limit", "Hello", json!({"fill": TOO_MUCH})),
        case("an unknown model", "Hello", json!({"model": "gpt-9"})),
        case("a fault of the backend's own", "Hello", json!({"base_url": stingy_url, "api_key": mine})),
        case("a key's limit", "Hello", json!({"base_url": stingy_url, "api_key": mine})),
        case("a provider with a fault", &failing.marker(), json!({})),
        case("a busy provider", &busy.marker(), json!({})),
        case("a silent provider", &silent.marker(), json!({"base_url": impatient_url, "api_key": impatient.api_key})),
    ]);
    let url = shared.url(sdk.base_path);
    let env = [("SDK", sdk.name)];
    let seen = program.run_with_input("errors", &url, &shared.stack.api_key, &env, &cases.to_string()).await;
    seen.as_array().expect("a list").clone()
}
