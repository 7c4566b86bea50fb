//! `cargo xtask generate`: what is committed and made of something else. edge/crawlers.tsv is made of the npm package
//! `crawler-user-agents`, so that `cargo build` needs no `node_modules`; rules and dashboards below infra/ of the vocabulary and the
//! objectives.

mod dashboards;
mod rules;

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use goblin_tests::workspace;
use serde_json::Value;

use crate::{npm, progress::say};

/// What the file is made of.
const PACKAGE: &str = "node_modules/crawler-user-agents";

/// The file that is made.
const TARGET: &str = "edge/crawlers.tsv";

/// Which tag of the package makes which class. Where a pattern has several, the first here counts: that an agent
/// trains or feeds a model matters more than how it is built, and how it is built more than that it also searches.
const CLASSES: [(&str, &str); 4] = [
    ("ai-crawler", "ai_crawler"),
    ("browser-automation", "headless_browser"),
    ("http-library", "scripted_tool"),
    ("search-engine", "search_crawler"),
];

/// The class of what has none of those tags.
const OTHER: &str = "crawler";

/// What to do with the files.
#[derive(Args)]
pub(crate) struct GenerateOptions {
    /// Write nothing; fail when a file is not what would be written.
    #[arg(long)]
    check: bool,
}

/// Writes the files, or compares them.
pub(crate) async fn run(options: GenerateOptions) -> Result<()> {
    npm::ensure().await?;
    let crawlers = list(&workspace::root().join(PACKAGE))?;
    put(&options, TARGET, &crawlers)?;
    for (target, wanted) in observability() {
        put(&options, &target, &wanted)?;
    }
    Ok(())
}

/// What is made of the product's own definitions.
fn observability() -> Vec<(String, String)> {
    let rules = [("recording_rules.yml", rules::recording()), ("alert_rules.yml", rules::alerting())];
    let files = rules.into_iter().chain(dashboards::files());
    files.map(|(name, text)| (format!("infra/{name}"), text)).collect()
}

fn put(options: &GenerateOptions, name: &str, wanted: &str) -> Result<()> {
    let target = workspace::root().join(name);
    if fs::read_to_string(&target).ok().as_deref() == Some(wanted) {
        say(&format!("✓ {name} is as it should be"));
        return Ok(());
    }
    if options.check {
        bail!("{name} is not what it is made of: run `cargo xtask generate` and commit the file");
    }
    fs::write(&target, wanted).with_context(|| format!("{} cannot be written", target.display()))?;
    say(&format!("✓ {name} is written"));
    Ok(())
}

fn list(package: &Path) -> Result<String> {
    let read = |name: &str| {
        let path = package.join(name);
        fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))
    };
    let manifest: Value = serde_json::from_str(&read("package.json")?)?;
    let version = manifest["version"].as_str().context("the package tells no version")?;
    let entries: Vec<Value> = serde_json::from_str(&read("crawler-user-agents.json")?)?;
    render(version, &read("LICENSE")?, &entries)
}

fn render(version: &str, licence: &str, entries: &[Value]) -> Result<String> {
    let mut text = format!(
        "# User-Agents of crawlers and tools: class, TAB, pattern. Patterns mind the case.\n\
         # Made by `cargo xtask generate` of the npm package crawler-user-agents {version}; not to be edited: what the\n\
         # edge does otherwise stands in crawlers_own.tsv. The package's licence:\n#\n"
    );
    for line in licence.trim_end().lines() {
        writeln!(text, "{}", format!("# {line}").trim_end())?;
    }
    text.push_str("#\n");
    let mut lines = Vec::with_capacity(entries.len());
    for entry in entries {
        let pattern = entry["pattern"].as_str().context("an entry of the package has no pattern")?;
        ensure!(!pattern.contains(['\t', '\n', '\r']), "the pattern `{pattern}` does not fit into a line");
        let tags: Vec<&str> = entry["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        lines.push(format!("{}\t{pattern}\n", class(&tags)));
    }
    lines.sort();
    text.extend(lines);
    Ok(text)
}

fn class(tags: &[&str]) -> &'static str {
    CLASSES.iter().find(|(tag, _)| tags.contains(tag)).map_or(OTHER, |(_, class)| class)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_are_sorted_under_source_and_licence() {
        let entries = [
            json!({"pattern": "Zoo\\/", "tags": ["seo"]}),
            json!({"pattern": "GPTBot", "tags": ["ai-crawler"]}),
            json!({"pattern": "Ant ", "tags": ["monitoring"]}),
        ];
        let text = render("1.2.3", "The Licence\n\nas it is\n", &entries).unwrap();
        let (head, lines): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('#'));
        assert_eq!(lines, ["ai_crawler\tGPTBot", "crawler\tAnt ", "crawler\tZoo\\/"]);
        assert!(head.iter().any(|line| line.contains("crawler-user-agents 1.2.3")), "{head:?}");
        assert!(head.windows(3).any(|lines| lines == ["# The Licence", "#", "# as it is"]), "{head:?}");
    }

    #[test]
    fn what_is_committed_is_what_would_be_written() {
        for (name, wanted) in observability() {
            let found = fs::read_to_string(workspace::root().join(&name)).unwrap_or_default();
            assert!(found == wanted, "{name} is of another time: run `cargo xtask generate`");
        }
    }

    #[test]
    fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
        let mut runbooks: Vec<String> = fs::read_dir(workspace::root().join("docs/runbooks"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
            .filter(|name| name != "README")
            .collect();
        runbooks.sort();
        assert_eq!(runbooks, rules::names());
        for name in runbooks {
            let text = fs::read_to_string(workspace::root().join(format!("docs/runbooks/{name}.md"))).unwrap();
            for part in ["## What it means", "## What to look at", "## What to do"] {
                assert!(text.contains(part), "{name} lacks {part}");
            }
        }
    }

    #[test]
    fn the_most_telling_tag_decides() {
        assert_eq!(class(&["search-engine", "ai-crawler"]), "ai_crawler");
        assert_eq!(class(&["browser-automation", "ai-crawler"]), "ai_crawler");
        assert_eq!(class(&["http-library", "browser-automation"]), "headless_browser");
        assert_eq!(class(&["advertising", "search-engine"]), "search_crawler");
        assert_eq!(class(&["http-library"]), "scripted_tool");
        assert_eq!(class(&["scanner", "academic"]), "crawler");
        assert_eq!(class(&[]), "crawler");
    }

    #[test]
    fn what_does_not_fit_into_a_line_is_refused() {
        let refused = render("1", "", &[json!({"pattern": "a\tb", "tags": []})]).unwrap_err();
        assert!(refused.to_string().contains("a\tb"), "{refused}");
        assert!(render("1", "", &[json!({"tags": []})]).is_err());
    }
}
