//! Documents name only what is there.

use std::fs;

const DOCUMENTS: &[&str] = &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];

/// Beginnings that tell a path of the checkout from other words between backticks.
const TOP: &[&str] =
    &["edge/", "backend/", "shared/", "tests/", "xtask/", "docs/", "infra/", ".cargo/", ".ci/", "wrangler.toml"];

/// Made by building, so not in a fresh clone.
const BUILT: &[&str] = &["edge/build"];

#[test]
fn documents_name_only_paths_that_exist() {
    let root = goblin_tests::workspace::root();
    for document in DOCUMENTS {
        let text = fs::read_to_string(root.join(document)).unwrap_or_else(|error| panic!("{document}: {error}"));
        let paths = paths(&text);
        assert!(*document != "ARCHITECTURE.md" || paths.len() > 20, "the map names hardly anything: {paths:?}");
        for path in paths {
            let built = BUILT.iter().any(|built| path.starts_with(built));
            assert!(built || root.join(&path).exists(), "{document} names `{path}`, which does not exist");
        }
    }
}

/// Paths between backticks, in links, and at the beginnings of lines of code blocks.
fn paths(text: &str) -> Vec<String> {
    let ticked = text.split('`').skip(1).step_by(2).flat_map(str::split_whitespace);
    let linked = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let listed = text.lines().filter(|line| line.starts_with("    ")).filter_map(|line| line.split_whitespace().next());
    let mut paths: Vec<String> = ticked
        .chain(linked)
        .chain(listed)
        .map(|word| word.trim_end_matches([',', '.', ';', ':']))
        .filter(|word| TOP.iter().any(|top| word.starts_with(top)) && !word.contains(['*', '{', '<', '…']))
        .map(str::to_owned)
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

#[test]
fn paths_are_found_wherever_documents_put_them() {
    let text = "See `edge/src/lib.rs`, [this](docs/x.md#part) and `cargo build`.\n\n    shared/src/   what both know\n";
    assert_eq!(paths(text), ["docs/x.md", "edge/src/lib.rs", "shared/src/"]);
}
