//! Plans as a field; what plans are made is tested in the files beside this one.

mod chance;
mod kinds;
mod properties;
mod refusals;
mod strategies;

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::{api::Api, catalogue::Capabilities, error_body::ErrorCode, provider_health::ProviderHealth};

fn facts(model: &str) -> ChatFacts<'_> {
    ChatFacts {
        api: Api::ChatCompletions,
        model: Cow::Borrowed(model),
        stream: false,
        include_usage: false,
        prompt_tokens: 10,
        longest_input_tokens: 10,
        output_tokens: None,
        choices: 1,
        needs: Capabilities::default(),
        sticky: None,
        service_tier: None,
        conversation_id: None,
    }
}

/// Facts of a prompt of so many tokens.
fn prompt(model: &str, tokens: u32) -> ChatFacts<'_> {
    ChatFacts { prompt_tokens: tokens, longest_input_tokens: tokens, ..facts(model) }
}

fn seeded(seed: u64) -> Circumstances<'static> {
    Circumstances { region: None, health: None, seed, unix_days: 20_781 }
}

/// A catalogue with one model of each of these providers, all alike but for what is said, and one alias, `a`.
fn catalogue(models: &[(&str, &str)], alias: &str) -> Catalogue {
    let models = models.iter().map(|(provider, more)| {
        format!(r#"{{"provider":"{provider}","name":"m","context_window":1000,"max_output_tokens":500{more}}}"#)
    });
    let models = models.collect::<Vec<_>>().join(",");
    let json = format!(
        r#"{{"version":"1","providers":{{"p":{{"title":""}},"q":{{"title":""}},"r":{{"title":""}},"s":{{"title":""}}}},
        "models":[{models}],"aliases":{{"a":{{{alias}}}}}}}"#
    );
    Catalogue::parse(&json).unwrap()
}

/// That alias with these weights, and nothing else.
fn weighted(strategy: &str, weights: &[(&str, u8)]) -> Catalogue {
    let models: Vec<(&str, &str)> = weights.iter().map(|(provider, _)| (*provider, "")).collect();
    let target = |(provider, weight): &(&str, u8)| format!(r#"{{"model":"{provider}/m","weight":{weight}}}"#);
    let targets = weights.iter().map(target).collect::<Vec<_>>().join(",");
    catalogue(&models, &format!(r#""strategy":"{strategy}","targets":[{targets}]"#))
}

fn well(providers: &[&str]) -> ProviderHealth {
    let mut health = ProviderHealth::default();
    for provider in providers {
        health.provider(provider, false);
    }
    health
}

/// The providers of a plan, in order, and its reason.
fn order(planned: &Planned) -> (String, &str) {
    let providers: Vec<&str> = planned.plan.entries().iter().map(|target| target.provider.as_str()).collect();
    (providers.join(" "), &planned.reason)
}

#[test]
fn a_plan_travels_as_a_structured_field() {
    let catalogue = catalogue(&[("p", ""), ("q", "")], r#""strategy":"quality","targets":[{"model":"p/m"}]"#);
    let plan = Plan::for_request(&catalogue, &facts("m"), &seeded(1)).unwrap().plan;
    assert_eq!(plan.to_field(), r#""p/m";v="1", "q/m";v="1""#);
    assert_eq!(Plan::parse(&plan.to_field()), Ok(plan));
}

#[test]
fn other_fields_are_refused() {
    for field in [
        "",
        "demo/goblin-demo",
        "\"demo/goblin-demo\"",
        "\"demo\";v=\"1\"",
        "(\"demo/goblin-demo\");v=\"1\"",
        "\"demo/a\";v=\"1\", \"demo/b\";v=\"2\"",
        "\"demo/a\";v=1",
    ] {
        assert_eq!(Plan::parse(field), Err(InvalidPlan), "{field}");
    }
}

proptest! {
    #[test]
    fn plans_round_trip(
        entries in prop::collection::vec(("[a-z0-9_.-]{1,12}", "[!#-\\[\\]-~]{1,20}"), 1..5),
        catalogue_version in "[!-~]{1,12}",
    ) {
        let entries = entries.into_iter().map(|(provider, model)| Target { provider, model }).collect();
        let plan = Plan { entries, catalogue_version };
        prop_assert_eq!(Plan::parse(&plan.to_field()), Ok(plan));
    }

    #[test]
    fn parsing_never_panics(field in "\\PC*") {
        let _ = Plan::parse(&field);
    }
}
