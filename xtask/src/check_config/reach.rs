//! What Cloudflare can reach, as far as a URL alone shows.

use std::net::IpAddr;

/// Top-level names that lead nowhere (RFC 2606, RFC 6761).
const RESERVED: [&str; 3] = ["example", "test", "invalid"];

/// Second-level names that are kept for examples (RFC 2606).
const EXAMPLES: [&str; 3] = ["example.com", "example.net", "example.org"];

/// Top-level names that only private networks know (RFC 6762; ICANN's resolution 2024.07.29.06).
const PRIVATE: [&str; 2] = ["local", "internal"];

/// Why a Worker on Cloudflare cannot send anything to `url`; `None` when nothing speaks against it.
pub(crate) fn unreachable(url: &str) -> Option<String> {
    let host = host(url)?;
    let is_under = |name: &&str| host == *name || host.strip_suffix(*name).is_some_and(|rest| rest.ends_with('.'));
    if let Ok(address) = host.parse::<IpAddr>() {
        return is_private(address).then(|| format!("names {host}, which Cloudflare cannot reach"));
    }
    if is_under(&"localhost") || PRIVATE.iter().any(is_under) {
        return Some(format!("names {host}, which Cloudflare cannot reach"));
    }
    let is_example = RESERVED.iter().chain(&EXAMPLES).any(is_under);
    is_example.then(|| format!("names {host}, which is only an example"))
}

/// The host in lower case, without the brackets of an IPv6 address.
fn host(url: &str) -> Option<String> {
    let (_, rest) = url.trim().split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next()?,
        None => authority.split(':').next()?,
    };
    Some(host.trim_end_matches('.').to_ascii_lowercase())
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let is_own = v4.is_loopback() || v4.is_unspecified() || v4.is_private() || v4.is_link_local();
            is_own || v4.is_documentation()
        }
        IpAddr::V6(v6) => {
            let is_own = v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local();
            let is_documentation = v6.segments()[..2] == [0x2001, 0x0db8];
            is_own || is_documentation || v6.to_ipv4_mapped().is_some_and(|v4| is_private(v4.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_at_home_or_an_example_cannot_be_reached() {
        for host in ["127.0.0.1:8080", "localhost", "a.LOCALHOST.", "[::1]:8080", "0.0.0.0", "10.1.2.3", "[fd00::1]"] {
            let said = unreachable(&format!("http://{host}")).unwrap_or_else(|| panic!("{host} passes"));
            assert!(said.ends_with("cannot reach"), "{said}");
        }
        for host in ["169.254.1.1", "192.0.2.1", "[2001:db8::1]", "[::ffff:127.0.0.1]", "nas.local", "db.internal"] {
            assert!(unreachable(&format!("https://user@{host}/path")).is_some(), "{host} passes");
        }
        for host in ["backend.example", "example", "api.example.com", "EXAMPLE.org:8443", "a.test", "b.invalid"] {
            let said = unreachable(&format!("https://{host}")).unwrap_or_else(|| panic!("{host} passes"));
            assert!(said.ends_with("only an example"), "{said}");
        }
    }

    #[test]
    fn what_may_be_somewhere_is_left_to_the_network() {
        for url in ["https://api.goblin.dev", "https://example.dev", "https://myexample.com:8443/", "https://1.1.1.1"] {
            assert_eq!(unreachable(url), None, "{url}");
        }
        assert_eq!(unreachable("no url"), None);
    }
}
