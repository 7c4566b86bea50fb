//! Block and allow lists: addresses, networks, countries, paths, TLS fingerprints.

use std::net::IpAddr;

use ipnet::IpNet;

use super::rule::Rule;
use crate::facts::RequestFacts;

/// All lists. Allowed clients are spared block lists and checks for bots, allowed paths the checks for bots; the allow
/// list of countries instead says who may come at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Networks that are refused.
    pub block_addresses: Vec<IpNet>,
    /// Networks that are trusted.
    pub allow_addresses: Vec<IpNet>,
    /// Autonomous systems that are refused.
    pub block_asns: Vec<u32>,
    /// Autonomous systems that are trusted.
    pub allow_asns: Vec<u32>,
    /// Countries that are refused, by ISO 3166-1 code or Cloudflare's own (`T1` is Tor).
    pub block_countries: Vec<String>,
    /// The only countries that are served, when there is one. Where the country is not known, nobody is refused for it.
    pub allow_countries: Vec<String>,
    /// Paths that are refused.
    pub block_paths: Vec<PathPattern>,
    /// Paths that are served without a check for bots.
    pub allow_paths: Vec<PathPattern>,
    /// TLS fingerprints that are refused.
    pub block_ja4: Vec<String>,
}

/// A path, or with `*` at its end everything that begins so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    is_prefix: bool,
}

impl PathPattern {
    /// Reads a pattern; `None` unless it begins with a slash and has a star at its end at most.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (stem, is_prefix) = text.strip_suffix('*').map_or((text, false), |stem| (stem, true));
        (stem.starts_with('/') && !stem.contains(['*', '?', '#'])).then(|| Self { text: stem.to_owned(), is_prefix })
    }

    /// Whether a path is meant.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        if self.is_prefix { path.starts_with(&self.text) } else { path == self.text }
    }
}

/// An address or a network as text: `192.0.2.1`, `2001:db8::/32`.
#[must_use]
pub fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

impl Lists {
    /// Whether the client is trusted for where it comes from.
    #[must_use]
    pub fn allow_client(&self, facts: &RequestFacts, address: Option<IpAddr>) -> bool {
        has_address(&self.allow_addresses, address)
            || facts.network.asn.is_some_and(|asn| self.allow_asns.contains(&asn))
    }

    /// Whether the path is served without a check for bots.
    #[must_use]
    pub fn allow_path(&self, path: &str) -> bool {
        self.allow_paths.iter().any(|pattern| pattern.matches(path))
    }

    /// The rules whose list refuses a client that is not allowed.
    pub fn refuse(&self, facts: &RequestFacts, address: Option<IpAddr>) -> impl Iterator<Item = Rule> {
        let (country, path) = (facts.client.country.as_deref(), facts.path());
        let has_country = |list: &[String]| {
            country.is_some_and(|country| list.iter().any(|listed| listed.eq_ignore_ascii_case(country)))
        };
        let only_others = country.is_some() && !self.allow_countries.is_empty() && !has_country(&self.allow_countries);
        [
            (Rule::AddressList, has_address(&self.block_addresses, address)),
            (Rule::AsnList, facts.network.asn.is_some_and(|asn| self.block_asns.contains(&asn))),
            (Rule::CountryList, has_country(&self.block_countries) || only_others),
            (Rule::PathList, !self.allow_path(path) && self.block_paths.iter().any(|pattern| pattern.matches(path))),
            (Rule::Ja4List, facts.network.ja4.as_ref().is_some_and(|ja4| self.block_ja4.contains(ja4))),
        ]
        .into_iter()
        .filter_map(|(rule, found)| found.then_some(rule))
    }
}

