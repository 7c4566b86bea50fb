//! The rules of admission, and how seriously each is taken.

/// What becomes of a request that a rule finds fault with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is refused.
    Enforce,
    /// It is served, and telemetry says that it would have been refused.
    Observe,
    /// The rule is not looked at.
    Off,
}

/// What happens when that on which a rule depends does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The request is served.
    Open,
    /// The request is refused, with 503.
    Closed,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// A rule; its name is the reason in refusals, spans and metrics.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Rule { $($(#[$doc])* $variant,)* }

        impl Rule {
            /// Every rule, in the order in which they are looked at.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

rules! {
    /// The client's address is on the block list.
    AddressList = "address_list";
    /// The client's autonomous system is on the block list.
    AsnList = "asn_list";
    /// The client's country is on the block list, or not on the allow list.
    CountryList = "country_list";
    /// The path is on the block list.
    PathList = "path_list";
    /// The fingerprint of the TLS handshake is on the block list.
    Ja4List = "ja4_list";
    /// The client asks for what only scanners ask for, or did so a short time ago.
    Honeypot = "honeypot";
    /// It claims to be a known agent, and does not prove it.
    WebBotAuth = "web_bot_auth";
    /// It collects text for language models, or answers for one.
    AiCrawler = "ai_crawler";
    /// It collects pages for a search engine.
    SearchCrawler = "search_crawler";
    /// It is another known robot: monitors, previews, feeds, SEO, scanners.
    Crawler = "crawler";
    /// It is an HTTP library or a command line tool, without a key.
    ScriptedTool = "scripted_tool";
    /// It is a browser that a program drives.
    HeadlessBrowser = "headless_browser";
    /// It does not say what it is.
    EmptyUserAgent = "empty_user_agent";
    /// It claims to be a browser, and sends what no browser sends.
    ImpossibleHeaders = "impossible_headers";
    /// It speaks a version of TLS that browsers no longer speak.
    TlsVersion = "tls_version";
    /// Cloudflare's bot score is below the bound.
    BotScore = "bot_score";
    /// Too many requests from one address.
    AddressLimit = "address_limit";
    /// It is anonymous and has not solved Turnstile's challenge.
    Turnstile = "turnstile";
    /// Too many requests with one key.
    KeyLimit = "key_limit";
}

/// The mode of each rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules([Mode; Rule::ALL.len()]);

impl Default for Rules {
    /// All are enforced but Turnstile and Web Bot Auth, which need settings of their own.
    fn default() -> Self {
        let mut rules = Self([Mode::Enforce; Rule::ALL.len()]);
        rules.set(Rule::Turnstile, Mode::Off);
        rules.set(Rule::WebBotAuth, Mode::Off);
        rules
    }
}

impl Rules {
    /// The mode of a rule.
    #[must_use]
    pub fn mode(&self, rule: Rule) -> Mode {
        self.0[rule as usize]
    }

    /// Sets the mode of a rule.
    pub fn set(&mut self, rule: Rule, mode: Mode) {
        self.0[rule as usize] = mode;
    }

    /// Whether a rule is looked at.
    #[must_use]
    pub fn looks_at(&self, rule: Rule) -> bool {
        self.mode(rule) != Mode::Off
    }

    /// Changes what a text such as `scripted_tool=observe,headless_browser=off` names; says all that is wrong with it.
    pub fn apply(&mut self, text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, mode) = pair.split_once('=').map_or((pair, ""), |(name, mode)| (name.trim(), mode.trim()));
            let rule = Rule::ALL.iter().find(|rule| rule.as_str() == name);
            let mode = match mode {
                "enforce" => Some(Mode::Enforce),
                "observe" => Some(Mode::Observe),
                "off" => Some(Mode::Off),
                _ => None,
            };
            match (rule, mode) {
                (Some(rule), Some(mode)) => self.set(*rule, mode),
                (None, _) => {
                    let known: Vec<_> = Rule::ALL.iter().map(|rule| rule.as_str()).collect();
                    faults.push(format!("there is no rule `{name}`; there are {}", known.join(", ")));
                }
                (Some(_), None) => faults.push(format!("`{name}` must be enforce, observe or off")),
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_switched_by_name() {
        let mut rules = Rules::default();
        assert_eq!(rules.apply(" scripted_tool = observe , turnstile=enforce,, crawler=off"), Vec::<String>::new());
        assert_eq!(rules.mode(Rule::ScriptedTool), Mode::Observe);
        assert_eq!(rules.mode(Rule::Turnstile), Mode::Enforce);
        assert!(!rules.looks_at(Rule::Crawler) && rules.looks_at(Rule::ScriptedTool));
        assert_eq!(rules.mode(Rule::AiCrawler), Mode::Enforce);
    }

    #[test]
    fn all_that_is_wrong_is_said() {
        let faults = Rules::default().apply("crawlers=off,crawler,bot_score=on");
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].contains("search_crawler"), "{faults:?}");
    }

    #[test]
    fn names_are_unique_and_positions_are_the_enums() {
        for (index, rule) in Rule::ALL.iter().enumerate() {
            assert_eq!(*rule as usize, index);
            assert!(Rule::ALL[..index].iter().all(|other| other.as_str() != rule.as_str()));
        }
    }
}
