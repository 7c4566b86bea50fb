//! The HTTP client of the tests.

use reqwest::Client;

/// Chooses the cryptography of TLS for this process. In one build with the backend, which chooses for itself, reqwest
/// comes without one and refuses to make a client, though the tests speak plain HTTP only. May be called many times.
pub fn choose_cryptography() {
    // Fails only if one was chosen already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client with connections of its own.
#[must_use]
pub fn new() -> Client {
    choose_cryptography();
    Client::new()
}
