//! Secrets that are easily found again go through everything; afterwards none of them is in the store or the log.

use std::{fs, path::Path};

use goblin_tests::{
    api_key::{create_api_key, mint_api_key},
    backend::{Backend, BackendOptions},
    edge::EdgeOptions,
    ledger_reader::{LedgerReader, sqlite_file},
    otlp_sink::OtlpSink,
    patience::{PATIENCE, patiently},
    postgres::Postgres,
    stack::{OPENAI_KEY, OtlpTarget, Stack, StackOptions},
};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::{
    bench::Bench,
    outages::needed,
    provider::{FAIL, Provider, QUOTE},
};
use crate::{
    answered::{Answered, send},
    client::{self, Door},
    heads::{ADDRESS_HEADER, Browser, Head as _},
    suite::{Outcome, Suite},
    watched_edge::UNLIMITED,
};

pub(crate) fn register(suite: &mut Suite) {
    suite.test("sqlite_holds_nothing_that_nobody_wanted_kept", sqlite_holds_nothing_that_nobody_wanted_kept);
    suite.test("postgresql_holds_nothing_that_nobody_wanted_kept", postgresql_holds_nothing_that_nobody_wanted_kept);
}

/// Said in the conversation that is kept, and the only thing of all that may be found.
const KEPT: &str = "canary-kept-by-the-callers-wish";

/// Said elsewhere, or by others.
const PROMPT: &str = "canary-of-a-prompt";
const DELETED: &str = "canary-of-a-conversation-that-is-deleted";
const DELETED_TITLE: &str = "canary-of-a-deleted-title";
const RENAMED: &str = "canary-of-an-earlier-title";
const FAILED_TURN: &str = "canary-of-a-turn-that-failed";
const EMAIL: &str = "canary.person@mail-of-canaries.example";
const CARD: &str = "4111 1111 1111 1111";
const CARD_NUMBER: &str = "4111111111111111";
const ADDRESSES: [&str; 3] = ["198.51.100.177", "203.0.113.233", "2001:db8:cafe:77::99"];
const USER_FIELD: &str = "canary-of-the-field-user";
/// In form a token, whoever may have signed it.
const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnktb2YtYS10b2tlbiJ9.Y2FuYXJ5LW9mLWEtc2lnbmF0dXJl";

/// In form a key of OpenAI.
const OPENAI_KEY_ALIKE: &str = "sk-proj-canaryCanary0123456789";

/// The edge tells at once what it has to tell.
const QUICK: [(&str, &str); 2] = [("OTEL_BSP_SCHEDULE_DELAY", "100"), ("OTEL_BLRP_SCHEDULE_DELAY", "100")];

/// Everything that the log may tell of what is done.
const LOUD: (&str, &str) = ("GOBLIN_LOG__LEVEL", "debug");

async fn sqlite_holds_nothing_that_nobody_wanted_kept() {
    let provider = Provider::start().await;
    let sink = OtlpSink::start().await.unwrap();
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let env = [LOUD, ("GOBLIN_BREAKER__ENABLED", "false"), ("GOBLIN_AUTH__MODE", "required")];
    let options = StackOptions {
        upstream: Some(provider.base_url()),
        backend_otlp: Some(OtlpTarget { endpoint: sink.http_endpoint(), protocol: "http/protobuf" }),
        edge_otlp: Some(sink.http_endpoint()),
        backend: BackendOptions { env: env.map(owned).to_vec(), ..BackendOptions::default() },
        edge: EdgeOptions { vars: UNLIMITED.into_iter().chain(QUICK).map(owned).collect(), ..EdgeOptions::default() },
        ..StackOptions::default()
    };
    let stack = Stack::start(options).await.unwrap();
    let store_url = stack.store_url.clone().expect("a store of its own");
    let canaries = Canaries {
        provider: &provider,
        door: (&stack).into(),
        key: &stack.api_key,
        issuer_secret: &stack.issuer_secret,
        store_url: &store_url,
    };
    let mut secrets = canaries.fly().await;
    secrets.push(stack.signing_key.clone());
    settled(&store_url).await;
    let file = sqlite_file(&store_url).unwrap();
    let folder = file.parent().unwrap();
    // While it serves, and after its end, when what was beside the file has gone into it.
    assert_clean("the files of the database", &bytes_below(folder), &secrets, Some(&stack.api_key));
    let metrics = client::request(Method::GET, stack.backend.operations(), "/metrics");
    let metrics = send(metrics).await.body;
    assert!(metrics.contains("goblin_llm_attempts_total"), "{metrics}");
    assert_clean("/metrics", &metrics, &with_kept(secrets.clone()), None);
    for service in ["goblin-edge", "goblin-backend"] {
        // Each signal by itself; the backend's last lines come with its end.
        sink.wait_for_log(|log| log.service == service).await;
    }
    stack.terminate().await;
    assert_clean("the files of the database", &bytes_below(folder), &secrets, Some(&stack.api_key));
    assert_telemetry_clean(&sink, &with_kept(secrets.clone()));
    assert_log_clean(&stack.backend, secrets.clone());
    // wrangler shows whoever develops what was asked for; that is no line of the edge's.
    let lines = stack.edge.process().log().lines();
    let edge: Vec<_> = lines.into_iter().filter(|line| !line.contains("[wrangler:")).collect();
    let edge = edge.join("\n");
    assert_clean("the edge's log", &edge, &with_kept(secrets), None);
}

