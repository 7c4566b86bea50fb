//! The harness: starts the product as a user would, and stands around it in tests.

pub mod api_key;
pub mod backend;
pub mod edge;
pub mod process;
pub mod process_log;
pub mod readiness;
pub mod secret;
pub mod signing_key;
pub mod stack;
pub mod workspace;

#[cfg(feature = "peers")]
pub mod chromium;
#[cfg(feature = "peers")]
pub mod fault_server;
#[cfg(feature = "peers")]
pub mod http_client;
#[cfg(feature = "peers")]
pub mod http_peer;
#[cfg(feature = "peers")]
pub mod key_directory;
#[cfg(feature = "peers")]
pub mod ledger_reader;
#[cfg(feature = "peers")]
pub mod origin;
#[cfg(feature = "peers")]
pub mod otlp_sink;
#[cfg(feature = "peers")]
pub mod page_server;
#[cfg(feature = "peers")]
pub mod patience;
#[cfg(feature = "peers")]
pub mod resources;
#[cfg(feature = "peers")]
pub mod siteverify;
#[cfg(feature = "peers")]
pub mod soak;
#[cfg(feature = "peers")]
pub mod upstream;

#[cfg(feature = "servers")]
pub mod postgres;
#[cfg(feature = "servers")]
pub mod redis;
#[cfg(feature = "servers")]
pub mod server;
