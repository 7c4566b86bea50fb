//! Turnstile: what is sent to siteverify, and what its answer means.
//!
//! Source: Cloudflare's documentation of server-side validation. A token is good once, for 300 seconds, and at most 2,048
//! characters long.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use super::rule::Failure;

/// How anonymous clients are challenged.
#[derive(Clone, PartialEq, Eq)]
pub struct TurnstileConfig {
    /// `TURNSTILE_SECRET_KEY`, secret.
    pub secret: String,
    /// `TURNSTILE_HOSTNAMES`: where the widget may have been solved.
    pub hostnames: Vec<String>,
    /// `TURNSTILE_ACTION`: the action that the widget names.
    pub action: String,
    /// `TURNSTILE_SITEVERIFY_URL`
    pub siteverify_url: String,
    /// `TURNSTILE_TIMEOUT_MS`
    pub timeout_ms: u32,
    /// `TURNSTILE_FAILURE`
    pub failure: Failure,
    /// `TURNSTILE_CLEARANCE_S`: how long a solved challenge serves.
    pub clearance_s: u64,
}

impl std::fmt::Debug for TurnstileConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TurnstileConfig").field("hostnames", &self.hostnames).finish_non_exhaustive()
    }
}

/// Longest token that there is, in characters.
pub const TOKEN_LENGTH: usize = 2_048;
/// Oldest challenge that counts as solved now, in seconds.
const CHALLENGE_AGE: Duration = Duration::from_mins(5);
/// How far the clocks of Cloudflare and of the Worker may differ.
const SKEW: Duration = Duration::from_mins(1);

/// What an answer of siteverify means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Siteverified {
    /// The client has solved our challenge just now.
    Solved,
    /// It has not: why, for the log.
    Failed(String),
    /// Nothing can be said of the client, as siteverify or its settings fail: why, for the log.
    Unusable(String),
}

#[derive(Deserialize)]
struct Answer {
    success: bool,
    challenge_ts: Option<String>,
    hostname: Option<String>,
    action: Option<String>,
    #[serde(rename = "error-codes", default)]
    error_codes: Vec<String>,
}

impl TurnstileConfig {
    /// The JSON body for siteverify.
    #[must_use]
    pub fn question(&self, token: &str, address: Option<&str>) -> String {
        let mut question = serde_json::json!({ "secret": self.secret, "response": token });
        if let Some(address) = address {
            question["remoteip"] = address.into();
        }
        question.to_string()
    }

    /// Judges siteverify's answer.
    #[must_use]
    pub fn judge(&self, body: &[u8], unix_millis: u64) -> Siteverified {
        let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
            return Siteverified::Unusable("siteverify did not answer as documented".to_owned());
        };
        if !answer.success {
            // These say that our secret or the service is at fault. All else a client could provoke by its token.
            let ours = ["missing-input-secret", "invalid-input-secret", "internal-error"];
            let is_ours = answer.error_codes.iter().any(|code| ours.contains(&code.as_str()));
            let codes = answer.error_codes.join(", ");
            return if is_ours {
                Siteverified::Unusable(format!("siteverify answered {codes}"))
            } else {
                Siteverified::Failed(codes)
            };
        }
        let hostname = answer.hostname.unwrap_or_default();
        if !self.hostnames.iter().any(|allowed| allowed.eq_ignore_ascii_case(&hostname)) {
            return Siteverified::Failed("solved on another hostname".to_owned());
        }
        if answer.action.unwrap_or_default() != self.action {
            return Siteverified::Failed("solved for another action".to_owned());
        }
        let now = UNIX_EPOCH + Duration::from_millis(unix_millis);
        let solved = answer.challenge_ts.as_deref().and_then(|time| humantime::parse_rfc3339(time).ok());
        if solved.is_some_and(|solved| is_recent(solved, now)) {
            Siteverified::Solved
        } else {
            Siteverified::Failed("solved too long ago, or at no time at all".to_owned())
        }
    }
}

fn is_recent(solved: SystemTime, now: SystemTime) -> bool {
    match now.duration_since(solved) {
        Ok(age) => age <= CHALLENGE_AGE,
        Err(ahead) => ahead.duration() <= SKEW,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config() -> TurnstileConfig {
        TurnstileConfig {
            secret: "0x-secret".into(),
            hostnames: vec!["app.example".into()],
            action: "chat".into(),
            siteverify_url: "https://challenges.example/siteverify".into(),
            timeout_ms: 3_000,
            failure: Failure::Closed,
            clearance_s: 1_800,
        }
    }

    /// 2026-11-23T12:00:00Z
    const NOON: u64 = 1_795_435_200_000;

    fn solved(hostname: &str, action: &str, time: &str) -> Siteverified {
        let body = format!(
            r#"{{"success":true,"challenge_ts":"{time}","hostname":"{hostname}","error-codes":[],"action":"{action}","cdata":""}}"#
        );
        config().judge(body.as_bytes(), NOON)
    }

    #[test]
    fn the_question_holds_what_siteverify_wants() {
        assert_eq!(
            config().question("to\"ken", Some("192.0.2.1")),
            r#"{"secret":"0x-secret","response":"to\"ken","remoteip":"192.0.2.1"}"#
        );
        assert!(!config().question("t", None).contains("remoteip"));
        assert!(!format!("{:?}", config()).contains("0x-secret"));
    }

    #[test]
    fn hostname_action_and_age_must_be_ours() {
        assert_eq!(solved("app.example", "chat", "2026-11-23T11:59:00.123Z"), Siteverified::Solved);
        assert_eq!(solved("APP.example", "chat", "2026-11-23T11:55:00Z"), Siteverified::Solved);
        assert_eq!(solved("app.example", "chat", "2026-11-23T12:00:59Z"), Siteverified::Solved);
        for (hostname, action, time) in [
            ("evil.example", "chat", "2026-11-23T11:59:00Z"),
            ("", "chat", "2026-11-23T11:59:00Z"),
            ("app.example", "login", "2026-11-23T11:59:00Z"),
            ("app.example", "chat", "2026-11-23T11:54:59Z"),
            ("app.example", "chat", "2026-11-23T12:01:01Z"),
            ("app.example", "chat", "yesterday"),
        ] {
            assert!(matches!(solved(hostname, action, time), Siteverified::Failed(_)), "{hostname} {action} {time}");
        }
    }

    #[test]
    fn refused_tokens_are_the_clients_fault_and_the_rest_is_ours() {
        let judged =
            |codes: &str| config().judge(format!(r#"{{"success":false,"error-codes":[{codes}]}}"#).as_bytes(), NOON);
        for code in ["missing-input-response", "invalid-input-response", "timeout-or-duplicate", "bad-request"] {
            assert_eq!(judged(&format!("\"{code}\"")), Siteverified::Failed(code.into()));
        }
        for code in ["missing-input-secret", "invalid-input-secret", "internal-error"] {
            assert!(matches!(judged(&format!("\"{code}\"")), Siteverified::Unusable(_)), "{code}");
        }
        assert!(matches!(judged(""), Siteverified::Failed(_)));
        for garbage in ["", "<html>", "[]", "{}", r#"{"success":"yes"}"#] {
            assert!(matches!(config().judge(garbage.as_bytes(), NOON), Siteverified::Unusable(_)), "{garbage}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_is_solved_by_chance(body in "\\PC*", time in "\\PC{0,40}", now: u64) {
            prop_assert_ne!(config().judge(body.as_bytes(), now / 1_000_000), Siteverified::Solved);
            let _ = solved("app.example", "chat", &time.replace(['"', '\\'], ""));
        }
    }
}
