//! What a stream may and may not do.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_before_its_first_content_leaves_no_trace() {
    let (first, second) = (Scripted::new("p"), Scripted::new("q"));
    let without_breakers = ChatSettings { breakers: None, ..SETTINGS };
    let plan = Plan::with(without_breakers, LANE, vec![first.clone(), second.clone()]);
    for how in [Err(ProviderError::Cut), Err(status(500)), Err(ProviderError::Garbage("x"))] {
        let again = !matches!(how, Err(ProviderError::Garbage(_)));
        let steps = first.then_stream();
        steps.send(Ok(StreamEvent::Opened(Some(200)))).unwrap();
        steps.send(Ok(scripted::delta("{}"))).unwrap();
        steps.send(how).unwrap();
        let answering = if again { &first } else { &second };
        let more = answering.then_stream();
        for event in [text("hello"), StreamEvent::Done] {
            more.send(Ok(event)).unwrap();
        }
        let (chunks, end) = rest(&mut plan.stream()).await;
        end.unwrap();
        assert_eq!(chunks.len(), 2, "{chunks:?}");
        assert_eq!(chunks[0], if again { "from a" } else { "from b" });
        assert!(chunks[1].contains("hello"));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_tried_after_the_first_content() {
    let (first, second) = (Scripted::new("p"), Scripted::new("q"));
    let plan = Plan::new(vec![first.clone(), second.clone()]);
    let steps = first.then_stream();
    for step in [Ok(text("a")), Ok(text("b")), Err(status(500))] {
        steps.send(step).unwrap();
    }
    let (chunks, end) = rest(&mut plan.stream()).await;
    assert_eq!((chunks.len(), error_of(&end.unwrap_err()).0), (3, "a"));
    assert!(second.calls().is_empty() && first.calls().len() == 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_provider_is_given_less_time_while_another_is_left() {
    let (first, second) = (Scripted::new("p"), Scripted::new("q"));
    let (one, other) = (first.then_stream(), second.then_stream());
    let plan = Plan::new(vec![first, second]);
    let start = Instant::now();
    let mut streaming = plan.stream();
    one.send(Ok(scripted::delta("{}"))).unwrap();
    one.closed().await;
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    // The last one has what is left of the whole.
    let (chunks, end) = rest(&mut streaming).await;
    assert!(chunks.is_empty());
    let failure = end.unwrap_err();
    let (from, error) = error_of(&failure);
    assert!(from == "b" && matches!(error, ProviderError::TimedOut { .. }), "{error}");
    assert_eq!(start.elapsed(), Duration::from_mins(1));
    assert!(other.is_closed());
}

#[tokio::test(start_paused = true)]
async fn silence_and_length_of_a_stream_are_bounded_whoever_reads() {
    let provider = Scripted::new("p");
    let steps = provider.then_stream();
    let mut streaming = Plan::new(vec![provider.clone()]).stream();
    steps.send(Ok(text("a"))).unwrap();
    let start = Instant::now();
    // Nobody reads; the provider is let go all the same.
    steps.closed().await;
    assert_eq!(start.elapsed(), Duration::from_secs(20));
    let (chunks, end) = rest(&mut streaming).await;
    assert!(chunks.len() == 2 && matches!(error_of(&end.unwrap_err()).1, ProviderError::TimedOut { .. }));

    let steps = provider.then_stream();
    let _streaming = Plan::new(vec![provider]).stream();
    let start = Instant::now();
    let talking = tokio::spawn(async move {
        while steps.send(Ok(text("a"))).is_ok() {
            tokio::time::sleep(Duration::from_secs(15)).await;
        }
    });
    // After sixteen waiting chunks its sender waits too, and the whole is bounded still.
    talking.await.unwrap();
    assert!(start.elapsed() <= Duration::from_secs(600 + 15), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn large_events_wait_one_by_one() {
    let provider = Scripted::new("p");
    let steps = provider.then_stream();
    let mut streaming = Plan::new(vec![provider]).stream();
    let large = "x".repeat(1024 * 1024);
    for _ in 0..5 {
        steps.send(Ok(text(&large))).unwrap();
    }
    steps.send(Ok(StreamEvent::Done)).unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(streaming.waiting() <= 2, "{} wait", streaming.waiting());
    let (chunks, end) = rest(&mut streaming).await;
    end.unwrap();
    assert_eq!(chunks.iter().map(String::len).sum::<usize>() / large.len(), 5);
}
