//! The cookie of who has solved a challenge: `v1.<expiry, unix s>.<hex HMAC-SHA256>`.
//!
//! The HMAC covers the expiry, the client's address bucket and its User-Agent, so that it serves nobody else. Its key is
//! derived from the edge's signing key.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Its name.
/// Browsers take the prefix only from this very host, so that no neighbour's host can set it.
pub const COOKIE: &str = "__Host-goblin_clearance";

/// How clearances are made.
#[derive(Clone)]
pub struct ClearanceConfig {
    /// What they are signed with; derived from the edge's signing key.
    pub key: [u8; 32],
    /// Whether pages of other sites get it back too, each site its own: those that `CORS_ORIGINS` lists may use it.
    pub cross_site: bool,
}

impl std::fmt::Debug for ClearanceConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClearanceConfig(cross_site: {})", self.cross_site)
    }
}

/// The field `cookie` without clearances, which are nobody else's business; empty when nothing else is in it.
#[must_use]
pub fn without_clearance(cookies: &str) -> String {
    let is_other = |pair: &&str| pair.split('=').next().is_none_or(|name| name.trim() != COOKIE);
    let others: Vec<&str> =
        cookies.split(';').map(str::trim).filter(|pair| !pair.is_empty()).filter(is_other).collect();
    others.join("; ")
}

/// Whom a clearance is for.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// The bucket of its address.
    pub bucket: &'a str,
    /// Its User-Agent.
    pub user_agent: &'a str,
}

impl Holder<'_> {
    fn mac(&self, key: &[u8; 32], expiry: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| unreachable!("any length is a key"));
        for part in [expiry, self.bucket, self.user_agent] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }

    /// The field `set-cookie` that clears this client for so many seconds. It goes back by https, and to loopback hosts.
    #[must_use]
    pub fn set_cookie(&self, config: &ClearanceConfig, unix_seconds: u64, lifetime_s: u64) -> String {
        let expiry = (unix_seconds + lifetime_s).to_string();
        let mac = hex::encode(self.mac(&config.key, &expiry).finalize().into_bytes());
        let same_site = if config.cross_site { "None; Partitioned" } else { "Strict" };
        format!("{COOKIE}=v1.{expiry}.{mac}; Path=/; Max-Age={lifetime_s}; HttpOnly; Secure; SameSite={same_site}")
    }

    /// Whether the field `cookie` holds a clearance for this client that has not expired. Takes constant time for the
    /// MAC; what is altered, expired or another's counts as none.
    #[must_use]
    pub fn is_cleared(&self, key: &[u8; 32], cookies: &str, unix_seconds: u64) -> bool {
        let values = cookies.split(';').filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
        // Browsers send few; who sends hundreds wants us to compute.
        values.take(4).any(|value| self.has_valid(key, value, unix_seconds).is_some())
    }

    fn has_valid(&self, key: &[u8; 32], value: &str, unix_seconds: u64) -> Option<()> {
        let (expiry, mac) = value.strip_prefix("v1.")?.split_once('.')?;
        let mut expected = [0; 32];
        hex::decode_to_slice(mac, &mut expected).ok()?;
        self.mac(key, expiry).verify_slice(&expected).ok()?;
        (unix_seconds < expiry.parse().ok()?).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const CONFIG: ClearanceConfig = ClearanceConfig { key: KEY, cross_site: false };
    const HOLDER: Holder<'static> = Holder { bucket: "192.0.2.1", user_agent: "Mozilla/5.0" };

    fn cookie() -> String {
        HOLDER.set_cookie(&CONFIG, 1_000, 1_800).split(';').next().unwrap().to_owned()
    }

    #[test]
    fn a_clearance_serves_its_holder_until_it_expires() {
        let set = HOLDER.set_cookie(&CONFIG, 1_000, 1_800);
        assert!(set.starts_with("__Host-goblin_clearance=v1.2800."), "{set}");
        assert!(set.ends_with("; Path=/; Max-Age=1800; HttpOnly; Secure; SameSite=Strict"), "{set}");
        let cookies = format!("a=b; {};c=d", cookie());
        assert!(HOLDER.is_cleared(&KEY, &cookies, 2_799));
        assert!(!HOLDER.is_cleared(&KEY, &cookies, 2_800));
    }

    #[test]
    fn pages_of_other_sites_get_it_back_only_where_they_are_listed() {
        let set = HOLDER.set_cookie(&ClearanceConfig { cross_site: true, ..CONFIG }, 1_000, 1_800);
        assert!(set.ends_with("; Secure; SameSite=None; Partitioned"), "{set}");
    }

    #[test]
    fn it_is_nobody_elses_business() {
        assert_eq!(without_clearance(&format!("a=b; {};c=d", cookie())), "a=b; c=d");
        assert_eq!(without_clearance(&cookie()), "");
        assert_eq!(without_clearance("a=__Host-goblin_clearance"), "a=__Host-goblin_clearance");
    }

    #[test]
    fn it_serves_nobody_else() {
        for other in [
            Holder { bucket: "192.0.2.2", ..HOLDER },
            Holder { user_agent: "Mozilla/5.1", ..HOLDER },
            Holder { bucket: "192.0.2.1M", user_agent: "ozilla/5.0" },
        ] {
            assert!(!other.is_cleared(&KEY, &cookie(), 1_001), "{other:?}");
        }
        assert!(!HOLDER.is_cleared(&[8; 32], &cookie(), 1_001));
    }

    #[test]
    fn any_change_makes_it_none() {
        let cookie = cookie();
        for index in COOKIE.len() + 1..cookie.len() {
            let mut changed = cookie.clone().into_bytes();
            changed[index] = if changed[index] == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(!HOLDER.is_cleared(&KEY, &changed, 1_001), "{changed}");
            assert!(!HOLDER.is_cleared(&KEY, &cookie[..index], 1_001));
        }
        assert!(!HOLDER.is_cleared(&KEY, &format!("{cookie}0"), 1_001));
    }

    proptest! {
        #[test]
        fn no_text_clears_by_chance(cookies in "(__Host-goblin_clearance=(v1\\.)?)?[ -~]{0,80}") {
            prop_assert!(!HOLDER.is_cleared(&KEY, &cookies, 0));
        }
    }
}
