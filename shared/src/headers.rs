//! Header names that edge, backend and their tests share. All lower case, as HTTP/2 wants them.

/// W3C Trace Context: the caller's trace, span and flags.
pub const TRACEPARENT: &str = "traceparent";
/// W3C Trace Context: vendors' own state, carried along unchanged.
pub const TRACESTATE: &str = "tracestate";
/// W3C Baggage: the caller's own words on a request.
pub const BAGGAGE: &str = "baggage";

/// Everything under this prefix belongs to the gateway: a client's own are removed at the edge before ours are set.
pub const GOBLIN_PREFIX: &str = "x-goblin-";
/// Edge to backend: UUID v7 of the request.
pub const GOBLIN_REQUEST_ID: &str = "x-goblin-request-id";
/// Edge to backend: which try of this request it is, from 1.
pub const GOBLIN_ATTEMPT: &str = "x-goblin-attempt";
/// Edge to backend: the plan, see [`crate::route`].
pub const GOBLIN_ROUTE: &str = "x-goblin-route";
/// Edge to backend: what the edge knows of the client, see [`crate::client_facts`].
pub const GOBLIN_CLIENT: &str = "x-goblin-client";
/// Edge to backend: the signature over the four above and the traceparent, see [`crate::edge_signature`].
pub const GOBLIN_EDGE_SIGNATURE: &str = "x-goblin-edge-signature";
/// Backend to edge, removed there: state of the providers, see [`crate::provider_health`].
pub const GOBLIN_HEALTH: &str = "x-goblin-health";
/// Backend to edge, removed there: the signature over it.
pub const GOBLIN_HEALTH_SIGNATURE: &str = "x-goblin-health-signature";
/// Backend to edge, removed there: why a request of the edge's own was refused; today `edge_signature_invalid` alone.
pub const GOBLIN_REFUSAL: &str = "x-goblin-refusal";
/// Answered to holders of a trace grant: why this plan.
pub const GOBLIN_ROUTE_REASON: &str = "x-goblin-route-reason";
/// Answered: `provider/model` that answered.
pub const GOBLIN_MODEL: &str = "x-goblin-model";
/// Answered: turns of the conversation that were left out of the prompt, because the model does not take so much.
pub const GOBLIN_CONTEXT_DROPPED: &str = "x-goblin-context-dropped";

/// Answered to the client: the id that the edge gave the request. A client's own is logged, never adopted.
pub const REQUEST_ID: &str = "x-request-id";
/// Answered: trace and durations, see [`crate::server_timing`].
pub const SERVER_TIMING: &str = "server-timing";
/// Answered with 429 and 503: seconds to wait.
pub const RETRY_AFTER: &str = "retry-after";
/// Answered: what remains of a client's quotas, see [`crate::rate_limit`].
pub const RATE_LIMIT: &str = "ratelimit";
/// Answered: the quotas themselves.
pub const RATE_LIMIT_POLICY: &str = "ratelimit-policy";
/// From browsers: Turnstile's token. The edge uses it up and never forwards it.
pub const TURNSTILE_TOKEN: &str = "x-turnstile-token";
/// From clients: asks for sampling and for the reasons of the route, see [`crate::trace_grant`]. Removed at the edge.
pub const TRACE_GRANT: &str = "trace-grant";
/// From clients of Anthropic's API, and to its servers: the version of it.
pub const ANTHROPIC_VERSION: &str = "anthropic-version";
/// Likewise: what is in trial that a request makes use of, names with commas between.
pub const ANTHROPIC_BETA: &str = "anthropic-beta";
/// Answered on Anthropic's API besides [`REQUEST_ID`], with the same value: where its SDKs look for it.
pub const ANTHROPIC_REQUEST_ID: &str = "request-id";
/// Answered with errors that the status does not tell everything of: `false` keeps the SDKs of OpenAI and Anthropic from
/// trying again.
pub const SHOULD_RETRY: &str = "x-should-retry";
