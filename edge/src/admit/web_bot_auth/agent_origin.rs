//! The name of an agent: the origin at which it publishes its keys.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// `https://host[:port]`, in one spelling: lower case, without the scheme's own port.
///
/// `http` is taken for loopback hosts only, for trials on one machine: over the network, keys that come in the clear
/// prove nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentOrigin(String);

/// A text is not the origin of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write it as https://host[:port]; http:// is for loopback hosts alone")]
pub struct InvalidAgentOrigin;

impl FromStr for AgentOrigin {
    type Err = InvalidAgentOrigin;

    /// A lone slash at the end is forgiven.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let origin = text.to_ascii_lowercase();
        let (scheme, authority) = origin.split_once("://").ok_or(InvalidAgentOrigin)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let host = Host::read(host).ok_or(InvalidAgentOrigin)?;
        let default_port = match scheme {
            "https" => 443,
            "http" if host.is_loopback() => 80,
            _ => return Err(InvalidAgentOrigin),
        };
        let port = port.map_or(Some(default_port), read_port).ok_or(InvalidAgentOrigin)?;
        Ok(Self(if port == default_port { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") }))
    }
}

impl fmt::Display for AgentOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn read_port(port: &str) -> Option<u16> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|port| digits && *port > 0)
}

enum Host<'a> {
    Name(&'a str),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl<'a> Host<'a> {
    fn read(text: &'a str) -> Option<Self> {
        if let Some(address) = text.strip_prefix('[') {
            return address.strip_suffix(']')?.parse().ok().map(Self::V6);
        }
        let labels = || text.split('.');
        // URL Standard §3.5: a host that ends in a number is an IPv4 address. Only its plain spelling is taken.
        if labels().next_back()?.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().map(Self::V4);
        }
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        (text.len() <= 253 && labels().all(is_label)).then_some(Self::Name(text))
    }

    fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => *name == "localhost",
            Self::V4(address) => address.is_loopback(),
            Self::V6(address) => address.is_loopback(),
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => write!(f, "{address}"),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_origin_has_one_spelling() {
        for (text, origin) in [
            ("https://agent.example", "https://agent.example"),
            ("https://agent.example/", "https://agent.example"),
            ("HTTPS://Agent.EXAMPLE:443", "https://agent.example"),
            ("https://agent.example:0443", "https://agent.example"),
            ("https://agent.example:8443", "https://agent.example:8443"),
            ("https://192.0.2.1", "https://192.0.2.1"),
            ("https://[2001:DB8:0:0::1]:444", "https://[2001:db8::1]:444"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://localhost:80/", "http://localhost"),
            ("http://127.1.2.3:1", "http://127.1.2.3:1"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(text.parse::<AgentOrigin>().map(|origin| origin.to_string()), Ok(origin.to_owned()), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_origin() {
        for text in [
            "",
            "agent.example",
            "https://",
            "https:///",
            "https://agent.example/path",
            "https://agent.example//",
            "https://agent.example?query",
            "https://agent.example#fragment",
            "https://user@agent.example",
            "https://agent.example:",
            "https://agent.example:0",
            "https://agent.example:65536",
            "https://agent.example:+443",
            "https://agent..example",
            "https://agent.example.",
            "https://agent example",
            " https://agent.example",
            "https://ägent.example",
            "https://127.1",
            "https://1",
            "https://[::1",
            "https://[agent.example]",
            "http://agent.example",
            "http://192.0.2.1",
            "http://localhost.example",
            "ftp://agent.example",
            "data:application/json,{}",
        ] {
            assert_eq!(text.parse::<AgentOrigin>(), Err(InvalidAgentOrigin), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_origin_is_read_from_its_own_text(text in "https?://[a-zA-Z0-9.:\\[\\]-]{0,20}(:[0-9]{1,5})?/?") {
            if let Ok(origin) = text.parse::<AgentOrigin>() {
                prop_assert_eq!(origin.to_string().parse::<AgentOrigin>(), Ok(origin));
            }
        }

        #[test]
        fn reading_never_panics(text in "\\PC*") {
            let _ = text.parse::<AgentOrigin>();
        }
    }
}
