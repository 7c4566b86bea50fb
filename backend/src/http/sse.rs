//! Server-sent events, as they are written to clients.

use bytes::Bytes;

/// A comment that keeps proxies from taking silence for the end.
pub(super) const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");
/// The end of a stream that is complete.
pub(super) const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// One event with this name, if it has one, and this data. Data of several lines has its prefix on each.
pub(super) fn event(name: Option<&str>, data: &str) -> Bytes {
    let mut text = String::with_capacity(data.len() + name.map_or(0, str::len) + 16);
    if let Some(name) = name {
        text.extend(["event: ", name, "\n"]);
    }
    for line in data.split('\n') {
        text.extend(["data: ", line, "\n"]);
    }
    text.push('\n');
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_prefixed() {
        assert_eq!(event(None, "{}"), "data: {}\n\n");
        assert_eq!(event(None, "{\n}"), "data: {\ndata: }\n\n");
        assert_eq!(event(Some("ping"), "{}"), "event: ping\ndata: {}\n\n");
    }
}
