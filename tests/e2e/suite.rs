//! How tests are registered and run: async functions on one runtime, some at a time, with skips that say why.

use std::{env, process::ExitCode, sync::LazyLock};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{observability, shared_stack};

/// Registers async functions that take the shared stack, by their own names.
macro_rules! tests {
    ($suite:ident, $($name:ident),* $(,)?) => {
        $($suite.test(stringify!($name), || async { $name(shared().await).await });)*
    };
}
pub(crate) use tests;

/// They wait more than they compute, so that some more than a small machine's cores is right.
const TESTS_AT_A_TIME: usize = 4;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap_or_else(|error| panic!("no runtime: {error}"))
});

/// The tests of this run.
#[derive(Default)]
pub(crate) struct Suite {
    trials: Vec<Trial>,
}

/// How a test that did not panic ended.
pub(crate) enum Outcome {
    Passed,
    /// The machine lacks what the test needs.
    Skipped(String),
    Failed(String),
}

/// `return skip("Python is missing");` in a test that returns an [`Outcome`].
pub(crate) fn skip(reason: impl Into<String>) -> Outcome {
    Outcome::Skipped(reason.into())
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::Passed
    }
}

impl From<anyhow::Result<()>> for Outcome {
    fn from(result: anyhow::Result<()>) -> Self {
        result.map_or_else(|error| Self::Failed(format!("{error:#}")), |()| Self::Passed)
    }
}

impl Suite {
    /// Adds a test: an async function that panics when it fails and returns nothing, a result or an [`Outcome`].
    pub(crate) fn test<F>(&mut self, name: &'static str, run: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output: Into<Outcome>> + Send + 'static,
    {
        self.trials.push(Trial::ignorable_test(name, move || {
            let (mut interrupted, future) = (INTERRUPTED.subscribe(), run());
            let outcome = RUNTIME.block_on(async {
                tokio::select! {
                    outcome = future => outcome.into(),
                    _ = interrupted.wait_for(|interrupted| *interrupted) => Outcome::Failed("interrupted".to_owned()),
                }
            });
            match outcome {
                Outcome::Passed => Ok(Completion::Completed),
                Outcome::Failed(reason) => Err(Failed::from(reason)),
                Outcome::Skipped(reason) if env::var_os("GOBLIN_TEST_REQUIRE_ALL").is_some() => {
                    Err(Failed::from(format!("nothing may be skipped, but {reason}")))
                }
                Outcome::Skipped(reason) => {
                    println!("SKIPPED {name}: {reason}");
                    Ok(Completion::ignored_with(reason))
                }
            }
        }));
    }

    /// Runs them as the command line says, then ends what they share.
    pub(crate) fn run(self) -> ExitCode {
        // Once for all tests, which make clients as they like.
        goblin_tests::http_client::choose_cryptography();
        let mut arguments = Arguments::from_args();
        arguments.test_threads.get_or_insert(TESTS_AT_A_TIME);
        RUNTIME.spawn(listen_for_interrupts());
        let conclusion = libtest_mimic::run(&arguments, self.trials);
        RUNTIME.block_on(async { tokio::join!(shared_stack::end(), observability::end()) });
        conclusion.exit_code()
    }
}

/// Whether somebody asked this run to end. Running tests fail then and the others do not begin, so that the processes
/// of all are ended in the ordinary way.
static INTERRUPTED: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

async fn listen_for_interrupts() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    INTERRUPTED.send_replace(true);
}
