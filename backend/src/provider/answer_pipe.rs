//! The way of an answer from the provider's format to the client's.

use std::borrow::Cow;

use bytes::Bytes;
use goblin_shared::api::Api;

use crate::{
    ports::{AnswerFacts, AnswerOptions, Chunk, Learnt, Prepared, ProviderError, StreamEvent},
    wire::{
        Origin, Passed, Unreadable, anthropic, embeddings,
        family::Family,
        gemini,
        neutral::{self, Delta, Stop},
        openai, sse,
    },
};

/// A whole answer in the client's shape, and what it says.
pub(super) fn whole(
    family: Family,
    prepared: &Prepared,
    body: Bytes,
    origin: &Origin,
) -> Result<(Bytes, AnswerFacts), Unreadable> {
    match (prepared.api, family) {
        (Api::ChatCompletions, Family::OpenAi) => openai::read_facts(&body).map(|facts| (body, facts)),
        (Api::Messages, Family::Anthropic) => anthropic::read_facts(&body).map(|facts| (body, facts)),
        (Api::Embeddings, Family::Gemini) => {
            let Prepared { upstream_model, answer_options: AnswerOptions { base64, inputs }, .. } = prepared;
            let (body, usage) = embeddings::from_gemini(&body, upstream_model, *base64, *inputs)?;
            Ok((body.into(), AnswerFacts { usage, ..AnswerFacts::default() }))
        }
        // Anthropic has none, and is asked for none.
        (Api::Embeddings, _) => {
            let (model, usage) = embeddings::read_facts(&body)?;
            Ok((body, AnswerFacts { model, usage, ..AnswerFacts::default() }))
        }
        (api, family) => {
            let answer = match family {
                Family::OpenAi => openai::read_answer(&body)?,
                Family::Anthropic => anthropic::read_answer(&body)?,
                Family::Gemini => gemini::read_answer(&body, prepared.request_id)?,
            };
            let written = if api == Api::Messages {
                anthropic::write_answer(&answer, origin)
            } else {
                openai::write_answer(&answer, origin)
            };
            Ok((written.into(), facts(answer)))
        }
    }
}

fn facts(answer: neutral::Answer) -> AnswerFacts {
    let stops = answer.choices.into_iter().filter_map(|choice| choice.stop);
    AnswerFacts {
        id: answer.id,
        model: answer.model,
        finish_reasons: stops.map(|stop| word(&stop).into_owned()).collect(),
        usage: answer.usage,
        service_tier: None,
    }
}

/// Why an answer ended, in OpenAI's words where it has one.
fn word(stop: &Stop) -> Cow<'_, str> {
    Cow::Borrowed(match stop {
        Stop::End | Stop::Sequence(_) => "stop",
        Stop::Length => "length",
        Stop::ToolCalls => "tool_calls",
        Stop::Filtered => "content_filter",
        Stop::Pause => "pause_turn",
        Stop::Other(word) => word,
    })
}

/// Turns the events of a provider's stream into the client's.
pub(super) struct Pipe {
    way: Way,
    include_usage: bool,
    news: Vec<Learnt>,
    deltas: Vec<Delta>,
    chunks: Vec<Chunk>,
}

enum Way {
    PassOpenAi(openai::Passing),
    PassAnthropic(anthropic::Passing),
    Translate(Box<Reader>, Box<Writer>),
}

enum Reader {
    OpenAi(openai::StreamReader),
    Anthropic(anthropic::StreamReader),
    Gemini(gemini::StreamReader),
}

enum Writer {
    OpenAi(openai::StreamWriter),
    Anthropic(anthropic::StreamWriter),
}

impl Pipe {
    pub(super) fn new(family: Family, prepared: &Prepared, origin: Origin) -> Self {
        let include_usage = prepared.include_usage;
        // Of the APIs two stream.
        let messages = prepared.api == Api::Messages;
        let way = match (messages, family) {
            (false, Family::OpenAi) => Way::PassOpenAi(openai::Passing::default()),
            (true, Family::Anthropic) => Way::PassAnthropic(anthropic::Passing::default()),
            (_, family) => {
                let reader = match family {
                    Family::OpenAi => Reader::OpenAi(openai::StreamReader::default()),
                    Family::Anthropic => Reader::Anthropic(anthropic::StreamReader::default()),
                    Family::Gemini => Reader::Gemini(gemini::StreamReader::new(prepared.request_id)),
                };
                let writer = if messages {
                    Writer::Anthropic(anthropic::StreamWriter::new(origin))
                } else {
                    Writer::OpenAi(openai::StreamWriter::new(origin, include_usage))
                };
                Way::Translate(Box::new(reader), Box::new(writer))
            }
        };
        Self { way, include_usage, news: Vec::new(), deltas: Vec::new(), chunks: Vec::new() }
    }

