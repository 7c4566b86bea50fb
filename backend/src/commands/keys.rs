//! `keys create|list|rotate|revoke`.

use serde_json::json;

use crate::{
    command_line::{CreateCommand, KeysCommand},
    identity::{Issued, IssuedView, KeyOffice, KeyView, NewKey, OfficeError, PAGE},
    ports::{KeyRecord, LimitSet, day},
    usage::table,
};

/// Carries out one of them.
pub(crate) async fn keys(office: &KeyOffice, command: KeysCommand) -> Result<String, OfficeError> {
    match command {
        KeysCommand::Create(wish) => {
            let json = wish.json;
            Ok(issued(office, &office.create(new_key(wish)).await?, json))
        }
        KeysCommand::Rotate { id, overlap, json } => Ok(issued(office, &office.rotate(&id, overlap).await?, json)),
        KeysCommand::Revoke { id, json } => {
            office.revoke(&id).await?;
            Ok(if json { line(&json!({ "id": id, "state": "revoked" })) } else { format!("revoked {id}\n") })
        }
        KeysCommand::List { json } => {
            let keys = all(office).await?;
            Ok(if json { as_json(&keys, office.now_ms()) } else { as_table(&keys, office.now_ms()) })
        }
    }
}

fn new_key(wish: CreateCommand) -> NewKey {
    NewKey {
        name: wish.name,
        user: wish.user,
        tenant: wish.tenant,
        scopes: wish.scopes,
        limits: LimitSet {
            requests_per_minute: wish.requests_per_minute,
            tokens_per_minute: wish.tokens_per_minute,
            nano_usd_per_day: wish.usd_per_day,
            nano_usd_per_month: wish.usd_per_month,
        },
        expires_in: wish.expires,
    }
}

/// The key alone, so that it can be piped to where it is needed, or all that is known of it.
fn issued(office: &KeyOffice, issued: &Issued, json: bool) -> String {
    if json { line(&json!(IssuedView::new(issued, office.now_ms()))) } else { format!("{}\n", issued.key.expose()) }
}

fn line(value: &serde_json::Value) -> String {
    format!("{value}\n")
}

async fn all(office: &KeyOffice) -> Result<Vec<KeyRecord>, OfficeError> {
    let mut keys: Vec<KeyRecord> = Vec::new();
    loop {
        let (page, more) = office.list(keys.last().map(|key| key.id.as_str()), PAGE).await?;
        keys.extend(page);
        if !more {
            return Ok(keys);
        }
    }
}

fn as_json(keys: &[KeyRecord], now_ms: u64) -> String {
    let keys: Vec<_> = keys.iter().map(|key| KeyView::new(key, now_ms)).collect();
    line(&json!({ "object": "list", "data": keys }))
}

fn as_table(keys: &[KeyRecord], now_ms: u64) -> String {
    let head = ["id", "state", "name", "user", "tenant", "scopes", "expires"].map(str::to_owned);
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            let view = KeyView::new(key, now_ms);
            let expires = key.expires_ms.map_or_else(|| "never".to_owned(), |at| day::written(day::of_millis(at)));
            let tenant = view.tenant.unwrap_or_default();
            [view.id, view.state, view.name, view.user, tenant, &view.scopes(), &expires].map(str::to_owned)
        })
        .collect();
    table(&head, &rows)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use goblin_shared::api_key::{ApiKey, IssuerSecret};
    use serde_json::Value;

    use super::*;
    use crate::{
        ambient::{SystemClock, SystemRandom},
        identity::memory_keys::MemoryKeys,
        ports::Scopes,
    };

    fn issuer() -> IssuerSecret {
        "0123456789abcdef0123456789abcdef".parse().unwrap()
    }

    fn office(store: &Arc<MemoryKeys>) -> KeyOffice {
        KeyOffice::new(store.clone(), Some(issuer()), Arc::new(SystemRandom), Arc::new(SystemClock))
    }

    fn wish(json: bool) -> CreateCommand {
        CreateCommand {
            name: "ci".to_owned(),
            user: Some("ann".to_owned()),
            tenant: None,
            scopes: Scopes::DEFAULT,
            expires: Some(Duration::from_hours(24)),
            requests_per_minute: None,
            tokens_per_minute: None,
            usd_per_day: Some(12_500_000_000),
            usd_per_month: None,
            json,
        }
    }

    #[tokio::test]
    async fn a_key_is_printed_alone_or_with_all_that_is_kept() {
        let store = Arc::new(MemoryKeys::default());
        let office = office(&store);
        let printed = keys(&office, KeysCommand::Create(wish(false))).await.unwrap();
        let key = ApiKey::check(printed.trim_end(), &[issuer()]).unwrap();
        assert_eq!(store.peek(key.id()).unwrap().name, "ci");
        let printed = keys(&office, KeysCommand::Create(wish(true))).await.unwrap();
        let printed: Value = serde_json::from_str(&printed).unwrap();
        assert!(printed["key"].as_str().unwrap().contains(printed["id"].as_str().unwrap()));
        assert_eq!((&printed["usd_per_day"], &printed["state"]), (&"12.50".into(), &"active".into()));
    }

    #[tokio::test]
    async fn keys_are_listed_rotated_and_revoked() {
        let store = Arc::new(MemoryKeys::default());
        let office = office(&store);
        for _ in 0..=PAGE {
            keys(&office, KeysCommand::Create(wish(false))).await.unwrap();
        }
        let listed = keys(&office, KeysCommand::List { json: true }).await.unwrap();
        let listed: Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(listed["data"].as_array().unwrap().len(), usize::try_from(PAGE).unwrap() + 1, "more than a page");
        let id = listed["data"][0]["id"].as_str().unwrap().to_owned();
        let rotate = KeysCommand::Rotate { id: id.clone(), overlap: Duration::ZERO, json: false };
        let rotated = keys(&office, rotate).await.unwrap();
        assert_eq!(ApiKey::check(rotated.trim_end(), &[issuer()]).unwrap().id(), id);
        let revoked = keys(&office, KeysCommand::Revoke { id: id.clone(), json: false }).await.unwrap();
        assert_eq!(revoked, format!("revoked {id}\n"));
        let table = keys(&office, KeysCommand::List { json: false }).await.unwrap();
        let lines: Vec<_> = table.lines().collect();
        assert!(lines[0].starts_with("id            state    name  user  tenant  scopes"), "{}", lines[0]);
        assert!(lines[1].starts_with(&format!("{id}  revoked  ci")), "{}", lines[1]);
        let nobodys = KeysCommand::Revoke { id: "0123456789ab".to_owned(), json: true };
        assert!(matches!(keys(&office, nobodys).await, Err(OfficeError::NoSuchKey)));
    }
}
