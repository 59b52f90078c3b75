//! How often somebody may try to sign in.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use sha2::{Digest, Sha256};

/// Attempts per minute from one address, and for one login.
const PER_MINUTE: NonZeroU32 = match NonZeroU32::new(10) {
    Some(count) => count,
    None => NonZeroU32::MIN,
};
/// Keys remembered before idle ones are forgotten.
const REMEMBERED: usize = 10_000;

/// Counts attempts. It keeps hashes of logins, not the logins.
#[derive(Debug)]
pub(super) struct Attempts {
    by_ip: DefaultKeyedRateLimiter<IpAddr>,
    by_login: DefaultKeyedRateLimiter<[u8; 16]>,
}

impl Default for Attempts {
    fn default() -> Self {
        let quota = Quota::per_minute(PER_MINUTE);
        Self { by_ip: RateLimiter::keyed(quota), by_login: RateLimiter::keyed(quota) }
    }
}

impl Attempts {
    /// Whether another attempt may be made now.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn check(&self, login: &str, ip: Option<IpAddr>) -> Result<(), Duration> {
        if let Some(ip) = ip {
            check(&self.by_ip, &network(ip))?;
        }
        let mut key = [0; 16];
        key.copy_from_slice(&Sha256::digest(login.as_bytes())[..16]);
        check(&self.by_login, &key)
    }
}

/// Somebody with an IPv6 connection has a whole /64 to try from.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => IpAddr::V4(ip),
            None => {
                let mut octets = ip.octets();
                octets[8..].fill(0);
                IpAddr::from(octets)
            }
        },
    }
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

    #[test]
    fn the_eleventh_attempt_waits_by_address_and_by_login() {
        let attempts = Attempts::default();
        let ip = |last| Some(IpAddr::from([127, 0, 0, last]));
        for number in 0..10 {
            assert!(attempts.check(&format!("user{number}"), ip(1)).is_ok());
        }
        assert!(attempts.check("somebody", ip(1)).is_err());
        for number in 10..20 {
            assert!(attempts.check("anna", ip(number)).is_ok());
        }
        assert!(attempts.check("anna", ip(99)).is_err());
        assert!(attempts.check("boris", ip(99)).is_ok());
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        let ip = |text: &str| network(text.parse().unwrap());
        assert_eq!(ip("2001:db8::1"), ip("2001:db8::2"));
        assert_ne!(ip("2001:db8::1"), ip("2001:db8:0:1::1"));
        assert_eq!(ip("::ffff:127.0.0.1"), ip("127.0.0.1"));
    }
}
