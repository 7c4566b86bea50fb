//! Where things are kept, as configured.

use crate::{
    config::{Migrate, StoreConfig, StoreUrl},
    monitoring::metrics::Metrics,
    store::{OpenFailed, Place, Purpose, Settings, Stores, open},
};

/// How the store is used; `None`: nothing is kept.
pub(super) fn settings(store: &StoreConfig) -> Option<Settings> {
    let place = match &store.url {
        StoreUrl::None => return None,
        StoreUrl::Sqlite(path) => Place::Sqlite(path.clone()),
        StoreUrl::Postgres(url) => Place::Postgres(url.clone()),
    };
    Some(Settings {
        place,
        connections: u32::try_from(store.connections).unwrap_or(u32::MAX),
        timeout: store.timeout,
        migrate: store.migrate == Migrate::Auto,
        metrics: None,
    })
}

/// Opens it for serving.
pub(super) async fn serve(store: &StoreConfig, metrics: &Metrics) -> Result<Option<Stores>, OpenFailed> {
    match settings(store) {
        Some(settings) => {
            let settings = Settings { metrics: Some(metrics.clone()), ..settings };
            open(&settings, Purpose::Serve).await.map(Some)
        }
        None => Ok(None),
    }
}
