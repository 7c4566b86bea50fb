//! `[conversations]`: how long what users keep stays.

use std::time::Duration;

use super::reader::Reader;

/// How long conversations stay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConversationsConfig {
    /// `conversations.retention`, `GOBLIN_CONVERSATIONS__RETENTION`: how long a conversation stays that nobody renames or
    /// goes on with; a duration such as `90d`, of at least a minute. None by default: until its owner deletes it.
    pub(crate) retention: Option<Duration>,
}

/// Shorter ones would delete what is being talked in.
const SHORTEST: Duration = Duration::from_mins(1);

impl ConversationsConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let retention = reader.optional(&["conversations", "retention"]);
        if retention.is_some_and(|retention: Duration| retention < SHORTEST) {
            reader.fault_of(&["conversations", "retention"], "must be at least a minute, such as 90d");
        }
        Self { retention }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Inputs};

    fn retention(text: Option<&str>) -> Result<Option<Duration>, String> {
        let mut set = vec!["edge.signature=off".to_owned(), "auth.mode=off".to_owned()];
        set.extend(text.map(|text| format!("conversations.retention={text}")));
        let inputs = Inputs { file: None, environment: Vec::new(), set };
        Config::load(&inputs).map(|config| config.conversations.retention).map_err(|faults| faults.to_string())
    }

    #[test]
    fn conversations_stay_as_long_as_it_says() {
        assert_eq!(retention(None), Ok(None));
        assert_eq!(retention(Some("90d")), Ok(Some(Duration::from_hours(24 * 90))));
        for text in ["59s", "0s", "forever"] {
            let told = retention(Some(text)).unwrap_err();
            assert!(told.contains("conversations.retention"), "{told}");
        }
    }
}
