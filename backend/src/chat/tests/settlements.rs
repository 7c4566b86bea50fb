//! However a request ends, it is settled exactly once, with what it came to.

use goblin_shared::error_body::ErrorCode;

use super::{
    recorded::{accounts, bill, counts},
    *,
};
use crate::{
    chat::{
        Bill,
        conversation::TurnDraft,
        recording::{Recorder, Told, Trouble},
    },
    ports::{Amounts, Learnt, LedgerOutcome, Owner, Settlement, TokenCounts, Usage},
    provider::scripted::{finish, usage},
};

/// What is settled, without times.
#[derive(Debug, PartialEq, Eq)]
struct Came {
    outcome: LedgerOutcome,
    code: Option<&'static str>,
    by: Option<String>,
    attempts: u32,
    tokens: TokenCounts,
    cost: Option<u64>,
    charged: Amounts,
}

fn came(settlement: &Settlement) -> Came {
    Came {
        outcome: settlement.outcome,
        code: settlement.error_code,
        by: settlement.provider.clone(),
        attempts: settlement.attempts,
        tokens: settlement.tokens,
        cost: settlement.cost_nano_usd,
        charged: settlement.charged,
    }
}

/// What nobody answered to.
fn nothing(outcome: LedgerOutcome, code: Option<&'static str>, by: Option<&str>, attempts: u32) -> Came {
    let charged = Amounts { requests: 1, ..Amounts::default() };
    Came { outcome, code, by: by.map(str::to_owned), attempts, tokens: TokenCounts::default(), cost: Some(0), charged }
}

/// What is reserved where `a` alone may answer.
const RESERVED: Amounts = Amounts { requests: 1, tokens: 210, nano_usd: 410_000 };

/// What nobody knows the price of, though some calls were sent: charged is what was reserved.
fn unknown(outcome: LedgerOutcome, code: Option<&'static str>, by: &str, attempts: u32, prompt: u64) -> Came {
    let tokens = TokenCounts { prompt, estimated: true, ..TokenCounts::default() };
    Came { tokens, cost: None, charged: RESERVED, ..nothing(outcome, code, Some(by), attempts) }
}

/// What the first or the second answered, with tokens of this prompt and this completion.
fn used(outcome: LedgerOutcome, by: &str, attempts: u32, prompt: u64, completion: u64, estimated: bool) -> Came {
    let micro_usd = if by == "a" { prompt + 2 * completion } else { 3 * prompt + 4 * completion };
    Came {
        outcome,
        code: None,
        by: Some(by.to_owned()),
        attempts,
        tokens: TokenCounts { prompt, completion, estimated, ..TokenCounts::default() },
        cost: Some(micro_usd * 1_000),
        charged: Amounts { requests: 1, tokens: prompt + completion, nano_usd: micro_usd * 1_000 },
    }
}

/// A whole answer that says what it cost.
fn counted(prompt: u64, completion: u64) -> Answer {
    let usage = Usage { prompt_tokens: prompt, completion_tokens: completion, ..Usage::default() };
    let facts = AnswerFacts { usage: Some(usage), ..AnswerFacts::default() };
    Answer { body: Bytes::from_static(b"{}"), status: Some(200), facts }
}

/// A whole answer of three tokens that does not say so.
fn uncounted() -> Answer {
    let body =
        r#"{"choices":[{"message":{"content":"12345678","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}]}"#;
    Answer { body: Bytes::from_static(body.as_bytes()), status: Some(200), facts: AnswerFacts::default() }
}

async fn account(recorder: &Arc<Recorder>, plan: &Plan, stream: bool) -> Account {
    let bill = Bill { stream, ..bill(&plan.entries) };
    accounts(recorder, None).open(bill).await.unwrap().account
}

/// Has a plan carried out in one piece, and gives what was settled.
async fn complete(plan: &Plan) -> (Settlement, Arc<Recorder>) {
    let recorder = Recorder::new(Trouble::None);
    let account = account(&recorder, plan, false).await;
    let _ = plan.service.complete(&plan.entries, &request(false), account).await;
    (recorder.settlement(), recorder)
}

