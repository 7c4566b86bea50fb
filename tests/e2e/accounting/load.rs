//! Callers who ask one thing after another, and what each of them saw.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use goblin_tests::patience::{PATIENCE, patiently};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    bench::Bench,
    provider::FAIL,
    seen::{End, Seen, id_of, leave, now_ms, read, refusal},
};

/// Longest pause of a caller between two requests.
const LONGEST_PAUSE_MS: u64 = 8;
/// Longest that a caller who leaves early waits for an answer.
const EARLY_MS: u64 = 8;
/// What an answer may have at most, so that many fit into a limit.
pub(super) const MAX_TOKENS: u64 = 100;
/// After a connection broke, unless another address is told before.
const SECOND_TRY: Duration = Duration::from_millis(20);

/// What a caller does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Reads an answer in one piece.
    Unary,
    /// Reads a stream to its end.
    Stream,
    /// The same in a conversation.
    Turn,
    /// Leaves in mid-stream.
    LeavesLater,
    /// Leaves before or after the answer begins.
    LeavesEarly,
    /// Reads an answer whose provider fails.
    Unlucky,
}

/// Everything, in turns of the generator.
pub(super) const ALL_KINDS: &[Kind] = &[
    Kind::Unary,
    Kind::Unary,
    Kind::Stream,
    Kind::Stream,
    Kind::Turn,
    Kind::Turn,
    Kind::LeavesLater,
    Kind::LeavesEarly,
    Kind::Unlucky,
];

/// Where callers turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// Nowhere for now.
    Nobody,
    At(SocketAddr),
    /// It is over.
    Home,
}

/// The callers.
pub(super) struct Load {
    target: watch::Sender<Target>,
    shared: Arc<Shared>,
    callers: JoinSet<()>,
}

struct Shared {
    key: String,
    kinds: &'static [Kind],
    template: Value,
    seen: Mutex<Vec<Seen>>,
    /// Heads and ends of answers so far.
    happened: watch::Sender<u64>,
}

impl Load {
    /// So many callers with one key, who wait until they are told where to turn.
    pub(super) fn of(
        bench: &Bench,
        key: &str,
        kinds: &'static [Kind],
        callers: usize,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let template = bench.provider.ask("Hello", json!({"max_tokens": MAX_TOKENS}));
        let (seen, happened) = (Mutex::default(), watch::Sender::new(0));
        let shared = Arc::new(Shared { key: key.to_owned(), kinds, template, seen, happened });
        let target = watch::Sender::new(Target::Nobody);
        let mut load = Self { target, shared, callers: JoinSet::new() };
        for _ in 0..callers {
            load.callers.spawn(call(load.shared.clone(), rng.fork(), load.target.subscribe()));
        }
        load
    }

    /// They turn to this address.
    pub(super) fn turn_to(&self, address: SocketAddr) {
        self.target.send_replace(Target::At(address));
    }

    /// They begin nothing new.
    pub(super) fn pause(&self) {
        self.target.send_replace(Target::Nobody);
    }

    /// Waits for so many more heads and ends of answers.
    pub(super) async fn goes_on(&self, events: u64) {
        let mut happened = self.shared.happened.subscribe();
        let until = *happened.borrow() + events;
        let reached = happened.wait_for(|happened| *happened >= until);
        let _ = patiently(reached, || format!("the load stands still: {:?}", self.last())).await;
    }

    /// Waits until so many of what comes from now on are as `is_it` says.
    pub(super) async fn sees(&self, least: usize, what: &str, is_it: impl Fn(&Seen) -> bool) {
        let (mut happened, from) = (self.shared.happened.subscribe(), self.shared.lock().len());
        let enough = |_: &u64| self.shared.lock()[from..].iter().filter(|seen| is_it(seen)).count() >= least;
        let reached = happened.wait_for(enough);
        let _ = patiently(reached, || format!("{least} × {what} do not come: {:?}", self.last())).await;
    }

