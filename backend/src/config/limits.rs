//! `[limits]`: how much callers may use.

use std::collections::BTreeMap;

use super::{
    reader::Reader,
    value::{Value, Whole},
};
use crate::ports::{LimitSet, usd};

/// What is limited for everybody and for some by name. Nothing is, unless it is set.
///
/// Each of the sections has `requests_per_minute`, `tokens_per_minute` (prompt and answer together), `usd_per_day` and
/// `usd_per_month` (dollars as text, `"12.50"`); `none` lifts a limit that the wider section sets. Minutes, days and months
/// are those of the calendar in UTC.
#[derive(Clone, Debug)]
pub(crate) struct LimitsConfig {
    /// `limits.count_in`, `GOBLIN_LIMITS__COUNT_IN`: where use is counted, `process`, `redis` or `postgres`. Several
    /// instances need one of the latter. Default `process`.
    pub(crate) count_in: CountIn,
    /// `[limits.key]`, `GOBLIN_LIMITS__KEY__REQUESTS_PER_MINUTE` and so on: of each API key whose own record does not say
    /// otherwise.
    pub(crate) key: LimitSet,
    /// `[limits.user]`: of each user, over all his keys. Callers without a name are one user.
    pub(crate) user: LimitSet,
    /// `[limits.tenant]`: of each tenant, over all its users.
    pub(crate) tenant: LimitSet,
    /// `[limits.users."NAME"]`: of the user `tenant/user`, or of one without a tenant, in place of `[limits.user]`, field by
    /// field.
    pub(crate) users: BTreeMap<String, LimitSet>,
    /// `[limits.tenants."NAME"]`: of this tenant, in place of `[limits.tenant]`, field by field.
    pub(crate) tenants: BTreeMap<String, LimitSet>,
}

/// Where use is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CountIn {
    /// In this process: exact where it is the only one.
    Process,
    /// In Redis.
    Redis,
    /// In `PostgreSQL`.
    Postgres,
}

impl LimitsConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let none = LimitSet::default();
        let count_in = reader.or(&["limits", "count_in"], CountIn::Process);
        let key = read_set(reader, &["limits", "key"], &none);
        let user = read_set(reader, &["limits", "user"], &none);
        let tenant = read_set(reader, &["limits", "tenant"], &none);
        let users = read_named(reader, "users", &user);
        let tenants = read_named(reader, "tenants", &tenant);
        Self { count_in, key, user, tenant, users, tenants }
    }
}

fn read_named(reader: &mut Reader, section: &str, wider: &LimitSet) -> BTreeMap<String, LimitSet> {
    let names = reader.names_below(&["limits", section]);
    names.into_iter().map(|name| (name.clone(), read_set(reader, &["limits", section, &name], wider))).collect()
}

fn read_set(reader: &mut Reader, path: &[&str], wider: &LimitSet) -> LimitSet {
    let at = |field: &'static str| [path, &[field]].concat();
    let mut count = |field, default| reader.or(&at(field), Count(default)).0;
    let requests_per_minute = count("requests_per_minute", wider.requests_per_minute);
    let tokens_per_minute = count("tokens_per_minute", wider.tokens_per_minute);
    let mut money = |field, default| reader.or(&at(field), Dollars(default)).0;
    LimitSet {
        requests_per_minute,
        tokens_per_minute,
        nano_usd_per_day: money("usd_per_day", wider.nano_usd_per_day),
        nano_usd_per_month: money("usd_per_month", wider.nano_usd_per_month),
    }
}

/// Stands for no limit.
const NONE: &str = "none";

/// A limit on something that is counted.
struct Count(Option<u64>);

impl Value for Count {
    fn from_text(text: &str) -> Result<Self, String> {
        if text == NONE {
            return Ok(Self(None));
        }
        let count = Whole::from_text(text).ok().and_then(|Whole(count)| u64::try_from(count).ok());
        let count = count.filter(|count| i64::try_from(*count).is_ok());
        count.map(|count| Self(Some(count))).ok_or_else(|| "must be a whole number, or none".to_owned())
    }

