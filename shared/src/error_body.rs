//! The errors that clients see: one list of codes for both hops, in the shape of the API that was called.

use serde::Serialize;

use crate::{api::Api, request_id::RequestId};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $status:literal $kind:literal $code:literal;)*) => {
        /// What went wrong, as the client may know it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant,)* }

        impl ErrorCode {
            /// Every code, in the order of their statuses.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The member `type`: the class that OpenAI's SDKs know.
            #[must_use]
            pub const fn kind(self) -> &'static str {
                match self { $(Self::$variant => $kind,)* }
            }

            /// The member `code`: stable, for programs, the same in every shape.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }
    };
}

codes! {
    /// The body is not JSON, or nested too deeply.
    InvalidJson = 400 "invalid_request_error" "invalid_json";
    /// A field is missing, or has a value that cannot be used; `param` names it.
    InvalidField = 400 "invalid_request_error" "invalid_field";
    /// The provider calls the request invalid.
    InvalidRequest = 400 "invalid_request_error" "invalid_request";
    /// The prompt is longer than any model takes that was asked for.
    ContextLengthExceeded = 400 "invalid_request_error" "context_length_exceeded";
    /// The credential is no API key that was issued here.
    InvalidApiKey = 401 "invalid_request_error" "invalid_api_key";
    /// No credential where one is needed.
    AuthenticationRequired = 401 "invalid_request_error" "authentication_required";
    /// The token is not valid here, or not any more.
    InvalidToken = 401 "invalid_request_error" "invalid_token";
    /// A limit on spending is reached; the message names it.
    BudgetExceeded = 402 "insufficient_quota" "budget_exceeded";
    /// The credential may not be used for this.
    InsufficientScope = 403 "permission_error" "insufficient_scope";
    /// What the model costs is not known, and spending is limited.
    PriceUnknown = 403 "permission_error" "price_unknown";
    /// A list of the operator's is against it; the message names the list.
    AccessDenied = 403 "permission_error" "access_denied";
    /// Refused as a bot; the message names the rule.
    BotRefused = 403 "permission_error" "bot_refused";
    /// The client must solve Turnstile's challenge first.
    ChallengeRequired = 403 "permission_error" "challenge_required";
    /// Turnstile does not take the client's solution.
    ChallengeFailed = 403 "permission_error" "challenge_failed";
    /// Pages of this origin may not use the service from a browser.
    OriginNotAllowed = 403 "permission_error" "origin_not_allowed";
    /// The request did not come through the edge, or was changed on the way.
    EdgeSignatureInvalid = 403 "permission_error" "edge_signature_invalid";
    /// No such path.
    NotFound = 404 "invalid_request_error" "not_found";
    /// The caller has no such conversation.
    ConversationNotFound = 404 "invalid_request_error" "conversation_not_found";
    /// The path does not take this method.
    MethodNotAllowed = 405 "invalid_request_error" "method_not_allowed";
    /// The request id is in the ledger already: nobody pays twice.
    AlreadyClaimed = 409 "invalid_request_error" "already_claimed";
    /// The body is over the limit.
    BodyTooLarge = 413 "invalid_request_error" "body_too_large";
    /// The body is not `application/json`.
    UnsupportedMediaType = 415 "invalid_request_error" "unsupported_media_type";
    /// No such model in the catalogue.
    ModelNotFound = 422 "invalid_request_error" "model_not_found";
    /// More requests than the client may make.
    RateLimitExceeded = 429 "rate_limit_error" "rate_limit_exceeded";
    /// A fault of the gateway itself.
    Internal = 500 "server_error" "internal_error";
    /// The gateway is set up wrongly; its log says how.
    Misconfigured = 500 "server_error" "misconfigured";
    /// The provider failed, or sent what cannot be understood.
    ProviderFailed = 502 "server_error" "provider_failed";
    /// The backend broke off its answer.
    BackendBrokeOff = 502 "server_error" "backend_broke_off";
    /// No provider of the plan can be called.
    NoProvider = 503 "server_error" "no_provider";
    /// The provider takes no more requests for now.
    ProviderOverloaded = 503 "server_error" "provider_overloaded";
    /// Too much is in flight.
    Overloaded = 503 "server_error" "overloaded";
    /// The gateway is ending.
    ShuttingDown = 503 "server_error" "shutting_down";
    /// What decides on admission cannot be reached.
    AdmissionUnavailable = 503 "server_error" "admission_unavailable";
    /// What requests are written down in cannot be reached, or is full.
    StoreUnavailable = 503 "server_error" "store_unavailable";
    /// The edge cannot reach the backend.
    BackendUnreachable = 503 "server_error" "backend_unreachable";
    /// The backend did not answer in time.
    BackendTimeout = 504 "server_error" "backend_timeout";
    /// The provider did not answer in time.
    ProviderTimeout = 504 "server_error" "provider_timeout";
}

