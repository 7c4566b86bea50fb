//! The instruments: one value that is made at the start and handed in, with the names that [`vocabulary`] declares.

mod gauges;
mod labels;
#[cfg(test)]
pub(crate) mod read_back;
mod runtime;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use goblin_shared::{
    catalogue::Target,
    vocabulary::{self, Metric, MetricKind},
};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter},
};

pub(super) use self::gauges::{BusinessState, ModelState};
pub(crate) use self::{
    gauges::BreakerLevel,
    labels::{AuthMethod, AuthOutcome, DropReason, Mode, RequestOutcome, Signal, StoreCall},
};
use super::{
    genai::{
        GEN_AI_OPERATION_NAME, GEN_AI_PROVIDER_NAME, GEN_AI_REQUEST_MODEL, GEN_AI_TOKEN_TYPE, INPUT_TOKENS,
        OUTPUT_TOKENS,
    },
    slos::{Slo, Slos},
};
use crate::ports::LedgerOutcome;

/// All instruments of the backend. Copies count into the same.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(Arc<Instruments>);

#[derive(Debug)]
struct Instruments {
    meter: Meter,
    slos: Slos,
    auth_attempts: Counter<u64>,
    chat_duration: Histogram<f64>,
    chat_response_duration: Histogram<f64>,
    conversations_started: Counter<u64>,
    conversation_turns: Histogram<u64>,
    cost: Counter<f64>,
    cost_unknown: Counter<u64>,
    database_duration: Histogram<f64>,
    http_client_duration: Histogram<f64>,
    http_server_duration: Histogram<f64>,
    llm_attempts: Counter<u64>,
    llm_requests: Counter<u64>,
    operation_duration: Histogram<f64>,
    time_to_first_chunk: Histogram<f64>,
    token_usage: Histogram<u64>,
}

/// A request as the server saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerRequest<'a> {
    /// One of HTTP's methods, or `_OTHER`.
    pub(crate) method: &'a str,
    /// The route's template; `None`: nobody's path.
    pub(crate) route: Option<&'a str>,
    /// `None`: the client left before the head of the answer.
    pub(crate) status: Option<u16>,
    /// Why it failed.
    pub(crate) error_type: Option<&'static str>,
    /// To the end of the body.
    pub(crate) duration: Duration,
}

/// A call of a provider that is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProviderCall<'a> {
    /// `chat` or `embeddings`.
    pub(crate) operation: &'static str,
    /// Who was called.
    pub(crate) target: &'a Target,
    /// Host and port of a provider that is reached over HTTP.
    pub(crate) server: Option<(&'a str, u16)>,
    /// The status of its answer.
    pub(crate) status: Option<u16>,
    /// How it ended, as `goblin.outcome` has it.
    pub(crate) outcome: &'static str,
    /// Why it failed.
    pub(crate) error_type: Option<&'a str>,
    /// To the end of the answer.
    pub(crate) duration: Duration,
    /// To the first content of a streamed answer.
    pub(crate) first_chunk: Option<Duration>,
    /// Tokens of prompt and answer, as the provider reported them.
    pub(crate) tokens: Option<(u64, u64)>,
}

/// Statuses of requests that were not let in, so that nothing was promised to them.
const NOT_ADMITTED: [u16; 4] = [401, 402, 403, 429];

impl Metrics {
    /// Makes them. What objectives are judged by counts in `slos` too.
    pub(crate) fn new(meter: &Meter, slos: Slos) -> Self {
        Self(Arc::new(Instruments {
            meter: meter.clone(),
            slos,
            auth_attempts: counter(meter, &vocabulary::AUTH_ATTEMPTS),
            chat_duration: durations(meter, &vocabulary::CHAT_DURATION),
            chat_response_duration: durations(meter, &vocabulary::CHAT_RESPONSE_DURATION),
            conversations_started: counter(meter, &vocabulary::CONVERSATIONS_STARTED),
            conversation_turns: sizes(meter, &vocabulary::CONVERSATION_TURNS),
            cost: sum(meter, &vocabulary::LLM_COST),
            cost_unknown: counter(meter, &vocabulary::LLM_COST_UNKNOWN),
            database_duration: durations(meter, &vocabulary::DATABASE_OPERATION_DURATION),
            http_client_duration: durations(meter, &vocabulary::HTTP_CLIENT_REQUEST_DURATION),
            http_server_duration: durations(meter, &vocabulary::HTTP_SERVER_REQUEST_DURATION),
            llm_attempts: counter(meter, &vocabulary::LLM_ATTEMPTS),
            llm_requests: counter(meter, &vocabulary::LLM_REQUESTS),
            operation_duration: durations(meter, &vocabulary::GENAI_OPERATION_DURATION),
            time_to_first_chunk: durations(meter, &vocabulary::GENAI_TIME_TO_FIRST_CHUNK),
            token_usage: sizes(meter, &vocabulary::GENAI_TOKEN_USAGE),
        }))
    }

