//! Keys that verify signatures, each for one algorithm, and which keys of an issuer's set are any good.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use std::collections::HashMap;

/// RSA keys below this are not accepted.
const MIN_RSA_BITS: usize = 2048;

/// A key and the one algorithm it is for.
#[derive(Clone)]
pub(super) struct VerificationKey {
    pub(super) key: DecodingKey,
    pub(super) algorithm: Algorithm,
}

impl std::fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerificationKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl VerificationKey {
    /// The key of a deployment whose tokens are signed by a shared secret.
    pub(super) fn from_secret(secret: &str) -> Self {
        Self { key: DecodingKey::from_secret(secret.as_bytes()), algorithm: Algorithm::HS256 }
    }
}

/// The usable keys of a set.
pub(super) type KeysById = HashMap<String, Vec<VerificationKey>>;

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

/// The usable keys of a set by their ids. Keys of other kinds are passed over: issuers publish them side by
/// side.
/// Keys may share an id, and stand in the document's order then.
pub(super) fn parse(document: &str) -> Result<KeysById, serde_json::Error> {
    let Document { keys } = serde_json::from_str(document)?;
    let mut usable = KeysById::new();
    for key in keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(canonical(key)).ok()) {
        if let (Some(id), Some(key)) = (key.common.key_id.clone(), verification_key(&key)) {
            usable.entry(id).or_default().push(key);
        }
    }
    Ok(usable)
}

/// The key with its RSA modulus as RFC 7518 has it: some issuers write a zero byte before it, which the
/// cryptography would take for a part of the key.
fn canonical(mut key: serde_json::Value) -> serde_json::Value {
    let modulus = key.get("n").and_then(serde_json::Value::as_str).map(|text| URL_SAFE_NO_PAD.decode(text));
    if let (Some(Ok(bytes)), Some(fields)) = (modulus, key.as_object_mut()) {
        let significant: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
        fields.insert("n".to_owned(), URL_SAFE_NO_PAD.encode(significant).into());
    }
    key
}

/// A key of one of the three algorithms, if the set says it is for signatures and no other algorithm.
fn verification_key(jwk: &Jwk) -> Option<VerificationKey> {
    let (algorithm, declared) = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) if rsa_bits(&rsa.n) >= MIN_RSA_BITS => {
            (Algorithm::RS256, KeyAlgorithm::RS256)
        }
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    let common = &jwk.common;
    let is_for_this = common.key_algorithm.is_none_or(|algorithm| algorithm == declared)
        && common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|uses| uses.contains(&KeyOperations::Verify));
    let key = is_for_this.then(|| DecodingKey::from_jwk(jwk).ok())??;
    Some(VerificationKey { key, algorithm })
}

fn rsa_bits(modulus: &str) -> usize {
    let bytes = URL_SAFE_NO_PAD.decode(modulus).unwrap_or_default();
    let significant = bytes.iter().skip_while(|byte| **byte == 0);
    let leading_zeros = significant
        .clone()
        .next()
        .map_or(0, |byte| usize::try_from(byte.leading_zeros()).unwrap_or_default());
    significant.count() * 8 - leading_zeros
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strong_signing_keys_of_a_known_kind_are_used() {
        let rsa = |bytes: usize| URL_SAFE_NO_PAD.encode(vec![0xff_u8; bytes]);
        let point = URL_SAFE_NO_PAD.encode([7_u8; 32]);
        let (strong, weak) = (rsa(256), rsa(255));
        let rows = [
            (format!(r#"{{"kty":"RSA","kid":"k","n":"{strong}","e":"AQAB"}}"#), Some(Algorithm::RS256)),
            (
                format!(r#"{{"kty":"RSA","kid":"k","n":"{strong}","e":"AQAB","alg":"RS256","use":"sig"}}"#),
                Some(Algorithm::RS256),
            ),
            (format!(r#"{{"kty":"RSA","kid":"k","n":"{weak}","e":"AQAB"}}"#), None),
            (format!(r#"{{"kty":"RSA","n":"{strong}","e":"AQAB"}}"#), None),
            (format!(r#"{{"kty":"RSA","kid":"k","n":"{strong}","e":"AQAB","alg":"RS512"}}"#), None),
            (format!(r#"{{"kty":"RSA","kid":"k","n":"{strong}","e":"AQAB","use":"enc"}}"#), None),
            (format!(r#"{{"kty":"RSA","kid":"k","n":"{strong}","e":"AQAB","key_ops":["encrypt"]}}"#), None),
            (
                format!(r#"{{"kty":"RSA","kid":"k","n":"{strong}","e":"AQAB","key_ops":["verify"]}}"#),
                Some(Algorithm::RS256),
            ),
            (
                format!(r#"{{"kty":"EC","kid":"k","crv":"P-256","x":"{point}","y":"{point}"}}"#),
                Some(Algorithm::ES256),
            ),
            (format!(r#"{{"kty":"EC","kid":"k","crv":"P-384","x":"{point}","y":"{point}"}}"#), None),
            (format!(r#"{{"kty":"OKP","kid":"k","crv":"Ed25519","x":"{point}"}}"#), Some(Algorithm::EdDSA)),
            (format!(r#"{{"kty":"oct","kid":"k","k":"{point}"}}"#), None),
            (r#"{"kty":"from-the-future","kid":"k"}"#.to_owned(), None),
        ];
        for (key, expected) in rows {
            let found =
                parse(&format!(r#"{{"keys":[{key}]}}"#)).unwrap().remove("k").map(|keys| keys[0].algorithm);
            assert_eq!(found, expected, "{key}");
        }
        assert!(parse("{}").is_err());
    }
}
