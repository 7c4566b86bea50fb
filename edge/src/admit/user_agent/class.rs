//! What kind of program a User-Agent names. Also read by `edge/build.rs`.

/// What kind of program a listed User-Agent names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AgentClass {
    /// Gathers text for a language model, or answers a model's questions with it.
    AiCrawler,
    /// Gathers pages for a search engine.
    SearchCrawler,
    /// Any other crawler: monitoring, advertising, feeds, link previews, scanners, archives.
    Crawler,
    /// An HTTP library or command line tool under its own name.
    ScriptedTool,
    /// A browser that a program drives.
    HeadlessBrowser,
}

impl AgentClass {
    /// Which class counts when an agent is of several, the first first: that it feeds a model matters more than how it
    /// is built, and how it is built more than what else it gathers.
    pub const PRECEDENCE: [Self; 5] =
        [Self::AiCrawler, Self::HeadlessBrowser, Self::ScriptedTool, Self::SearchCrawler, Self::Crawler];

    /// The name of the rule that refuses this class.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AiCrawler => "ai_crawler",
            Self::SearchCrawler => "search_crawler",
            Self::Crawler => "crawler",
            Self::ScriptedTool => "scripted_tool",
            Self::HeadlessBrowser => "headless_browser",
        }
    }
}
