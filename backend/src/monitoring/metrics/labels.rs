//! The values that labels may have.

use opentelemetry::KeyValue;

/// An enumeration whose values are those of a label.
macro_rules! label {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum $name { $($(#[$variant_meta])* $variant,)* }

        impl $name {
            /// All of them.
            #[allow(dead_code, reason = "not asked of every label")]
            pub(crate) const ALL: [Self; [$(Self::$variant),*].len()] = [$(Self::$variant),*];

            /// The value of the label.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

label! {
    /// By which kind of credential somebody says who he is.
    AuthMethod {
        /// An API key.
        ApiKey = "api_key",
        /// A token of somebody else.
        Jwt = "jwt",
        /// None.
        None = "none",
    }
}

label! {
    /// What came of it.
    AuthOutcome {
        /// It is known who asks, or that nobody needs to say it.
        Accepted = "accepted",
        /// The credential does not count, or there is none. The client's fault.
        Rejected = "rejected",
        /// It cannot be said. Ours.
        Error = "error",
    }
}

label! {
    /// How a chat request is answered.
    Mode {
        /// In one piece.
        Unary = "unary",
        /// Piece by piece.
        Stream = "stream",
    }
}

label! {
    /// What became of a request for an answer of a model.
    RequestOutcome {
        /// A provider answered it.
        Answered = "answered",
        /// None did that was called.
        Failed = "failed",
        /// None could be called.
        Unavailable = "unavailable",
        /// It is the request's own fault.
        Rejected = "rejected",
        /// The client left.
        Cancelled = "cancelled",
    }
}

label! {
    /// What is exported.
    Signal {
        /// Spans.
        Traces = "traces",
        /// Data points.
        Metrics = "metrics",
        /// Lines of the log.
        Logs = "logs",
    }
}

label! {
    /// Why something of it was lost.
    DropReason {
        /// There was no room for it.
        QueueFull = "queue_full",
        /// It could not be sent.
        ExportFailed = "export_failed",
        /// The collector did not want it.
        Rejected = "rejected",
        /// The exporter broke.
        Panicked = "panicked",
    }
}

/// A call of a store, by what the conventions want to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreCall {
    /// `sqlite`, `postgresql` or `redis`.
    pub(crate) system: &'static str,
    /// What is done.
    pub(crate) operation: &'static str,
    /// To which table, or to which kind of key.
    pub(crate) collection: &'static str,
}

impl StoreCall {
    /// The labels.
    pub(super) fn attributes(self) -> [KeyValue; 3] {
        [
            KeyValue::new("db.system.name", self.system),
            KeyValue::new("db.operation.name", self.operation),
            KeyValue::new("db.collection.name", self.collection),
        ]
    }
}

/// A method that is one of HTTP's; `_OTHER` for all others.
pub(super) fn known(method: &str) -> &'static str {
    const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    METHODS.into_iter().find(|known| *known == method).unwrap_or("_OTHER")
}
