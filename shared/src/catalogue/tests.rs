use proptest::prelude::*;

use super::*;

#[test]
fn the_built_in_catalogue_is_valid() {
    let catalogue = Catalogue::parse(BUILT_IN).unwrap();
    let resolved = |asked: &str| catalogue.resolve(asked).into_iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(resolved("goblin-demo"), ["demo/goblin-demo"]);
    assert_eq!(resolved("openai/gpt-4o-mini"), ["openai/gpt-4o-mini"]);
    assert_eq!(
        resolved("cheap"),
        [
            "openai/gpt-4o-mini",
            "openai/gpt-4.1-mini",
            "openai/gpt-6-luna",
            "gemini/gemini-2.5-flash-lite",
            "anthropic/claude-haiku-5-5",
            "demo/goblin-demo"
        ]
    );
    assert_eq!(resolved("embed"), ["openai/text-embedding-3-small"]);
    assert!(resolved("demo/gpt-4o-mini").is_empty());
    assert!(resolved("").is_empty());
    assert!(catalogue.aliases().map(|(name, _)| name).eq(["auto", "cheap", "embed", "fast", "smart"]));
    for model in catalogue.models() {
        let [target] = catalogue.resolve(&format!("{}/{}", model.provider, model.name))[..] else {
            panic!("{model:?}")
        };
        assert_eq!(catalogue.model(target), Some(model));
        assert!(model.price(20_781).is_some(), "{model:?}");
    }
    // No plan leaves out what a chat's alias ends with: the demo, where all else fails.
    for (name, alias) in catalogue.aliases().filter(|(_, alias)| alias.kind() == Kind::Chat) {
        let resolved = resolved(name);
        assert!(resolved.len() <= crate::route::MOST_ENTRIES, "{name}: {resolved:?}");
        assert_eq!(resolved.last().map(String::as_str), Some("demo/goblin-demo"), "{name} {:?}", alias.strategy());
    }
}

#[test]
fn names_mean_all_who_list_them_and_qualified_ones_mean_one() {
    let json = r#"{
        "version": "1",
        "providers": { "a": { "title": "" }, "b": { "title": "" }, "c": { "title": "" } },
        "models": [
            { "provider": "a", "name": "c/m", "context_window": 9, "max_output_tokens": 1 },
            { "provider": "b", "name": "m", "context_window": 9, "max_output_tokens": 1 },
            { "provider": "c", "name": "m", "context_window": 9, "max_output_tokens": 1 }
        ],
        "aliases": {
            "bare": "b/m",
            "whole": {
                "strategy": "sticky",
                "targets": [{ "model": "b/m", "weight": 0 }, { "model": "c/m" }],
                "fallbacks": ["b/m"],
                "canary": { "model": "a/c/m", "percent": 5 }
            }
        }
    }"#;
    let catalogue = Catalogue::parse(json).unwrap();
    let resolved = |asked: &str| catalogue.resolve(asked).into_iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(resolved("m"), ["b/m", "c/m"]);
    assert_eq!(resolved("c/m"), ["c/m"]);
    assert_eq!(resolved("a/c/m"), ["a/c/m"]);
    assert_eq!(resolved("bare"), ["b/m"]);
    assert_eq!(resolved("whole"), ["c/m", "b/m", "a/c/m"]);
    let strategies: Vec<_> = catalogue.aliases().map(|(_, alias)| alias.strategy().as_str()).collect();
    assert_eq!(strategies, ["weighted", "sticky"]);
}

#[test]
fn the_price_is_the_newest_that_is_in_force() {
    let json = r#"{
        "version": "1",
        "providers": { "p": { "title": "" } },
        "models": [{
            "provider": "p", "name": "m", "context_window": 9, "max_output_tokens": 1, "regions": ["eu", "na"],
            "prices": [{ "from": "1970-01-11", "input": 2, "output": 3 }, { "from": "1970-01-21", "input": 1, "output": 1 }]
        }]
    }"#;
    let catalogue = Catalogue::parse(json).unwrap();
    let input = |day| catalogue.models()[0].price(day).map(|price| price.input);
    assert_eq!(
        [input(9), input(10), input(19), input(20), input(u32::MAX)],
        [None, Some(2), Some(2), Some(1), Some(1)]
    );
}