async fn postgresql_holds_nothing_that_nobody_wanted_kept() -> Outcome {
    let postgres = match needed(Postgres::shared().await) {
        Ok(postgres) => postgres,
        Err(outcome) => return outcome,
    };
    let bench = Bench::over(postgres.database().await.unwrap()).await.with(LOUD.0, LOUD.1);
    let bench =
        bench.with("GOBLIN_LIMITS__COUNT_IN", "postgres").with("GOBLIN_LIMITS__KEY__TOKENS_PER_MINUTE", "1000000");
    let key = bench.key(&[]).await;
    let backend = bench.start().await;
    let canaries = Canaries {
        provider: &bench.provider,
        door: Door::to(backend.service(), &key),
        key: &key,
        issuer_secret: &bench.issuer_secret,
        store_url: &bench.store_url,
    };
    let secrets = canaries.fly().await;
    settled(&bench.store_url).await;
    assert_clean("the dump", &postgres.dump(&bench.store_url).await.unwrap(), &secrets, Some(&key));
    backend.terminate(PATIENCE).await;
    assert_clean("the dump", &postgres.dump(&bench.store_url).await.unwrap(), &secrets, Some(&key));
    assert_log_clean(&backend, secrets);
    Outcome::Passed
}

async fn settled(store_url: &str) {
    let mut reader = LedgerReader::open(store_url).await.unwrap();
    let settling = async {
        while reader.rows().await.unwrap().iter().any(|row| row.outcome.is_none()) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    patiently(settling, || "requests of the ledger stay open".to_owned()).await;
    reader.close().await.unwrap();
}

/// Contents of all files of a folder, one behind the other.
fn bytes_below(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        all.push_str(&String::from_utf8_lossy(&fs::read(entry.unwrap().path()).unwrap()));
    }
    all
}

/// None of `secrets` is in it. Of a store, with a key that is in it: the key's id is, and what was to be kept.
#[track_caller]
fn assert_clean(what: &str, text: &str, secrets: &[String], store_with: Option<&str>) {
    if let Some(key) = store_with {
        for kept in [KEPT, key.split('_').nth(1).unwrap()] {
            assert!(text.contains(kept), "{what} is not what it should be: without {kept}");
        }
    }
    for secret in secrets {
        for form in [secret.clone(), hex::encode(secret), secret.replace('"', "\\\"")] {
            if let Some(at) = text.find(&form) {
                let from = text.floor_char_boundary(at.saturating_sub(200));
                let to = text.ceil_char_boundary(at + form.len() + 100);
                let around: String = text[from..to].chars().filter(|character| !character.is_control()).collect();
                panic!("{what}: {secret} is in it: {around}");
            }
        }
    }
}

fn with_kept(mut secrets: Vec<String>) -> Vec<String> {
    secrets.push(KEPT.to_owned());
    secrets
}

/// All that both programs sent to a collector.
#[track_caller]
fn assert_telemetry_clean(sink: &OtlpSink, secrets: &[String]) {
    let (spans, points, logs) = (sink.spans(), sink.points(), sink.logs());
    for service in ["goblin-edge", "goblin-backend"] {
        assert!(spans.iter().any(|span| span.service == service), "no span of {service}");
        assert!(points.iter().any(|point| point.service == service), "no metric of {service}");
        assert!(logs.iter().any(|log| log.service == service), "no line of {service}");
    }
    for (what, text) in [
        ("a span", format!("{spans:?}")),
        ("a metric", format!("{points:?}")),
        ("a line that was sent", format!("{logs:?}")),
    ] {
        assert_clean(what, &text, secrets, None);
    }
}

