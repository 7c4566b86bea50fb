//! Counts of objectives in every store.

use super::Kept;
use crate::ports::SloCount;

fn count(slo: &str, minute: u32, good: u64, valid: u64) -> SloCount {
    SloCount { slo: slo.to_owned(), minute, good, valid }
}

/// What runs say again replaces what they said; runs add up; what is old goes.
pub(crate) async fn counts_of_objectives_are_kept_by_run_and_add_up(kept: Kept) {
    let store = &kept.slo_counts;
    let (one, other, reader) = ([1; 16], [2; 16], [3; 16]);
    store.write(one, &[count("auth", 10, 1, 2), count("llm", 10, 5, 5)]).await.unwrap();
    store.write(one, &[count("auth", 10, 3, 4), count("auth", 11, 1, 1)]).await.unwrap();
    store.write(other, &[count("auth", 10, 10, 20)]).await.unwrap();
    let mut all = store.read(reader, 0).await.unwrap();
    all.sort_by(|a, b| (&a.slo, a.minute).cmp(&(&b.slo, b.minute)));
    assert_eq!(all, [count("auth", 10, 13, 24), count("auth", 11, 1, 1), count("llm", 10, 5, 5)]);
    assert_eq!(store.read(one, 10).await.unwrap(), [count("auth", 10, 10, 20)]);
    assert_eq!(store.read(other, 11).await.unwrap(), [count("auth", 11, 1, 1)]);
    store.forget(11).await.unwrap();
    assert_eq!(store.read(reader, 0).await.unwrap(), [count("auth", 11, 1, 1)]);
}
