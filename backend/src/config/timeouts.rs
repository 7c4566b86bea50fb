//! `[timeouts]`: patience with providers.

use std::time::Duration;

use super::reader::Reader;

/// How long is waited for what.
#[derive(Clone, Debug)]
pub(crate) struct TimeoutsConfig {
    /// `timeouts.connect`, `GOBLIN_TIMEOUTS__CONNECT`: for a connection. Default 5 s.
    pub(crate) connect: Duration,
    /// `timeouts.attempt`, `GOBLIN_TIMEOUTS__ATTEMPT`: from a call to its first content, as long as another entry of the
    /// plan is left. Default 30 s.
    pub(crate) attempt: Duration,
    /// `timeouts.first_content`, `GOBLIN_TIMEOUTS__FIRST_CONTENT`: from the request to the first content of a stream, or to
    /// the whole of an unstreamed answer, over all calls. Default 60 s, which is less than the edge waits.
    pub(crate) first_content: Duration,
    /// `timeouts.between_chunks`, `GOBLIN_TIMEOUTS__BETWEEN_CHUNKS`: from one chunk of a stream to the next. Default 30 s.
    pub(crate) between_chunks: Duration,
    /// `timeouts.total`, `GOBLIN_TIMEOUTS__TOTAL`: for the whole call. Default 600 s.
    pub(crate) total: Duration,
}

impl TimeoutsConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let mut read = |name: &str, default: u64| reader.nonzero(&["timeouts", name], Duration::from_secs(default));
        Self {
            connect: read("connect", 5),
            attempt: read("attempt", 30),
            first_content: read("first_content", 60),
            between_chunks: read("between_chunks", 30),
            total: read("total", 600),
        }
    }
}
