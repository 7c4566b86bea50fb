//! `[auth]`: who may use the service.

use super::{reader::Reader, value::Value};

/// `auth.mode`, `GOBLIN_AUTH__MODE`: `off` (default), the only one there is as long as there are no API keys.
struct Mode;

impl Value for Mode {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self),
            _ => Err("API keys do not exist in this version, so that only `off` is possible".to_owned()),
        }
    }

    fn show(&self) -> String {
        "off".to_owned()
    }
}

/// Checks the section. There is nothing to choose in it yet.
pub(super) fn read(reader: &mut Reader) {
    let Mode = reader.or(&["auth", "mode"], Mode);
}
