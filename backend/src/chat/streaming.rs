//! A streamed answer on its way to its client, driven by a task of its own: its clocks run, and its provider's connection
//! is let go, whether or not the client reads.

use std::sync::Arc;

use goblin_shared::catalogue::Target;
use tokio::{sync::mpsc, time::timeout_at};
use tracing::Instrument;

use super::{
    account::Account,
    attempt::StreamedAttempt,
    conversation::Recorder,
    provider_state::Mode,
    run::{PlanFailure, Run},
    service::{ChatRequest, ChatService, Usable},
};
use crate::ports::{Chunk, ProviderError};

/// Events that wait for a client that reads slowly. When there are so many, the provider waits too.
const WAITING: usize = 16;

/// From how many bytes on an event waits alone.
const LARGE: usize = 64 * 1024;

/// Most bytes before the first content, which are held back.
const HELD_BYTES: usize = 1024 * 1024;

/// One step of a streamed answer.
#[derive(Debug)]
pub(crate) enum Step {
    /// This one answers: the first content is here.
    Begun(Target),
    /// An event for the client.
    Chunk(Chunk),
    /// The answer is complete.
    Done,
}

/// A streamed answer. Dropping it ends the call of the provider.
pub(crate) struct Streaming {
    steps: mpsc::Receiver<Result<Step, PlanFailure>>,
}

impl Streaming {
    /// How many steps wait for the client.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.steps.len()
    }

    /// The next step; after [`Step::Done`] and after a failure there is none. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Step, PlanFailure> {
        self.steps.recv().await.unwrap_or(Err(PlanFailure::Lost))
    }
}

impl ChatService {
    /// Answers piece by piece: nothing before the first content, which can still come from any entry of the plan. The
    /// account is settled before the last step is given.
    pub(crate) fn stream(
        self: &Arc<Self>,
        entries: Vec<Usable>,
        request: ChatRequest,
        mut account: Account,
    ) -> Streaming {
        let (sender, steps) = mpsc::channel(WAITING + 1);
        let service = self.clone();
        let relay = async move {
            // Whatever waits, there is room for the end.
            let Ok(end) = sender.clone().try_reserve_owned() else { return };
            tokio::select! {
                // The client has left, which dropping the account tells.
                () = sender.closed() => {}
                last = relay(&service, &entries, &request, &mut account, &sender) => {
                    let last = match last {
                        Ok(step) => account.completed_and_kept().await.map(|()| step),
                        Err(failure) => {
                            drop(account.failed(failure.code()));
                            Err(failure)
                        }
                    };
                    drop(end.send(last));
                }
            }
        };
        tokio::spawn(relay.in_current_span());
        Streaming { steps }
    }
}

type Sender = mpsc::Sender<Result<Step, PlanFailure>>;

/// Gives the last step.
async fn relay(
    service: &ChatService,
    entries: &[Usable],
    request: &ChatRequest,
    account: &mut Account,
    sender: &Sender,
) -> Result<Step, PlanFailure> {
    let mut run = Run::new(service, request, entries, Mode::Stream, account.tally());
    while let Some(attempt) = run.next().await {
        let end = attempt.patience.end;
        let mut attempt = attempt.stream();
        let (held, complete) = match open(&mut attempt).await {
            Ok(opened) => opened,
            Err(error) => {
                drop(attempt);
                run.failed(error);
                continue;
            }
        };
        let target = attempt.target.clone();
        // A client that reads too slowly does not hold its provider for ever either.
        return match timeout_at(end.at, hand_on(&mut attempt, held, complete, account.recorder(), sender)).await {
            Ok(Ok(())) => Ok(Step::Done),
            Ok(Err(error)) => Err(PlanFailure::Provider { target, error }),
            Err(_) => Err(PlanFailure::Unread),
        };
    }
    Err(run.into_failure())
}

/// Waits for the first content. Gives what came up to it, and whether that is all.
async fn open(attempt: &mut StreamedAttempt) -> Result<(Vec<Chunk>, bool), ProviderError> {
    let (mut held, mut bytes) = (Vec::new(), 0);
    while let Some(chunk) = attempt.next().await? {
        bytes += chunk.data.len();
        let content = chunk.content;
        held.push(chunk);
        if content {
            return Ok((held, false));
        }
        if bytes > HELD_BYTES {
            return Err(ProviderError::Garbage("too much comes before the first content"));
        }
    }
    Ok((held, true))
}

/// Hands everything on, at the pace of the slower side.
async fn hand_on(
    attempt: &mut StreamedAttempt,
    held: Vec<Chunk>,
    complete: bool,
    mut recorder: Option<&mut Recorder>,
    sender: &Sender,
) -> Result<(), ProviderError> {
    // A failure to send is a client that left, of which the caller knows.
    let _ = sender.send(Ok(Step::Begun(attempt.target.clone()))).await;
    for chunk in held {
        hand_over(chunk, recorder.as_deref_mut(), sender).await;
    }
    if !complete {
        while let Some(chunk) = attempt.next().await? {
            hand_over(chunk, recorder.as_deref_mut(), sender).await;
        }
    }
    Ok(())
}

/// Puts one event where it waits for the client; a large one only when no other waits there, so that memory is bounded
/// by bytes too.
async fn hand_over(chunk: Chunk, recorder: Option<&mut Recorder>, sender: &Sender) {
    if let Some(recorder) = recorder {
        recorder.chunk(&chunk.data);
    }
    let places = if chunk.data.len() > LARGE { WAITING } else { 1 };
    if let Ok(mut places) = sender.reserve_many(places).await
        && let Some(place) = places.next()
    {
        place.send(Ok(Step::Chunk(chunk)));
    }
}
