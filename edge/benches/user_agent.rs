//! How long it takes to know a User-Agent: the mean over browsers, and over every agent that the list's package knows.
//!
//!     cargo bench --package goblin-edge

use std::{fs, hint::black_box, path::Path};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use goblin_edge::admit::user_agent::classify;

fn user_agents(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("classify");
    for (name, agents) in [("browsers", browsers()), ("listed", listed())] {
        // Elements a second are agents a second; one over them is the time of one agent.
        group.throughput(Throughput::Elements(agents.len().try_into().expect("a count fits")));
        let bytes: usize = agents.iter().map(String::len).sum();
        println!("{name}: {} agents of {} bytes on average", agents.len(), bytes / agents.len());
        group.bench_function(name, |bencher| {
            bencher.iter(|| agents.iter().filter(|agent| classify(black_box(agent)).is_some()).count());
        });
    }
    group.finish();
}

fn browsers() -> Vec<String> {
    let lines = read("tests/agents/browsers.txt");
    lines.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

fn listed() -> Vec<String> {
    let package = read("../node_modules/crawler-user-agents/crawler-user-agents.json");
    let package: serde_json::Value = serde_json::from_str(&package).expect("the package is JSON");
    let entries = package.as_array().into_iter().flatten();
    let instances = entries.flat_map(|entry| entry["instances"].as_array().into_iter().flatten());
    instances.filter_map(|instance| instance.as_str().map(str::to_owned)).collect()
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask setup`", path.display()))
}

criterion_group!(benches, user_agents);
criterion_main!(benches);
