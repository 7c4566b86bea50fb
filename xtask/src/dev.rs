//! `cargo xtask dev`: the product on this machine.

use std::{env, process::ExitCode, sync::Arc};

use anyhow::{Result, bail};
use clap::Args;
use goblin_tests::{
    backend::BackendOptions,
    edge::EdgeOptions,
    observability::Observability,
    process::{LineSink, Process},
    stack::{Stack, StackOptions},
    workspace,
};

use crate::{
    build_edge,
    dev_vars::DevVars,
    interrupt::Interrupt,
    ports,
    progress::{self, say},
    stack,
};

/// Where things listen on 127.0.0.1; a taken port means the next free one.
#[derive(Args)]
pub(crate) struct DevOptions {
    /// Port of the edge, which is the public URL.
    #[arg(long, default_value_t = 8787)]
    edge_port: u16,
    /// Port of the backend's service listener.
    #[arg(long, default_value_t = 8080)]
    backend_port: u16,
    /// Port of the backend's operations listener (metrics, administration).
    #[arg(long, default_value_t = 9464)]
    operations_port: u16,
    /// Run the observability stack of infra/ too, and send it everything.
    #[arg(long)]
    observe: bool,
}

/// Passed on to the edge, which sees no environment; the backend inherits ours.
const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

const METRIC_INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";

/// Sets up, builds and runs both until a signal comes.
pub(crate) async fn run(options: DevOptions) -> Result<ExitCode> {
    let mut interrupt = Interrupt::listen()?;
    let (stack, observability) = tokio::select! {
        started = start(&options) => started?,
        // What was started is killed as it is dropped.
        () = interrupt.next() => return Ok(ExitCode::SUCCESS),
    };
    introduce(&stack, observability.as_ref());
    tokio::select! {
        () = interrupt.next() => end(&stack, interrupt).await,
        result = died("the backend", stack.backend.process()) => { stack.kill().await; result? }
        result = died("the edge", stack.edge.process()) => { stack.terminate().await; result? }
    }
    Ok(ExitCode::SUCCESS)
}

async fn start(options: &DevOptions) -> Result<(Stack, Option<Observability>)> {
    build_edge::run().await?;
    let mut build = workspace::command("cargo");
    build.args(["build", "--package", "goblin-backend"]);
    progress::run("building the backend", "build-backend", build).await?;
    let dev_vars = DevVars::ensure(&workspace::root().join(".dev.vars"))?;

    let edge_port = ports::free_from(options.edge_port, "the edge", &[])?;
    let service_port = ports::free_from(options.backend_port, "the backend", &[edge_port])?;
    let taken = [edge_port, service_port];
    let operations_port = ports::free_from(options.operations_port, "the backend's operations listener", &taken)?;

    let mut vars = Vec::new();
    // What .dev.vars says is meant for the edge alone and goes first: the two may speak different protocols.
    if let (Ok(endpoint), None) = (env::var(OTLP_ENDPOINT), dev_vars.get(OTLP_ENDPOINT)) {
        vars.push((OTLP_ENDPOINT.to_owned(), endpoint));
    }
    let observability = if options.observe {
        say("starting the observability stack …");
        Some(stack::start(stack::probed(edge_port, operations_port)).await?)
    } else {
        None
    };
    let mut variables = Vec::new();
    if let Some(observability) = &observability {
        let collector = |port| Observability::url(port, "");
        variables.push((OTLP_ENDPOINT.to_owned(), collector(observability.ports.otlp_grpc)));
        variables.push(("OTEL_EXPORTER_OTLP_PROTOCOL".to_owned(), "grpc".to_owned()));
        if env::var_os(METRIC_INTERVAL).is_none() {
            // Milliseconds; the default is a minute.
            variables.push((METRIC_INTERVAL.to_owned(), "5000".to_owned()));
        }
        vars.retain(|(name, _)| name != OTLP_ENDPOINT);
        vars.push((OTLP_ENDPOINT.to_owned(), collector(observability.ports.otlp_http)));
    }
    say("starting the backend and the edge …");
    let stack = Stack::start(StackOptions {
        signing_key: Some(dev_vars.signing_key()?),
        issuer_secret: Some(dev_vars.issuer_secrets()?),
        // One at each start, so that they go by themselves.
        key_arguments: vec!["--name", "cargo xtask dev", "--expires", "30d"],
        backend: BackendOptions {
            service: Some(([127, 0, 0, 1], service_port).into()),
            operations: Some(([127, 0, 0, 1], operations_port).into()),
            users_configuration: true,
            env: variables,
            sink: Some(prefixed("backend")),
        },
        edge: EdgeOptions {
            port: Some(edge_port),
            vars,
            users_configuration: true,
            sink: Some(prefixed("edge   ")),
            ..EdgeOptions::default()
        },
        ..StackOptions::default()
    })
    .await?;
    Ok((stack, observability))
}

/// What one needs to know to use it. On standard output, so that it can be told from the logs.
fn introduce(stack: &Stack, observability: Option<&Observability>) {
    let authorization = format!("authorization: Bearer {}", stack.api_key);
    let chat = |flags: &str, more: &str| {
        let url = stack.edge.url("/v1/chat/completions");
        let message = r#"{"role":"user","content":"Hello, goblin!"}"#;
        let body = format!(r#"{{"model":"auto",{more}"messages":[{message}]}}"#);
        format!("curl {flags} {url} -H '{authorization}' -H 'content-type: application/json' -d '{body}'")
    };
    println!();
    println!("The edge (the public URL)         {}", stack.edge.url(""));
    println!("The backend, service listener     http://{}", stack.backend.service());
    println!("The backend, operations listener  http://{}", stack.backend.operations());
    println!("An API key                        {}", stack.api_key);
    if let Some(Observability { ports, .. }) = observability {
        println!();
        stack::introduce(ports);
    }
    println!();
    println!("Try it:");
    println!("{}", chat("-sS", ""));
    println!("{}", chat("-sSN", r#""stream":true,"#));
    println!();
    println!("One more key, into the same store:");
    // The secret itself is no business of a terminal's history.
    let secret = "$(sed -n 's/^API_KEY_ISSUER_SECRETS=//p' .dev.vars | tr -d '\"')";
    let program = backend_program();
    println!("GOBLIN_AUTH__ISSUER_SECRETS=\"{secret}\" {program} keys create");
    println!();
    println!("Ctrl-C ends it.");
}

/// The path of the backend's program, as one types it here.
fn backend_program() -> String {
    let folder = workspace::artifact_dir().unwrap_or_default();
    let folder = folder.strip_prefix(workspace::root()).map(std::path::Path::to_path_buf).unwrap_or(folder);
    folder.join("goblin-backend").display().to_string()
}

async fn end(stack: &Stack, mut interrupt: Interrupt) {
    say("ending; open answers may finish, another Ctrl-C cuts them off …");
    tokio::select! {
        () = stack.terminate() => {}
        () = interrupt.next() => stack.kill().await,
    }
    say("✓ all ended");
}

async fn died(name: &str, process: &Process) -> Result<()> {
    let status = process.exited().await;
    bail!("{name} ended by itself ({status}). The end of its log:\n{}", process.log().tail(40))
}

fn prefixed(name: &'static str) -> LineSink {
    Arc::new(move |line| eprintln!("{name} │ {line}"))
}
