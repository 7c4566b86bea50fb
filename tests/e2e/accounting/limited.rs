//! Limits as clients see them: what is left, what is over, when it goes on.

use std::{fs, time::Duration};

use goblin_shared::catalogue::BUILT_IN;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    bench::{Bench, chat},
    invariants::Books,
};
use crate::{
    answered::{Answered, send},
    client::{self, Door, now},
    shared_stack::{SharedStack, shared},
    suite::{Suite, tests},
};

pub(crate) fn register(suite: &mut Suite) {
    tests!(suite, the_edge_adds_its_own_limit_to_those_of_the_key);
    suite.test("who_asks_too_often_is_told_when_to_come_back", who_asks_too_often_is_told_when_to_come_back);
    suite.test("who_wants_too_many_tokens_is_told_when_to_come_back", who_wants_too_many_tokens_is_told);
    suite.test("who_has_spent_enough_is_told_until_when", who_has_spent_enough_is_told_until_when);
    suite.test("what_costs_nobody_knows_what_is_not_for_limited_purses", what_costs_nobody_knows_what);
}

/// A window may end meanwhile, and then twice as many are served; never so many.
const MORE_THAN_TWO_WINDOWS: usize = 8;

/// Sends what `request` makes until it is refused; how many were served, and the refusal.
async fn until_refused(request: impl Fn() -> RequestBuilder) -> (usize, Answered) {
    for served in 0..MORE_THAN_TWO_WINDOWS {
        let answer = send(request()).await;
        if answer.status != 200 {
            return (served, answer);
        }
    }
    panic!("{MORE_THAN_TWO_WINDOWS} were served")
}

/// The item of a list such as `"key-requests";r=1;t=59`: its parameters.
fn item(list: &str, name: &str) -> Vec<(String, u64)> {
    let quoted = format!("\"{name}\"");
    let item = list.split(',').map(str::trim).find(|item| item.split(';').next() == Some(quoted.as_str()));
    let item = item.unwrap_or_else(|| panic!("no {name} in {list}"));
    let parameters = item.split(';').skip(1).map(|parameter| {
        let (name, value) = parameter.trim().split_once('=').unwrap_or_else(|| panic!("{list}"));
        (name.to_owned(), value.parse().unwrap_or_else(|error| panic!("{error} in {list}")))
    });
    parameters.collect()
}

fn parameter(list: &str, of: &str, name: &str) -> u64 {
    let parameters = item(list, of);
    let found = parameters.iter().find(|(parameter, _)| parameter == name);
    found.unwrap_or_else(|| panic!("no {name} of {of} in {list}")).1
}

/// It names the limit and what is used of it, and a moment within `longest`. How long that is from now on.
fn told(error: &Value, words: &[&str], longest: Duration) -> Duration {
    let message = error["message"].as_str().expect("a message");
    for word in words {
        assert!(message.contains(word), "no {word} in: {message}");
    }
    let mut moments = message.split_whitespace().filter_map(|word| {
        OffsetDateTime::parse(word.trim_matches(|c: char| !c.is_ascii_alphanumeric()), &Rfc3339).ok()
    });
    let moment = moments.next_back().unwrap_or_else(|| panic!("no moment in: {message}"));
    let seconds = u64::try_from(moment.unix_timestamp()).expect("after 1970");
    let wait = Duration::from_secs(seconds).saturating_sub(now());
    assert!(wait <= longest, "{message}");
    wait
}

const MINUTE: Duration = Duration::from_mins(1);

