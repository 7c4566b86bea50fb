//! The configuration of admission.

use std::str::FromStr;

use goblin_shared::{api_key::IssuerSecret, edge_signature::SigningKey, rate_limit::RatePolicy};

use super::{
    bot::BotConfig,
    clearance::ClearanceConfig,
    key_limit::KeyLimitConfig,
    lists::{Lists, PathPattern, network},
    rule::{Failure, Mode, Rule, Rules},
    turnstile::TurnstileConfig,
    web_bot_auth::AgentOrigin,
};
use crate::{config::Variables, preflight::Endpoint};

/// A valid configuration of admission.
#[derive(Clone, Debug)]
pub struct AdmitConfig {
    /// `ADMIT_RULES`: the mode of each rule.
    pub rules: Rules,
    /// `API_KEY_ISSUER_SECRETS`: one or two; each verifies.
    pub issuers: Vec<IssuerSecret>,
    /// `BLOCK_…` and `ALLOW_…`
    pub lists: Lists,
    /// `HONEYPOT_PATHS`
    pub honeypot_paths: Vec<String>,
    /// What bots are told by.
    pub bots: BotConfig,
    /// `TURNSTILE_…`, when there is a secret key.
    pub turnstile: Option<TurnstileConfig>,
    /// How those who solved a challenge are known again.
    pub clearance: ClearanceConfig,
    /// `FOREIGN_CREDENTIALS`: whether those with a credential that only the backend can judge are spared the checks.
    pub trust_foreign: bool,
    /// `WEB_BOT_AUTH_AGENTS`: agents that are believed when they prove their names.
    pub agents: Vec<AgentOrigin>,
    /// `ADDRESS_LIMIT_RATE`: what the binding `ADDRESS_LIMIT` is set to in wrangler.toml.
    pub address_limit: RatePolicy,
    /// `KEY_LIMIT_…`
    pub key_limit: KeyLimitConfig,
    /// `DEV_ADDRESS_HEADER`: stands in for `CF-Connecting-IP` on requests to loopback hosts.
    pub dev_address_header: Option<String>,
}

/// Asked for by scanners, and by nobody who wants an answer of a language model.
const HONEYPOT_PATHS: &str = "/wp-login.php,/.env,/.git/config,/xmlrpc.php";
const SITEVERIFY: &str = "https://challenges.cloudflare.com/turnstile/v0/siteverify";

impl AdmitConfig {
    /// Reads it; `None` when something that it cannot do without is missing. What is wrong goes to `faults`.
    pub fn read(variables: &Variables<'_>, signing_key: Option<&SigningKey>, faults: &mut Vec<String>) -> Option<Self> {
        let issuers = issuers(variables, faults);
        let turnstile = turnstile(variables, faults);
        let agents = variables.list("WEB_BOT_AUTH_AGENTS", faults, "an origin such as https://agent.example", |text| {
            AgentOrigin::from_str(text).ok()
        });
        let mut rules = Rules::default();
        if turnstile.is_some() {
            rules.set(Rule::Turnstile, Mode::Enforce);
        }
        let wrong_rules = rules.apply(&variables.text("ADMIT_RULES").unwrap_or_default());
        faults.extend(wrong_rules.into_iter().map(|fault| format!("ADMIT_RULES: {fault}")));
        if rules.looks_at(Rule::Turnstile) && variables.text("TURNSTILE_SECRET_KEY").is_none() {
            faults.push("ADMIT_RULES looks at `turnstile`, but TURNSTILE_SECRET_KEY is missing".to_owned());
        }
        if !rules.looks_at(Rule::WebBotAuth) && !agents.is_empty() {
            faults.push("WEB_BOT_AUTH_AGENTS is set, but ADMIT_RULES does not say `web_bot_auth=enforce`".to_owned());
        }
        if rules.looks_at(Rule::WebBotAuth) && agents.is_empty() {
            faults.push("ADMIT_RULES looks at `web_bot_auth`, but WEB_BOT_AUTH_AGENTS names no agent".to_owned());
        }
        let score_least = variables.number("BOT_SCORE_LEAST", 2, 0..=99, faults);
        let bots = BotConfig {
            allow_verified: variables.texts("ALLOW_VERIFIED_BOTS"),
            score_least: u8::try_from(score_least).unwrap_or(u8::MAX),
        };
        let honeypot_paths: Vec<String> = match variables.text("HONEYPOT_PATHS") {
            Some(_) => variables.list("HONEYPOT_PATHS", faults, "a path that begins with a slash", |text| {
                text.starts_with('/').then(|| text.to_owned())
            }),
            None => HONEYPOT_PATHS.split(',').map(str::to_owned).collect(),
        };
        if honeypot_paths.iter().any(|path| Endpoint::of_path(path).is_some()) {
            faults.push("HONEYPOT_PATHS names a path that is served: everybody would be refused".to_owned());
        }
        let trust = [("check", false), ("trust", true)];
        let trust_foreign = variables.choice("FOREIGN_CREDENTIALS", false, &trust, faults);
        // All are read before any is missed, so that all faults are told at once.
        let address_limit = rate(variables, "ADDRESS_LIMIT_RATE", None, faults);
        let key_limit = KeyLimitConfig::read(variables, faults);
        let config = Self {
            rules,
            issuers,
            lists: lists(variables, faults),
            honeypot_paths,
            bots,
            turnstile,
            clearance: ClearanceConfig {
                key: signing_key.map(|key| key.derive("clearance")).unwrap_or_default(),
                cross_site: !variables.texts("CORS_ORIGINS").is_empty(),
            },
            trust_foreign,
            agents,
            address_limit: address_limit?,
            key_limit: key_limit?,
            dev_address_header: variables.text("DEV_ADDRESS_HEADER").map(|name| name.to_ascii_lowercase()),
        };
        (signing_key.is_some() && !config.issuers.is_empty()).then_some(config)
    }
}

