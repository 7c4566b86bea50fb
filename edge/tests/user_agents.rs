//! Which User-Agents the edge knows: all that the list knows, no browser, and exactly what the list's patterns say.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use goblin_edge::admit::user_agent::{AgentClass, Listed, classify};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use regex::bytes::{RegexSet, RegexSetBuilder};
use serde::Deserialize;

/// Agents of the package that are not classified, each with what it really is.
const SPARED: [&str; 4] = [
    // A web view of Instagram; it is listed for the build of Android 15 that many telephones have.
    "Mozilla/5.0 (Linux; Android 15; CPH2557 Build/AP3A.240617.008; wv) AppleWebKit/537.36 (KHTML, like Gecko) \
     Version/4.0 Chrome/142.0.7444.142 Mobile Safari/537.36 Instagram 406.0.0.58.159 Android (35/15; 480dpi; 1080x2400; \
     OPPO; CPH2557; OP573DL1; mt6833; en_MY; 822918295; IABMV/1) NV/1",
    // A web view of Visual Studio Code, whoever looks at it.
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Code/1.115.0 \
     Chrome/142.0.7444.265 Electron/39.8.5 Safari/537.36",
    // The same of the editor Trae.
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Trae/1.107.1 \
     Chrome/142.0.7444.235 Electron/39.2.7 Safari/537.36",
    // A web site that a person keeps as an application.
    "Mozilla/5.0 (Macintosh; U; Intel Mac OS X 10_5_6; en-us) AppleWebKit/528.16 (KHTML, like Gecko) Fluid/0.9.6 \
     Safari/528.16",
];

#[test]
fn the_list_is_what_the_installed_package_says() {
    // Stated anew, so that a change of what `cargo xtask generate` does is seen here.
    let class = |tags: &[String]| {
        let has = |tag: &str| tags.iter().any(|known| known == tag);
        match () {
            () if has("ai-crawler") => "ai_crawler",
            () if has("browser-automation") => "headless_browser",
            () if has("http-library") => "scripted_tool",
            () if has("search-engine") => "search_crawler",
            () => "crawler",
        }
    };
    let package: BTreeSet<_> =
        PACKAGE.iter().map(|entry| (class(&entry.tags).to_owned(), entry.pattern.clone())).collect();
    let file: BTreeSet<_> = list("crawlers.tsv").into_iter().collect();
    assert!(
        package == file,
        "edge/crawlers.tsv is not what the package says: run `cargo xtask generate`\nonly in the package: {:?}\nonly in \
         the file: {:?}",
        package.difference(&file),
        file.difference(&package)
    );
}

#[test]
fn every_agent_that_the_package_knows_is_classified() {
    let instances: Vec<&str> = instances().collect();
    assert!(instances.len() > 2_000, "the package knows only {} agents", instances.len());
    let missed: BTreeSet<&str> = instances.into_iter().filter(|agent| classify(agent).is_none()).collect();
    assert_eq!(missed, BTreeSet::from(SPARED));
}

#[test]
fn no_browser_is_classified() {
    assert!(BROWSERS.len() >= 80, "{}", BROWSERS.len());
    let hit: Vec<_> = BROWSERS.iter().filter_map(|agent| Some((agent, classify(agent)?))).collect();
    assert!(hit.is_empty(), "{hit:#?}");
}

