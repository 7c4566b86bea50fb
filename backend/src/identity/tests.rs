//! API keys, against keys in memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use goblin_shared::api_key::{ApiKey, IssuerSecret};
use tokio::{sync::Semaphore, time::advance};

use super::{
    ApiKeys, Denied, Identity, Issued, Jwt, JwtSettings, KeyOffice, KeyRejection, Mode, NewKey, OfficeError,
    api_keys::KeyDenied, memory_keys::MemoryKeys,
};
use crate::{
    ambient::SystemRandom,
    monitoring::metrics::read_back::ReadBack,
    ports::{Clock, LimitSet, Principal, Scopes},
};

const BELIEVED: Duration = Duration::from_secs(10);
const NOW: u64 = 1_800_000_000_000;

/// A clock that the test moves, in milliseconds.
struct ByHand(AtomicU64);

impl Clock for ByHand {
    fn unix_millis(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Bench {
    store: Arc<MemoryKeys>,
    keys: ApiKeys,
    office: KeyOffice,
    clock: Arc<ByHand>,
}

fn issuer() -> IssuerSecret {
    "0123456789abcdef0123456789abcdef".parse().unwrap()
}

impl Bench {
    fn new(believed: Duration) -> Self {
        let (store, clock) = (Arc::new(MemoryKeys::default()), Arc::new(ByHand(NOW.into())));
        Self {
            keys: ApiKeys::new(Some(store.clone()), vec![issuer()], believed, clock.clone()),
            office: KeyOffice::new(store.clone(), Some(issuer()), Arc::new(SystemRandom), clock.clone()),
            store,
            clock,
        }
    }

    async fn issue(&self) -> Issued {
        self.office.create(NewKey { scopes: Scopes::DEFAULT, ..NewKey::default() }).await.unwrap()
    }

    async fn check(&self, key: &ApiKey) -> Result<Principal, KeyRejection> {
        match self.keys.check(key.expose()).await {
            Ok(principal) => Ok(principal),
            Err(KeyDenied::Rejected(rejection)) => Err(rejection),
            Err(KeyDenied::Store(error)) => panic!("{error}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_stands_for_its_owner() {
    let bench = Bench::new(BELIEVED);
    let limits = LimitSet { requests_per_minute: Some(5), ..LimitSet::default() };
    let wish = NewKey {
        user: Some("ann".to_owned()),
        tenant: Some("acme".to_owned()),
        scopes: Scopes::DEFAULT,
        limits,
        ..NewKey::default()
    };
    let named = bench.office.create(wish).await.unwrap();
    let principal = bench.check(&named.key).await.unwrap();
    assert_eq!((principal.owner.user.as_str(), principal.owner.tenant.as_str()), ("ann", "acme"));
    assert_eq!((principal.key_id.as_deref(), principal.limits), (Some(named.key.id()), limits));
    let unnamed = bench.issue().await;
    assert_eq!(bench.check(&unnamed.key).await.unwrap().owner.user, unnamed.key.id());
}

#[tokio::test(start_paused = true)]
async fn a_key_is_believed_for_a_while_and_then_looked_up_again() {
    let bench = Bench::new(BELIEVED);
    let key = bench.issue().await.key;
    for _ in 0..3 {
        bench.check(&key).await.unwrap();
    }
    assert_eq!(bench.store.finds(), 1);
    // Another instance revokes it.
    bench.office.revoke(key.id()).await.unwrap();
    bench.check(&key).await.unwrap();
    advance(BELIEVED).await;
    assert_eq!(bench.check(&key).await, Err(KeyRejection::Revoked));
    let other = bench.issue().await.key;
    bench.check(&other).await.unwrap();
    bench.office.revoke(other.id()).await.unwrap();
    bench.keys.forget(other.id());
    assert_eq!(bench.check(&other).await, Err(KeyRejection::Revoked));
    let careful = Bench::new(Duration::ZERO);
    let key = careful.issue().await.key;
    for _ in 0..3 {
        careful.check(&key).await.unwrap();
    }
    assert_eq!(careful.store.finds(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_was_found_before_a_change_is_not_remembered_after_it() {
    let bench = Bench::new(BELIEVED);
    let key = bench.issue().await.key;
    let may_answer = Arc::new(Semaphore::new(0));
    bench.store.hold(may_answer.clone());
    let change = async {
        // The key was found; it is revoked before that is told.
        bench.office.revoke(key.id()).await.unwrap();
        bench.keys.forget(key.id());
        may_answer.add_permits(2);
    };
    let (found, ()) = tokio::join!(bench.check(&key), change);
    found.unwrap();
    assert_eq!(bench.check(&key).await, Err(KeyRejection::Revoked));
}

#[tokio::test(start_paused = true)]
async fn wrong_secrets_and_unknown_ids_take_the_same_way() {
    let bench = Bench::new(BELIEVED);
    let key = bench.issue().await.key;
    bench.check(&key).await.unwrap();
    let wrong = ApiKey::mint_successor(&issuer(), key.id(), &[1; 48]).unwrap();
    let unknown = ApiKey::mint(&issuer(), &[2; 48]);
    for other in [&wrong, &unknown, &wrong, &unknown] {
        let before = bench.store.finds();
        assert_eq!(bench.check(other).await, Err(KeyRejection::Unknown));
        assert_eq!(bench.store.finds(), before + 1, "each is looked up once, every time");
    }
    bench.check(&key).await.unwrap();
    let forged = ApiKey::mint(&"x".repeat(32).parse().unwrap(), &[3; 48]);
    let before = bench.store.finds();
    assert_eq!(bench.check(&forged).await, Err(KeyRejection::Forged));
    assert_eq!(bench.store.finds(), before, "what was not issued here is not looked up");
}

#[tokio::test(start_paused = true)]
async fn two_secrets_count_while_a_key_is_rotated() {
    let bench = Bench::new(BELIEVED);
    let first = bench.issue().await.key;
    bench.check(&first).await.unwrap();
    let second = bench.office.rotate(first.id(), Duration::from_secs(5)).await.unwrap();
    assert_eq!((second.key.id(), second.record.created_ms), (first.id(), NOW));
    assert_eq!(bench.store.peek(first.id()), Some(second.record.clone()), "what is told is what is kept");
    // Though what is remembered does not know it yet.
    bench.check(&second.key).await.unwrap();
    bench.check(&first).await.unwrap();
    bench.clock.0.fetch_add(5_000, Ordering::Relaxed);
    assert_eq!(bench.check(&first).await, Err(KeyRejection::Replaced));
    bench.check(&second.key).await.unwrap();
    let third = bench.office.rotate(first.id(), Duration::ZERO).await.unwrap().key;
    bench.keys.forget(first.id());
    assert_eq!(bench.check(&second.key).await, Err(KeyRejection::Replaced));
    assert_eq!(bench.check(&first).await, Err(KeyRejection::Unknown));
    bench.check(&third).await.unwrap();
    bench.office.revoke(first.id()).await.unwrap();
    assert!(matches!(bench.office.rotate(first.id(), Duration::ZERO).await, Err(OfficeError::Revoked)));
}

#[tokio::test(start_paused = true)]
async fn a_key_expires_though_it_is_remembered() {
    let bench = Bench::new(Duration::from_hours(1));
    let wish = NewKey { scopes: Scopes::DEFAULT, expires_in: Some(Duration::from_secs(5)), ..NewKey::default() };
    let key = bench.office.create(wish).await.unwrap().key;
    bench.check(&key).await.unwrap();
    bench.clock.0.fetch_add(4_999, Ordering::Relaxed);
    bench.check(&key).await.unwrap();
    bench.clock.0.fetch_add(1, Ordering::Relaxed);
    assert_eq!(bench.check(&key).await, Err(KeyRejection::Expired));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_rejects_nobody() {
    let bench = Bench::new(BELIEVED);
    let key = bench.issue().await.key;
    bench.store.fail(true);
    assert!(matches!(bench.keys.check(key.expose()).await, Err(KeyDenied::Store(_))));
    bench.store.fail(false);
    bench.check(&key).await.unwrap();
    bench.store.fail(true);
    bench.check(&key).await.unwrap();
    advance(BELIEVED).await;
    assert!(matches!(bench.keys.check(key.expose()).await, Err(KeyDenied::Store(_))));
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_kept_there_are_no_keys() {
    let keys = ApiKeys::new(None, vec![issuer()], BELIEVED, Arc::new(ByHand(NOW.into())));
    let key = ApiKey::mint(&issuer(), &[2; 48]);
    assert!(matches!(keys.check(key.expose()).await, Err(KeyDenied::Rejected(KeyRejection::NotKept))));
}

#[tokio::test]
async fn an_issuer_that_is_away_rejects_nobody() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let clock = Arc::new(ByHand(NOW.into()));
    let settings = JwtSettings {
        issuer: "https://id.example".to_owned(),
        audience: vec!["goblin".to_owned()],
        // Nobody listens there.
        jwks_url: "http://127.0.0.1:1/keys".to_owned(),
        algorithms: vec![jsonwebtoken::Algorithm::EdDSA],
        tenant_claim: None,
        default_scopes: Scopes::DEFAULT,
        leeway: Duration::ZERO,
        cache: Duration::from_mins(1),
    };
    let jwt = Jwt::new(settings, clock.clone()).unwrap();
    let (metrics, counted) = ReadBack::new();
    let keys = ApiKeys::new(None, vec![issuer()], BELIEVED, clock);
    let identity = Identity::new(Mode::Required, keys, Some(jwt), metrics);
    let decide = async |token: &str| {
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        identity.decide(&headers, true).await.who
    };
    // {"alg":"EdDSA","kid":"a"}
    let who = decide("eyJhbGciOiJFZERTQSIsImtpZCI6ImEifQ.e30.AA").await;
    assert!(matches!(who, Err(Denied::IssuerKeys(_))), "{who:?}");
    assert!(matches!(decide("sk-somebody-elses").await, Err(Denied::Token(_))));
    let counted = counted.counter(goblin_shared::vocabulary::AUTH_ATTEMPTS.name);
    let told: Vec<_> = counted.iter().map(|(labels, count)| (labels.join(" "), *count)).collect();
    assert_eq!(told, [("jwt error", 1), ("jwt rejected", 1)].map(|(labels, count)| (labels.to_owned(), count)));
}
