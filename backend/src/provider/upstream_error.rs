//! Answers of an upstream that are no success, sorted by whose fault they are: by their status or, where that is of a
//! success, by what is written in them.

mod told;

use http::HeaderMap;

use self::told::Told;
use super::retry_after;
use crate::ports::ProviderError;

/// What a key that is none is called by Google, whose status is that of an invalid request.
const BAD_KEY: &str = "API_KEY_INVALID";
/// Types and codes of an account that may not go on as it is: it has to be paid, or its limit raised. Their statuses
/// are those of invalid requests (Google, <https://ai.google.dev/gemini-api/docs/troubleshooting>) and of too many
/// (OpenAI, <https://learn.microsoft.com/microsoft-cloud/dev/dev-proxy/concepts/openai-insufficient-quota>).
const BAD_ACCOUNT: [&str; 9] = [
    "FAILED_PRECONDITION",
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
];
/// How messages about such an account begin at Anthropic, whose status and type are those of an invalid request
/// (<https://github.com/anthropics/anthropic-sdk-typescript/issues/618>,
/// <https://github.com/anthropics/claude-code/issues/2127>). Only the beginning counts: further on, messages may repeat
/// the request.
const BAD_ACCOUNT_MESSAGES: [&str; 2] =
    ["Your credit balance is too low", "You have reached your specified API usage limits"];
/// The statuses that types, codes and Google's statuses stand for. Where a code is itself a status, it needs no entry.
/// Sources: <https://docs.anthropic.com/en/api/errors>, <https://platform.openai.com/docs/guides/error-codes>,
/// <https://cloud.google.com/apis/design/errors#handling_errors>.
const STATUSES: [(&str, u16); 21] = [
    ("invalid_request_error", 400),
    ("context_length_exceeded", 400),
    ("INVALID_ARGUMENT", 400),
    ("OUT_OF_RANGE", 400),
    (BAD_KEY, 400),
    ("authentication_error", 401),
    ("invalid_api_key", 401),
    ("UNAUTHENTICATED", 401),
    ("permission_error", 403),
    ("PERMISSION_DENIED", 403),
    ("not_found_error", 404),
    ("model_not_found", 404),
    ("NOT_FOUND", 404),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("rate_limit_exceeded", 429),
    ("RESOURCE_EXHAUSTED", 429),
    ("UNAVAILABLE", 503),
    ("server_overloaded", 503),
    ("service_unavailable_error", 503),
    ("overloaded_error", 529),
];

/// Sorts an answer whose status is not 2xx. `unix_millis` is the time now; whether there is another key is for the
/// caller to say.
pub(super) fn classify(status: u16, headers: &HeaderMap, body: &[u8], unix_millis: u64) -> ProviderError {
    let told = Told::of_body(body);
    let retry_after = retry_after::of_headers(headers, unix_millis).or(told.retry_after);
    sort(status, Told { retry_after, ..told })
}

/// What a body says that has a success's status but an error in place of an answer.
pub(super) fn reported(body: &[u8]) -> Option<ProviderError> {
    Told::in_answer(body).map(as_reported)
}

/// The same of an event of a stream: Anthropic names it `error`, the others have nothing but the member.
pub(super) fn reported_by_event(name: Option<&str>, data: &str) -> Option<ProviderError> {
    let named = || (name == Some("error")).then(|| Told::of_body(data.as_bytes()));
    Told::in_answer(data.as_bytes()).or_else(named).map(as_reported)
}

fn sort(status: u16, told: Told) -> ProviderError {
    let of_account = told.is_about_the_account();
    let Told { message, detail, retry_after } = told;
    match status {
        400 if detail.code.as_deref() == Some(BAD_KEY) => {
            ProviderError::Unauthorized { status, other_key: false, detail }
        }
        // Waiting does not pay bills.
        400 | 402 | 429 if of_account => ProviderError::Status { status, retry_after: None, detail },
        400 | 413 | 422 => ProviderError::Rejected { status, message, detail },
        401 | 403 => ProviderError::Unauthorized { status, other_key: false, detail },
        429 => ProviderError::Overloaded { retry_after, other_key: false, detail },
        _ => ProviderError::Status { status, retry_after, detail },
    }
}

/// Faults that are not the provider's are sorted as if the status had told of them.
fn as_reported(told: Told) -> ProviderError {
    let status = if told.is_about_the_account() { Some(402) } else { told.status() };
    match status {
        Some(status @ 400..500) => sort(status, told),
        status => ProviderError::Reported { overloaded: matches!(status, Some(503 | 529)), detail: told.detail },
    }
}

