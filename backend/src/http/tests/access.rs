//! Who may call which endpoint, and that everybody else is refused.

use std::{fmt::Write, time::Duration};

use axum::{body::Body, response::Response};
use goblin_shared::vocabulary::AUTH_ATTEMPTS;
use http::{Method, Request};
use tower::ServiceExt;

use super::{Backend, Signed, body, demo_request, get, refused};
use crate::{
    http::{
        authenticate::Access,
        layers::{self, Route},
    },
    identity::{Issued, KeyOffice, Mode, NewKey},
    monitoring::metrics::read_back::{ReadBack, unread},
    ports::{Scope, Scopes},
};

impl Backend {
    /// A key with these scopes.
    pub(super) async fn issue(&self, scopes: Scopes) -> Issued {
        self.office().create(NewKey { name: "test".to_owned(), scopes, ..NewKey::default() }).await.unwrap()
    }

    fn office(&self) -> KeyOffice {
        KeyOffice::new(
            self.keys.clone(),
            Some(super::issuer()),
            std::sync::Arc::new(crate::ambient::SystemRandom),
            self.clock.clone(),
        )
    }

    /// Sends to the operations listener.
    pub(super) async fn operate(&self, request: Request<Body>) -> Response {
        self.operations.clone().oneshot(request).await.unwrap()
    }
}

pub(super) fn with_key(mut request: Request<Body>, key: &str) -> Request<Body> {
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    request
}

/// Status and code of an error, in whichever shape.
async fn error(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let error: serde_json::Value = serde_json::from_str(&body(response).await).unwrap();
    (status, error["error"]["code"].as_str().unwrap().to_owned())
}

/// Both listeners' routes, each with the name of its listener.
fn all() -> impl Iterator<Item = (&'static str, Route)> {
    let service = layers::service_routes().into_iter().chain(layers::probes()).map(|route| ("service", route));
    service.chain(layers::operations_routes().into_iter().chain(layers::probes()).map(|route| ("operations", route)))
}

fn asked(route: &Route) -> Request<Body> {
    let path = route.path.replace("{id}", "0123456789ab").replace("{name}", "users");
    Request::builder().method(route.method.clone()).uri(path).body(Body::empty()).unwrap()
}

/// The list is a contract: whoever changes it says in his change who may call what from now on.
#[test]
fn the_list_of_endpoints_is_as_agreed() {
    let mut list = String::new();
    for (listener, Route { path, method, access, .. }) in all() {
        let access = match access {
            Access::Public => "everybody".to_owned(),
            Access::Edge => "the edge".to_owned(),
            Access::Scope(scope) => format!("scope {}", scope.as_str()),
        };
        writeln!(list, "{listener:<10}  {:<6}  {path:<34}  {access}", method.as_str()).unwrap();
    }
    assert_eq!(list, include_str!("endpoints.txt"), "endpoints.txt is not what is served; this is:\n{list}");
}

/// Everybody who is not meant, by what he shows, with what he is told.
async fn strangers(backend: &Backend, scope: Scope) -> Vec<(&'static str, Option<String>, (u16, &'static str))> {
    let others = Scope::ALL.into_iter().filter(|other| *other != scope);
    let others = others.fold(Scopes::NONE, Scopes::with);
    let lesser = backend.issue(others).await.key;
    let all_scopes = Scope::ALL.into_iter().fold(Scopes::NONE, Scopes::with);
    let office = backend.office();
    let life = Some(Duration::from_secs(1));
    let expired = office.create(NewKey { scopes: all_scopes, expires_in: life, ..NewKey::default() }).await.unwrap();
    let revoked = backend.issue(all_scopes).await;
    office.revoke(&revoked.record.id).await.unwrap();
    let replaced = backend.issue(all_scopes).await;
    office.rotate(&replaced.record.id, Duration::ZERO).await.unwrap();
    backend.clock.0.fetch_add(2, std::sync::atomic::Ordering::Relaxed);
    // Genuine by its tag, but never kept here.
    let unknown = goblin_shared::api_key::ApiKey::mint(&super::issuer(), &[7; 48]);
    let other_issuer = "another-issuer-another-secret-of-32".parse().unwrap();
    let forged = goblin_shared::api_key::ApiKey::mint(&other_issuer, &[8; 48]);
    let shown = |key: &goblin_shared::api_key::ApiKey| Some(key.expose().to_owned());
    vec![
        ("nobody", None, (401, "authentication_required")),
        ("without the scope", shown(&lesser), (403, "insufficient_scope")),
        ("expired", shown(&expired.key), (401, "invalid_api_key")),
        ("revoked", shown(&revoked.key), (401, "invalid_api_key")),
        ("replaced", shown(&replaced.key), (401, "invalid_api_key")),
        ("unknown", shown(&unknown), (401, "invalid_api_key")),
        ("forged", shown(&forged), (401, "invalid_api_key")),
        ("cut", Some(lesser.expose()[..50].to_owned()), (401, "invalid_api_key")),
        ("a token where none count", Some("a.b.c".to_owned()), (401, "invalid_api_key")),
    ]
}

