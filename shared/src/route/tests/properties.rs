//! Any catalogue, any request, any health: compared with what the rules say, written down naively.

use proptest::{prelude::*, sample::subsequence};

use super::*;

const WORDS: [&str; 3] = ["tools", "vision", "json_schema"];

/// A world to plan in. Models are `p0/m0`, `p1/m1`, `p2/m2`, `p0/m3`, ….
#[derive(Clone, Debug)]
struct World {
    /// Window and capabilities (a bit for each of [`WORDS`]) of each model.
    models: Vec<(u32, u8)>,
    strategy: &'static str,
    targets: Vec<(usize, u8)>,
    fallbacks: Vec<usize>,
    canary: Option<(usize, u8)>,
    /// Whether each provider is offered, and is up.
    providers: [(bool, bool); 3],
    /// Whether each model is up, and its speed.
    measured: Vec<(bool, Option<u32>)>,
    knows_health: bool,
    needs: u8,
    prompt_tokens: u32,
    sticky: Option<String>,
    seed: u64,
}

prop_compose! {
    fn worlds()(count in 1_usize..14)(
        models in prop::collection::vec((1_000..4_000_u32, 0_u8..8), count),
        strategy in prop::sample::select(vec!["weighted", "cheapest", "fastest", "quality", "sticky"]),
        targets in subsequence((0..count).collect::<Vec<_>>(), 1..=count).prop_shuffle(),
        weights in prop::collection::vec(prop_oneof![Just(0_u8), 1..=100_u8], count),
        fallbacks in subsequence((0..count).collect::<Vec<_>>(), 0..=count.min(8)).prop_shuffle(),
        canary in prop::option::of((0..count, 1..=99_u8)),
        providers in any::<[(bool, bool); 3]>(),
        measured in prop::collection::vec((prop::bool::weighted(0.8), prop::option::of(1..2_000_u32)), count),
        knows_health in prop::bool::weighted(0.8),
        needs in prop_oneof![Just(0_u8), 0_u8..8],
        prompt_tokens in prop_oneof![0..1_000_u32, 0..10_000_u32],
        sticky in prop::option::of("[a-z]{1,8}"),
        seed in any::<u64>(),
    ) -> World {
        let mut targets: Vec<(usize, u8)> = targets.into_iter().zip(weights).collect();
        // What no catalogue may be: nothing to call at all.
        if fallbacks.is_empty() && targets.iter().all(|(_, weight)| *weight == 0) {
            targets[0].1 = 1;
        }
        let canary = canary.filter(|(canary, _)| targets.iter().all(|(target, _)| target != canary));
        World { models, strategy, targets, fallbacks, canary, providers, measured, knows_health, needs, prompt_tokens, sticky, seed }
    }
}

fn name(model: usize) -> String {
    format!("p{}/m{model}", model % 3)
}

impl World {
    fn catalogue(&self) -> Catalogue {
        let model = |(index, (window, capabilities)): (usize, &(u32, u8))| {
            let words = (0..3).filter(|bit| capabilities & (1 << bit) != 0).map(|bit| format!("\"{}\"", WORDS[bit]));
            let words = words.collect::<Vec<_>>().join(",");
            format!(
                r#"{{"provider":"p{}","name":"m{index}","context_window":{window},"max_output_tokens":500,"capabilities":[{words}]}}"#,
                index % 3
            )
        };
        let models = self.models.iter().enumerate().map(model).collect::<Vec<_>>().join(",");
        let target = |&(model, weight): &(usize, u8)| format!(r#"{{"model":"{}","weight":{weight}}}"#, name(model));
        let targets = self.targets.iter().map(target).collect::<Vec<_>>().join(",");
        let fallbacks = self.fallbacks.iter().map(|&model| format!("\"{}\"", name(model)));
        let fallbacks = fallbacks.collect::<Vec<_>>().join(",");
        let canary = self.canary.map_or("null".to_owned(), |(model, percent)| {
            format!(r#"{{"model":"{}","percent":{percent}}}"#, name(model))
        });
        let json = format!(
            r#"{{"version":"1","providers":{{"p0":{{"title":""}},"p1":{{"title":""}},"p2":{{"title":""}}}},"models":[{models}],
            "aliases":{{"a":{{"strategy":"{}","targets":[{targets}],"fallbacks":[{fallbacks}],"canary":{canary}}}}}}}"#,
            self.strategy
        );
        Catalogue::parse(&json).unwrap()
    }

    fn health(&self) -> ProviderHealth {
        let mut health = ProviderHealth::default();
        for (model, (is_up, speed)) in self.measured.iter().enumerate().filter(|(model, _)| self.providers[model % 3].0)
        {
            health.provider(&format!("p{}", model % 3), !self.providers[model % 3].1);
            health.model(&Target::parse(&name(model)).unwrap(), !is_up, *speed);
        }
        health
    }

    fn plan(&self) -> Result<Planned, ClientError> {
        let health = self.health();
        let needs = [Capabilities::TOOLS, Capabilities::VISION, Capabilities::JSON_SCHEMA];
        let needs = (0..3)
            .filter(|bit| self.needs & (1 << bit) != 0)
            .fold(Capabilities::default(), |all, bit| all.with(needs[bit]));
        let facts = ChatFacts { needs, sticky: self.sticky.as_deref(), ..prompt("a", self.prompt_tokens) };
        let circumstances = Circumstances { health: self.knows_health.then_some(&health), ..seeded(self.seed) };
        Plan::for_request(&self.catalogue(), &facts, &circumstances)
    }

