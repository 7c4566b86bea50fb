//! `migrate`

/// What is told once the schema of the store at `place` is up to date.
pub(crate) fn migrated(place: &str, json: bool) -> String {
    if json {
        format!("{}\n", serde_json::json!({ "store": place, "schema": "current" }))
    } else {
        format!("the schema of {place} is up to date\n")
    }
}
