//! An issuer of tokens: keys, signatures, and a server with its key set.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use axum::{Router, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512,
        RSA_PSS_SHA384, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// Made for these tests, as ring makes no RSA keys; it opens nothing.
const RSA_KEY: &[u8] = include_bytes!("rsa_key.pk8");

/// What a server answers, and how often it was asked.
struct Answers {
    next: Mutex<(u16, String)>,
    asked: AtomicU32,
}

/// A server of a key set on a loopback address.
pub(super) struct Issuer {
    answers: Arc<Answers>,
    url: String,
    task: JoinHandle<()>,
}

impl Issuer {
    pub(super) async fn start(keys: impl IntoIterator<Item = Value>) -> Self {
        // As the program does at its start.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let answers = Arc::new(Answers { next: Mutex::new((200, key_set(keys))), asked: AtomicU32::new(0) });
        let shared = answers.clone();
        let answer = move || {
            shared.asked.fetch_add(1, Ordering::Relaxed);
            let (status, body) = shared.next.lock().unwrap().clone();
            async move { (StatusCode::from_u16(status).unwrap(), body) }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let router = Router::new().route("/keys", get(answer));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { answers, url, task }
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    pub(super) fn answer(&self, status: u16, body: &str) {
        *self.answers.next.lock().unwrap() = (status, body.to_owned());
    }

    pub(super) fn asked(&self) -> u32 {
        self.answers.asked.load(Ordering::Relaxed)
    }

    /// Closes the listener; connections that are open are answered with a fault.
    pub(super) async fn stop(self) -> String {
        self.answer(500, "");
        self.task.abort();
        let _ = self.task.await;
        // Somebody must have noticed: the port refuses.
        let address = self.url.trim_start_matches("http://").trim_end_matches("/keys");
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        self.url
    }
}

pub(super) fn key_set(keys: impl IntoIterator<Item = Value>) -> String {
    json!({ "keys": keys.into_iter().collect::<Vec<_>>() }).to_string()
}

#[derive(Clone)]
enum Pair {
    Rsa(Arc<RsaKeyPair>),
    P256(Arc<EcdsaKeyPair>),
    Ed25519(Arc<Ed25519KeyPair>),
}

/// A key with its name.
#[derive(Clone)]
pub(super) struct SigningKey {
    kid: &'static str,
    pair: Pair,
}

impl SigningKey {
    pub(super) fn rsa(kid: &'static str) -> Self {
        Self { kid, pair: Pair::Rsa(Arc::new(RsaKeyPair::from_pkcs8(RSA_KEY).unwrap())) }
    }

    pub(super) fn p256(kid: &'static str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self { kid, pair: Pair::P256(Arc::new(pair)) }
    }

    pub(super) fn ed25519(kid: &'static str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { kid, pair: Pair::Ed25519(Arc::new(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())) }
    }

    /// The same key under another name.
    pub(super) fn renamed(&self, kid: &'static str) -> Self {
        Self { kid, ..self.clone() }
    }

    /// The public key as bytes: of an RSA key its DER.
    pub(super) fn public(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::P256(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// The public key as the issuer publishes it.
    pub(super) fn jwk(&self) -> Value {
        let public = self.public();
        match &self.pair {
            Pair::Rsa(pair) => {
                let RsaPublicKeyComponents::<Vec<u8>> { n, e } = pair.public().into();
                json!({ "kty": "RSA", "kid": self.kid, "use": "sig", "n": encode(&n), "e": encode(&e) })
            }
            Pair::P256(_) => {
                let (x, y) = public[1..].split_at(32);
                json!({ "kty": "EC", "kid": self.kid, "crv": "P-256", "x": encode(x), "y": encode(y) })
            }
            Pair::Ed25519(_) => {
                json!({ "kty": "OKP", "kid": self.kid, "crv": "Ed25519", "alg": "EdDSA", "x": encode(&public) })
            }
        }
    }

    pub(super) fn sign(&self, algorithm: &str, claims: &Value) -> String {
        self.sign_with(&json!({ "typ": "JWT", "alg": algorithm, "kid": self.kid }), claims)
    }

    pub(super) fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let signed = signed_part(header, claims);
        let (message, random) = (signed.as_bytes(), SystemRandom::new());
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let padding: &dyn ring::signature::RsaEncoding = match header["alg"].as_str().unwrap() {
                    "PS384" => &RSA_PSS_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Pair::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        };
        format!("{signed}.{}", encode(&signature))
    }
}

/// A token whose signature is symmetric.
pub(super) fn hs256(kid: &str, claims: &Value, secret: &[u8]) -> String {
    let signed = signed_part(&json!({ "alg": "HS256", "kid": kid }), claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", encode(tag.as_ref()))
}

/// A token without a signature.
pub(super) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.", signed_part(header, claims))
}

fn signed_part(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
