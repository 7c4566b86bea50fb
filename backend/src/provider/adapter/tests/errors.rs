use super::*;
use crate::ports::Obstacle;

const ANSWER: &str = r#"{"id":"a","object":"chat.completion","created":1,"model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;

async fn complete(response: Response) -> Result<Answer, ProviderError> {
    let provider = Upstream::answering([response]).await.provider(Family::OpenAi);
    provider.complete(openai_call(&provider)).await
}

#[tokio::test]
async fn answers_that_are_none_are_garbage() {
    for body in ["", "<html>", "[]", "null", "{", "{} {}"] {
        let error = complete(response(200, "application/json", body)).await.unwrap_err();
        assert!(matches!(error, ProviderError::Garbage(_)), "{body}: {error:?}");
    }
    for content_type in ["text/html", "text/plain; charset=utf-8", "text/event-stream", "application/jsonp"] {
        let error = complete(response(200, content_type, ANSWER)).await.unwrap_err();
        assert!(matches!(error, ProviderError::Garbage(_)), "{content_type}: {error:?}");
    }
    for content_type in ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"] {
        complete(response(200, content_type, ANSWER)).await.unwrap();
    }
    complete(Response::new(ANSWER.into())).await.unwrap();
}

#[tokio::test]
async fn an_error_with_a_successs_status_is_an_error() {
    let body = r#"{"error":{"message":"x","code":503}}"#;
    let error = complete(response(200, "application/json", body)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Reported { overloaded: true, .. }), "{error:?}");
    let body = r#"{"error":{"message":"x","code":400}}"#;
    let error = complete(response(200, "application/json", body)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Rejected { status: 400, .. }), "{error:?}");
}

#[tokio::test]
async fn a_key_whose_account_is_not_paid_gives_way_to_another() {
    let unpaid = r#"{"error":{"message":"x","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let mut answers = vec![response(429, "application/json", unpaid)];
    answers.extend((0..2).map(|_| response(200, "application/json", ANSWER)));
    let upstream = Upstream::answering(answers).await;
    let provider = upstream.provider_with(Family::OpenAi, |settings| {
        settings.keys = ["a", "b"].map(|key| Key { secret: key.into(), weight: 1 }).into();
    });
    let error = provider.complete(openai_call(&provider)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Status { status: 429, retry_after: None, .. }), "{error:?}");
    for index in [1, 2] {
        provider.complete(openai_call(&provider)).await.unwrap();
        assert_eq!(upstream.asked(index).1["authorization"], "Bearer b");
    }
}

#[tokio::test]
async fn errors_come_before_anything_else_and_redirects_are_not_followed() {
    for (status, stream) in [(500, true), (500, false), (302, true), (302, false)] {
        let mut response = response(status, "application/json", "{}");
        response.headers_mut().insert("location", "/elsewhere".parse().unwrap());
        let upstream = Upstream::answering([response]).await;
        let provider = upstream.provider(Family::OpenAi);
        let call = openai_call(&provider);
        let error = if stream {
            provider.stream(call).next().await.unwrap().unwrap_err()
        } else {
            provider.complete(call).await.unwrap_err()
        };
        assert_eq!(error.status(), Some(status));
        assert_eq!(upstream.seen.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_refused_key_gives_way_to_another() {
    let refused = || response(401, "application/json", "{}");
    let mut busy = response(429, "application/json", "{}");
    busy.headers_mut().insert("retry-after", "30".parse().unwrap());
    let upstream = Upstream::answering([refused(), busy, response(200, "application/json", ANSWER), refused()]).await;
    let provider = upstream.provider_with(Family::OpenAi, |settings| {
        settings.keys = ["a", "b", "c"].map(|key| Key { secret: key.into(), weight: 1 }).into();
    });
    let error = provider.complete(openai_call(&provider)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unauthorized { other_key: true, .. }), "{error:?}");
    let error = provider.complete(openai_call(&provider)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Overloaded { other_key: true, retry_after: Some(30), .. }), "{error:?}");
    provider.complete(openai_call(&provider)).await.unwrap();
    let error = provider.complete(openai_call(&provider)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unauthorized { other_key: false, .. }), "{error:?}");
    let used: Vec<_> = (0..4).map(|index| upstream.asked(index).1["authorization"].clone()).collect();
    assert_eq!(used, ["Bearer a", "Bearer b", "Bearer c", "Bearer c"]);
}

#[tokio::test]
async fn a_key_that_may_not_ask_one_model_is_used_for_others() {
    for (status, used_for_other) in [(401, ["b", "b"]), (403, ["b", "a"]), (429, ["b", "a"])] {
        let mut answers = vec![response(status, "application/json", "{}")];
        answers.extend((0..4).map(|_| response(200, "application/json", ANSWER)));
        let upstream = Upstream::answering(answers).await;
        let provider = upstream.provider_with(Family::OpenAi, |settings| {
            settings.keys = ["a", "b"].map(|key| Key { secret: key.into(), weight: 1 }).into();
        });
        provider.complete(openai_call(&provider)).await.unwrap_err();
        for model in ["up/1", "up/1", "up/2", "up/2"] {
            let mut call = openai_call(&provider);
            call.prepared.upstream_model = model.to_owned();
            provider.complete(call).await.unwrap();
        }
        let used = |index| upstream.asked(index).1["authorization"].to_str().unwrap().replace("Bearer ", "");
        assert_eq!([used(0), used(1), used(2)], ["a", "b", "b"], "{status}");
        assert_eq!([used(3), used(4)], used_for_other, "{status}");
    }
}

#[tokio::test]
async fn what_stands_in_the_way_is_told_without_the_url() {
    async fn obstacle(upstream: &Upstream, base_url: String) -> Obstacle {
        let provider = upstream.provider_with(Family::OpenAi, |settings| settings.base_url = base_url);
        let error = provider.complete(openai_call(&provider)).await.unwrap_err();
        assert!(!crate::monitoring::chain(&error).contains("/base"), "{error}");
        let ProviderError::Unreachable { why, .. } = error else { panic!("{error:?}") };
        why
    }
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = Upstream { address: gone.local_addr().unwrap(), seen: Seen::default() };
    drop(gone);
    assert_eq!(obstacle(&refusing, format!("http://{}/base", refusing.address)).await, Obstacle::Refused);
    assert_eq!(obstacle(&refusing, "http://goblin.invalid/base".to_owned()).await, Obstacle::Dns);
    let without_tls = Upstream::answering([]).await;
    assert_eq!(obstacle(&without_tls, format!("https://{}/base", without_tls.address)).await, Obstacle::Tls);
}

#[tokio::test]
async fn a_connection_that_takes_too_long_is_none() {
    // The system accepts connections for a listener, but nobody answers the TLS handshake.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = Upstream { address: listener.local_addr().unwrap(), seen: Seen::default() };
    let provider = silent.provider_with(Family::OpenAi, |settings| {
        settings.base_url = format!("https://{}/base", silent.address);
        settings.connect_timeout = Duration::from_millis(50);
    });
    let error = provider.complete(openai_call(&provider)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unreachable { why: Obstacle::TimedOut, .. }), "{error:?}");
    assert_eq!(error.error_type(), "connect_timed_out");
}
