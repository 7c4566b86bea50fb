//! The variables that the edge knows: those that it asks for.

use std::{cell::RefCell, collections::BTreeSet, sync::LazyLock};

use goblin_edge::config::{ConfigFaults, EdgeConfig};

/// The Worker's secrets, each with a value that passes for one where the real one is not seen.
pub(crate) const SECRETS: [(&str, &str); 3] = [
    ("EDGE_SIGNING_KEY", "unseen:unseen-unseen-unseen-unseen-unseen"),
    ("API_KEY_ISSUER_SECRETS", "unseen-unseen-unseen-unseen-unseen"),
    ("TURNSTILE_SECRET_KEY", "unseen"),
];

/// Names in the Worker's surroundings that are no variables.
const BINDINGS: [&str; 3] = ["KEY_LIMITS", "ADDRESS_LIMIT", "CATALOGUE"];

/// How alike two names are that may be the same one, mistyped (Jaro's measure, 0 to 1).
const ALIKE: f64 = 0.85;

static KNOWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let asked = RefCell::new(BTreeSet::new());
    let record = |name: &str, value: Option<String>| {
        asked.borrow_mut().insert(name.to_owned());
        value
    };
    // Some are asked for only when another is there: so with nothing, with all secrets, and with something everywhere.
    let all: Vec<_> = SECRETS.iter().map(|(name, _)| *name).collect();
    let _ = EdgeConfig::read(|name| record(name, None));
    let _ = EdgeConfig::read(|name| record(name, stand_in(&all, name)));
    let _ = EdgeConfig::read(|name| record(name, Some("1".to_owned())));
    asked.into_inner()
});

/// The configuration that only what it cannot do without makes: all else is default.
pub(crate) fn least() -> Result<EdgeConfig, ConfigFaults> {
    let needed = ["EDGE_SIGNING_KEY", "API_KEY_ISSUER_SECRETS"];
    EdgeConfig::read(|name| match name {
        "BACKEND_ORIGIN" => Some("https://unseen".to_owned()),
        _ => stand_in(&needed, name),
    })
}

/// What passes for the value of a secret that is one of `unseen`.
pub(crate) fn stand_in(unseen: &[&str], name: &str) -> Option<String> {
    let (name, value) = SECRETS.iter().find(|(secret, _)| *secret == name)?;
    unseen.contains(name).then(|| (*value).to_owned())
}

/// Whether this is not to be written where everybody reads it.
pub(crate) fn is_secret(name: &str, value: &str) -> bool {
    let is_one = SECRETS.iter().any(|(secret, _)| *secret == name);
    // Its names and values are a secret when one of them lets somebody in.
    let lets_in = ["authorization", "key", "token", "secret"];
    let value = value.to_ascii_lowercase();
    is_one || (name == "OTEL_EXPORTER_OTLP_HEADERS" && lets_in.iter().any(|word| value.contains(word)))
}

/// What is wrong with the name of a variable.
pub(crate) fn fault(name: &str) -> Option<String> {
    if KNOWN.contains(name) {
        return None;
    }
    if BINDINGS.contains(&name) {
        return Some("is the name of a binding, not of a variable".to_owned());
    }
    let upper = name.to_ascii_uppercase();
    let likeness = |known: &&String| strsim::jaro(&upper, known);
    let nearest = KNOWN.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    Some(match nearest.filter(|nearest| likeness(nearest) >= ALIKE) {
        Some(nearest) => format!("is no variable of the edge; was {nearest} meant?"),
        None => "is no variable of the edge: docs/configuration.md lists them".to_owned(),
    })
}
