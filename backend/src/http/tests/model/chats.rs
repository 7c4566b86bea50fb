//! Steps that ask a model.

use axum::response::Response;
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tower::ServiceExt;

use super::{
    super::*,
    World,
    asking::{Refusal, Taken, Verdict},
    book::Settled,
    product::Product,
    talks::{self, Said},
    tariff,
};
use crate::{
    ports::{Amounts, Answer, AnswerFacts, Learnt, ProviderError, Usage},
    provider::scripted,
};

/// A stream whose end is to come.
pub(super) struct Held {
    taken: Taken,
    attempts: usize,
    steps: UnboundedSender<Step>,
    answer: Reading,
    said: String,
    usage: Option<Usage>,
}

enum Reading {
    /// There is no content yet, so that the head of the answer is held back.
    Waiting(tokio::task::JoinHandle<Response>),
    Begun(Body),
}

fn failure() -> ProviderError {
    ProviderError::Garbage("as the test wants it")
}

fn field<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

impl World {
    /// Sends a random request.
    pub(super) async fn send_chat(&mut self, product: &Product) {
        let (ask, request, counts) = self.chat();
        let calls = product.provider.calls().len();
        match self.judge(ask, counts) {
            Verdict::Refused(refusals) => {
                let response = product.router.clone().oneshot(request).await.unwrap();
                let limit = field(response.headers(), "ratelimit").to_owned();
                let (status, code) = error(response).await;
                let told = Refusal { status, code, limit };
                assert!(refusals.contains(&told), "{told:?} is none of {refusals:?}");
                assert_eq!(product.provider.calls().len(), calls, "nobody is called for what is refused");
                self.tell(&told.code);
            }
            Verdict::Taken(taken) => {
                // So many entries of the plan fail before the one that answers, or all.
                let entries = taken.entries.len();
                let failing = (0..entries).take_while(|_| self.chance.percent(20)).count();
                if taken.ask.stream {
                    self.begin_stream(product, *taken, failing, request).await;
                } else {
                    self.whole(product, *taken, failing, request).await;
                }
            }
        }
    }

    /// Random tokens, or none that are said.
    fn usage(&mut self) -> Option<Usage> {
        let prompt_tokens = self.chance.below(60);
        let usage = Usage {
            prompt_tokens,
            completion_tokens: self.chance.below(40),
            cached_tokens: self.chance.percent(50).then(|| self.chance.below(prompt_tokens + 1)),
            ..Usage::default()
        };
        self.chance.percent(75).then_some(usage)
    }

    async fn whole(&mut self, product: &Product, taken: Taken, failing: usize, request: Request<Body>) {
        let calls = product.provider.calls().len();
        let (said, usage) = (self.chance.text(90), self.usage());
        (0..failing).for_each(|_| product.provider.then_complete(Err(failure())));
        let answers = failing < taken.entries.len();
        if answers {
            let body = json!({ "choices": [{ "index": 0, "message": talks::message("assistant", &said) }] });
            let facts = AnswerFacts { usage, ..AnswerFacts::default() };
            product.provider.then_complete(Ok(Answer { body: body.to_string().into(), status: Some(200), facts }));
        }
        let response = product.router.clone().oneshot(request).await.unwrap();
        let attempts = failing + usize::from(answers);
        self.called(product, &taken, calls + attempts);
        self.head(&taken, &response, answers);
        if answers {
            assert!(body(response).await.contains(&said));
            let end = End { outcome: "completed", finished: true, code: None };
            self.settle(&taken, attempts, Some(&said), usage, &end);
        } else {
            assert_eq!(error(response).await, (502, "provider_failed".to_owned()));
            self.settle(&taken, attempts, None, None, &End::failed());
        }
    }

