//! From a body to a plan.

use goblin_shared::{
    api::Api,
    catalogue::Catalogue,
    chat_request, limits,
    provider_health::ProviderHealth,
    request_id::RequestId,
    route::{Circumstances, Plan, Planned},
};

use crate::refusal::Refusal;

/// Reads what routing needs from the body of a request to `api`, and plans.
pub fn plan(
    catalogue: &Catalogue,
    api: Api,
    body: &[u8],
    region: Option<&str>,
    health: Option<&ProviderHealth>,
    request_id: RequestId,
) -> Result<Planned, Refusal> {
    let facts = chat_request::read(body, limits::JSON_DEPTH, api)?;
    let circumstances = Circumstances { region, health, ..Circumstances::of(&request_id) };
    Ok(Plan::for_request(catalogue, &facts, &circumstances)?)
}

#[cfg(test)]
mod tests {
    use goblin_shared::catalogue::BUILT_IN;

    use super::*;

    #[test]
    fn a_body_is_planned_or_refused() {
        let catalogue = Catalogue::parse(BUILT_IN).unwrap();
        let plan = |api, body: &str| plan(&catalogue, api, body.as_bytes(), None, None, RequestId::new(0, &[0; 10]));
        let message = r#""messages":[{"role":"user","content":"hi"}]"#;
        for (api, body, target) in [
            (Api::ChatCompletions, format!(r#"{{"model":"goblin-demo",{message}}}"#), "demo/goblin-demo"),
            (Api::Messages, format!(r#"{{"model":"goblin-demo","max_tokens":9,{message}}}"#), "demo/goblin-demo"),
            (Api::Embeddings, r#"{"model":"embed","input":"hi"}"#.to_owned(), "openai/text-embedding-3-small"),
        ] {
            let entries = plan(api, &body).unwrap().plan.entries().iter().map(ToString::to_string).collect::<Vec<_>>();
            assert_eq!(entries, [target], "{api:?}");
            assert_eq!(plan(api, "not json").unwrap_err().error.code.status(), 400);
        }
        let chat = |api, body| plan(api, body).unwrap_err().error;
        assert_eq!(chat(Api::ChatCompletions, r#"{"model":"nope","messages":[{}]}"#).code.status(), 422);
        let without_length = chat(Api::Messages, r#"{"model":"goblin-demo","messages":[{}]}"#);
        assert_eq!((without_length.code.status(), without_length.param.as_deref()), (400, Some("max_tokens")));
        let of_chat = chat(Api::Embeddings, r#"{"model":"goblin-demo","input":"hi"}"#);
        assert_eq!((of_chat.code.status(), of_chat.param.as_deref()), (400, Some("model")));
    }
}
