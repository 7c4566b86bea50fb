//! Where backends are, and in which order they are tried.

use crate::config::Variables;

/// Regions as Cloudflare tells them of clients: continents, in lower case.
pub const REGIONS: [&str; 7] = ["af", "an", "as", "eu", "na", "oc", "sa"];

/// A backend's service listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Scheme, host and port.
    pub url: String,
    /// The region whose clients it serves first.
    pub region: Option<&'static str>,
}

impl Origin {
    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.url.split_once("://").map_or("", |(_, authority)| authority)
    }
}

/// All origins, the primary first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins(Vec<Origin>);

impl Origins {
    /// Most origins, so that the time for a request is enough for each.
    const MOST: usize = 8;

    /// Reads `BACKEND_ORIGIN`, the primary, and `BACKEND_OTHER_ORIGINS`; `None` without a primary.
    pub fn read(variables: &Variables<'_>, faults: &mut Vec<String>) -> Option<Self> {
        let primary = match variables.text("BACKEND_ORIGIN").map(|text| origin(&text)) {
            Some(Some(url)) => Some(Origin { url, region: None }),
            Some(None) => {
                faults.push("BACKEND_ORIGIN must be http(s)://host[:port] without a path".to_owned());
                None
            }
            None => {
                faults.push("BACKEND_ORIGIN is missing: set it to the backend's URL".to_owned());
                None
            }
        };
        let what =
            "http(s)://host[:port], with eu= or another region (af an as eu na oc sa) before it if it is for one";
        let others = variables.list("BACKEND_OTHER_ORIGINS", faults, what, other);
        let all: Vec<Origin> = primary.into_iter().chain(others).collect();
        if all.iter().enumerate().any(|(index, one)| all[..index].iter().any(|other| other.url == one.url)) {
            faults.push("BACKEND_ORIGIN and BACKEND_OTHER_ORIGINS name an origin twice".to_owned());
        }
        if all.len() > Self::MOST {
            faults.push(format!("BACKEND_OTHER_ORIGINS: at most {} origins with the primary", Self::MOST));
        }
        (!all.is_empty()).then_some(Self(all))
    }

    /// Each once, with its number, in the order in which a client of `region` is served: those of its region, the primary
    /// and the others of no region, those of other regions.
    pub fn order(&self, region: Option<&str>) -> impl Iterator<Item = (usize, &Origin)> {
        let rank = move |origin: &Origin| match origin.region {
            Some(served) if Some(served) == region => 0,
            None => 1,
            Some(_) => 2,
        };
        (0..3).flat_map(move |wanted| self.0.iter().enumerate().filter(move |(_, origin)| rank(origin) == wanted))
    }

    /// All, the primary first.
    #[must_use]
    pub fn all(&self) -> &[Origin] {
        &self.0
    }
}

/// `region=https://…`, or a URL alone.
fn other(text: &str) -> Option<Origin> {
    match text.split_once('=') {
        Some((region, url)) => {
            let region = REGIONS.into_iter().find(|known| *known == region.trim())?;
            Some(Origin { url: origin(url.trim())?, region: Some(region) })
        }
        None => Some(Origin { url: origin(text)?, region: None }),
    }
}

/// Scheme and authority; a lone slash behind them is forgiven.
fn origin(text: &str) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let authority = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    let is_authority = !authority.is_empty() && !authority.contains(['/', '?', '#', '@', ' ', '=']);
    is_authority.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(primary: &str, others: &str) -> Result<Origins, Vec<String>> {
        let get = |name: &str| match name {
            "BACKEND_ORIGIN" => Some(primary.to_owned()),
            "BACKEND_OTHER_ORIGINS" => Some(others.to_owned()),
            _ => None,
        };
        let mut faults = Vec::new();
        let origins = Origins::read(&Variables::new(&get), &mut faults);
        origins.filter(|_| faults.is_empty()).ok_or(faults)
    }

    #[test]
    fn a_region_is_served_by_its_own_then_by_all_others() {
        let origins = read("https://a/", "eu=https://b, https://c:8443, na=https://d,eu=https://e").unwrap();
        let order = |region| {
            let urls = origins.order(region).map(|(index, origin)| {
                assert_eq!(&origins.all()[index], origin);
                origin.authority()
            });
            urls.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(order(Some("eu")), "b e a c:8443 d");
        assert_eq!(order(Some("na")), "d a c:8443 b e");
        assert_eq!(order(Some("as")), "a c:8443 b d e");
        assert_eq!(order(None), "a c:8443 b d e");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (primary, others, fault) in [
            ("", "", "BACKEND_ORIGIN is missing"),
            ("api.example/path", "", "without a path"),
            ("https://a", "https://a/", "twice"),
            ("https://a", "xx=https://b", "entry 1"),
            ("https://a", "https://b,ftp://c", "entry 2"),
            (
                "https://a",
                "https://1,https://2,https://3,https://4,https://5,https://6,https://7,https://8",
                "at most 8",
            ),
        ] {
            let faults = read(primary, others).unwrap_err();
            assert!(faults.len() == 1 && faults[0].contains(fault), "{primary} {others}: {faults:?}");
        }
    }
}
