//! Which entry is called, and when.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_moments_trouble_is_tried_again_after_half_a_jitter() {
    for error in [status(500), status(529), unreachable(), ProviderError::Cut, ProviderError::Broken("x".into())] {
        let name = error.to_string();
        let (first, second) = (answers([Err(error), answer()]), answers([]));
        let start = Instant::now();
        assert_eq!(Plan::new(vec![first.clone(), second]).complete().await.unwrap(), "a", "{name}");
        assert_eq!((first.calls().len(), start.elapsed()), (2, Duration::from_millis(50)), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_so_many_calls_the_next_entry_is_called() {
    let (first, second) = (answers([Err(status(500)), Err(status(502))]), answers([answer()]));
    assert_eq!(Plan::new(vec![first.clone(), second.clone()]).complete().await.unwrap(), "b");
    assert_eq!((first.calls().len(), second.calls().len()), (2, 1));

    let settings = ChatSettings {
        retries: Retries { attempts: 4, base_delay: Duration::from_secs(1), ..SETTINGS.retries },
        ..SETTINGS
    };
    let only = answers((0..4).map(|_| Err(status(500))));
    let start = Instant::now();
    let failure = Plan::with(ChatSettings { breakers: None, ..settings }, LANE, vec![only.clone()]).complete().await;
    let failure = failure.unwrap_err();
    assert!(matches!(error_of(&failure), ("a", ProviderError::Status { status: 500, .. })));
    // 0.5 + 1 + 1: doubled, and no longer than two seconds before the jitter.
    assert_eq!((only.calls().len(), start.elapsed()), (4, Duration::from_millis(2_500)));
}

#[tokio::test(start_paused = true)]
async fn what_another_call_cannot_help_goes_to_the_next_entry_at_once() {
    let unauthorized = ProviderError::Unauthorized { status: 401, other_key: false, detail: detail() };
    for error in [status(404), status(302), ProviderError::Garbage("x"), unauthorized, overloaded(Some(1))] {
        let name = error.to_string();
        let (first, second) = (answers([Err(error)]), answers([answer()]));
        let start = Instant::now();
        assert_eq!(Plan::new(vec![first, second]).complete().await.unwrap(), "b", "{name}");
        assert_eq!(start.elapsed(), Duration::ZERO, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_calls_invalid_another_may_take() {
    let (first, second) = (answers([Err(rejected())]), answers([answer()]));
    assert_eq!(Plan::new(vec![first.clone(), second]).complete().await.unwrap(), "b");
    assert_eq!(first.calls().len(), 1, "not twice");
    // Nobody takes it: the first one's word counts, and no outage of a fallback hides it.
    for last in [rejected(), status(404), overloaded(Some(9))] {
        let failure = Plan::new(vec![answers([Err(rejected())]), answers([Err(last)])]).complete().await.unwrap_err();
        assert!(matches!(error_of(&failure), ("a", ProviderError::Rejected { status: 400, .. })));
    }
    // But a fallback's word is none against an outage of who comes first.
    let failure =
        Plan::new(vec![answers([Err(status(404))]), answers([Err(rejected())])]).complete().await.unwrap_err();
    assert!(matches!(error_of(&failure), ("a", ProviderError::Status { status: 404, .. })));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_refused_says_nothing_of_the_model() {
    let refused = || ProviderError::Unauthorized { status: 401, other_key: true, detail: detail() };
    let only = answers((0..5).flat_map(|_| [Err(refused()), answer()]));
    let plan = Plan::new(vec![only]);
    for _ in 0..5 {
        assert_eq!(plan.complete().await.unwrap(), "a");
    }
}

#[tokio::test(start_paused = true)]
async fn another_key_does_not_cost_a_retry() {
    let refused = ProviderError::Unauthorized { status: 401, other_key: true, detail: detail() };
    let only = answers([Err(refused), Err(status(500)), answer()]);
    assert_eq!(Plan::new(vec![only]).complete().await.unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn another_key_is_tried_at_once_and_not_for_ever() {
    let refused = || ProviderError::Unauthorized { status: 401, other_key: true, detail: detail() };
    let busy = || ProviderError::Overloaded { retry_after: Some(9), other_key: true, detail: detail() };
    let only = answers([Err(refused()), Err(busy()), answer()]);
    let start = Instant::now();
    assert_eq!(Plan::new(vec![only.clone()]).complete().await.unwrap(), "a");
    assert_eq!((only.calls().len(), start.elapsed()), (3, Duration::ZERO));

    let (first, second) = (answers((0..8).map(|_| Err(refused()))), answers([answer()]));
    let without_breakers = ChatSettings { breakers: None, ..SETTINGS };
    assert_eq!(Plan::with(without_breakers, LANE, vec![first, second]).complete().await.unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_obeyed_within_its_bounds_when_nobody_else_is_left() {
    // As long as it says, and the jitter.
    let start = Instant::now();
    let plan = Plan::new(vec![answers([Err(overloaded(Some(4))), answer()])]);
    assert_eq!(plan.complete().await.unwrap(), "a");
    assert_eq!(start.elapsed(), Duration::from_millis(4_050));

    // Without a word, after a moment.
    let start = Instant::now();
    assert_eq!(Plan::new(vec![answers([Err(overloaded(None)), answer()])]).complete().await.unwrap(), "a");
    assert_eq!(start.elapsed(), Duration::from_millis(50));

    // Longer than is waited for: told to the client, and the provider is left alone until then.
    let plan = Plan::new(vec![answers([Err(overloaded(Some(6))), answer()])]);
    let failure = plan.complete().await.unwrap_err();
    assert_eq!(error_of(&failure).1.retry_after(), Some(6));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(matches!(plan.complete().await, Err(PlanFailure::Closed { retry_after: 4, by_its_word: true })));
    tokio::time::advance(Duration::from_secs(4)).await;
    assert_eq!(plan.complete().await.unwrap(), "a");

    // Longer than the request has.
    let timeouts = Timeouts { first_content: Duration::from_secs(3), ..SETTINGS.timeouts };
    let plan = Plan::with(ChatSettings { timeouts, ..SETTINGS }, LANE, vec![answers([Err(overloaded(Some(4)))])]);
    let start = Instant::now();
    assert!(plan.complete().await.is_err());
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_words_is_nobody_to_fall_back_to() {
    let wordless: Arc<dyn Provider> = Arc::new(Wordless);
    let start = Instant::now();
    let plan = Plan::new(vec![answers([Err(overloaded(Some(1))), answer()]), wordless]);
    assert_eq!(plan.complete().await.unwrap(), "a");
    assert_eq!(start.elapsed(), Duration::from_millis(1_050));
}

/// A provider whose format has no words for any request.
struct Wordless;

#[async_trait::async_trait]
impl Provider for Wordless {
    fn remote(&self) -> Option<&Remote> {
        None
    }

    fn offers(&self, _model: &str) -> bool {
        true
    }

    fn prepare(&self, _request: &ClientRequest, _model: &str) -> Result<Prepared, Inexpressible> {
        Err(Inexpressible { param: "logprobs".to_owned(), message: "Leave it out.".to_owned() })
    }

    async fn complete(&self, _call: Call) -> Result<Answer, ProviderError> {
        panic!("nothing was prepared")
    }

    fn stream(&self, _call: Call) -> crate::ports::AnswerStream {
        panic!("nothing was prepared")
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_no_words_for_a_request_is_passed_over() {
    let wordless: Arc<dyn Provider> = Arc::new(Wordless);
    assert_eq!(Plan::new(vec![wordless.clone(), answers([answer()])]).complete().await.unwrap(), "b");
    let failure = Plan::new(vec![wordless.clone(), wordless.clone()]).complete().await.unwrap_err();
    assert!(matches!(failure, PlanFailure::Inexpressible(what) if what.param == "logprobs"));
    // What a provider said outranks it.
    let failure = Plan::new(vec![wordless, answers([Err(status(404))])]).complete().await.unwrap_err();
    assert_eq!(error_of(&failure).0, "b");
}
