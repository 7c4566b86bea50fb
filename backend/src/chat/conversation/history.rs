//! As many of the latest turns of a conversation as can go along.

use super::{
    assemble::{CONTEXT_BYTES, Cut, Past, Request, Room},
    failure::ConversationFailure,
};
use crate::ports::{Conversations, Owner};

/// Turns that are asked for at first.
const FIRST_PAGE: u32 = 8;
/// Most that are asked for at once.
const LARGEST_PAGE: u32 = 128;
/// A page of less bytes is followed by one of twice as many turns.
const SMALL_PAGE: usize = 256 * 1024;

/// What goes along, and what does not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct History {
    /// The latest turns, the oldest first.
    pub(super) past: Vec<Past>,
    /// How many turns before them are left out.
    pub(super) dropped: u32,
}

/// Reads from the latest turn back until no more can fit.
pub(super) async fn load(
    store: &dyn Conversations,
    owner: &Owner,
    id: &str,
    request: &Request<'_>,
    room: Room,
) -> Result<History, ConversationFailure> {
    // Backwards: the latest first.
    let mut latest: Vec<Past> = Vec::new();
    let (mut before, mut limit, mut bytes) = (u32::MAX, FIRST_PAGE, 0_usize);
    loop {
        let page = store.turns_before(owner, id, before, limit).await?.ok_or(ConversationFailure::NotFound)?;
        let oldest = page.last().map_or(0, |turn| turn.number);
        let is_all = u32::try_from(page.len()).unwrap_or(u32::MAX) < limit || oldest <= 1;
        let page_bytes: usize = page.iter().map(|turn| turn.messages.len()).sum();
        let oldest_known = if page.is_empty() { before } else { oldest };
        latest.extend(page.into_iter().map(|turn| Past::new(turn.messages)));
        latest.reverse();
        let cut = request.cut(&latest, is_all, room);
        if let Cut::At(at) = cut {
            let past = latest.split_off(at);
            // Turns are numbered from 1 without gaps, so the oldest one's number tells how many are before.
            let before_known = if is_all { 0 } else { oldest_known.saturating_sub(1) };
            let dropped = before_known.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
            return Ok(History { past, dropped });
        }
        latest.reverse();
        bytes = bytes.saturating_add(page_bytes);
        if bytes > 2 * CONTEXT_BYTES {
            let message = "The tool calls that these messages answer are too long to go along; begin anew with a message \
                           of the user.";
            return Err(ConversationFailure::invalid("messages", message));
        }
        before = oldest_known;
        if page_bytes < SMALL_PAGE {
            limit = (limit * 2).min(LARGEST_PAGE);
        }
    }
}
