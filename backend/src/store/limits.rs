//! Where use is counted: in the process, or on servers that several instances share.

mod counters;
mod postgres;
mod process;
mod redis;
mod settling;
mod window;

#[cfg(test)]
mod tests;

pub(crate) use self::{postgres::PostgresLimits, process::ProcessLimits, redis::RedisLimits, window::window};