    async fn begin_stream(&mut self, product: &Product, taken: Taken, failing: usize, request: Request<Body>) {
        let calls = product.provider.calls().len();
        for _ in 0..failing {
            product.provider.then_stream().send(Err(failure())).unwrap();
        }
        if failing == taken.entries.len() {
            let response = product.router.clone().oneshot(request).await.unwrap();
            self.called(product, &taken, calls + failing);
            self.head(&taken, &response, false);
            assert_eq!(error(response).await, (502, "provider_failed".to_owned()));
            self.settle(&taken, failing, None, None, &End::failed());
            return;
        }
        let (steps, router) = (product.provider.then_stream(), product.router.clone());
        let answer = tokio::spawn(async move { router.oneshot(request).await.unwrap() });
        let attempts = failing + 1;
        while product.provider.calls().len() < calls + attempts {
            assert!(!answer.is_finished(), "it is taken: {:?}", answer.await);
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        self.called(product, &taken, calls + attempts);
        let answer = Reading::Waiting(answer);
        self.held.push(Held { taken, attempts, steps, answer, said: String::new(), usage: None });
    }

    /// Goes on with a stream: content, its end, or its client leaves.
    pub(super) async fn go_on(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let place = self.chance.place(self.held.len());
        let mut held = self.held.swap_remove(place);
        match self.chance.below(10) {
            0..4 => {
                self.say(&mut held).await;
                self.held.push(held);
            }
            4..6 => self.leave(held).await,
            6 => self.cut(held).await,
            _ => self.finish(held).await,
        }
    }

    /// A piece of text comes; with the first one the head of the answer.
    async fn say(&mut self, held: &mut Held) {
        let text = self.chance.text(40);
        held.said.push_str(&text);
        if let Some(usage) = self.usage().filter(|_| self.chance.percent(30)) {
            held.usage = Some(usage);
            let news = Learnt { usage: Some(usage), ..Learnt::default() };
            held.steps.send(Ok(StreamEvent::Learnt(news))).unwrap();
        }
        held.steps.send(Ok(scripted::text(&text))).unwrap();
        if let Reading::Waiting(answer) = &mut held.answer {
            let response = answer.await.unwrap();
            self.head(&held.taken, &response, true);
            held.answer = Reading::Begun(response.into_body());
        }
        let Reading::Begun(body) = &mut held.answer else { unreachable!("the head is there") };
        assert!(next_frame(body).await.unwrap().contains(&text));
    }

    async fn leave(&mut self, held: Held) {
        let Held { taken, attempts, steps, answer, said, usage } = held;
        match answer {
            Reading::Waiting(answer) => answer.abort(),
            Reading::Begun(body) => drop(body),
        }
        // The provider's call is let go in the same breath in which the request is settled.
        steps.closed().await;
        tokio::task::yield_now().await;
        let end = End { outcome: "cancelled", finished: false, code: None };
        self.settle(&taken, attempts, Some(said.as_str()).filter(|said| !said.is_empty()), usage, &end);
    }

    /// The provider's connection breaks after the first content.
    async fn cut(&mut self, mut held: Held) {
        self.say(&mut held).await;
        let Held { taken, attempts, steps, answer, said, usage } = held;
        drop(steps);
        let Reading::Begun(rest) = answer else { unreachable!("there is content") };
        let rest = body(Response::new(rest)).await;
        assert!(rest.contains("provider_failed") && !rest.contains("[DONE]"), "{rest}");
        self.settle(&taken, attempts, Some(&said), usage, &End::failed());
    }

    async fn finish(&mut self, mut held: Held) {
        self.say(&mut held).await;
        let Held { taken, attempts, steps, answer, said, usage } = held;
        let last = self.usage();
        let news = |usage| StreamEvent::Learnt(Learnt { usage: Some(usage), ..Learnt::default() });
        let events = scripted::finish().into_iter().chain(last.map(news)).chain([StreamEvent::Done]);
        events.for_each(|event| steps.send(Ok(event)).unwrap());
        let Reading::Begun(rest) = answer else { unreachable!("there is content") };
        let rest = body(Response::new(rest)).await;
        assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
        let end = End { outcome: "completed", finished: true, code: None };
        self.settle(&taken, attempts, Some(&said), last.or(usage), &end);
    }

    /// The provider was called as often as it must be, and with what was said before.
    fn called(&mut self, product: &Product, taken: &Taken, calls: usize) {
        let all = product.provider.calls();
        assert_eq!(all.len(), calls, "calls of the provider");
        let prepared = &all.last().unwrap().prepared;
        self.book.0[taken.row].request_id = prepared.request_id.to_string().replace('-', "");
        let body: Value = serde_json::from_slice(&prepared.body).unwrap();
        assert_eq!(body["messages"], Value::from(taken.prompt.messages.clone()), "the prompt");
        assert_eq!(body.get("conversation_id"), None);
    }

    fn head(&mut self, taken: &Taken, response: &Response, answers: bool) {
        let headers = response.headers();
        assert_eq!(field(headers, "ratelimit"), taken.limits);
        assert_eq!(field(headers, "x-request-id").replace('-', ""), self.book.0[taken.row].request_id);
        if answers {
            assert_eq!(response.status(), 200);
            let dropped = Some(taken.prompt.dropped).filter(|dropped| *dropped > 0);
            let dropped = dropped.map(|dropped| dropped.to_string()).unwrap_or_default();
            assert_eq!(field(headers, "x-goblin-context-dropped"), dropped);
            if !dropped.is_empty() {
                self.tell("turns left out");
            }
        }
    }

    /// Writes down what a request must have come to. `said`: the text that came, if any did.
    fn settle(&mut self, taken: &Taken, attempts: usize, said: Option<&str>, usage: Option<Usage>, end: &End) {
        let row = &self.book.0[taken.row];
        let entry = taken.entries[attempts - 1];
        let text = tariff::tokens(0, said);
        let (prompt, completion, cached, estimated) = match (said, usage) {
            (None, _) => (0, 0, 0, false),
            (Some(_), None) => (taken.prompt.tokens, text, 0, true),
            (Some(_), Some(usage)) => {
                let more = !end.finished && text > usage.completion_tokens;
                let completion = if more { text } else { usage.completion_tokens };
                (usage.prompt_tokens, completion, usage.cached_tokens.unwrap_or(0), more)
            }
        };
        let cost = if said.is_none() { Some(0) } else { entry.cost(row.started_ms, prompt, cached, completion) };
        let target = format!("openai/{}", entry.name);
        let nano_usd = cost.unwrap_or(row.reserved.nano_usd);
        let charged = Amounts { requests: 1, tokens: prompt + completion, nano_usd };
        let now = self.now_ms();
        if end.outcome == "completed"
            && let Some(talk) = self.talks.iter_mut().find(|talk| Some(&talk.id) == taken.ask.talk.as_ref())
        {
            talk.updated_ms = now;
            talk.turns.push(Said {
                request_id: dashed(&row.request_id),
                at_ms: now,
                model: target.clone(),
                asked: taken.ask.text.clone(),
                answered: said.unwrap_or_default().to_owned(),
                prompt,
                completion,
            });
        }
        self.book.0[taken.row].settled = Some(Settled {
            outcome: end.outcome.to_owned(),
            target: Some(target),
            attempts: attempts as u64,
            prompt,
            completion,
            cached,
            estimated,
            cost,
            charged,
            error_code: end.code.map(str::to_owned),
        });
        self.tell(end.outcome);
    }
}

/// How a request ends.
struct End {
    outcome: &'static str,
    /// The provider has said why its answer ends.
    finished: bool,
    code: Option<&'static str>,
}

impl End {
    const fn failed() -> Self {
        Self { outcome: "failed", finished: false, code: Some("provider_failed") }
    }
}

/// An id as it is told.
fn dashed(hex: &str) -> String {
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
