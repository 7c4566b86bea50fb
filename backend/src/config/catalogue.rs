//! `[catalogue]`: the file of providers and models.

use std::path::PathBuf;

use goblin_shared::catalogue::{BUILT_IN, Catalogue};

use super::reader::Reader;

/// `catalogue.path`, `GOBLIN_CATALOGUE__PATH`: a JSON file in place of the catalogue that is built in. The edge must
/// have the same.
pub(super) fn read(reader: &mut Reader) -> Option<Catalogue> {
    let path = ["catalogue", "path"];
    let json = match reader.optional::<PathBuf>(&path) {
        None => BUILT_IN.to_owned(),
        Some(file) => match std::fs::read_to_string(file) {
            Ok(json) => json,
            Err(error) => {
                reader.fault_of(&path, format!("cannot be read: {error}"));
                return None;
            }
        },
    };
    match Catalogue::parse(&json) {
        Ok(catalogue) => Some(catalogue),
        Err(error) => {
            reader.fault_of(&path, error.to_string());
            None
        }
    }
}
