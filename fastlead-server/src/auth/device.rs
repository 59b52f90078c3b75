//! Devices from which somebody has signed in before: they get attempts and a place in the queue that strangers cannot
//! use up, and nothing else ([device cookies](https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies)).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fastlead_core::id::UserId;
use fastlead_core::time::Timestamp;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::keyset::{KeySet, SigningKey};

/// Name of the cookie.
pub(crate) const COOKIE: &str = "fl_device";
/// How long a device is known after a sign-in.
pub(crate) const KEPT_SECS: i64 = 365 * 86_400;
const NONCE: usize = 16;
const CODE: usize = 32;

/// A device that somebody has signed in from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) nonce: [u8; NONCE],
}

impl Device {
    pub(super) fn new() -> Self {
        Self { nonce: rand::random() }
    }

    /// What the device keeps: it says who has signed in there and when, under a code.
    pub(super) fn write(&self, keys: &KeySet, user: UserId, now: Timestamp) -> String {
        let signed_in = now.timestamp().to_be_bytes();
        let code = code(keys.current(), user, &self.nonce, signed_in).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&self.nonce[..], &signed_in[..], &code[..]].concat())
    }

    /// Reads what a device has kept; `None` where it is not of `user`, is too old, or was not made here.
    pub(super) fn read(text: &str, keys: &KeySet, user: UserId, now: Timestamp) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, rest) = bytes.split_first_chunk::<NONCE>()?;
        let (signed_in, given) = rest.split_first_chunk::<8>()?;
        let is_ours = given.len() == CODE
            && keys.all().any(|key| code(key, user, nonce, *signed_in).verify_slice(given).is_ok());
        let age = now.timestamp().saturating_sub(i64::from_be_bytes(*signed_in));
        (is_ours && age < KEPT_SECS).then_some(Self { nonce: *nonce })
    }
}

fn code(key: &SigningKey, user: UserId, nonce: &[u8; NONCE], signed_in: [u8; 8]) -> Hmac<Sha256> {
    let mut code = key.code();
    code.update(b"fastlead device");
    code.update(user.as_uuid().as_bytes());
    code.update(nonce);
    code.update(&signed_in);
    code
}

#[cfg(test)]
mod tests {
    use fastlead_core::time::{epoch, plus_seconds};

    use super::*;

    #[test]
    fn a_device_is_known_to_its_user_for_a_year() {
        let keys = KeySet::sample(&[7]);
        let user = |number| UserId::from_uuid(uuid::Uuid::from_u128(number));
        let device = Device::new();
        let kept = device.write(&keys, user(1), epoch());
        let read = |text: &str, keys: &KeySet, number, now| Device::read(text, keys, user(number), now);
        assert_eq!(read(&kept, &keys, 1, epoch()), Some(device));
        assert_eq!(read(&kept, &KeySet::sample(&[8, 7]), 1, epoch()), Some(device), "the key was rotated");
        assert_eq!(read(&kept, &KeySet::sample(&[8]), 1, epoch()), None);
        assert_eq!(read(&kept, &keys, 2, epoch()), None);
        assert_eq!(read(&kept, &keys, 1, plus_seconds(epoch(), 366 * 86_400)), None);
        for text in ["", "AAAA", &kept[1..], &kept[..60]] {
            assert_eq!(read(text, &keys, 1, epoch()), None, "{text}");
        }
    }
}
