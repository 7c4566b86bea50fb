//! `[timeouts]`: patience with providers.

use std::time::Duration;

use super::reader::Reader;

/// How long is waited for what.
#[derive(Clone, Debug)]
pub(crate) struct TimeoutsConfig {
    /// `timeouts.connect`, `GOBLIN_TIMEOUTS__CONNECT`: for a connection. Default 5 s.
    pub(crate) connect: Duration,
    /// `timeouts.first_content`, `GOBLIN_TIMEOUTS__FIRST_CONTENT`: from the call to the first content of a stream, or to
    /// the whole of an unstreamed answer. Default 60 s, which is less than the edge waits.
    pub(crate) first_content: Duration,
    /// `timeouts.between_chunks`, `GOBLIN_TIMEOUTS__BETWEEN_CHUNKS`: from one chunk of a stream to the next. Default 30 s.
    pub(crate) between_chunks: Duration,
    /// `timeouts.total`, `GOBLIN_TIMEOUTS__TOTAL`: for the whole call. Default 600 s.
    pub(crate) total: Duration,
}

impl TimeoutsConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let mut read = |name: &str, default: u64| {
            let path = ["timeouts", name];
            let duration = reader.or(&path, Duration::from_secs(default));
            if duration.is_zero() {
                reader.fault_of(&path, "must be longer than nothing");
            }
            duration
        };
        Self {
            connect: read("connect", 5),
            first_content: read("first_content", 60),
            between_chunks: read("between_chunks", 30),
            total: read("total", 600),
        }
    }
}
