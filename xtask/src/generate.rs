//! `cargo xtask generate`: edge/crawlers.tsv, from the npm package `crawler-user-agents`.
//!
//! The file is committed, so that `cargo build` needs no `node_modules`.

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

/// What to do with the file.
#[derive(Args)]
pub(crate) struct GenerateOptions {
    /// Write nothing; fail when the file is not what would be written.
    #[arg(long)]
    check: bool,
}

/// Writes the file, or compares it.
pub(crate) async fn run(options: GenerateOptions) -> Result<()> {
    npm::ensure().await?;
    let wanted = list(&workspace::root().join(PACKAGE))?;
    let target = workspace::root().join(TARGET);
    if fs::read_to_string(&target).ok().as_deref() == Some(&wanted) {
        say(&format!("✓ {TARGET} is what the package says"));
        return Ok(());
    }
    if options.check {
        bail!("{TARGET} is not what {PACKAGE} says: run `cargo xtask generate` and commit the file");
    }
    fs::write(&target, wanted).with_context(|| format!("{} cannot be written", target.display()))?;
    say(&format!("✓ {TARGET} is written"));
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
