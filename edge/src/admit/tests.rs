//! The order of admission and every outcome, with surroundings that answer as each test wants.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use goblin_shared::{api::Api, api_key::IssuerSecret};

use super::*;
use crate::config::EdgeConfig;

const NOW_S: u64 = 1_800_000_000;
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";
const ISSUER: &str = "0123456789abcdef0123456789abcdef";

/// What surrounds a request, all well unless a test says otherwise; it writes down what it was asked.
struct Fake {
    trapped: Cell<bool>,
    address: Result<bool, Unavailable>,
    key: Result<Option<[u8; 32]>, Unavailable>,
    verifies: bool,
    siteverify: Result<&'static str, Unavailable>,
    standing: Result<Standing, Unavailable>,
    alone_passes: bool,
    asked: RefCell<Vec<&'static str>>,
    logged: RefCell<Vec<String>>,
}

fn standing(passes: bool) -> Standing {
    let wait = if passes { Duration::ZERO } else { Duration::from_secs(36) };
    Standing { passes, remaining: 41, reset: Duration::from_millis(5_900), retry_after: wait }
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            trapped: Cell::new(false),
            address: Ok(true),
            key: Ok(Some([1; 32])),
            verifies: true,
            siteverify: Ok(
                r#"{"success":true,"challenge_ts":"2027-01-15T08:00:00Z","hostname":"app.example","action":"chat"}"#,
            ),
            standing: Ok(standing(true)),
            alone_passes: true,
            asked: RefCell::default(),
            logged: RefCell::default(),
        }
    }
}

impl Outside for Fake {
    fn unix_millis(&self) -> u64 {
        NOW_S * 1_000
    }

    fn trap(&self, _: &str) {
        self.trapped.set(true);
    }

    fn is_trapped(&self, _: &str) -> bool {
        self.trapped.get()
    }

    async fn address_allows(&self, _: &str) -> Result<bool, Unavailable> {
        self.asked.borrow_mut().push("address");
        self.address.clone()
    }

    async fn agent_key(&self, _: &AgentOrigin, _: &str) -> Result<Option<[u8; 32]>, Unavailable> {
        self.asked.borrow_mut().push("directory");
        self.key.clone()
    }

    async fn verifies(&self, _: &[u8; 32], _: &str, _: &[u8]) -> Result<bool, Unavailable> {
        Ok(self.verifies)
    }

    async fn siteverify(&self, _: &TurnstileConfig, _: String) -> Result<Vec<u8>, Unavailable> {
        self.asked.borrow_mut().push("siteverify");
        self.siteverify.clone().map(|body| body.as_bytes().to_vec())
    }

    async fn take(&self, _: &str) -> Result<Standing, Unavailable> {
        self.asked.borrow_mut().push("key");
        self.standing.clone()
    }

    fn take_alone(&self, _: &str) -> Standing {
        self.asked.borrow_mut().push("alone");
        standing(self.alone_passes)
    }

    fn log(&self, message: &str) {
        self.logged.borrow_mut().push(message.to_owned());
    }
}

fn down() -> Unavailable {
    Unavailable("down".into())
}

/// None of the fakes ever waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a fake waits"),
    }
}

fn config(more: &[(&str, &str)]) -> AdmitConfig {
    let always = [
        ("BACKEND_ORIGIN", "http://backend.example"),
        ("EDGE_SIGNING_KEY", "dev:0123456789abcdef0123456789abcdef"),
        ("API_KEY_ISSUER_SECRETS", ISSUER),
        ("BOT_SCORE_LEAST", "30"),
    ];
    let find =
        |name: &str| more.iter().chain(&always).find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    EdgeConfig::read(find).unwrap_or_else(|faults| panic!("{faults}")).admit
}

const TURNSTILE: [(&str, &str); 2] = [("TURNSTILE_SECRET_KEY", "0xsecret"), ("TURNSTILE_HOSTNAMES", "app.example")];

