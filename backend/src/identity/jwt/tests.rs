//! Tokens, against an issuer that serves its keys by HTTP.

mod issuer;

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use self::issuer::{Issuer, SigningKey};
use super::{
    FetchFailure, Jwt, JwtSettings, TOKEN_BYTES, TokenDenied, TokenRejection as Rejected, key_source::Patience,
};
use crate::ports::{Clock, Principal, Scopes};

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://id.example/";

struct Fixed;

impl Clock for Fixed {
    fn unix_millis(&self) -> u64 {
        NOW * 1_000
    }
}

/// Keys are believed for long, and may be fetched at any time.
const EAGER: Patience = Patience {
    believed_for: Duration::from_mins(10),
    at_most_every: Duration::ZERO,
    kept_for: Duration::from_hours(1),
};

fn jwt(issuer: &Issuer, patience: Patience) -> Jwt {
    let settings = JwtSettings {
        issuer: ISSUER.to_owned(),
        audience: vec!["other".to_owned(), "goblin".to_owned()],
        jwks_url: issuer.url(),
        algorithms: vec![Algorithm::RS256, Algorithm::PS384, Algorithm::ES256, Algorithm::EdDSA],
        tenant_claim: None,
        default_scopes: Scopes::DEFAULT,
        leeway: Duration::from_mins(1),
        cache: patience.believed_for,
    };
    Jwt::with_patience(settings, patience, Arc::new(Fixed)).unwrap()
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": "goblin", "sub": "ann", "exp": NOW + 60 })
}

fn with(member: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[member] = value;
    claims
}

async fn check(jwt: &Jwt, token: &str) -> Result<Principal, Rejected> {
    match jwt.check(token).await {
        Ok(principal) => Ok(principal),
        Err(TokenDenied::Rejected(rejection)) => Err(rejection),
        Err(TokenDenied::Keys(failure)) => panic!("{failure}"),
    }
}

