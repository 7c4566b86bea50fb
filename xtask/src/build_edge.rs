//! `cargo xtask build-edge`: the Worker, from edge/ into edge/build/. The `[build]` command of wrangler.toml.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use goblin_tests::workspace;

use crate::{
    cargo_tool::CargoTool,
    exclusive::exclusive,
    fingerprint::Fingerprint,
    npm, pins,
    progress::{self, say},
    rust_parts,
};

/// How `worker-build` is called; the profile stands in the workspace's Cargo.toml.
const ARGUMENTS: [&str; 3] = ["--profile", "wasm", "edge"];

/// What the module may use of WebAssembly.
const FEATURES: [&str; 7] = [
    "mutable-globals",
    "sign-ext",
    "nontrapping-float-to-int",
    "bulk-memory",
    "multivalue",
    "reference-types",
    "exception-handling",
];

/// Variables with which the user names tools of their own.
const TOOL_VARIABLES: [&str; 3] = ["WASM_BINDGEN_BIN", "WASM_OPT_BIN", "ESBUILD_BIN"];

/// Builds the Worker, with all its tools installed first, unless what is there was made of the same.
pub(crate) async fn run() -> Result<()> {
    let output = workspace::root().join("edge/build");
    let _lock = exclusive(&workspace::artifact_dir()?.join("build-edge.lock"), "building the edge").await?;
    let made_of = fingerprint().await?;
    let marker = output.join(".made-of");
    if progress::is_marked(&marker, &made_of) && is_complete(&output) {
        say("✓ the edge is built");
        return Ok(());
    }
    // Before anything can fail half-way.
    if marker.exists() {
        fs::remove_file(&marker).with_context(|| format!("{} cannot be removed", marker.display()))?;
    }
    install_tools().await?;
    let mut build = workspace::command(worker_build().path()?);
    build.args(ARGUMENTS);
    // Its own stack trace says nothing about the edge.
    build.env("RUST_BACKTRACE", "0");
    let bindgen_version = pins::wasm_bindgen()?;
    let own = [
        ("WASM_BINDGEN_BIN", wasm_bindgen(&bindgen_version).path()?),
        // npm's commands are scripts for the pinned Node, which the PATH of the build puts first.
        ("WASM_OPT_BIN", workspace::node_bin_dir().join("wasm-opt")),
        ("ESBUILD_BIN", workspace::node_bin_dir().join("esbuild")),
    ];
    for (variable, path) in own {
        if env::var_os(variable).is_none() {
            build.env(variable, path);
        }
    }
    progress::run("building the edge", "build-edge", build).await?;
    strip(&output).await?;
    if !is_complete(&output) {
        bail!("the edge was built, but edge/build/index.js or its WebAssembly module is not there");
    }
    fs::write(&marker, made_of).with_context(|| format!("{} cannot be written", marker.display()))
}

/// Takes the names of functions out of the module: worker-build keeps them, and they are a tenth of what is uploaded and
/// loaded. A panic tells its file and line without them.
async fn strip(output: &Path) -> Result<()> {
    let (module, stripped) = (output.join("index_bg.wasm"), output.join("stripped.wasm"));
    let tool = env::var_os("WASM_OPT_BIN").map_or_else(|| workspace::node_bin_dir().join("wasm-opt"), PathBuf::from);
    let mut strip = workspace::command(tool);
    // The same features as worker-build lets it use, so that nothing is written that the runtime does not know.
    strip.args(FEATURES.map(|feature| format!("--enable-{feature}")));
    strip.arg("--strip-debug").arg(&module).arg("--output").arg(&stripped);
    progress::run("stripping the edge", "strip-edge", strip).await?;
    fs::rename(&stripped, &module).with_context(|| format!("{} cannot be replaced", module.display()))
}

/// Installs what [`run`] needs.
pub(crate) async fn install_tools() -> Result<()> {
    rust_parts::ensure_wasm_target().await?;
    npm::ensure().await?;
    worker_build().ensure().await?;
    if env::var_os("WASM_BINDGEN_BIN").is_none() {
        wasm_bindgen(&pins::wasm_bindgen()?).ensure().await?;
    }
    Ok(())
}

fn worker_build() -> CargoTool<'static> {
    CargoTool { name: "worker-build", version: pins::WORKER_BUILD, command: "worker-build" }
}

fn wasm_bindgen(version: &str) -> CargoTool<'_> {
    CargoTool { name: "wasm-bindgen-cli", version, command: "wasm-bindgen" }
}

fn is_complete(output: &Path) -> bool {
    ["index.js", "index_bg.wasm"].iter().all(|name| output.join(name).is_file())
}

async fn fingerprint() -> Result<String> {
    let mut fingerprint = Fingerprint::new(workspace::root());
    fingerprint.files("edge", &["edge/build", "edge/target"])?;
    for path in ["shared", "Cargo.toml", "Cargo.lock", ".cargo/config.toml", "package-lock.json"] {
        fingerprint.files(path, &[])?;
    }
    fingerprint.value("worker-build", pins::WORKER_BUILD.as_bytes());
    fingerprint.value("arguments", ARGUMENTS.join(" ").as_bytes());
    let compiler = workspace::command("rustc").arg("-vV").output().await;
    let compiler = compiler.context("rustc cannot be run: install Rust with rustup (rustup.rs)")?;
    fingerprint.value("rustc", &compiler.stdout);
    for variable in TOOL_VARIABLES.into_iter().chain(["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"]) {
        if let Some(value) = env::var_os(variable) {
            fingerprint.value(variable, value.as_encoded_bytes());
        }
    }
    Ok(fingerprint.finish())
}
