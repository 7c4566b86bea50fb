//! Tools: the model calls two, gets their results and speaks.

use goblin_tests::upstream::Script;
use serde_json::{Value, json};

use super::{CHAT, MESSAGES, PEERS, ask, served};
use crate::shared_stack::SharedStack;

fn schema() -> Value {
    // Gemini's own dialect of schemas does not know the last one.
    let properties = json!({"city": {"type": "string", "description": "Where"}});
    json!({"type": "object", "properties": properties, "required": ["city"], "additionalProperties": false})
}

pub(super) async fn chat_tools_go_all_the_way_round(shared: &SharedStack) {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "description": "Tells it", "parameters": schema()}});
    for (_, _, model) in PEERS {
        let scenario = shared.upstream.script(Script::Friendly);
        let more = json!({"tools": [tool("weather"), tool("time")], "tool_choice": "auto"});
        let mut body = ask(&scenario, model, "Please use both tools", more);
        let answer = served(shared, CHAT, &body).await;
        let choice = &answer["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls", "{model}: {answer}");
        let calls = choice["message"]["tool_calls"].as_array().unwrap_or_else(|| panic!("no calls in {answer}"));
        let told: Vec<(&str, &str)> = calls
            .iter()
            .map(|call| (call["function"]["name"].as_str().unwrap(), call["function"]["arguments"].as_str().unwrap()))
            .collect();
        assert_eq!(told.len(), 2, "{model}: {answer}");
        for ((name, arguments), expected) in told.iter().zip(["weather", "time"]) {
            assert_eq!(*name, expected, "{model}");
            assert_eq!(serde_json::from_str::<Value>(arguments).unwrap(), json!({"city": "goblin"}), "{model}");
        }
        assert_ne!(calls[0]["id"], calls[1]["id"], "{model}");

        let messages = body["messages"].as_array_mut().unwrap();
        messages.push(choice["message"].clone());
        for (call, result) in calls.iter().zip(["sunny", "noon"]) {
            messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": result}));
        }
        let answer = served(shared, CHAT, &body).await;
        assert_eq!(answer["choices"][0]["message"]["content"], "The tool said: sunny; noon", "{model}");
        assert_eq!(answer["choices"][0]["finish_reason"], "stop", "{model}");
    }
}

pub(super) async fn message_tools_go_all_the_way_round(shared: &SharedStack) {
    let tool = |name: &str| json!({"name": name, "description": "Tells it", "input_schema": schema()});
    for (_, _, model) in PEERS {
        let scenario = shared.upstream.script(Script::Friendly);
        let more = json!({"tools": [tool("weather"), tool("time")], "tool_choice": {"type": "auto"}});
        let mut body = ask(&scenario, model, "Please use both tools", more);
        let answer = served(shared, MESSAGES, &body).await;
        assert_eq!(answer["stop_reason"], "tool_use", "{model}: {answer}");
        let content = answer["content"].as_array().unwrap_or_else(|| panic!("no content in {answer}"));
        let calls: Vec<&Value> = content.iter().filter(|block| block["type"] == "tool_use").collect();
        let names: Vec<&str> = calls.iter().filter_map(|call| call["name"].as_str()).collect();
        assert_eq!(names, ["weather", "time"], "{model}: {answer}");
        assert!(calls.iter().all(|call| call["input"] == json!({"city": "goblin"})), "{model}: {answer}");

        let result = |(call, text): (&&Value, &str)| json!({"type": "tool_result", "tool_use_id": call["id"], "content": [{"type": "text", "text": text}]});
        let results: Vec<Value> = calls.iter().zip(["sunny", "noon"]).map(result).collect();
        let messages = body["messages"].as_array_mut().unwrap();
        messages.push(json!({"role": "assistant", "content": content}));
        messages.push(json!({"role": "user", "content": results}));
        let answer = served(shared, MESSAGES, &body).await;
        assert_eq!(answer["content"][0]["text"], "The tool said: sunny; noon", "{model}");
        assert_eq!(answer["stop_reason"], "end_turn", "{model}");
    }
}
