//! The end-to-end tests: a client, the real edge in workerd, the real backend, an upstream and an OTLP sink.
//!
//! `cargo xtask test` sets up what they need and runs them; `cargo xtask test NAME` runs those with NAME in their names.

mod accounting;
mod admission;
mod answered;
mod apis;
mod browser;
mod challenges;
mod chatting;
mod client;
mod collector;
mod commands;
mod conversations;
mod curl;
mod decisions;
mod embeddings;
mod endings;
mod families;
mod faults;
mod heads;
mod health;
mod limits;
mod observability;
mod origins;
mod pages;
mod recording;
mod refusals;
mod routing;
mod runtime;
mod sdk;
mod shared_stack;
mod signed_agents;
mod signer;
mod soak;
mod started_once;
mod suite;
mod telemetry;
mod traces;
mod trust;
mod watched_edge;

use std::process::ExitCode;

use suite::Suite;

fn main() -> ExitCode {
    let mut suite = Suite::default();
    curl::register(&mut suite);
    health::register(&mut suite);
    chatting::register(&mut suite);
    pages::register(&mut suite);
    browser::register(&mut suite);
    refusals::register(&mut suite);
    apis::register(&mut suite);
    admission::register(&mut suite);
    challenges::register(&mut suite);
    signed_agents::register(&mut suite);
    limits::register(&mut suite);
    trust::register(&mut suite);
    traces::register(&mut suite);
    telemetry::register(&mut suite);
    recording::register(&mut suite);
    collector::register(&mut suite);
    routing::register(&mut suite);
    origins::register(&mut suite);
    endings::register(&mut suite);
    runtime::register(&mut suite);
    families::register(&mut suite);
    faults::register(&mut suite);
    embeddings::register(&mut suite);
    sdk::register(&mut suite);
    commands::register(&mut suite);
    soak::register(&mut suite);
    accounting::register(&mut suite);
    conversations::register(&mut suite);
    observability::register(&mut suite);
    suite.run()
}
