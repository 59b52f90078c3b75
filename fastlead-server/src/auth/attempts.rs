//! How often somebody may try to sign in.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use fastlead_core::id::UserId;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use sha2::{Digest, Sha256};

use super::device::Device;
use crate::address::network;

/// Attempts per minute for one login from one address or one known device.
const PER_LOGIN: NonZeroU32 = per_minute(10);
/// Attempts per minute from one address, whatever the logins.
const PER_ADDRESS: NonZeroU32 = per_minute(60);
/// Keys remembered before idle ones are forgotten.
const REMEMBERED: usize = 10_000;

const fn per_minute(count: u32) -> NonZeroU32 {
    match NonZeroU32::new(count) {
        Some(count) => count,
        None => NonZeroU32::MIN,
    }
}

/// Counts attempts. It keeps hashes of logins, not the logins.
///
/// There is no limit for a login alone: with one, anybody who knows a login could keep its owner out.
#[derive(Debug)]
pub(super) struct Attempts {
    by_address: DefaultKeyedRateLimiter<IpAddr>,
    by_login: DefaultKeyedRateLimiter<[u8; 16]>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            by_address: RateLimiter::keyed(Quota::per_minute(PER_ADDRESS)),
            by_login: RateLimiter::keyed(Quota::per_minute(PER_LOGIN)),
        }
    }
}

impl Attempts {
    /// Counts an attempt by a stranger to sign in.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn check(&self, login: &str, ip: Option<IpAddr>) -> Result<(), Duration> {
        // Who connects from nowhere, as embedded programs may, counts as one address.
        let address = network(ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        check(&self.by_address, &address)?;
        check(&self.by_login, &key(&[b"address", address.to_string().as_bytes(), login.as_bytes()]))
    }

    /// Counts an attempt on a device from which `user` has signed in before: strangers cannot use it up.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn check_known(&self, user: UserId, device: &Device) -> Result<(), Duration> {
        check(&self.by_login, &key(&[b"device", user.as_uuid().as_bytes(), &device.nonce]))
    }
}

fn key(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut key = [0; 16];
    key.copy_from_slice(&hash.finalize()[..16]);
    key
}

fn check<K: Clone + Eq + std::hash::Hash>(
    limiter: &DefaultKeyedRateLimiter<K>,
    key: &K,
) -> Result<(), Duration> {
    if limiter.len() > REMEMBERED {
        limiter.retain_recent();
    }
    limiter.check_key(key).map_err(|not_yet| not_yet.wait_time_from(DefaultClock::default().now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    /// Attempts come back while the test runs, so it tries until one is refused.
    fn is_refused_in_time(attempt: impl Fn() -> Result<(), Duration>) -> bool {
        (0..10_000).any(|_| attempt().is_err())
    }

    #[test]
    fn nobody_uses_up_the_attempts_of_another_address() {
        let attempts = Attempts::default();
        for _ in 0..10 {
            assert!(attempts.check("anna", ip(1)).is_ok());
        }
        assert!(is_refused_in_time(|| attempts.check("anna", ip(1))));
        assert!(attempts.check("anna", ip(2)).is_ok());
        for number in 0..59 {
            assert!(attempts.check(&format!("user{number}"), ip(2)).is_ok(), "{number}");
        }
        let number = std::cell::Cell::new(0);
        assert!(is_refused_in_time(|| {
            number.set(number.get() + 1);
            attempts.check(&format!("somebody{}", number.get()), ip(2))
        }));
        assert!(attempts.check("anna", ip(3)).is_ok());
        let user = UserId::from_uuid(uuid::Uuid::from_u128(1));
        let device = |fill| Device { nonce: [fill; 16] };
        for _ in 0..10 {
            assert!(attempts.check_known(user, &device(1)).is_ok());
        }
        assert!(is_refused_in_time(|| attempts.check_known(user, &device(1))));
        assert!(attempts.check_known(user, &device(2)).is_ok());
    }
}
