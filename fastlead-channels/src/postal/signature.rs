//! Postal's signatures: RSA PKCS#1 v1.5 with SHA-256 over the bytes of a body, by a key of the whole installation
//! (<https://docs.postalserver.io/developer/webhooks>).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use fastlead_core::Result;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;

use super::config::fault;

/// A text of this many bytes is no set of keys.
const LONGEST_SET: usize = 64 * 1024;
/// A modulus of 2048 bits; shorter ones can be broken.
const SHORTEST_MODULUS: usize = 256;

/// The public keys of an installation.
#[derive(Clone)]
pub(super) struct SigningKeys(Vec<Key>);

#[derive(Clone)]
struct Key {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeys").field("keys", &self.0.len()).finish()
    }
}

/// A JSON Web Key Set (RFC 7517), as far as it is read.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<WebKey>,
}

#[derive(Deserialize)]
struct WebKey {
    kty: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

impl SigningKeys {
    /// Reads the text of `jwks.json`.
    ///
    /// # Errors
    /// [`fastlead_core::ErrorKind::Config`] where it holds no RSA key, or one of less than 2048 bits.
    pub(super) fn read(text: &str) -> Result<Self> {
        let refused = || fault("signing_keys: expected the text of /.well-known/jwks.json with an rsa key");
        let set: KeySet = Some(text)
            .filter(|text| text.len() <= LONGEST_SET)
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(refused)?;
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| refused());
        let mut keys = Vec::new();
        for key in set.keys.iter().filter(|key| key.kty == "RSA") {
            let (modulus, exponent) = (bytes(&key.n)?, bytes(&key.e)?);
            let significant = modulus.iter().skip_while(|byte| **byte == 0).count();
            if exponent.is_empty() || significant < SHORTEST_MODULUS {
                return Err(fault(
                    "signing_keys: a key has less than 2048 bits; give the installation a longer one",
                ));
            }
            let modulus = modulus[modulus.len() - significant..].to_vec();
            keys.push(Key { modulus, exponent });
        }
        if keys.is_empty() { Err(refused()) } else { Ok(Self(keys)) }
    }

    /// Whether one of the keys has signed these bytes. `signature` is base64.
    pub(super) fn have_signed(&self, body: &[u8], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature.trim()) else { return false };
        self.0.iter().any(|key| {
            let key = RsaPublicKeyComponents { n: &key.modulus, e: &key.exponent };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, body, &signature).is_ok()
        })
    }
}
