//! The page of all settings, made of what the readers ask for and of what is said of each here.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{Config, Inputs, TelemetryConfig, sources};

/// What each setting means, in the order of the page.
const MEANINGS: &[(&str, &str)] = &[
    ("service.listen", "where the edge's requests come in"),
    ("service.body_limit", "largest request body in bytes"),
    (
        "service.shutdown_grace",
        "how long open answers may go on after SIGTERM or SIGINT; a second signal cuts them off",
    ),
    (
        "operations.listen",
        "`/admin` (with the scope `admin`), `/metrics`, `/healthz` and `/readyz` for operators; never public",
    ),
    ("service.max_requests", "requests in flight; more are refused with 503 `overloaded`"),
    ("edge.signature", "`off` serves everybody who reaches the service listener"),
    ("edge.signing_keys", "one or two `<id>:<secret>` with a comma between; two while a key is rotated"),
    ("edge.signature_skew", "how far a signature's time may be off"),
    ("edge.replay_capacity", "requests remembered to find replays; full means 503"),
    (
        "store.url",
        r#"where keys, ledger and conversations are: `sqlite:PATH`, a file that is made when there is none and served by one program at a time; `postgres://user:password@host:port/database?sslmode=…`, which several instances can share; or `none`, nothing is kept, which needs `auth.mode = "off"` or `optional`, or `[auth.jwt]` ([accounting](accounting.md#where-it-is-kept))"#,
    ),
    (
        "store.migrate",
        "`manual`: the schema is brought up to date by `goblin-backend migrate` alone, and an old one is refused",
    ),
    ("store.timeout", "the longest that a request waits for the store; then it gets 503 `store_unavailable`"),
    ("store.connections", "most connections, besides the one that writes the ledger"),
    ("store.redis", r#"`redis://user:password@host:port`, or `rediss://…` by TLS; for `limits.count_in = "redis"`"#),
    (
        "auth.mode",
        "who must say who he is: everybody, `optional`: who shows a credential (conversations need one all the same), `off`: nobody. `/admin` needs the scope `admin` in every mode",
    ),
    (
        "auth.issuer_secrets",
        "what API keys are made and told genuine with: one, or two with a comma between, the first for new keys; the edge's `API_KEY_ISSUER_SECRETS`",
    ),
    (
        "auth.cache",
        "how long a key that was found is believed without asking the store again, and so how long one may still count that another instance revoked; `0s` asks every time",
    ),
    (
        "auth.jwt.issuer",
        "whose tokens (JWT) count besides: what `iss` must be, to the letter. Without any `auth.jwt` setting none do",
    ),
    ("auth.jwt.audience", "what `aud` must be or hold; several with commas between: one of them"),
    ("auth.jwt.jwks_url", "where the issuer's public keys are; `https`, or `http` on a loopback address"),
    (
        "auth.jwt.algorithms",
        "which signatures count; also `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES384`. Symmetric ones never do",
    ),
    ("auth.jwt.tenant_claim", "the claim that names the tenant; tokens without it are refused then"),
    ("auth.jwt.default_scopes", "for tokens that have neither `scope` nor `scp`"),
    ("auth.jwt.leeway", "how far the issuer's clock may be off; at most `5m`"),
    (
        "auth.jwt.cache",
        "how long the issuer's keys are believed. A token with an unknown key has them fetched again, at most every 10 s; while they cannot be fetched, old ones are used for an hour more",
    ),
    (
        "log.level",
        "a level (`error`, `warn`, `info`, `debug`, `trace`, `off`), or `target=level` directives with commas between; `PUT /admin/log-level` changes it while the program runs ([telemetry](telemetry.md#the-log))",
    ),
    ("log.format", "`json`, one object a line, or `pretty` for people. By default `pretty` on a terminal, else `json`"),
    ("timeouts.connect", "for a connection to a provider"),
    ("timeouts.attempt", "from one call to its first content, as long as another entry of the plan is left"),
    ("timeouts.first_content", "to the first content of a stream, or to a whole unstreamed answer, over all calls"),
    ("timeouts.between_chunks", "from one chunk to the next"),
    ("timeouts.total", "for a whole call"),
    ("retries.attempts", "calls of one entry of a plan, the first included; 1 to 10"),
    ("retries.base_delay", "longest pause before the second call; it doubles with each"),
    ("retries.max_delay", "longest pause of all"),
    (
        "retries.retry_after_limit",
        "longest `retry-after` of a provider that is waited for when no entry is left; `0s`: none",
    ),
    ("breaker.enabled", "`false` calls every provider however it goes, and forgets when it said to come back"),
    ("breaker.window", "over which time calls are counted"),
    ("breaker.min_calls", "fewest calls in the window that say anything"),
    ("breaker.error_ratio", "which part of them must have failed; more than 0, at most 1"),
    ("breaker.open_for", "how long nothing is called then; it doubles each time that a probe fails"),
    ("breaker.open_for_limit", "up to this"),
    ("breaker.probes", "calls at the same time that find out whether it works again"),
    (
        "limits.count_in",
        "where use is counted: `process`, exact as long as it is the only one, or for several instances `redis` (needs `store.redis`, and a store) or `postgres` (needs a `store.url` of it)",
    ),
    (
        "conversations.retention",
        "how long a conversation stays that nobody renames or goes on with, such as `90d`; at least `1m`. By default until its owner deletes it ([conversations](conversations.md))",
    ),
    ("catalogue.path", "another catalogue; the edge has the same in KV, or is built with it ([routing](routing.md))"),
    ("slo.period_days", "over how many days an objective is kept or not; 1 to 30 ([objectives](slo.md))"),
    (
        "slo.chat_latency.objective",
        "the share of chat requests that is to be answered in time; less than 1, as with the others",
    ),
    ("slo.chat_latency.threshold", "in which time. Of `goblin.chat.response.duration` there is a bucket of 2 s"),
    ("slo.auth.objective", "the share of decisions on who asks that can be made"),
    ("slo.llm.objective", "the share of requests that some provider answers"),
    ("slo.api.objective", "the share of requests that meet no fault of ours"),
];

/// Defaults that are not one value.
const DEFAULTS: &[(&str, &str)] = &[("catalogue.path", "built in"), ("log.format", "by where it goes")];

/// These have tables of their own, as their names are the operator's.
const ELSEWHERE: [&str; 2] = ["limits.", "providers."];

fn settings() -> String {
    let inputs = Inputs {
        file: Some(("goblin.toml".into(), String::new())),
        environment: vec![
            ("GOBLIN_EDGE__SIGNING_KEYS".into(), format!("a:{}", "0".repeat(32))),
            ("GOBLIN_AUTH__ISSUER_SECRETS".into(), "0".repeat(32)),
        ],
        set: Vec::new(),
    };
    let mut reader = sources::layered(&inputs);
    drop(Config::read(&mut reader, &inputs));
    // A section of optional settings is read as a whole once one of them is there.
    let with_jwt = Inputs { set: vec!["auth.jwt.issuer=x".to_owned()], ..inputs };
    let mut more = sources::layered(&with_jwt);
    drop(Config::read(&mut more, &with_jwt));
    let here = |name: &&str| *name == "limits.count_in" || !ELSEWHERE.iter().any(|other| name.starts_with(other));
    let known: BTreeSet<&str> = reader.known().chain(more.known()).filter(here).collect();
    let meant: BTreeSet<&str> = MEANINGS.iter().map(|(name, _)| *name).collect();
    assert_eq!(known, meant, "settings that are read, and those that are explained here");
    let mut text = "| setting | variable | default | meaning |\n|---|---|---|---|\n".to_owned();
    for (name, meaning) in MEANINGS {
        let variable = name.to_uppercase().replace('.', "__");
        let told = DEFAULTS.iter().find(|(told, _)| told == name).map(|(_, default)| (*default).to_owned());
        let default = reader.default_of(name).or_else(|| more.default_of(name));
        let default = told.or_else(|| default.map(|default| format!("`{default}`"))).unwrap_or_else(|| "–".to_owned());
        writeln!(text, "| `{name}` | `GOBLIN_{variable}` | {default} | {meaning} |").unwrap();
    }
    text
}

/// The page with what stands between two marks replaced.
fn replaced(page: &str, name: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- generated: {name} -->\n"), format!("<!-- end of {name} -->"));
    let (head, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no mark of {name}"));
    let (_, tail) = rest.split_once(&end).unwrap_or_else(|| panic!("no end of {name}"));
    format!("{head}{begin}{text}{end}{tail}")
}

#[test]
fn the_page_says_what_the_readers_ask_for() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let anew = replaced(&replaced(&page, "settings", &settings()), "variables", &TelemetryConfig::table());
    if std::env::var_os("GOBLIN_UPDATE_DOCS").is_some() {
        std::fs::write(&path, anew).unwrap();
    } else {
        assert_eq!(page, anew, "docs/configuration.md is of another time; write it anew with GOBLIN_UPDATE_DOCS=1");
    }
}
