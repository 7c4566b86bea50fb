//! Pages in a real browser: what its own implementation of CORS lets their scripts see.

use std::{fs, path::Path};

use goblin_tests::{
    chromium::{Chromium, HINT},
    otlp_sink::MetricPoint,
    page_server::{Page, PageServer},
    patience::patiently,
    upstream::Script,
};
use serde_json::{Value, json};

use crate::{
    client,
    decisions::{self, decisions},
    heads::CHROME,
    shared_stack::{SharedStack, shared},
    started_once::StartedOnce,
    suite::{Outcome, Suite, skip, tests},
    watched_edge::WatchedEdge,
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(
        suite,
        a_browser_lets_a_page_read_answers_and_asks_once_whether_it_may,
        a_browser_hands_a_page_each_chunk_as_it_comes,
        a_browser_lets_a_page_read_refusals,
        a_browser_that_a_program_drives_is_refused_readably,
        a_browser_lets_a_page_of_another_origin_read_nothing,
    );
}

/// Asks, and tells what of the answer can be read.
const ASK: &str = r#"
const ask = async (fields, body) => {
  const headers = { "content-type": "application/json", ...fields };
  const answer = await fetch(given.url, { method: "POST", headers, body });
  const [id, timing] = ["x-request-id", "server-timing"].map((name) => answer.headers.get(name));
  return { status: answer.status, id, timing, vary: answer.headers.get("vary"), text: await answer.text() };
};
const authorized = { authorization: `Bearer ${given.key}` };
const chat = (model) => JSON.stringify({ ...given.body, model });
"#;

/// An edge before the backend that all tests share, which lets the pages of one origin in.
struct Site {
    pages: PageServer,
    edge: WatchedEdge,
}

impl Site {
    async fn start(shared: &SharedStack) -> anyhow::Result<Self> {
        let pages = PageServer::start().await?;
        let (origin, backend) = (pages.origin(), format!("http://{}", shared.backend()));
        let vars = [
            ("CORS_ORIGINS", origin.as_str()),
            ("BACKEND_ORIGIN", &backend),
            ("EDGE_SIGNING_KEY", &shared.stack.signing_key),
            ("API_KEY_ISSUER_SECRETS", &shared.stack.issuer_secret),
        ];
        let edge = WatchedEdge::start(&shared.sink, &vars).await?;
        Ok(Self { pages, edge })
    }

    /// The one that several tests share.
    async fn open(shared: &SharedStack) -> &'static Self {
        static SITE: StartedOnce<Site> = StartedOnce::new();
        SITE.get(|| Self::start(shared)).await
    }

    /// What scripts are given: where to ask, with which key, what.
    fn given(&self, shared: &SharedStack, body: &Value) -> Value {
        json!({"url": self.edge.edge.url("/v1/chat/completions"), "key": shared.stack.api_key, "body": body})
    }

    /// A page of the origin that is let in.
    fn page(&self, shared: &SharedStack, script: &str, body: &Value) -> Page<'_> {
        self.pages.page(&format!("{ASK}{script}"), &self.given(shared, body))
    }
}

/// A browser on a page that calls itself `name`, or what Chromium calls itself without a window.
fn visit(chromium: &Path, page: &Page<'_>, name: Option<&str>) -> Chromium {
    Chromium::open(chromium, &page.url(), name).unwrap_or_else(|error| panic!("{error:#}"))
}

#[track_caller]
fn assert_refused(seen: &Value, status: u16, code: &str) -> String {
    assert_eq!(seen["status"], status, "{seen}");
    let error = client::error_object(seen["text"].as_str().unwrap(), seen["id"].as_str().expect("x-request-id"));
    assert_eq!(error["code"], code, "{seen}");
    error["message"].as_str().unwrap().to_owned()
}