async fn the_edge_adds_its_own_limit_to_those_of_the_key(shared: &SharedStack) {
    let key = shared.stack.create_api_key(&["--requests-per-minute", "2"]).await.unwrap();
    let door = Door::with_key(&shared.stack.edge, &key);
    let ask = || client::post(&door, "/v1/chat/completions", &client::demo_chat("Hello"));
    let answer = send(ask()).await;
    answer.assert_served();
    for (field, names) in [("ratelimit", ["r", "t"]), ("ratelimit-policy", ["q", "w"])] {
        let list = answer.header(field).unwrap_or_else(|| panic!("no {field}"));
        for limit in ["key-requests", "burst"] {
            let parameters = item(&list, limit);
            assert_eq!(parameters.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names, "{list}");
        }
        assert!(list.find("key-requests") < list.find("burst"), "the edge's comes last: {list}");
    }
    let (_, refusal) = until_refused(ask).await;
    let error = refusal.assert_error(429, "rate_limit_exceeded");
    told(&error, &["requests_per_minute"], MINUTE);
    let left = refusal.header("ratelimit").expect("ratelimit");
    assert_eq!(parameter(&left, "key-requests", "r"), 0);
    assert!(parameter(&left, "burst", "r") > 0, "it is not the edge that refuses: {left}");
    assert!(refusal.header("retry-after").is_some(), "{refusal:?}");
}

async fn who_asks_too_often_is_told_when_to_come_back() {
    let bench = Bench::over_sqlite().await.with("GOBLIN_LIMITS__TENANT__REQUESTS_PER_MINUTE", "1000");
    let key = bench.key(&["--requests-per-minute", "2", "--user", "ann", "--tenant", "acme"]).await;
    let other = bench.key(&["--user", "ann", "--tenant", "acme"]).await;
    let backend = bench.start().await;
    let client = goblin_tests::http_client::new();
    let body = bench.provider.ask("Hello", json!({}));
    let ask = || chat(&client, &backend, &key, &body);
    let answer = send(ask()).await;
    answer.assert_served();
    let (left, policy) = (answer.header("ratelimit").unwrap(), answer.header("ratelimit-policy").unwrap());
    assert_eq!((parameter(&left, "key-requests", "r"), parameter(&left, "tenant-requests", "r")), (1, 999), "{left}");
    assert!((1..=60).contains(&parameter(&left, "key-requests", "t")), "{left}");
    assert_eq!((parameter(&policy, "key-requests", "q"), parameter(&policy, "key-requests", "w")), (2, 60), "{policy}");
    assert_eq!(answer.header("retry-after"), None);

    let (served, refusal) = until_refused(ask).await;
    let calls = bench.provider.count();
    assert_eq!(calls, 1 + served, "who is refused costs nothing");
    let error = refusal.assert_error(429, "rate_limit_exceeded");
    assert_eq!(error["type"], "rate_limit_error");
    let wait = told(&error, &["requests_per_minute", "key", "2"], MINUTE);
    let retry_after: u64 = refusal.header("retry-after").expect("retry-after").parse().unwrap();
    assert!((1..=60).contains(&retry_after), "{retry_after}");
    // Some time may have passed since it was said.
    assert!(Duration::from_secs(retry_after + 1) >= wait, "{retry_after} s is before {wait:?}");
    assert_eq!(parameter(&refusal.header("ratelimit").unwrap(), "key-requests", "r"), 0);
    // Another key of the same user and tenant has its own.
    send(chat(&client, &backend, &other, &body)).await.assert_served();
    let rows = Books::settled(&bench).await.rows;
    assert_eq!(rows.len(), bench.provider.count(), "who is refused has no row");
    backend.kill().await;
}