    /// Counts a decision on who asks: [`vocabulary::AUTH_ATTEMPTS`].
    pub(crate) fn auth_attempt(&self, method: AuthMethod, outcome: AuthOutcome) {
        let attributes = [KeyValue::new("method", method.as_str()), KeyValue::new("outcome", outcome.as_str())];
        self.0.auth_attempts.add(1, &attributes);
        // A bad credential that is told to be one is as it should be.
        self.0.slos.record(Slo::Auth, outcome != AuthOutcome::Error);
    }

    /// Counts a request that has ended: [`vocabulary::HTTP_SERVER_REQUEST_DURATION`].
    pub(crate) fn server_request(&self, request: ServerRequest<'_>) {
        let mut attributes = Vec::with_capacity(5);
        attributes.push(KeyValue::new("http.request.method", labels::known(request.method)));
        attributes.push(KeyValue::new("url.scheme", "http"));
        if let Some(route) = request.route {
            attributes.push(KeyValue::new("http.route", route.to_owned()));
        }
        if let Some(status) = request.status {
            attributes.push(KeyValue::new("http.response.status_code", i64::from(status)));
        }
        if let Some(error_type) = request.error_type {
            attributes.push(KeyValue::new("error.type", error_type));
        }
        self.0.http_server_duration.record(request.duration.as_secs_f64(), &attributes);
        let is_api = request.route.is_some_and(|route| route.starts_with("/v1/"));
        if let Some(status) = request.status.filter(|status| is_api && !NOT_ADMITTED.contains(status)) {
            self.0.slos.record(Slo::Api, status < 500);
        }
    }

    /// Counts a chat request whose answer has begun, or that never comes to one:
    /// [`vocabulary::CHAT_RESPONSE_DURATION`].
    pub(crate) fn chat_response(&self, mode: Mode, outcome: &'static str, duration: Duration) {
        let attributes = [KeyValue::new("mode", mode.as_str()), KeyValue::new("outcome", outcome)];
        self.0.chat_response_duration.record(duration.as_secs_f64(), &attributes);
        if outcome == LedgerOutcome::Completed.as_str() {
            self.0.slos.answered_after(duration);
        }
    }

    /// Counts a chat request that has ended: [`vocabulary::CHAT_DURATION`].
    pub(crate) fn chat_end(&self, mode: Mode, outcome: &'static str, duration: Duration) {
        let attributes = [KeyValue::new("mode", mode.as_str()), KeyValue::new("outcome", outcome)];
        self.0.chat_duration.record(duration.as_secs_f64(), &attributes);
    }

    /// Counts a settled request: [`vocabulary::LLM_REQUESTS`].
    pub(crate) fn llm_request(&self, outcome: RequestOutcome) {
        self.0.llm_requests.add(1, &[KeyValue::new("outcome", outcome.as_str())]);
        match outcome {
            RequestOutcome::Answered => self.0.slos.record(Slo::Llm, true),
            RequestOutcome::Failed | RequestOutcome::Unavailable => self.0.slos.record(Slo::Llm, false),
            // No provider is to blame.
            RequestOutcome::Rejected | RequestOutcome::Cancelled => {}
        }
    }

