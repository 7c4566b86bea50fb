//! What is counted, read back.

use super::{read_back::ReadBack, *};

#[test]
fn attempts_are_counted_by_method_and_outcome() {
    let (metrics, counted) = ReadBack::new();
    metrics.auth_attempt(AuthMethod::ApiKey, AuthOutcome::Accepted);
    metrics.clone().auth_attempt(AuthMethod::ApiKey, AuthOutcome::Accepted);
    metrics.auth_attempt(AuthMethod::Jwt, AuthOutcome::Error);
    metrics.auth_attempt(AuthMethod::None, AuthOutcome::Rejected);
    let counted = counted.counter(vocabulary::AUTH_ATTEMPTS.name);
    let told: Vec<_> = counted.iter().map(|(labels, count)| (labels.join(" "), *count)).collect();
    let expected = [("api_key accepted", 2), ("jwt error", 1), ("none rejected", 1)];
    assert_eq!(told, expected.map(|(labels, count)| (labels.to_owned(), count)));
}
