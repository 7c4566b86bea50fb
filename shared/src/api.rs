//! The three APIs that clients post JSON to: two for chat, each as its vendor shaped it, and one for embeddings.

use crate::catalogue::Kind;

/// An endpoint with a body that is planned by its `model`, and the shape of what it takes and answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Api {
    /// `POST /v1/chat/completions`, in OpenAI's shape (<https://developers.openai.com/api/reference/resources/chat>).
    ///
    /// The default, because errors have OpenAI's shape where a path says nothing else.
    #[default]
    ChatCompletions,
    /// `POST /v1/messages`, in Anthropic's shape (<https://platform.claude.com/docs/en/api/messages>).
    Messages,
    /// `POST /v1/embeddings`, in OpenAI's shape (<https://developers.openai.com/api/reference/resources/embeddings>).
    Embeddings,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ChatCompletions, Self::Messages, Self::Embeddings];

    /// The path, without query.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
            Self::Embeddings => "/v1/embeddings",
        }
    }

    /// The API of a path without query; none of any other path, however near.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.path() == path)
    }

    /// The models that can answer it.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::ChatCompletions | Self::Messages => Kind::Chat,
            Self::Embeddings => Kind::Embedding,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_is_found_by_its_whole_path() {
        for api in Api::ALL {
            assert_eq!(Api::of_path(api.path()), Some(api));
            for near in [format!("{}/", api.path()), format!("{}?x=1", api.path()), api.path().to_uppercase()] {
                assert_eq!(Api::of_path(&near), None, "{near}");
            }
        }
        assert_eq!(Api::of_path("/v1/models"), None);
        assert_eq!(Api::default(), Api::ChatCompletions);
    }

    #[test]
    fn embeddings_are_of_embedding_models_alone() {
        assert_eq!(Api::ALL.map(Api::kind), [Kind::Chat, Kind::Chat, Kind::Embedding]);
    }
}
