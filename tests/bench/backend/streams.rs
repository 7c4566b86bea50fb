//! A thousand streams at once: how evenly tokens arrive, and what each stream costs in memory.
//!
//! **Jitter** of a token is the difference between two gaps: from the token before to this one as the client read them,
//! and the same as the upstream wrote them (the time stands in the token; both ends are this process, with one clock).
//! What the upstream's own timer errs does not count, what client and upstream take in reading and writing does: hence
//! the same figure without a gateway.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use goblin_tests::resources::resident_bytes;
use tokio::task::JoinSet;

use super::{Pace, start, token_reader::read_tokens};
use crate::{
    canned::{Origin, TOKEN_INTERVAL, now_micros},
    rounds::Rounds,
};

const STREAMS: usize = 1_000;
/// The streams open one after another, so that their tokens are spread over the interval.
const BETWEEN_OPENINGS: Duration = Duration::from_millis(2);
/// From all streams being open to the first token that counts, and from a backend's start to its being idle.
const SETTLING: Duration = Duration::from_secs(1);

/// What one round says, in milliseconds.
struct Round {
    p50: f64,
    p99: f64,
    greatest: f64,
}

/// Two tables; every round has a backend of its own, whose memory no other load has shaped.
pub(super) async fn measure(origin: &Origin, pace: Pace) -> Result<String> {
    let each = || [Rounds::default(), Rounds::default(), Rounds::default()];
    let (mut directly, mut through) = (each(), each());
    let (mut idle, mut per_stream) = (Rounds::default(), Rounds::default());
    let mut memory_is_known = true;
    for _ in 0..pace.rounds {
        push(&mut directly, &stream(origin.address, pace.streaming, || ()).await?.0);
        let backend = start(origin).await?;
        tokio::time::sleep(SETTLING).await;
        let id = backend.process().id();
        let before = resident_bytes(id);
        let (round, with_streams) = stream(backend.service(), pace.streaming, || resident_bytes(id)).await?;
        push(&mut through, &round);
        if let (Some(before), Some(with_streams)) = (before, with_streams) {
            idle.push(float(before) / 1e6);
            per_stream.push((float(with_streams) - float(before)) / 1e3 / float(STREAMS as u64));
        } else {
            memory_is_known = false;
        }
        backend.kill().await;
    }
    let mut text = format!(
        "{STREAMS} streams at once, a token each {} ms, {} rounds of {} s.\n\n| jitter of a token, ms | p50 | p99 | greatest |\n|---|---|---|---|\n",
        TOKEN_INTERVAL.as_millis(),
        pace.rounds,
        pace.streaming.as_secs(),
    );
    for (name, [p50, p99, greatest]) in
        [("upstream directly", directly), ("through the backend (goal: p99 of at most 20)", through)]
    {
        writeln!(text, "| {name} | {} | {} | {} |", p50.show(2), p99.show(2), greatest.show(1))?;
    }
    if memory_is_known {
        write!(
            text,
            "\n| resident memory of the backend | |\n|---|---|\n| idle, MB (goal: at most 60) | {} |\n\
             | per open stream, KB (goal: at most 100) | {} |\n",
            idle.show(1),
            per_stream.show(1)
        )?;
    } else {
        text.push_str("\nResident memory is not known here: it is read from Linux's `/proc`.\n");
    }
    Ok(text)
}

fn push([p50, p99, greatest]: &mut [Rounds; 3], round: &Round) {
    p50.push(round.p50);
    p99.push(round.p99);
    greatest.push(round.greatest);
}

/// Opens all streams, times their tokens for so long, and asks `look` while all are still open.
async fn stream<T>(address: SocketAddr, duration: Duration, look: impl FnOnce() -> T) -> Result<(Round, T)> {
    let opened = Arc::new(AtomicUsize::new(0));
    let opening = BETWEEN_OPENINGS * u32::try_from(STREAMS)?;
    let from = now_micros() + micros(opening + SETTLING);
    let until = from + micros(duration);
    // Beyond the end of the measurement, so that all are open while memory is looked at.
    let leave = until + micros(SETTLING);
    let mut readers = JoinSet::new();
    for _ in 0..STREAMS {
        let opened = opened.clone();
        readers.spawn(async move {
            let (mut jitters, mut last) = (Vec::new(), None::<(u64, u64)>);
            read_tokens(address, |written, read| {
                if let Some((written_before, read_before)) = last.replace((written, read)) {
                    if (from..until).contains(&read_before) && read < until {
                        jitters.push((read - read_before).abs_diff(written - written_before));
                    }
                } else {
                    opened.fetch_add(1, Ordering::Relaxed);
                }
                read < leave
            })
            .await?;
            anyhow::Ok(jitters)
        });
        tokio::time::sleep(BETWEEN_OPENINGS).await;
    }
    let wait = until.saturating_sub(now_micros());
    tokio::time::sleep(Duration::from_micros(wait)).await;
    let seen = look();
    let mut jitters = Vec::new();
    while let Some(reader) = readers.join_next().await {
        jitters.append(&mut reader??);
    }
    let opened = opened.load(Ordering::Relaxed);
    ensure!(opened == STREAMS, "only {opened} of {STREAMS} streams opened");
    jitters.sort_unstable();
    let at = |share: f64| -> Result<f64> {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index of some hundred thousand"
        )]
        let index = ((jitters.len() as f64 * share) as usize).min(jitters.len().saturating_sub(1));
        Ok(float(*jitters.get(index).context("no token came in time")?) / 1e3)
    };
    Ok((Round { p50: at(0.5)?, p99: at(0.99)?, greatest: at(1.0)? }, seen))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn float(number: u64) -> f64 {
    number as f64
}
