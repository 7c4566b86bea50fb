//! What each strategy makes of a few targets.

use super::*;

const TARGETS: &str = r#""targets":[{"model":"p/m"},{"model":"q/m"},{"model":"r/m"}]"#;

#[test]
fn the_best_come_first_and_equals_in_their_order() {
    let models = [("p", r#","quality":5"#), ("q", r#","quality":9"#), ("r", r#","quality":5"#)];
    let catalogue = catalogue(&models, &format!(r#""strategy":"quality",{TARGETS}"#));
    let planned = Plan::for_request(&catalogue, &facts("a"), &seeded(1)).unwrap();
    assert_eq!(order(&planned), ("q p r".into(), "alias a; quality; first q/m"));
}

#[test]
fn the_cheapest_is_so_for_this_prompt_and_day() {
    let models = [
        ("p", r#","prices":[{"from":"2026-01-01","input":10,"output":1}]"#),
        ("q", r#","prices":[{"from":"2026-01-01","input":1,"output":10},{"from":"2026-11-01","input":0,"output":0}]"#),
        ("r", ""),
    ];
    let catalogue = catalogue(&models, &format!(r#""strategy":"cheapest",{TARGETS}"#));
    let plan = |prompt_tokens, output_tokens, unix_days| {
        let facts = ChatFacts { output_tokens, ..prompt("a", prompt_tokens) };
        order(&Plan::for_request(&catalogue, &facts, &Circumstances { unix_days, ..seeded(1) }).unwrap()).0
    };
    assert_eq!(plan(500, Some(10), 20_500), "q p r");
    assert_eq!(plan(10, Some(500), 20_500), "p q r");
    // Of an answer of unknown length, 256 tokens are paid.
    assert_eq!([plan(255, None, 20_500), plan(257, None, 20_500)], ["p q r", "q p r"]);
    assert_eq!(plan(10, Some(500), 20_781), "q p r");
    // Before the first price, none is known.
    assert_eq!(plan(10, Some(500), 20_000), "p q r");
}

#[test]
fn the_fastest_is_so_by_measure_and_the_unknown_come_last() {
    let catalogue = catalogue(&[("p", ""), ("q", ""), ("r", "")], &format!(r#""strategy":"fastest",{TARGETS}"#));
    let mut health = well(&["p"]);
    health.model(&Target::parse("q/m").unwrap(), false, Some(300));
    health.model(&Target::parse("r/m").unwrap(), false, Some(200));
    let plan = |health: Option<&ProviderHealth>, seed| {
        let planned = Plan::for_request(&catalogue, &facts("a"), &Circumstances { health, ..seeded(seed) }).unwrap();
        let (order, reason) = order(&planned);
        (order, reason.to_owned())
    };
    let usual = ("r q p".to_owned(), "alias a; fastest; first r/m".to_owned());
    let explored = ("p r q".to_owned(), "alias a; fastest; exploring; first p/m".to_owned());
    let plans: Vec<_> = (0..2_000).map(|seed| plan(Some(&health), seed)).collect();
    let explorations = plans.iter().filter(|plan| **plan == explored).count();
    assert_eq!(plans.iter().filter(|plan| **plan == usual).count(), 2_000 - explorations);
    // One in twenty: 100, and five standard deviations of 9.7.
    assert!((52..=148).contains(&explorations), "{explorations}");
    assert_eq!(plan(None, 1).0, "p q r");
    health.model(&Target::parse("p/m").unwrap(), false, Some(100));
    assert!((0..100).all(|seed| plan(Some(&health), seed).0 == "p r q"));
}

#[test]
fn the_requests_region_is_preferred_and_never_required() {
    let models = [("p", r#","regions":["na"],"quality":9"#), ("q", r#","regions":["eu","as"],"quality":1"#), ("r", "")];
    let catalogue = catalogue(&models, &format!(r#""strategy":"quality",{TARGETS}"#));
    let plan = |region| {
        let planned = Plan::for_request(&catalogue, &facts("a"), &Circumstances { region, ..seeded(1) }).unwrap();
        let (order, reason) = order(&planned);
        (order, reason.to_owned())
    };
    assert_eq!(plan(Some("EU")), ("q r p".into(), "alias a; quality; region eu; first q/m".into()));
    assert_eq!(plan(Some("af")), ("r p q".into(), "alias a; quality; region af; first r/m".into()));
    for anywhere in [None, Some("T1"), Some("")] {
        assert_eq!(plan(anywhere), ("p q r".into(), "alias a; quality; first p/m".into()), "{anywhere:?}");
    }
}

#[test]
fn what_cannot_do_it_or_is_not_well_is_left_out_and_named() {
    let models = [("p", ""), ("q", TOOLS), ("r", TOOLS), ("s", TOOLS)];
    let alias = format!(r#""strategy":"quality",{TARGETS},"fallbacks":["s/m","p/m"]"#);
    let catalogue = catalogue(&models, &alias);
    let facts = ChatFacts { needs: Capabilities::TOOLS, ..facts("a") };
    let mut health = well(&["p", "s"]);
    health.provider("q", true);
    let plan = |health: &ProviderHealth| {
        Plan::for_request(&catalogue, &facts, &Circumstances { health: Some(health), ..seeded(1) }).unwrap()
    };
    let left_out = "left out p/m (tools), q/m (down), r/m (not offered)";
    let expected = format!("alias a; quality; first s/m; {left_out}");
    assert_eq!(order(&plan(&health)), ("s".into(), &*expected));
    health.model(&Target::parse("s/m").unwrap(), true, None);
    let hopeless = plan(&health);
    let expected = "alias a; quality; none is healthy; first q/m; left out p/m (tools)";
    assert_eq!(order(&hopeless), ("q r s".into(), expected));
}

const TOOLS: &str = r#","capabilities":["tools"]"#;

#[test]
fn drained_targets_get_nothing_but_may_be_fallbacks() {
    let models = [("p", ""), ("q", ""), ("r", "")];
    let alias = r#""strategy":"weighted","targets":[{"model":"p/m","weight":0},{"model":"q/m","weight":1},
        {"model":"r/m","weight":0}],"fallbacks":["r/m","q/m"]"#;
    let catalogue = catalogue(&models, alias);
    assert!((0..100).all(|seed| order(&Plan::for_request(&catalogue, &facts("a"), &seeded(seed)).unwrap()).0 == "q r"));
}

#[test]
fn a_canary_leads_and_the_others_follow() {
    let models = [("p", ""), ("q", ""), ("r", TOOLS)];
    let alias = r#""strategy":"quality","targets":[{"model":"p/m"}],"fallbacks":["r/m","q/m"],
        "canary":{"model":"q/m","percent":99}"#;
    let catalogue = catalogue(&models, alias);
    let plan = |facts: &ChatFacts<'_>, health| {
        // A seed and a key that are not the hundredth.
        let planned = Plan::for_request(&catalogue, facts, &Circumstances { health, ..seeded(3) }).unwrap();
        let (order, reason) = order(&planned);
        (order, reason.to_owned())
    };
    let keyed = ChatFacts { sticky: Some("k"), ..facts("a") };
    for facts in [facts("a"), keyed] {
        assert_eq!(plan(&facts, None), ("q p r".into(), "alias a; quality; canary; first q/m".into()));
    }
    let tools = ChatFacts { needs: Capabilities::TOOLS, ..facts("a") };
    assert_eq!(plan(&tools, None).0, "r");
    let mut health = well(&["p", "q", "r"]);
    health.provider("q", true);
    assert_eq!(plan(&facts("a"), Some(&health)).0, "p r");
}

#[test]
fn a_plan_is_bounded() {
    let models: Vec<String> = (0..64)
        .map(|index| {
            format!(
                r#"{{"provider":"p","name":"{}{index:02}","context_window":9999,"max_output_tokens":500}}"#,
                "m".repeat(120)
            )
        })
        .collect();
    let targets: Vec<String> =
        (0..64).map(|index| format!(r#"{{"model":"p/{}{index:02}"}}"#, "m".repeat(120))).collect();
    let json = format!(
        r#"{{"version":"1","providers":{{"p":{{"title":""}}}},"models":[{}],"aliases":{{"a":{{"strategy":"sticky","targets":[{}]}}}}}}"#,
        models.join(","),
        targets.join(",")
    );
    let catalogue = Catalogue::parse(&json).unwrap();
    let mut health = well(&["p"]);
    for index in 0..40 {
        health.model(&Target { provider: "p".into(), model: format!("{}{index:02}", "m".repeat(120)) }, true, None);
    }
    let circumstances = Circumstances { health: Some(&health), ..seeded(1) };
    let planned = Plan::for_request(&catalogue, &facts("a"), &circumstances).unwrap();
    assert_eq!((planned.plan.entries().len(), planned.reason.len()), (MOST_ENTRIES, REASON_BYTES));
    assert!(planned.reason.starts_with("alias a; sticky; no key; first p/m") && planned.reason.ends_with("..."));
}
