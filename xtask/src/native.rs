//! The servers of the observability stack, built once per machine in the cache directory, for machines without containers.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use goblin_tests::{
    native::{ALL, Module},
    workspace,
};

use crate::{exclusive::exclusive, progress};

/// Builds what is not built yet. An error says what is missing.
pub(crate) async fn ensure() -> Result<()> {
    for module in ALL {
        build(&module).await?;
    }
    Ok(())
}

async fn build(module: &Module) -> Result<()> {
    let is_built = || module.programs.iter().all(|(program, _)| module.program(program).is_some());
    if is_built() {
        return Ok(());
    }
    let Ok(version) = workspace::command("go").arg("version").output().await else {
        bail!("Go is missing, which builds the servers of the observability stack: install Go 1.26 or newer (go.dev)");
    };
    if !version.status.success() {
        bail!("`go version` fails: {}", String::from_utf8_lossy(&version.stderr));
    }
    let place = module.place()?;
    let doing = format!("building the {} of the observability stack (once, takes minutes)", module.folder);
    let _lock = exclusive(&place.with_added_extension("lock"), &doing).await?;
    if is_built() {
        return Ok(());
    }
    for (program, package) in module.programs {
        // Whole or not there.
        let unfinished = place.join(format!("{program}.unfinished"));
        let mut build = workspace::command("go");
        build.current_dir(module.source()).env("GOFLAGS", "-buildvcs=false").env("CGO_ENABLED", "0");
        build.args(["build", "-mod=readonly", "-trimpath", "-ldflags", &format!("-s -w {}", module.linker), "-o"]);
        build.arg(&unfinished).arg(package);
        progress::run(&format!("{doing}: {program}"), &format!("go-{program}"), build).await?;
        finish(&unfinished, &place.join(program))?;
    }
    Ok(())
}

fn finish(unfinished: &Path, program: &Path) -> Result<()> {
    std::fs::rename(unfinished, program).with_context(|| format!("{} cannot be put in its place", program.display()))
}
