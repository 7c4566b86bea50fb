//! Shares of many requests, within five standard deviations, for seeds and keys that are always the same.

use super::*;

const REQUESTS: u32 = 20_000;

/// Whether `count` of [`REQUESTS`] is what a probability of `share` / `of` makes likely.
fn is_likely(count: u32, share: u32, of: u32) -> bool {
    let share = f64::from(share) / f64::from(of);
    let (expected, deviation) = (f64::from(REQUESTS) * share, (f64::from(REQUESTS) * share * (1.0 - share)).sqrt());
    (f64::from(count) - expected).abs() <= 5.0 * deviation
}

/// A request's id, as its hops would see it.
fn seed(request: u32) -> u64 {
    crate::request_id::RequestId::new(
        0,
        &std::array::from_fn(|at| request.to_be_bytes().get(at.wrapping_sub(6)).copied().unwrap_or(0)),
    )
    .seed()
}

fn first(catalogue: &Catalogue, sticky: Option<&str>, seed: u64, health: Option<&ProviderHealth>) -> String {
    let facts = ChatFacts { sticky, ..facts("a") };
    let circumstances = Circumstances { health, ..seeded(seed) };
    Plan::for_request(catalogue, &facts, &circumstances).unwrap().plan.entries()[0].provider.clone()
}

const WEIGHTS: [(&str, u8); 4] = [("p", 60), ("q", 25), ("r", 14), ("s", 1)];

#[test]
fn weights_are_met() {
    let catalogue = weighted("weighted", &WEIGHTS);
    let plans = (0..REQUESTS)
        .map(|request| order(&Plan::for_request(&catalogue, &facts("a"), &seeded(seed(request))).unwrap()).0);
    let plans: Vec<String> = plans.collect();
    for (provider, weight) in WEIGHTS {
        let count = plans.iter().filter(|plan| plan.starts_with(provider)).count();
        assert!(is_likely(u32::try_from(count).unwrap(), weight.into(), 100), "{provider}: {count}");
    }
    // The second is drawn by weight among those that are left: q after p with 0.6 × 25/40.
    let count = plans.iter().filter(|plan| plan.starts_with("p q")).count();
    assert!(is_likely(u32::try_from(count).unwrap(), 375, 1_000), "{count}");
}

#[test]
fn weights_are_met_among_those_that_are_well() {
    let catalogue = weighted("weighted", &WEIGHTS);
    let health = well(&["q", "r", "s"]);
    let count = (0..REQUESTS).filter(|&request| first(&catalogue, None, seed(request), Some(&health)) == "q").count();
    assert!(is_likely(u32::try_from(count).unwrap(), 25, 40), "{count}");
}

#[test]
fn conversations_are_spread_by_weight() {
    let catalogue = weighted("sticky", &WEIGHTS);
    let firsts: Vec<String> =
        (0..REQUESTS).map(|key| first(&catalogue, Some(&format!("conversation-{key}")), 1, None)).collect();
    for (provider, weight) in WEIGHTS {
        let count = firsts.iter().filter(|first| *first == provider).count();
        assert!(is_likely(u32::try_from(count).unwrap(), weight.into(), 100), "{provider}: {count}");
    }
}

#[test]
fn conversations_stay_where_they_are_whatever_else_changes() {
    let all = weighted("sticky", &WEIGHTS);
    let more_of_q = weighted("sticky", &[("p", 60), ("q", 35), ("r", 14), ("s", 1)]);
    for key in (0..1_000).map(|key| key.to_string()) {
        let before = first(&all, Some(&key), 1, None);
        assert_eq!(first(&all, Some(&key), 2, None), before);
        for left in ["p", "q", "r", "s"] {
            let providers: Vec<&str> = ["p", "q", "r", "s"].into_iter().filter(|provider| *provider != left).collect();
            let after = first(&all, Some(&key), 3, Some(&well(&providers)));
            assert!(if before == left { after != left } else { after == before }, "{key}: {before}, {after}");
        }
        let after = first(&more_of_q, Some(&key), 4, None);
        assert!(after == before || after == "q", "{key}: {before}, {after}");
    }
}

#[test]
fn a_canary_gets_its_percentage_of_requests_and_of_conversations() {
    for percent in [1, 5, 50, 99] {
        let alias = format!(
            r#""strategy":"weighted","targets":[{{"model":"p/m"}},{{"model":"r/m"}}],"canary":{{"model":"q/m","percent":{percent}}}"#
        );
        let catalogue = catalogue(&[("p", ""), ("q", ""), ("r", "")], &alias);
        let requests = (0..REQUESTS).map(|request| first(&catalogue, None, seed(request), None)).collect::<Vec<_>>();
        let of_canary = requests.iter().filter(|first| *first == "q").count();
        assert!(is_likely(u32::try_from(of_canary).unwrap(), percent, 100), "{percent} %: {of_canary}");
        // What it leaves is spread as without it.
        let of_p = requests.iter().filter(|first| *first == "p").count();
        assert!(is_likely(u32::try_from(of_p).unwrap(), 100 - percent, 200), "{percent} %: {of_p}");
        let keyed = |key: u32| first(&catalogue, Some(&key.to_string()), seed(key), None) == "q";
        let of_keys = (0..REQUESTS).filter(|&key| keyed(key)).count();
        assert!(is_likely(u32::try_from(of_keys).unwrap(), percent, 100), "{percent} %: {of_keys}");
        let again = |key| first(&catalogue, Some(&format!("{key}")), seed(key + 1), None) == "q";
        assert!((0..1_000).all(|key| again(key) == keyed(key)));
    }
}
