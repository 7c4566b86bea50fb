//! What is asked of a model, and what must become of it.

use serde_json::json;

use super::{
    super::*,
    World,
    book::{Row, Standing},
    talks::{self, Prompt},
    tariff::{self, Known},
};
use crate::ports::Amounts;

/// A request that is to be sent.
pub(super) struct Ask {
    pub(super) holder: usize,
    pub(super) model: &'static str,
    pub(super) text: String,
    pub(super) most: Option<u64>,
    pub(super) stream: bool,
    pub(super) talk: Option<String>,
}

/// A request that must be taken.
pub(super) struct Taken {
    pub(super) row: usize,
    pub(super) entries: Vec<Known>,
    pub(super) prompt: Prompt,
    pub(super) ask: Ask,
    /// Fields of the answer.
    pub(super) limits: String,
}

/// What somebody is told whose request is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: String,
    /// The field `ratelimit`.
    pub(super) limit: String,
}

/// What must become of a request.
pub(super) enum Verdict {
    /// By one of these: a limit that resets at the same time as another may be named as well as that.
    Refused(Vec<Refusal>),
    Taken(Box<Taken>),
}

impl World {
    /// A random request.
    pub(super) fn chat(&mut self) -> (Ask, Request<Body>, bool) {
        let holder = self.chance.place(self.holders.len());
        let (secret, counts) = self.credential(holder);
        let talk = (self.chance.percent(45) && !self.talks.is_empty()).then(|| {
            // Mostly one's own.
            let mut talk = self.chance.place(self.talks.len());
            let own = self.talks.iter().position(|talk| talk.owner == self.holders[holder].owner);
            if self.chance.percent(80) && self.talks[talk].owner != self.holders[holder].owner {
                talk = own.unwrap_or(talk);
            }
            self.talks[talk].id.clone()
        });
        let ask = Ask {
            holder,
            model: self.chance.one(&tariff::ASKED),
            text: self.chance.text(120),
            most: self.chance.one(&[None, Some(8), Some(40)]),
            stream: self.chance.percent(50),
            talk,
        };
        let mut body =
            json!({ "model": ask.model, "stream": ask.stream, "messages": [talks::message("user", &ask.text)] });
        if let Some(most) = ask.most {
            body["max_tokens"] = most.into();
        }
        if let Some(talk) = &ask.talk {
            body["conversation_id"] = talk.as_str().into();
        }
        let request = access::with_key(chat(&body.to_string()), &secret);
        (ask, request, counts)
    }

    /// What must become of it. What is taken is in the book from then on.
    pub(super) fn judge(&mut self, ask: Ask, counts: bool) -> Verdict {
        let refused = |status, code: &str| {
            Verdict::Refused(vec![Refusal { status, code: code.to_owned(), limit: String::new() }])
        };
        if !counts {
            return refused(401, "invalid_api_key");
        }
        let (now, holder) = (self.now_ms(), self.holders[ask.holder].clone());
        let mut entries = tariff::entries(ask.model);
        let mut prompt = talks::alone(&ask.text);
        if let Some(id) = &ask.talk {
            let Some(talk) = self.talks.iter().find(|talk| talk.id == *id && talk.owner == holder.owner) else {
                return refused(404, "conversation_not_found");
            };
            let first = entries[0];
            prompt = talk.prompt(&ask.text, first.window - ask.most.unwrap_or(first.longest.min(first.window / 4)));
            entries.retain(|entry| entry.window >= prompt.tokens + ask.most.unwrap_or(0));
        }
        let output = |entry: &Known| ask.most.unwrap_or(entry.longest);
        let prices: Vec<_> = entries.iter().map(|entry| entry.cost(now, prompt.tokens, 0, output(entry))).collect();
        let before = self.book.standings(&holder, now);
        if prices.contains(&None) && before.iter().any(|standing| standing.quota.is_spend()) {
            return refused(403, "price_unknown");
        }
        let reserved = Amounts {
            requests: 1,
            tokens: entries.iter().map(|entry| prompt.tokens + output(entry)).max().unwrap(),
            nano_usd: prices.into_iter().flatten().max().unwrap_or(0),
        };
        let over: Vec<&Standing> =
            before.iter().filter(|standing| standing.used + reserved.of(standing.quota) > standing.limit).collect();
        if let Some(last) = over.iter().map(|standing| standing.resets_ms).max() {
            let refusal = |over: &Standing| {
                let (status, code) =
                    if over.quota.is_spend() { (402, "budget_exceeded") } else { (429, "rate_limit_exceeded") };
                Refusal { status, code: code.to_owned(), limit: over.field(now) }
            };
            let last = over.into_iter().filter(|over| over.resets_ms == last);
            return Verdict::Refused(last.map(refusal).collect());
        }
        self.book.0.push(Row {
            request_id: String::new(),
            started_ms: now,
            stream: ask.stream,
            owner: holder.owner.clone(),
            key_id: holder.key_id.clone(),
            model_asked: ask.model.to_owned(),
            conversation_id: ask.talk.clone(),
            reserved,
            settled: None,
        });
        let after = self.book.standings(&holder, now);
        let limits = after.iter().map(|standing| standing.field(now)).collect::<Vec<_>>().join(", ");
        Verdict::Taken(Box::new(Taken { row: self.book.0.len() - 1, entries, prompt, ask, limits }))
    }
}