async fn a_browser_lets_a_page_read_answers_and_asks_once_whether_it_may(shared: &SharedStack) -> Outcome {
    let Some(chromium) = Chromium::installed() else { return skip(HINT) };
    // One of its own, as it counts what comes.
    let site = Site::start(shared).await.unwrap();
    let script = r#"
const first = await ask(authorized, chat("goblin-demo"));
const second = await ask(authorized, chat("goblin-demo"));
await report([first, second]);
// Of another path the browser must ask again.
const other = await fetch(given.url.replace("chat/completions", "models"), { headers: authorized });
await report(other.headers.get("server-timing"));
"#;
    let page = site.page(shared, script, &client::demo_chat("Hello from a page"));
    let browser = visit(&chromium, &page, Some(CHROME));
    let answers = page.report(0).await;
    for seen in answers.as_array().unwrap() {
        assert_eq!(seen["status"], 200, "{seen}");
        assert_eq!(seen["id"].as_str().map(str::len), Some(36), "x-request-id cannot be read: {seen}");
        assert_eq!(seen["vary"], Value::Null, "what is not exposed is not read: {seen}");
        let answer: Value = serde_json::from_str(seen["text"].as_str().unwrap()).unwrap();
        assert!(answer["choices"][0]["message"]["content"].is_string(), "{answer}");
    }
    let timing = page.report(1).await;
    assert!(timing.as_str().is_some_and(|timing| timing.starts_with("trace;desc=")), "cannot be read: {timing}");
    let served = ("admitted".to_owned(), "api_key".to_owned());
    let all_served = |points: &[MetricPoint]| decisions(points, &site.edge.service).get(&served) == Some(&3.0);
    let points = shared.sink.wait_for_points(all_served).await;
    let expected = decisions::of(&[("admitted", "api_key", 3), ("admitted", "cors_preflight", 2)]);
    assert_eq!(
        decisions(&points, &site.edge.service),
        expected,
        "asked once for two chat requests, once for the other"
    );
    let profile = browser.profile().to_owned();
    browser.end().await;
    // Those that were killed may take a moment to be gone.
    let gone = async {
        while !left_of(&profile).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    patiently(gone, || format!("the browser left processes behind: {:#?}", left_of(&profile))).await;
    site.edge.edge.terminate().await;
    Outcome::Passed
}

async fn a_browser_hands_a_page_each_chunk_as_it_comes(shared: &SharedStack) -> Outcome {
    let Some(chromium) = Chromium::installed() else { return skip(HINT) };
    let site = Site::open(shared).await;
    let (script, steps) = Script::lock_step();
    let scenario = shared.upstream.script(script);
    let reading = r#"
const headers = { "content-type": "application/json", ...authorized };
const answer = await fetch(given.url, { method: "POST", headers, body: JSON.stringify(given.body) });
const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
for (;;) {
  const { value, done } = await reader.read();
  await report({ value, done });
  if (done) break;
}
"#;
    let page = site.page(shared, reading, &scenario.chat("gpt-4o-mini", json!({"stream": true})));
    steps.text("word 0");
    let browser = visit(&chromium, &page, Some(CHROME));
    for number in 0..5 {
        // The next one leaves only when the page has read this one.
        let seen = page.report(number).await;
        let text = seen["value"].as_str().unwrap_or_else(|| panic!("no chunk: {seen}"));
        assert!(text.contains(&format!("word {number}")), "{text}");
        steps.text(&format!("word {}", number + 1));
    }
    assert!(page.report(5).await["value"].as_str().is_some_and(|text| text.contains("word 5")));
    steps.done();
    let mut number = 6;
    let mut rest = String::new();
    loop {
        let seen = page.report(number).await;
        rest.push_str(seen["value"].as_str().unwrap_or_default());
        if seen["done"] == true {
            break;
        }
        number += 1;
    }
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    browser.end().await;
    Outcome::Passed
}

async fn a_browser_lets_a_page_read_refusals(shared: &SharedStack) -> Outcome {
    let Some(chromium) = Chromium::installed() else { return skip(HINT) };
    let site = Site::open(shared).await;
    let script = r#"
await report([
  await ask({ authorization: "Bearer gob_forged" }, chat("goblin-demo")),
  await ask(authorized, chat("no-such-model")),
  await ask(authorized, "{"),
]);
"#;
    let page = site.page(shared, script, &client::demo_chat("Refuse me"));
    let browser = visit(&chromium, &page, Some(CHROME));
    let seen = page.report(0).await;
    for (seen, (status, code)) in
        seen.as_array().unwrap().iter().zip([(401, "invalid_api_key"), (422, "model_not_found"), (400, "invalid_json")])
    {
        assert_refused(seen, status, code);
    }
    browser.end().await;
    Outcome::Passed
}

async fn a_browser_that_a_program_drives_is_refused_readably(shared: &SharedStack) -> Outcome {
    let Some(chromium) = Chromium::installed() else { return skip(HINT) };
    let site = Site::open(shared).await;
    let script = r#"await report(await ask({}, chat("goblin-demo")));"#;
    let page = site.page(shared, script, &client::demo_chat("I am driven"));
    let browser = visit(&chromium, &page, None);
    let message = assert_refused(&page.report(0).await, 403, "bot_refused");
    assert!(message.contains("`headless_browser`"), "{message}");
    browser.end().await;
    Outcome::Passed
}

async fn a_browser_lets_a_page_of_another_origin_read_nothing(shared: &SharedStack) -> Outcome {
    let Some(chromium) = Chromium::installed() else { return skip(HINT) };
    let site = Site::open(shared).await;
    let strangers = PageServer::start().await.unwrap();
    // With the key, which needs a preflight; and as a form could, which needs none.
    let script = r#"
const attempts = [() => ask(authorized, chat("goblin-demo")), () => fetch(given.url.replace("chat/completions", "models"))];
const seen = [];
for (const attempt of attempts) {
  seen.push(await attempt().then((answer) => ({ status: answer.status }), (error) => ({ error: error.name, keys: Object.keys(error) })));
}
await report(seen);
"#;
    let given = site.given(shared, &client::demo_chat("Let me in"));
    let page = strangers.page(&format!("{ASK}{script}"), &given);
    let browser = visit(&chromium, &page, Some(CHROME));
    let nothing = json!({"error": "TypeError", "keys": []});
    assert_eq!(page.report(0).await, json!([nothing, nothing]));
    browser.end().await;
    Outcome::Passed
}

/// Command lines of running processes that name a browser's profile, by /proc where there is one.
fn left_of(profile: &Path) -> Vec<String> {
    let profile = profile.to_string_lossy().into_owned();
    let processes = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(&profile)).collect()
}
