//! Plans under any outcomes.

use super::*;

/// Answers by a list of outcomes that all providers of a plan share, and notes who was called.
struct Noting {
    index: usize,
    called: Arc<std::sync::Mutex<Vec<usize>>>,
    outcomes: Arc<Vec<u8>>,
    next: Arc<AtomicU32>,
}

#[async_trait::async_trait]
impl Provider for Noting {
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
        self.called.lock().unwrap().push(self.index);
        let number = self.next.fetch_add(1, Ordering::Relaxed) as usize;
        match self.outcomes.get(number).copied().unwrap_or_default() {
            0 | 1 => answer(),
            2 => Err(status(500)),
            3 => Err(overloaded(None)),
            4 => Err(overloaded(Some(1))),
            5 => Err(unreachable()),
            6 => Err(ProviderError::Garbage("x")),
            7 => Err(ProviderError::TimedOut { what: "x", limit: Duration::ZERO }),
            _ => Err(rejected()),
        }
    }

    fn stream(&self, _call: Call) -> crate::ports::AnswerStream {
        panic!("only whole answers are asked for")
    }
}

proptest! {
    /// Whatever happens, over several requests: entries are called in plan order, none more often than configured, no
    /// call follows an answer, and the time for the first content is kept.
    #[test]
    fn a_plan_is_never_reordered(
        providers in 1..5_usize,
        requests in prop::collection::vec(prop::collection::vec(0..9_u8, 1..12), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let called = Arc::new(std::sync::Mutex::new(Vec::new()));
            let next = Arc::new(AtomicU32::new(0));
            let outcomes: Arc<Vec<u8>> = Arc::new(requests.concat());
            let providers: Vec<Arc<dyn Provider>> = (0..providers)
                .map(|index| {
                    let (called, outcomes, next) = (called.clone(), outcomes.clone(), next.clone());
                    Arc::new(Noting { index, called, outcomes, next }) as Arc<dyn Provider>
                })
                .collect();
            let plan = Plan::new(providers.clone());
            for _ in &requests {
                let start = Instant::now();
                let before = next.load(Ordering::Relaxed) as usize;
                let result = plan.complete().await;
                let order = std::mem::take(&mut *called.lock().unwrap());
                prop_assert!(order.is_sorted(), "{order:?}");
                for index in 0..providers.len() {
                    prop_assert!(order.iter().filter(|called| **called == index).count() <= 2, "{order:?}");
                }
                let outcomes: Vec<u8> =
                    (before..before + order.len()).map(|at| outcomes.get(at).copied().unwrap_or_default()).collect();
                let ends = |outcome: &u8| matches!(outcome, 0 | 1);
                prop_assert!(!outcomes.iter().rev().skip(1).any(ends), "{outcomes:?}");
                prop_assert_eq!(result.is_ok(), outcomes.last().is_some_and(|last| *last <= 1));
                prop_assert!(start.elapsed() <= SETTINGS.timeouts.first_content);
            }
            Ok(())
        })?;
    }
}
