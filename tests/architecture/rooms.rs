//! The rules, as ARCHITECTURE.md tells them.

use std::{collections::BTreeSet, fs};

use crate::source::{self, Source};

/// What each room of the backend may name with `crate::`. `app` and `main` put everything together and may name all.
const BACKEND: &[(&str, &[&str])] = &[
    ("ambient", &["ports"]),
    ("chat", &["chat", "monitoring", "ports", "wire"]),
    ("command_line", &["config", "ports"]),
    ("commands", &["command_line", "commands", "identity", "monitoring", "ports", "usage"]),
    // Of `ports` the names of scopes and quotas alone.
    ("config", &["config", "ports", "wire"]),
    ("http", &["chat", "http", "identity", "monitoring", "ports", "shutdown", "usage", "wire"]),
    ("identity", &["identity", "monitoring", "ports"]),
    ("monitoring", &["config", "monitoring", "ports"]),
    ("ports", &[]),
    ("provider", &["config", "monitoring", "ports", "provider", "wire"]),
    ("shutdown", &[]),
    ("store", &["monitoring", "ports", "store"]),
    ("usage", &["ports"]),
    ("wire", &["ports", "wire"]),
];

/// What each crate of the workspace may depend on.
const CRATES: &[(&str, &[&str])] = &[
    ("shared", &[]),
    ("edge", &["goblin-shared"]),
    ("backend", &["goblin-shared"]),
    ("tests", &["goblin-shared"]),
    // `check-config` asks the edge's own code, so that there is no second opinion on its configuration.
    ("xtask", &["goblin-tests", "goblin-edge", "goblin-shared"]),
];

#[test]
fn crates_depend_only_on_what_they_may() {
    let members = ["goblin-shared", "goblin-edge", "goblin-backend", "goblin-tests", "xtask"];
    for (name, allowed) in CRATES {
        let path = goblin_tests::workspace::root().join(name).join("Cargo.toml");
        let manifest = fs::read_to_string(&path).unwrap();
        // Unit tests may stand on the harness.
        let (product, tests) = manifest.split_once("[dev-dependencies]").unwrap_or((&manifest, ""));
        assert!(!tests.contains("[dependencies]"), "{name}: what only tests need stands last");
        for line in product.lines() {
            let dependency = line.split(['.', ' ', '=']).next().unwrap_or_default();
            let is_member = members.contains(&dependency);
            assert!(!is_member || allowed.contains(&dependency), "{name} may not depend on {dependency}");
        }
    }
}

#[test]
fn rooms_of_the_backend_know_only_whom_they_may() {
    for source in source::below("backend/src") {
        let relative = source.path.strip_prefix("backend/src").unwrap();
        let room = relative.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        if ["app", "main"].contains(&room) {
            continue;
        }
        let allowed =
            BACKEND.iter().find(|(name, _)| *name == room).unwrap_or_else(|| panic!("no rule for `{room}`")).1;
        for named in seconds(&source, "crate") {
            assert!(
                allowed.contains(&named),
                "{} names crate::{named}, but {room} may know only {allowed:?}",
                source.path.display()
            );
        }
    }
}

#[test]
fn the_domain_knows_no_web_framework_and_no_client() {
    for source in source::below("backend/src") {
        let path = source.path.strip_prefix("backend/src").unwrap();
        if path.starts_with("chat") || path.starts_with("ports.rs") {
            for foreign in ["axum", "reqwest", "hyper", "sqlx", "opentelemetry_otlp"] {
                assert!(!names(&source, foreign), "{} names {foreign}", source.path.display());
            }
        }
    }
}

#[test]
fn only_the_platform_of_the_edge_names_the_runtime() {
    for source in source::below("edge/src") {
        let path = source.path.to_str().unwrap();
        if path.starts_with("edge/src/platform") || path == "edge/src/lib.rs" {
            continue;
        }
        for runtime in ["worker", "web_sys", "js_sys", "wasm_bindgen", "wasm_bindgen_futures"] {
            assert!(!names(&source, runtime), "{path} names {runtime}");
        }
        let is_pure = path != "edge/src/pipeline.rs";
        assert!(
            !is_pure || !seconds(&source, "crate").contains("platform"),
            "{path} is to be pure, but names platform"
        );
    }
}

#[test]
fn shared_does_nothing_but_compute() {
    for source in source::below("shared/src") {
        for (first, second) in [("std", "env"), ("std", "fs"), ("std", "net"), ("std", "process"), ("std", "thread")] {
            assert!(!seconds(&source, first).contains(second), "{} names {first}::{second}", source.path.display());
        }
        for ambient in ["SystemTime", "Instant", "getrandom", "tokio", "rand"] {
            assert!(!names(&source, ambient), "{} names {ambient}", source.path.display());
        }
    }
}

fn seconds<'a>(source: &'a Source, first: &str) -> BTreeSet<&'a str> {
    source.named.iter().filter(|(name, _)| name == first).map(|(_, second)| second.as_str()).collect()
}

fn names(source: &Source, name: &str) -> bool {
    source.named.iter().any(|(first, second)| first == name || second == name)
}