impl KeyLimitConfig {
    /// Reads `KEY_LIMIT_…`; `None` when the rate is none.
    pub fn read(variables: &Variables<'_>, faults: &mut Vec<String>) -> Option<Self> {
        let burst = variables.number("KEY_LIMIT_BURST", 100, 1..=1_000_000, faults);
        let burst = u32::try_from(burst).unwrap_or(u32::MAX);
        let timeout_ms = milliseconds(variables, "KEY_LIMIT_TIMEOUT_MS", 1_000, faults);
        let failure = failure(variables, "KEY_LIMIT_FAILURE", Failure::Open, faults);
        let policy = rate(variables, "KEY_LIMIT_SUSTAINED", Some(burst), faults)?;
        Some(Self { policy, timeout_ms, failure })
    }
}

/// `<requests>/<seconds>`; without a burst, all requests may come at once.
fn rate(variables: &Variables<'_>, name: &str, burst: Option<u32>, faults: &mut Vec<String>) -> Option<RatePolicy> {
    let text = variables.text(name).unwrap_or_else(|| "600/60".to_owned());
    let requests = text.split('/').next().and_then(|requests| requests.trim().parse().ok()).unwrap_or(0);
    let policy = RatePolicy::parse(burst.unwrap_or(requests), &text);
    policy.map_err(|error| faults.push(format!("{name}: {error}"))).ok()
}

fn milliseconds(variables: &Variables<'_>, name: &str, default: u64, faults: &mut Vec<String>) -> u32 {
    u32::try_from(variables.number(name, default, 1..=60_000, faults)).unwrap_or(u32::MAX)
}

fn failure(variables: &Variables<'_>, name: &str, default: Failure, faults: &mut Vec<String>) -> Failure {
    variables.choice(name, default, &[("open", Failure::Open), ("closed", Failure::Closed)], faults)
}

fn issuers(variables: &Variables<'_>, faults: &mut Vec<String>) -> Vec<IssuerSecret> {
    let Some(text) = variables.text("API_KEY_ISSUER_SECRETS") else {
        faults.push(
            "API_KEY_ISSUER_SECRETS is missing: put it into .dev.vars, or run `npx wrangler secret put API_KEY_ISSUER_SECRETS`"
                .to_owned(),
        );
        return Vec::new();
    };
    let issuers: Result<Vec<IssuerSecret>, _> = text.split(',').map(str::parse).collect();
    match issuers {
        Ok(issuers) if issuers.len() <= 2 => issuers,
        Ok(_) => {
            faults.push("API_KEY_ISSUER_SECRETS must be one secret, or two while they are rotated".to_owned());
            Vec::new()
        }
        Err(error) => {
            faults.push(format!("API_KEY_ISSUER_SECRETS: {error}"));
            Vec::new()
        }
    }
}

