//! What edge and backend must agree on: header names, trace context, API keys, catalogue, plan, signature, state of the
//! providers, trace grants, rate limits, the clients' APIs, their requests and error shapes, metrics.
//!
//! Nothing here performs I/O, reads a clock, draws randomness or looks at the environment: all of that is handed in.
//! That keeps the crate the same natively and in WebAssembly, and every decision in it testable by value.

pub mod api;
pub mod api_key;
pub mod baggage;
pub mod catalogue;
pub mod chat_request;
pub mod client_facts;
pub mod conversation;
pub mod edge_signature;
pub mod error_body;
pub mod headers;
pub mod limits;
pub mod objectives;
pub mod privacy;
pub mod provider_health;
pub mod rate_limit;
pub mod request_id;
pub mod route;
pub mod server_timing;
pub mod trace_context;
pub mod trace_grant;
pub mod vocabulary;
