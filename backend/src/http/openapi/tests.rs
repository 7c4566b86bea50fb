use goblin_shared::error_body::ErrorCode;
use serde_json::Value;

use super::{document, examples, shapes};
use crate::{
    http::{authenticate::Access, health, layers},
    wire::{anthropic, openai},
};

fn json() -> Value {
    serde_json::from_str(&document().to_json().unwrap()).unwrap()
}

/// All operations of the document, each by method and path.
fn described(json: &Value) -> Vec<(String, String)> {
    let paths = json["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
    });
    operations.collect()
}

#[test]
fn every_route_is_described_and_nothing_else() {
    // HEAD is GET without the body, which the document need not say (RFC 9110, section 9.3.2).
    let routes = layers::service_routes().into_iter().chain(layers::probes());
    let routes = routes.filter(|route| route.path != health::INTERNAL);
    let mut served: Vec<_> = routes.map(|route| (route.method.to_string(), route.path.to_owned())).collect();
    served.sort_unstable();
    let mut described = described(&json());
    described.sort_unstable();
    assert_eq!(described, served);
}

/// All references below a value.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(elements) => elements.iter().for_each(|element| references(element, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_nothing_is_idle() {
    let json = json();
    let mut found = Vec::new();
    references(&json, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        assert!(json.pointer(pointer).is_some(), "{reference}");
    }
    for kind in ["schemas", "headers"] {
        for name in json["components"][kind].as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(found.contains(&reference.as_str()), "{reference}");
        }
    }
}

#[test]
fn every_code_is_told_where_requests_are_planned() {
    let json = json();
    let responses = &json["paths"]["/v1/messages"]["post"]["responses"];
    for code in ErrorCode::ALL {
        let told = &responses[code.status().to_string()];
        let of_path = matches!(code, ErrorCode::NotFound | ErrorCode::MethodNotAllowed);
        let name = format!("`{}`", code.as_str());
        let is_told = told["description"].as_str().is_some_and(|codes| codes.contains(&name));
        assert_eq!(is_told, !of_path, "{code:?}");
        if !of_path {
            assert_eq!(told["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/AnthropicError");
            assert_eq!(told["headers"]["retry-after"].is_null(), !matches!(code.status(), 429 | 503), "{code:?}");
        }
    }
    let codes = json["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"]["enum"].clone();
    assert_eq!(codes, ErrorCode::ALL.iter().map(|code| code.as_str()).collect::<Value>());
}

#[test]
fn operations_say_who_may_call_them_and_what_streams_are() {
    let json = json();
    let chat = &json["paths"]["/v1/chat/completions"]["post"];
    assert_eq!(chat["security"], serde_json::json!([{ "bearer": [] }, { "api_key": [] }]));
    assert_eq!(chat["requestBody"]["required"], true);
    let answer = &chat["responses"]["200"];
    assert!(answer["content"]["text/event-stream"].is_object());
    for field in ["x-request-id", "server-timing", "x-goblin-model"] {
        assert!(answer["headers"][field].is_object(), "{field}");
    }
    assert!(json["paths"]["/healthz"]["get"]["security"].is_null());
    assert!(json["components"]["securitySchemes"]["bearer"].is_object());
    assert!(json["openapi"].as_str().unwrap().starts_with("3."));
}

#[test]
fn operations_say_that_they_need_a_credential_where_they_do() {
    let json = json();
    for route in layers::service_routes().into_iter().chain(layers::probes()) {
        if route.access == Access::Edge {
            continue;
        }
        let operation = &json["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
        let needs = matches!(route.access, Access::Scope(_));
        assert_eq!(operation["security"].is_array(), needs, "{}", route.path);
        let told = |status: &str, code: &str| {
            operation["responses"][status]["description"].as_str().is_some_and(|text| text.contains(code))
        };
        assert_eq!(told("401", "`authentication_required`"), needs, "{}", route.path);
        assert_eq!(told("403", "`insufficient_scope`"), needs, "{}", route.path);
    }
}

#[test]
fn operations_have_ids_of_their_own() {
    let json = json();
    let operations = json["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let mut ids: Vec<_> = operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[test]
fn examples_are_read_by_the_types_that_they_are_examples_of() {
    let json = json();
    for (path, example) in [
        ("/v1/chat/completions", examples::chat_completion()),
        ("/v1/messages", examples::message()),
        ("/v1/embeddings", examples::embeddings()),
    ] {
        assert_eq!(json["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"], example);
    }
    openai::read_request(examples::chat_completion().to_string().as_bytes()).unwrap();
    anthropic::read_request(examples::message().to_string().as_bytes()).unwrap();
    crate::wire::embeddings::to_gemini(examples::embeddings().to_string().as_bytes(), "m").unwrap();
}

#[test]
fn requests_may_have_members_and_types_that_are_not_described() {
    let json = json();
    let schemas = &json["components"]["schemas"];
    for name in ["ChatCompletionRequest", "ChatMessage", "ChatFunction", "MessagesRequest", "MessagesTool"] {
        let others = schemas[name]["additionalProperties"].as_object().expect(name);
        // A schema that says nothing but what it is for takes everything.
        assert_eq!(others.keys().collect::<Vec<_>>(), ["description"], "{name}");
    }
    for name in shapes::OPEN {
        let kinds = schemas[name]["anyOf"].as_array().expect(name);
        let last = kinds.last().unwrap();
        assert_eq!((&last["type"], last.get("properties")), (&"object".into(), None), "{name}");
        for kind in &kinds[..kinds.len() - 1] {
            assert!(kind["properties"]["type"]["enum"].is_array(), "{name}");
        }
    }
}
