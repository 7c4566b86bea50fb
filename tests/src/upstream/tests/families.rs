//! Answers in each family's words.

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use super::super::*;
use crate::http_client;

const ALL: [Family; 3] = Family::ALL;

/// Where a family's requests go, with its key.
pub(super) fn post(upstream: &Upstream, family: Family, streams: bool) -> RequestBuilder {
    let client: Client = http_client::new();
    let base = upstream.base_url_of(family);
    match family {
        Family::OpenAi => client.post(format!("{base}/chat/completions")).bearer_auth("sk"),
        Family::Anthropic => client
            .post(format!("{base}/v1/messages"))
            .header("x-api-key", "sk")
            .header("anthropic-version", "2023-06-01"),
        Family::Gemini => {
            let method = if streams { "streamGenerateContent?alt=sse" } else { "generateContent" };
            client.post(format!("{base}/models/gemini-3.8-flash:{method}")).header("x-goog-api-key", "sk")
        }
    }
}

/// A request in the family's shape in which the user says `text` and two tools may be called.
pub(super) fn with_tools(family: Family, text: &str, streams: bool) -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let openai = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": schema}});
    let anthropic = |name: &str| json!({"name": name, "input_schema": schema});
    let gemini = |name: &str| json!({"name": name, "description": "d", "parameters": schema});
    match family {
        Family::OpenAi => json!({
            "model": "m", "messages": [{"role": "user", "content": text}], "stream": streams,
            "tools": [openai("weather"), openai("time")],
        }),
        Family::Anthropic => json!({
            "model": "m", "messages": [{"role": "user", "content": text}], "stream": streams, "max_tokens": 100,
            "tools": [anthropic("weather"), anthropic("time")],
        }),
        Family::Gemini => json!({
            "contents": [{"role": "user", "parts": [{"text": text}]}],
            "tools": [{"functionDeclarations": [gemini("weather"), gemini("time")]}],
        }),
    }
}

async fn send(upstream: &Upstream, family: Family, streams: bool, body: &Value) -> Response {
    let answer = post(upstream, family, streams).json(body).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{family:?}: {}", answer.text().await.unwrap());
    answer
}

/// The data of a stream's events.
async fn events(answer: Response) -> Vec<Value> {
    let text = answer.text().await.unwrap();
    text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

#[tokio::test]
async fn each_says_the_same_in_its_own_words() {
    let upstream = Upstream::start().await.unwrap();
    for family in ALL {
        let body = with_tools(family, "Say it cached", false);
        let answer: Value = send(&upstream, family, false, &body).await.json().await.unwrap();
        let (text, input, cached) = match family {
            Family::OpenAi => (
                &answer["choices"][0]["message"]["content"],
                &answer["usage"]["prompt_tokens"],
                &answer["usage"]["prompt_tokens_details"]["cached_tokens"],
            ),
            Family::Anthropic => (
                &answer["content"][0]["text"],
                &answer["usage"]["input_tokens"],
                &answer["usage"]["cache_read_input_tokens"],
            ),
            Family::Gemini => (
                &answer["candidates"][0]["content"]["parts"][0]["text"],
                &answer["usageMetadata"]["promptTokenCount"],
                &answer["usageMetadata"]["cachedContentTokenCount"],
            ),
        };
        assert_eq!(text, "Hello from the upstream", "{family:?}");
        // Anthropic tells what came from the cache apart.
        assert_eq!((input, cached), (&json!(if family == Family::Anthropic { 5 } else { 12 }), &json!(5)));
    }
}

#[tokio::test]
async fn streams_say_what_one_piece_says() {
    let upstream = Upstream::start().await.unwrap();
    for family in ALL {
        let answer = send(&upstream, family, true, &with_tools(family, "Hello", true)).await;
        let events = events(answer).await;
        let text = |event: &Value| {
            let text = match family {
                Family::OpenAi => &event["choices"][0]["delta"]["content"],
                Family::Anthropic => &event["delta"]["text"],
                Family::Gemini => &event["candidates"][0]["content"]["parts"][0]["text"],
            };
            text.as_str().map(str::to_owned)
        };
        let said: String = events.iter().filter_map(text).collect();
        assert_eq!(said, "Hello from the upstream", "{family:?}: {events:?}");
    }
}

#[tokio::test]
async fn tools_are_called_and_their_results_quoted() {
    let upstream = Upstream::start().await.unwrap();
    for family in ALL {
        let mut body = with_tools(family, "Please use both", false);
        let answer: Value = send(&upstream, family, false, &body).await.json().await.unwrap();
        match family {
            Family::OpenAi => {
                let message = answer["choices"][0]["message"].clone();
                let calls = message["tool_calls"].as_array().unwrap().clone();
                assert_eq!(calls[1]["function"]["name"], "time");
                assert_eq!(calls[0]["function"]["arguments"], "{\"city\":\"goblin\"}");
                let messages = body["messages"].as_array_mut().unwrap();
                messages.push(message);
                for call in calls {
                    messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "sunny"}));
                }
            }
            Family::Anthropic => {
                let content = answer["content"].as_array().unwrap().clone();
                assert_eq!((&content[1]["name"], &content[0]["input"]["city"]), (&json!("time"), &json!("goblin")));
                let result =
                    |call: &Value| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "sunny"});
                let results: Vec<Value> = content.iter().map(result).collect();
                let messages = body["messages"].as_array_mut().unwrap();
                messages.push(json!({"role": "assistant", "content": content}));
                messages.push(json!({"role": "user", "content": results}));
            }
            Family::Gemini => {
                let content = answer["candidates"][0]["content"].clone();
                assert_eq!(content["parts"][1]["functionCall"]["name"], "time");
                let result = json!({"functionResponse": {"name": "weather", "response": {"result": "sunny"}}});
                let contents = body["contents"].as_array_mut().unwrap();
                contents.push(content);
                contents.push(json!({"role": "user", "parts": [result.clone(), result]}));
            }
        }
        let answer = send(&upstream, family, false, &body).await.text().await.unwrap();
        assert!(answer.contains("The tool said: sunny; sunny"), "{family:?}: {answer}");
    }
}