#[test]
fn sdks_and_tools_are_classified_as_they_always_were() {
    assert!(SDKS.len() >= 30, "{}", SDKS.len());
    let told: Vec<String> = SDKS
        .iter()
        .map(|agent| match classify(agent) {
            Some(Listed { class, pattern }) => format!("{agent}\n    {} by {pattern}", class.as_str()),
            None => format!("{agent}\n    -"),
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn an_agent_of_several_kinds_has_the_class_that_comes_first() {
    for (agent, class, pattern) in [
        ("Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)", "ai_crawler", "GPTBot"),
        ("Googlebot/2.1 (+http://www.google.com/bot.html)", "search_crawler", r"Googlebot\/"),
        ("curl/8.17.0 GPTBot/1.2", "ai_crawler", "GPTBot"),
        ("HeadlessChrome curl GPTBot Googlebot/ Playwright", "ai_crawler", "GPTBot"),
        ("HeadlessChrome Go-http-client Googlebot/2.1", "headless_browser", "HeadlessChrome"),
        ("W3C-checklink/4.5 [4.160] libwww-perl/5.823", "scripted_tool", "libwww-perl"),
        ("Googlebot/2.1 DotBot/1.2 SemrushBot", "search_crawler", r"Googlebot\/"),
        // Of one class the one that tells most: `BW/` is also a pattern without its start.
        ("BW/1.1; rb.gy/oupwis", "crawler", r"BW\/"),
        ("Scrapy Go-http-client", "scripted_tool", "Go-http-client"),
        ("Go-http-client Scrapy", "scripted_tool", "Go-http-client"),
    ] {
        let Listed { class: found, pattern: by } = classify(agent).unwrap_or_else(|| panic!("{agent}"));
        assert_eq!((found.as_str(), by), (class, pattern), "{agent}");
    }
}

#[test]
fn patterns_mind_the_case_and_their_anchors() {
    for agent in ["gptbot/1.2", "a GPTBOT", "my-curl/1.0", "HTTPIE/3", "Node", "node ", "anode", "", "é", "a", "GPT"] {
        assert_eq!(classify(agent), None, "{agent}");
    }
    assert!(classify("Mozilla/5.0 (é€😀) GPTBot/1.2 é").is_some());
}

#[test]
fn every_own_line_is_of_use() {
    let (exceptions, additions): (Vec<_>, Vec<_>) =
        list("crawlers_own.tsv").into_iter().partition(|(class, _)| class == "!");
    for (_, pattern) in &exceptions {
        let spared = set(std::slice::from_ref(pattern));
        let has_spared = BROWSERS.iter().any(|agent| spared.is_match(agent.as_bytes()));
        assert!(has_spared, "the exception `{pattern}` spares no agent of browsers.txt: is it still needed?");
    }
    let found: BTreeSet<&str> = instances()
        .chain(SDKS.iter().map(String::as_str))
        .filter_map(|agent| classify(agent).map(|listed| listed.pattern))
        .collect();
    for (_, pattern) in &additions {
        assert!(found.contains(pattern.as_str()), "no agent of sdks.txt or of the package is told by `{pattern}`");
    }
    assert!(!exceptions.is_empty() && !additions.is_empty());
}

#[test]
fn known_agents_are_told_as_regular_expressions_tell_them() {
    for agent in instances().chain(BROWSERS.iter().chain(&*SDKS).map(String::as_str)) {
        check(agent).unwrap_or_else(|difference| panic!("{difference}"));
    }
}

#[test]
fn each_pattern_is_told_where_it_stands_and_not_where_it_nearly_does() {
    let mut random = TestRunner::deterministic();
    for (_, pattern) in &REFERENCE.rules {
        for text in examples(pattern, &mut random) {
            assert!(classify(&text).is_some(), "`{text}` has `{pattern}`");
            for (before, after) in [("", ""), (" ", ""), ("x", "x"), ("", "-"), ("Mozilla/5.0 (compatible; ", "/1.0)")]
            {
                check(&format!("{before}{text}{after}")).unwrap_or_else(|difference| panic!("{difference}"));
            }
            // One character too few, at either end.
            let mut shorter = text.chars();
            shorter.next();
            check(shorter.as_str()).unwrap_or_else(|difference| panic!("{difference}"));
            let mut shorter = text.chars();
            shorter.next_back();
            check(shorter.as_str()).unwrap_or_else(|difference| panic!("{difference}"));
        }
    }
}

#[test]
fn parts_that_may_stand_apart_are_found_in_their_order_however_often_they_stand_there() {
    for (agent, pattern) in [
        ("RSS Reader Current", None),
        ("RSS Reader Current, an RSS Reader", Some(r"Current[\s\S]*RSS Reader")),
        ("Current Current Current", None),
        (&*format!("{} spider.com", "Spider ".repeat(10_000)), Some(r"Spider[\s\S]*spider\.com")),
        (&*format!("spider.com {}", "Spider ".repeat(10_000)), None),
    ] {
        assert_eq!(classify(agent).map(|listed| listed.pattern), pattern, "{agent:.40}");
        check(agent).unwrap_or_else(|difference| panic!("{difference}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_agent_is_told_as_regular_expressions_tell_it(agent in some_agent()) {
        check(&agent).map_err(TestCaseError::fail)?;
    }
}

/// Pieces of agents and of patterns in a row, with some characters changed.
fn some_agent() -> impl Strategy<Value = String> {
    let piece = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4_u8);
    let change = (any::<prop::sample::Index>(), prop_oneof!["[ -~]", Just(String::new()), r"\PC"]);
    (prop::collection::vec(piece, 1..5), prop::collection::vec(change, 0..3)).prop_map(|(pieces, changes)| {
        let mut agent = String::new();
        for (which, from, to, how) in pieces {
            let text = which.get(&PIECES[..]);
            let all: Vec<char> = text.chars().collect();
            let (from, to) = (from.index(all.len() + 1), to.index(all.len() + 1));
            match how {
                0 => agent.extend(&all[from.min(to)..from.max(to)]),
                1 => agent.extend(&all[..from]),
                2 => agent.extend(&all[from..]),
                _ => agent.push_str(text),
            }
        }
        let mut characters: Vec<String> = agent.chars().map(String::from).collect();
        for (at, by) in changes {
            if !characters.is_empty() {
                let at = at.index(characters.len());
                characters[at] = by;
            }
        }
        characters.concat()
    })
}

/// Texts that have the pattern, one for each of the cases that it leaves open, or some of them.
fn examples(pattern: &str, random: &mut TestRunner) -> BTreeSet<String> {
    // The generator knows no anchors; the texts stand alone.
    let anchored = |pattern: &str| pattern.replace("(^| )", "").replace("(^|; )", "").replace("([^-]|$)", "[^-]");
    let pattern = anchored(pattern).replace(r"[\s\S]*", "[ -~]*").replace(r"\d", "[0-9]");
    let pattern = pattern.trim_start_matches('^').trim_end_matches('$');
    let texts = proptest::string::string_regex(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let tries = if pattern.contains(['|', '[']) { 12 } else { 1 };
    (0..tries).map(|_| texts.new_tree(random).unwrap().current()).collect()
}

/// Says where the tables and the regular expressions differ.
fn check(agent: &str) -> Result<(), String> {
    let matches = REFERENCE.set.matches(agent.as_bytes());
    let rules = || matches.iter().map(|index| &REFERENCE.rules[index]);
    let found = classify(agent);
    let agrees = match found {
        None => !matches.matched_any(),
        Some(Listed { class, pattern }) => {
            let rank = |name: &str| AgentClass::PRECEDENCE.iter().position(|class| class.as_str() == name);
            let first = rules().map(|(class, _)| rank(class).expect("a class of the list is unknown")).min();
            first == rank(class.as_str())
                && rules().any(|(own_class, own)| own == pattern && own_class == class.as_str())
        }
    };
    if agrees { Ok(()) } else { Err(format!("`{agent}` is {found:?}, but matches {:?}", rules().collect::<Vec<_>>())) }
}

/// What holds, as regular expressions.
struct Reference {
    rules: Vec<(String, String)>,
    set: RegexSet,
}

static REFERENCE: LazyLock<Reference> = LazyLock::new(|| {
    let own = list("crawlers_own.tsv");
    let excepted: BTreeSet<_> = own.iter().filter(|(class, _)| class == "!").map(|(_, pattern)| pattern).collect();
    let generated = list("crawlers.tsv").into_iter().filter(|(_, pattern)| !excepted.contains(pattern));
    let rules: Vec<_> = generated.chain(own.iter().filter(|(class, _)| class != "!").cloned()).collect();
    let patterns: Vec<String> = rules.iter().map(|(_, pattern)| pattern.clone()).collect();
    Reference { set: set(&patterns), rules }
});

/// An agent is bytes: a digit is one of ten, and what is not a hyphen may be half a character.
fn set(patterns: &[String]) -> RegexSet {
    RegexSetBuilder::new(patterns).unicode(false).size_limit(1 << 28).dfa_size_limit(1 << 28).build().unwrap()
}

/// What agents are put together of.
static PIECES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let patterns = REFERENCE.rules.iter().map(|(_, pattern)| pattern.replace('\\', ""));
    instances().map(str::to_owned).chain(BROWSERS.iter().chain(&*SDKS).cloned()).chain(patterns).collect()
});

#[derive(Deserialize)]
struct Entry {
    pattern: String,
    tags: Vec<String>,
    instances: Vec<String>,
}

static PACKAGE: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let path = edge().join("../node_modules/crawler-user-agents/crawler-user-agents.json");
    let text = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask setup`", path.display()));
    serde_json::from_str(&text).unwrap()
});

fn instances() -> impl Iterator<Item = &'static str> {
    PACKAGE.iter().flat_map(|entry| &entry.instances).map(String::as_str)
}

fn edge() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(edge().join(path)).unwrap_or_else(|error| panic!("edge/{path}: {error}"))
}

/// The lines of a list, each its class or `!`, and its pattern.
fn list(path: &str) -> Vec<(String, String)> {
    let text = read(path);
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pair = |line: &str| line.split_once('\t').map(|(class, pattern)| (class.to_owned(), pattern.to_owned()));
    lines.map(|line| pair(line).unwrap_or_else(|| panic!("edge/{path} has no TAB in: {line}"))).collect()
}

static BROWSERS: LazyLock<Vec<String>> = LazyLock::new(|| agents("tests/agents/browsers.txt"));

static SDKS: LazyLock<Vec<String>> = LazyLock::new(|| agents("tests/agents/sdks.txt"));

fn agents(path: &str) -> Vec<String> {
    read(path).lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}
