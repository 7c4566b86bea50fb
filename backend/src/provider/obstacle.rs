//! What kept a connection from being made, as far as the HTTP client tells.

use std::{error::Error, io};

use crate::ports::Obstacle;

/// Looks through the causes of an error. Names that cannot be resolved have no type of their own: the client's
/// connector tells of them by its text alone (`hyper_util::client::legacy::connect::http::ConnectError`).
pub(super) fn find(error: &(dyn Error + 'static)) -> Obstacle {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = of_one(error) {
            return found;
        }
        cause = error.source();
    }
    Obstacle::Network
}

fn of_one(error: &(dyn Error + 'static)) -> Option<Obstacle> {
    if error.is::<rustls::Error>() {
        return Some(Obstacle::Tls);
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        if error.kind() == io::ErrorKind::ConnectionRefused {
            return Some(Obstacle::Refused);
        }
        // The source of an I/O error is its inner error's source, so that the inner one would be passed by.
        if let Some(inner) = error.get_ref() {
            return of_one(inner).or_else(|| inner.source().and_then(of_one));
        }
    }
    let text = error.to_string();
    match text.as_str() {
        "dns error" => Some(Obstacle::Dns),
        "tls handshake eof" => Some(Obstacle::Tls),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("error sending request")]
    struct Outer(#[source] io::Error);

    #[test]
    fn causes_are_found_behind_others() {
        let tls = rustls::Error::General("x".to_owned());
        assert_eq!(find(&Outer(io::ErrorKind::ConnectionRefused.into())), Obstacle::Refused);
        assert_eq!(find(&Outer(io::Error::other(tls.clone()))), Obstacle::Tls);
        assert_eq!(find(&Outer(io::Error::other(Outer(io::Error::other(tls))))), Obstacle::Tls);
        assert_eq!(find(&Outer(io::ErrorKind::ConnectionReset.into())), Obstacle::Network);
    }
}
