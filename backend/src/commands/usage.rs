//! `usage`.

use crate::{
    command_line::UsageCommand,
    ports::{Clock, Ledger, StoreError, day},
    usage::{Span, UsageReport},
};

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoUsage {
    /// The days do not follow each other.
    #[error("--from {0}")]
    Days(&'static str),
    /// The ledger does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A table, or JSON.
pub(crate) async fn usage(ledger: &dyn Ledger, clock: &dyn Clock, wish: UsageCommand) -> Result<String, NoUsage> {
    let today = day::of_millis(clock.unix_millis());
    let span = Span::new(wish.from, wish.to, today).map_err(NoUsage::Days)?;
    let query = span.query(wish.by, wish.key, wish.user, wish.tenant);
    let rows = ledger.usage(&query).await?;
    let report = UsageReport::new(&query, &rows);
    Ok(if wish.json { format!("{}\n", report.json()) } else { report.table() })
}
