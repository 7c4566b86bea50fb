//! Models of the wrong kind for a request's API.

use proptest::{prelude::*, sample::select};

use super::*;
use crate::catalogue::{BUILT_IN, Kind};

fn built_in() -> Catalogue {
    Catalogue::parse(BUILT_IN).unwrap()
}

fn of(api: Api, model: &str) -> Result<Planned, ClientError> {
    Plan::for_request(&built_in(), &ChatFacts { api, ..facts(model) }, &seeded(1))
}

#[test]
fn each_api_has_its_models() {
    for (api, model, first) in [
        (Api::ChatCompletions, "claude-haiku-4-5", "anthropic/claude-haiku-4-5"),
        (Api::Messages, "goblin-demo", "demo/goblin-demo"),
        (Api::Messages, "openai/gpt-4.1", "openai/gpt-4.1"),
        (Api::Embeddings, "goblin-demo-embedding", "demo/goblin-demo-embedding"),
        (Api::Embeddings, "gemini/gemini-embedding-001", "gemini/gemini-embedding-001"),
    ] {
        let plan = of(api, model).unwrap().plan;
        assert_eq!(plan.entries().iter().map(ToString::to_string).collect::<Vec<_>>(), [first]);
    }
    // Vectors of another model would be of no use: there is no fallback.
    assert_eq!(of(Api::Embeddings, "embed").unwrap().plan.entries().len(), 1);
}

#[test]
fn the_wrong_kind_is_told_where_it_belongs() {
    let refused = |api, model: &str| {
        let error = of(api, model).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidField, Some("model")));
        error.message
    };
    insta::assert_snapshot!(refused(Api::Embeddings, "gpt-4.1"), @"`gpt-4.1` chats and makes no embeddings: send it to POST /v1/chat/completions or POST /v1/messages, or name another model here, such as `embed`, `text-embedding-3-small`, `text-embedding-3-large`, `gemini-embedding-001`, `goblin-demo-embedding`.");
    insta::assert_snapshot!(refused(Api::Messages, "openai/text-embedding-3-small"), @"`openai/text-embedding-3-small` makes embeddings and does not chat: send it to POST /v1/embeddings, or name another model here, such as `auto`, `cheap`, `fast`, `smart`, `goblin-demo`.");
    assert_eq!(refused(Api::ChatCompletions, "embed"), refused(Api::Messages, "embed"));
    let chat_only = catalogue(&[("p", "")], r#""strategy":"quality","targets":[{"model":"p/m"}]"#);
    let facts = ChatFacts { api: Api::Embeddings, ..facts("a") };
    let error = Plan::for_request(&chat_only, &facts, &seeded(1)).unwrap_err();
    insta::assert_snapshot!(error.message, @"`a` chats and makes no embeddings: send it to POST /v1/chat/completions or POST /v1/messages.");
}

#[test]
fn near_names_are_of_the_right_kind() {
    let message = |api| of(api, "text-embeding-3-small").unwrap_err().message;
    insta::assert_snapshot!(message(Api::Embeddings), @"The model `text-embeding-3-small` does not exist here; did you mean `text-embedding-3-small`, `embed`? GET /v1/models lists all.");
    insta::assert_snapshot!(message(Api::ChatCompletions), @"The model `text-embeding-3-small` does not exist here; GET /v1/models lists them.");
}

#[test]
fn a_name_of_both_kinds_means_those_that_fit() {
    let json = r#"{"version":"1","providers":{"p":{"title":""},"q":{"title":""}},"models":[
        {"provider":"p","name":"m","context_window":1000,"max_output_tokens":500},
        {"provider":"q","name":"m","kind":"embedding","context_window":1000}]}"#;
    let catalogue = Catalogue::parse(json).unwrap();
    for (api, provider) in [(Api::Messages, "p"), (Api::Embeddings, "q")] {
        let planned = Plan::for_request(&catalogue, &ChatFacts { api, ..facts("m") }, &seeded(1)).unwrap();
        assert_eq!(order(&planned), (provider.to_owned(), &*format!("model m; first {provider}/m")));
    }
}

#[test]
fn of_many_inputs_the_longest_must_fit() {
    let plan = |prompt_tokens, longest_input_tokens| {
        let facts =
            ChatFacts { api: Api::Embeddings, prompt_tokens, longest_input_tokens, ..facts("gemini-embedding-001") };
        Plan::for_request(&built_in(), &facts, &seeded(1))
    };
    let reason = |prompt_tokens, longest| plan(prompt_tokens, longest).unwrap().reason;
    assert_eq!(reason(300_000, 2_048), "model gemini-embedding-001; first gemini/gemini-embedding-001");
    assert!(reason(2_049, 2_049).contains("context_doubtful"));
    let error = plan(5_000, 4_098).unwrap_err();
    assert_eq!((error.code, error.param.as_deref()), (ErrorCode::ContextLengthExceeded, Some("input")));
    insta::assert_snapshot!(error.message, @"The longest input has about 4098 tokens; `gemini-embedding-001` takes at most 2048. Split it.");
}

#[test]
fn what_messages_need_is_named_as_they_name_it() {
    let needs = Capabilities::JSON_SCHEMA.with(Capabilities::REASONING);
    for (needs, param) in [(needs, "output_config.format"), (Capabilities::REASONING, "thinking")] {
        let facts = ChatFacts { api: Api::Messages, needs, ..facts("goblin-demo") };
        let error = Plan::for_request(&built_in(), &facts, &seeded(1)).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param));
    }
}

proptest! {
    #[test]
    fn a_plan_holds_one_kind_and_a_refusal_names_no_other(
        api in select(Api::ALL.to_vec()),
        known in any::<prop::sample::Index>(),
        cut in 0_usize..3,
        seed in any::<u64>(),
    ) {
        let catalogue = built_in();
        let names: Vec<String> = catalogue
            .models()
            .iter()
            .flat_map(|model| [model.name.clone(), format!("{}/{}", model.provider, model.name)])
            .chain(catalogue.aliases().map(|(name, _)| name.to_owned()))
            .collect();
        let name = known.get(&names);
        let asked = &name[..name.len() - cut];
        match Plan::for_request(&catalogue, &ChatFacts { api, ..facts(asked) }, &seeded(seed)) {
            Ok(planned) => {
                let kinds = planned.plan.entries().iter().map(|entry| catalogue.model(entry).unwrap().kind);
                prop_assert!(kinds.into_iter().all(|kind| kind == api.kind()));
            }
            Err(error) => {
                // After what was asked for, models are offered between backticks.
                for offered in error.message.split('`').skip(3).step_by(2) {
                    let model = catalogue.resolve(offered)[0];
                    prop_assert_eq!(catalogue.model(model).map(|model| model.kind), Some(api.kind()), "{}", error.message);
                }
                let is_known = !catalogue.resolve(asked).is_empty();
                prop_assert_eq!(error.code == ErrorCode::InvalidField, is_known);
            }
        }
    }

    #[test]
    fn every_kind_can_be_spelt(kind in select(vec![Kind::Chat, Kind::Embedding])) {
        let max = if kind == Kind::Chat { r#","max_output_tokens":1"# } else { "" };
        let json = format!(
            r#"{{"version":"1","providers":{{"p":{{"title":""}}}},"models":[{{"provider":"p","name":"m","kind":"{}","context_window":9{max}}}]}}"#,
            kind.as_str()
        );
        prop_assert_eq!(Catalogue::parse(&json).unwrap().models()[0].kind, kind);
    }
}