fn has_address(list: &[IpNet], address: Option<IpAddr>) -> bool {
    address.is_some_and(|address| list.iter().any(|network| network.contains(&address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(path: &str, country: Option<&str>, asn: Option<u32>) -> RequestFacts {
        let mut facts = RequestFacts { url: format!("https://edge.example{path}"), ..RequestFacts::default() };
        (facts.client.country, facts.network.asn) = (country.map(str::to_owned), asn);
        facts
    }

    fn refused(lists: &Lists, facts: &RequestFacts, address: &str) -> Vec<Rule> {
        lists.refuse(facts, address.parse().ok()).collect()
    }

    #[test]
    fn networks_of_both_families_are_told_apart() {
        let networks = |texts: &[&str]| texts.iter().map(|text| network(text).unwrap()).collect();
        let lists = Lists {
            block_addresses: networks(&["192.0.2.0/25", "2001:db8::/33", "203.0.113.7"]),
            allow_addresses: networks(&["192.0.2.9", "2001:db8:0:1::/64"]),
            ..Lists::default()
        };
        let facts = facts("/", None, None);
        for (address, is_refused, is_allowed) in [
            ("192.0.2.127", true, false),
            ("192.0.2.128", false, false),
            ("192.0.2.9", true, true),
            ("203.0.113.7", true, false),
            ("203.0.113.8", false, false),
            ("2001:db8:7fff::1", true, false),
            ("2001:db8:8000::1", false, false),
            ("2001:db8:0:1::5", true, true),
            ("::ffff:c000:0201", false, false),
        ] {
            assert_eq!(!refused(&lists, &facts, address).is_empty(), is_refused, "{address}");
            assert_eq!(lists.allow_client(&facts, address.parse().ok()), is_allowed, "{address}");
        }
        assert!(refused(&lists, &facts, "nothing").is_empty() && !lists.allow_client(&facts, None));
        assert_eq!(network("192.0.2.0/33"), None);
    }

    #[test]
    fn countries_are_refused_by_name_or_by_not_being_named() {
        let block = Lists { block_countries: vec!["T1".into(), "xx".into()], ..Lists::default() };
        let allow = Lists { allow_countries: vec!["DE".into()], ..Lists::default() };
        for (country, blocked, elsewhere) in
            [(Some("T1"), true, true), (Some("XX"), true, true), (Some("DE"), false, false), (None, false, false)]
        {
            let facts = facts("/", country, None);
            assert_eq!(refused(&block, &facts, "192.0.2.1") == [Rule::CountryList], blocked, "{country:?}");
            assert_eq!(refused(&allow, &facts, "192.0.2.1") == [Rule::CountryList], elsewhere, "{country:?}");
            assert!(!allow.allow_client(&facts, None), "being in a served country spares nobody a check");
        }
    }

    #[test]
    fn systems_paths_and_fingerprints_are_listed() {
        let patterns = |texts: &[&str]| texts.iter().map(|text| PathPattern::parse(text).unwrap()).collect();
        let lists = Lists {
            block_asns: vec![64496],
            allow_asns: vec![64497],
            block_paths: patterns(&["/v1/models", "/old/*"]),
            allow_paths: patterns(&["/v1/public*", "/old/but-good"]),
            block_ja4: vec!["t13d1516h2_8daaf6152771_b186095e22b6".into()],
            ..Lists::default()
        };
        assert_eq!(refused(&lists, &facts("/", None, Some(64496)), ""), [Rule::AsnList]);
        assert!(lists.allow_client(&facts("/", None, Some(64497)), None));
        for (path, is_refused) in [
            ("/v1/models?a=b", true),
            ("/v1/modelsx", false),
            ("/old/x", true),
            ("/old", false),
            ("/old/but-good", false),
        ] {
            assert_eq!(refused(&lists, &facts(path, None, None), "") == [Rule::PathList], is_refused, "{path}");
        }
        assert!(lists.allow_path("/v1/public/x"));
        let mut printed = facts("/", None, None);
        printed.network.ja4 = Some("t13d1516h2_8daaf6152771_b186095e22b6".into());
        assert_eq!(refused(&lists, &printed, ""), [Rule::Ja4List]);
        for nonsense in ["v1", "/a*b", "*", "/a?b", ""] {
            assert_eq!(PathPattern::parse(nonsense), None, "{nonsense}");
        }
    }
}
