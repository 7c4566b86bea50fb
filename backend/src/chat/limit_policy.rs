//! Which limits somebody has.

use std::collections::BTreeMap;

use crate::ports::{LimitSet, Owner, Principal, Subject};

/// The limits that the configuration sets. What it says of somebody by name is whole: it has taken over already what it
/// does not say from the limits of everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LimitPolicy {
    /// Of every API key, where its own record does not say otherwise.
    pub(crate) key: LimitSet,
    /// Of every user, anonymous callers being one together.
    pub(crate) user: LimitSet,
    /// Of every tenant.
    pub(crate) tenant: LimitSet,
    /// Of users by name: `tenant/user`, or the user's alone where he has no tenant. Two tenants may have a user of one name.
    pub(crate) users: BTreeMap<String, LimitSet>,
    /// Of tenants by name.
    pub(crate) tenants: BTreeMap<String, LimitSet>,
}

impl LimitPolicy {
    /// Whether nobody is limited, but by a key's own record.
    pub(crate) fn limits_nobody(&self) -> bool {
        let everybody = [&self.key, &self.user, &self.tenant];
        everybody.into_iter().chain(self.users.values()).chain(self.tenants.values()).all(LimitSet::is_empty)
    }

    fn of_user(&self, Owner { tenant, user }: &Owner) -> Option<&LimitSet> {
        if self.users.is_empty() {
            None
        } else if tenant.is_empty() {
            self.users.get(user)
        } else {
            self.users.get(&format!("{tenant}/{user}"))
        }
    }

    /// Whom a request of this principal counts for, and against which limits; who has none is left out.
    pub(super) fn claims(&self, principal: &Principal) -> Vec<(Subject, LimitSet)> {
        let Principal { owner, key_id, limits, .. } = principal;
        let key = key_id.as_ref().map(|id| (Subject::Key(id.clone()), or(limits, &self.key)));
        let user = *self.of_user(owner).unwrap_or(&self.user);
        let tenant = *self.tenants.get(&owner.tenant).unwrap_or(&self.tenant);
        let tenant = (!owner.tenant.is_empty()).then(|| (Subject::Tenant(owner.tenant.clone()), tenant));
        let all = key.into_iter().chain([(Subject::User(owner.clone()), user)]).chain(tenant);
        all.filter(|(_, limits)| !limits.is_empty()).collect()
    }
}

/// The first's limits, field by field those of the second where it has none.
fn or(first: &LimitSet, second: &LimitSet) -> LimitSet {
    LimitSet {
        requests_per_minute: first.requests_per_minute.or(second.requests_per_minute),
        tokens_per_minute: first.tokens_per_minute.or(second.tokens_per_minute),
        nano_usd_per_day: first.nano_usd_per_day.or(second.nano_usd_per_day),
        nano_usd_per_month: first.nano_usd_per_month.or(second.nano_usd_per_month),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(limit: u64) -> LimitSet {
        LimitSet { requests_per_minute: Some(limit), ..LimitSet::default() }
    }

    #[test]
    fn the_nearer_limit_counts_field_by_field() {
        let policy = LimitPolicy {
            key: LimitSet { tokens_per_minute: Some(9), ..requests(1) },
            user: requests(2),
            tenant: LimitSet::default(),
            users: [("acme/ann".to_owned(), requests(3)), ("bob".to_owned(), requests(6))].into(),
            tenants: [("acme".to_owned(), requests(4))].into(),
        };
        let owner = |tenant: &str, user: &str| Owner { tenant: tenant.to_owned(), user: user.to_owned() };
        let ann = Principal {
            owner: owner("acme", "ann"),
            key_id: Some("k".to_owned()),
            limits: requests(5),
            anonymous: false,
            ..Principal::anonymous()
        };
        let key = LimitSet { tokens_per_minute: Some(9), ..requests(5) };
        let expected = vec![
            (Subject::Key("k".to_owned()), key),
            (Subject::User(owner("acme", "ann")), requests(3)),
            (Subject::Tenant("acme".to_owned()), requests(4)),
        ];
        assert_eq!(policy.claims(&ann), expected);
        let bob = Principal { owner: owner("other", "bob"), ..Principal::anonymous() };
        assert_eq!(policy.claims(&bob), [(Subject::User(owner("other", "bob")), requests(2))]);
        let nobodys = Principal { owner: owner("", "bob"), ..Principal::anonymous() };
        assert_eq!(policy.claims(&nobodys), [(Subject::User(owner("", "bob")), requests(6))]);
        assert!(LimitPolicy::default().claims(&bob).is_empty());
    }
}
