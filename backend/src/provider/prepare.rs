//! A client's request in the shape of the provider: as it came but for a few edits, or translated.

use bytes::Bytes;
use goblin_shared::{
    api::Api,
    headers::{ANTHROPIC_BETA, ANTHROPIC_VERSION},
};

use super::{adapter::Manner, request_body};
use crate::{
    ports::{AnswerOptions, ClientRequest, Inexpressible, Prepared},
    wire::{Model, anthropic, embeddings, family::Family, gemini, neutral, openai},
};

/// What `family` takes for its `model`.
pub(super) fn prepare(
    request: &ClientRequest,
    family: Family,
    manner: &Manner,
    model: &Model,
) -> Result<Prepared, Inexpressible> {
    let mut headers = Vec::new();
    if let Some(beta) = &request.anthropic_beta {
        if family != Family::Anthropic {
            return Err(inexpressible(ANTHROPIC_BETA, "Only Anthropic's own API has betas; leave this field out."));
        }
        headers.push((ANTHROPIC_BETA, beta.clone()));
    }
    // Body and edition belong together. What is translated is written for the one that this program knows.
    if let (Api::Messages, Family::Anthropic, Some(version)) = (request.api, family, &request.anthropic_version) {
        headers.push((ANTHROPIC_VERSION, version.clone()));
    }
    let upstream_model = model.name.as_str();
    let mut answer_options = AnswerOptions::default();
    let body = match (request.api, family) {
        (Api::ChatCompletions, Family::OpenAi) => {
            edited(&request.body, upstream_model, request.stream && manner.stream_usage)?
        }
        (Api::Messages, Family::Anthropic) | (Api::Embeddings, Family::OpenAi) => {
            edited(&request.body, upstream_model, false)?
        }
        (Api::Embeddings, Family::Gemini) => {
            let (body, options) = embeddings::to_gemini(&request.body, upstream_model)?;
            answer_options = options;
            body.into()
        }
        (Api::Embeddings, Family::Anthropic) => {
            return Err(inexpressible("model", "This provider has no embeddings; name a model of another one."));
        }
        (Api::ChatCompletions, family) => write(&openai::read_request(&request.body)?, family, manner, model)?.into(),
        (Api::Messages, family) => write(&anthropic::read_request(&request.body)?, family, manner, model)?.into(),
    };
    Ok(Prepared {
        api: request.api,
        body,
        upstream_model: upstream_model.to_owned(),
        include_usage: request.include_usage,
        headers,
        answer_options,
        request_id: request.request_id,
    })
}

fn write(request: &neutral::Request, family: Family, manner: &Manner, model: &Model) -> Result<Vec<u8>, Inexpressible> {
    match family {
        Family::OpenAi => {
            let Manner { max_tokens_field, stream_usage, reasoning_details, .. } = *manner;
            openai::write_request(request, openai::Target { model, max_tokens_field, stream_usage, reasoning_details })
        }
        Family::Anthropic => anthropic::write_request(request, model),
        Family::Gemini => gemini::write_request(request, model),
    }
}

fn edited(body: &Bytes, upstream_model: &str, ask_usage: bool) -> Result<Bytes, Inexpressible> {
    // It was read before, so that this is a matter of what the two readers disagree on, such as a name that stands twice.
    request_body::for_upstream(body, upstream_model, ask_usage)
        .map_err(|_| inexpressible("model", "The body must be one JSON object in which no name stands twice."))
}

fn inexpressible(param: &str, message: &str) -> Inexpressible {
    Inexpressible { param: param.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use goblin_shared::request_id::RequestId;

    use super::*;

    fn prepared(api: Api, family: Family, body: &str, manner: &Manner) -> Result<Prepared, Inexpressible> {
        let request = ClientRequest {
            api,
            body: Bytes::copy_from_slice(body.as_bytes()),
            stream: body.contains("\"stream\":true"),
            include_usage: false,
            anthropic_version: None,
            anthropic_beta: None,
            request_id: RequestId::new(0, &[0; 10]),
        };
        prepare(&request, family, manner, &Model::named("up"))
    }

    #[test]
    fn the_own_format_passes_but_for_the_model() {
        let manner = Manner::default();
        for (api, family) in [
            (Api::ChatCompletions, Family::OpenAi),
            (Api::Messages, Family::Anthropic),
            (Api::Embeddings, Family::OpenAi),
        ] {
            let prepared = prepared(api, family, r#"{ "x": 1.0e5, "model":"m" }"#, &manner).unwrap();
            assert_eq!(prepared.body.as_ref(), br#"{ "x": 1.0e5, "model":"up" }"#);
            assert_eq!(prepared.upstream_model, "up");
        }
        let messages = prepared(Api::Messages, Family::Anthropic, r#"{"model":"up","stream":true}"#, &manner).unwrap();
        assert_eq!(messages.body.as_ref(), br#"{"model":"up","stream":true}"#);
    }

    #[test]
    fn usage_is_asked_for_where_the_server_takes_the_wish() {
        let body = r#"{"model":"up","stream":true}"#;
        let own = r#"{"model":"up","stream":true,"stream_options":{"include_usage":false}}"#;
        for (stream_usage, body, expected) in [
            (true, body, r#"{"stream_options":{"include_usage":true},"model":"up","stream":true}"#),
            (false, body, body),
            (false, own, own),
        ] {
            let manner = Manner { stream_usage, ..Manner::default() };
            let prepared = prepared(Api::ChatCompletions, Family::OpenAi, body, &manner).unwrap();
            assert_eq!(std::str::from_utf8(&prepared.body).unwrap(), expected);
        }
    }

    #[test]
    fn betas_and_embeddings_have_their_places() {
        let mut request = ClientRequest {
            api: Api::Messages,
            body: r#"{"model":"m"}"#.into(),
            stream: false,
            include_usage: true,
            anthropic_version: Some("2026-10-21".to_owned()),
            anthropic_beta: Some("a-1,b-2".to_owned()),
            request_id: RequestId::new(0, &[0; 10]),
        };
        let manner = Manner::default();
        let prepared = prepare(&request, Family::Anthropic, &manner, &Model::named("m")).unwrap();
        let version = ("anthropic-version", "2026-10-21".to_owned());
        assert_eq!(prepared.headers, [("anthropic-beta", "a-1,b-2".to_owned()), version]);
        for family in [Family::OpenAi, Family::Gemini] {
            assert_eq!(prepare(&request, family, &manner, &Model::named("m")).unwrap_err().param, "anthropic-beta");
        }
        (request.api, request.anthropic_beta) = (Api::Embeddings, None);
        assert_eq!(prepare(&request, Family::Anthropic, &manner, &Model::named("m")).unwrap_err().param, "model");
    }

    #[test]
    fn a_body_that_is_read_in_two_ways_is_refused() {
        let body = r#"{"model":"a","model":"b"}"#;
        let refused = prepared(Api::ChatCompletions, Family::OpenAi, body, &Manner::default()).unwrap_err();
        assert_eq!(refused.param, "model");
    }
}
