//! The calls into the runtime, in workerd itself: what they read of a request, what they verify, where they stop.
//!
//! On Cloudflare a request has `cf` and keys have owners elsewhere; here workerd runs the Worker's own `runtime.js` with what
//! Cloudflare would hand over.

use std::{fs, net::TcpListener};

use goblin_tests::{
    origin::{Origin, OriginAnswer},
    patience::PATIENCE,
    process::Process,
    readiness, workspace,
};
use http::{HeaderMap, HeaderValue, StatusCode, header::LOCATION};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::suite::Suite;

pub(crate) fn register(suite: &mut Suite) {
    suite.test("the_runtime_tells_and_verifies_and_stops_where_it_must", || async { all().await });
}

/// Calls a function of `runtime.js` with what the request's body says.
const CALLER: &str = r#"import * as runtime from "./runtime.js";
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
export default {
  async fetch(request) {
    if (request.method !== "POST") return new Response("ready");
    const { call, ...given } = await request.json();
    try {
      if (call === "facts") return Response.json(runtime.facts(new Request(given.url, given.init)));
      if (call === "verifies")
        return Response.json(await runtime.verifies(bytes(given.key), given.message, bytes(given.signature)));
      if (call === "take") {
        const answers = {
          hangs: () => new Promise(() => {}),
          breaks: () => Promise.reject(new Error("overloaded")),
          stands: () => Promise.resolve(new Response(null, { headers: { "x-standing": "1 99 100000 0" } })),
          fails: () => Promise.resolve(new Response("no", { status: 500 })),
        };
        const object = answers[given.object];
        const env = object === undefined ? {} : { KEY_LIMITS: { getByName: () => ({ fetch: object }) } };
        return Response.json((await runtime.takeOfKey(env, "key", given.patience)) ?? null);
      }
      const [status, type, cache, body] = await runtime.ask(given.url, "*/*", given.body, given.patience, given.limit);
      return Response.json([status, type, cache, new TextDecoder().decode(body)]);
    } catch (error) {
      return Response.json({ error: error.message });
    }
  },
};
"#;

struct Runtime {
    url: String,
    process: Process,
    _folder: TempDir,
}

impl Runtime {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = workspace::root().join("edge/src/platform/runtime.js");
        fs::copy(source, folder.path().join("runtime.js")).unwrap();
        fs::write(folder.path().join("caller.js"), CALLER).unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let wrangler = fs::read_to_string(workspace::root().join("wrangler.toml")).unwrap();
        let date = wrangler.lines().find_map(|line| line.strip_prefix("compatibility_date = ")).unwrap();
        let config = format!(
            r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "internet", network = (allow = ["private", "public"])),
    (name = "caller", worker = (
      modules = [(name = "caller.js", esModule = embed "caller.js"), (name = "runtime.js", esModule = embed "runtime.js")],
      compatibilityDate = {date},
    )),
  ],
  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "caller")],
);
"#
        );
        fs::write(folder.path().join("config.capnp"), config).unwrap();
        let mut command = workspace::command(workspace::node_bin_dir().join("workerd"));
        command.arg("serve").arg("config.capnp").current_dir(folder.path());
        let process = Process::start("workerd", command, None).unwrap();
        readiness::wait_until_ready(([127, 0, 0, 1], port).into(), "/", PATIENCE).await.unwrap();
        Self { url: format!("http://127.0.0.1:{port}/"), process, _folder: folder }
    }

    async fn call(&self, what: Value) -> Value {
        Client::new().post(&self.url).json(&what).send().await.unwrap().json().await.unwrap()
    }
}

async fn all() {
    let runtime = Runtime::start().await;
    facts_are_told_as_cloudflare_has_them(&runtime).await;
    signatures_are_verified(&runtime).await;
    asking_stops_at_its_bounds(&runtime).await;
    a_keys_object_is_waited_for_no_longer_than_allowed(&runtime).await;
    runtime.process.kill().await;
}

