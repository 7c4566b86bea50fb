//! What the program does besides serving: each command makes the text that is printed.

mod keys;
mod migrate;
mod slo;
mod usage;

pub(crate) use self::{
    keys::keys,
    migrate::migrated,
    slo::slo,
    usage::{NoUsage, usage},
};