/// Opens a stream.
async fn stream(plan: &Plan) -> (Streaming, Arc<Recorder>) {
    let recorder = Recorder::new(Trouble::None);
    let account = account(&recorder, plan, true).await;
    (plan.service.stream(plan.entries.clone(), request(true), account), recorder)
}

/// Has a plan carried out as a stream of these events, and gives what was settled before its last step.
async fn streamed(events: impl IntoIterator<Item = Result<StreamEvent, ProviderError>>) -> Settlement {
    let provider = Scripted::new("p");
    let steps = provider.then_stream();
    events.into_iter().for_each(|event| steps.send(event).unwrap());
    drop(steps);
    let settings = ChatSettings { retries: Retries { attempts: 1, ..SETTINGS.retries }, ..SETTINGS };
    let (mut streaming, recorder) = stream(&Plan::with(settings, LANE, vec![provider])).await;
    let _ = rest(&mut streaming).await;
    recorder.settlement()
}

fn told(usage: Usage) -> StreamEvent {
    StreamEvent::Learnt(Learnt { usage: Some(usage), ..Learnt::default() })
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_costs_what_it_says() {
    let (settlement, _) = complete(&Plan::new(vec![answers([Ok(counted(7, 5))])])).await;
    assert_eq!(came(&settlement), used(LedgerOutcome::Completed, "a", 1, 7, 5, false));
    assert_eq!(settlement.model.as_deref(), Some("m"));
    assert_eq!((settlement.duration_us, settlement.first_content_us), (0, Some(0)));
    let (settlement, _) = complete(&Plan::new(vec![answers([Ok(uncounted())])])).await;
    assert_eq!(came(&settlement), used(LedgerOutcome::Completed, "a", 1, 10, 3, true));
}

#[tokio::test(start_paused = true)]
async fn retries_and_fallbacks_are_one_request() {
    let (first, second) = (answers([Err(status(500)), Err(status(500))]), answers([Ok(counted(7, 5))]));
    let (settlement, _) = complete(&Plan::new(vec![first, second])).await;
    assert_eq!(came(&settlement), used(LedgerOutcome::Completed, "b", 3, 7, 5, false));
    assert_eq!(settlement.duration_us, 50_000);
}

#[tokio::test(start_paused = true)]
async fn what_fails_before_its_content_costs_nothing() {
    let (settlement, _) = complete(&Plan::new(vec![answers([Err(status(404))]), answers([Err(rejected())])])).await;
    // The first one's error is told, and the second one was called last.
    assert_eq!(came(&settlement), nothing(LedgerOutcome::Failed, Some("provider_failed"), Some("b"), 2));
    // Nobody is called.
    let recorder = Recorder::new(Trouble::None);
    let plan = Plan::with(SETTINGS, LaneSettings { max_concurrency: 0, max_queue: 0, ..LANE }, vec![answers([])]);
    let account = account(&recorder, &plan, false).await;
    assert!(plan.service.complete(&plan.entries, &request(false), account).await.is_err());
    assert_eq!(came(&recorder.settlement()), nothing(LedgerOutcome::Failed, Some("overloaded"), None, 0));
    // What a stream says of tokens before it is refused is nothing that came.
    let events = [Ok(told(Usage { prompt_tokens: 9, ..Usage::default() })), Err(status(404))];
    let settlement = streamed(events).await;
    assert_eq!(came(&settlement), nothing(LedgerOutcome::Failed, Some("provider_failed"), Some("a"), 1));
    assert_eq!(settlement.first_content_us, None);
}

#[tokio::test(start_paused = true)]
async fn a_call_of_which_nobody_knows_how_far_it_came_may_cost_what_was_reserved() {
    let failed = |prompt| unknown(LedgerOutcome::Failed, Some("provider_failed"), "a", 1, prompt);
    let garbage = || ProviderError::Garbage("x");
    let (settlement, recorder) = complete(&Plan::new(vec![answers([Err(garbage())])])).await;
    assert_eq!((came(&settlement), recorder.unknown()), (failed(10), 1));
    // As Anthropic's first event says it: that much is sure.
    let events = [Ok(told(Usage { prompt_tokens: 9, ..Usage::default() })), Err(ProviderError::Cut)];
    assert_eq!(came(&streamed(events).await), failed(9));
    // Of a document that is far longer than its estimate what is told is charged, though more may come.
    let events = [Ok(told(Usage { prompt_tokens: 5_000, ..Usage::default() })), Err(ProviderError::Cut)];
    let settlement = streamed(events).await;
    let charged = Amounts { requests: 1, tokens: 5_000, nano_usd: 5_000_000 };
    assert_eq!((settlement.cost_nano_usd, settlement.charged), (None, charged));
    // What was never sent costs nothing.
    let unreachable = || ProviderError::Unreachable { why: Obstacle::Refused, cause: "x".into() };
    let (settlement, _) = complete(&Plan::new(vec![answers([Err(unreachable()), Err(unreachable())])])).await;
    assert_eq!(came(&settlement), nothing(LedgerOutcome::Failed, Some("provider_failed"), Some("a"), 2));
}

#[tokio::test(start_paused = true)]
async fn calls_before_the_one_that_answers_are_paid_too() {
    // The first one may ask money for its prompt, the second answers.
    let plan = Plan::new(vec![answers([Err(ProviderError::Garbage("x"))]), answers([Ok(counted(7, 5))])]);
    let (settlement, recorder) = complete(&plan).await;
    let Told::Reserved(reserved) = recorder.told()[0] else { panic!("first it is reserved") };
    let expected = Came {
        tokens: TokenCounts { prompt: 17, completion: 5, estimated: true, ..TokenCounts::default() },
        cost: None,
        charged: reserved,
        ..used(LedgerOutcome::Completed, "b", 2, 0, 0, false)
    };
    assert_eq!((came(&settlement), recorder.unknown()), (expected, 1));
    // Of the first one's two calls one was refused, and a stream says what it has read before it is cut.
    let (first, second) = (Scripted::new("p"), Scripted::new("q"));
    first.then_stream().send(Err(status(500))).unwrap();
    let cut = first.then_stream();
    cut.send(Ok(told(Usage { prompt_tokens: 20, completion_tokens: 1, ..Usage::default() }))).unwrap();
    cut.send(Err(ProviderError::Cut)).unwrap();
    let other = second.then_stream();
    for event in [text("1234")].into_iter().chain(finish()).chain(usage()).chain([StreamEvent::Done]) {
        other.send(Ok(event)).unwrap();
    }
    let (mut streaming, recorder) = stream(&Plan::new(vec![first, second])).await;
    rest(&mut streaming).await.1.unwrap();
    let tokens = TokenCounts { prompt: 23, completion: 5, estimated: true, ..TokenCounts::default() };
    let settlement = recorder.settlement();
    assert_eq!((settlement.tokens, settlement.attempts, settlement.cost_nano_usd), (tokens, 3, None));
}

#[tokio::test(start_paused = true)]
async fn a_complete_stream_costs_what_it_says_or_what_came() {
    let events = [text("12345678")].into_iter().chain(finish()).chain(usage()).chain([StreamEvent::Done]);
    let settlement = streamed(events.map(Ok)).await;
    assert_eq!(came(&settlement), used(LedgerOutcome::Completed, "a", 1, 3, 4, false));
    let events = [text("12345678")].into_iter().chain(finish()).chain([StreamEvent::Done]);
    assert_eq!(came(&streamed(events.map(Ok)).await), used(LedgerOutcome::Completed, "a", 1, 10, 2, true));
    // An empty answer is one.
    let events = finish().into_iter().chain([StreamEvent::Done]);
    assert_eq!(came(&streamed(events.map(Ok)).await), used(LedgerOutcome::Completed, "a", 1, 10, 0, true));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cut_costs_what_came_unless_its_provider_said_more() {
    let cut = |known: Option<Usage>| {
        let known = known.map(told).map(Ok);
        let texts = [Ok(text("1234")), Ok(text("5678"))];
        streamed(known.into_iter().chain(texts).chain([Err(ProviderError::Cut)]))
    };
    let failed = |came: Came| Came { code: Some("provider_failed"), outcome: LedgerOutcome::Failed, ..came };
    let usage = |completion_tokens| Usage { prompt_tokens: 20, completion_tokens, ..Usage::default() };
    let outcome = LedgerOutcome::Failed;
    assert_eq!(came(&cut(None).await), failed(used(outcome, "a", 1, 10, 2, true)));
    // As Anthropic's first event says it.
    assert_eq!(came(&cut(Some(usage(1))).await), failed(used(outcome, "a", 1, 20, 2, true)));
    assert_eq!(came(&cut(Some(usage(9))).await), failed(used(outcome, "a", 1, 20, 9, false)));
    // Its last word counts, even where less came than seems.
    let last = [Ok(text("12345678"))].into_iter().chain(finish().map(Ok)).chain([Ok(told(usage(1)))]);
    let settlement = streamed(last.chain([Err(ProviderError::Cut)])).await;
    assert_eq!(came(&settlement), failed(used(outcome, "a", 1, 20, 1, false)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_begins_anew_counts_its_own_answer_alone() {
    let (first, second) = (Scripted::new("p"), Scripted::new("q"));
    let (one, other) = (first.then_stream(), second.then_stream());
    one.send(Ok(told(Usage { prompt_tokens: 90, completion_tokens: 90, ..Usage::default() }))).unwrap();
    one.send(Err(status(404))).unwrap();
    for event in [text("1234")].into_iter().chain(finish()).chain([StreamEvent::Done]) {
        other.send(Ok(event)).unwrap();
    }
    let (mut streaming, recorder) = stream(&Plan::new(vec![first, second])).await;
    rest(&mut streaming).await.1.unwrap();
    assert_eq!(came(&recorder.settlement()), used(LedgerOutcome::Completed, "b", 2, 10, 1, true));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_a_stream_pays_what_came() {
    let provider = Scripted::new("p");
    let steps = provider.then_stream();
    let (mut streaming, recorder) = stream(&Plan::new(vec![provider.clone()])).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    steps.send(Ok(text("12345678"))).unwrap();
    assert!(matches!(streaming.next().await, Ok(Step::Begun(_))));
    tokio::time::sleep(Duration::from_secs(3)).await;
    drop(streaming);
    recorder.until(4).await;
    let settlement = recorder.settlement();
    assert_eq!(came(&settlement), used(LedgerOutcome::Cancelled, "a", 1, 10, 2, true));
    assert_eq!((settlement.duration_us, settlement.first_content_us), (5_000_000, Some(2_000_000)));

    // Before the first content.
    let _steps = provider.then_stream();
    let (streaming, recorder) = stream(&Plan::new(vec![provider])).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(streaming);
    recorder.until(4).await;
    assert_eq!(came(&recorder.settlement()), unknown(LedgerOutcome::Cancelled, None, "a", 1, 10));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_before_anybody_is_called_pays_nothing() {
    let plan = Plan::new(vec![answers([])]);
    let recorder = Recorder::new(Trouble::None);
    drop(account(&recorder, &plan, false).await);
    assert_eq!(came(&recorder.settlement()), nothing(LedgerOutcome::Cancelled, None, None, 0));
    let recorder = Recorder::new(Trouble::None);
    let account = account(&recorder, &plan, false).await;
    drop(plan.service.complete(&plan.entries, &request(false), account));
    assert_eq!(came(&recorder.settlement()), nothing(LedgerOutcome::Cancelled, None, None, 0));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_an_answer_in_one_piece_leaves_one_settlement() {
    let provider: Arc<dyn Provider> = Arc::new(Silent);
    let plan = Plan::new(vec![provider]);
    let recorder = Recorder::new(Trouble::None);
    let account = account(&recorder, &plan, false).await;
    let request = request(false);
    let answering = plan.service.complete(&plan.entries, &request, account);
    assert!(tokio::time::timeout(Duration::from_secs(1), answering).await.is_err());
    assert_eq!(came(&recorder.settlement()), unknown(LedgerOutcome::Cancelled, None, "a", 1, 10));
}

/// A provider that never answers.
struct Silent;

#[async_trait::async_trait]
impl Provider for Silent {
    fn remote(&self) -> Option<&Remote> {
        None
    }

    fn offers(&self, _model: &str) -> bool {
        true
    }

    fn prepare(&self, request: &ClientRequest, model: &str) -> Result<Prepared, Inexpressible> {
        Scripted::new("p").prepare(request, model)
    }

    async fn complete(&self, _call: Call) -> Result<Answer, ProviderError> {
        std::future::pending().await
    }

    fn stream(&self, _call: Call) -> crate::ports::AnswerStream {
        panic!("nobody asks for a stream")
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_client_is_told_from_outside_is_settled() {
    let plan = Plan::new(vec![Arc::new(Silent) as Arc<dyn Provider>]);
    let recorder = Recorder::new(Trouble::None);
    let account = account(&recorder, &plan, false).await;
    account.last_word().tell(ErrorCode::ShuttingDown);
    account.last_word().tell(ErrorCode::Internal);
    drop(account);
    assert_eq!(came(&recorder.settlement()), nothing(LedgerOutcome::Failed, Some("shutting_down"), None, 0));
}

#[tokio::test]
async fn a_panic_is_a_failure_of_ours() {
    let plan = Plan::new(vec![answers([])]);
    let recorder = Recorder::new(Trouble::None);
    let account = account(&recorder, &plan, false).await;
    let panicked = tokio::spawn(async move {
        let _account = account;
        panic!("as the test wants it");
    });
    assert!(panicked.await.is_err());
    assert_eq!(came(&recorder.settlement()), nothing(LedgerOutcome::Failed, Some("internal_error"), None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_price_that_is_not_known_is_counted_and_costs_what_was_reserved() {
    let first = answers([Err(status(404)), Err(status(404))]);
    let others: [Arc<dyn Provider>; 2] = [answers([Err(status(404))]), answers([Ok(counted(7, 5))])];
    let (settlement, recorder) =
        complete(&Plan::new([first as Arc<dyn Provider>].into_iter().chain(others).collect())).await;
    let Told::Reserved(reserved) = recorder.told()[0] else { panic!("first it is reserved") };
    assert_eq!((settlement.cost_nano_usd, recorder.unknown()), (None, 1));
    assert_eq!(settlement.charged, Amounts { requests: 1, tokens: 12, nano_usd: reserved.nano_usd });
    assert!(reserved.nano_usd > 0);

    // A tier that no catalogue has.
    let mut answer = counted(7, 5);
    answer.facts.service_tier = Some("priority".to_owned());
    let (settlement, recorder) = complete(&Plan::new(vec![answers([Ok(answer)])])).await;
    assert_eq!((settlement.cost_nano_usd, recorder.unknown()), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn caches_and_tiers_have_prices_of_their_own() {
    let usage = Usage { prompt_tokens: 8, completion_tokens: 4, cached_tokens: Some(6), ..Usage::default() };
    let answer = |tier: &str| {
        let facts = AnswerFacts { usage: Some(usage), service_tier: Some(tier.to_owned()), ..AnswerFacts::default() };
        Answer { facts, ..counted(0, 0) }
    };
    // 2 × 1 + 6 × 0.5 + 4 × 2, and 8 × 0.5 + 4 × 1, in millionths of a dollar.
    for (tier, nano_usd) in [("default", 13_000), ("flex", 8_000)] {
        let (settlement, _) = complete(&Plan::new(vec![answers([Ok(answer(tier))])])).await;
        assert_eq!(settlement.cost_nano_usd, Some(nano_usd), "{tier}");
        assert_eq!((settlement.tokens.prompt, settlement.tokens.cached), (8, 6));
    }
    let tier = StreamEvent::Learnt(Learnt { service_tier: Some("flex".to_owned()), ..Learnt::default() });
    let events = [tier, text("x"), told(usage)].into_iter().chain(finish()).chain([StreamEvent::Done]);
    assert_eq!(streamed(events.map(Ok)).await.cost_nano_usd, Some(8_000));
}

#[tokio::test]
async fn a_turn_is_kept_with_a_completed_request_alone() {
    let plan = Plan::new(vec![answers([])]);
    let draft = || TurnDraft {
        number: 1,
        conversation_id: "conv_1".to_owned(),
        owner: Owner { tenant: String::new(), user: "u".to_owned() },
        messages: "{\"role\":\"user\"}".to_owned(),
    };
    for completed in [true, false] {
        let recorder = Recorder::new(Trouble::None);
        let mut account = account(&recorder, &plan, false).await;
        account.keep(draft(), crate::chat::conversation::Recorder::default());
        let answer = r#"{"choices":[{"message":{"role":"assistant","content":"hello"}}]}"#;
        account.recorder().unwrap().whole(answer.as_bytes());
        if completed {
            account.completed_and_kept().await.unwrap();
        } else {
            account.failed(ErrorCode::ProviderFailed).await.unwrap();
        }
        let messages = recorder.settlement().turn.map(|turn| turn.messages);
        let kept = r#"[{"role":"user"},{"role":"assistant","content":"hello"}]"#;
        assert_eq!(messages.as_deref(), completed.then_some(kept));
    }
    Account::unkept(Arc::new(unread())).completed_and_kept().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_cannot_be_kept_is_told() {
    let plan = Plan::new(vec![answers([])]);
    let recorder = Recorder::new(Trouble::None);
    let mut account = account(&recorder, &plan, false).await;
    let owner = Owner { tenant: String::new(), user: "u".to_owned() };
    let draft = TurnDraft { number: 1, conversation_id: "conv_1".to_owned(), owner, messages: String::new() };
    account.keep(draft, crate::chat::conversation::Recorder::default());
    let told = account.completed_and_kept().await.unwrap_err();
    assert_eq!(told.code(), ErrorCode::StoreUnavailable);
    let settlement = recorder.settlement();
    assert_eq!((settlement.outcome, settlement.turn), (LedgerOutcome::Completed, None), "it was answered, and is paid");
}

proptest! {
    /// Whatever a stream does and whenever its client leaves, there is one of everything.
    #[test]
    fn every_stream_is_settled_once(
        events in prop::collection::vec(0..6_u8, 0..12), reads in prop::option::of(0..8_usize),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let provider = Scripted::new("p");
            for _ in 0..2 {
                let steps = provider.then_stream();
                for event in &events {
                    let event = match event {
                        0 | 1 => Ok(text("1234")),
                        2 => Ok(scripted::delta("{}")),
                        3 => Ok(StreamEvent::Done),
                        4 => Ok(told(Usage { prompt_tokens: 9, completion_tokens: 1, ..Usage::default() })),
                        _ => Err(status(500)),
                    };
                    steps.send(event).unwrap();
                }
            }
            let (mut streaming, recorder) = stream(&Plan::new(vec![provider])).await;
            match reads {
                Some(reads) => {
                    for _ in 0..reads {
                        if !matches!(streaming.next().await, Ok(Step::Begun(_) | Step::Chunk(_))) {
                            break;
                        }
                    }
                    drop(streaming);
                    recorder.until(4).await;
                }
                None => drop(rest(&mut streaming).await),
            }
            let settlement = recorder.settlement();
            assert_eq!(counts(&recorder.told()).values().copied().collect::<Vec<_>>(), [1; 4]);
            let answered = settlement.first_content_us.is_some() || settlement.outcome == LedgerOutcome::Completed;
            // What is not answered is either refused, or keeps what was reserved.
            let expected = if settlement.cost_nano_usd == Some(0) { 0 } else { RESERVED.tokens };
            assert!(answered || settlement.charged.tokens == expected, "{settlement:?}");
        });
    }
}