    /// Reads one event that is no error, and adds what comes of it. What comes last is [`StreamEvent::Done`]. It fails
    /// where the event cannot be read, and where it says that the answer is complete, which it is not.
    pub(super) fn read(
        &mut self,
        event: sse::Event,
        events: &mut impl Extend<StreamEvent>,
    ) -> Result<(), ProviderError> {
        let (passed, named) = match &mut self.way {
            Way::PassOpenAi(passing) => (passing.read(&event, &mut self.news).map_err(garbage)?, false),
            Way::PassAnthropic(passing) => (passing.read(&event, &mut self.news).map_err(garbage)?, true),
            Way::Translate(reader, _) => {
                match &mut **reader {
                    Reader::OpenAi(reader) => reader.read(&event, &mut self.deltas),
                    Reader::Anthropic(reader) => reader.read(&event, &mut self.deltas),
                    Reader::Gemini(reader) => reader.read(&event, &mut self.deltas),
                }
                .map_err(garbage)?;
                if self.deltas.last() == Some(&Delta::Done) && !self.is_complete() {
                    return Err(ProviderError::Cut);
                }
                self.write(events);
                return Ok(());
            }
        };
        if matches!(passed, Passed::Done | Passed::LastChunk) && !self.is_complete() {
            return Err(ProviderError::Cut);
        }
        events.extend(self.news.drain(..).map(StreamEvent::Learnt));
        let chunk = |content| {
            let event_name = event.name.filter(|_| named).map(Cow::Owned);
            StreamEvent::Chunk(Chunk { event: event_name, data: event.data, content })
        };
        match passed {
            Passed::Chunk { content } => events.extend([chunk(content)]),
            Passed::UsageOnly if self.include_usage => events.extend([chunk(false)]),
            Passed::LastChunk => events.extend([chunk(false), StreamEvent::Done]),
            Passed::Done => events.extend([StreamEvent::Done]),
            Passed::UsageOnly | Passed::Nothing => {}
        }
        Ok(())
    }

    /// The body has ended in good order: adds what is left to say, if the answer is complete. If not, it was cut.
    pub(super) fn finish(&mut self, events: &mut impl Extend<StreamEvent>) -> bool {
        let complete = self.is_complete();
        if complete {
            match &self.way {
                Way::Translate(reader, _) => {
                    if let Reader::Gemini(reader) = &**reader {
                        reader.finish(&mut self.deltas);
                    }
                    self.deltas.push(Delta::Done);
                    self.write(events);
                }
                Way::PassOpenAi(_) | Way::PassAnthropic(_) => events.extend([StreamEvent::Done]),
            }
        }
        complete
    }

    fn is_complete(&self) -> bool {
        match &self.way {
            Way::PassOpenAi(passing) => passing.is_complete(),
            Way::PassAnthropic(passing) => passing.is_complete(),
            Way::Translate(reader, _) => match &**reader {
                Reader::OpenAi(reader) => reader.is_complete(),
                Reader::Anthropic(reader) => reader.is_complete(),
                Reader::Gemini(reader) => reader.is_complete(),
            },
        }
    }

    fn write(&mut self, events: &mut impl Extend<StreamEvent>) {
        let Way::Translate(_, writer) = &mut self.way else { return };
        for delta in self.deltas.drain(..) {
            events.extend(news(&delta).map(StreamEvent::Learnt));
            let done = delta == Delta::Done;
            match &mut **writer {
                Writer::OpenAi(writer) => writer.write(delta, &mut self.chunks),
                Writer::Anthropic(writer) => writer.write(delta, &mut self.chunks),
            }
            events.extend(self.chunks.drain(..).map(StreamEvent::Chunk));
            if done {
                events.extend([StreamEvent::Done]);
            }
        }
    }
}

/// The error of an answer that is not of its format.
pub(super) fn garbage(Unreadable(why): Unreadable) -> ProviderError {
    ProviderError::Garbage(why)
}

fn news(delta: &Delta) -> Option<Learnt> {
    match delta {
        Delta::Begin { id, model } => Some(Learnt { id: id.clone(), model: model.clone(), ..Learnt::default() }),
        Delta::Stop { stop, .. } => Some(Learnt { finish_reason: Some(word(stop).into_owned()), ..Learnt::default() }),
        Delta::Usage(usage) => Some(Learnt { usage: Some(*usage), ..Learnt::default() }),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
