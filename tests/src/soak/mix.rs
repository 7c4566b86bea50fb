//! The traffic of a soak: who asks for what, and who leaves when.

use super::{dialect::Dialect, upstream::Behaviour};

/// What is asked for, and thereby who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// A chat completion of the OpenAI-compatible provider, which passes.
    Chat,
    /// The same in Anthropic's shape: translated.
    TranslatedMessages,
    /// A message of the provider that speaks Anthropic's own shape, which passes.
    Messages,
    /// Embeddings of the OpenAI-compatible provider.
    Embeddings,
    /// A chat completion of whoever works, by an alias: the last one is the provider that speaks Anthropic's shape.
    Fallback,
}

impl Ask {
    /// The API that the client speaks.
    pub(super) fn dialect(self) -> Dialect {
        match self {
            Self::Chat | Self::Fallback => Dialect::Chat,
            Self::TranslatedMessages | Self::Messages => Dialect::Messages,
            Self::Embeddings => Dialect::Embeddings,
        }
    }

    /// The model or the alias, of the catalogue that is built in. No model of the alias is asked for by others, as
    /// their breakers open.
    pub(super) fn model(self) -> &'static str {
        match self {
            Self::Chat | Self::TranslatedMessages => "gpt-4o-mini",
            Self::Messages => "claude-haiku-4-5",
            Self::Embeddings => "text-embedding-3-small",
            Self::Fallback => "smart",
        }
    }
}

/// What a client does with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Reads it to its end.
    Reads,
    /// Leaves before the answer begins.
    LeavesEarly,
    /// Leaves after the first words.
    LeavesLater,
    /// Reads no more after the first words, and leaves some time later.
    Stalls,
}

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// What is asked for.
    pub(super) ask: Ask,
    /// What its provider does.
    pub(super) behaviour: Behaviour,
    /// Whether a stream is asked for.
    pub(super) stream: bool,
    /// What its client does.
    pub(super) manner: Manner,
}

impl Kind {
    /// In one piece, read to its end.
    pub(super) const fn plain(ask: Ask, behaviour: Behaviour) -> Self {
        Self { ask, behaviour, stream: false, manner: Manner::Reads }
    }
}

const fn whole(share: usize, ask: Ask, behaviour: Behaviour) -> (usize, Kind) {
    (share, Kind::plain(ask, behaviour))
}

const fn stream(share: usize, ask: Ask, behaviour: Behaviour) -> (usize, Kind) {
    (share, Kind { ask, behaviour, stream: true, manner: Manner::Reads })
}

const fn left(share: usize, ask: Ask, behaviour: Behaviour, stream: bool, manner: Manner) -> (usize, Kind) {
    (share, Kind { ask, behaviour, stream, manner })
}

/// How many of a hundred requests are of which kind. About a fifth are the provider's faults, which for no model but
/// those of the fallback are enough to open a breaker for long.
const MIX: [(usize, Kind); 36] = {
    use Ask::{Chat, Embeddings, Fallback, Messages, TranslatedMessages};
    use Behaviour::{Answer, Cut, Elsewhere, Fail, Flood, HangUp, Limit, Long, OneKey, Slow};
    use Manner::{LeavesEarly, LeavesLater, Stalls};
    [
        whole(12, Chat, Answer),
        stream(12, Chat, Answer),
        whole(5, TranslatedMessages, Answer),
        stream(6, TranslatedMessages, Answer),
        whole(5, Messages, Answer),
        stream(7, Messages, Answer),
        whole(6, Embeddings, Answer),
        whole(3, Fallback, Elsewhere),
        stream(4, Fallback, Elsewhere),
        whole(2, Chat, OneKey),
        whole(1, Embeddings, OneKey),
        whole(2, Chat, Slow),
        whole(1, Messages, Slow),
        whole(2, Chat, Fail),
        whole(1, TranslatedMessages, Fail),
        stream(2, Messages, Fail),
        whole(2, Chat, Limit),
        whole(1, Messages, Limit),
        whole(2, Chat, HangUp),
        whole(1, Embeddings, HangUp),
        whole(1, Chat, Cut),
        whole(1, Embeddings, Cut),
        stream(2, Chat, Cut),
        stream(2, TranslatedMessages, Cut),
        stream(1, Messages, Cut),
        stream(1, Fallback, Cut),
        left(3, Chat, Long, true, LeavesLater),
        left(2, TranslatedMessages, Long, true, LeavesLater),
        left(2, Messages, Long, true, LeavesLater),
        left(1, Chat, Flood, true, Stalls),
        left(1, TranslatedMessages, Flood, true, Stalls),
        left(1, Messages, Flood, true, Stalls),
        left(2, Chat, Slow, false, LeavesEarly),
        left(1, Embeddings, Slow, false, LeavesEarly),
        left(1, Messages, Slow, true, LeavesEarly),
        left(1, TranslatedMessages, Slow, true, LeavesEarly),
    ]
};

/// Without a factor in common with a hundred: neighbours differ, and a hundred in a row have each kind as often as it is
/// to be.
const STEP: usize = 37;

/// The kind of the request of this number.
pub(super) fn kind(number: usize) -> Kind {
    let mut place = number * STEP % 100;
    for (share, kind) in MIX {
        if place < share {
            return kind;
        }
        place -= share;
    }
    unreachable!("the shares make a hundred")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_requests_are_mixed_as_the_table_says() {
        for (share, expected) in MIX {
            let count = (0..100).filter(|number| kind(*number) == expected).count();
            assert_eq!(count, share, "{expected:?}");
        }
    }
}
