//! The disk on which the store is runs full, and is given room again.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
};

use goblin_tests::patience::patiently;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use super::{
    bench::{Bench, chat},
    invariants::Books,
    load::Kind,
    provider::HOLD,
    seen::{End, Seen, id_of, now_ms, refusal},
};
use crate::suite::{Outcome, Suite, skip};

pub(crate) fn register(suite: &mut Suite) {
    suite.test("a_full_disk_refuses_clearly_and_loses_nothing", a_full_disk_refuses_clearly_and_loses_nothing);
}

/// Room for the files, and soon full.
const SIZE: &str = "size=8m";

/// As many in a row as make sure that no room is left for one.
const REFUSED_IN_A_ROW: usize = 8;

async fn a_full_disk_refuses_clearly_and_loses_nothing() -> Outcome {
    let disk = match SmallDisk::mount().await {
        Ok(disk) => disk,
        Err(reason) => return skip(format!("no small disk can be mounted: {reason}")),
    };
    let bench = Bench::over(format!("sqlite:{}", disk.path().join("goblin.db").display())).await;
    let key = bench.key(&[]).await;
    let backend = bench.start().await;
    let client = goblin_tests::http_client::new();
    let ask = async |text: &str| {
        let began = now_ms();
        let answer = chat(&client, &backend, &key, &bench.provider.ask(text, json!({}))).send().await.unwrap();
        let (id, status) = (id_of(&answer), answer.status());
        let end = if status == 200 { End::Whole } else { refusal(answer).await };
        let accepted = (status == 200).then_some(id);
        Seen { kind: Kind::Unary, accepted, conversation: None, end, time: (began, now_ms()) }
    };
    let mut seen = vec![ask("Hello").await];
    assert_eq!(seen[0].end, End::Whole);

    let in_flight = async {
        let answer = chat(&client, &backend, &key, &bench.provider.ask(HOLD, json!({}))).send().await.unwrap();
        assert_eq!(answer.status(), 200, "it was accepted while there was room");
        let id = id_of(&answer);
        answer.text().await.unwrap();
        Seen { kind: Kind::Unary, accepted: Some(id), conversation: None, end: End::Whole, time: (0, now_ms()) }
    };
    let filling = async {
        bench.provider.counted(2).await;
        let filler = disk.fill();
        let mut refused_in_a_row = 0;
        let running_full = async {
            while refused_in_a_row < REFUSED_IN_A_ROW {
                let calls = bench.provider.count();
                let one = ask("Hello").await;
                match &one.end {
                    End::Whole => refused_in_a_row = 0,
                    End::Refused(refusal) => {
                        assert_eq!((refusal.status, refusal.code.as_str()), (503, "store_unavailable"), "{one:?}");
                        assert!(refusal.retry_after.is_some_and(|seconds| seconds > 0), "{one:?}");
                        assert_eq!(bench.provider.count(), calls, "the provider was called without a row");
                        refused_in_a_row += 1;
                    }
                    end => panic!("{end:?}"),
                }
                seen.push(one);
                // Files grow in the meantime, where something was served.
                disk.fill();
            }
        };
        patiently(running_full, || "the disk is full and requests are served".to_owned()).await;
        // What ends now cannot be settled.
        bench.provider.release();
        filler
    };
    let (in_flight, filler) = tokio::join!(in_flight, filling);
    seen.push(in_flight);
    // With it, or before it, what ended is tried to be settled, in vain.
    let one = ask("Hello").await;
    assert!(matches!(one.end, End::Refused(_)), "{one:?}");

    fs::remove_file(filler).unwrap();
    let served = async {
        loop {
            let one = ask("Hello").await;
            seen.push(one.clone());
            if one.end == End::Whole {
                break;
            }
        }
    };
    patiently(served, || "there is room again and nobody is served".to_owned()).await;
    let books = Books::settled(&bench).await;
    books.assert_account_for(&seen, &bench.provider.traces(), false);
    backend.terminate(goblin_tests::patience::PATIENCE).await;
    let mut reader = bench.reader().await;
    assert_eq!(reader.integrity().await.unwrap(), "ok");
    reader.close().await.unwrap();
    Outcome::Passed
}

/// A file system of its own in memory; gone when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    async fn mount() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", SIZE, "goblin-test"]).arg(folder.path());
        let output = mount.output().await.map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(Self(folder));
        }
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room that is left.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = File::options().append(true).create(true).open(&path).unwrap();
        for size in [64 * 1024, 4096] {
            let block = vec![0; size];
            loop {
                match file.write(&block) {
                    Ok(1..) => {}
                    Ok(0) => break,
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // At once for the path, for its files when the last is closed.
        let mut unmount = std::process::Command::new("umount");
        let _ = unmount.arg("-l").arg(self.path()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
