//! Server-sent events, as they are written to clients.

use bytes::Bytes;

/// A comment that keeps proxies from taking silence for the end.
pub(super) const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");
/// The end of a stream that is complete.
pub(super) const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// One event with this data. Data of several lines has its prefix on each.
pub(super) fn event(data: &str) -> Bytes {
    let mut text = String::with_capacity(data.len() + 8);
    for line in data.split('\n') {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_prefixed() {
        assert_eq!(event("{}"), "data: {}\n\n");
        assert_eq!(event("{\n}"), "data: {\ndata: }\n\n");
    }
}