    /// Counts a call of a provider, with what the conventions measure of it.
    pub(crate) fn provider_call(&self, call: &ProviderCall<'_>) {
        let [provider, model] = labels_of(call.target);
        let error = call.error_type.map(|error| KeyValue::new("error.type", error.to_owned()));
        let mut attributes = vec![provider.clone(), model.clone(), KeyValue::new("outcome", call.outcome)];
        attributes.extend(error.clone());
        self.0.llm_attempts.add(1, &attributes);

        attributes.truncate(2);
        attributes.push(KeyValue::new(GEN_AI_OPERATION_NAME, call.operation));
        if let Some(first_chunk) = call.first_chunk {
            self.0.time_to_first_chunk.record(first_chunk.as_secs_f64(), &attributes);
        }
        if let Some((input, output)) = call.tokens {
            for (kind, tokens) in [(INPUT_TOKENS, input), (OUTPUT_TOKENS, output)] {
                attributes.truncate(3);
                attributes.push(KeyValue::new(GEN_AI_TOKEN_TYPE, kind));
                self.0.token_usage.record(tokens, &attributes);
            }
            attributes.truncate(3);
        }
        attributes.extend(error.clone());
        self.0.operation_duration.record(call.duration.as_secs_f64(), &attributes);

        if let Some((host, port)) = call.server {
            let mut attributes = vec![
                KeyValue::new("http.request.method", "POST"),
                KeyValue::new("server.address", host.to_owned()),
                KeyValue::new("server.port", i64::from(port)),
            ];
            attributes.extend(call.status.map(|status| KeyValue::new("http.response.status_code", i64::from(status))));
            attributes.extend(error);
            self.0.http_client_duration.record(call.duration.as_secs_f64(), &attributes);
        }
    }

    /// Counts what a request cost, in billionths of a dollar: [`vocabulary::LLM_COST`].
    pub(crate) fn cost(&self, target: &Target, nano_usd: u64) {
        #[expect(clippy::cast_precision_loss, reason = "costs are far below 2^53 billionths of a dollar")]
        let usd = nano_usd as f64 / 1e9;
        self.0.cost.add(usd, &labels_of(target));
    }

    /// Counts a request whose cost is not known: [`vocabulary::LLM_COST_UNKNOWN`].
    pub(crate) fn cost_unknown(&self, target: &Target) {
        self.0.cost_unknown.add(1, &labels_of(target));
    }

    /// Counts a conversation that was created: [`vocabulary::CONVERSATIONS_STARTED`].
    pub(crate) fn conversation_started(&self) {
        self.0.conversations_started.add(1, &[]);
    }

    /// Counts a turn that was kept, the `number`th of its conversation: [`vocabulary::CONVERSATION_TURNS`].
    pub(crate) fn conversation_turn(&self, number: u64) {
        self.0.conversation_turns.record(number, &[]);
    }

    /// Counts a call of the store: [`vocabulary::DATABASE_OPERATION_DURATION`].
    pub(crate) fn store_call(&self, call: StoreCall, error_type: Option<&'static str>, duration: Duration) {
        let mut attributes = call.attributes().to_vec();
        attributes.extend(error_type.map(|error| KeyValue::new("error.type", error)));
        self.0.database_duration.record(duration.as_secs_f64(), &attributes);
    }
}

fn labels_of(target: &Target) -> [KeyValue; 2] {
    [
        // Shared by all that is counted of a call.
        KeyValue::new(GEN_AI_PROVIDER_NAME, Arc::<str>::from(target.provider.as_str())),
        KeyValue::new(GEN_AI_REQUEST_MODEL, Arc::<str>::from(target.model.as_str())),
    ]
}

fn counter(meter: &Meter, metric: &Metric) -> Counter<u64> {
    meter.u64_counter(metric.name).with_unit(metric.unit).with_description(metric.description).build()
}

fn sum(meter: &Meter, metric: &Metric) -> Counter<f64> {
    meter.f64_counter(metric.name).with_unit(metric.unit).with_description(metric.description).build()
}

fn durations(meter: &Meter, metric: &Metric) -> Histogram<f64> {
    let builder = meter.f64_histogram(metric.name).with_unit(metric.unit).with_description(metric.description);
    builder.with_boundaries(bounds(metric)).build()
}

fn sizes(meter: &Meter, metric: &Metric) -> Histogram<u64> {
    let builder = meter.u64_histogram(metric.name).with_unit(metric.unit).with_description(metric.description);
    builder.with_boundaries(bounds(metric)).build()
}

fn bounds(metric: &Metric) -> Vec<f64> {
    match metric.kind {
        MetricKind::Histogram(bounds) => bounds.to_vec(),
        MetricKind::Counter | MetricKind::Gauge => Vec::new(),
    }
}