fn turnstile(more: &[(&'static str, &'static str)]) -> AdmitConfig {
    config(&[more, &TURNSTILE].concat())
}

fn facts(fields: &[(&str, &str)]) -> RequestFacts {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut facts = RequestFacts {
        method: "POST".into(),
        url: "https://edge.example/v1/chat/completions".into(),
        fields,
        ..RequestFacts::default()
    };
    facts.client.address = Some("192.0.2.1".into());
    facts
}

/// A browser's `fetch()` with more fields.
fn browser(more: &[(&str, &str)]) -> RequestFacts {
    let own =
        [("user-agent", BROWSER), ("accept", "*/*"), ("accept-language", "en"), ("sec-fetch-site", "same-origin")];
    facts(&[&own, more].concat())
}

fn key(seed: u8) -> String {
    let issuer: IssuerSecret = ISSUER.parse().unwrap();
    format!("Bearer {}", ApiKey::mint(&issuer, &[seed; 48]).expose())
}

fn keyed(more: &[(&str, &str)]) -> RequestFacts {
    facts(&[&[("authorization", key(1).as_str())], more].concat())
}

fn asked(config: &AdmitConfig, facts: &RequestFacts, fake: &Fake) -> (Result<Admitted, Refusal>, Record) {
    let mut record = Record::default();
    let outcome = now(admit(config, facts, Endpoint::Post(Api::ChatCompletions), fake, &mut record));
    assert!(record.decision.is_some(), "every request is decided: {outcome:?}");
    (outcome, record)
}

fn verdict(config: &AdmitConfig, facts: &RequestFacts, fake: &Fake) -> Verdict {
    let (outcome, record) = asked(config, facts, fake);
    let admitted = outcome.unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert_eq!(record.decision, Some(Decision::Admitted(admitted.verdict.as_str())));
    admitted.verdict
}

/// Status, code and reason.
fn refused(config: &AdmitConfig, facts: &RequestFacts, fake: &Fake) -> (u16, &'static str, &'static str) {
    let (outcome, record) = asked(config, facts, fake);
    let refusal = outcome.err().unwrap_or_else(|| panic!("admitted: {record:?}"));
    let Some(Decision::Refused(reason)) = record.decision else { panic!("{record:?}") };
    let told = refusal.error.message.contains(&format!("`{reason}`")) || refusal.error.code.as_str() != "bot_refused";
    assert!(told, "{} does not say {reason}", refusal.error.message);
    (refusal.error.code.status(), refusal.error.code.as_str(), reason)
}

#[test]
fn people_with_browsers_and_holders_of_keys_come_in() {
    let (config, fake) = (config(&[]), Fake::default());
    assert_eq!(verdict(&config, &browser(&[]), &fake), Verdict::Anonymous);
    assert_eq!(*fake.asked.borrow(), ["address"]);
    assert_eq!(verdict(&config, &keyed(&[("user-agent", "curl/8.5.0")]), &fake), Verdict::ApiKey);
    assert_eq!(*fake.asked.borrow(), ["address", "address", "key"]);
    assert_eq!(verdict(&config, &keyed(&[]), &fake), Verdict::ApiKey);
    let foreign = browser(&[("authorization", "Bearer eyJhbGciOi")]);
    assert_eq!(verdict(&config, &foreign, &fake), Verdict::ForeignCredential);
}

#[test]
fn all_agents_of_browsers_come_in_and_all_agents_of_tools_with_a_key() {
    let (config, fake) = (config(&[]), Fake::default());
    let lines = |text: &'static str| text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let browsers = lines(include_str!("../../tests/agents/browsers.txt"));
    let mut count = 0;
    for user_agent in browsers {
        let head =
            [("user-agent", user_agent), ("accept", "*/*"), ("accept-language", "de"), ("sec-fetch-site", "none")];
        assert_eq!(verdict(&config, &facts(&head), &fake), Verdict::Anonymous, "{user_agent}");
        count += 1;
    }
    for user_agent in lines(include_str!("../../tests/agents/sdks.txt")) {
        assert_eq!(verdict(&config, &keyed(&[("user-agent", user_agent)]), &fake), Verdict::ApiKey, "{user_agent}");
        count += 1;
    }
    assert!(count >= 110, "{count} agents");
}

