//! What can go wrong with a provider.

/// One way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nobody listens at the port.
    RefusedConnection,
    /// Nobody accepts at the port, and the system has no room for those who wait: packets go unanswered, as behind a
    /// firewall that drops them.
    ConnectTimeout,
    /// The connection is reset (RST) when the request was read.
    Reset,
    /// The base URL says `https`, the port speaks plain text.
    TlsFailure,
    /// The base URL's host does not resolve.
    UnknownHost,
    /// 400.
    BadRequest,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 429 that does not say for how long.
    RateLimited,
    /// 429 with `retry-after: 60`: long enough for who asks again at once, on a busy machine too.
    RateLimitedWithRetryAfter,
    /// 429 with `retry-after: 1`, for who waits. Not one of [`Self::ALL`], as it differs from the other in nothing else.
    RateLimitedBriefly,
    /// 500.
    InternalError,
    /// 529, as Anthropic says that it is overloaded.
    Overloaded,
    /// The request is read, and nothing is ever answered.
    SlowHead,
    /// A head and what comes before the first content (the role), then silence; in one piece: a head alone.
    SlowFirstToken,
    /// The first content, then silence; in one piece: half of it.
    SilenceBetweenTokens,
    /// Half of a status line, then the end of the connection.
    CutHead,
    /// The end of the connection before the first content, with the body not ended.
    CutBeforeContent,
    /// The end of the body within the event with the first content, in good order; in one piece: half of the answer as if
    /// it were all.
    CutInEvent,
    /// The end of the connection after the first content, with the body not ended.
    CutAfterContent,
    /// 200 with the right content type, and a body that is neither JSON nor events with JSON.
    Garbage,
    /// 200 with a line of 9 MiB, otherwise as it should be.
    HugeLine,
    /// 200 with a page of HTML.
    WrongContentType,
    /// 302 to another port.
    Found,
    /// 307, which keeps method and body, to another port.
    TemporaryRedirect,
    /// 200 with no body.
    EmptyBody,
    /// 200 that says nothing: without a choice; as a stream, an end alone.
    NothingSaid,
    /// 200, and in place of an answer or of its first content an error: too much load.
    ReportedOverload,
    /// The same: an error of the server.
    ReportedError,
    /// The same: the request is at fault.
    ReportedRejection,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 29] = [
        Self::RefusedConnection,
        Self::ConnectTimeout,
        Self::Reset,
        Self::TlsFailure,
        Self::UnknownHost,
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::RateLimited,
        Self::RateLimitedWithRetryAfter,
        Self::InternalError,
        Self::Overloaded,
        Self::SlowHead,
        Self::SlowFirstToken,
        Self::SilenceBetweenTokens,
        Self::CutHead,
        Self::CutBeforeContent,
        Self::CutInEvent,
        Self::CutAfterContent,
        Self::Garbage,
        Self::HugeLine,
        Self::WrongContentType,
        Self::Found,
        Self::TemporaryRedirect,
        Self::EmptyBody,
        Self::NothingSaid,
        Self::ReportedOverload,
        Self::ReportedError,
        Self::ReportedRejection,
    ];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RefusedConnection => "refused connection",
            Self::ConnectTimeout => "connect time-out",
            Self::Reset => "reset",
            Self::TlsFailure => "TLS failure",
            Self::UnknownHost => "unknown host",
            Self::BadRequest => "400",
            Self::Unauthorized => "401",
            Self::Forbidden => "403",
            Self::RateLimited => "429",
            Self::RateLimitedWithRetryAfter => "429 with retry-after",
            Self::RateLimitedBriefly => "429 with a short retry-after",
            Self::InternalError => "500",
            Self::Overloaded => "529",
            Self::SlowHead => "slow head",
            Self::SlowFirstToken => "slow first token",
            Self::SilenceBetweenTokens => "silence between tokens",
            Self::CutHead => "cut head",
            Self::CutBeforeContent => "cut before content",
            Self::CutInEvent => "cut in event",
            Self::CutAfterContent => "cut after content",
            Self::Garbage => "garbage",
            Self::HugeLine => "huge line",
            Self::WrongContentType => "wrong content type",
            Self::Found => "302",
            Self::TemporaryRedirect => "307",
            Self::EmptyBody => "empty body",
            Self::NothingSaid => "nothing said",
            Self::ReportedOverload => "reported overload",
            Self::ReportedError => "reported error",
            Self::ReportedRejection => "reported rejection",
        }
    }

    /// Whether a stream with it has shown content, so that nobody else can be asked any more.
    #[must_use]
    pub fn comes_after_content(self) -> bool {
        matches!(self, Self::SilenceBetweenTokens | Self::CutAfterContent)
    }

    /// Whether only a time-out ends it.
    #[must_use]
    pub fn is_silence(self) -> bool {
        matches!(self, Self::ConnectTimeout | Self::SlowHead | Self::SlowFirstToken | Self::SilenceBetweenTokens)
    }

    /// Whether it strikes before a request is read.
    #[must_use]
    pub fn keeps_requests_out(self) -> bool {
        matches!(self, Self::RefusedConnection | Self::ConnectTimeout | Self::TlsFailure | Self::UnknownHost)
    }
}
