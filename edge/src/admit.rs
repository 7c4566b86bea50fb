//! Whether a request is let in.

pub mod user_agent;
