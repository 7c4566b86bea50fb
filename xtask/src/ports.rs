//! Ports of the listeners that `cargo xtask dev` starts.

use std::net::TcpListener;

use anyhow::{Context as _, Result};

use crate::progress::say;

/// The first free port of 127.0.0.1 from `usual` on that is not among `taken`; says so when it is another.
pub(crate) fn free_from(usual: u16, whose: &str, taken: &[u16]) -> Result<u16> {
    let port = (usual..=u16::MAX)
        .filter(|port| !taken.contains(port))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .with_context(|| format!("no port from {usual} on is free for {whose}"))?;
    if port != usual {
        say(&format!("! port {usual} is taken: {whose} listens on {port} instead"));
    }
    Ok(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_ports_are_passed_over() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let usual = listener.local_addr().unwrap().port();
        let next = free_from(usual, "the test", &[]).unwrap();
        assert!(next > usual);
        assert!(free_from(usual, "the test", &[next]).unwrap() > next);
    }
}
