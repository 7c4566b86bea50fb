//! Puts together who is asked who he is, and what operators govern.

use std::sync::Arc;

use super::AppError;
use crate::{
    ambient::SystemRandom,
    config::{AuthMode, Config, JwtConfig},
    http::Admin,
    identity::{ApiKeys, Identity, Jwt, JwtSettings, KeyOffice, Mode},
    monitoring::metrics::Metrics,
    ports::{Clock, Keys},
    store::Stores,
};

/// Who is asked who he is, and what is believed of whom.
pub(super) fn identity(
    config: &Config,
    keys: Option<Arc<dyn Keys>>,
    clock: &Arc<dyn Clock>,
    metrics: Metrics,
) -> Result<Identity, AppError> {
    let auth = &config.auth;
    let mode = match auth.mode {
        AuthMode::Off => Mode::Off,
        AuthMode::Optional => Mode::Optional,
        AuthMode::Required => Mode::Required,
    };
    let settings = |jwt: &JwtConfig| JwtSettings {
        issuer: jwt.issuer.clone(),
        audience: jwt.audience.clone(),
        jwks_url: jwt.jwks_url.clone(),
        algorithms: jwt.algorithms.clone(),
        tenant_claim: jwt.tenant_claim.clone(),
        default_scopes: jwt.default_scopes,
        leeway: jwt.leeway,
        cache: jwt.cache,
    };
    let jwt = auth.jwt.as_ref().map(|jwt| Jwt::new(settings(jwt), clock.clone())).transpose();
    let keys = ApiKeys::new(keys, auth.issuer_secrets.clone(), auth.cache, clock.clone());
    Ok(Identity::new(mode, keys, jwt.map_err(AppError::Jwt)?, metrics))
}

/// What `/admin` works with.
pub(super) fn admin(config: &Config, kept: &Stores, clock: &Arc<dyn Clock>) -> Admin {
    let issuer = config.auth.issuer_secrets.first().cloned();
    let office = KeyOffice::new(kept.keys.clone(), issuer, Arc::new(SystemRandom), clock.clone());
    Admin {
        office,
        ledger: kept.ledger.clone(),
        incidents: kept.incidents.clone(),
        business: kept.business.clone(),
        clock: clock.clone(),
    }
}
