//! What callers are told of limits and of stores that are down, and what is settled of their requests.

use axum::response::Response;
use goblin_shared::catalogue::{BUILT_IN, Catalogue};

use super::{Backend, body, chat, demo_request, error, next_frame};
use crate::{
    chat::recording::{self, Recorder, Told, Trouble},
    ports::{LedgerOutcome, ProviderError, Quota, StreamEvent},
    provider::scripted::text,
};

fn backend(recorder: &std::sync::Arc<Recorder>) -> Backend {
    let catalogue = Catalogue::parse(BUILT_IN).unwrap();
    Backend::with_accounts(recording::accounts(recorder, catalogue, Some(1_000_000_000)))
}

fn field<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

async fn message(response: Response) -> String {
    let error: serde_json::Value = serde_json::from_str(&body(response).await).unwrap();
    error["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_answer_tells_how_limits_stand_and_is_settled_before() {
    let recorder = Recorder::new(Trouble::None);
    let response = backend(&recorder).send(demo_request()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(field(&response, "ratelimit"), Some("\"user-requests\";r=0;t=50"));
    assert_eq!(field(&response, "ratelimit-policy"), Some("\"user-requests\";q=60;w=60"));
    let settlement = recorder.settlement();
    assert_eq!((settlement.outcome, settlement.provider.as_deref()), (LedgerOutcome::Completed, Some("demo")));
    assert_eq!((settlement.cost_nano_usd, settlement.tokens.estimated), (Some(0), false));
    let told = recorder.told();
    let [_, Told::Opened(entry), ..] = &told[..] else { panic!("{told:?}") };
    assert_eq!(entry.request_id.to_string(), field(&response, "x-request-id").unwrap());
    assert_eq!((entry.model_asked.as_str(), entry.owner.user.as_str()), ("goblin-demo", "anonymous"));
    assert!(entry.reserved.tokens > 4_096);
}

#[tokio::test]
async fn who_is_over_a_limit_is_told_which_and_nobody_is_called() {
    let cases = [
        (Quota::Requests, 429, "rate_limit_exceeded", Some("50"), None),
        (Quota::Tokens, 429, "rate_limit_exceeded", Some("50"), Some("false")),
        (Quota::DailySpend, 402, "budget_exceeded", None, None),
    ];
    for (quota, status, code, retry_after, should_retry) in cases {
        let recorder = Recorder::new(Trouble::Over(quota));
        let backend = backend(&recorder);
        let refused = backend.send(demo_request()).await;
        assert_eq!(field(&refused, "retry-after"), retry_after, "{quota:?}");
        // More than the whole limit fits into no minute.
        assert_eq!(field(&refused, "x-should-retry"), should_retry, "{quota:?}");
        assert!(field(&refused, "ratelimit").unwrap().contains(";r=0;t=50"));
        assert_eq!(error(refused).await, (status, code.to_owned()));
        assert_eq!(recorder.told(), []);
    }
    let recorder = Recorder::new(Trouble::Over(Quota::Requests));
    let told = message(backend(&recorder).send(demo_request()).await).await;
    assert_eq!(told, "user limit requests_per_minute: 60 of 60 used; resets at 2026-11-25T02:37:00Z");
}

#[tokio::test]
async fn nobody_is_called_for_what_cannot_be_written_down() {
    for (trouble, status, code, retry_after) in [
        (Trouble::LedgerDown, 503, "store_unavailable", Some("1")),
        (Trouble::LimitsDown, 503, "store_unavailable", Some("1")),
        (Trouble::Claimed, 409, "already_claimed", None),
    ] {
        let recorder = Recorder::new(trouble);
        let backend = backend(&recorder);
        let refused = backend.stream("").await.unwrap();
        assert_eq!(field(&refused, "retry-after"), retry_after, "{trouble:?}");
        assert_eq!(error(refused).await, (status, code.to_owned()));
        assert!(backend.provider.calls().is_empty());
    }
}

#[tokio::test]
async fn a_failure_is_settled_with_the_code_that_is_told() {
    // Before the head of the answer, and after it.
    for content in [false, true] {
        let recorder = Recorder::new(Trouble::None);
        let backend = backend(&recorder);
        let response = backend.stream("");
        if content {
            backend.play([text("a")]);
        }
        backend.steps.send(Err(ProviderError::Garbage("x"))).unwrap();
        let response = response.await.unwrap();
        assert!(field(&response, "ratelimit").is_some(), "failures tell it too");
        assert!(body(response).await.contains("provider_failed"));
        let settlement = recorder.settlement();
        assert_eq!((settlement.outcome, settlement.error_code), (LedgerOutcome::Failed, Some("provider_failed")));
        assert_eq!(settlement.tokens.completion > 0, content);
    }
}

#[tokio::test]
async fn who_leaves_in_mid_stream_is_settled_as_gone() {
    let recorder = Recorder::new(Trouble::None);
    let backend = backend(&recorder);
    let response = backend.stream("");
    backend.play([text("a")]);
    let mut answer = response.await.unwrap().into_body();
    assert!(next_frame(&mut answer).await.is_some());
    drop(answer);
    recorder.until(4).await;
    let settlement = recorder.settlement();
    assert_eq!((settlement.outcome, settlement.error_code), (LedgerOutcome::Cancelled, None));
    assert_eq!((settlement.tokens.completion, settlement.tokens.estimated), (1, true));
}

#[tokio::test]
async fn what_an_ending_program_cuts_off_is_settled_as_told() {
    // In mid-stream, before the first content, and before an answer in one piece.
    for (content, stream) in [(true, true), (false, true), (false, false)] {
        let recorder = Recorder::new(Trouble::None);
        let backend = if stream { backend(&recorder) } else { silent(&recorder) };
        let request = format!(r#"{{"model":"gpt-4.1","stream":{stream},"messages":[{{}}]}}"#);
        let router = backend.router.clone();
        let response = tokio::spawn(async move { tower::ServiceExt::oneshot(router, chat(&request)).await.unwrap() });
        if content {
            backend.play([text("a")]);
        }
        recorder.until(2).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        backend.shutdown.cut();
        let told = body(response.await.unwrap()).await;
        assert!(told.contains("shutting_down"), "{told}");
        recorder.until(4).await;
        let settlement = recorder.settlement();
        assert_eq!((settlement.outcome, settlement.error_code), (LedgerOutcome::Failed, Some("shutting_down")));
        assert_eq!(settlement.tokens.completion > 0, content);
    }
}

/// One whose provider takes calls, and answers none of them in one piece.
fn silent(recorder: &std::sync::Arc<Recorder>) -> Backend {
    let catalogue = Catalogue::parse(BUILT_IN).unwrap();
    let accounts = recording::accounts(recorder, catalogue, None);
    Backend::build(
        false,
        100,
        Some(std::sync::Arc::new(Silent)),
        crate::identity::Mode::Off,
        &crate::monitoring::metrics::read_back::unread(),
        accounts,
    )
}

struct Silent;

#[async_trait::async_trait]
impl crate::ports::Provider for Silent {
    fn remote(&self) -> Option<&crate::ports::Remote> {
        None
    }

    fn offers(&self, _model: &str) -> bool {
        true
    }

    fn prepare(
        &self,
        request: &crate::ports::ClientRequest,
        model: &str,
    ) -> Result<crate::ports::Prepared, crate::ports::Inexpressible> {
        crate::ports::Provider::prepare(&*crate::provider::scripted::Scripted::new("p"), request, model)
    }

    async fn complete(&self, _call: crate::ports::Call) -> Result<crate::ports::Answer, ProviderError> {
        std::future::pending().await
    }

    fn stream(&self, _call: crate::ports::Call) -> crate::ports::AnswerStream {
        Box::pin(futures_util::stream::pending::<Result<StreamEvent, ProviderError>>())
    }
}