#[test]
fn prices_of_caches_reasoning_and_batches_are_optional() {
    let json = |kind: &str, prices: &str| {
        format!(
            r#"{{"version":"1","providers":{{"p":{{"title":""}}}},"models":[{{"provider":"p","name":"m",
            "context_window":9{kind},"prices":[{{"from":"1970-01-01","input":4{prices}}}]}}]}}"#
        )
    };
    let (chat, embedding) = (r#","max_output_tokens":1"#, r#","kind":"embedding""#);
    let price =
        |kind: &str, prices: &str| *Catalogue::parse(&json(kind, prices)).unwrap().models()[0].price(0).unwrap();
    let plain = Price {
        from: 0,
        input: 4,
        cached_input: None,
        cache_write_input: None,
        output: 9,
        reasoning: None,
        batch: None,
    };
    assert_eq!(price(chat, r#","output":9"#), plain);
    let all = r#","output":9,"cached_input":1,"cache_write_input":5,"reasoning":0,
        "batch":{"input":2,"cached_input":2,"output":3}"#;
    let batch = Some(BatchPrice { input: 2, cached_input: Some(2), output: 3 });
    let expected = Price { cached_input: Some(1), cache_write_input: Some(5), reasoning: Some(0), batch, ..plain };
    assert_eq!(price(chat, all), expected);
    let batch = Some(BatchPrice { input: 4, cached_input: None, output: 0 });
    assert_eq!(price(embedding, r#","batch":{"input":4}"#), Price { output: 0, batch, ..plain });
    for (kind, wrong, fault) in [
        (chat, r#","output":9,"cache_write_input":3"#, "`cache_write_input` is less than `input`"),
        (chat, r#","output":9,"reasoning":-1"#, "`reasoning` must be a whole number"),
        (chat, r#","output":9,"batch":{"input":5,"output":9}"#, "`batch` is dearer"),
        (chat, r#","output":9,"batch":{"input":4,"output":10}"#, "`batch` is dearer"),
        (chat, r#","output":9,"batch":{"input":4}"#, "`output` must be a whole number"),
        (chat, r#","output":9,"batch":7"#, "must be an object with input, cached_input, output"),
        (embedding, r#","batch":{"input":4,"output":1}"#, "unknown field `output`"),
        (embedding, r#","reasoning":1"#, "unknown field `reasoning`"),
    ] {
        let told = Catalogue::parse(&json(kind, wrong)).unwrap_err().to_string();
        assert!(told.contains(fault), "{wrong}: {told}");
    }
}

#[test]
fn all_faults_are_reported_at_once() {
    let json = r#"{
        "version": "",
        "providers": { "UPPER": { "title": "" }, "3rd": { "title": "" }, "ok": { "title": "" } },
        "models": [
            { "provider": "none", "name": "a b", "context_window": 1, "max_output_tokens": 2 },
            { "provider": "UPPER", "name": "m", "context_window": 1, "max_output_tokens": 1 },
            { "provider": "UPPER", "name": "m", "context_window": 1, "max_output_tokens": 1 },
            { "provider": "ok", "name": "n", "context_window": 1, "max_output_tokens": 1,
              "capabilities": ["tools", "fly"], "regions": ["eu", "EU"], "quality": 101,
              "prices": [
                  { "from": "2026-02-30", "input": 1, "output": 1 },
                  { "from": "2026-02-01", "input": 1, "output": 1, "cached_input": 2 },
                  { "from": "2026-02-01", "input": 1, "output": 1 }
              ] }
        ],
        "aliases": {
            "m": "UPPER/m",
            "ok/n": "ok/n",
            "two words": "ok/n",
            "bare": "nowhere",
            "empty": { "strategy": "best", "targets": [] },
            "drained": { "strategy": "weighted", "targets": [{ "model": "ok/n", "weight": 0 }] },
            "more": {
                "strategy": "sticky",
                "targets": [{ "model": "ok/n", "weight": 101 }, { "model": "ok/n" }, { "model": "ok/x" }],
                "fallbacks": ["ok/n", "ok/n", "ok/y"],
                "canary": { "model": "ok/n", "percent": 100 }
            },
            "unknown": {
                "strategy": "sticky",
                "targets": [{ "model": "ok/n" }],
                "canary": { "model": "ok/z", "percent": 1000 }
            }
        }
    }"#;
    insta::assert_snapshot!(Catalogue::parse(json).unwrap_err(), @r#"
    the catalogue is not valid:
      catalogue: `version`: use 1 to 64 printable ASCII characters without spaces
      provider `UPPER`: use 1 to 64 of a-z 0-9 _ - . with a letter first
      provider `3rd`: use 1 to 64 of a-z 0-9 _ - . with a letter first
      model `none/a b`: `name`: use 1 to 128 printable ASCII characters without spaces or quotes
      model `none/a b`: no such provider
      model `none/a b`: `max_output_tokens` is more than `context_window`
      model `UPPER/m`: listed twice
      model `ok/n`: `capabilities`: `fly` is none of tools, vision, json_schema, reasoning
      model `ok/n`: `regions`: `EU` is none of af, an, as, eu, na, oc, sa
      model `ok/n`: `quality` must be a whole number from 0 to 100
      model `ok/n`: `from` of a price must be a date such as 2026-01-31, from 1970 on
      model `ok/n`: `cached_input` is more than `input`
      model `ok/n`: prices must be in the order of their dates, one for each
      alias `m`: a model has this name
      alias `ok/n`: a model has this name
      alias `two words`: use 1 to 128 printable ASCII characters without spaces or quotes
      alias `bare`: `nowhere` is no model of this catalogue
      alias `empty`: `strategy` must be weighted, cheapest, fastest, quality or sticky
      alias `empty`: has no target
      alias `drained`: every target has weight 0, and there is no fallback
      alias `more`: `weight` must be a whole number from 0 to 100
      alias `more`: `ok/n` is a target twice
      alias `more`: `ok/x` is no model of this catalogue
      alias `more`: `ok/n` is a fallback twice
      alias `more`: `ok/y` is no model of this catalogue
      alias `more`: `percent` must be a whole number from 1 to 99
      alias `more`: the canary is one of the targets
      alias `unknown`: `percent` must be a whole number from 1 to 99
      alias `unknown`: `ok/z` is no model of this catalogue
    "#);
}

#[test]
fn embedding_models_have_no_answers_length_and_mix_with_nothing() {
    let json = |aliases: &str| {
        format!(
            r#"{{"version":"1","providers":{{"p":{{"title":""}},"q":{{"title":""}}}},"models":[
            {{"provider":"p","name":"chat","kind":"chat","context_window":9,"max_output_tokens":1}},
            {{"provider":"p","name":"e","kind":"embedding","context_window":9,"prices":[{{"from":"2026-01-01","input":2}}]}},
            {{"provider":"q","name":"e","kind":"embedding","context_window":9}},
            {{"provider":"q","name":"f","kind":"embedding","context_window":9}}],"aliases":{{{aliases}}}}}"#
        )
    };
    let target = |name: &str| format!(r#""strategy":"quality","targets":[{{"model":"{name}"}}]"#);
    let catalogue = Catalogue::parse(&json(&format!(r#""a":{{{},"fallbacks":["q/e"]}},"b":"p/chat""#, target("p/e"))));
    let catalogue = catalogue.unwrap();
    let kinds: Vec<Kind> = catalogue.models().iter().map(|model| model.kind).collect();
    assert_eq!(kinds, [Kind::Chat, Kind::Embedding, Kind::Embedding, Kind::Embedding]);
    assert_eq!(catalogue.models()[1].max_output_tokens, 0);
    assert_eq!(catalogue.models()[1].price(20_781).map(|price| (price.input, price.output)), Some((2, 0)));
    assert_eq!(catalogue.aliases().map(|(_, alias)| alias.kind()).collect::<Vec<_>>(), [Kind::Embedding, Kind::Chat]);
    let mixed = format!(
        r#""a":{{{},"fallbacks":["p/chat"]}},"b":{{{},"fallbacks":["q/f"]}},"c":{{{},"canary":{{"model":"p/e","percent":1}}}}"#,
        target("p/e"),
        target("p/e"),
        target("p/chat"),
    );
    insta::assert_snapshot!(Catalogue::parse(&json(&mixed)).unwrap_err(), @"
    the catalogue is not valid:
      alias `a`: chat and embedding models cannot stand for each other
      alias `b`: vectors of different embedding models cannot be compared; name one model of several providers
      alias `c`: chat and embedding models cannot stand for each other
    ");
    let wrong = r#"{"version":"1","providers":{"p":{"title":""}},"models":[
        {"provider":"p","name":"a","kind":"image","context_window":9,"max_output_tokens":1},
        {"provider":"p","name":"b","kind":7,"context_window":9,"max_output_tokens":1},
        {"provider":"p","name":"c","kind":"embedding","context_window":9,"max_output_tokens":1,"capabilities":["tools"],
         "prices":[{"from":"2026-01-01","input":2,"output":1}]}]}"#;
    insta::assert_snapshot!(Catalogue::parse(wrong).unwrap_err(), @"
    the catalogue is not valid:
      model `p/a`: `kind` must be chat or embedding
      model `p/b`: `kind` must be chat or embedding
      model `p/c`: unknown field `max_output_tokens`, known are provider, name, kind, context_window, regions, quality, prices
      model `p/c`: unknown field `capabilities`, known are provider, name, kind, context_window, regions, quality, prices
      model `p/c`: unknown field `output`, known are from, input, batch
    ");
}

#[test]
fn sizes_are_bounded() {
    let repeated = |count: usize, item: &dyn Fn(usize) -> String| (0..count).map(item).collect::<Vec<_>>().join(",");
    let models = |count| {
        repeated(count, &|index| {
            format!(r#"{{"provider":"p","name":"m{index}","context_window":1,"max_output_tokens":1}}"#)
        })
    };
    let targets = |count| repeated(count, &|index| format!(r#"{{"model":"p/m{index}"}}"#));
    let fallbacks = |count| repeated(count, &|index| format!(r#""p/m{index}""#));
    let json = |most: usize, version: &str| {
        format!(
            r#"{{"version":"{version}","providers":{{"p":{{"title":"{}"}}}},"models":[{}],
            "aliases":{{{},"x":{{"strategy":"quality","targets":[{}],"fallbacks":[{}]}}}}}}"#,
            "t".repeat(256 + most),
            models(512 + most),
            repeated(127 + most, &|index| format!(r#""a{index}":"p/m1""#)),
            targets(64 + most),
            fallbacks(8 + most),
        )
    };
    Catalogue::parse(&json(0, &"v".repeat(64))).unwrap();
    insta::assert_snapshot!(Catalogue::parse(&json(1, &"v".repeat(65))).unwrap_err(), @r#"
    the catalogue is not valid:
      catalogue: `version`: use 1 to 64 printable ASCII characters without spaces
      catalogue: `models` has more than 512
      catalogue: `aliases` has more than 128
      provider `p`: `title` is longer than 256 bytes
      alias `x`: `targets` has more than 64
      alias `x`: `fallbacks` has more than 8
    "#);
}

#[test]
fn wrong_types_and_misspelt_names_are_faults_among_others() {
    let json = r#"{
        "version": 1,
        "providers": { "p": { "title": "", "url": "" }, "q": [] },
        "models": [
            7,
            { "provider": "p", "name": "m", "context_window": 1.5, "max_output_tokens": -1, "capabilities": "tools",
              "regions": [1], "quality": "best", "prices": [{ "from": 2026, "input": "1" }, 1] }
        ],
        "alias": {},
        "aliases": {
            "number": 7,
            "shadowed": { "strategy": "sticky", "targets": [{ "weight": true }, "p/m"], "fallbacks": [1], "shadow": 1 },
            "canary": { "strategy": 1, "targets": [{ "model": "p/m" }], "canary": "p/m" }
        }
    }"#;
    insta::assert_snapshot!(Catalogue::parse(json).unwrap_err(), @r#"
    the catalogue is not valid:
      catalogue: unknown field `alias`, known are version, providers, models, aliases
      catalogue: `version` must be a text
      catalogue: `version`: use 1 to 64 printable ASCII characters without spaces
      provider `p`: unknown field `url`, known are title
      provider `q`: must be an object with title
      model `/`: must be an object with provider, name, kind, context_window, regions, quality, prices, max_output_tokens, capabilities
      model `p/m`: `context_window` must be a whole number from 1 to 4294967295
      model `p/m`: `max_output_tokens` must be a whole number from 1 to 4294967295
      model `p/m`: `capabilities` must be a list
      model `p/m`: `regions`: `` is none of af, an, as, eu, na, oc, sa
      model `p/m`: `quality` must be a whole number from 0 to 100
      model `p/m`: `from` must be a text
      model `p/m`: `from` of a price must be a date such as 2026-01-31, from 1970 on
      model `p/m`: `input` must be a whole number from 0 to 4294967295
      model `p/m`: `output` must be a whole number from 0 to 4294967295
      model `p/m`: must be an object with from, input, batch, cached_input, cache_write_input, output, reasoning
      alias `number`: must be an object with strategy, targets, fallbacks, canary
      alias `shadowed`: unknown field `shadow`, known are strategy, targets, fallbacks, canary
      alias `shadowed`: `weight` must be a whole number from 0 to 100
      alias `shadowed`: `model` must be a text
      alias `shadowed`: `` is no model of this catalogue
      alias `shadowed`: must be an object with model, weight
      alias `shadowed`: `` is no model of this catalogue
      alias `canary`: `strategy` must be a text
      alias `canary`: `strategy` must be weighted, cheapest, fastest, quality or sticky
      alias `canary`: must be an object with model, percent
    "#);
    insta::assert_snapshot!(Catalogue::parse("[]").unwrap_err(), @r#"
    the catalogue is not valid:
      catalogue: must be an object with version, providers, models, aliases
    "#);
    insta::assert_snapshot!(Catalogue::parse("{").unwrap_err(), @r#"
    the catalogue is not valid:
      EOF while parsing an object at line 1 column 1
    "#);
}

proptest! {
    #[test]
    fn parsing_never_panics(
        text in "\\PC*",
        place in 0..BUILT_IN.len(),
        insert in "[\\[\\]{}\",:0-9a-z-]{0,3}",
        remove in 0_usize..8,
    ) {
        let _ = Catalogue::parse(&text);
        let end = (place + remove).min(BUILT_IN.len());
        let _ = Catalogue::parse(&[&BUILT_IN[..place], &insert, &BUILT_IN[end..]].concat());
    }
}
