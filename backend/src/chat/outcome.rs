//! How something ended.

/// How a request or a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was answered completely.
    Completed,
    /// It was not, and not because of the client.
    Failed,
    /// It was given up: the client left, or, for a call, the program ended.
    Cancelled,
}

impl Outcome {
    /// The attribute `goblin.outcome`.
    pub(crate) const ATTRIBUTE: &'static str = "goblin.outcome";

    /// Its value in spans and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}