async fn who_wants_too_many_tokens_is_told() {
    let bench = Bench::over_sqlite().await.with("GOBLIN_LIMITS__USER__TOKENS_PER_MINUTE", "500");
    let key = bench.key(&["--user", "ann"]).await;
    let backend = bench.start().await;
    let client = goblin_tests::http_client::new();
    let ask = async |max_tokens: u64| {
        send(chat(&client, &backend, &key, &bench.provider.ask("Hello", json!({"max_tokens": max_tokens})))).await
    };
    let answer = ask(100).await;
    answer.assert_served();
    let left = parameter(&answer.header("ratelimit").unwrap(), "user-tokens", "r");
    // What the prompt may have is estimated.
    assert!((300..400).contains(&left), "{left} are left of 500 after 100 and the prompt");
    // What is not used is given back, so that it is this one wish that is too much, and a smaller one is not.
    let refusal = ask(499).await;
    let error = refusal.assert_error(429, "rate_limit_exceeded");
    told(&error, &["tokens_per_minute", "user"], MINUTE);
    let given_back = async {
        while ask(400).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // Long before the minute is over, as a rule, with which all would be given back.
    let in_time = tokio::time::timeout(Duration::from_secs(10), given_back).await;
    assert!(in_time.is_ok(), "400 do not fit into 500 though 7 were used");
    // Without a bound of its own, it is the model's that counts.
    let body = bench.provider.ask("Hello", json!({}));
    send(chat(&client, &backend, &key, &body)).await.assert_error(429, "rate_limit_exceeded");
    backend.kill().await;
}

async fn who_has_spent_enough_is_told_until_when() {
    for (argument, limit, longest) in [
        ("--usd-per-day", "usd_per_day", Duration::from_hours(24)),
        ("--usd-per-month", "usd_per_month", Duration::from_hours(31 * 24)),
    ] {
        let bench = Bench::over_sqlite().await;
        // Room for what one may cost at most, a thousand times what it does.
        let (key, rich) = (bench.key(&[argument, "0.0000400"]).await, bench.key(&[argument, "10"]).await);
        let backend = bench.start().await;
        let client = goblin_tests::http_client::new();
        let body = bench.provider.ask("Hello", json!({"max_tokens": 50}));
        let ask = || chat(&client, &backend, &key, &body);
        let (served, refusal) = until_refused(ask).await;
        assert!(served >= 1, "{refusal:?}");
        let calls = bench.provider.count();
        assert_eq!(calls, served, "who is refused costs nothing");
        let error = refusal.assert_error(402, "budget_exceeded");
        assert_eq!(error["type"], "insufficient_quota");
        let wait = told(&error, &[limit, "key"], longest);
        assert!(wait > Duration::ZERO || now().as_secs() % 86_400 < 60, "{error}");
        let body = bench.provider.ask("Hello", json!({"max_tokens": 50}));
        send(chat(&client, &backend, &rich, &body)).await.assert_served();
        backend.kill().await;
    }
}

async fn what_costs_nobody_knows_what() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalogue.json");
    let model = |name: &str, prices: Value| json!({"provider": "openai", "name": name, "context_window": 8000, "max_output_tokens": 100, "prices": prices});
    let mut catalogue: Value = serde_json::from_str(BUILT_IN).unwrap();
    let models = catalogue["models"].as_array_mut().unwrap();
    models.push(model("gpt-unpriced", json!([])));
    // Known from a day on that nobody here will see.
    models.push(model("gpt-later", json!([{"from": "2999-01-01", "input": 1, "output": 1}])));
    fs::write(&file, catalogue.to_string()).unwrap();
    let bench = Bench::over_sqlite().await.with("GOBLIN_CATALOGUE__PATH", file.display().to_string());
    let (limited, free) = (bench.key(&["--usd-per-month", "100"]).await, bench.key(&[]).await);
    let backend = bench.start().await;
    let client = goblin_tests::http_client::new();
    let ask = async |key: &str, model: &str| {
        send(chat(&client, &backend, key, &bench.provider.ask("Hello", json!({"model": model})))).await
    };
    ask(&limited, "gpt-4o-mini").await.assert_served();
    for model in ["gpt-unpriced", "gpt-later"] {
        let error = ask(&limited, model).await.assert_error(403, "price_unknown");
        assert_eq!(error["type"], "permission_error");
    }
    assert_eq!(bench.provider.count(), 1, "who is refused costs nothing");
    ask(&free, "gpt-unpriced").await.assert_served();
    let rows = Books::settled(&bench).await.rows;
    let unpriced = rows.iter().find(|row| row.model_asked == "gpt-unpriced").expect("its row");
    assert_eq!((unpriced.outcome.as_deref(), unpriced.cost_nano_usd), (Some("completed"), None), "{unpriced:?}");
    assert_eq!(rows.len(), 2, "who is refused has no row");
    let usage: Value = serde_json::from_str(&bench.command(&["usage", "--json", "--by", "model"]).await).unwrap();
    let row = usage["data"].as_array().unwrap().iter().find(|row| row["name"] == "openai/gpt-unpriced").unwrap();
    assert_eq!((&row["cost_unknown"], &row["requests"]["completed"]), (&1.into(), &1.into()), "{usage}");
    backend.kill().await;
}
