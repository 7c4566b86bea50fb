//! The query of requests for pages.

use http::Uri;
use percent_encoding::percent_decode_str;

use super::cursor::Cursor;
use crate::{chat::conversation::ConversationFailure, http::errors::Failure};

/// Most entries of a page.
const MOST: u32 = 100;
/// Entries of a page of which nobody said how large it should be.
const USUAL: u32 = 20;

/// A page of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<C> {
    /// Most entries.
    pub(super) limit: u32,
    /// Where it begins; at the beginning where it does not say so.
    pub(super) after: Option<C>,
}

impl<C: Cursor> Page<C> {
    /// Reads `limit` and `after`; whatever else is there means nothing.
    pub(super) fn of(uri: &Uri) -> Result<Self, Failure> {
        let limit = match parameter(uri, "limit") {
            None => USUAL,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MOST).contains(limit))
                .ok_or_else(|| invalid("limit", format!("`limit` must be a whole number from 1 to {MOST}.")))?,
        };
        let after = parameter(uri, "after").map(|text| C::read(&text)).map(|cursor| {
            let message = "`after` is no cursor of this list: take it from `next` of the page before, or leave it out \
                           to begin anew.";
            cursor.ok_or_else(|| invalid("after", message))
        });
        Ok(Self { limit, after: after.transpose()? })
    }
}

/// The first value of a parameter, as `application/x-www-form-urlencoded` has it.
pub(super) fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let pairs = uri.query()?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    pairs.into_iter().find(|(known, _)| decode(known) == name).map(|(_, value)| decode(value))
}

/// A parameter at fault.
pub(super) fn invalid(param: &str, message: impl Into<String>) -> Failure {
    ConversationFailure::invalid(param, message).into()
}

#[cfg(test)]
mod tests {
    use super::{super::cursor::TurnCursor, *};

    fn page(query: &str) -> Result<Page<TurnCursor>, Option<String>> {
        let uri = format!("/v1/conversations/x/turns{query}").parse().unwrap();
        Page::of(&uri).map_err(|failure| failure.error.param)
    }

    #[test]
    fn pages_are_read() {
        let cursor = TurnCursor(7).to_string();
        for (query, limit, after) in [
            ("", 20, None),
            ("?", 20, None),
            ("?limit=1&other=x", 1, None),
            ("?other&li%6dit=100", 100, None),
            (&format!("?after={cursor}"), 20, Some(TurnCursor(7))),
        ] {
            assert_eq!(page(query), Ok(Page { limit, after }), "{query}");
        }
        for limit in ["0", "101", "", "x", "1.0", "-1", "+1%00", "4294967297"] {
            assert_eq!(page(&format!("?limit={limit}")), Err(Some("limit".to_owned())), "{limit}");
        }
        for after in ["", "x", "%ff", &format!("{cursor}x")] {
            assert_eq!(page(&format!("?after={after}")), Err(Some("after".to_owned())), "{after}");
        }
    }
}