#[tokio::test]
async fn every_endpoint_refuses_everybody_else() {
    let backend = Backend::with_auth(false, Mode::Required, &unread());
    for (listener, route) in all() {
        let router = if listener == "service" { &backend.router } else { &backend.operations };
        let place = format!("{listener} {} {}", route.method, route.path);
        match route.access {
            Access::Public => {
                let response = router.clone().oneshot(asked(&route)).await.unwrap();
                assert_eq!(response.status(), 200, "{place}");
            }
            Access::Edge => {
                let response = router.clone().oneshot(asked(&route)).await.unwrap();
                assert_eq!(error(response).await, refused(), "{place}");
                let all_scopes = Scope::ALL.into_iter().fold(Scopes::NONE, Scopes::with);
                let key = backend.issue(all_scopes).await.key;
                let response = router.clone().oneshot(with_key(asked(&route), key.expose())).await.unwrap();
                assert_eq!(error(response).await, refused(), "{place} with a key");
            }
            Access::Scope(scope) => {
                for (who, key, (status, code)) in strangers(&backend, scope).await {
                    let request = match &key {
                        Some(key) => with_key(asked(&route), key),
                        None => asked(&route),
                    };
                    let response = router.clone().oneshot(request).await.unwrap();
                    let challenge = response.headers().get("www-authenticate").cloned().expect("www-authenticate");
                    let challenge = challenge.to_str().unwrap().to_owned();
                    assert!(challenge.starts_with("Bearer"), "{place} {who}: {challenge}");
                    assert_eq!(error(response).await, (status, code.to_owned()), "{place} {who}");
                }
                // Who may is not told any of that, whatever else is wrong with his request.
                let key = backend.issue(Scopes::NONE.with(scope)).await.key;
                let response = router.clone().oneshot(with_key(asked(&route), key.expose())).await.unwrap();
                assert!(![401, 403].contains(&response.status().as_u16()), "{place}: {}", response.status());
            }
        }
    }
}

#[tokio::test]
async fn a_key_does_not_stand_for_the_edge() {
    let backend = Backend::with_auth(true, Mode::Required, &unread());
    let key = backend.issue(Scopes::DEFAULT).await.key;
    for route in layers::service_routes() {
        let response = backend.send(with_key(asked(&route), key.expose())).await;
        assert_eq!(error(response).await, refused(), "{}", route.path);
    }
    let response = backend.send(with_key(Signed::default().sign(demo_request()), key.expose())).await;
    assert_eq!(response.status(), 200);
    let unnamed = Signed { attempt: "2", ..Signed::default() };
    let response = backend.send(unnamed.sign(demo_request())).await;
    assert_eq!(error(response).await, (401, "authentication_required".to_owned()));
}

#[tokio::test]
async fn what_is_told_of_a_key_is_told_to_its_holder_alone() {
    let backend = Backend::with_auth(false, Mode::Required, &unread());
    let issued = backend.issue(Scopes::DEFAULT).await;
    backend.office().revoke(&issued.record.id).await.unwrap();
    let told = body(backend.send(with_key(demo_request(), issued.key.expose())).await).await;
    assert!(told.contains("is revoked"), "{told}");
    let guess = goblin_shared::api_key::ApiKey::mint_successor(&super::issuer(), issued.key.id(), &[9; 48]).unwrap();
    let unknown = goblin_shared::api_key::ApiKey::mint(&super::issuer(), &[7; 48]);
    let mut answers = Vec::new();
    for key in [guess, unknown] {
        let told = body(backend.send(with_key(demo_request(), key.expose())).await).await;
        answers.push(told.split("\"request_id\"").next().unwrap().to_owned());
    }
    assert_eq!(answers[0], answers[1]);
    assert!(!answers[0].contains("revoked"));
}

