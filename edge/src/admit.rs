//! Who may come in.

pub mod key_directory;
pub mod message_signature;
pub mod user_agent;
pub mod web_bot_auth;
