//! Keys for programs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fastlead_core::secret::Secret;
use sha2::{Digest, Sha256};

/// What every key begins with, so that people and scanners know one when they see it.
pub(super) const PREFIX: &str = "fl_";
/// Characters that are kept in clear, to tell keys apart.
const HINT_CHARS: usize = 8;

/// A key that was just made. The key itself is shown once and never stored.
#[derive(Debug)]
pub struct NewApiKey {
    /// The key.
    pub secret: Secret<String>,
    /// SHA-256 of it, which is stored. A key has 256 random bits, so a slow hash would add nothing.
    pub hash: [u8; 32],
    /// Its first characters.
    pub hint: String,
}

impl NewApiKey {
    /// A new random key.
    pub fn generate() -> Self {
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
        Self { hash: hash(&text), hint: text.chars().take(HINT_CHARS).collect(), secret: Secret::new(text) }
    }
}

pub(super) fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_hash_and_does_not_print() {
        let key = NewApiKey::generate();
        assert_eq!(hash(key.secret.expose()), key.hash);
        assert!(key.secret.expose().starts_with(&key.hint));
        assert_eq!(key.secret.expose().len(), 46);
        assert!(!format!("{key:?}").contains(key.secret.expose().as_str()));
    }
}
