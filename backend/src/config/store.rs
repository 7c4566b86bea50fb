//! `[store]`: where requests, keys and conversations are kept.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::{
    fault::ConfigFaults,
    reader::Reader,
    sources::{self, Inputs},
    value::{Count, Value},
};

/// `store.url`, `GOBLIN_STORE__URL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreUrl {
    /// `none`
    None,
    /// `sqlite:PATH`
    Sqlite(PathBuf),
    /// `postgres://…`
    Postgres(String),
}

/// `store.migrate`, `GOBLIN_STORE__MIGRATE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Migrate {
    /// `auto`: `serve` and the commands bring the schema up to date.
    Auto,
    /// `manual`: `goblin-backend migrate` does, and they refuse an old one.
    Manual,
}

/// Where things are kept.
#[derive(Clone, Debug)]
pub(crate) struct StoreConfig {
    /// `store.url`, `GOBLIN_STORE__URL`: `sqlite:PATH`, a file that is made when there is none; or
    /// `postgres://user:password@host:port/database?sslmode=…`, which several instances can share; or `none`: no key,
    /// conversation or cost is kept, which needs `auth.mode = "off"` or tokens. Default `sqlite:goblin.db`, in the working directory.
    pub(crate) url: StoreUrl,
    /// `store.migrate`, `GOBLIN_STORE__MIGRATE`: `auto` or `manual`. Default `auto`.
    pub(crate) migrate: Migrate,
    /// `store.timeout`, `GOBLIN_STORE__TIMEOUT`: the longest that a request waits for the store; then it is refused with 503.
    /// Default 2 s.
    pub(crate) timeout: Duration,
    /// `store.connections`, `GOBLIN_STORE__CONNECTIONS`: most connections, besides the one that writes the ledger. Default 8.
    pub(crate) connections: usize,
    /// `store.redis`, `GOBLIN_STORE__REDIS`: `redis://user:password@host:port`, or `rediss://…` by TLS; where limits are counted
    /// when `limits.count_in` is `redis`. No default.
    pub(crate) redis: Option<SecretString>,
}

impl StoreConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            url: reader.or(&["store", "url"], StoreUrl::Sqlite("goblin.db".into())),
            migrate: reader.or(&["store", "migrate"], Migrate::Auto),
            timeout: reader.nonzero(&["store", "timeout"], Duration::from_secs(2)),
            connections: reader.or(&["store", "connections"], Count(8)).0,
            redis: reader.optional(&["store", "redis"]).map(|RedisUrl(url)| url),
        }
    }

    /// Reads this section alone, for commands that do not serve: what is wrong elsewhere does not hinder them.
    pub(crate) fn load(inputs: &Inputs) -> Result<Self, ConfigFaults> {
        let mut reader = sources::layered(inputs);
        let store = Self::read(&mut reader);
        reader.finish_section().map(|()| store)
    }
}

impl Value for StoreUrl {
    fn from_text(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.contains('?') || path.starts_with(':') {
                return Err(
                    "must name a file, for example sqlite:goblin.db or sqlite:/var/lib/goblin/goblin.db".to_owned()
                );
            }
            return Ok(Self::Sqlite(path.into()));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        Err("must be sqlite:PATH, postgres://user:password@host:port/database, or none".to_owned())
    }

    fn show(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            // User, password and parameters, which may hold one, are nobody's business.
            Self::Postgres(url) => {
                let place = url.split('?').next().unwrap_or_default();
                let place = place
                    .rsplit_once('@')
                    .map_or_else(|| place.split("://").last().unwrap_or_default(), |(_, place)| place);
                format!("postgres://{place}")
            }
        }
    }
}

struct RedisUrl(SecretString);

impl Value for RedisUrl {
    const SECRET: bool = true;

    fn from_text(text: &str) -> Result<Self, String> {
        if text.starts_with("redis://") || text.starts_with("rediss://") {
            Ok(Self(text.into()))
        } else {
            Err("must be redis://user:password@host:port, or rediss://… by TLS".to_owned())
        }
    }

    fn show(&self) -> String {
        "redis".to_owned()
    }
}

impl Value for Migrate {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "manual" => Ok(Self::Manual),
            _ => Err("must be auto or manual".to_owned()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Auto => "auto",
            Self::Manual => "manual",
        }
        .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(set: &[&str]) -> Result<StoreConfig, ConfigFaults> {
        let set = set.iter().map(|text| (*text).to_owned()).collect();
        StoreConfig::load(&Inputs { file: None, environment: vec![], set })
    }

    #[test]
    fn stores_are_files_servers_or_none() {
        let store = load(&[]).unwrap();
        assert_eq!(store.url, StoreUrl::Sqlite("goblin.db".into()));
        assert_eq!((store.migrate, store.timeout, store.connections), (Migrate::Auto, Duration::from_secs(2), 8));
        for (text, expected) in [
            ("sqlite:/a/b.db", StoreUrl::Sqlite("/a/b.db".into())),
            ("sqlite://b.db", StoreUrl::Sqlite("b.db".into())),
            ("postgres://h/d", StoreUrl::Postgres("postgres://h/d".to_owned())),
            ("none", StoreUrl::None),
        ] {
            assert_eq!(StoreUrl::from_text(text), Ok(expected), "{text}");
        }
        for wrong in ["", "sqlite:", "sqlite::memory:", "sqlite:a?mode=ro", "mysql://h/d", "goblin.db"] {
            assert!(StoreUrl::from_text(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        for url in [
            "postgres://me:s3cret@db:5432/goblin?sslmode=require&password=s3cret",
            "postgres://me:s3c@ret@db:5432/goblin",
        ] {
            assert_eq!(StoreUrl::from_text(url).unwrap().show(), "postgres://db:5432/goblin");
        }
        assert_eq!(StoreUrl::from_text("postgresql://db/goblin").unwrap().show(), "postgres://db/goblin");
        let told = load(&["store.url=mysql://me:s3cret@db/x"]).unwrap_err().to_string();
        assert!(told.contains("store.url") && !told.contains("s3cret"), "{told}");
    }
}
