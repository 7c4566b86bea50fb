//! `[service]`: the listener that takes requests.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use goblin_shared::limits;

use super::{
    reader::Reader,
    value::{Bytes, Count},
};

/// How requests are taken.
#[derive(Clone, Debug)]
pub(crate) struct ServiceConfig {
    /// `service.listen`, `GOBLIN_SERVICE__LISTEN`: address and port. Default `127.0.0.1:8080`.
    pub(crate) listen: SocketAddr,
    /// `service.body_limit`, `GOBLIN_SERVICE__BODY_LIMIT`: largest request body in bytes. Default 4 MiB.
    pub(crate) body_limit: usize,
    /// `service.shutdown_grace`, `GOBLIN_SERVICE__SHUTDOWN_GRACE`: how long open requests may go on after the signal to
    /// end. Default 30 s.
    pub(crate) shutdown_grace: Duration,
    /// `service.max_requests`, `GOBLIN_SERVICE__MAX_REQUESTS`: requests in flight; more are refused with 503. Default 4096.
    pub(crate) max_requests: usize,
}

impl ServiceConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        Self {
            listen: reader.or(&["service", "listen"], default),
            body_limit: reader.or(&["service", "body_limit"], Bytes(limits::BODY_BYTES)).0,
            shutdown_grace: reader.or(&["service", "shutdown_grace"], Duration::from_secs(30)),
            max_requests: reader.or(&["service", "max_requests"], Count(4_096)).0,
        }
    }
}
