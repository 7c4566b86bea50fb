//! API keys, from the command that makes them to their end.

use std::time::{Duration, Instant};

use goblin_shared::api_key::{ApiKey, IssuerSecret};
use goblin_tests::{
    api_key::mint_api_key,
    backend::Backend,
    patience::{PATIENCE, patiently},
    postgres::Postgres,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    bench::{Bench, chat},
    invariants::Books,
    outages::needed,
    provider::{COMPLETION_TOKENS, FAIL, PROMPT_TOKENS},
};
use crate::{
    answered::{Answered, send},
    client,
    suite::{Outcome, Suite},
};

pub(crate) fn register(suite: &mut Suite) {
    suite.test("a_key_works_until_it_is_revoked", a_key_works_until_it_is_revoked);
    suite.test("who_has_no_key_that_counts_is_told_the_same", who_has_no_key_that_counts_is_told_the_same);
    suite.test("a_rotated_key_works_beside_the_old_one_for_a_while", a_rotated_key_works_beside_the_old_one);
    suite.test("a_key_ends_on_time", a_key_ends_on_time);
    suite.test("what_a_key_used_is_told_by_command", what_a_key_used_is_told_by_command);
    suite.test("a_store_that_is_gone_makes_no_key_wrong", a_store_that_is_gone_makes_no_key_wrong);
}

/// `auth.cache` of these backends, and until when its end must have been noticed on a busy machine: before the default's.
const CACHE: &str = "500ms";
const NOTICED: Duration = Duration::from_secs(6);
const PAUSE: Duration = Duration::from_millis(50);

/// What whoever brings this key is told.
async fn ask(backend: &Backend, key: Option<&str>) -> Answered {
    let request = client::request(Method::GET, backend.service(), "/v1/models");
    send(match key {
        Some(key) => request.bearer_auth(key),
        None => request,
    })
    .await
}

