//! Signatures as [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
//! wants them: HMAC-SHA256 over `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fastlead_core::secret::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

const PREFIX: &str = "whsec_";
/// How many bytes a key has, by the specification.
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 24..=64;

/// The keys that are valid now; during a rotation the old and the new one.
#[derive(Debug, Clone)]
pub(super) struct SigningKeys(Vec<Secret<Vec<u8>>>);

impl SigningKeys {
    /// Reads `whsec_` and base64 of 24 to 64 bytes; `None` where a secret is anything else, or
    /// where there is none.
    pub(super) fn parse(secrets: &[Secret<String>]) -> Option<Self> {
        let keys: Option<Vec<_>> = secrets.iter().map(key).collect();
        keys.filter(|keys| !keys.is_empty()).map(Self)
    }

    /// The value of `webhook-signature`: one signature for each key, separated by spaces.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signatures: Vec<_> =
            self.0.iter().filter_map(|key| signature(key, id, timestamp, body)).collect();
        signatures.join(" ")
    }
}

fn key(secret: &Secret<String>) -> Option<Secret<Vec<u8>>> {
    let key = BASE64.decode(secret.expose().strip_prefix(PREFIX)?).ok()?;
    KEY_LENGTH.contains(&key.len()).then_some(Secret::new(key))
}

/// `v1,` and the base64 digest. HMAC takes keys of every length, so there always is one.
fn signature(key: &Secret<Vec<u8>>, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Some(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
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

    #[test]
    fn what_is_not_a_key() {
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
