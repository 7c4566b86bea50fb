//! The check itself: texts in, faults out.

use goblin_edge::{
    admit::rule::{Rule, Rules},
    config::EdgeConfig,
};
use goblin_shared::catalogue::{BUILT_IN, Catalogue};

use super::{
    deployment::Deployment,
    names::{self, SECRETS},
    reach,
};
use crate::dotenv;

/// Flags of the runtime without which nobody hears of a client that leaves.
const FLAGS: [&str; 2] = ["enable_request_signal", "request_signal_passthrough"];

/// The Durable Object of a key's limit: its binding and its class.
const KEY_LIMITS: (&str, &str) = ("KEY_LIMITS", "KeyLimit");

/// Cloudflare's counter of an address's requests.
const ADDRESS_LIMIT: &str = "ADDRESS_LIMIT";

/// What the examples of secrets begin with (.dev.vars.example).
const EXAMPLE: &str = "replace-this-by";

/// Where the backends are.
const BACKENDS: [&str; 2] = ["BACKEND_ORIGIN", "BACKEND_OTHER_ORIGINS"];

/// Where else the Worker sends something.
const URLS: [&str; 5] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    "TURNSTILE_SITEVERIFY_URL",
];

/// What is checked, all of it text.
pub(crate) struct Given<'a> {
    /// wrangler.toml.
    pub(crate) wrangler: &'a str,
    /// Which of its environments; `None` for the top level.
    pub(crate) environment: Option<&'a str>,
    /// `NAME=value` lines that win over `[vars]`; `None` when the secrets stand where they cannot be seen.
    pub(crate) secrets: Option<&'a str>,
    /// A catalogue instead of the one that is built in.
    pub(crate) catalogue: Option<&'a str>,
}

/// What came of it.
pub(crate) struct Checked {
    /// All that is wrong, a line each. No value of a secret is in them.
    pub(crate) faults: Vec<String>,
    /// The secrets that the Worker needs and nobody showed.
    pub(crate) unseen: Vec<&'static str>,
    /// What was checked, in some words.
    pub(crate) summary: String,
}

/// Finds all faults at once.
pub(crate) fn check(given: &Given<'_>) -> Checked {
    let place = given.environment.map_or_else(|| "top level".to_owned(), |name| format!("environment {name}"));
    let deployment = match Deployment::read(given.wrangler, given.environment) {
        Ok(deployment) => deployment,
        Err(fault) => return Checked { faults: vec![fault], unseen: Vec::new(), summary: place },
    };
    let mut faults = Vec::new();
    let variables = deployment.variables(&mut faults);
    let secrets = given.secrets.map(dotenv::parse);
    let value = |name: &str| -> Option<String> {
        let secret = secrets.iter().flatten().rfind(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned());
        secret.or_else(|| variables.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone()))
    };
    let unseen = if secrets.is_none() { unseen(&value) } else { Vec::new() };

    settings(&deployment, &mut faults);
    let written = variables.iter().map(|(name, _)| (name.as_str(), deployment.section("vars")));
    let shown = secrets.iter().flatten().map(|(name, _)| (*name, "the file of secrets".to_owned()));
    for (name, place) in written.chain(shown) {
        faults.extend(names::fault(name).map(|fault| format!("{name} in {place} {fault}")));
    }
    for (name, value) in &variables {
        if names::is_secret(name, value) {
            let put = deployment.environment().map(|name| format!(" --env {name}")).unwrap_or_default();
            faults.push(format!(
                "{name} is a secret and stands in {}, for all to read: put it into .dev.vars, or run \
                 `npx wrangler secret put {name}{put}`",
                deployment.section("vars")
            ));
        }
    }
    let read = EdgeConfig::read(|name| value(name).or_else(|| names::stand_in(&unseen, name)));
    if let Err(edge) = read {
        faults.extend(edge.0);
    }
    bindings(&deployment, &value, &mut faults);
    if given.environment.is_some() {
        deployed(&value, &mut faults);
    }
    let catalogue = catalogue(given.catalogue, &mut faults);
    let name = deployment.name().unwrap_or_default();
    let files = if secrets.is_some() { "secrets" } else { "no secrets" };
    let summary = format!("{place}: {name}, {} variables, {files}, bindings, {catalogue}", variables.len());
    Checked { faults, unseen, summary }
}

/// Those that are needed whatever else is set, and those that other variables ask for.
fn unseen(value: &impl Fn(&str) -> Option<String>) -> Vec<&'static str> {
    let rules = rules(value);
    let turnstile = rules.looks_at(Rule::Turnstile) || value("TURNSTILE_HOSTNAMES").is_some();
    let names = SECRETS.iter().map(|(name, _)| *name);
    names.filter(|name| value(name).is_none() && (*name != "TURNSTILE_SECRET_KEY" || turnstile)).collect()
}

