//! The checks that tell bots from people; those who show a genuine key are not asked.

use super::{
    browser_head,
    rule::{Rule, Rules},
    user_agent::{AgentClass, classify},
};
use crate::facts::RequestFacts;

/// What the checks go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotConfig {
    /// `ALLOW_VERIFIED_BOTS`: Cloudflare's categories of verified bots that are served.
    pub allow_verified: Vec<String>,
    /// `BOT_SCORE_LEAST`: the lowest score that is served. Cloudflare gives 1 to what is certainly automated and counts
    /// below 30 as likely so.
    pub score_least: u8,
}

/// A rule that finds fault with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// The pattern of the list that the User-Agent matched.
    pub pattern: Option<&'static str>,
    /// What exactly is wrong.
    pub detail: Option<&'static str>,
}

impl From<Rule> for Finding {
    fn from(rule: Rule) -> Self {
        Self { rule, pattern: None, detail: None }
    }
}

/// Whether Cloudflare vouches for a bot of a category that is served.
#[must_use]
pub fn is_wanted(config: &BotConfig, facts: &RequestFacts) -> bool {
    let category = facts.network.verified_bot.as_ref();
    category.is_some_and(|category| config.allow_verified.iter().any(|wanted| wanted.eq_ignore_ascii_case(category)))
}

/// Everything that is wrong with a request by the rules that are looked at, the weightiest first.
#[must_use]
pub fn findings(config: &BotConfig, rules: &Rules, facts: &RequestFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(category) = &facts.network.verified_bot {
        findings.push(of_category(category).into());
    }
    let user_agent = facts.header("user-agent").unwrap_or_default().trim();
    if user_agent.is_empty() {
        findings.push(Rule::EmptyUserAgent.into());
    } else if let Some(listed) = classify(user_agent) {
        let rule = match listed.class {
            AgentClass::AiCrawler => Rule::AiCrawler,
            AgentClass::SearchCrawler => Rule::SearchCrawler,
            AgentClass::Crawler => Rule::Crawler,
            AgentClass::ScriptedTool => Rule::ScriptedTool,
            AgentClass::HeadlessBrowser => Rule::HeadlessBrowser,
        };
        findings.push(Finding { pattern: Some(listed.pattern), ..rule.into() });
    }
    // A headless browser with a changed User-Agent still hints at what it is.
    if facts.header("sec-ch-ua").is_some_and(|hints| hints.contains("HeadlessChrome")) {
        findings.push(Rule::HeadlessBrowser.into());
    }
    if rules.looks_at(Rule::ImpossibleHeaders)
        && let Some(contradiction) = browser_head::contradiction(facts)
    {
        findings.push(Finding { detail: Some(contradiction.as_str()), ..Rule::ImpossibleHeaders.into() });
    }
    // RFC 8996 ended both; no browser has offered them since 2020.
    if matches!(facts.network.tls_version.as_deref(), Some("TLSv1" | "TLSv1.0" | "TLSv1.1" | "SSLv3")) {
        findings.push(Rule::TlsVersion.into());
    }
    if facts.network.bot_score.is_some_and(|score| score > 0 && score < config.score_least) {
        findings.push(Rule::BotScore.into());
    }
    findings.retain(|finding| rules.looks_at(finding.rule));
    findings
}

/// Cloudflare's categories of verified bots, as the rules have them.
fn of_category(category: &str) -> Rule {
    match category.to_ascii_lowercase().as_str() {
        "search engine crawler" => Rule::SearchCrawler,
        "ai crawler" | "ai assistant" | "ai search" => Rule::AiCrawler,
        _ => Rule::Crawler,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admit::rule::Mode, facts::NetworkFacts};

    fn config() -> BotConfig {
        BotConfig { allow_verified: vec!["Monitoring & Analytics".into()], score_least: 30 }
    }

    fn facts(user_agent: &str) -> RequestFacts {
        let fields = [("user-agent", user_agent), ("accept", "*/*"), ("accept-language", "en")];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        RequestFacts { url: "http://e/".into(), fields, ..RequestFacts::default() }
    }

    fn rules_of(facts: &RequestFacts) -> Vec<Rule> {
        findings(&config(), &Rules::default(), facts).into_iter().map(|finding| finding.rule).collect()
    }

    const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";

    #[test]
    fn each_class_has_its_rule() {
        for (user_agent, rule) in [
            ("Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)", Rule::AiCrawler),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Rule::SearchCrawler),
            ("Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", Rule::Crawler),
            ("curl/8.5.0", Rule::ScriptedTool),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36",
                Rule::HeadlessBrowser,
            ),
            ("  ", Rule::EmptyUserAgent),
        ] {
            assert_eq!(rules_of(&facts(user_agent)), [rule], "{user_agent}");
        }
        assert_eq!(rules_of(&RequestFacts::default()), [Rule::EmptyUserAgent]);
        assert_eq!(rules_of(&facts(BROWSER)), []);
    }

    #[test]
    fn what_cloudflare_tells_counts() {
        let with = |network: NetworkFacts| RequestFacts { network, ..facts(BROWSER) };
        let category = |name: &str| with(NetworkFacts { verified_bot: Some(name.into()), ..NetworkFacts::default() });
        assert_eq!(rules_of(&category("AI Assistant")), [Rule::AiCrawler]);
        assert_eq!(rules_of(&category("Search Engine Crawler")), [Rule::SearchCrawler]);
        assert_eq!(rules_of(&category("Webhooks")), [Rule::Crawler]);
        assert!(is_wanted(&config(), &category("monitoring & analytics")));
        assert!(!is_wanted(&config(), &category("Webhooks")) && !is_wanted(&config(), &facts(BROWSER)));
        for (version, rules) in [("TLSv1.1", &[Rule::TlsVersion][..]), ("TLSv1.2", &[]), ("TLSv1.3", &[])] {
            let facts = with(NetworkFacts { tls_version: Some(version.into()), ..NetworkFacts::default() });
            assert_eq!(rules_of(&facts), rules, "{version}");
        }
        // Zero is Cloudflare's word for not computed.
        for (score, rules) in [(0, &[][..]), (1, &[Rule::BotScore]), (29, &[Rule::BotScore]), (30, &[]), (99, &[])] {
            let facts = with(NetworkFacts { bot_score: Some(score), ..NetworkFacts::default() });
            assert_eq!(rules_of(&facts), rules, "{score}");
        }
    }

    #[test]
    fn rules_that_are_off_find_nothing_and_others_still_do() {
        let mut rules = Rules::default();
        rules.set(Rule::ScriptedTool, Mode::Off);
        let mut tool = facts("curl/8.5.0");
        assert_eq!(findings(&config(), &rules, &tool), []);
        tool.network.bot_score = Some(1);
        assert_eq!(findings(&config(), &rules, &tool), [Rule::BotScore.into()]);
        rules.set(Rule::BotScore, Mode::Observe);
        assert_eq!(findings(&config(), &rules, &tool), [Rule::BotScore.into()]);
    }

    #[test]
    fn hints_and_heads_betray_what_the_user_agent_hides() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
        let mut driven = facts(chrome);
        driven.fields.push(("sec-ch-ua".into(), r#""Chromium";v="142", "HeadlessChrome";v="142""#.into()));
        assert_eq!(rules_of(&driven), [Rule::HeadlessBrowser]);
        let mut bare = facts(chrome);
        bare.fields.retain(|(name, _)| name == "user-agent");
        assert_eq!(rules_of(&bare), [Rule::ImpossibleHeaders]);
    }
}