#[tokio::test]
async fn keys_come_in_two_fields_and_one_is_enough() {
    let backend = Backend::with_auth(false, Mode::Required, &unread());
    let (one, other) = (backend.issue(Scopes::DEFAULT).await.key, backend.issue(Scopes::DEFAULT).await.key);
    let ask = async |fields: &[(&'static str, String)]| {
        let mut request = demo_request();
        for (name, value) in fields {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        backend.send(request).await
    };
    let (bearer, key) = (format!("Bearer {}", one.expose()), one.expose().to_owned());
    assert_eq!(ask(&[("x-api-key", key.clone())]).await.status(), 200);
    assert_eq!(ask(&[("authorization", bearer.clone()), ("x-api-key", key)]).await.status(), 200);
    let both = ask(&[("authorization", bearer), ("x-api-key", other.expose().to_owned())]).await;
    assert_eq!(error(both).await, (401, "invalid_api_key".to_owned()));
}

#[tokio::test]
async fn where_it_is_optional_a_wrong_key_is_still_wrong() {
    let backend = Backend::with_auth(false, Mode::Optional, &unread());
    assert_eq!(backend.send(demo_request()).await.status(), 200);
    assert_eq!(backend.send(get("/v1/models")).await.status(), 200);
    let response = backend.send(with_key(demo_request(), "sk-somebody-elses")).await;
    assert_eq!(error(response).await, (401, "invalid_api_key".to_owned()));
    let response = backend.operate(get("/admin/keys")).await;
    assert_eq!(error(response).await, (401, "authentication_required".to_owned()));
}

#[tokio::test]
async fn where_nobody_is_asked_only_the_administrators_are() {
    let (metrics, counted) = ReadBack::new();
    let backend = Backend::with_auth(false, Mode::Off, &metrics);
    let response = backend.send(with_key(demo_request(), "sk-somebody-elses")).await;
    assert_eq!(response.status(), 200);
    assert!(counted.counter(AUTH_ATTEMPTS.name).is_empty(), "nothing was decided");
    let key = backend.issue(Scopes::NONE.with(Scope::Admin)).await.key;
    assert_eq!(backend.operate(with_key(get("/admin/keys"), key.expose())).await.status(), 200);
    let response = backend.operate(get("/admin/keys")).await;
    assert_eq!(error(response).await, (401, "authentication_required".to_owned()));
    // The listener that everybody reaches has no such paths.
    let response = backend.send(with_key(get("/admin/keys"), key.expose())).await;
    assert_eq!(error(response).await, (404, "not_found".to_owned()));
}

#[tokio::test]
async fn every_decision_is_counted_once_and_a_store_that_fails_is_no_rejection() {
    let (metrics, counted) = ReadBack::new();
    let backend = Backend::with_auth(false, Mode::Required, &metrics);
    let key = backend.issue(Scopes::NONE.with(Scope::Chat)).await.key;
    let admin = backend.issue(Scopes::NONE.with(Scope::Admin)).await.key;
    assert_eq!(backend.send(with_key(demo_request(), key.expose())).await.status(), 200);
    // It is known who asks; that he may not is another matter.
    assert_eq!(backend.send(with_key(demo_request(), admin.expose())).await.status(), 403);
    assert_eq!(backend.send(with_key(demo_request(), "gob_x")).await.status(), 401);
    assert_eq!(backend.send(demo_request()).await.status(), 401);
    for probe in ["/healthz", "/openapi.json", "/nowhere"] {
        backend.send(get(probe)).await;
    }
    backend.keys.fail(true);
    assert_eq!(backend.send(with_key(demo_request(), key.expose())).await.status(), 200, "it is believed for a while");
    let unseen = goblin_shared::api_key::ApiKey::mint(&super::issuer(), &[7; 48]);
    let response = backend.send(with_key(demo_request(), unseen.expose())).await;
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(error(response).await, (503, "store_unavailable".to_owned()));
    let told = counted.counter(AUTH_ATTEMPTS.name);
    let told: Vec<_> = told.iter().map(|(labels, count)| (labels.join(" "), *count)).collect();
    let expected = [("api_key accepted", 3), ("api_key error", 1), ("api_key rejected", 1), ("none rejected", 1)];
    assert_eq!(told, expected.map(|(labels, count)| (labels.to_owned(), count)));
}

#[tokio::test]
async fn paths_with_several_methods_name_them_all() {
    let backend = Backend::with_auth(false, Mode::Required, &unread());
    let request = Request::builder().method(Method::PATCH).uri("/admin/keys").body(Body::empty()).unwrap();
    let response = backend.operate(request).await;
    assert_eq!(response.headers()["allow"], "GET, HEAD, POST");
    assert_eq!(error(response).await, (405, "method_not_allowed".to_owned()));
}
