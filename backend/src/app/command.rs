//! Commands that work on what is kept.

use std::sync::Arc;

use super::{kept, objectives::objectives};
use crate::{
    ambient::{SystemClock, SystemRandom},
    command_line::StoreCommand,
    commands::{self, NoUsage},
    config::{AuthConfig, SloConfig, StoreConfig},
    identity::{KeyOffice, OfficeError},
    ports::StoreError,
    store::{self, OpenFailed, Purpose, Stores},
};

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandFailed {
    /// There is nothing that it could be carried out on.
    #[error("no keys and no ledger are kept; say where by store.url (GOBLIN_STORE__URL), for example sqlite:goblin.db")]
    NothingKept,
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenFailed),
    /// It was about keys.
    #[error(transparent)]
    Keys(#[from] OfficeError),
    /// It was about objectives.
    #[error("what objectives are judged by cannot be read")]
    Slo(#[source] StoreError),
    /// It was about use.
    #[error(transparent)]
    Usage(#[from] NoUsage),
}

/// Carries out a command on what is kept, beside those who serve it; the text is for standard output.
pub(crate) async fn command(
    store: &StoreConfig,
    auth: AuthConfig,
    slo: &SloConfig,
    wish: StoreCommand,
) -> Result<String, CommandFailed> {
    let settings = kept::settings(store).ok_or(CommandFailed::NothingKept)?;
    if let StoreCommand::Migrate { json } = wish {
        store::migrate(&settings).await?;
        return Ok(commands::migrated(&settings.place.shown(), json));
    }
    let Stores { keys, ledger, slo_counts, .. } = store::open(&settings, Purpose::Command).await?;
    let clock = Arc::new(SystemClock);
    match wish {
        StoreCommand::Keys(wish) => {
            let issuer = auth.issuer_secrets.into_iter().next();
            let office = KeyOffice::new(keys, issuer, Arc::new(SystemRandom), clock);
            Ok(commands::keys(&office, wish).await?)
        }
        StoreCommand::Usage(wish) => Ok(commands::usage(&*ledger, &*clock, wish).await?),
        StoreCommand::Slo(wish) => {
            let told = commands::slo(&*slo_counts, objectives(slo), &*clock, &wish).await;
            Ok(told.map_err(CommandFailed::Slo)?)
        }
        StoreCommand::Migrate { .. } => unreachable!("it was done above"),
    }
}