#[test]
fn bots_are_refused_before_anybody_else_is_asked() {
    let (config, fake) = (config(&[]), Fake::default());
    for (user_agent, reason) in
        [("GPTBot/1.2", "ai_crawler"), ("curl/8.5.0", "scripted_tool"), ("", "empty_user_agent")]
    {
        let facts = facts(&[("user-agent", user_agent), ("authorization", "Bearer eyJ")]);
        assert_eq!(refused(&config, &facts, &fake), (403, "bot_refused", reason));
    }
    let mut scored = browser(&[]);
    scored.network.bot_score = Some(3);
    assert_eq!(refused(&config, &scored, &fake), (403, "bot_refused", "bot_score"));
    assert!(fake.asked.borrow().iter().all(|asked| *asked == "address"), "nothing but Cloudflare's own counter");
}

#[test]
fn forged_keys_cost_nobody_anything() {
    let (config, fake) = (config(&[]), Fake::default());
    let forged = facts(&[("authorization", "Bearer gob_000000000000_0000000000000000000000000000000000000000")]);
    for facts in [forged, facts(&[("x-api-key", "gob_x")])] {
        let (outcome, record) = asked(&config, &facts, &fake);
        let refusal = outcome.unwrap_err();
        assert_eq!((refusal.error.code.status(), refusal.error.code.as_str()), (401, "invalid_api_key"));
        assert_eq!(refusal.fields[0].0, "www-authenticate");
        assert_eq!(record.decision, Some(Decision::Refused("invalid_api_key")));
    }
    assert!(fake.asked.borrow().iter().all(|asked| *asked == "address"), "nothing but Cloudflare's own counter");
    let guessing = Fake { address: Ok(false), ..Fake::default() };
    assert_eq!(refused(&config, &facts(&[("x-api-key", "gob_x")]), &guessing).2, "address_limit");
}

#[test]
fn observed_rules_serve_and_say_so_and_rules_that_are_off_say_nothing() {
    let config = config(&[(
        "ADMIT_RULES",
        "scripted_tool=observe,bot_score=observe,address_limit=observe,empty_user_agent=off",
    )]);
    let fake = Fake { address: Ok(false), ..Fake::default() };
    let mut tool = facts(&[("user-agent", "curl/8.5.0")]);
    tool.network.bot_score = Some(1);
    let (outcome, record) = asked(&config, &tool, &fake);
    assert_eq!(outcome.unwrap().verdict, Verdict::Anonymous);
    assert_eq!(record.observed, [Rule::AddressLimit, Rule::ScriptedTool, Rule::BotScore]);
    assert!(record.pattern.is_some());
    let counts: Vec<_> = record.counts().collect();
    let expected = [
        ("admitted", "anonymous"),
        ("observed", "address_limit"),
        ("observed", "scripted_tool"),
        ("observed", "bot_score"),
    ];
    assert_eq!(counts, expected);
    let (_, record) = asked(&config, &facts(&[]), &Fake::default());
    assert_eq!((record.observed, record.decision), (vec![], Some(Decision::Admitted("anonymous"))));
}

