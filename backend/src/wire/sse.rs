//! Server-sent events, read as the WHATWG HTML standard has them (section 9.2.6), piece by piece.
//!
//! Of an event its name and its data are kept; no format uses more. One thing is different: an event
//! before the end of the body counts even without the blank line after it, as some servers leave that out after
//! `[DONE]`. Half a JSON text is found out by its reader, who is told that the event did not end.

/// Largest event in bytes. Real ones have a few hundred.
const EVENT_BYTES: usize = 8 * 1024 * 1024;

/// An event is larger than [`EVENT_BYTES`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {EVENT_BYTES} bytes")]
pub(crate) struct EventTooLarge;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its name, if it has one.
    pub(crate) name: Option<String>,
    /// Its data, lines joined by line feeds.
    pub(crate) data: String,
    /// The body ended before it did: it may be half.
    pub(crate) unended: bool,
}

/// Turns bytes into events.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The data lines of the event that has not ended yet.
    data: Option<String>,
    /// The name of the event that has not ended yet.
    name: Option<String>,
    /// The last byte was CR: an LF next belongs to it.
    after_cr: bool,
    /// A byte order mark may stand before the first line.
    begun: bool,
}

impl Parser {
    /// Reads more bytes, and adds the events that ended with them.
    pub(crate) fn push(&mut self, mut bytes: &[u8], events: &mut impl Extend<Event>) -> Result<(), EventTooLarge> {
        if self.after_cr && !bytes.is_empty() {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            self.after_cr = false;
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.grow(&bytes[..end])?;
            let is_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if is_cr {
                if bytes.is_empty() {
                    self.after_cr = true;
                } else {
                    bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
                }
            }
            self.end_line(events);
        }
        self.grow(bytes)
    }

    /// The body has ended properly: what is there is the last event.
    pub(crate) fn finish(mut self) -> Option<Event> {
        if !self.line.is_empty() {
            self.end_line(&mut Vec::new());
        }
        self.take_event().map(|event| Event { unended: true, ..event })
    }

    fn take_event(&mut self) -> Option<Event> {
        let name = self.name.take();
        self.data.take().map(|data| Event { name, data, unended: false })
    }

    fn grow(&mut self, bytes: &[u8]) -> Result<(), EventTooLarge> {
        if self.line.len() + self.data.as_ref().map_or(0, String::len) + bytes.len() > EVENT_BYTES {
            return Err(EventTooLarge);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, events: &mut impl Extend<Event>) {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            events.extend(self.take_event());
            return;
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let text = |value: &[u8]| String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value)).into_owned();
        // An empty name is a comment; `id` and `retry` mean nothing here.
        if name == b"event" {
            self.name = Some(text(value)).filter(|name| !name.is_empty());
        } else if name == b"data" {
            let value = text(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(&value);
                }
                None => self.data = Some(value),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser.push(piece, &mut events).unwrap();
        }
        events.extend(parser.finish());
        events.into_iter().map(|event: Event| event.data).collect()
    }

    #[test]
    fn names_belong_to_their_event_alone() {
        let mut events = Vec::new();
        let mut parser = Parser::default();
        parser.push(b"event: a\ndata: 1\n\nevent: lost\n\ndata: 2\n\ndata: 3\nevent:b\nevent: c", &mut events).unwrap();
        events.extend(parser.finish());
        let event = |name: Option<&str>, data: &str, unended| Event {
            name: name.map(str::to_owned),
            data: data.to_owned(),
            unended,
        };
        assert_eq!(events, [event(Some("a"), "1", false), event(None, "2", false), event(Some("c"), "3", true)]);
    }

    fn parse_text(text: &str) -> Vec<String> {
        parse([text.as_bytes()])
    }

    #[test]
    fn the_standards_own_examples() {
        assert_eq!(parse_text("data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
        let text = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        assert_eq!(parse_text(text), ["first event", "second event", " third event"]);
        assert_eq!(parse_text("data\n\ndata\ndata\n\n"), ["", "\n"]);
        assert_eq!(parse_text("data:test\n\ndata: test\n\n"), ["test", "test"]);
    }

    #[test]
    fn all_line_ends_are_line_ends() {
        for end in ["\n", "\r", "\r\n"] {
            let text = format!("\u{feff}data: a{end}{end}:c{end}{end}event: x{end}data: b{end}{end}");
            assert_eq!(parse_text(&text), ["a", "b"], "{end:?}");
        }
    }

    #[test]
    fn a_last_event_needs_no_blank_line() {
        assert_eq!(parse_text("data: a\n\ndata: [DONE]"), ["a", "[DONE]"]);
        assert_eq!(parse_text("data: a\n\ndata: [DONE]\n"), ["a", "[DONE]"]);
        assert_eq!(parse_text("data: a\n\n: bye"), ["a"]);
    }

    #[test]
    fn events_are_bounded() {
        let mut parser = Parser::default();
        let mut events: Vec<Event> = Vec::new();
        let piece = vec![b'x'; EVENT_BYTES / 4];
        parser.push(b"data: ", &mut events).unwrap();
        assert!((0..4).any(|_| parser.push(&piece, &mut events) == Err(EventTooLarge)));

        let mut parser = Parser::default();
        let line = [b"data:", piece.as_slice(), b"\n"].concat();
        assert!((0..5).any(|_| parser.push(&line, &mut events) == Err(EventTooLarge)));
    }

    proptest! {
        #[test]
        fn any_partition_gives_the_same_events(
            lines in prop::collection::vec("(data: ?|:|event:|)[a-zäß€𝄞 :]{0,6}(\n|\r|\r\n)", 0..12),
            cuts in prop::collection::vec(0..200_usize, 0..12),
        ) {
            let bytes = lines.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
            prop_assert_eq!(parse(pieces), parse([bytes.as_slice()]));
        }

        #[test]
        fn what_is_written_is_read_back(events in prop::collection::vec("[^\r\n\u{feff}]{0,12}(\n[^\r\n]{0,5})?", 0..6)) {
            let mut text = String::new();
            for event in &events {
                text.extend(["data: ", event.replace('\n', "\ndata: ").as_str(), "\n\n"]);
            }
            prop_assert_eq!(parse_text(&text), events);
        }

        #[test]
        fn parsing_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            parse([bytes.as_slice()]);
        }
    }
}
