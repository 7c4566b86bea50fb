//! A Collector that asks for a token, behind TLS: who shows it is taken, who does not is refused.

use goblin_tests::{
    backend::field,
    observability::{Observability, ObservabilityOptions},
    patience::PATIENCE as SHORT,
    tls_proxy,
};

use super::{asking::Asking, quick};
use crate::{
    accounting::outages::needed,
    client::{chat, demo_chat, trace_id},
    suite::{Outcome, Suite},
    telemetry::environment,
};

pub(super) fn register(suite: &mut Suite) {
    suite.test("a_secured_collector_takes_what_shows_a_token", a_secured_collector_takes_what_shows_a_token);
}

const TOKEN: &str = "token-of-the-senders";

async fn a_secured_collector_takes_what_shows_a_token() -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    drop(tls_proxy::certificates(folder.path()).unwrap());
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("tokens"), format!("another-token\n{TOKEN}\n")).unwrap();
    let mut environment = quick();
    environment.extend([
        ("COLLECTOR_TOKENS", path("tokens")),
        ("COLLECTOR_CERTIFICATE", path("server.pem")),
        ("COLLECTOR_KEY", path("server.key")),
    ]);
    let overlays = vec!["collector/secured.yaml"];
    let options = ObservabilityOptions { environment, overlays, ..ObservabilityOptions::default() };
    let observability = match needed(Observability::start(options).await) {
        Ok(observability) => observability,
        Err(outcome) => return outcome,
    };
    let (authority, header) = (path("authority.pem"), format!("authorization=Bearer%20{TOKEN}"));
    for (protocol, port) in [("grpc", observability.ports.otlp_grpc), ("http/protobuf", observability.ports.otlp_http)]
    {
        let endpoint = format!("https://localhost:{port}");
        let env = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &authority),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ];
        let stranger = environment::start(None, &env).await;
        chat(stranger.service(), &demo_chat("hello")).await.text().await.unwrap();
        let refused = stranger
            .wait_for_log(|line| field(line, "message").is_some_and(|text| text == "telemetry could not be exported"));
        refused.await.unwrap();
        stranger.terminate(SHORT).await;

        let known = [&env[..], &[("OTEL_EXPORTER_OTLP_HEADERS", header.as_str())]].concat();
        let sender = environment::start(None, &known).await;
        let response = chat(sender.service(), &demo_chat("hello")).await;
        let trace = trace_id(&response);
        response.text().await.unwrap();
        Asking::new(observability.ports).trace(&trace, 2).await;
        sender.terminate(SHORT).await;
    }
    Outcome::Passed
}
