//! Who asks, once that is proven.

use std::{fmt, str::FromStr};

/// What a credential may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// Asking models, and the list of them: `chat`.
    Chat,
    /// Keeping conversations: `conversations`.
    Conversations,
    /// Everything under `/admin`: `admin`.
    Admin,
    /// Telling of incidents, and nothing else, which is Alertmanager's: `incidents`.
    Incidents,
}

impl Scope {
    /// All there are.
    pub(crate) const ALL: [Self; 4] = [Self::Chat, Self::Conversations, Self::Admin, Self::Incidents];

    /// As it is written.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Conversations => "conversations",
            Self::Admin => "admin",
            Self::Incidents => "incidents",
        }
    }
}

/// Several scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scopes(u8);

impl Scopes {
    /// What a credential may do when nothing else was said.
    pub(crate) const DEFAULT: Self = Self(Self::bit(Scope::Chat) | Self::bit(Scope::Conversations));

    /// None at all.
    pub(crate) const NONE: Self = Self(0);

    const fn bit(scope: Scope) -> u8 {
        match scope {
            Scope::Chat => 1,
            Scope::Conversations => 2,
            Scope::Admin => 4,
            Scope::Incidents => 8,
        }
    }

    /// With one more.
    pub(crate) const fn with(self, scope: Scope) -> Self {
        Self(self.0 | Self::bit(scope))
    }

    /// Whether `scope` is among them.
    pub(crate) const fn contains(self, scope: Scope) -> bool {
        self.0 & Self::bit(scope) != 0
    }

    /// Those of a text with spaces or commas between that are ours; others belong to somebody else and are passed over.
    pub(crate) fn known_of(text: &str) -> Self {
        let names = text.split([' ', ',']);
        let known = names.filter_map(|name| Scope::ALL.into_iter().find(|scope| scope.as_str() == name));
        known.fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Scope::ALL.into_iter().filter(|scope| self.contains(*scope)).map(Scope::as_str).collect();
        f.write_str(&names.join(","))
    }
}

/// A name that is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no scope; there are chat, conversations and admin")]
pub(crate) struct UnknownScope(pub(crate) String);

/// Names with commas between, at least one.
impl FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        text.split(',').map(str::trim).try_fold(Self::NONE, |scopes, name| {
            let scope = Scope::ALL.into_iter().find(|scope| scope.as_str() == name);
            scope.map(|scope| scopes.with(scope)).ok_or_else(|| UnknownScope(name.to_owned()))
        })
    }
}

/// Whose something is: a user within a tenant. Users of two tenants are two, whatever they are called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Owner {
    /// Empty: none.
    pub(crate) tenant: String,
    /// A key's `--user`, or else its id; of a JWT its `sub`.
    pub(crate) user: String,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// The user.
    pub(crate) owner: Owner,
    /// Id of the API key, where it was one.
    pub(crate) key_id: Option<String>,
    /// What it may do.
    pub(crate) scopes: Scopes,
    /// The key's own limits.
    pub(crate) limits: super::LimitSet,
    /// Nobody was named, and the service takes that.
    pub(crate) anonymous: bool,
}

impl Principal {
    /// The name of whoever does not say who he is.
    pub(crate) const ANONYMOUS: &'static str = "anonymous";

    /// Somebody without a credential, where that is allowed.
    pub(crate) fn anonymous() -> Self {
        Self {
            owner: Owner { tenant: String::new(), user: Self::ANONYMOUS.to_owned() },
            key_id: None,
            scopes: Scopes::DEFAULT,
            limits: super::LimitSet::default(),
            anonymous: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_written_and_read() {
        for text in ["chat", "chat,conversations", "chat,conversations,admin", "admin"] {
            assert_eq!(text.parse::<Scopes>().unwrap().to_string(), text);
        }
        assert_eq!(" admin , chat".parse::<Scopes>().unwrap().to_string(), "chat,admin");
        assert_eq!(Scopes::DEFAULT.to_string(), "chat,conversations");
        for wrong in ["", "chat,", "root"] {
            assert!(wrong.parse::<Scopes>().is_err(), "{wrong}");
        }
        assert_eq!(Scopes::known_of("openid chat email"), Scopes::NONE.with(Scope::Chat));
        assert!(!Scopes::DEFAULT.contains(Scope::Admin));
    }
}