#[track_caller]
fn assert_log_clean(backend: &Backend, secrets: Vec<String>) {
    let log = backend.process().log().lines().join("\n");
    assert!(log.contains("DEBUG") && log.contains("\"request\""), "the log is not as loud as it should be");
    assert_clean("the backend's log", &log, &with_kept(secrets), None);
}

/// With addresses wherever proxies put them.
fn sent_from_elsewhere(request: RequestBuilder) -> RequestBuilder {
    request
        .header("x-forwarded-for", ADDRESSES.join(", "))
        .header("x-real-ip", ADDRESSES[0])
        .header("forwarded", format!("for={}", ADDRESSES[1]))
        .header("cf-connecting-ip", ADDRESSES[0])
        .header("x-goblin-client", format!("address=\"{}\"", ADDRESSES[0]))
        .header(ADDRESS_HEADER, ADDRESSES[0])
        .header("traceparent", "00-ca9a7ca9a7ca9a7ca9a7ca9a7ca9a7ca-ca9a7ca9a7ca9a7c-03")
        .header("tracestate", format!("person={EMAIL},from={},card={CARD_NUMBER}", ADDRESSES[0]))
        .header("tracestate", format!("keys={OPENAI_KEY_ALIKE}"))
        .header("baggage", format!("person={EMAIL},said={PROMPT}"))
        .header("x-request-id", format!("{EMAIL} {} {CARD} {OPENAI_KEY_ALIKE}", ADDRESSES[1]))
        .header("x-canary", format!("{PROMPT} {EMAIL}"))
}

/// Who sends them.
struct Canaries<'a> {
    provider: &'a Provider,
    door: Door,
    key: &'a str,
    issuer_secret: &'a str,
    store_url: &'a str,
}