    /// What was seen so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.shared.lock().clone()
    }

    /// Lets them end what they do; what all saw.
    pub(super) async fn end(mut self) -> Vec<Seen> {
        self.target.send_replace(Target::Home);
        while let Some(caller) = self.callers.join_next().await {
            caller.unwrap();
        }
        self.seen()
    }

    fn last(&self) -> Vec<Seen> {
        let seen = self.shared.lock();
        seen[seen.len().saturating_sub(5)..].to_vec()
    }
}

async fn call(shared: Arc<Shared>, mut rng: fastrand::Rng, mut target: watch::Receiver<Target>) {
    let client = goblin_tests::http_client::new();
    let mut conversation = None;
    loop {
        let turned = target.wait_for(|target| *target != Target::Nobody).await.map(|target| *target);
        let Ok(Target::At(address)) = turned else { return };
        let kind = shared.kinds[rng.usize(..shared.kinds.len())];
        let patience = Duration::from_millis(rng.u64(1..=EARLY_MS));
        if kind == Kind::Turn && conversation.is_none() {
            conversation = shared.converse(&client, address).await;
        }
        let of = conversation.as_deref().filter(|_| kind == Kind::Turn);
        let began = now_ms();
        let exchange = timeout(PATIENCE, shared.exchange(&client, address, kind, of, patience)).await;
        let (accepted, end) = exchange.unwrap_or_else(|_| (None, End::Wrong("it did not end".to_owned())));
        let is_broken = end == End::Broken;
        let seen = Seen { kind, accepted, conversation: of.map(str::to_owned), end, time: (began, now_ms()) };
        shared.lock().push(seen);
        shared.tell();
        if is_broken {
            let _ = timeout(SECOND_TRY, target.changed()).await;
        }
        sleep(Duration::from_millis(rng.u64(0..=LONGEST_PAUSE_MS))).await;
    }
}

impl Shared {
    /// A new conversation, if there is to be one.
    async fn converse(&self, client: &Client, address: SocketAddr) -> Option<String> {
        let request = client.post(format!("http://{address}/v1/conversations")).bearer_auth(&self.key).json(&json!({}));
        let created: Value = request.send().await.ok()?.error_for_status().ok()?.json().await.ok()?;
        created["id"].as_str().map(str::to_owned)
    }

    async fn exchange(
        &self,
        client: &Client,
        address: SocketAddr,
        kind: Kind,
        conversation: Option<&str>,
        patience: Duration,
    ) -> (Option<String>, End) {
        let mut body = self.template.clone();
        if matches!(kind, Kind::Stream | Kind::Turn | Kind::LeavesLater) {
            body["stream"] = true.into();
        }
        if kind == Kind::Unlucky {
            body["messages"][0]["content"] = format!("{}, {}", FAIL, body["messages"][0]["content"]).into();
        }
        if let Some(id) = conversation {
            body["conversation_id"] = id.into();
        }
        let url = format!("http://{address}/v1/chat/completions");
        let request = client.post(url).bearer_auth(&self.key).json(&body).send();
        let answer = if kind == Kind::LeavesEarly {
            match timeout(patience, request).await {
                Ok(answer) => answer,
                Err(_) => return (None, End::Left),
            }
        } else {
            request.await
        };
        let Ok(answer) = answer else { return (None, End::Broken) };
        let id = id_of(&answer);
        if answer.status() != 200 {
            return (None, refusal(answer).await);
        }
        self.tell();
        let end = match kind {
            Kind::LeavesLater => leave(answer).await,
            Kind::Unary | Kind::LeavesEarly | Kind::Unlucky => match answer.json::<Value>().await {
                Ok(body) if body["choices"][0]["message"]["content"].is_string() => End::Whole,
                Ok(body) => End::Wrong(body.to_string()),
                Err(_) => End::Broken,
            },
            Kind::Stream | Kind::Turn => read(answer).await,
        };
        (Some(id), end)
    }

    fn tell(&self) {
        self.happened.send_modify(|happened| *happened += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
