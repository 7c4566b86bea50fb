//! Why a plan is as it is, for people: short, printable ASCII, and with no other names than the catalogue's.

use crate::catalogue::Target;

/// Longest reason, in bytes.
pub const REASON_BYTES: usize = 512;

const CUT: &str = "...";

/// A text that is put together and never grows too long.
#[derive(Default)]
pub(super) struct Reason {
    text: String,
    is_cut: bool,
}

impl Reason {
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Adds words, as far as there is room.
    pub(super) fn add(&mut self, words: &[&str]) {
        for word in words {
            let room = REASON_BYTES - CUT.len() - self.text.len();
            self.is_cut |= word.len() > room;
            if self.is_cut {
                // All of it is ASCII, so it can be cut anywhere.
                self.text.push_str(&word[..room.min(word.len())]);
                return;
            }
            self.text.push_str(word);
        }
    }

    /// Adds a target and a note between words.
    pub(super) fn target(&mut self, before: &str, target: &Target, after: &[&str]) {
        self.add(&[before, &target.provider, "/", &target.model]);
        self.add(after);
    }

    pub(super) fn finish(mut self) -> String {
        if self.is_cut {
            self.text.push_str(CUT);
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_cut() {
        let mut reason = Reason::default();
        reason.add(&["ab"; 300]);
        reason.add(&["c"]);
        let text = reason.finish();
        assert_eq!((text.len(), text.ends_with("aba...")), (REASON_BYTES, true));
    }

    #[test]
    fn what_fits_is_kept() {
        let mut reason = Reason::default();
        assert!(reason.is_empty());
        reason.target("first ", &Target::parse("p/m").unwrap(), &[" (", "down", ")"]);
        assert_eq!(reason.finish(), "first p/m (down)");
    }
}