impl ErrorCode {
    /// The member `type` in Anthropic's shape, by the status (<https://platform.claude.com/docs/en/api/errors>). Anthropic
    /// has no 405, and says overloaded with 529, for which 503 stands here.
    #[must_use]
    pub const fn anthropic_kind(self) -> &'static str {
        match self.status() {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 | 405 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            503 => "overloaded_error",
            504 => "timeout_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        }
    }
}

/// An error as a client gets it. Its message holds nothing internal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientError {
    /// What it is.
    pub code: ErrorCode,
    /// What to do about it, in a sentence.
    pub message: String,
    /// The request's field at fault, where there is one.
    pub param: Option<String>,
    /// Seconds after which another try makes sense.
    pub retry_after: Option<u32>,
}

/// Both shapes: Anthropic's has a `type` and the request id outside of `error`, OpenAI's has neither there. The members
/// that only one of the two has by its vendor are in both, so that programs find them whichever they speak.
#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    error: Body<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Body<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    code: &'a str,
    param: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl ClientError {
    /// An error without field and without advice on when to retry.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None, retry_after: None }
    }

    /// Names the field at fault.
    #[must_use]
    pub fn with_param(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    /// Says after how many seconds to try again.
    #[must_use]
    pub fn with_retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The body in the shape of `api`: OpenAI's with the request id added, or Anthropic's with `code` and `param` added.
    #[must_use]
    pub fn to_json(&self, api: Api, request_id: RequestId) -> String {
        let request_id = request_id.to_string();
        let (is_anthropic, request_id) = (api == Api::Messages, Some(request_id.as_str()));
        let envelope = Envelope {
            kind: is_anthropic.then_some("error"),
            error: Body {
                message: &self.message,
                kind: if is_anthropic { self.code.anthropic_kind() } else { self.code.kind() },
                code: self.code.as_str(),
                param: self.param.as_deref(),
                request_id: request_id.filter(|_| !is_anthropic),
            },
            request_id: request_id.filter(|_| is_anthropic),
        };
        serde_json::to_string(&envelope).unwrap_or_else(|_| unreachable!("strings always serialize"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_openais_but_for_messages() {
        let error = ClientError::new(ErrorCode::InvalidField, "`model` is missing").with_param("model");
        insta::assert_snapshot!(
            error.to_json(Api::ChatCompletions, RequestId::new(0, &[0; 10])),
            @r#"{"error":{"message":"`model` is missing","type":"invalid_request_error","code":"invalid_field","param":"model","request_id":"00000000-0000-7000-8000-000000000000"}}"#
        );
    }

    #[test]
    fn of_messages_it_is_anthropics() {
        let error = ClientError::new(ErrorCode::InvalidField, "`model` is missing").with_param("model");
        let [openai, embeddings, anthropic] = [Api::ChatCompletions, Api::Embeddings, Api::Messages]
            .map(|api| error.to_json(api, RequestId::new(0, &[0; 10])));
        assert_eq!(openai, embeddings);
        insta::assert_snapshot!(
            anthropic,
            @r#"{"type":"error","error":{"message":"`model` is missing","type":"invalid_request_error","code":"invalid_field","param":"model"},"request_id":"00000000-0000-7000-8000-000000000000"}"#
        );
    }

    #[test]
    fn anthropics_types_follow_the_status() {
        let lines: Vec<String> = ErrorCode::ALL
            .iter()
            .map(|code| format!("{} {} {}", code.status(), code.as_str(), code.anthropic_kind()))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        400 invalid_json invalid_request_error
        400 invalid_field invalid_request_error
        400 invalid_request invalid_request_error
        400 context_length_exceeded invalid_request_error
        401 invalid_api_key authentication_error
        401 authentication_required authentication_error
        401 invalid_token authentication_error
        402 budget_exceeded billing_error
        403 insufficient_scope permission_error
        403 price_unknown permission_error
        403 access_denied permission_error
        403 bot_refused permission_error
        403 challenge_required permission_error
        403 challenge_failed permission_error
        403 origin_not_allowed permission_error
        403 edge_signature_invalid permission_error
        404 not_found not_found_error
        404 conversation_not_found not_found_error
        405 method_not_allowed not_found_error
        409 already_claimed invalid_request_error
        413 body_too_large request_too_large
        415 unsupported_media_type invalid_request_error
        422 model_not_found invalid_request_error
        429 rate_limit_exceeded rate_limit_error
        500 internal_error api_error
        500 misconfigured api_error
        502 provider_failed api_error
        502 backend_broke_off api_error
        503 no_provider overloaded_error
        503 provider_overloaded overloaded_error
        503 overloaded overloaded_error
        503 shutting_down overloaded_error
        503 admission_unavailable overloaded_error
        503 store_unavailable overloaded_error
        503 backend_unreachable overloaded_error
        504 backend_timeout timeout_error
        504 provider_timeout timeout_error
        ");
    }

    #[test]
    fn codes_are_unique_and_sorted_by_status() {
        let codes: std::collections::HashSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), ErrorCode::ALL.len());
        assert!(ErrorCode::ALL.windows(2).all(|pair| pair[0].status() <= pair[1].status()));
    }
}
