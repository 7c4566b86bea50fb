//! Who may come in.

pub mod key_directory;
pub mod user_agent;