#[test]
fn lists_hold_for_holders_of_keys_too_and_spare_the_trusted() {
    let fake = Fake::default();
    let block = config(&[("BLOCK_ADDRESSES", "192.0.2.0/24")]);
    assert_eq!(refused(&block, &keyed(&[]), &fake), (403, "access_denied", "address_list"));
    let allow = config(&[("BLOCK_ADDRESSES", "192.0.2.0/24"), ("ALLOW_ADDRESSES", "192.0.2.1")]);
    assert_eq!(verdict(&allow, &facts(&[("user-agent", "curl/8.5.0")]), &fake), Verdict::AllowList);
    let path = config(&[("ALLOW_PATHS", "/v1/chat/*")]);
    assert_eq!(verdict(&path, &facts(&[("user-agent", "curl/8.5.0")]), &fake), Verdict::AllowList);
    let both = config(&[("ALLOW_PATHS", "/v1/chat/*"), ("BLOCK_ADDRESSES", "192.0.2.0/24")]);
    assert_eq!(refused(&both, &browser(&[]), &fake).2, "address_list");
    let observed = config(&[("BLOCK_ADDRESSES", "192.0.2.0/24"), ("ADMIT_RULES", "address_list=observe")]);
    assert_eq!(verdict(&observed, &browser(&[]), &fake), Verdict::Anonymous);
    assert_eq!(asked(&observed, &browser(&[]), &fake).1.observed, [Rule::AddressList]);
}

#[test]
fn who_falls_into_a_trap_is_refused_from_then_on() {
    let (config, fake) = (config(&[]), Fake::default());
    let mut scanner = browser(&[]);
    scanner.url = "https://edge.example/.env".into();
    let mut record = Record::default();
    let refusal = tripwire(&config, &scanner, &fake, &mut record).unwrap_err();
    assert_eq!(refusal.error.code.as_str(), "bot_refused");
    assert_eq!(record.decision, Some(Decision::Refused("honeypot")));
    assert_eq!(refused(&config, &browser(&[]), &fake).2, "honeypot");
    assert_eq!(verdict(&config, &keyed(&[]), &fake), Verdict::ApiKey, "a key tells it from its neighbours");
    assert!(tripwire(&config, &browser(&[]), &fake, &mut Record::default()).is_ok());
}

#[test]
fn an_observed_trap_catches_nobody() {
    let (config, fake) = (config(&[("ADMIT_RULES", "honeypot=observe")]), Fake::default());
    let mut scanner = browser(&[]);
    scanner.url = "https://edge.example/.env?x=1".into();
    let mut record = Record::default();
    assert!(tripwire(&config, &scanner, &fake, &mut record).is_ok());
    assert_eq!(record.observed, [Rule::Honeypot]);
    assert!(!fake.trapped.get());
}

#[test]
fn what_a_page_made_a_browser_ask_for_catches_nobody() {
    for site in ["cross-site", "same-site"] {
        let (config, fake) = (config(&[]), Fake::default());
        let mut visitor = browser(&[]);
        visitor.fields.retain(|(name, _)| name != "sec-fetch-site");
        visitor.fields.push(("sec-fetch-site".into(), site.into()));
        visitor.url = "https://edge.example/.env".into();
        assert!(tripwire(&config, &visitor, &fake, &mut Record::default()).is_err());
        assert!(!fake.trapped.get(), "{site}");
    }
    let (config, fake) = (config(&[]), Fake::default());
    let mut nobody = browser(&[]);
    (nobody.url, nobody.client.address) = ("https://edge.example/.env".into(), None);
    assert!(tripwire(&config, &nobody, &fake, &mut Record::default()).is_err());
    assert!(!fake.trapped.get(), "who has no address is everybody");
}