/// Waits until the key is refused; how long that took.
async fn refused(backend: &Backend, key: &str, word: &str) -> Duration {
    let started = Instant::now();
    let refused = async {
        loop {
            let answer = ask(backend, Some(key)).await;
            if answer.status != 200 {
                break answer;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let answer = patiently(refused, || "the key goes on".to_owned()).await;
    let error = answer.assert_error(401, "invalid_api_key");
    assert!(error["message"].as_str().is_some_and(|message| message.contains(word)), "{error}");
    started.elapsed()
}

/// Which key it is.
fn id(key: &str) -> &str {
    key.split('_').nth(1).expect("gob_<id>_…")
}

async fn a_key_works_until_it_is_revoked() {
    let bench = Bench::over_sqlite().await.with("GOBLIN_AUTH__CACHE", CACHE);
    let (key, other) = (bench.key(&["--name", "ci", "--user", "ann"]).await, bench.key(&[]).await);
    let backend = bench.start().await;
    // One that is made while it serves works too.
    let late = bench.key(&["--scopes", "conversations"]).await;
    for key in [&key, &other] {
        ask(&backend, Some(key)).await.assert_served();
    }
    ask(&backend, Some(&late)).await.assert_error(403, "insufficient_scope");

    let listed: Value = serde_json::from_str(&bench.command(&["keys", "list", "--json"]).await).unwrap();
    let one = listed["data"].as_array().unwrap().iter().find(|one| one["id"] == id(&key)).expect("it is listed");
    assert_eq!((&one["name"], &one["user"], &one["state"]), (&"ci".into(), &"ann".into(), &"active".into()));
    assert!(!listed.to_string().contains(key.rsplit('_').next().unwrap()), "a secret is listed");

    bench.command(&["keys", "revoke", id(&key)]).await;
    let noticed = refused(&backend, &key, "revoked").await;
    assert!(noticed < NOTICED, "it worked for {noticed:?} after it was revoked");
    ask(&backend, Some(&other)).await.assert_served();
    let listed: Value = serde_json::from_str(&bench.command(&["keys", "list", "--json"]).await).unwrap();
    let state = |key: &str| {
        let keys = listed["data"].as_array().unwrap();
        keys.iter().find(|one| one["id"] == id(key)).map(|one| one["state"].clone())
    };
    assert_eq!((state(&key), state(&other)), (Some("revoked".into()), Some("active".into())));
    backend.kill().await;
}

async fn who_has_no_key_that_counts_is_told_the_same() {
    let bench = Bench::over_sqlite().await;
    let key = bench.key(&[]).await;
    let backend = bench.start().await;
    ask(&backend, None).await.assert_error(401, "authentication_required");
    let issuer: IssuerSecret = bench.issuer_secret.parse().unwrap();
    // Genuine, with the id of a key that is known, and not its secret.
    let wrong = ApiKey::mint_successor(&issuer, id(&key), &[7; 48]).expect("an id");
    let unknown = mint_api_key(&bench.issuer_secret).await.unwrap();
    let of_others = mint_api_key(&goblin_tests::secret::fresh().unwrap()).await.unwrap();
    let mut told = Vec::new();
    for key in [wrong.expose(), &unknown, &of_others, "gob_short"] {
        told.push(ask(&backend, Some(key)).await.assert_error(401, "invalid_api_key")["message"].clone());
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    // Neither of them was given anything.
    let request = chat(&reqwest::Client::new(), &backend, &unknown, &bench.provider.ask("Hello", json!({})));
    send(request).await.assert_error(401, "invalid_api_key");
    assert_eq!(bench.provider.count(), 0);
    // Who asks how it does needs no key.
    send(client::request(Method::GET, backend.service(), "/healthz")).await.assert_served();
    ask(&backend, Some(&key)).await.assert_served();
    backend.kill().await;
}

async fn a_rotated_key_works_beside_the_old_one() {
    /// Long enough to see both work on a busy machine.
    const OVERLAP: Duration = Duration::from_secs(5);
    let bench = Bench::over_sqlite().await.with("GOBLIN_AUTH__CACHE", CACHE);
    let old = bench.key(&[]).await;
    let backend = bench.start().await;
    ask(&backend, Some(&old)).await.assert_served();
    let overlap = format!("{}s", OVERLAP.as_secs());
    let before = Instant::now();
    let new = bench.command(&["keys", "rotate", id(&old), "--overlap", &overlap]).await;
    let rotated = Instant::now();
    let new = new.trim_end();
    assert_eq!(id(new), id(&old), "it is the same key");
    assert_ne!(new, old);
    ask(&backend, Some(new)).await.assert_served();
    let answer = ask(&backend, Some(&old)).await;
    if before.elapsed() < OVERLAP {
        answer.assert_served();
    }
    refused(&backend, &old, "replaced").await;
    let lasted = rotated.elapsed();
    assert!(before.elapsed() >= OVERLAP, "the old one ended before its time");
    assert!(lasted < OVERLAP + NOTICED, "the old one lasted {lasted:?}");
    ask(&backend, Some(new)).await.assert_served();
    backend.kill().await;
}

async fn a_key_ends_on_time() {
    const LIFE: Duration = Duration::from_secs(4);
    let bench = Bench::over_sqlite().await;
    let backend = bench.start().await;
    let before = Instant::now();
    let key = bench.key(&["--expires", &format!("{}s", LIFE.as_secs())]).await;
    let answer = ask(&backend, Some(&key)).await;
    if before.elapsed() < LIFE {
        answer.assert_served();
    }
    // That it ends needs no look at the store, so that the cache does not matter.
    refused(&backend, &key, "expired").await;
    assert!(before.elapsed() >= LIFE, "it ended before its time");
    assert!(before.elapsed() < LIFE + NOTICED, "it went on for {:?}", before.elapsed());
    backend.kill().await;
}

async fn what_a_key_used_is_told_by_command() {
    const ANSWERED: u64 = 3;
    let bench = Bench::over_sqlite().await;
    let (key, other) = (bench.key(&["--user", "ann", "--tenant", "acme"]).await, bench.key(&["--user", "ann"]).await);
    let backend = bench.start().await;
    let client = goblin_tests::http_client::new();
    for number in 0..ANSWERED {
        let body = bench.provider.ask("Hello", json!({"stream": number == 1}));
        let answer = chat(&client, &backend, &key, &body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap();
    }
    send(chat(&client, &backend, &key, &bench.provider.ask(FAIL, json!({}))))
        .await
        .assert_error(502, "provider_failed");
    send(chat(&client, &backend, &other, &bench.provider.ask("Hello", json!({})))).await.assert_served();
    Books::settled(&bench).await;
    // Beside the one that serves, and after it.
    for is_over in [false, true] {
        if is_over {
            backend.terminate(PATIENCE).await;
        }
        let (id, other) = (id(&key), id(&other));
        for (by, name, more) in
            [("key", id, None), ("user", "acme/ann", None), ("model", "openai/gpt-4o-mini", Some(id))]
        {
            let mut arguments = vec!["usage", "--json", "--by", by];
            arguments.extend(more.into_iter().flat_map(|id| ["--key", id]));
            let usage: Value = serde_json::from_str(&bench.command(&arguments).await).unwrap();
            let row = usage["data"].as_array().unwrap().iter().find(|row| row["name"] == name);
            let row = row.unwrap_or_else(|| panic!("no {name} in {usage}"));
            // The failed one is of the same model.
            assert_eq!(
                (&row["requests"]["completed"], &row["requests"]["failed"]),
                (&ANSWERED.into(), &1.into()),
                "{usage}"
            );
            let tokens = (&row["tokens"]["prompt"], &row["tokens"]["completion"]);
            assert_eq!(tokens, (&(ANSWERED * PROMPT_TOKENS).into(), &(ANSWERED * COMPLETION_TOKENS).into()), "{usage}");
            // 3 · (3 · 0.15 + 4 · 0.60) millionths of a dollar.
            assert_eq!(row["cost_usd"], "0.00000855", "{usage}");
        }
        let usage: Value = serde_json::from_str(&bench.command(&["usage", "--json", "--by", "key"]).await).unwrap();
        let of_other = usage["data"].as_array().unwrap().iter().find(|row| row["name"] == other).expect("a row");
        assert_eq!((&of_other["requests"]["completed"], &of_other["cost_usd"]), (&1.into(), &"0.00000285".into()));
    }
}

async fn a_store_that_is_gone_makes_no_key_wrong() -> Outcome {
    let postgres = match needed(Postgres::start().await) {
        Ok(postgres) => postgres,
        Err(outcome) => return outcome,
    };
    let bench = Bench::over(postgres.database().await.unwrap()).await;
    let bench = bench.with("GOBLIN_AUTH__CACHE", CACHE).with("GOBLIN_STORE__TIMEOUT", "1s");
    let (key, unknown) = (bench.key(&[]).await, mint_api_key(&bench.issuer_secret).await.unwrap());
    let backend = bench.start().await;
    ask(&backend, Some(&key)).await.assert_served();
    ask(&backend, Some(&unknown)).await.assert_error(401, "invalid_api_key");
    postgres.stop().await.unwrap();
    let unavailable = async {
        while ask(&backend, Some(&key)).await.status == 200 {
            tokio::time::sleep(PAUSE).await;
        }
    };
    patiently(unavailable, || "the key is believed for ever".to_owned()).await;
    for key in [&key, &unknown] {
        let answer = ask(&backend, Some(key)).await;
        answer.assert_error(503, "store_unavailable");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    // What can be told without the store still is.
    ask(&backend, None).await.assert_error(401, "authentication_required");
    ask(&backend, Some("gob_short")).await.assert_error(401, "invalid_api_key");
    postgres.start_again().await.unwrap();
    let served = async {
        while ask(&backend, Some(&key)).await.status != 200 {
            tokio::time::sleep(PAUSE).await;
        }
    };
    patiently(served, || "the store is back and the key is not".to_owned()).await;
    ask(&backend, Some(&unknown)).await.assert_error(401, "invalid_api_key");
    backend.kill().await;
    Outcome::Passed
}
