//! Verifies signatures of tokens with ring, which TLS uses anyway.

use ::ring::signature as ring;
use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
    signature::{self, Verifier},
};

/// Makes it what `jsonwebtoken` uses. Once more does no harm.
pub(super) fn install() {
    static RING: CryptoProvider = CryptoProvider {
        // Nothing is signed here.
        signer_factory: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
        verifier_factory,
        key_utils: KeyUtils::new_unimplemented(),
    };
    // Refused when it was installed before.
    let _ = RING.install_default();
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the library wants it so")]
fn verifier_factory(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let method = match algorithm {
        Algorithm::RS256 => Method::Rsa(&ring::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Method::Rsa(&ring::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Method::Rsa(&ring::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Method::Rsa(&ring::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Method::Rsa(&ring::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Method::Rsa(&ring::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 => Method::Point(&ring::ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Method::Point(&ring::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => Method::Point(&ring::ED25519),
        // Symmetric ones, and what is not known yet.
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    };
    Ok(Box::new(RingVerifier { algorithm: *algorithm, method, key: key.clone() }))
}

enum Method {
    /// Keys are modulus and exponent.
    Rsa(&'static ring::RsaParameters),
    /// Keys are a point of a curve.
    Point(&'static dyn ring::VerificationAlgorithm),
}

struct RingVerifier {
    algorithm: Algorithm,
    method: Method,
    key: DecodingKey,
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match (&self.method, self.key.kind()) {
            (Method::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                ring::RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (Method::Point(algorithm), DecodingKeyKind::SecretOrDer(point)) => {
                ring::UnparsedPublicKey::new(*algorithm, point).verify(message, signature)
            }
            // The key is of another kind than the algorithm.
            _ => return Err(signature::Error::new()),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