impl Canaries<'_> {
    /// Sends them through everything. What must not be found afterwards.
    async fn fly(&self) -> Vec<String> {
        let everything = format!("{PROMPT} {EMAIL} {CARD} {CARD_NUMBER} {}", ADDRESSES.join(" "));
        self.chat(&everything).await;
        self.fail(&everything).await;
        self.leave(&everything).await;
        self.quote(&everything).await;
        self.astray().await;
        self.converse().await;
        let mut secrets = self.refusals(&everything).await;
        secrets.extend([self.key, OPENAI_KEY, OPENAI_KEY_ALIKE, self.issuer_secret, JWT].map(str::to_owned));
        // The part of a key that is secret alone: 32 characters, then the tag.
        for key in secrets.clone().iter().filter(|secret| secret.starts_with("gob_")) {
            secrets.push(key.rsplit('_').next().unwrap()[..32].to_owned());
        }
        let said = [PROMPT, DELETED, DELETED_TITLE, RENAMED, FAILED_TURN, EMAIL, CARD, CARD_NUMBER, USER_FIELD];
        secrets.extend(said.iter().chain(&ADDRESSES).map(|said| (*said).to_owned()));
        secrets
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        sent_from_elsewhere(client::request(method, &self.door, path))
    }

    async fn post(&self, path: &str, body: &Value) -> Answered {
        send(self.request(Method::POST, path).json(body)).await
    }

    /// All three APIs, in one piece and streamed.
    async fn chat(&self, text: &str) {
        for stream in [false, true] {
            let body = self.provider.ask(text, json!({"stream": stream, "user": USER_FIELD}));
            self.post("/v1/chat/completions", &body).await.assert_served();
            let body = self.provider.ask(text, json!({"stream": stream, "max_tokens": 50}));
            self.post("/v1/messages", &body).await.assert_served();
        }
        let body = json!({"model": "text-embedding-3-small", "input": text});
        self.post("/v1/embeddings", &body).await.assert_served();
    }

    /// Its provider fails, and quotes what it was asked.
    async fn fail(&self, text: &str) {
        for stream in [false, true] {
            let body = self.provider.ask(&format!("{FAIL}: {text}"), json!({"stream": stream}));
            assert_eq!(self.post("/v1/chat/completions", &body).await.status, 502);
        }
    }

    /// Its provider answers with the prompt as its id, its model and its reason.
    async fn quote(&self, text: &str) {
        for stream in [false, true] {
            let body = self.provider.ask(&format!("{QUOTE}: {text}"), json!({"stream": stream}));
            let answered = self.post("/v1/chat/completions", &body).await;
            assert!(answered.body.contains(PROMPT), "{answered:?}");
        }
    }

    /// Paths, queries and programs that say more than they should.
    async fn astray(&self) {
        for path in [
            format!("/{PROMPT}/{EMAIL}/{}/{OPENAI_KEY_ALIKE}", ADDRESSES[0]),
            format!("/v1/conversations/{EMAIL}?key={PROMPT}&card={CARD_NUMBER}"),
            format!("/v1/models?key={OPENAI_KEY_ALIKE}&from={}", ADDRESSES[1]),
        ] {
            send(self.request(Method::GET, &path)).await;
        }
        let program = format!("canary/1.0 ({EMAIL}; {}; {OPENAI_KEY_ALIKE})", ADDRESSES[1]);
        let request = Client::new().get(self.door.url("/v1/models")).bearer_auth(self.key);
        send(sent_from_elsewhere(request.header("user-agent", program))).await;
    }

    /// The client leaves in mid-stream.
    async fn leave(&self, text: &str) {
        let body = self.provider.ask(text, json!({"stream": true}));
        let mut answer = self.request(Method::POST, "/v1/chat/completions").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.chunk().await.unwrap();
    }

    /// One conversation is kept and one is deleted; a turn fails.
    async fn converse(&self) {
        let create = async |title: &str, text: &str| {
            let body = json!({"title": title, "instructions": text});
            let answer = self.post("/v1/conversations", &body).await;
            assert_eq!(answer.status, 201, "{answer:?}");
            let created: Value = serde_json::from_str(&answer.body).unwrap();
            created["id"].as_str().expect("an id").to_owned()
        };
        let kept = create(KEPT, KEPT).await;
        let deleted = create(RENAMED, DELETED).await;
        for (id, text) in [(&kept, KEPT), (&deleted, DELETED), (&deleted, DELETED)] {
            let body = self.provider.ask(text, json!({"conversation_id": id, "stream": text == KEPT}));
            self.post("/v1/chat/completions", &body).await.assert_served();
        }
        let body = self.provider.ask(&format!("{FAIL}: {FAILED_TURN}"), json!({"conversation_id": kept}));
        assert_eq!(self.post("/v1/chat/completions", &body).await.status, 502);
        let path = format!("/v1/conversations/{deleted}");
        let renaming = self.request(Method::PATCH, &path).json(&json!({"title": DELETED_TITLE}));
        send(renaming).await.assert_served();
        for format in ["json", "markdown"] {
            let exported = send(self.request(Method::GET, &format!("{path}/export?format={format}"))).await;
            exported.assert_served();
            assert!(exported.body.contains(DELETED), "{exported:?}");
        }
        assert!(send(self.request(Method::DELETE, &path)).await.status < 300);
        send(self.request(Method::GET, &path)).await.assert_error(404, "conversation_not_found");
    }

    /// Everybody who is refused, and what they brought.
    async fn refusals(&self, text: &str) -> Vec<String> {
        let unknown = mint_api_key(self.issuer_secret).await.unwrap();
        let brief = create_api_key(self.issuer_secret, self.store_url, &["--expires", "1s"]).await.unwrap();
        let ended = async {
            while self.with(&brief).await != 401 {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        patiently(ended, || "a key of one second goes on".to_owned()).await;
        assert_eq!(self.with(&unknown).await, 401);
        // The edge takes it for anybody's, and whoever has no key must be a browser.
        assert!([401, 403].contains(&self.with(JWT).await));
        let wrong = json!({"model": "gpt-4o-mini", "messages": text, "temperature": EMAIL});
        assert_eq!(self.post("/v1/chat/completions", &wrong).await.status, 400);
        let broken = self.request(Method::POST, "/v1/chat/completions").header("content-type", "application/json");
        assert_eq!(send(broken.body(format!("{{\"{text}"))).await.status, 400);
        let body = self.provider.ask(text, json!({"conversation_id": "conv_000000000000000000000000"}));
        self.post("/v1/chat/completions", &body).await.assert_error(404, "conversation_not_found");
        vec![unknown, brief]
    }

    /// How somebody with this credential is answered.
    async fn with(&self, credential: &str) -> u16 {
        // The edge takes others for bots.
        let request = Client::new().get(self.door.url("/v1/models")).bearer_auth(credential);
        let request = request.dressed_as(Browser::Chrome);
        send(sent_from_elsewhere(request)).await.status
    }
}
