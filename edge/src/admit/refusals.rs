//! What refused clients are told: the rule, and what to do.

use goblin_shared::{
    error_body::{ClientError, ErrorCode},
    headers::{RATE_LIMIT, RATE_LIMIT_POLICY, TURNSTILE_TOKEN},
    rate_limit::{RateFields, RatePolicy, Seconds, Standing},
};

use super::rule::Rule;
use crate::refusal::Refusal;

/// A rule is against it.
pub(super) fn denied(rule: Rule) -> Refusal {
    let name = rule.as_str();
    let (code, message) = match rule {
        Rule::AddressList | Rule::AsnList | Rule::CountryList | Rule::PathList | Rule::Ja4List => (
            ErrorCode::AccessDenied,
            format!("This service is not available to you (`{name}`); its operator can say why."),
        ),
        _ => (
            ErrorCode::BotRefused,
            format!(
                "Refused as a bot (`{name}`). Programs are served with an API key: send it as `Authorization: Bearer gob_…` or `x-api-key: gob_…`."
            ),
        ),
    };
    ClientError::new(code, message).into()
}

/// An agent does not prove its name, and why.
pub(super) fn unproven(why: &str) -> Refusal {
    let name = Rule::WebBotAuth.as_str();
    let message = format!("Refused as a bot (`{name}`): {why}. Sign anew, as RFC 9421 and Web Bot Auth say.");
    ClientError::new(ErrorCode::BotRefused, message).into()
}

/// The key was not issued here. Malformed and forged look alike.
pub(super) fn invalid_api_key() -> Refusal {
    let message =
        "The API key was not issued here; send a valid one as `Authorization: Bearer gob_…` or `x-api-key: gob_…`.";
    let refusal: Refusal = ClientError::new(ErrorCode::InvalidApiKey, message).into();
    refusal.with_field("www-authenticate", "Bearer error=\"invalid_token\"".to_owned())
}

pub(super) fn challenge_required() -> Refusal {
    let message =
        format!("Solve the Turnstile challenge and send its token as `{TURNSTILE_TOKEN}`, or use an API key.");
    ClientError::new(ErrorCode::ChallengeRequired, message).into()
}

pub(super) fn challenge_failed(why: &str) -> Refusal {
    let message = "Turnstile does not take this token: each is good once, for five minutes. Solve a new challenge.";
    Refusal { cause: Some(why.to_owned()), ..ClientError::new(ErrorCode::ChallengeFailed, message).into() }
}

pub(super) fn unavailable() -> Refusal {
    let message = "Your request cannot be checked for now; try again shortly.";
    ClientError::new(ErrorCode::AdmissionUnavailable, message).with_retry_after(5).into()
}

/// Cloudflare's counter does not tell when: by then its whole period is over.
pub(super) fn address_limit(policy: &RatePolicy) -> Refusal {
    let standing = Standing { passes: false, remaining: 0, reset: policy.window(), retry_after: policy.window() };
    rate_limited("your address", &RateFields::new("address", policy, &standing), Seconds(policy.window()))
}

pub(super) fn key_limit(fields: &RateFields, wait: Seconds) -> Refusal {
    rate_limited("this API key", fields, wait)
}

fn rate_limited(whose: &str, fields: &RateFields, wait: Seconds) -> Refusal {
    let message = format!("Too many requests from {whose}; the next one is served in {wait} s.");
    let seconds = u32::try_from(wait.get()).unwrap_or(u32::MAX);
    let error = ClientError::new(ErrorCode::RateLimitExceeded, message).with_retry_after(seconds);
    let mut refusal = Refusal::from(error);
    refusal.fields = rate_fields(fields);
    refusal
}

pub(super) fn rate_fields(fields: &RateFields) -> Vec<(&'static str, String)> {
    vec![(RATE_LIMIT, fields.limit.clone()), (RATE_LIMIT_POLICY, fields.policy.clone())]
}
