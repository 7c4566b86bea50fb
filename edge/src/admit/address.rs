//! Whose address it is, and which addresses are one client.

use std::net::{IpAddr, Ipv6Addr};

use crate::facts::RequestFacts;

/// The address that limits, lists and clearances go by: `CF-Connecting-IP`, which Cloudflare sets itself.
///
/// `override_header` names a field that stands in for it in local work. It is honoured only on requests that were made
/// to a loopback host, which no request from outside ever is.
#[must_use]
pub fn client_address(facts: &RequestFacts, override_header: Option<&str>) -> Option<IpAddr> {
    let overriding = override_header.filter(|_| is_loopback(facts.host())).and_then(|name| facts.header(name));
    let address: IpAddr = overriding.or(facts.client.address.as_deref())?.trim().parse().ok()?;
    Some(address.to_canonical())
}

/// Whether a URL's host can only be this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What one client's addresses have in common: an IPv4 address as it is, of an IPv6 address the first 64 bits, as the
/// others are the client's own choice. `unknown` where there is none, so that such requests share one limit.
#[must_use]
pub fn bucket(address: Option<IpAddr>) -> String {
    match address {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let network = Ipv6Addr::from_bits(address.to_bits() >> 64 << 64);
            format!("{network}/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(url: &str, real: Option<&str>, overriding: Option<&str>) -> RequestFacts {
        let mut facts = RequestFacts { url: url.into(), ..RequestFacts::default() };
        facts.client.address = real.map(str::to_owned);
        facts.fields.extend(overriding.map(|value| ("x-address".to_owned(), value.to_owned())));
        facts
    }

    #[test]
    fn the_override_works_on_this_machine_only_and_only_where_it_is_configured() {
        let real = Some("192.0.2.1");
        for (url, header, expected) in [
            ("http://127.0.0.1:8787/", Some("x-address"), "203.0.113.9"),
            ("http://localhost/", Some("x-address"), "203.0.113.9"),
            ("http://[::1]:1/", Some("x-address"), "203.0.113.9"),
            ("http://127.0.0.1:8787/", None, "192.0.2.1"),
            ("https://edge.example/", Some("x-address"), "192.0.2.1"),
            ("https://127.0.0.1.example/", Some("x-address"), "192.0.2.1"),
        ] {
            let address = client_address(&facts(url, real, Some("203.0.113.9")), header);
            assert_eq!(address, expected.parse().ok(), "{url} {header:?}");
        }
        assert_eq!(client_address(&facts("http://localhost/", None, None), Some("x-address")), None);
        assert_eq!(client_address(&facts("http://localhost/", Some("nonsense"), None), None), None);
    }

    #[test]
    fn one_client_is_one_bucket() {
        let of = |text: &str| bucket(client_address(&facts("http://e/", Some(text), None), None));
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(of("2001:db8:1:2::"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
        assert_eq!(bucket(None), "unknown");
    }
}