impl Told {
    /// The status that it stands for. The code is the more exact: OpenAI's type of a wrong key is that of an invalid
    /// request.
    fn status(&self) -> Option<u16> {
        let known = |word: &str| STATUSES.iter().find(|(known, _)| *known == word).map(|(_, status)| *status);
        let number = |word: &str| word.parse().ok().filter(|status| (400..600).contains(status));
        let words = [self.detail.code.as_deref(), self.detail.kind.as_deref()];
        words.into_iter().flatten().find_map(|word| known(word).or_else(|| number(word)))
    }

    fn is_about_the_account(&self) -> bool {
        let words = [self.detail.code.as_deref(), self.detail.kind.as_deref()];
        let message = self.message.as_deref().unwrap_or_default();
        words.into_iter().flatten().any(|word| BAD_ACCOUNT.contains(&word))
            || BAD_ACCOUNT_MESSAGES.iter().any(|beginning| message.starts_with(beginning))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::UpstreamDetail;

    const BODY: &[u8] =
        br#"{"error":{"message":"Unknown parameter: 'x'","type":"invalid_request_error","code":7,"param":"x"}}"#;

    fn classified(status: u16, body: &str) -> ProviderError {
        classify(status, &HeaderMap::new(), body.as_bytes(), 0)
    }

    #[test]
    fn statuses_are_sorted_by_fault() {
        let classify = |status| classify(status, &HeaderMap::new(), BODY, 0);
        for status in [400, 413, 422] {
            let ProviderError::Rejected { message, detail, .. } = classify(status) else { panic!("{status}") };
            assert_eq!(message.as_deref(), Some("Unknown parameter: 'x'"));
            assert_eq!((detail.code.as_deref(), detail.param.as_deref()), (Some("7"), Some("x")));
        }
        for status in [401, 403] {
            assert!(matches!(classify(status), ProviderError::Unauthorized { .. }), "{status}");
        }
        // The path and the model are the gateway's choice, so that 404 is no fault of the client.
        for status in [302, 307, 402, 404, 500, 503, 529] {
            assert!(matches!(classify(status), ProviderError::Status { .. }), "{status}");
        }
    }

    #[test]
    fn how_long_to_wait_is_said_by_head_or_body() {
        let body = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[
            {"@type":"type.googleapis.com/google.rpc.Help"},
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"6.2s"}]}}"#;
        let mut headers = HeaderMap::new();
        for (field, expected) in [(None, 7), (Some("3"), 3)] {
            if let Some(field) = field {
                headers.insert("retry-after", field.parse().unwrap());
            }
            let error = classify(429, &headers, body.as_bytes(), 0);
            assert!(matches!(error, ProviderError::Overloaded { retry_after: Some(s), .. } if s == expected));
            let error = classify(503, &headers, body.as_bytes(), 0);
            assert!(matches!(error, ProviderError::Status { retry_after: Some(s), .. } if s == expected));
        }
        assert!(matches!(classified(429, ""), ProviderError::Overloaded { retry_after: None, .. }));
    }

    #[test]
    fn a_key_that_google_refuses_is_not_the_clients_fault() {
        let body = r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[
            {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#;
        for body in [body.to_owned(), format!("[{body}]")] {
            let error = classified(400, &body);
            assert!(matches!(error, ProviderError::Unauthorized { status: 400, .. }), "{error:?}");
        }
        let account = r#"{"error":{"code":400,"message":"enable billing","status":"FAILED_PRECONDITION"}}"#;
        assert!(matches!(classified(400, account), ProviderError::Status { status: 400, .. }));
    }

    #[test]
    fn each_familys_words_are_kept() {
        let anthropic = r#"{"type":"error","error":{"type":"invalid_request_error","message":"m"},"request_id":"r"}"#;
        let gemini = r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT","details":[
            {"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"contents[0]"}]}]}}"#;
        let flat = r#"{"object":"error","message":"m","type":"invalid_request_error","param":null,"code":"c"}"#;
        let text = |text: &str| Some(text.to_owned());
        for (body, kind, code, param) in [
            (anthropic, text("invalid_request_error"), None, None),
            (gemini, text("INVALID_ARGUMENT"), text("400"), text("contents[0]")),
            (flat, text("invalid_request_error"), text("c"), None),
        ] {
            let ProviderError::Rejected { message, detail, .. } = classified(400, body) else { panic!("{body}") };
            assert_eq!(message.as_deref(), Some("m"));
            assert_eq!(detail, UpstreamDetail { kind, code, param });
        }
    }

    #[test]
    fn an_account_that_is_not_paid_is_not_the_clients_fault() {
        let anthropic = |message: &str| {
            format!(r#"{{"type":"error","error":{{"type":"invalid_request_error","message":"{message}"}}}}"#)
        };
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "60".parse().unwrap());
        for (status, body) in [
            (400, anthropic("Your credit balance is too low to access the Anthropic API. Please go to Plans.")),
            (400, anthropic("You have reached your specified API usage limits. You will regain access on 2026-12-01.")),
            (429, r#"{"error":{"message":"x","type":"insufficient_quota","code":"insufficient_quota"}}"#.to_owned()),
            (429, r#"{"error":{"type":"insufficient_quota","code":"project_spend_limit_exceeded"}}"#.to_owned()),
            (429, r#"{"error":{"type":"requests","code":"billing_not_active"}}"#.to_owned()),
        ] {
            let error = classify(status, &headers, body.as_bytes(), 0);
            let ProviderError::Status { status: kept, retry_after: None, .. } = error else { panic!("{error:?}") };
            assert_eq!(kept, status);
            // The same where the status is that of a success.
            let error = reported(body.as_bytes()).unwrap();
            assert!(matches!(error, ProviderError::Status { status: 402, retry_after: None, .. }), "{error:?}");
        }
        let repeated = anthropic("messages.0: 'Your credit balance is too low' is no role");
        assert!(matches!(classified(400, &repeated), ProviderError::Rejected { .. }));
        let busy = classified(429, r#"{"error":{"type":"requests","code":"rate_limit_exceeded"}}"#);
        assert!(matches!(busy, ProviderError::Overloaded { .. }));
    }

    #[test]
    fn an_error_in_place_of_an_answer_is_seen() {
        for (name, data, expected) in [
            (None, r#"{"error":{"message":"x","type":"server_error"}}"#, false),
            (None, r#"{"error":{"message":"x","code":502}}"#, false),
            (None, r#"{"error":{"message":"x","code":9}}"#, false),
            (None, r#"{"error":{"code":503,"status":"UNAVAILABLE","message":"x"}}"#, true),
            (Some("error"), r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#, true),
            (Some("error"), r#"{"type":"overloaded_error","message":"x"}"#, true),
            (Some("error"), "?", false),
        ] {
            let error = reported_by_event(name, data).unwrap();
            assert!(matches!(error, ProviderError::Reported { overloaded, .. } if overloaded == expected), "{data}");
        }
        for answer in [r#"{"choices":[],"error":null}"#, r#"{"choices":[{"delta":{"content":"\"error\""}}]}"#, "{}"] {
            assert!(reported_by_event(None, answer).is_none());
        }
    }

    #[test]
    fn what_is_reported_is_sorted_as_statuses_are() {
        let of = |error: &str| reported(format!(r#"{{"error":{error}}}"#).as_bytes()).unwrap();
        for error in [
            r#"{"message":"m","type":"invalid_request_error","code":null}"#,
            r#"{"message":"m","type":"invalid_request_error","code":"context_length_exceeded"}"#,
            r#"{"message":"m","code":400}"#,
            r#"{"message":"m","code":400,"status":"INVALID_ARGUMENT"}"#,
        ] {
            let ProviderError::Rejected { status: 400, message, .. } = of(error) else { panic!("{error}") };
            assert_eq!(message.as_deref(), Some("m"));
        }
        let too_large = of(r#"{"type":"request_too_large"}"#);
        assert!(matches!(too_large, ProviderError::Rejected { status: 413, .. }), "{too_large:?}");
        for (error, expected) in [
            (r#"{"type":"authentication_error"}"#, 401),
            (r#"{"type":"invalid_request_error","code":"invalid_api_key"}"#, 401),
            (r#"{"code":403,"status":"PERMISSION_DENIED"}"#, 403),
            (r#"{"code":400,"details":[{"@type":"t/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}"#, 400),
        ] {
            let sorted = of(error);
            assert!(matches!(sorted, ProviderError::Unauthorized { status, .. } if status == expected), "{sorted:?}");
        }
        for (error, seconds) in [
            (r#"{"type":"rate_limit_error"}"#, None),
            (r#"{"code":429}"#, None),
            (
                r#"{"status":"RESOURCE_EXHAUSTED","details":[{"@type":"t/google.rpc.RetryInfo","retryDelay":"2s"}]}"#,
                Some(2),
            ),
        ] {
            let sorted = of(error);
            let ProviderError::Overloaded { retry_after, .. } = sorted else { panic!("{sorted:?}") };
            assert_eq!(retry_after, seconds);
        }
        let unknown = of(r#"{"type":"invalid_request_error","code":"model_not_found"}"#);
        assert!(matches!(unknown, ProviderError::Status { status: 404, .. }), "{unknown:?}");
    }

    #[test]
    fn the_log_never_repeats_the_message() {
        let error = classified(400, r#"{"error":{"message":"prompt: secret"}}"#);
        assert!(!crate::monitoring::chain(&error).contains("secret"));
    }
}
