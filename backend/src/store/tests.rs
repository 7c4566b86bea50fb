//! What holds of every store.

pub(crate) mod bench;
pub(crate) mod business;
pub(crate) mod conversations;
pub(crate) mod incidents;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod slo_counts;

pub(crate) use self::bench::Kept;

/// Instantiates the tests for one kind of store: an async function of a test's name that gives an empty [`Kept`], or
/// `None` where the machine lacks what it needs.
macro_rules! store_contract {
    ($bench:path) => {
        $crate::store::tests::store_contract!(
            $bench,
            ledger: [
                a_request_is_claimed_once_and_settled_once,
                what_was_charged_is_what_was_settled_and_what_is_reserved,
                use_is_added_up_by_whatever_is_asked,
                many_settle_at_once_and_every_sum_is_exact,
                only_the_try_that_opened_a_row_settles_it,
                an_opening_that_nobody_waits_for_leaves_nothing_open,
            ],
            keys: [keys_are_kept_rotated_and_revoked],
            conversations: [
                turns_are_added_once_and_only_to_ones_own,
                answers_in_one_conversation_number_their_turns_one_by_one,
                a_turn_for_what_was_deleted_is_settled_without_it,
                lists_go_on_where_they_ended_and_the_old_expire,
            ],
            business: [rollups_are_what_a_look_at_each_row_finds, what_is_open_is_waited_for],
            incidents: [incidents_are_kept_as_they_were_told_last],
            slo_counts: [counts_of_objectives_are_kept_by_run_and_add_up],
        );
    };
    ($bench:path, $($module:ident: [$($name:ident),* $(,)?]),* $(,)?) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(kept) = $bench(stringify!($name)).await else { return };
                $crate::store::tests::$module::$name(kept).await;
            }
        )*)*
    };
}
pub(crate) use store_contract;
