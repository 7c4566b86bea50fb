//! Whether the backend leaves anything behind. `cargo xtask soak` asks the same for longer.

use goblin_tests::soak::{self, SoakOptions};

use crate::suite::Suite;

pub(crate) fn register(suite: &mut Suite) {
    suite.test("a_short_soak_leaves_nothing_behind", a_short_soak_leaves_nothing_behind);
}

async fn a_short_soak_leaves_nothing_behind() {
    let report = soak::run(SoakOptions::short()).await.unwrap();
    assert_eq!(report.violations(), [""; 0], "{report}");
}
