//! The backend: continues the trace of each request, calls LLM providers and streams the answer.
//!
//! Command line → configuration → run, and telemetry is flushed on every way out.

mod ambient;
mod app;
mod chat;
mod command_line;
mod commands;
mod config;
mod http;
mod identity;
mod monitoring;
mod ports;
mod provider;
mod shutdown;
mod store;
mod usage;
mod wire;

use std::{
    fmt::Write as _,
    io::{ErrorKind, Write as _},
    panic::AssertUnwindSafe,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use goblin_shared::trace_grant;

use crate::{
    ambient::SystemClock,
    command_line::{Command, CommandLine, StoreCommand},
    config::{AuthConfig, Config, ConfigFaults, EdgeConfig, Effective, SloConfig, StoreConfig},
    monitoring::Monitoring,
    ports::Clock,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => {
            // Help and version arrive here too; then printing is the success.
            let printed = error.print();
            return if error.use_stderr() || printed.is_err() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let command = command_line.command();
    let inputs = match command_line.inputs() {
        Ok(inputs) => inputs,
        Err(error) => return refuse(&error),
    };
    match command {
        Command::CheckConfig { json: true } => check_config_as_json(Config::load(&inputs)),
        Command::CheckConfig { json: false } => with(Config::load(&inputs), |config| {
            let mut text = "the configuration is valid\n".to_owned();
            for value in &config.effective {
                // Writing to a text cannot fail.
                let _ = writeln!(text, "  {value}");
            }
            print(&text, ExitCode::SUCCESS)
        }),
        Command::Store(wish) => {
            let auth = if wish.issues() { AuthConfig::load_to_issue(&inputs) } else { AuthConfig::load(&inputs) };
            with(auth, |auth| {
                with(StoreConfig::load(&inputs), |store| {
                    with(SloConfig::load(&inputs), |slo| on_store(store, auth, slo, wish))
                })
            })
        }
        Command::TraceGrant { lifetime, json } => {
            with(EdgeConfig::load(&inputs), |edge| grant_traces(edge, lifetime, json))
        }
        Command::Serve => with(Config::load(&inputs), serve),
    }
}

/// Prints what a command is called for. Whoever has read enough of it closes the pipe, which is no failure.
fn print(text: &str, code: ExitCode) -> ExitCode {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => refuse(&error),
        _ => code,
    }
}

/// The same, a line of JSON.
fn print_json(value: &serde_json::Value, code: ExitCode) -> ExitCode {
    print(&format!("{value}\n"), code)
}

fn with<T>(config: Result<T, ConfigFaults>, command: impl FnOnce(&T) -> ExitCode) -> ExitCode {
    config.map_or_else(|faults| refuse(&faults), |config| command(&config))
}

fn check_config_as_json(config: Result<Config, ConfigFaults>) -> ExitCode {
    match config {
        Ok(config) => {
            let settings: Vec<_> = config.effective.iter().map(Effective::to_json).collect();
            print_json(&serde_json::json!({ "valid": true, "settings": settings }), ExitCode::SUCCESS)
        }
        Err(faults) => {
            print_json(&serde_json::json!({ "valid": false, "faults": faults.to_texts() }), ExitCode::FAILURE)
        }
    }
}

/// A command that works on the store, beside a program that may be serving.
fn on_store(store: &StoreConfig, auth: &AuthConfig, slo: &SloConfig, wish: StoreCommand) -> ExitCode {
    // A server may be reached by TLS alone. Fails only if one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    match runtime.block_on(app::command(store, auth.clone(), slo, wish)) {
        Ok(text) => print(&text, ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("goblin-backend: {}", monitoring::chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn grant_traces(edge: &EdgeConfig, lifetime: Duration, json: bool) -> ExitCode {
    // Without one, the configuration would not have been valid.
    let Some(key) = edge.signing_keys.first() else { return ExitCode::FAILURE };
    let expires = SystemClock.unix_seconds() + lifetime.as_secs();
    let grant = trace_grant::mint(key, expires);
    if json {
        print_json(&serde_json::json!({ "trace_grant": grant, "expires": expires }), ExitCode::SUCCESS)
    } else {
        print(&format!("{grant}\n"), ExitCode::SUCCESS)
    }
}

/// Before the log exists, and where a person is likely to look.
fn refuse(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("goblin-backend: {error}");
    ExitCode::FAILURE
}

fn serve(config: &Config) -> ExitCode {
    // Fails only if one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error),
    };
    let clock = Arc::new(SystemClock);
    let monitoring = {
        // The gRPC exporter's connection lives on this runtime.
        let _on_runtime = runtime.enter();
        let slos = app::slos(&config.slo, clock.clone());
        match Monitoring::install(config.secrets(), &config.log, &config.telemetry, slos, clock.clone()) {
            Ok(monitoring) => monitoring,
            Err(error) => return refuse(&error),
        }
    };
    let watch = monitoring.watch();
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(app::run(config, clock, watch))));
    let code = match ended {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            tracing::error!(cause = monitoring::chain(&error), "cannot serve");
            ExitCode::FAILURE
        }
        // The panic hook has logged it.
        Err(_) => ExitCode::FAILURE,
    };
    // The exporter needs the runtime, so that it goes last, and without waiting for what still hangs on it.
    monitoring.flush();
    runtime.shutdown_background();
    code
}
