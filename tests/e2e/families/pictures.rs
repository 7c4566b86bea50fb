//! Pictures, by where they are and by their bytes, as each family wants them.

use goblin_tests::upstream::{Family, Script};
use serde_json::{Value, json};

use super::{CHAT, MESSAGES, PEERS, ask, served};
use crate::shared_stack::SharedStack;

const URL: &str = "https://goblin.example/cave.png";
/// A signature of PNG, which nobody here decodes further.
const BYTES: &str = "iVBORw0KGgo=";

pub(super) async fn pictures_reach_every_family_by_url_and_by_bytes(shared: &SharedStack) {
    let in_chat = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let data_url = format!("data:image/png;base64,{BYTES}");
    let by_url = json!({"type": "image", "source": {"type": "url", "url": URL}});
    let by_bytes = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": BYTES}});
    for (family, _, model) in PEERS {
        for (path, pictures) in
            [(CHAT, [in_chat(URL), in_chat(&data_url)]), (MESSAGES, [by_url.clone(), by_bytes.clone()])]
        {
            let scenario = shared.upstream.script(Script::Friendly);
            let mut body = ask(&scenario, model, "What is it?", json!({}));
            let text = json!({"type": "text", "text": body["messages"][0]["content"]});
            let [first, second] = pictures;
            body["messages"][0]["content"] = json!([text, first, second]);
            served(shared, path, &body).await;
            let sent = scenario.request().await.json();
            let parts = match family {
                Family::OpenAi | Family::Anthropic => sent["messages"][0]["content"].as_array(),
                Family::Gemini => sent["contents"][0]["parts"].as_array(),
            };
            let sent: Vec<&Value> = parts.unwrap_or_else(|| panic!("no parts in {sent}")).iter().skip(1).collect();
            assert_eq!(sent.len(), 2, "{model}, {path}: {sent:?}");
            match family {
                Family::OpenAi => {
                    assert_eq!(sent[0]["image_url"]["url"], URL, "{path}");
                    assert_eq!(sent[1]["image_url"]["url"], data_url, "{path}");
                }
                Family::Anthropic => assert_eq!(sent, [&by_url, &by_bytes], "{path}"),
                Family::Gemini => {
                    assert_eq!(sent[0]["fileData"]["fileUri"], URL, "{path}");
                    assert_eq!(sent[1]["inlineData"], json!({"mimeType": "image/png", "data": BYTES}), "{path}");
                }
            }
        }
    }
}
