//! What holds of limits wherever they are counted, and what only servers can do.

mod bench;
pub(crate) mod contract;
mod known_ledger;
mod outage;
mod postgres;
mod process;
mod redis;
mod together;

pub(crate) use self::{bench::Bench, known_ledger::KnownLedger};

/// Instantiates the tests for one way of counting: an async function of a test's name and the [`KnownLedger`] that its
/// counters begin with, which gives a [`Bench`], or `None` where the machine lacks what it needs.
macro_rules! limits_contract {
    ($bench:path) => {
        $crate::store::limits::tests::limits_contract!(
            $bench,
            a_limit_is_reached_and_not_passed,
            everything_is_taken_or_nothing,
            what_was_not_used_is_put_back_once,
            windows_are_those_in_which_requests_begin,
            of_one_try_there_is_one_reservation,
            a_try_that_was_given_up_keeps_no_other_from_the_request,
            a_reservation_that_nobody_waits_for_is_released,
            counters_begin_with_what_the_ledger_says,
            names_that_look_alike_are_counted_apart,
            many_callers_never_pass_a_limit_and_lose_nothing,
            random_steps_agree_with_a_simple_model,
        );
    };
    ($bench:path, $($name:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let ledger = std::sync::Arc::new($crate::store::limits::tests::KnownLedger::default());
                let Some(bench) = $bench(stringify!($name), ledger.clone()).await else { return };
                $crate::store::limits::tests::contract::$name(bench, ledger).await;
            }
        )*
    };
}
pub(crate) use limits_contract;
