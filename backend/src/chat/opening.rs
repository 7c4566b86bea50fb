//! The beginning of a stream, while the client's answer has no head yet and an error can still be a real status.

use std::{pin::pin, time::Duration};

use super::attempt::{Attempt, Piece};
use crate::ports::ProviderError;

/// Longest time that the head of the answer is held back.
const HOLD: Duration = Duration::from_secs(15);

/// Waits for the first content, or [`HOLD`], or the end. Gives the chunks that came by then, in order.
pub(crate) async fn open(attempt: &mut Attempt) -> Result<Opened, ProviderError> {
    let mut pieces = Vec::new();
    let mut held = pin!(tokio::time::sleep(HOLD));
    loop {
        tokio::select! {
            // An answer that is here counts, even in the moment when patience ends.
            biased;
            next = attempt.next() => match next? {
                None => return Ok(Opened { pieces, complete: true }),
                Some(piece) => {
                    let content = piece.content;
                    pieces.push(piece);
                    if content {
                        return Ok(Opened { pieces, complete: false });
                    }
                }
            },
            () = &mut held => return Ok(Opened { pieces, complete: false }),
        }
    }
}

/// What came before the head of the answer goes out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    /// The chunks.
    pub(crate) pieces: Vec<Piece>,
    /// Whether these are all.
    pub(crate) complete: bool,
}
