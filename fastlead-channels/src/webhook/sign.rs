//! Signatures as [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
//! wants them, over `id.timestamp.body`: HMAC-SHA256 with a secret that both sides have (`v1`), and ed25519 with a key
//! that only the sender has (`v1a`).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fastlead_core::secret::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::signature::Ed25519KeyPair;
use sha2::Sha256;

const SYMMETRIC: &str = "whsec_";
const PRIVATE: &str = "whsk_";
/// How many bytes a symmetric key has, by the specification.
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 24..=64;
/// A seed of ed25519 (RFC 8032 section 5.1.5). Some programs keep the public key behind it.
const SEED_LENGTH: usize = 32;

/// The keys that are valid now; during a rotation the old and the new one.
#[derive(Debug, Clone)]
pub(super) struct SigningKeys(Vec<Key>);

#[derive(Debug, Clone)]
enum Key {
    Symmetric(Secret<Vec<u8>>),
    /// Prints its public half only.
    Asymmetric(Arc<Ed25519KeyPair>),
}

impl SigningKeys {
    /// Reads `whsec_` and base64 of 24 to 64 bytes, or `whsk_` and base64 of an ed25519 key; `None` where a secret is
    /// anything else, or where there is none.
    pub(super) fn parse(secrets: &[Secret<String>]) -> Option<Self> {
        let keys: Option<Vec<_>> = secrets.iter().map(|secret| Key::parse(secret.expose())).collect();
        keys.filter(|keys| !keys.is_empty()).map(Self)
    }

    /// The value of `webhook-signature`: one signature for each key, separated by spaces.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let content = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
        let signatures: Vec<_> = self.0.iter().filter_map(|key| key.sign(&content)).collect();
        signatures.join(" ")
    }
}

impl Key {
    fn parse(secret: &str) -> Option<Self> {
        if let Some(encoded) = secret.strip_prefix(SYMMETRIC) {
            let key = BASE64.decode(encoded).ok()?;
            return KEY_LENGTH.contains(&key.len()).then(|| Self::Symmetric(Secret::new(key)));
        }
        let key = BASE64.decode(secret.strip_prefix(PRIVATE)?).ok()?;
        let pair = match key.split_at_checked(SEED_LENGTH)? {
            (seed, []) => Ed25519KeyPair::from_seed_unchecked(seed),
            (seed, public) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
        };
        pair.ok().map(|pair| Self::Asymmetric(Arc::new(pair)))
    }

    /// The identifier of the scheme, a comma and the signature. HMAC takes keys of every length, so there always is one.
    fn sign(&self, content: &[u8]) -> Option<String> {
        match self {
            Self::Symmetric(key) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).ok()?;
                mac.update(content);
                Some(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
            }
            Self::Asymmetric(pair) => Some(format!("v1a,{}", BASE64.encode(pair.sign(content)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the reference implementations.
    #[test]
    fn the_published_example() {
        let keys = SigningKeys::parse(&["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".into()]).unwrap();
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        assert_eq!(
            keys.sign("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
    }

    #[test]
    fn every_key_signs_in_order() {
        let (old, new) = ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let sign = |secrets: &[Secret<String>]| SigningKeys::parse(secrets).unwrap().sign("dlv_1", 7, b"{}");
        assert_eq!(
            sign(&[old.into(), new.into()]),
            format!("{} {}", sign(&[old.into()]), sign(&[new.into()]))
        );
    }

    /// The key of the first test of RFC 8032 section 7.1.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    #[test]
    fn a_private_key_signs_for_its_public_one() {
        let (seed, public) = (hex::decode(SEED).unwrap(), hex::decode(PUBLIC).unwrap());
        let alone = format!("whsk_{}", BASE64.encode(&seed));
        let with_public = format!("whsk_{}", BASE64.encode([seed, public.clone()].concat()));
        let hmac = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        let keys =
            SigningKeys::parse(&[alone.as_str().into(), with_public.as_str().into(), hmac.into()]).unwrap();
        let header = keys.sign("dlv_1", 7, b"{}");
        let signatures: Vec<_> = header.split(' ').collect();
        assert_eq!((signatures.len(), signatures[0]), (3, signatures[1]));
        assert!(signatures[2].starts_with("v1,"));
        let signature = BASE64.decode(signatures[0].strip_prefix("v1a,").unwrap()).unwrap();
        let known = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, public);
        assert!(known.verify(b"dlv_1.7.{}", &signature).is_ok());
        assert!(known.verify(b"dlv_1.8.{}", &signature).is_err());
        let printed = format!("{keys:?}");
        assert!(!printed.contains("9d61b19d") && !printed.contains(&alone[5..]), "{printed}");
    }

    #[test]
    fn what_is_not_a_key() {
        let (seed, other) = (hex::decode(SEED).unwrap(), vec![7; 32]);
        for key in [vec![7; 31], vec![7; 33], [seed, other].concat()] {
            let secret = format!("whsk_{}", BASE64.encode(key));
            assert!(SigningKeys::parse(&[secret.as_str().into()]).is_none(), "{secret}");
        }
        let of_length = |length: usize| format!("whsec_{}", BASE64.encode(vec![7; length]));
        let refused =
            ["", "whsec_", "whsec_***", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD", &of_length(23), &of_length(65)];
        for secret in refused {
            assert!(SigningKeys::parse(&[secret.into()]).is_none(), "{secret}");
        }
        assert!(SigningKeys::parse(&[]).is_none());
        for length in [24, 64] {
            assert!(SigningKeys::parse(&[of_length(length).as_str().into()]).is_some());
        }
    }
}