/// The modes of the rules; what is wrong with them is the edge's to say.
fn rules(value: &impl Fn(&str) -> Option<String>) -> Rules {
    let mut rules = Rules::default();
    let _ = rules.apply(&value("ADMIT_RULES").unwrap_or_default());
    rules
}

fn settings(deployment: &Deployment, faults: &mut Vec<String>) {
    if deployment.name().is_none() {
        faults.push("`name` is missing".to_owned());
    }
    if !deployment.has("compatibility_date") {
        faults.push("`compatibility_date` is missing".to_owned());
    }
    let flags = deployment.compatibility_flags();
    for flag in FLAGS.iter().filter(|flag| !flags.contains(flag)) {
        faults.push(format!("`compatibility_flags` lacks \"{flag}\": nothing would tell that a client has left"));
    }
}

/// What the Worker needs beside variables. A rule that is off needs none.
fn bindings(deployment: &Deployment, value: &impl Fn(&str) -> Option<String>, faults: &mut Vec<String>) {
    let rules = rules(value);
    let (binding, class) = KEY_LIMITS;
    if rules.looks_at(Rule::KeyLimit) {
        match deployment.durable_object(binding) {
            None => faults.push(format!(
                "[[{}]] lacks the Durable Object {binding} (class_name = \"{class}\"), which the rule key_limit asks; \
                 environments take no bindings over",
                deployment.path("durable_objects.bindings")
            )),
            Some(found) if found != class => {
                faults.push(format!("the Durable Object {binding} has class_name \"{found}\"; it is \"{class}\""));
            }
            Some(_) => {}
        }
        if !deployment.sqlite_classes().contains(&class) {
            faults.push(format!("no [[migrations]] entry has new_sqlite_classes = [\"{class}\"]"));
        }
    }
    if rules.looks_at(Rule::AddressLimit) {
        let Some(limit) = deployment.rate_limit(ADDRESS_LIMIT) else {
            faults.push(format!(
                "[[{}]] lacks {ADDRESS_LIMIT}, which the rule address_limit asks; environments take no bindings over",
                deployment.path("ratelimits")
            ));
            return;
        };
        let told = value("ADDRESS_LIMIT_RATE").and_then(|text| rate(&text)).or_else(default_rate);
        if let (Some((requests, seconds)), Some((limit, period))) = (told, limit.rate)
            && (requests, seconds) != (limit, period)
        {
            faults.push(format!(
                "ADDRESS_LIMIT_RATE tells clients {requests}/{seconds}, but the binding {ADDRESS_LIMIT} counts \
                 {limit}/{period}"
            ));
        }
        for other in deployment.others_with_namespace(&limit.namespace) {
            faults.push(format!(
                "namespace_id \"{}\" of {ADDRESS_LIMIT} is that of {other} too: they would share their counts",
                limit.namespace
            ));
        }
    }
}

/// `requests/seconds`. What is no rate is the edge's to tell.
fn rate(text: &str) -> Option<(u64, u64)> {
    let (requests, seconds) = text.split_once('/')?;
    Some((requests.trim().parse().ok()?, seconds.trim().parse().ok()?))
}

fn default_rate() -> Option<(u64, u64)> {
    let limit = names::least().ok()?.admit.address_limit;
    Some((limit.burst().into(), limit.window().as_secs()))
}

/// What is wrong on Cloudflare only.
fn deployed(value: &impl Fn(&str) -> Option<String>, faults: &mut Vec<String>) {
    for name in BACKENDS {
        // A region may stand before an origin, with an equals sign.
        for url in
            value(name).unwrap_or_default().split(',').map(|entry| entry.rsplit('=').next().unwrap_or_default().trim())
        {
            if let Some(why) = reach::unreachable(url) {
                faults.push(format!("{name} {why}: set it to the URL of the backend's service listener"));
            } else if url.starts_with("http://") {
                faults.push(format!(
                    "{name} must be https://: keys and prompts would cross the Internet for all to read"
                ));
            }
        }
    }
    for name in URLS {
        if let Some(why) = value(name).and_then(|url| reach::unreachable(&url)) {
            faults.push(format!("{name} {why}"));
        }
    }
    for (name, _) in SECRETS {
        if value(name).is_some_and(|secret| secret.contains(EXAMPLE)) {
            faults.push(format!("{name} is the example of .dev.vars.example, which everybody knows"));
        }
    }
}

fn catalogue(given: Option<&str>, faults: &mut Vec<String>) -> String {
    match Catalogue::parse(given.unwrap_or(BUILT_IN)) {
        Ok(catalogue) => {
            let origin = if given.is_some() { "" } else { " (built in)" };
            format!("catalogue {}{origin}", catalogue.version())
        }
        Err(error) => {
            faults.extend(error.0.into_iter().map(|fault| format!("the catalogue: {fault}")));
            "catalogue".to_owned()
        }
    }
}
