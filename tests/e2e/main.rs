//! The end-to-end tests: a client, the real edge in workerd, the real backend, an upstream and an OTLP sink.
//!
//! `cargo xtask test` sets up what they need and runs them; `cargo xtask test NAME` runs those with NAME in their names.

mod chatting;
mod client;
mod commands;
mod curl;
mod endings;
mod health;
mod refusals;
mod sdk;
mod shared_stack;
mod suite;
mod traces;
mod trust;

use std::process::ExitCode;

use suite::Suite;

fn main() -> ExitCode {
    let mut suite = Suite::default();
    curl::register(&mut suite);
    health::register(&mut suite);
    chatting::register(&mut suite);
    refusals::register(&mut suite);
    trust::register(&mut suite);
    traces::register(&mut suite);
    endings::register(&mut suite);
    sdk::register(&mut suite);
    commands::register(&mut suite);
    suite.run()
}
