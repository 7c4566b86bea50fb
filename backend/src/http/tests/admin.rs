//! What administrators do by HTTP.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use async_trait::async_trait;
use axum::{body::Body, response::Response};
use http::Request;
use serde_json::Value;

use super::{Backend, NOW, access::with_key, body, demo_request, error, get};
use crate::{
    identity::Mode,
    monitoring::metrics::read_back::unread,
    ports::{
        ActiveUsers, Business, ConversationFigures, Figures, GroupKey, Ledger, LedgerEntry, NotOpened, Quota, Scope,
        Scopes, Settlement, StoreError, Subject, UsageQuery, UsageRow, Written,
    },
};

/// A ledger whose books are closed: one row, which repeats what was asked. Tests do not write to it.
pub(super) struct UsedUp;

#[async_trait]
impl Ledger for UsedUp {
    async fn open(&self, _: LedgerEntry) -> Result<(), NotOpened> {
        unreachable!("nothing is written here")
    }

    fn settle(&self, _: Settlement) -> Written {
        unreachable!("nothing is written here")
    }

    async fn charged(&self, _: &Subject, _: Quota, _: u64) -> Result<u64, StoreError> {
        unreachable!("nothing is limited here")
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
        if query.user.as_deref() == Some("fail") {
            return Err(StoreError::Refused(std::io::Error::other("told to fail").into()));
        }
        Ok(vec![UsageRow { name: format!("{query:?}"), completed: 2, ..UsageRow::default() }])
    }

    async fn flush(&self, _: Duration) -> usize {
        0
    }
}

/// Figures of a day on which little happened, or none on the first day of all.
pub(super) struct Quiet;

#[async_trait]
impl Business for Quiet {
    async fn roll_up(&self, _: u64) -> Result<(), StoreError> {
        Ok(())
    }

    async fn figures(&self, from_day: u32, _: u32) -> Result<BTreeMap<GroupKey, Figures>, StoreError> {
        if from_day == 0 {
            return Err(StoreError::Refused(std::io::Error::other("told to fail").into()));
        }
        let key = GroupKey { provider: "demo".to_owned(), model: "echo".to_owned(), outcome: "completed".to_owned() };
        Ok(BTreeMap::from([(key, Figures { requests: 2, prompt_tokens: 7, ..Figures::default() })]))
    }

    async fn users(&self, _: u32) -> Result<ActiveUsers, StoreError> {
        Ok(ActiveUsers { day: 1, week: 2, month: 4 })
    }

    async fn users_by_day(&self, from_day: u32, _: u32) -> Result<Vec<(u32, u64)>, StoreError> {
        Ok(vec![(from_day, 1)])
    }

    async fn conversations(&self, _: u32, _: u32, _: u64) -> Result<ConversationFigures, StoreError> {
        Ok(ConversationFigures::default())
    }
}

/// A backend, and the key of its administrator.
async fn governed() -> (Backend, String) {
    let backend = Backend::with_auth(false, Mode::Required, &unread());
    let key = backend.issue(Scopes::NONE.with(Scope::Admin)).await.key.expose().to_owned();
    (backend, key)
}

fn post(path: &str, body: &str) -> Request<Body> {
    let request = Request::post(path).header("content-type", "application/json");
    request.body(Body::from(body.to_owned())).unwrap()
}

async fn json(response: Response) -> Value {
    serde_json::from_str(&body(response).await).unwrap()
}

