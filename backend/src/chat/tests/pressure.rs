//! Breakers, places, and who leaves.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_open_breaker_passes_its_entry_over_and_a_probe_brings_it_back() {
    let first = answers([Err(status(404)), Err(status(404)), Err(status(404)), answer(), answer()]);
    let second = answers((0..4).map(|_| answer()));
    let plan = Plan::new(vec![first.clone(), second]);
    for _ in 0..3 {
        assert_eq!(plan.complete().await.unwrap(), "b");
    }
    assert_eq!(plan.complete().await.unwrap(), "b");
    assert_eq!(first.calls().len(), 3, "it was not called while open");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(plan.complete().await.unwrap(), "a");

    let only = answers([Err(status(404)), Err(status(404)), Err(status(404))]);
    let plan = Plan::new(vec![only]);
    for _ in 0..3 {
        assert!(matches!(plan.complete().await, Err(PlanFailure::Provider { .. })));
    }
    tokio::time::advance(Duration::from_millis(1_500)).await;
    assert!(matches!(plan.complete().await, Err(PlanFailure::Closed { retry_after: 9, by_its_word: false })));
}

#[tokio::test(start_paused = true)]
async fn streams_count_for_the_breaker_with_their_end() {
    let provider = Scripted::new("p");
    let plan = Plan::new(vec![provider.clone()]);
    for _ in 0..3 {
        let steps = provider.then_stream();
        let mut streaming = plan.stream();
        steps.send(Ok(text("x"))).unwrap();
        drop(steps);
        let (chunks, end) = rest(&mut streaming).await;
        assert_eq!(chunks.len(), 2);
        assert!(matches!(error_of(&end.unwrap_err()).1, ProviderError::Cut));
    }
    assert!(matches!(rest(&mut plan.stream()).await.1, Err(PlanFailure::Closed { .. })));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_takes_the_call_along_and_gives_everything_back() {
    let lane = LaneSettings { max_concurrency: 1, max_queue: 0, ..LANE };
    let provider = Scripted::new("p");
    let plan = Plan::with(SETTINGS, lane, vec![provider.clone()]);
    for content in [false, true] {
        let steps = provider.then_stream();
        let mut streaming = plan.stream();
        if content {
            steps.send(Ok(text("a"))).unwrap();
            assert!(matches!(streaming.next().await, Ok(Step::Begun(_))));
        }
        // The place is taken.
        assert!(matches!(rest(&mut plan.stream()).await.1, Err(PlanFailure::Full)));
        drop(streaming);
        steps.closed().await;
    }
    assert_eq!(finish_one(&provider, &plan).await, 2);
}

/// A stream that is answered: how many steps came.
async fn finish_one(provider: &Scripted, plan: &Plan) -> usize {
    // The task of the one before ends in its own time.
    tokio::task::yield_now().await;
    let steps: UnboundedSender<_> = provider.then_stream();
    for event in [text("x"), StreamEvent::Done] {
        steps.send(Ok(event)).unwrap();
    }
    let (chunks, end) = rest(&mut plan.stream()).await;
    end.unwrap();
    chunks.len()
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_left_does_not_stay_the_last() {
    let provider = answers((0..3).map(|_| Err(status(404))));
    let plan = Plan::new(vec![provider.clone()]);
    for _ in 0..3 {
        assert!(plan.complete().await.is_err());
    }
    tokio::time::advance(Duration::from_secs(10)).await;
    let steps = provider.then_stream();
    let streaming = plan.stream();
    while provider.calls().len() < 4 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(rest(&mut plan.stream()).await.1, Err(PlanFailure::Closed { retry_after: 1, .. })), "one probe");
    drop(streaming);
    steps.closed().await;
    assert_eq!(finish_one(&provider, &plan).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_probe_has_found_out_with_its_first_content() {
    let provider = answers((0..3).map(|_| Err(status(404))));
    let plan = Plan::new(vec![provider.clone()]);
    for _ in 0..3 {
        assert!(plan.complete().await.is_err());
    }
    tokio::time::advance(Duration::from_secs(10)).await;
    let steps = provider.then_stream();
    let mut long = plan.stream();
    steps.send(Ok(text("a"))).unwrap();
    assert!(matches!(long.next().await, Ok(Step::Begun(_))));
    assert_eq!(finish_one(&provider, &plan).await, 2, "while the long answer goes on");
    // Its end counts all the same.
    steps.send(Err(ProviderError::Cut)).unwrap();
    assert!(rest(&mut long).await.1.is_err());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_place_does_not_call_what_has_gone_down() {
    let lane = LaneSettings { max_concurrency: 1, max_queue: 9, ..LANE };
    let breakers = SETTINGS.breakers.map(|breakers| BreakerSettings { min_calls: 1, ..breakers });
    let provider = Scripted::new("p");
    let plan = Plan::with(ChatSettings { breakers, ..SETTINGS }, lane, vec![provider.clone()]);
    let steps = provider.then_stream();
    let mut first = plan.stream();
    while provider.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    let mut waiting = plan.stream();
    tokio::task::yield_now().await;
    steps.send(Err(ProviderError::Garbage("x"))).unwrap();
    assert!(rest(&mut first).await.1.is_err());
    assert!(matches!(rest(&mut waiting).await.1, Err(PlanFailure::Closed { .. })));
    assert_eq!(provider.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_provider_is_passed_over() {
    let lane = LaneSettings { max_concurrency: 1, max_queue: 0, ..LANE };
    let (first, second) = (Scripted::new("p"), answers([answer()]));
    let plan = Plan::with(SETTINGS, lane, vec![first.clone(), second]);
    let _steps = first.then_stream();
    let _open = plan.stream();
    while first.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(plan.complete().await.unwrap(), "b");
}
