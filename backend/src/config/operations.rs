//! `[operations]`: the listener for operators. Never to be made public.

use std::net::{Ipv4Addr, SocketAddr};

use super::reader::Reader;

/// How operators reach the program.
#[derive(Clone, Debug)]
pub(crate) struct OperationsConfig {
    /// `operations.listen`, `GOBLIN_OPERATIONS__LISTEN`: address and port. Default `127.0.0.1:9464`.
    pub(crate) listen: SocketAddr,
}

impl OperationsConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 9464));
        Self { listen: reader.or(&["operations", "listen"], default) }
    }
}