#[tokio::test]
async fn calls_are_streamed() {
    let upstream = Upstream::start().await.unwrap();
    for family in ALL {
        let body = with_tools(family, "use the tool", true);
        let events = events(send(&upstream, family, true, &body).await).await;
        let part = |event: &Value| match family {
            Family::OpenAi => {
                let part = &event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"];
                part.as_str().map(str::to_owned)
            }
            Family::Anthropic => event["delta"]["partial_json"].as_str().map(str::to_owned),
            Family::Gemini => {
                let call = event["candidates"][0]["content"]["parts"][0].get("functionCall")?;
                Some(call["args"].to_string())
            }
        };
        let arguments: String = events.iter().filter_map(part).collect();
        assert_eq!(arguments, "{\"city\":\"goblin\"}", "{family:?}: {events:?}");
    }
}

#[tokio::test]
async fn scripts_speak_as_the_family_does() {
    let upstream = Upstream::start().await.unwrap();
    for family in ALL {
        let scenario = upstream.script(Script::error(429, "slow down", &[("retry-after", "7")]));
        let body = with_tools(family, &scenario.marker(), false);
        let answer = post(&upstream, family, false).json(&body).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &"7".parse().unwrap()));
        let error: Value = answer.json().await.unwrap();
        assert_eq!(error["error"]["message"], "slow down");
        let kind = match family {
            Family::OpenAi | Family::Anthropic => &error["error"]["type"],
            Family::Gemini => &error["error"]["status"],
        };
        let expected = match family {
            Family::OpenAi => "rate_limit_exceeded",
            Family::Anthropic => "rate_limit_error",
            Family::Gemini => "RESOURCE_EXHAUSTED",
        };
        assert_eq!(kind, expected);

        let (script, steps) = Script::lock_step();
        let scenario = upstream.script(script);
        let answer = send(&upstream, family, true, &with_tools(family, &scenario.marker(), true)).await;
        steps.text("one");
        steps.text("two");
        steps.finish();
        let text = answer.text().await.unwrap();
        assert!(text.contains("one") && text.contains("two"), "{text}");
        let (end, beginnings) = match family {
            Family::OpenAi => ("data: [DONE]\n\n", 0),
            Family::Anthropic => ("data: {\"type\":\"message_stop\"}\n\n", 1),
            Family::Gemini => ("}\n\n", 0),
        };
        assert!(text.ends_with(end), "{text}");
        assert_eq!(text.matches("event: message_start").count(), beginnings, "{text}");
        assert!(scenario.closed().await.played_to_its_end);
    }
}

#[tokio::test]
async fn texts_have_the_same_vector_everywhere() {
    let upstream = Upstream::start().await.unwrap();
    let client = http_client::new();
    let openai = |format: &str| {
        let body = json!({"model": "e", "input": ["a goblin", "b"], "encoding_format": format, "dimensions": 4});
        client.post(format!("{}/embeddings", upstream.base_url())).bearer_auth("sk").json(&body).send()
    };
    let floats: Value = openai("float").await.unwrap().json().await.unwrap();
    let packed: Value = openai("base64").await.unwrap().json().await.unwrap();
    let bytes = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        packed["data"][0]["embedding"].as_str().unwrap(),
    )
    .unwrap();
    let unpacked: Vec<f32> = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    assert_eq!(floats["data"][0]["embedding"], json!(unpacked));
    assert_eq!(floats["usage"]["prompt_tokens"], 3);

    let one = |text: &str| json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]}, "outputDimensionality": 4});
    let url = format!("{}/models/gemini-embedding-001:batchEmbedContents", upstream.base_url_of(Family::Gemini));
    let body = json!({"requests": [one("a goblin"), one("b")]});
    let answer = client.post(url).header("x-goog-api-key", "sk").json(&body).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["embeddings"][0]["values"], floats["data"][0]["embedding"]);
    assert_eq!(answer["embeddings"][1]["values"], floats["data"][1]["embedding"]);
}
