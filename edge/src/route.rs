//! From a body to a plan.

use goblin_shared::{
    catalogue::Catalogue,
    chat_request, limits,
    provider_health::ProviderHealth,
    request_id::RequestId,
    route::{Circumstances, Plan, Planned},
};

use crate::refusal::Refusal;

/// Reads what routing needs from the body, and plans.
pub fn plan(
    catalogue: &Catalogue,
    body: &[u8],
    region: Option<&str>,
    health: Option<&ProviderHealth>,
    request_id: RequestId,
) -> Result<Planned, Refusal> {
    let facts = chat_request::read(body, limits::JSON_DEPTH)?;
    let circumstances = Circumstances { region, health, ..Circumstances::of(&request_id) };
    Ok(Plan::for_chat(catalogue, &facts, &circumstances)?)
}

#[cfg(test)]
mod tests {
    use goblin_shared::catalogue::BUILT_IN;

    use super::*;

    #[test]
    fn a_body_is_planned_or_refused() {
        let catalogue = Catalogue::parse(BUILT_IN).unwrap();
        let plan = |body: &str| plan(&catalogue, body.as_bytes(), None, None, RequestId::new(0, &[0; 10]));
        let chat = plan(r#"{"model":"goblin-demo","messages":[{"role":"user","content":"hi"}]}"#).unwrap();
        assert_eq!(chat.plan.entries().len(), 1);
        assert_eq!(plan(r#"{"model":"nope","messages":[{}]}"#).unwrap_err().error.code.status(), 422);
        assert_eq!(plan("not json").unwrap_err().error.code.status(), 400);
    }
}
