//! Where a page of a list begins. Opaque to clients, so that the order may change.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use goblin_shared::conversation::is_id;

use crate::ports::{Conversation, PageCursor};

/// A cursor as clients get it, and give it back.
pub(super) trait Cursor: Sized {
    /// Reads one. None: it is no cursor of this list.
    fn read(text: &str) -> Option<Self>;
}

/// Of the list of conversations.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListCursor(pub(super) PageCursor);

impl ListCursor {
    /// Behind this conversation.
    pub(super) fn after(last: &Conversation) -> Self {
        Self(PageCursor { updated_ms: last.updated_ms, id: last.id.clone() })
    }
}

/// Of the list of turns: behind the one of this number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TurnCursor(pub(super) u32);

/// The plain text of a cursor.
fn decoded(text: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

impl Cursor for ListCursor {
    fn read(text: &str) -> Option<Self> {
        let text = decoded(text)?;
        let (updated_ms, id) = text.strip_prefix("c:")?.split_once(':')?;
        // A store's whole numbers are signed.
        let updated_ms = updated_ms.parse().ok().filter(|millis| i64::try_from(*millis).is_ok())?;
        is_id(id).then(|| Self(PageCursor { updated_ms, id: id.to_owned() }))
    }
}

impl fmt::Display for ListCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PageCursor { updated_ms, id } = &self.0;
        f.write_str(&URL_SAFE_NO_PAD.encode(format!("c:{updated_ms}:{id}")))
    }
}

impl Cursor for TurnCursor {
    fn read(text: &str) -> Option<Self> {
        decoded(text)?.strip_prefix("t:")?.parse().ok().map(Self)
    }
}

impl fmt::Display for TurnCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(format!("t:{}", self.0)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cursors_come_back(updated_ms in 0_u64..1 << 63, number: u32) {
            let list = ListCursor(PageCursor { updated_ms, id: "conv_0123456789abcdefABCDEFxy".to_owned() });
            prop_assert_eq!(ListCursor::read(&list.to_string()), Some(list));
            prop_assert_eq!(TurnCursor::read(&TurnCursor(number).to_string()), Some(TurnCursor(number)));
        }

        #[test]
        fn other_texts_are_no_cursors(text in "\\PC{0,60}") {
            prop_assert_eq!(ListCursor::read(&text), None);
            prop_assert_eq!(TurnCursor::read(&text), None);
        }
    }

    #[test]
    fn cursors_of_one_list_are_none_of_the_other() {
        let list = ListCursor(PageCursor { updated_ms: 1, id: "conv_0123456789abcdefABCDEFxy".to_owned() });
        assert_eq!(TurnCursor::read(&list.to_string()), None);
        assert_eq!(ListCursor::read(&TurnCursor(1).to_string()), None);
        for text in
            ["c:1:x", "c:x:conv_0123456789abcdefABCDEFxy", "c:18446744073709551615:conv_0123456789abcdefABCDEFxy"]
        {
            assert_eq!(ListCursor::read(&URL_SAFE_NO_PAD.encode(text)), None, "{text}");
        }
        for text in ["t:", "t:-1", "t:4294967296"] {
            assert_eq!(TurnCursor::read(&URL_SAFE_NO_PAD.encode(text)), None, "{text}");
        }
    }
}
