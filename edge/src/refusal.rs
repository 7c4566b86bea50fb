//! An answer that the edge gives itself, instead of the backend's.

use goblin_shared::{
    api::Api,
    error_body::ClientError,
    headers::{ANTHROPIC_REQUEST_ID, REQUEST_ID, RETRY_AFTER, SERVER_TIMING},
    request_id::RequestId,
};

/// Why a request goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the client is told.
    pub error: ClientError,
    /// More header fields.
    pub fields: Vec<(&'static str, String)>,
    /// What the log is told besides; never shown to the client.
    pub cause: Option<String>,
}

impl From<ClientError> for Refusal {
    fn from(error: ClientError) -> Self {
        Self { error, fields: Vec::new(), cause: None }
    }
}

/// A complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAnswer {
    /// HTTP status.
    pub status: u16,
    /// Header fields.
    pub headers: Vec<(&'static str, String)>,
    /// JSON text.
    pub body: String,
}

impl OwnAnswer {
    /// JSON that may be kept by nobody.
    #[must_use]
    pub fn json(status: u16, body: String, request_id: RequestId, server_timing: String) -> Self {
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("cache-control", "no-store".to_owned()),
            (REQUEST_ID, request_id.to_string()),
            (SERVER_TIMING, server_timing),
        ];
        Self { status, headers, body }
    }

    /// No content; how long it may be kept the fields say.
    #[must_use]
    pub fn empty(fields: Vec<(&'static str, String)>, request_id: RequestId, server_timing: String) -> Self {
        let mut headers = vec![(REQUEST_ID, request_id.to_string()), (SERVER_TIMING, server_timing)];
        headers.extend(fields);
        Self { status: 204, headers, body: String::new() }
    }
}

impl Refusal {
    /// Adds a header field.
    #[must_use]
    pub fn with_field(mut self, name: &'static str, value: String) -> Self {
        self.fields.push((name, value));
        self
    }

    /// As an answer to a request of `api`, whose shape it has.
    #[must_use]
    pub fn to_answer(&self, api: Api, request_id: RequestId, server_timing: String) -> OwnAnswer {
        let body = self.error.to_json(api, request_id);
        let mut answer = OwnAnswer::json(self.error.code.status(), body, request_id, server_timing);
        answer.headers.extend(self.fields.iter().cloned());
        // Anthropic's SDKs look for the id under a name of their own.
        answer.headers.extend((api == Api::Messages).then(|| (ANTHROPIC_REQUEST_ID, request_id.to_string())));
        answer.headers.extend(self.error.retry_after.map(|seconds| (RETRY_AFTER, seconds.to_string())));
        answer
    }
}

#[cfg(test)]
mod tests {
    use goblin_shared::error_body::ErrorCode;

    use super::*;

    #[test]
    fn a_refusal_says_what_the_contract_says() {
        let error = ClientError::new(ErrorCode::BackendUnreachable, "later").with_retry_after(5);
        let refusal = Refusal { cause: Some("secret host".into()), ..error.into() };
        let refusal = refusal.with_field("allow", "GET".into()).with_field("www-authenticate", "Bearer".into());
        let answer = refusal.to_answer(Api::ChatCompletions, RequestId::new(0, &[0; 10]), "edge;dur=1".into());
        assert_eq!(answer.status, 503);
        assert!(answer.headers.contains(&("retry-after", "5".into())));
        assert!(answer.headers.contains(&("allow", "GET".into())));
        assert!(answer.headers.contains(&("www-authenticate", "Bearer".into())));
        assert!(answer.headers.contains(&("x-request-id", "00000000-0000-7000-8000-000000000000".into())));
        assert!(!answer.body.contains("secret host"));
        assert!(answer.body.starts_with(r#"{"error":{"message":"later""#), "{}", answer.body);
        let to_messages = refusal.to_answer(Api::Messages, RequestId::new(0, &[0; 10]), "edge;dur=1".into());
        assert!(to_messages.body.starts_with(r#"{"type":"error","error":{"#), "{}", to_messages.body);
        assert!(to_messages.body.contains(r#""type":"overloaded_error""#), "{}", to_messages.body);
        let mut same = OwnAnswer { body: answer.body.clone(), ..to_messages };
        let anthropics = ("request-id", "00000000-0000-7000-8000-000000000000".to_owned());
        assert!(same.headers.contains(&anthropics), "{:?}", same.headers);
        same.headers.retain(|field| *field != anthropics);
        assert_eq!(same, answer, "nothing else differs");
    }
}