async fn failure(jwt: &Jwt, token: &str) -> FetchFailure {
    match jwt.check(token).await {
        Err(TokenDenied::Keys(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn tokens_of_every_kind_of_key_stand_for_their_subject() {
    let keys = [SigningKey::rsa("r"), SigningKey::p256("e"), SigningKey::ed25519("d")];
    let issuer = Issuer::start(keys.iter().map(SigningKey::jwk)).await;
    let jwt = jwt(&issuer, EAGER);
    for (key, algorithms) in keys.iter().zip([&["RS256", "PS384"][..], &["ES256"], &["EdDSA"]]) {
        for algorithm in algorithms {
            let token = key.sign(algorithm, &claims());
            let principal = check(&jwt, &token).await.unwrap();
            assert_eq!((principal.owner.user.as_str(), principal.owner.tenant.as_str()), ("ann", ""));
            assert_eq!((principal.key_id, principal.scopes, principal.anonymous), (None, Scopes::DEFAULT, false));
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let changed = signature.replacen(&signature[5..6], if &signature[5..6] == "A" { "B" } else { "A" }, 1);
            assert_eq!(check(&jwt, &format!("{signed}.{changed}")).await, Err(Rejected::Signature), "{algorithm}");
        }
    }
    assert_eq!(issuer.asked(), 1, "the keys were fetched once");
}

#[tokio::test]
async fn claims_that_do_not_fit_are_refused() {
    let key = SigningKey::ed25519("d");
    let issuer = Issuer::start([key.jwk()]).await;
    let jwt = jwt(&issuer, EAGER);
    for (claims, rejection) in [
        (with("iss", json!("https://id.example")), Rejected::Issuer),
        (with("iss", json!([ISSUER])), Rejected::Malformed),
        (with("iss", Value::Null), Rejected::Malformed),
        (with("aud", json!("goblins")), Rejected::Audience),
        (with("aud", json!([])), Rejected::Audience),
        (with("aud", Value::Null), Rejected::Malformed),
        (with("exp", json!(NOW - 60)), Rejected::Expired),
        (with("exp", Value::Null), Rejected::Malformed),
        (with("nbf", json!(NOW + 61)), Rejected::TooEarly),
        (with("sub", Value::Null), Rejected::Subject),
        (with("sub", json!("")), Rejected::Subject),
        (json!([]), Rejected::Malformed),
    ] {
        assert_eq!(check(&jwt, &key.sign("EdDSA", &claims)).await, Err(rejection), "{claims}");
    }
    for claims in [with("aud", json!(["x", "goblin"])), with("exp", json!(NOW - 59)), with("nbf", json!(NOW + 60))] {
        check(&jwt, &key.sign("EdDSA", &claims)).await.unwrap();
    }
    let admin = check(&jwt, &key.sign("EdDSA", &with("scope", json!("openid admin")))).await.unwrap();
    assert_eq!(admin.scopes.to_string(), "admin");
}

#[tokio::test]
async fn algorithms_are_those_that_are_configured_and_fit_the_key() {
    let keys = [SigningKey::rsa("r"), SigningKey::p256("e")];
    let issuer = Issuer::start(keys.iter().map(SigningKey::jwk)).await;
    let jwt = jwt(&issuer, EAGER);
    let [rsa, ec] = &keys;
    // Not configured, though the key could.
    assert_eq!(check(&jwt, &rsa.sign("RS512", &claims())).await, Err(Rejected::Algorithm));
    // The public key as the secret of a symmetric one: modulus, DER and JSON of it.
    for secret in [rsa.public(), rsa.jwk().to_string().into_bytes(), rsa.jwk()["n"].as_str().unwrap().into()] {
        let token = issuer::hs256("r", &claims(), &secret);
        assert_eq!(check(&jwt, &token).await, Err(Rejected::Algorithm));
    }
    for unsigned in ["none", "None", "XX256", ""] {
        let token = issuer::unsigned(&json!({ "alg": unsigned, "kid": "r" }), &claims());
        assert_eq!(check(&jwt, &token).await, Err(Rejected::Malformed), "{unsigned}");
    }
    // Configured, but of another kind than the key.
    assert_eq!(check(&jwt, &ec.renamed("r").sign("ES256", &claims())).await, Err(Rejected::UnknownKey));
    assert_eq!(check(&jwt, &rsa.renamed("e").sign("RS256", &claims())).await, Err(Rejected::UnknownKey));
    let critical = ec.sign_with(&json!({ "alg": "ES256", "kid": "e", "crit": ["b64"], "b64": false }), &claims());
    assert_eq!(check(&jwt, &critical).await, Err(Rejected::Critical));
    // A key that the token brings along counts for nothing.
    let own = SigningKey::p256("own");
    let embedded = own.sign_with(&json!({ "alg": "ES256", "kid": "own", "jwk": own.jwk() }), &claims());
    assert_eq!(check(&jwt, &embedded).await, Err(Rejected::UnknownKey));
    check(&jwt, &ec.sign("ES256", &claims())).await.unwrap();
}

#[tokio::test]
async fn what_is_no_token_is_refused_without_asking_the_issuer() {
    let issuer = Issuer::start([]).await;
    let jwt = jwt(&issuer, EAGER);
    for text in ["", ".", "..", "a.b.c", "sk-proj-1234", "a.b", "e30.e30.", "eyJhbGciOiJSUzI1NiJ9"] {
        assert_eq!(check(&jwt, text).await, Err(Rejected::Malformed), "{text}");
    }
    assert_eq!(check(&jwt, &"a".repeat(TOKEN_BYTES + 1)).await, Err(Rejected::TooLong));
    assert_eq!(issuer.asked(), 0);
}

#[tokio::test]
async fn keys_are_rotated_without_a_restart() {
    let (old, new) = (SigningKey::ed25519("old"), SigningKey::ed25519("new"));
    let issuer = Issuer::start([old.jwk()]).await;
    let jwt = jwt(&issuer, EAGER);
    check(&jwt, &old.sign("EdDSA", &claims())).await.unwrap();
    issuer.answer(200, &issuer::key_set([old.jwk(), new.jwk()]));
    check(&jwt, &new.sign("EdDSA", &claims())).await.unwrap();
    check(&jwt, &old.sign("EdDSA", &claims())).await.unwrap();
    assert_eq!(issuer.asked(), 2);
    issuer.answer(200, &issuer::key_set([new.jwk()]));
    let impatient = Patience { believed_for: Duration::ZERO, ..EAGER };
    let jwt = self::jwt(&issuer, impatient);
    assert_eq!(check(&jwt, &old.sign("EdDSA", &claims())).await, Err(Rejected::UnknownKey));
    check(&jwt, &new.sign("EdDSA", &claims())).await.unwrap();
}

#[tokio::test]
async fn many_tokens_with_unknown_keys_cost_one_fetch() {
    let (key, stranger) = (SigningKey::ed25519("a"), SigningKey::ed25519("b"));
    let issuer = Issuer::start([key.jwk()]).await;
    let jwt = Arc::new(jwt(&issuer, Patience { at_most_every: Duration::from_mins(1), ..EAGER }));
    let token = stranger.sign("EdDSA", &claims());
    let checks = (0..20).map(|_| {
        let (jwt, token) = (jwt.clone(), token.clone());
        tokio::spawn(async move { check(&jwt, &token).await })
    });
    for checked in futures_util::future::join_all(checks.collect::<Vec<_>>()).await {
        assert_eq!(checked.unwrap(), Err(Rejected::UnknownKey));
    }
    assert_eq!(issuer.asked(), 1);
    check(&jwt, &key.sign("EdDSA", &claims())).await.unwrap();
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_server_that_is_away_is_a_fault_of_ours_and_known_keys_are_kept() {
    let (key, stranger) = (SigningKey::p256("a"), SigningKey::p256("b"));
    let issuer = Issuer::start([key.jwk()]).await;
    let restless = jwt(&issuer, Patience { believed_for: Duration::ZERO, ..EAGER });
    check(&restless, &key.sign("ES256", &claims())).await.unwrap();
    for (status, body, told) in [
        (500, issuer::key_set([key.jwk()]), "status 500"),
        (302, String::new(), "status 302"),
        (200, "<html>".to_owned(), "no set of keys"),
        (200, issuer::key_set([]), "has no key"),
        (200, issuer::key_set([json!({ "kty": "oct", "kid": "a", "k": "AQAB" })]), "has no key"),
        (200, " ".repeat(300 * 1024), "longer than"),
    ] {
        issuer.answer(status, &body);
        let fresh = jwt(&issuer, EAGER);
        let failed = failure(&fresh, &key.sign("ES256", &claims())).await.to_string();
        assert!(failed.contains(told), "{failed}");
        check(&restless, &key.sign("ES256", &claims())).await.unwrap();
        let unknown = failure(&restless, &stranger.sign("ES256", &claims())).await.to_string();
        assert!(unknown.contains(told), "{unknown}");
    }
    let url = issuer.stop().await;
    let failed = failure(&restless, &stranger.sign("ES256", &claims())).await;
    assert!(matches!(failed, FetchFailure::Unreachable(_)), "{url}: {failed}");
    check(&restless, &key.sign("ES256", &claims())).await.unwrap();
}

#[tokio::test]
async fn known_keys_are_not_kept_for_ever() {
    let key = SigningKey::p256("a");
    let issuer = Issuer::start([key.jwk()]).await;
    let none = Patience { believed_for: Duration::ZERO, kept_for: Duration::ZERO, ..EAGER };
    let kept = Patience { kept_for: Duration::from_millis(1), ..none };
    let jwt = jwt(&issuer, kept);
    // Whether this one is still kept is a matter of milliseconds.
    let _ = jwt.check(&key.sign("ES256", &claims())).await;
    issuer.answer(500, "");
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert!(matches!(failure(&jwt, &key.sign("ES256", &claims())).await, FetchFailure::Status(500)));
}

#[tokio::test]
async fn a_client_that_leaves_does_not_break_off_the_fetch() {
    let key = SigningKey::p256("a");
    let issuer = Issuer::start([key.jwk()]).await;
    let jwt = jwt(&issuer, Patience { at_most_every: Duration::from_mins(1), ..EAGER });
    let token = key.sign("ES256", &claims());
    {
        let mut check = std::pin::pin!(jwt.check(&token));
        assert!(futures_util::poll!(&mut check).is_pending());
    }
    check(&jwt, &token).await.unwrap();
    assert_eq!(issuer.asked(), 1);
}
