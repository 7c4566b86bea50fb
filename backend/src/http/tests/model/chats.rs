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
    ports::{Amounts, Answer, AnswerFacts, Learnt, ProviderError, UpstreamDetail, Usage},
    provider::scripted,
};

/// A stream whose end is to come.
pub(super) struct Held {
    taken: Taken,
    /// Calls before it, and whether each may be billed.
    failed: Vec<bool>,
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

/// A failure after which the next entry of the plan is asked; the provider may have worked for it, or not.
fn failure(billed: bool) -> ProviderError {
    if billed {
        ProviderError::Garbage("as the test wants it")
    } else {
        ProviderError::Status { status: 404, retry_after: None, detail: UpstreamDetail::default() }
    }
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
                let failing: Vec<bool> = (0..failing).map(|_| self.chance.percent(50)).collect();
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

    async fn whole(&mut self, product: &Product, taken: Taken, failing: Vec<bool>, request: Request<Body>) {
        let calls = product.provider.calls().len();
        let (said, usage) = (self.chance.text(90), self.usage());
        for billed in &failing {
            product.provider.then_complete(Err(failure(*billed)));
        }
        let answers = failing.len() < taken.entries.len();
        if answers {
            let body = json!({ "choices": [{ "index": 0, "message": talks::message("assistant", &said) }] });
            let facts = AnswerFacts { usage, ..AnswerFacts::default() };
            product.provider.then_complete(Ok(Answer { body: body.to_string().into(), status: Some(200), facts }));
        }
        let response = product.router.clone().oneshot(request).await.unwrap();
        let attempts = failing.len() + usize::from(answers);
        self.called(product, &taken, calls + attempts);
        self.head(&taken, &response, answers);
        if answers {
            assert!(body(response).await.contains(&said));
            let end = End { outcome: "completed", finished: true, code: None };
            self.settle(&taken, &failing, Some(&said), usage, &end);
        } else {
            assert_eq!(error(response).await, (502, "provider_failed".to_owned()));
            self.settle(&taken, &failing, None, None, &End::failed());
        }
    }

    async fn begin_stream(&mut self, product: &Product, taken: Taken, failing: Vec<bool>, request: Request<Body>) {
        let calls = product.provider.calls().len();
        for billed in &failing {
            product.provider.then_stream().send(Err(failure(*billed))).unwrap();
        }
        if failing.len() == taken.entries.len() {
            let response = product.router.clone().oneshot(request).await.unwrap();
            self.called(product, &taken, calls + failing.len());
            self.head(&taken, &response, false);
            assert_eq!(error(response).await, (502, "provider_failed".to_owned()));
            self.settle(&taken, &failing, None, None, &End::failed());
            return;
        }
        let (steps, router) = (product.provider.then_stream(), product.router.clone());
        let answer = tokio::spawn(async move { router.oneshot(request).await.unwrap() });
        let attempts = failing.len() + 1;
        while product.provider.calls().len() < calls + attempts {
            assert!(!answer.is_finished(), "it is taken: {:?}", answer.await);
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        self.called(product, &taken, calls + attempts);
        let answer = Reading::Waiting(answer);
        self.held.push(Held { taken, failed: failing, steps, answer, said: String::new(), usage: None });
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
        let Held { taken, failed, steps, answer, said, usage } = held;
        match answer {
            Reading::Waiting(answer) => answer.abort(),
            Reading::Begun(body) => drop(body),
        }
        // The provider's call is let go in the same breath in which the request is settled.
        steps.closed().await;
        tokio::task::yield_now().await;
        let end = End { outcome: "cancelled", finished: false, code: None };
        self.settle(&taken, &failed, Some(said.as_str()).filter(|said| !said.is_empty()), usage, &end);
    }

    /// The provider's connection breaks after the first content.
    async fn cut(&mut self, mut held: Held) {
        self.say(&mut held).await;
        let Held { taken, failed, steps, answer, said, usage } = held;
        drop(steps);
        let Reading::Begun(rest) = answer else { unreachable!("there is content") };
        let rest = body(Response::new(rest)).await;
        assert!(rest.contains("provider_failed") && !rest.contains("[DONE]"), "{rest}");
        self.settle(&taken, &failed, Some(&said), usage, &End::failed());
    }

    async fn finish(&mut self, mut held: Held) {
        self.say(&mut held).await;
        let Held { taken, failed, steps, answer, said, usage } = held;
        let last = self.usage();
        let news = |usage| StreamEvent::Learnt(Learnt { usage: Some(usage), ..Learnt::default() });
        let events = scripted::finish().into_iter().chain(last.map(news)).chain([StreamEvent::Done]);
        events.for_each(|event| steps.send(Ok(event)).unwrap());
        let Reading::Begun(rest) = answer else { unreachable!("there is content") };
        let rest = body(Response::new(rest)).await;
        assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
        let end = End { outcome: "completed", finished: true, code: None };
        self.settle(&taken, &failed, Some(&said), last.or(usage), &end);
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

    /// Writes down what a request must have come to. `failed`: calls that failed, and whether each may be billed; `said`: the
    /// text that came of the one after them, if any did.
    fn settle(&mut self, taken: &Taken, failed: &[bool], said: Option<&str>, usage: Option<Usage>, end: &End) {
        let row = &self.book.0[taken.row];
        // Whoever leaves in silence leaves a call of which nobody knows how far it came.
        let is_left = end.outcome == "cancelled" && said.is_none();
        let unknown = failed.iter().filter(|billed| **billed).count() as u64 + u64::from(is_left);
        let attempts = failed.len() + usize::from(said.is_some() || is_left);
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
        let known = if said.is_none() { Some(0) } else { entry.cost(row.started_ms, prompt, cached, completion) };
        let cost = known.filter(|_| unknown == 0);
        // What is sure of the others is their prompt.
        let billed = failed.iter().zip(&taken.entries).filter(|(billed, _)| **billed).map(|(_, entry)| entry);
        let billed = billed.chain(is_left.then_some(&entry));
        let prompts: u64 = billed.filter_map(|entry| entry.cost(row.started_ms, taken.prompt.tokens, 0, 0)).sum();
        let (prompt, estimated) = (prompt + unknown * taken.prompt.tokens, estimated || unknown > 0);
        let target = format!("openai/{}", entry.name);
        let least = |reserved: u64, is_unknown| if is_unknown { reserved } else { 0 };
        let charged = Amounts {
            requests: 1,
            tokens: (prompt + completion).max(least(row.reserved.tokens, unknown > 0)),
            nano_usd: (known.unwrap_or(0) + prompts).max(least(row.reserved.nano_usd, cost.is_none())),
        };
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
        if unknown > 0 {
            self.tell("calls of unknown cost");
        }
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
