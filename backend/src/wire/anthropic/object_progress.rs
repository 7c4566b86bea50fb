//! Whether a JSON object that comes in pieces is whole yet, found out by looking at each byte once.

/// How far an object is. What is no JSON may count as whole too early or never; its reader finds that out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ObjectProgress {
    begun: bool,
    /// Objects and lists that are open.
    depth: usize,
    in_string: bool,
    /// The last byte was a backslash in a string.
    escaped: bool,
}

impl ObjectProgress {
    /// Takes in the next piece of its text.
    pub(super) fn push(&mut self, piece: &str) {
        for byte in piece.bytes() {
            if self.in_string {
                let escaped = std::mem::take(&mut self.escaped);
                match byte {
                    _ if escaped => {}
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => (self.begun, self.depth) = (true, self.depth.saturating_add(1)),
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Its last brace has come.
    pub(super) fn is_whole(&self) -> bool {
        self.begun && self.depth == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::tests::json_object;

    proptest! {
        #[test]
        fn an_object_is_whole_with_its_last_brace(object in json_object(), cuts in prop::collection::vec(0..99_usize, 0..9)) {
            let text = object.to_string();
            let mut progress = ObjectProgress::default();
            let mut begin = 0;
            let mut ends: Vec<usize> = cuts.into_iter().filter(|cut| text.is_char_boundary(*cut)).collect();
            ends.push(text.len());
            ends.sort_unstable();
            for end in ends {
                prop_assert!(!progress.is_whole() || begin == text.len());
                progress.push(&text[begin..end]);
                begin = end;
            }
            prop_assert!(progress.is_whole());
        }
    }

    #[test]
    fn nothing_is_not_whole() {
        let mut progress = ObjectProgress::default();
        assert!(!progress.is_whole());
        progress.push(" ");
        assert!(!progress.is_whole());
        progress.push(r#"{"}\"":"\\"#);
        assert!(!progress.is_whole());
        progress.push("\"} ");
        assert!(progress.is_whole());
    }
}
