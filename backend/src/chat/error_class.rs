//! What an error means: for the breakers, and for what is tried next.

use crate::ports::{Obstacle, ProviderError};

/// Who is to blame for a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The request: the next one may do well.
    Request,
    /// The way to the provider, for all of its models.
    Connection,
    /// The provider's answer, for this model.
    Answer,
    /// Nobody knows: nothing came in time.
    Silence,
    /// The load alone: the provider works, and takes no more for now.
    Load,
}

/// Who is to blame for this error.
pub(super) fn blame(error: &ProviderError) -> Blame {
    match error {
        ProviderError::Rejected { .. } => Blame::Request,
        ProviderError::Unreachable { .. } => Blame::Connection,
        ProviderError::TimedOut { .. } => Blame::Silence,
        // A key that is refused or used up says nothing of the model, as long as there is another.
        ProviderError::Overloaded { .. } | ProviderError::Unauthorized { other_key: true, .. } => Blame::Load,
        ProviderError::Unauthorized { .. }
        | ProviderError::Status { .. }
        | ProviderError::Broken(_)
        | ProviderError::Cut
        | ProviderError::Reported { .. }
        | ProviderError::Garbage(_) => Blame::Answer,
    }
}

/// What may help after an error that came before the first content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The same provider at once, with another key.
    OtherKey,
    /// The same provider again after a pause, else the next one: it may have been a moment's trouble.
    Again,
    /// The next one; the same again only when it is the last, after the pause that it asks for.
    Wait,
    /// The next one: the same again would do no better.
    Next,
}

/// What may help after this error.
pub(super) fn remedy(error: &ProviderError) -> Remedy {
    match error {
        ProviderError::Unauthorized { other_key: true, .. } | ProviderError::Overloaded { other_key: true, .. } => {
            Remedy::OtherKey
        }
        ProviderError::Overloaded { .. } | ProviderError::Status { retry_after: Some(_), status: 500.., .. } => {
            Remedy::Wait
        }
        // Waiting for a connection has cost enough time already.
        ProviderError::Unreachable { why: Obstacle::TimedOut, .. } => Remedy::Next,
        ProviderError::Status { status: 408 | 409 | 425 | 500 | 502..=504 | 520..=529, .. }
        | ProviderError::Unreachable { .. }
        | ProviderError::Broken(_)
        | ProviderError::Cut
        | ProviderError::Reported { .. } => Remedy::Again,
        // What one model finds too long, or has no setting for, another may take: it is the client's fault only when
        // nobody does better.
        ProviderError::Rejected { .. }
        | ProviderError::Unauthorized { .. }
        | ProviderError::Status { .. }
        | ProviderError::Garbage(_)
        | ProviderError::TimedOut { .. } => Remedy::Next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::UpstreamDetail;

    #[test]
    fn every_class_has_its_blame_and_its_remedy() {
        let detail = UpstreamDetail::default;
        let cause = || std::io::Error::other("x").into();
        let status = |status, retry_after| ProviderError::Status { status, retry_after, detail: detail() };
        let overloaded = |other_key| ProviderError::Overloaded { retry_after: None, other_key, detail: detail() };
        let unauthorized = |other_key| ProviderError::Unauthorized { status: 401, other_key, detail: detail() };
        for (error, blamed, helps) in [
            (ProviderError::Rejected { status: 400, message: None, detail: detail() }, Blame::Request, Remedy::Next),
            (unauthorized(true), Blame::Load, Remedy::OtherKey),
            (unauthorized(false), Blame::Answer, Remedy::Next),
            (overloaded(true), Blame::Load, Remedy::OtherKey),
            (overloaded(false), Blame::Load, Remedy::Wait),
            (status(500, None), Blame::Answer, Remedy::Again),
            (status(529, None), Blame::Answer, Remedy::Again),
            (status(503, Some(1)), Blame::Answer, Remedy::Wait),
            (status(408, None), Blame::Answer, Remedy::Again),
            (status(404, None), Blame::Answer, Remedy::Next),
            (status(501, None), Blame::Answer, Remedy::Next),
            (status(302, Some(1)), Blame::Answer, Remedy::Next),
            (ProviderError::Unreachable { why: Obstacle::Dns, cause: cause() }, Blame::Connection, Remedy::Again),
            (ProviderError::Unreachable { why: Obstacle::TimedOut, cause: cause() }, Blame::Connection, Remedy::Next),
            (ProviderError::Broken(cause()), Blame::Answer, Remedy::Again),
            (ProviderError::Cut, Blame::Answer, Remedy::Again),
            (ProviderError::Reported { overloaded: true, detail: detail() }, Blame::Answer, Remedy::Again),
            (ProviderError::Garbage("x"), Blame::Answer, Remedy::Next),
            (ProviderError::TimedOut { what: "x", limit: std::time::Duration::ZERO }, Blame::Silence, Remedy::Next),
        ] {
            assert_eq!((blame(&error), remedy(&error)), (blamed, helps), "{error}");
        }
    }
}
