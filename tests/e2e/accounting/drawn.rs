//! Randomness that can be had again.

use std::env;

/// Names the seed of a run that is to be repeated.
const VARIABLE: &str = "GOBLIN_TEST_SEED";

/// A generator for the test of this name: of the seed in the environment, or else of a fresh one. It says which.
pub(super) fn generator(test: &str) -> fastrand::Rng {
    let given = env::var(VARIABLE).ok().map(|seed| seed.parse().unwrap_or_else(|_| panic!("{VARIABLE} is a number")));
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("{test} draws with {VARIABLE}={seed}");
    fastrand::Rng::with_seed(seed)
}