#[tokio::test]
async fn a_key_is_made_shown_once_rotated_and_revoked() {
    let (backend, admin) = governed().await;
    let wish = r#"{"name":"ci","user":"ann","tenant":"acme","scopes":["chat"],"expires_in_seconds":60,
                   "requests_per_minute":5,"usd_per_day":"12.50"}"#;
    let created = backend.operate(with_key(post("/admin/keys", wish), &admin)).await;
    assert_eq!((created.status().as_u16(), &created.headers()["cache-control"]), (201, &"no-store".parse().unwrap()));
    let created = json(created).await;
    let (id, first) = (created["id"].as_str().unwrap(), created["key"].as_str().unwrap());
    for (member, value) in [
        ("name", "ci".into()),
        ("user", "ann".into()),
        ("tenant", "acme".into()),
        ("scopes", serde_json::json!(["chat"])),
        ("state", "active".into()),
        ("created_at", NOW.into()),
        ("expires_at", (NOW + 60).into()),
        ("requests_per_minute", 5.into()),
        ("tokens_per_minute", Value::Null),
        ("usd_per_day", "12.50".into()),
    ] {
        assert_eq!(created[member], value, "{member}");
    }
    let ask = async |key: &str| backend.send(with_key(demo_request(), key)).await.status().as_u16();
    assert_eq!(ask(first).await, 200);

    let path = format!("/admin/keys/{id}/rotate");
    let rotated = json(backend.operate(with_key(post(&path, r#"{"overlap_seconds":10}"#), &admin)).await).await;
    assert_eq!((&rotated["id"], &rotated["previous_secret_until"]), (&created["id"], &(NOW + 10).into()));
    let second = rotated["key"].as_str().unwrap();
    assert_eq!((ask(first).await, ask(second).await), (200, 200));
    backend.clock.0.fetch_add(10, Ordering::Relaxed);
    assert_eq!((ask(first).await, ask(second).await), (401, 200));

    let listed = body(backend.operate(with_key(get("/admin/keys"), &admin)).await).await;
    assert!(listed.contains(id) && !listed.contains(&first[17..]) && !listed.contains(&second[17..]), "{listed}");
    let kept = format!("{:?}", backend.keys.peek(id).unwrap());
    assert!(!kept.contains(&second[17..49]), "{kept}");

    let delete = || Request::delete(format!("/admin/keys/{id}")).body(Body::empty()).unwrap();
    assert_eq!(json(backend.operate(with_key(delete(), &admin)).await).await["state"], "revoked");
    assert_eq!(ask(second).await, 401, "at once, though it is believed for a minute");
    assert_eq!(backend.operate(with_key(delete(), &admin)).await.status(), 200, "twice does no harm");
    let response = backend.operate(with_key(post(&path, ""), &admin)).await;
    assert_eq!(error(response).await, (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn lists_have_pages() {
    let (backend, admin) = governed().await;
    for _ in 0..4 {
        backend.issue(Scopes::DEFAULT).await;
    }
    let (mut seen, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = json(backend.operate(with_key(get(&format!("/admin/keys?limit=2{after}")), &admin)).await).await;
        seen.extend(page["data"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()));
        pages += 1;
        assert_eq!(page["has_more"].as_bool().unwrap(), page["next"].is_string());
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!((seen.len(), pages), (5, 3));
    assert!(seen.is_sorted_by(|one, other| one < other), "{seen:?}");
}

#[tokio::test]
async fn wishes_that_cannot_be_granted_name_their_field() {
    let (backend, admin) = governed().await;
    for (wish, param) in [
        (r#"{"scopes":["root"]}"#, "scopes"),
        (r#"{"scopes":[]}"#, "scopes"),
        (r#"{"usd_per_day":"12,50"}"#, "usd_per_day"),
        (r#"{"usd_per_month":12}"#, "usd_per_month"),
        (r#"{"requests_per_minute":-1}"#, "requests_per_minute"),
        (r#"{"requests_per_minute":18446744073709551615}"#, "limits"),
        (r#"{"expires_in_seconds":0}"#, "expires_in_seconds"),
        (r#"{"user":""}"#, "user"),
        (r#"{"tenant":"a\nb"}"#, "tenant"),
        (r#"{"expires":"90d"}"#, "expires"),
    ] {
        let response = backend.operate(with_key(post("/admin/keys", wish), &admin)).await;
        assert_eq!(response.status(), 400, "{wish}");
        let told = json(response).await;
        assert_eq!(told["error"]["param"], param, "{wish}: {told}");
    }
    for (path, wish, expected) in [
        ("/admin/keys", "[", (400, "invalid_json")),
        ("/admin/keys", "{}{}", (400, "invalid_json")),
        ("/admin/keys/0123456789ab/rotate", "", (404, "not_found")),
        ("/admin/keys/x/rotate", "{}", (404, "not_found")),
    ] {
        let response = backend.operate(with_key(post(path, wish), &admin)).await;
        assert_eq!(error(response).await, (expected.0, expected.1.to_owned()), "{path} {wish}");
    }
    let typeless = Request::post("/admin/keys").body(Body::from("{}")).unwrap();
    let response = backend.operate(with_key(typeless, &admin)).await;
    assert_eq!(error(response).await, (415, "unsupported_media_type".to_owned()));
    let large = post("/admin/keys", &format!("{{\"name\":\"{}\"}}", "x".repeat(70_000)));
    let response = backend.operate(with_key(large, &admin)).await;
    assert_eq!(error(response).await, (413, "body_too_large".to_owned()));
    let unknown = Request::delete("/admin/keys/0123456789ab").body(Body::empty()).unwrap();
    assert_eq!(error(backend.operate(with_key(unknown, &admin)).await).await, (404, "not_found".to_owned()));
    let response = backend.operate(with_key(get("/admin/keys?limit=x"), &admin)).await;
    assert_eq!(error(response).await, (400, "invalid_field".to_owned()));
}

#[tokio::test]
async fn use_is_told_as_json_and_csv() {
    let (backend, admin) = governed().await;
    let ask = async |query: &str| backend.operate(with_key(get(&format!("/admin/usage?{query}")), &admin)).await;
    let told = json(ask("from=2026-01-01&to=2026-01-31&by=tenant&tenant=acme").await).await;
    assert_eq!((&told["from"], &told["by"]), (&"2026-01-01".into(), &"tenant".into()));
    let asked = told["data"][0]["name"].as_str().unwrap();
    assert!(asked.contains("from_day: 20454, to_day: 20484, by: Tenant") && asked.contains("acme"), "{asked}");
    let today = json(ask("").await).await;
    assert_eq!((&today["from"], &today["to"]), (&"2026-12-17".into(), &"2027-01-15".into()));
    let csv = ask("by=model&format=csv").await;
    assert_eq!(csv.headers()["content-type"], "text/csv; charset=utf-8");
    assert!(body(csv).await.starts_with("model,completed,"));
    for wrong in ["from=yesterday", "from=2026-02-01&to=2026-01-01", "by=hour", "format=xml", "until=2026-01-01"] {
        assert_eq!(error(ask(wrong).await).await, (400, "invalid_field".to_owned()), "{wrong}");
    }
    assert_eq!(error(ask("user=fail").await).await, (503, "store_unavailable".to_owned()));
}

#[tokio::test]
async fn figures_of_the_business_are_told_as_json_and_csv() {
    let (backend, admin) = governed().await;
    let ask = async |path: &str| backend.operate(with_key(get(&format!("/admin/analytics/{path}")), &admin)).await;
    let users = json(ask("users?from=2026-01-01&to=2026-01-31").await).await;
    assert_eq!(
        (&users["figure"], &users["from"], &users["to"]),
        (&"users".into(), &"2026-01-01".into(), &"2026-01-31".into())
    );
    assert_eq!((&users["stickiness"], &users["data"][0]["day"]), (&0.25.into(), &"2026-01-01".into()));
    let tokens = json(ask("tokens").await).await;
    assert_eq!((&tokens["from"], &tokens["prompt_tokens"]), (&"2026-12-17".into(), &7.into()));
    for (figure, head) in [
        ("users", "day,users"),
        ("cost", "provider,model,requests,cost_usd,"),
        ("providers", "provider,model,requests,share,"),
        ("conversations", "turns,conversations"),
        ("tokens", "provider,model,prompt_tokens,"),
    ] {
        let csv = ask(&format!("{figure}?format=csv")).await;
        assert_eq!(csv.headers()["content-type"], "text/csv; charset=utf-8");
        let csv = body(csv).await;
        assert!(csv.starts_with(head), "{csv}");
    }
    for wrong in ["users?from=yesterday", "users?from=2026-02-01&to=2026-01-01", "cost?format=xml", "cost?by=day"] {
        assert_eq!(error(ask(wrong).await).await, (400, "invalid_field".to_owned()), "{wrong}");
    }
    assert_eq!(error(ask("weather").await).await, (404, "not_found".to_owned()));
    assert_eq!(error(ask("cost?from=1970-01-01").await).await, (503, "store_unavailable".to_owned()));
}
