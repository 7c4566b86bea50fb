//! How siteverify judges a token.

use std::{collections::HashMap, time::Duration};

use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Check, Manner, Spent, Token};

/// How long a token is good.
const LIFETIME: Duration = Duration::from_mins(5);

/// The verdict, and the token spent where it was good.
pub(super) fn judge(check: &Check, secret: &str, tokens: &mut HashMap<String, Token>, now: OffsetDateTime) -> Value {
    match check.secret.as_deref() {
        None | Some("") => return refused("missing-input-secret"),
        Some(given) if given != secret => return refused("invalid-input-secret"),
        Some(_) => {}
    }
    let Some(token) = check.response.as_deref().filter(|token| !token.is_empty()) else {
        return refused("missing-input-response");
    };
    let Some(token) = tokens.get_mut(token) else { return refused("invalid-input-response") };
    let is_careful = token.solved.manner != Manner::Careless;
    let is_old = now - token.solved_at > LIFETIME;
    let is_spent = token.spent.as_ref().is_some_and(|spent| !spent.is_repeated_by(check));
    if is_careful && (is_old || is_spent) {
        return refused("timeout-or-duplicate");
    }
    token.spent.get_or_insert_with(|| Spent { idempotency_key: check.idempotency_key.clone() });
    vouch(token)
}

/// A verdict against the token.
pub(super) fn refused(code: &str) -> Value {
    json!({"success": false, "error-codes": [code], "messages": []})
}

fn vouch(token: &Token) -> Value {
    let millis = token.solved_at.replace_nanosecond(token.solved_at.millisecond().into()).ok();
    let solved = &token.solved;
    json!({
        "success": true,
        "error-codes": [],
        "challenge_ts": timestamp(millis.unwrap_or(token.solved_at)),
        "hostname": solved.hostname,
        "action": solved.action.as_deref().unwrap_or_default(),
        "cdata": solved.cdata.as_deref().unwrap_or_default(),
        "metadata": {"interactive": false},
    })
}

fn timestamp(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|error| unreachable!("a year of four digits: {error}"))
}

impl Spent {
    fn is_repeated_by(&self, check: &Check) -> bool {
        self.idempotency_key.is_some() && self.idempotency_key == check.idempotency_key
    }
}
