//! One process at a time: two `wrangler dev` that start together must not build or install the same thing twice.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
    time::Instant,
};

use anyhow::{Context as _, Result};

use crate::progress;

/// Held until dropped; the system takes it back from a process that dies.
pub(crate) struct Exclusive {
    _file: File,
}

/// Waits for the lock at `path`; `whom` says for whom when somebody else holds it.
pub(crate) async fn exclusive(path: &Path, whom: &str) -> Result<Exclusive> {
    let cannot = || format!("{} cannot be locked", path.display());
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(cannot)?;
    }
    let file = File::create(path).with_context(cannot)?;
    match file.try_lock() {
        Ok(()) => return Ok(Exclusive { _file: file }),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
    }
    let waiting = tokio::task::spawn_blocking(move || file.lock().map(|()| file));
    let doing = format!("waiting for another process that is {whom}");
    let file = progress::with_progress(&doing, Instant::now(), waiting).await?.with_context(cannot)?;
    Ok(Exclusive { _file: file })
}
