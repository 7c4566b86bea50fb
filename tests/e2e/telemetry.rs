//! What the backend tells of itself: that it is true, that it is wanted, and that it is in nobody's way.

mod agreement;
mod collectors;
pub(crate) mod environment;
mod exposition;

use crate::suite::Suite;

pub(crate) fn register(suite: &mut Suite) {
    agreement::register(suite);
    collectors::register(suite);
    environment::register(suite);
}
