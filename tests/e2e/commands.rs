//! The commands that people type.

use std::{collections::HashSet, fs, time::Duration};

use goblin_tests::{
    backend::{BackendOptions, run_unread},
    patience::PATIENCE,
    process::Process,
    signing_key,
    stack::start_backend,
    workspace,
};
use serde_json::Value;
use tokio::{net::TcpListener, process::Command};

use crate::{
    shared_stack::{SharedStack, shared},
    suite::{Outcome, Suite, skip, tests},
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        deploying_bundles_without_an_account,
        a_backend_without_a_free_port_says_so_and_fails,
        dev_prints_curl_lines_that_work_and_ends_everything,
        whoever_has_read_enough_is_no_failure,
    );
}

/// `cargo xtask dev` may have to build, on a machine that does other things at the same time.
const START: Duration = Duration::from_mins(10);

async fn deploying_bundles_without_an_account(_: &SharedStack) {
    // The empty name is the top level.
    for environment in ["", "staging", "production"] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = workspace::command(workspace::node());
        command.arg(workspace::wrangler_entry()).args(["deploy", "--dry-run", "--env", environment, "--outdir"]);
        command.arg(folder.path()).env("WRANGLER_SEND_METRICS", "false").env("CI", "1").env("NO_COLOR", "1");
        let output = command.output().await.unwrap();
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{environment}: {said}\n{complained}");
        // wrangler says so, and goes on, when an environment lacks what the top level has.
        assert!(!complained.contains("WARNING"), "{environment}: {complained}");
        for binding in ["KEY_LIMITS", "ADDRESS_LIMIT", "BACKEND_ORIGIN"] {
            assert!(said.contains(&format!("env.{binding} ")), "{environment} has no {binding}: {said}");
        }
        let paths: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(paths.iter().any(|path| path.ends_with("index.js")), "{paths:?}");
        assert!(paths.iter().any(|path| path.extension().is_some_and(|extension| extension == "wasm")), "{paths:?}");
    }
}

async fn a_backend_without_a_free_port_says_so_and_fails(_: &SharedStack) {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let options = BackendOptions { service: Some(address), ..BackendOptions::default() };
    let key = signing_key::fresh("test").unwrap();
    let Err(error) = start_backend(&key, None, None, options).await else { panic!("it listens on a taken port") };
    let said = format!("{error:#}");
    assert!(said.contains("exit status: 1") && said.contains(&address.to_string()), "{said}");
}

async fn whoever_has_read_enough_is_no_failure(_: &SharedStack) {
    let env = [("GOBLIN_EDGE__SIGNATURE", "off"), ("GOBLIN_AUTH__MODE", "off"), ("GOBLIN_STORE__URL", "none")];
    for arguments in [&["check-config", "--json"][..], &["check-config"]] {
        let output = run_unread(arguments, &env).await.unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && complaint.is_empty(), "{arguments:?}: {}: {complaint}", output.status);
    }
}

async fn dev_prints_curl_lines_that_work_and_ends_everything(_: &SharedStack) -> Outcome {
    if !cfg!(target_os = "linux") {
        return skip("it looks for left-over processes in /proc, which only Linux has");
    }
    // Whoever listens on the usual ports meanwhile: dev finds others and says so.
    let mut taken = Vec::new();
    for port in [8787, 8080, 9464] {
        taken.extend(TcpListener::bind(("127.0.0.1", port)).await.ok());
    }
    let mut command = workspace::command(workspace::artifact_dir().unwrap().join("xtask"));
    command.arg("dev");
    let dev = Process::start("cargo xtask dev", command, None).unwrap();
    let mut lines = Vec::new();
    let curls = dev.wait_for_line(START, |line| {
        lines.extend(line.starts_with("curl ").then(|| line.to_owned()));
        (lines.len() == 2).then(|| lines.clone())
    });
    let curls = curls.await.unwrap();
    for (curl, streams) in curls.iter().zip([false, true]) {
        assert!(curl.contains("-H 'authorization: Bearer gob_"), "no API key is in {curl}");
        let output = Command::new("sh").args(["-c", curl]).output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{curl}: {text}{}", String::from_utf8_lossy(&output.stderr));
        if streams {
            assert!(text.contains("data: [DONE]"), "{curl}: {text}");
        } else {
            let body = text.lines().rev().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{text}"));
            let answer: Value = serde_json::from_str(body).unwrap();
            assert!(answer["choices"][0]["message"]["content"].is_string(), "{text}");
        }
    }
    let said = dev.log().lines().join("\n");
    for listener in &taken {
        let port = listener.local_addr().unwrap().port().to_string();
        assert!(said.contains(&port), "nothing is said of port {port}, which is taken:\n{said}");
    }
    let family = descendants(dev.id());
    assert!(family.len() >= 3, "backend, wrangler and workerd: {family:?}");
    dev.interrupt();
    let status = tokio::time::timeout(PATIENCE, dev.exited()).await.expect("it ends");
    assert!(status.success(), "{status}\n{}", dev.log().tail(20));
    let left: Vec<_> = family.iter().filter(|id| is_running(**id)).collect();
    assert!(left.is_empty(), "still running: {left:?}");
    Outcome::Passed
}

/// Ids of all processes below `root`, by /proc.
fn descendants(root: u32) -> Vec<u32> {
    let mut family = vec![root];
    let mut seen: HashSet<u32> = HashSet::from([root]);
    let mut next = 0;
    while next < family.len() {
        for entry in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            if parent(id) == Some(family[next]) && seen.insert(id) {
                family.push(id);
            }
        }
        next += 1;
    }
    family.split_off(1)
}

fn parent(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name between brackets may hold spaces; state and parent come behind it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn is_running(id: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { return false };
    !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
}
