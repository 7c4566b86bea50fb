//! Incidents by way of Alertmanager's webhook.

use std::sync::Mutex;

use async_trait::async_trait;
use axum::body::Body;
use http::{Request, Response};
use serde_json::{Value, json};

use super::*;
use crate::ports::{Incident, IncidentState, Incidents, Scope, Scopes, StoreError};

/// Keeps what it is told, each word of it.
#[derive(Default)]
pub(super) struct Told(Mutex<Vec<Incident>>);

#[async_trait]
impl Incidents for Told {
    async fn tell(&self, incidents: &[Incident]) -> Result<(), StoreError> {
        if incidents.iter().any(|incident| incident.fingerprint == "refused") {
            return Err(StoreError::Unavailable("told to fail".into()));
        }
        self.0.lock().unwrap().extend_from_slice(incidents);
        Ok(())
    }

    async fn list(&self, state: Option<IncidentState>, most: u32) -> Result<Vec<Incident>, StoreError> {
        let is_it = |incident: &&Incident| match state {
            None => true,
            Some(IncidentState::Open) => incident.ended_ms.is_none(),
            Some(IncidentState::Ended) => incident.ended_ms.is_some(),
        };
        Ok(self.0.lock().unwrap().iter().filter(is_it).take(most as usize).cloned().collect())
    }

    async fn forget(&self, _: u64) -> Result<(), StoreError> {
        Ok(())
    }
}

/// As Alertmanager 0.31 sends it.
fn webhook(alerts: &Value) -> Value {
    json!({
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing", "receiver": "incidents",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager:9093",
        "alerts": alerts,
    })
}

fn alert(fingerprint: &str, status: &str) -> Value {
    let ends = if status == "firing" { "0001-01-01T00:00:00Z" } else { "2026-11-25T23:10:00Z" };
    json!({
        "status": status, "fingerprint": fingerprint, "generatorURL": "http://prometheus:9090/graph",
        "startsAt": "2026-11-25T23:00:00.5Z", "endsAt": ends,
        "labels": {"alertname": "EdgeDown", "severity": "page"}, "annotations": {"summary": "The edge does not answer"},
    })
}

fn told(body: &Value, key: &str) -> Request<Body> {
    let request = Request::post("/admin/incidents").header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {key}"));
    request.body(Body::from(body.to_string())).unwrap()
}

async fn shown(response: Response<Body>) -> Value {
    serde_json::from_str(&body(response).await).unwrap()
}

#[tokio::test]
async fn what_alertmanager_tells_is_shown() {
    let backend = Backend::with_auth(false, Mode::Required, &unread());
    let teller = backend.issue(Scopes::NONE.with(Scope::Incidents)).await.key.expose().to_owned();
    let admin = backend.issue(Scopes::NONE.with(Scope::Admin)).await.key.expose().to_owned();
    let said = webhook(&json!([alert("a", "firing"), alert("b", "resolved")]));
    assert_eq!(backend.operate(told(&said, &teller)).await.status(), 204);

    let list = async |query: &str| {
        let request =
            Request::get(format!("/admin/incidents{query}")).header("authorization", format!("Bearer {admin}"));
        backend.operate(request.body(Body::empty()).unwrap()).await
    };
    let all = shown(list("").await).await;
    let [first, second] = &all["data"].as_array().unwrap()[..] else { panic!("{all}") };
    assert_eq!(
        (&first["alert"], &first["severity"], &first["state"]),
        (&"EdgeDown".into(), &"page".into(), &"open".into())
    );
    assert_eq!((&first["started_at"], &first["ended_at"]), (&"2026-11-25T23:00:00.5Z".into(), &Value::Null));
    assert_eq!((&second["state"], &second["ended_at"]), (&"ended".into(), &"2026-11-25T23:10:00Z".into()));
    assert_eq!(first["summary"], "The edge does not answer");
    assert_eq!(shown(list("?state=open").await).await["data"].as_array().unwrap().len(), 1);
    assert_eq!(shown(list("?state=ended&limit=1").await).await["data"][0]["fingerprint"], "b");
    for (query, param) in [("?state=closed", "state"), ("?limit=0", "limit"), ("?limit=201", "limit")] {
        assert_eq!(shown(list(query).await).await["error"]["param"], param, "{query}");
    }
}

#[tokio::test]
async fn only_who_may_tells_and_only_what_can_be_read() {
    let backend = Backend::with_auth(false, Mode::Off, &unread());
    let key = async |scope: Scope| backend.issue(Scopes::NONE.with(scope)).await.key.expose().to_owned();
    let (teller, admin) = (key(Scope::Incidents).await, key(Scope::Admin).await);
    let said = webhook(&json!([alert("a", "firing")]));
    assert_eq!(error(backend.operate(told(&said, &admin)).await).await, (403, "insufficient_scope".to_owned()));
    assert_eq!(backend.operate(told(&said, "gob_nobody")).await.status(), 401, "though nobody is looked at elsewhere");

    let mut later = said.clone();
    later["version"] = "5".into();
    let mut unknown = alert("a", "firing");
    unknown["status"] = "suppressed".into();
    let mut timeless = alert("a", "firing");
    timeless["startsAt"] = "now".into();
    for (said, param) in [
        (later, "version"),
        (webhook(&json!([alert("b", "firing"), unknown])), "alerts[1].status"),
        (webhook(&json!([timeless])), "alerts[0].startsAt"),
    ] {
        let refused = shown(backend.operate(told(&said, &teller)).await).await;
        assert_eq!(refused["error"]["param"], param, "{refused}");
    }
    let said = webhook(&json!([alert("refused", "firing")]));
    assert_eq!(error(backend.operate(told(&said, &teller)).await).await, (503, "store_unavailable".to_owned()));
}
