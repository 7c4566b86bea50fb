//! An origin with pages whose scripts tell the test what a browser let them see.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use http::{HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    http_peer::{AnswerBody, HangUp, HttpPeer, ReceivedRequest, SharedRecord, whole},
    patience::patiently,
};

/// A page around a script, which may `await` and calls `report` with what JSON can say.
const PAGE: &str = r#"<!doctype html>
<meta charset="utf-8">
<title>A page of the tests</title>
<link rel="icon" href="data:,">
<script type="module">
const given = GIVEN;
const report = (seen) => fetch(location.pathname, { method: "POST", body: JSON.stringify(seen) });
try {
SCRIPT
} catch (error) {
  await report({ threw: error.name, message: String(error) });
}
</script>
"#;

/// A running server, one origin; ends when dropped.
pub struct PageServer {
    peer: HttpPeer,
    pages: Arc<Mutex<HashMap<String, String>>>,
    reports: SharedRecord<Report>,
}

/// What a page told, by its path.
struct Report {
    path: String,
    seen: Value,
}

impl PageServer {
    /// Starts on a free port.
    pub async fn start() -> Result<Self> {
        let (pages, reports) = (Arc::<Mutex<HashMap<String, String>>>::default(), SharedRecord::<Report>::default());
        let (known, record) = (Arc::clone(&pages), Arc::clone(&reports));
        let peer = HttpPeer::start(move |request| {
            let page = known.lock().unwrap_or_else(PoisonError::into_inner).get(request.uri.path()).cloned();
            let answer = answer(&request, page, &record);
            async move { Ok::<_, HangUp>(answer) }
        })
        .await?;
        Ok(Self { peer, pages, reports })
    }

    /// The origin of its pages, as `CORS_ORIGINS` has it.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.peer.address())
    }

    /// A new page that runs `script`, a module's body, in which `given` is what it is given.
    #[must_use]
    pub fn page(&self, script: &str, given: &Value) -> Page<'_> {
        let path = format!("/{}", Uuid::new_v4());
        let text = PAGE.replace("GIVEN", &given.to_string()).replace("SCRIPT", script);
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone(), text);
        Page { server: self, path }
    }
}

fn answer(request: &ReceivedRequest, page: Option<String>, reports: &SharedRecord<Report>) -> Response<AnswerBody> {
    let Some(page) = page else {
        let mut answer = Response::new(whole("no such page"));
        *answer.status_mut() = StatusCode::NOT_FOUND;
        return answer;
    };
    if request.method == Method::POST {
        reports.push(Report { path: request.uri.path().to_owned(), seen: request.json() });
        return Response::new(whole(""));
    }
    let mut answer = Response::new(whole(page));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    answer
}

/// A page, as long as nobody has opened it nothing more than a text.
pub struct Page<'a> {
    server: &'a PageServer,
    path: String,
}

impl Page<'_> {
    /// Where a browser finds it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{}", self.server.origin(), self.path)
    }

    /// What it reported as its `number`th, from 0 on; waits for it. Panics when the page's script failed.
    pub async fn report(&self, number: usize) -> Value {
        let of_page = |report: &&Report| report.path == self.path;
        let waiting = self.server.reports.wait(|reports| {
            let own: Vec<&Report> = reports.iter().filter(of_page).collect();
            own.get(number).or_else(|| own.last().filter(|last| is_failure(&last.seen))).map(|found| found.seen.clone())
        });
        let seen = patiently(waiting, || format!("the page at {} did not report its number {number}", self.path)).await;
        assert!(!is_failure(&seen), "the page's script failed: {seen}");
        seen
    }
}

fn is_failure(seen: &Value) -> bool {
    seen.get("threw").is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http_client;

    #[tokio::test]
    async fn a_page_is_served_and_its_reports_are_its_own() {
        let server = PageServer::start().await.unwrap();
        let (page, other) = (server.page("await report(given);", &json!({"a": 1})), server.page("", &json!(null)));
        let client = http_client::new();
        let answer = client.get(page.url()).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/html");
        let text = answer.text().await.unwrap();
        assert!(text.contains("const given = {\"a\":1};") && text.contains("await report(given);"), "{text}");
        for (page, seen) in [(&other, 0), (&page, 1), (&page, 2)] {
            client.post(page.url()).body(seen.to_string()).send().await.unwrap();
        }
        assert_eq!((page.report(0).await, page.report(1).await), (json!(1), json!(2)));
        let nowhere = client.get(format!("{}/nowhere", server.origin())).send().await.unwrap();
        assert_eq!(nowhere.status(), 404);
    }

    #[tokio::test]
    #[should_panic(expected = "SyntaxError")]
    async fn a_script_that_fails_fails_the_test() {
        let server = PageServer::start().await.unwrap();
        let page = server.page("", &json!(null));
        let body = json!({"threw": "SyntaxError"}).to_string();
        http_client::new().post(page.url()).body(body).send().await.unwrap();
        page.report(3).await;
    }
}