    fn is_capable(&self, model: usize) -> bool {
        self.models[model].1 & self.needs == self.needs
    }

    fn fits(&self, model: usize) -> bool {
        self.prompt_tokens + 256 <= self.models[model].0
    }

    fn is_well(&self, model: usize) -> bool {
        let (is_offered, is_up) = self.providers[model % 3];
        !self.knows_health || is_offered && is_up && self.measured[model].0
    }

    /// Targets that get anything, and then fallbacks that are none of them.
    fn listed(&self) -> Vec<usize> {
        let mut listed: Vec<usize> =
            self.targets.iter().filter(|(_, weight)| *weight > 0).map(|(model, _)| *model).collect();
        let targets = listed.clone();
        listed.extend(self.fallbacks.iter().copied().filter(|fallback| !targets.contains(fallback)));
        listed
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn plans_are_what_the_rules_say(world in worlds()) {
        let capable: Vec<usize> = world.listed().into_iter().filter(|&model| world.is_capable(model)).collect();
        let largest = capable.iter().map(|&model| world.models[model].0).max();
        let planned = match world.plan() {
            Ok(planned) => planned,
            Err(error) => {
                let expected = largest.map_or(ErrorCode::InvalidField, |_| ErrorCode::ContextLengthExceeded);
                prop_assert_eq!(error.code, expected);
                prop_assert!(largest.is_none_or(|largest| world.prompt_tokens > 2 * largest));
                return Ok(());
            }
        };
        prop_assert!(largest.is_some_and(|largest| world.prompt_tokens / 2 <= largest));
        let model_of = |target: &Target| target.model[1..].parse::<usize>().unwrap();
        let entries: Vec<usize> = planned.plan.entries().iter().map(model_of).collect();

        // What may be called: what fits, or else what is largest; of that what is well, if anything is.
        let fitting: Vec<usize> = capable.iter().copied().filter(|&model| world.fits(model)).collect();
        let largest = |model: &usize| Some(world.models[*model].0) == largest;
        let possible = if fitting.is_empty() { capable.into_iter().filter(largest).collect() } else { fitting };
        let is_canary = planned.reason.contains("; canary");
        let canary = world.canary.map(|(canary, _)| canary).filter(|_| is_canary);
        let healthy: Vec<usize> = possible.iter().copied().filter(|&model| world.is_well(model)).collect();
        let is_hopeless = healthy.is_empty() && !canary.is_some_and(|canary| world.is_well(canary));
        let mut expected = if is_hopeless { possible } else { healthy };
        if let Some(canary) = canary {
            prop_assert!(world.is_capable(canary) && world.fits(canary) && (is_hopeless || world.is_well(canary)));
            expected.retain(|&model| model != canary);
            expected.insert(0, canary);
            prop_assert_eq!(entries[0], canary);
        }
        prop_assert_eq!(is_hopeless, planned.reason.contains("none is healthy"));
        prop_assert_eq!(entries.len(), expected.len().min(MOST_ENTRIES));
        prop_assert!((1..=MOST_ENTRIES).contains(&entries.len()));

        // Targets in any order, then fallbacks in theirs.
        let targets = expected.iter().filter(|&&model| {
            Some(model) == canary || world.targets.iter().any(|&(target, weight)| target == model && weight > 0)
        }).count();
        let sorted = |models: &[usize]| { let mut models = models.to_vec(); models.sort_unstable(); models };
        if targets <= MOST_ENTRIES {
            prop_assert_eq!(sorted(&entries[..targets]), sorted(&expected[..targets]));
            prop_assert_eq!(&entries[targets..], &expected[targets..entries.len()]);
        } else {
            prop_assert!(entries.iter().all(|model| expected[..targets].contains(model)));
        }
        prop_assert!(planned.reason.len() <= REASON_BYTES && planned.reason.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        prop_assert_eq!(world.plan(), Ok(planned));
    }

    #[test]
    fn conversations_move_only_when_their_target_leaves(world in worlds(), gone in any::<prop::sample::Index>()) {
        let world = World { strategy: "sticky", sticky: Some("key".into()), canary: None, ..world };
        let Ok(before) = world.plan() else { return Ok(()) };
        if before.reason.contains("none is healthy") || before.reason.contains("doubtful") {
            return Ok(());
        }
        let entries = before.plan.entries();
        let gone = &entries[gone.index(entries.len())];
        let mut after = world.clone();
        after.knows_health = true;
        if !world.knows_health {
            after.providers = [(true, true); 3];
            after.measured.iter_mut().for_each(|(is_up, _)| *is_up = true);
        }
        after.measured[gone.model[1..].parse::<usize>().unwrap()].0 = false;
        let rest: Vec<_> = entries.iter().filter(|entry| *entry != gone).collect();
        if !rest.is_empty() {
            let after = after.plan().unwrap();
            prop_assert_eq!(after.plan.entries().iter().take(rest.len()).collect::<Vec<_>>(), rest);
        }
    }
}
