//! Requests a second, against other gateways in front of the same upstream on the same machine.

use std::{fmt::Write as _, net::SocketAddr};

use anyhow::Result;
use goblin_tests::{backend::Backend, process::Process};
use tempfile::TempDir;

use super::{
    Pace,
    litellm::{self, Workers},
    portkey,
};
use crate::{
    canned::Origin,
    rounds::Rounds,
    wrk::{self, Load},
};

const CONNECTIONS: u32 = 16;

/// Another gateway, running.
pub(super) struct Rival {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
    /// Head fields that tell it where its upstream is.
    pub(super) head: Vec<(&'static str, String)>,
    /// Its working directory.
    pub(super) _folder: TempDir,
}

/// What is compared.
struct Target {
    name: String,
    /// Where it is and what it is told, or why it is not there.
    place: Result<(SocketAddr, Vec<(&'static str, String)>)>,
    /// How many times its rate ours is to be.
    goal: Option<u32>,
    rates: Rounds,
    ours: Rounds,
}

impl Target {
    fn new(name: String, place: Result<(SocketAddr, Vec<(&'static str, String)>)>, goal: Option<u32>) -> Self {
        Self { name, place, goal, rates: Rounds::default(), ours: Rounds::default() }
    }

    fn of(name: String, rival: &Result<Rival>, goal: Option<u32>) -> Self {
        let place = match rival {
            Ok(rival) => Ok((rival.address, rival.head.clone())),
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        Self::new(name, place, goal)
    }
}

/// A table of all; who cannot be installed here is named with the reason.
pub(super) async fn measure(origin: &Origin, backend: &Backend, pace: Pace) -> Result<String> {
    let rivals = [
        portkey::start(origin).await,
        litellm::start(origin, Workers::One).await,
        litellm::start(origin, Workers::OneForEachCore).await,
    ];
    let mut targets = [
        Target::new("through the backend".to_owned(), Ok((backend.service(), Vec::new())), None),
        Target::new("upstream directly".to_owned(), Ok((origin.address, Vec::new())), None),
        Target::of(portkey::name(), &rivals[0], Some(8)),
        Target::of(litellm::name(Workers::One), &rivals[1], Some(80)),
        Target::of(litellm::name(Workers::OneForEachCore), &rivals[2], None),
    ];
    // The first one warms up: what is compiled or loaded late is not to be counted against anybody.
    let mut measured = round(&mut targets, pace, false).await;
    for _ in 0..pace.rounds {
        if measured.is_err() {
            break;
        }
        measured = round(&mut targets, pace, true).await;
    }
    for rival in rivals.into_iter().flatten() {
        if measured.is_err() {
            eprintln!("another gateway's log ends:\n{}", rival.process.log().tail(20));
        }
        rival.process.kill().await;
    }
    measured?;
    let mut table = format!(
        "| short unary chat, {CONNECTIONS} connections | requests/s | the backend's, as a multiple |\n|---|---|---|\n"
    );
    for target in &targets {
        let (name, goal) =
            (&target.name, target.goal.map_or_else(String::new, |goal| format!(" (goal: at least {goal})")));
        match &target.place {
            Ok(_) => writeln!(table, "| {name} | {} | {}{goal} |", target.rates.show(0), target.ours.show(2))?,
            Err(why) => {
                let why = format!("{why:#}").replace(['\n', '|'], " ");
                writeln!(table, "| {name} | not installed: {why} | –{goal} |")?;
            }
        }
    }
    Ok(table)
}

/// Ours first, as the others are compared with it.
async fn round(targets: &mut [Target], pace: Pace, counts: bool) -> Result<()> {
    let mut ours = None;
    for target in targets {
        let Ok((address, head)) = &target.place else { continue };
        let mut fields = vec![("user-agent", "OpenAI/Python 3.54.0"), ("authorization", "Bearer sk-of-the-bench")];
        fields.extend(head.iter().map(|(name, value)| (*name, value.as_str())));
        let rate = wrk::fire(*address, Load::Chat, &fields, CONNECTIONS, pace.round).await?.per_second;
        if !counts {
            continue;
        }
        target.rates.push(rate);
        target.ours.push(*ours.get_or_insert(rate) / rate);
    }
    Ok(())
}