#[test]
fn wanted_bots_that_cloudflare_vouches_for_are_served_unchallenged() {
    let config = turnstile(&[("ALLOW_VERIFIED_BOTS", "Search Engine Crawler")]);
    let mut bot = facts(&[("user-agent", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")]);
    assert_eq!(refused(&config, &bot, &Fake::default()).2, "search_crawler");
    bot.network.verified_bot = Some("Search Engine Crawler".into());
    assert_eq!(verdict(&config, &bot, &Fake::default()), Verdict::VerifiedBot);
}

#[test]
fn every_endpoint_but_health_is_guarded_alike() {
    let config = config(&[]);
    let endpoints = Api::ALL.map(Endpoint::Post).into_iter().chain([Endpoint::Models, Endpoint::OpenapiJson]);
    for endpoint in endpoints {
        let ask = |facts: &RequestFacts, fake: &Fake| {
            now(admit(&config, facts, endpoint, fake, &mut Record::default())).map(|admitted| admitted.verdict)
        };
        let limited = Fake { address: Ok(false), ..Fake::default() };
        assert_eq!(ask(&facts(&[]), &limited).unwrap_err().error.code.status(), 429, "{endpoint:?}");
        let forged = facts(&[("x-api-key", "gob_x")]);
        assert_eq!(ask(&forged, &Fake::default()).unwrap_err().error.code.status(), 401, "{endpoint:?}");
        let key = key(1).replace("Bearer ", "");
        assert!(ask(&facts(&[("x-api-key", &key)]), &Fake::default()).is_ok(), "{endpoint:?}");
    }
}

#[test]
fn health_is_told_to_everybody_within_limits() {
    let (config, fake) = (config(&[]), Fake { address: Ok(false), ..Fake::default() });
    let mut record = Record::default();
    assert!(now(admit(&config, &facts(&[]), Endpoint::Healthz, &fake, &mut record)).is_ok());
    assert_eq!(*fake.asked.borrow(), [""; 0]);
    let mut record = Record::default();
    let refusal = now(admit(&config, &facts(&[]), Endpoint::Readyz, &fake, &mut record)).unwrap_err();
    assert_eq!((refusal.error.code.status(), record.decision), (429, Some(Decision::Refused("address_limit"))));
    let forged = facts(&[("x-api-key", "gob_x")]);
    assert!(now(admit(&config, &forged, Endpoint::Readyz, &Fake::default(), &mut Record::default())).is_ok());
}

#[test]
fn limits_say_when_to_come_back() {
    let fields =
        |refusal: &Refusal| refusal.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>();
    let config = config(&[]);
    let fake = Fake { address: Ok(false), ..Fake::default() };
    assert_eq!(refused(&config, &browser(&[]), &fake), (429, "rate_limit_exceeded", "address_limit"));
    let refusal = asked(&config, &browser(&[]), &fake).0.unwrap_err();
    assert_eq!(refusal.error.retry_after, Some(60));
    assert_eq!(fields(&refusal), ["ratelimit: \"address\";r=0;t=60", "ratelimit-policy: \"address\";q=600;w=60"]);

    let fake = Fake { standing: Ok(standing(false)), ..Fake::default() };
    assert_eq!(refused(&config, &keyed(&[]), &fake), (429, "rate_limit_exceeded", "key_limit"));
    let refusal = asked(&config, &keyed(&[]), &fake).0.unwrap_err();
    assert_eq!(refusal.error.retry_after, Some(36));
    assert_eq!(fields(&refusal), ["ratelimit: \"burst\";r=41;t=6", "ratelimit-policy: \"burst\";q=100;w=10"]);
    let admitted = asked(&config, &keyed(&[]), &Fake::default()).0.unwrap();
    assert_eq!(admitted.fields[0], ("ratelimit", "\"burst\";r=41;t=6".to_owned()));
    assert_eq!(admitted.fields[1].0, "ratelimit-policy");
}

#[test]
fn a_limit_that_is_not_there_opens_or_closes_as_configured_and_is_told() {
    let fake = || Fake { standing: Err(down()), ..Fake::default() };
    let open = config(&[]);
    let (outcome, record) = asked(&open, &keyed(&[]), &fake());
    assert_eq!(outcome.unwrap(), Admitted { verdict: Verdict::ApiKey, fields: vec![] });
    assert_eq!(record.decision, Some(Decision::Admitted("key_limit_unavailable")));
    assert_eq!(record.lacking, [Rule::KeyLimit]);
    let closed = config(&[("KEY_LIMIT_FAILURE", "closed")]);
    let closing = fake();
    let flooding = Fake { alone_passes: false, ..fake() };
    assert_eq!(
        refused(&open, &keyed(&[]), &flooding),
        (429, "rate_limit_exceeded", "key_limit"),
        "open is not without end"
    );
    assert_eq!(refused(&closed, &keyed(&[]), &closing), (503, "admission_unavailable", "key_limit_unavailable"));
    assert_eq!(*closing.logged.borrow(), ["key_limit_unavailable: down"]);
    let observed = config(&[("KEY_LIMIT_FAILURE", "closed"), ("ADMIT_RULES", "key_limit=observe")]);
    assert!(asked(&observed, &keyed(&[]), &fake()).0.is_ok());

    let (outcome, record) = asked(&open, &browser(&[]), &Fake { address: Err(down()), ..Fake::default() });
    assert!(outcome.is_ok());
    assert_eq!((record.lacking, record.decision), (vec![Rule::AddressLimit], Some(Decision::Admitted("anonymous"))));
}

#[test]
fn the_anonymous_are_challenged_once() {
    let (config, fake) = (turnstile(&[]), Fake::default());
    assert_eq!(refused(&config, &browser(&[]), &fake), (403, "challenge_required", "turnstile"));
    let (outcome, record) = asked(&config, &browser(&[("x-turnstile-token", "token")]), &fake);
    let admitted = outcome.unwrap();
    assert_eq!((admitted.verdict, record.decision), (Verdict::Turnstile, Some(Decision::Admitted("turnstile"))));
    let (name, cookie) = &admitted.fields[0];
    assert_eq!(*name, "set-cookie");
    let cookie = cookie.split(';').next().unwrap();
    fake.asked.borrow_mut().clear();
    assert_eq!(verdict(&config, &browser(&[("cookie", cookie)]), &fake), Verdict::Clearance);
    assert_eq!(*fake.asked.borrow(), ["address"], "siteverify is not asked again");
    let mut elsewhere = browser(&[("cookie", cookie)]);
    elsewhere.client.address = Some("192.0.2.2".into());
    assert_eq!(refused(&config, &elsewhere, &fake).1, "challenge_required");
    assert_eq!(verdict(&config, &keyed(&[]), &fake), Verdict::ApiKey, "who has a key is not challenged");
}

#[test]
fn tokens_that_prove_nothing_are_refused() {
    let (config, fake) = (turnstile(&[]), Fake::default());
    let long = "x".repeat(2_049);
    assert_eq!(refused(&config, &browser(&[("x-turnstile-token", &long)]), &fake).1, "challenge_failed");
    assert!(!fake.asked.borrow().contains(&"siteverify"));
    let fake =
        Fake { siteverify: Ok(r#"{"success":false,"error-codes":["timeout-or-duplicate"]}"#), ..Fake::default() };
    let token = browser(&[("x-turnstile-token", "token")]);
    assert_eq!(refused(&config, &token, &fake), (403, "challenge_failed", "turnstile"));
    let observed = turnstile(&[("ADMIT_RULES", "turnstile=observe")]);
    for facts in [browser(&[]), token] {
        let (outcome, record) = asked(&observed, &facts, &fake);
        assert_eq!((outcome.unwrap().verdict, record.observed), (Verdict::Anonymous, vec![Rule::Turnstile]));
    }
}

#[test]
fn a_siteverify_that_fails_opens_or_closes_as_configured() {
    let token = browser(&[("x-turnstile-token", "token")]);
    for failing in [Err(down()), Ok("garbage")] {
        let fake = Fake { siteverify: failing, ..Fake::default() };
        assert_eq!(refused(&turnstile(&[]), &token, &fake), (503, "admission_unavailable", "turnstile_unavailable"));
        let (outcome, record) = asked(&turnstile(&[("TURNSTILE_FAILURE", "open")]), &token, &fake);
        assert_eq!(outcome.unwrap(), Admitted { verdict: Verdict::Anonymous, fields: vec![] });
        assert_eq!(record.decision, Some(Decision::Admitted("turnstile_unavailable")));
        assert_eq!(record.lacking, [Rule::Turnstile]);
    }
}

#[test]
fn foreign_credentials_spare_the_challenge_only_where_they_are_trusted() {
    let foreign = browser(&[("authorization", "Bearer eyJ")]);
    assert_eq!(refused(&turnstile(&[]), &foreign, &Fake::default()).1, "challenge_required");
    let trusting = turnstile(&[("FOREIGN_CREDENTIALS", "trust")]);
    assert_eq!(verdict(&trusting, &foreign, &Fake::default()), Verdict::ForeignCredential);
    assert_eq!(refused(&trusting, &browser(&[]), &Fake::default()).1, "challenge_required");
    let script = facts(&[("authorization", "Bearer eyJ"), ("user-agent", "curl/8.5.0")]);
    assert_eq!(verdict(&trusting, &script, &Fake::default()), Verdict::ForeignCredential);
    assert_eq!(refused(&turnstile(&[]), &script, &Fake::default()).2, "scripted_tool");
}

/// Well-formed, for `https://agent.example`; whether it verifies the fake decides.
fn signed(user_agent: &str) -> RequestFacts {
    let input = format!(
        "sig1=(\"@authority\" \"signature-agent\");created={NOW_S};expires={};keyid=\"poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U\";tag=\"web-bot-auth\"",
        NOW_S + 60
    );
    let signature = format!("sig1=:{}==:", "A".repeat(86));
    facts(&[
        ("user-agent", user_agent),
        ("signature-agent", "\"https://agent.example\""),
        ("signature-input", &input),
        ("signature", &signature),
    ])
}

#[test]
fn agents_that_prove_their_names_are_known() {
    let on = config(&[("ADMIT_RULES", "web_bot_auth=enforce"), ("WEB_BOT_AUTH_AGENTS", "https://agent.example")]);
    let fake = Fake::default();
    let (outcome, record) = asked(&on, &signed("curl/8.5.0"), &fake);
    assert_eq!(outcome.unwrap().verdict, Verdict::SignedAgent);
    assert_eq!(record.agent.as_deref(), Some("https://agent.example"));
    assert_eq!(*fake.asked.borrow(), ["address", "directory"], "limits come before what costs a fetch");

    for fake in [Fake { verifies: false, ..Fake::default() }, Fake { key: Ok(None), ..Fake::default() }] {
        assert_eq!(refused(&on, &signed("curl/8.5.0"), &fake), (403, "bot_refused", "web_bot_auth"));
    }
    // What cannot be checked is not known, and not refused for it either.
    let unreachable = Fake { key: Err(down()), ..Fake::default() };
    assert_eq!(refused(&on, &signed("curl/8.5.0"), &unreachable).2, "scripted_tool");
    let mut browser = signed(BROWSER);
    browser.fields.extend(
        [("accept", "*/*"), ("accept-language", "en"), ("sec-fetch-site", "none")].map(|(a, b)| (a.into(), b.into())),
    );
    assert_eq!(asked(&on, &browser, &unreachable).1.lacking, [Rule::WebBotAuth]);
    let mut expired = signed("curl/8.5.0");
    for (_, value) in &mut expired.fields {
        *value = value.replace(&format!("expires={}", NOW_S + 60), &format!("expires={NOW_S}"));
    }
    assert_eq!(refused(&on, &expired, &Fake::default()).2, "web_bot_auth");
}

#[test]
fn signatures_mean_nothing_where_they_are_not_switched_on_or_listed() {
    let fake = Fake::default();
    assert_eq!(refused(&config(&[]), &signed("curl/8.5.0"), &fake).2, "scripted_tool");
    let other = config(&[("ADMIT_RULES", "web_bot_auth=enforce"), ("WEB_BOT_AUTH_AGENTS", "https://other.example")]);
    assert_eq!(refused(&other, &signed("curl/8.5.0"), &fake).2, "scripted_tool");
    assert!(!fake.asked.borrow().contains(&"directory"), "only listed agents' directories are fetched");
}
