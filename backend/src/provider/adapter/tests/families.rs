use serde_json::json;

use super::*;

const MESSAGES: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hello goblin"}]}"#;
const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hello goblin"}]}"#;

#[tokio::test]
async fn only_what_belongs_there_is_sent() {
    let body = r#"{ "id":"a","model":"m-1","x": 1.0,"choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}] }"#;
    let upstream = Upstream::answering([response(200, "application/json", body)]).await;
    let provider = upstream.provider_with(Family::OpenAi, |settings| {
        settings.query = Some("v=1".to_owned());
        settings.headers.insert("x-team", "goblins".parse().unwrap());
    });
    let request = request(Api::ChatCompletions, r#"{"y":[1e5],"model":"m"}"#);
    let answer = provider.complete(call(&provider, &request)).await.unwrap();
    assert_eq!((answer.body.as_ref(), answer.status), (body.as_bytes(), Some(200)));
    assert_eq!((answer.facts.id.as_deref(), answer.facts.model.as_deref()), (Some("a"), Some("m-1")));
    assert_eq!(answer.facts.finish_reasons, ["stop"]);
    let (url, head, body) = upstream.asked(0);
    assert_eq!(url, "/base/chat/completions?v=1");
    assert_eq!(body, r#"{"y":[1e5],"model":"up/1"}"#);
    let mut names: Vec<_> = head.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    let expected = [
        "accept",
        "authorization",
        "b3",
        "content-length",
        "content-type",
        "host",
        "traceparent",
        "user-agent",
        "x-team",
    ];
    assert_eq!(names, expected);
    assert_eq!(head["authorization"], "Bearer sk-test");
    assert_eq!(head["traceparent"], PARENT);
    assert_eq!(head["b3"], format!("{}-1", &PARENT[3..52]));
}

#[tokio::test]
async fn a_server_of_ones_own_is_told_what_the_caller_hands_along() {
    let upstream = Upstream::answering([response(200, "application/json", r#"{"choices":[{"message":{}}]}"#)]).await;
    let provider = upstream.provider_with(Family::OpenAi, |settings| settings.is_own = true);
    let request = request(Api::ChatCompletions, r#"{"model":"m"}"#);
    provider.complete(call(&provider, &request)).await.unwrap();
    let (_, head, _) = upstream.asked(0);
    assert_eq!(
        (&head["tracestate"], &head["baggage"]),
        (&"vendor=1".parse().unwrap(), &"tenant=acme".parse().unwrap())
    );
}

#[tokio::test]
async fn anthropic_passes_to_anthropic_with_its_fields() {
    let answer = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":4}}"#;
    let upstream = Upstream::answering([response(200, "application/json", answer)]).await;
    let provider = upstream.provider_with(Family::Anthropic, |settings| {
        settings.headers.insert("anthropic-beta", "configured-1".parse().unwrap());
    });
    let mut request = request(Api::Messages, MESSAGES);
    request.anthropic_beta = Some("asked-for-1".to_owned());
    let told = provider.complete(call(&provider, &request)).await.unwrap();
    assert_eq!(told.body, answer);
    assert_eq!(told.facts.usage.map(|usage| usage.prompt_tokens), Some(3));
    let (url, head, body) = upstream.asked(0);
    assert_eq!((url.as_str(), body), ("/base/v1/messages", MESSAGES.replace("\"m\"", "\"up/1\"")));
    assert_eq!(head["x-api-key"], "sk-test");
    assert_eq!(head["anthropic-version"], "2023-06-01");
    assert!(!head.contains_key("authorization"));
    let betas: Vec<_> = head.get_all("anthropic-beta").iter().collect();
    assert_eq!(betas, ["configured-1", "asked-for-1"]);
}

#[tokio::test]
async fn an_anthropic_stream_becomes_openais_chunks() {
    let body = [
        r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":4}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let named = |data: &str| format!("event: {}\ndata: {data}\n\n", json_of(data.as_bytes())["type"].as_str().unwrap());
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#;
    let bodies = [body.map(named).concat(), named(overloaded)];
    let upstream = Upstream::answering(bodies.map(|body| response(200, "text/event-stream", body))).await;
    let provider = upstream.provider(Family::Anthropic);
    let request = request(Api::ChatCompletions, &CHAT.replace("}]}", "}],\"stream\":true,\"max_tokens\":9}"));
    let events: Vec<_> = provider.stream(call(&provider, &request)).collect().await;
    let chunks = chunks(&events);
    assert!(chunks.iter().all(|chunk| chunk.event.is_none()), "{chunks:?}");
    let text = |chunk: &Chunk| {
        let chunk = json_of(chunk.data.as_bytes());
        chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)
    };
    assert_eq!(chunks.iter().filter_map(text).collect::<String>(), "hi");
    assert!(matches!(events.last(), Some(Ok(StreamEvent::Done))), "{events:?}");
    assert_eq!(json_of(upstream.asked(0).2.as_bytes())["model"], "up/1");

    let events: Vec<_> = provider.stream(call(&provider, &request)).collect().await;
    assert!(matches!(events.last(), Some(Err(ProviderError::Reported { overloaded: true, .. }))), "{events:?}");
}

#[tokio::test]
async fn gemini_answers_both_apis() {
    let answer = r#"{"responseId":"r","modelVersion":"gemini-x","candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"hi"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4,"totalTokenCount":7}}"#;
    let whole = response(200, "application/json; charset=UTF-8", answer);
    let complete = response(200, "text/event-stream", format!("data: {answer}\r\n\r\n"));
    let half = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"h\"}]}}]}\n\n";
    let upstream = Upstream::answering([whole, complete, response(200, "text/event-stream", half)]).await;
    let provider = upstream.provider(Family::Gemini);
    let told = provider.complete(call(&provider, &request(Api::ChatCompletions, CHAT))).await.unwrap();
    assert_eq!(json_of(&told.body)["choices"][0]["message"]["content"], "hi");
    assert_eq!(told.facts.finish_reasons, ["stop"]);
    assert_eq!(told.facts.usage.map(|usage| usage.completion_tokens), Some(4));

    let streamed = request(Api::Messages, &MESSAGES.replace("}]}", "}],\"stream\":true}"));
    let events: Vec<_> = provider.stream(call(&provider, &streamed)).collect().await;
    let names: Vec<_> = chunks(&events).into_iter().map(|chunk| chunk.event.unwrap()).collect();
    assert_eq!((names.first().unwrap().as_ref(), names.last().unwrap().as_ref()), ("message_start", "message_stop"));
    assert!(matches!(events.last(), Some(Ok(StreamEvent::Done))), "{events:?}");

    let events: Vec<_> = provider.stream(call(&provider, &streamed)).collect().await;
    assert!(matches!(events.last(), Some(Err(ProviderError::Cut))), "{events:?}");
    let urls: Vec<_> = (0..2).map(|index| upstream.asked(index).0).collect();
    assert_eq!(urls, ["/base/models/up%2F1:generateContent", "/base/models/up%2F1:streamGenerateContent?alt=sse"]);
    assert_eq!(upstream.asked(0).1["x-goog-api-key"], "sk-test");
}

#[tokio::test]
async fn embeddings_pass_or_are_translated() {
    let answer = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,0]}],"model":"e","usage":{"prompt_tokens":2,"total_tokens":2}}"#;
    let upstream = Upstream::answering([response(200, "application/json", answer)]).await;
    let provider = upstream.provider(Family::OpenAi);
    let request = request(Api::Embeddings, r#"{"model":"m","input":"Hello goblin"}"#);
    let told = provider.complete(call(&provider, &request)).await.unwrap();
    assert_eq!((told.body, told.facts.model.as_deref()), (Bytes::from(answer), Some("e")));
    assert_eq!(told.facts.usage.map(|usage| usage.prompt_tokens), Some(2));
    assert_eq!(upstream.asked(0).0, "/base/embeddings");

    let answer = response(200, "application/json", r#"{"embeddings":[{"values":[1,0]}]}"#);
    let upstream = Upstream::answering([answer]).await;
    let provider = upstream.provider(Family::Gemini);
    let told = provider.complete(call(&provider, &request)).await.unwrap();
    assert_eq!(json_of(&told.body)["data"][0]["object"], "embedding");
    assert_eq!(upstream.asked(0).0, "/base/models/up%2F1:batchEmbedContents");
}

#[tokio::test]
async fn the_demo_answers_all_apis() {
    let demo = Adapter::demo(Duration::ZERO, ["m".to_owned()].into(), Arc::new(Fixed));
    assert!(demo.offers("m") && !demo.offers("up/1") && demo.remote().is_none());
    let told = demo.complete(call(&demo, &request(Api::ChatCompletions, CHAT))).await.unwrap();
    assert_eq!((told.status, told.facts.model.as_deref()), (None, Some("m")));
    let told = demo.complete(call(&demo, &request(Api::Messages, MESSAGES))).await.unwrap();
    let said = json_of(&told.body);
    assert_eq!((&said["type"], &said["stop_reason"]), (&json!("message"), &json!("max_tokens")));
    let streamed = request(Api::Messages, &MESSAGES.replace("}]}", "}],\"stream\":true}"));
    let events: Vec<_> = demo.stream(call(&demo, &streamed)).collect().await;
    assert!(matches!(events.first(), Some(Ok(StreamEvent::Opened(None)))));
    assert_eq!(chunks(&events).last().unwrap().event.as_deref(), Some("message_stop"));
    assert!(matches!(events.last(), Some(Ok(StreamEvent::Done))), "{events:?}");
    let embeddings = request(Api::Embeddings, r#"{"model":"m","input":"Hello goblin","dimensions":3}"#);
    let told = demo.complete(call(&demo, &embeddings)).await.unwrap();
    assert_eq!(json_of(&told.body)["data"][0]["embedding"].as_array().unwrap().len(), 3);
}