fn lists(variables: &Variables<'_>, faults: &mut Vec<String>) -> Lists {
    let mut networks =
        |name: &str| variables.list(name, faults, "an address or a network such as 192.0.2.0/24", network);
    let (block_addresses, allow_addresses) = (networks("BLOCK_ADDRESSES"), networks("ALLOW_ADDRESSES"));
    let mut asns = |name: &str| {
        let number = |text: &str| text.trim_start_matches("AS").parse().ok();
        variables.list(name, faults, "the number of an autonomous system", number)
    };
    let (block_asns, allow_asns) = (asns("BLOCK_ASNS"), asns("ALLOW_ASNS"));
    let mut countries = |name: &str| {
        let code = |text: &str| {
            (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()))
                .then(|| text.to_ascii_uppercase())
        };
        variables.list(name, faults, "a country's code of two letters", code)
    };
    let (block_countries, allow_countries) = (countries("BLOCK_COUNTRIES"), countries("ALLOW_COUNTRIES"));
    let mut paths = |name: &str| {
        variables.list(name, faults, "a path such as /v1/models, or a prefix such as /v1/*", PathPattern::parse)
    };
    let (block_paths, allow_paths) = (paths("BLOCK_PATHS"), paths("ALLOW_PATHS"));
    Lists {
        block_addresses,
        allow_addresses,
        block_asns,
        allow_asns,
        block_countries,
        allow_countries,
        block_paths,
        allow_paths,
        block_ja4: variables.texts("BLOCK_JA4"),
    }
}

fn turnstile(variables: &Variables<'_>, faults: &mut Vec<String>) -> Option<TurnstileConfig> {
    let Some(secret) = variables.text("TURNSTILE_SECRET_KEY") else {
        // Secrets are put apart from variables, and easily forgotten.
        let others = ["TURNSTILE_HOSTNAMES", "TURNSTILE_ACTION", "TURNSTILE_FAILURE", "TURNSTILE_CLEARANCE_S"];
        if let Some(name) = others.iter().find(|name| variables.text(name).is_some()) {
            faults.push(format!("{name} is set, but TURNSTILE_SECRET_KEY is missing, without which Turnstile is off"));
        }
        return None;
    };
    let hostnames = variables.texts("TURNSTILE_HOSTNAMES");
    if hostnames.is_empty() {
        faults.push("TURNSTILE_HOSTNAMES is missing: name the hosts whose pages show the widget".to_owned());
    }
    let siteverify_url = variables.text("TURNSTILE_SITEVERIFY_URL").unwrap_or_else(|| SITEVERIFY.to_owned());
    if !siteverify_url.starts_with("https://") && !siteverify_url.starts_with("http://") {
        faults.push("TURNSTILE_SITEVERIFY_URL must begin with http:// or https://".to_owned());
    }
    Some(TurnstileConfig {
        secret,
        hostnames,
        action: variables.text("TURNSTILE_ACTION").unwrap_or_else(|| "chat".to_owned()),
        siteverify_url,
        timeout_ms: milliseconds(variables, "TURNSTILE_TIMEOUT_MS", 3_000, faults),
        failure: failure(variables, "TURNSTILE_FAILURE", Failure::Closed, faults),
        clearance_s: variables.number("TURNSTILE_CLEARANCE_S", 1_800, 1..=86_400, faults),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_of_the_limit_that_the_binding_has() {
        let wrangler: toml::Table = include_str!("../../../wrangler.toml").parse().unwrap();
        let limits = wrangler["ratelimits"].as_array().unwrap();
        let simple = &limits.iter().find(|limit| limit["name"].as_str() == Some("ADDRESS_LIMIT")).unwrap()["simple"];
        let told = wrangler["vars"]["ADDRESS_LIMIT_RATE"].as_str().unwrap().to_owned();
        assert_eq!(told, format!("{}/{}", simple["limit"], simple["period"]));
        let get = move |_: &str| Some(told.clone());
        let read = rate(&Variables::new(&get), "ADDRESS_LIMIT_RATE", None, &mut Vec::new()).unwrap();
        assert_eq!((read.burst(), read.window().as_secs()), (600, 60));
    }
}
