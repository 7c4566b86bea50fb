//! How a database's schema stands to the one that this program knows.

use sqlx::migrate::{AppliedMigration, Migrator};

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// Nothing: it is the same.
    Current,
    /// Something is missing that `migrate` adds.
    Old,
    /// It knows more: a newer version was here.
    Newer,
}

impl Schema {
    /// By the migrations that there are, and those that were applied.
    pub(super) fn of(known: &Migrator, applied: &[AppliedMigration]) -> Self {
        if applied.iter().any(|migration| !known.version_exists(migration.version)) {
            return Self::Newer;
        }
        let is_missing = |version| !applied.iter().any(|done| done.version == version);
        if known.iter().any(|migration| is_missing(migration.version)) { Self::Old } else { Self::Current }
    }
}