    fn show(&self) -> String {
        self.0.map_or_else(|| NONE.to_owned(), |count| count.to_string())
    }
}

/// A limit on money.
struct Dollars(Option<u64>);

impl Value for Dollars {
    fn from_text(text: &str) -> Result<Self, String> {
        if text == NONE {
            return Ok(Self(None));
        }
        usd::read(text).map(|nano| Self(Some(nano)))
    }

    /// No fraction is exact in TOML.
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(text) => Self::from_text(text),
            toml::Value::Integer(number) => Self::from_text(&number.to_string()),
            _ => Err("must be dollars as text such as \"12.50\", or none".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.map_or_else(|| NONE.to_owned(), usd::written)
    }
}

impl Value for CountIn {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "process" => Ok(Self::Process),
            "redis" => Ok(Self::Redis),
            "postgres" => Ok(Self::Postgres),
            _ => Err("must be process, redis or postgres".to_owned()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Process => "process",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
        .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Inputs};

    fn load(file: &str, set: &[&str]) -> Result<Config, String> {
        let inputs = Inputs {
            file: Some((
                "goblin.toml".into(),
                format!("[edge]\nsignature = 'off'\n[auth]\nmode = 'off'\n[store]\nredis = 'redis://x'\n{file}"),
            )),
            environment: vec![("GOBLIN_LIMITS__KEY__REQUESTS_PER_MINUTE".to_owned(), "60".to_owned())],
            set: set.iter().map(|text| (*text).to_owned()).collect(),
        };
        Config::load(&inputs).map_err(|faults| faults.to_string())
    }

    #[test]
    fn nothing_is_limited_unless_it_is_set() {
        let limits = load("", &["limits.key.requests_per_minute=none"]).unwrap().limits;
        let none = LimitSet::default();
        assert_eq!((limits.key, limits.user, limits.tenant, limits.count_in), (none, none, none, CountIn::Process));
        assert!(limits.users.is_empty() && limits.tenants.is_empty());
    }

    #[test]
    fn who_is_named_has_the_limits_of_all_but_for_what_is_said() {
        let file = "
            [limits]
            count_in = 'redis'
            [limits.user]
            tokens_per_minute = 1_000
            usd_per_day = '12.50'
            [limits.users.\"ann@example.org\"]
            usd_per_day = 'none'
            usd_per_month = 100
            [limits.tenants.acme]
            requests_per_minute = 0
        ";
        let limits = load(file, &["limits.tenants.acme.usd_per_month=0.000000001"]).unwrap().limits;
        assert_eq!((limits.count_in, limits.key.requests_per_minute), (CountIn::Redis, Some(60)));
        let user =
            LimitSet { tokens_per_minute: Some(1_000), nano_usd_per_day: Some(12_500_000_000), ..LimitSet::default() };
        assert_eq!(limits.user, user);
        let ann = LimitSet { nano_usd_per_day: None, nano_usd_per_month: Some(100_000_000_000), ..user };
        assert_eq!(limits.users, [("ann@example.org".to_owned(), ann)].into());
        let acme = LimitSet { requests_per_minute: Some(0), nano_usd_per_month: Some(1), ..LimitSet::default() };
        assert_eq!(limits.tenants, [("acme".to_owned(), acme)].into());
    }

    #[test]
    fn faults_are_told() {
        let file = "
            [limits]
            count_in = 'memory'
            [limits.user]
            usd_per_day = 12.5
            tokens_per_minute = -1
            requests_per_hour = 9
            [limits.users.ann]
            usd_per_month = '1e3'
        ";
        let told = load(file, &[]).unwrap_err();
        for part in [
            "limits.count_in = memory (goblin.toml): must be process, redis or postgres",
            "limits.user.usd_per_day = 12.5 (goblin.toml): must be dollars as text",
            "limits.user.tokens_per_minute = -1 (goblin.toml): must be a whole number, or none",
            "limits.user.requests_per_hour (goblin.toml): no such setting",
            "limits.users.ann.usd_per_month = 1e3 (goblin.toml): must be dollars as decimal text",
        ] {
            assert!(told.contains(part), "{part} is missing in\n{told}");
        }
    }
}
