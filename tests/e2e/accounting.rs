//! Who asked, what it cost, what was said: that it survives whatever happens, that no limit is ever passed, and that
//! nothing is kept which nobody wanted kept.

pub(crate) mod bench;
mod canary;
mod disk_full;
mod drawn;
mod figures;
mod instances;
mod invariants;
mod keys;
mod kills;
mod limited;
mod load;
mod locked;
pub(crate) mod outages;
pub(crate) mod provider;
mod seen;

use crate::suite::Suite;

pub(crate) fn register(suite: &mut Suite) {
    kills::register(suite);
    disk_full::register(suite);
    locked::register(suite);
    outages::register(suite);
    instances::register(suite);
    canary::register(suite);
    limited::register(suite);
    keys::register(suite);
}