/// Names and types as Cloudflare's documentation of `request.cf` and of Bot Management has them.
async fn facts_are_told_as_cloudflare_has_them(runtime: &Runtime) {
    let cf = json!({
        "country": "DE", "colo": "FRA", "continent": "EU", "asn": 64496, "tlsVersion": "TLSv1.3", "verifiedBotCategory": "AI Crawler",
        "botManagement": {"score": 7, "verifiedBot": true, "ja4": "t13d1516h2_8daaf6152771_b186095e22b6"},
    });
    let init = json!({"method": "POST", "headers": {"accept": "*/*"}, "body": "{}", "cf": cf});
    let told = runtime.call(json!({"call": "facts", "url": "https://edge.example/v1/models?a=b", "init": init})).await;
    let told: Vec<&str> = told.as_str().expect("a text").split('\n').collect();
    let expected = [
        "POST",
        "https://edge.example/v1/models?a=b",
        "DE",
        "FRA",
        "EU",
        "64496",
        "TLSv1.3",
        "7",
        "AI Crawler",
        "t13d1516h2_8daaf6152771_b186095e22b6",
    ];
    assert_eq!(told[..10], expected);
    assert!(told[10..].contains(&"accept,*/*"), "{told:?}");
    let bare = runtime.call(json!({"call": "facts", "url": "https://edge.example/", "init": {}})).await;
    assert_eq!(bare, "GET\nhttps://edge.example/\n\n\n\n\n\n\n\n", "what is not known is an empty line");
}

/// RFC 9421, appendix B.2.6, with the key of B.1.4.
async fn signatures_are_verified(runtime: &Runtime) {
    let message = concat!(
        "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n",
        "\"@method\": POST\n",
        "\"@path\": /foo\n",
        "\"@authority\": example.com\n",
        "\"content-type\": application/json\n",
        "\"content-length\": 18\n",
        "\"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\")",
        ";created=1618884473;keyid=\"test-key-ed25519\"",
    );
    let signature = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
    let question = |message: &str, signature: &str| {
        let key = "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=";
        json!({"call": "verifies", "key": key, "message": message, "signature": signature})
    };
    assert_eq!(runtime.call(question(message, signature)).await, true);
    assert_eq!(runtime.call(question(&message.replace("POST", "GET"), signature)).await, false);
    assert_eq!(runtime.call(question(message, &signature.replace("wqcA", "wqcB"))).await, false);
}

async fn a_keys_object_is_waited_for_no_longer_than_allowed(runtime: &Runtime) {
    let take = |object: &str| runtime.call(json!({"call": "take", "object": object, "patience": 50}));
    assert_eq!(take("stands").await, "1 99 100000 0");
    assert_eq!(take("hangs").await, Value::Null, "patience ended");
    assert_eq!(take("breaks").await["error"], "overloaded");
    assert_eq!(take("fails").await, "status 500");
    assert!(take("there is no binding").await["error"].is_string());
}

async fn asking_stops_at_its_bounds(runtime: &Runtime) {
    let origin = Origin::start().await.unwrap();
    let ask = |path: &str, body: Option<&str>, patience: u32| {
        let url = format!("{}{path}", origin.url());
        runtime.call(json!({"call": "ask", "url": url, "body": body, "patience": patience, "limit": 100}))
    };
    let whole = |status, headers, body: String| OriginAnswer::Whole { status, headers, body: body.into() };
    let headers = HeaderMap::from_iter([
        (http::header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (http::header::CACHE_CONTROL, HeaderValue::from_static("max-age=60")),
    ]);
    origin.order("/fits", whole(StatusCode::OK, headers, "x".repeat(100)));
    assert_eq!(ask("/fits", None, 5_000).await, json!([200, "application/json", "max-age=60", "x".repeat(100)]));
    origin.order("/long", whole(StatusCode::OK, HeaderMap::new(), "x".repeat(101)));
    assert_eq!(ask("/long", None, 5_000).await["error"], "the answer is longer than 100 bytes");

    let canary = HeaderValue::from_str(&format!("{}/canary", origin.url())).unwrap();
    origin.order("/moved", whole(StatusCode::FOUND, HeaderMap::from_iter([(LOCATION, canary)]), String::new()));
    assert_eq!(ask("/moved", None, 5_000).await[0], 302);
    let asked: Vec<String> = origin.requests().iter().map(|request| request.uri.path().to_owned()).collect();
    assert!(!asked.contains(&"/canary".to_owned()), "nobody is followed elsewhere: {asked:?}");

    origin.order("/never", OriginAnswer::Hang);
    let late = ask("/never", None, 50).await;
    assert!(late["error"].as_str().is_some_and(|error| error.contains("timeout")), "{late}");
    ask("/posted", Some("{\"a\":1}"), 5_000).await;
    let posted = origin.wait_for_request(|request| request.uri.path() == "/posted").await;
    assert_eq!((posted.method.as_str(), posted.header("content-type")), ("POST", Some("application/json")));
}
