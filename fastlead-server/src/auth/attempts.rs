//! How often somebody may try to sign in.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use fastlead_core::Result;
use fastlead_core::id::UserId;
use fastlead_core::port::{Quota, QuotaKey};
use fastlead_core::time::Timestamp;

use super::device::Device;
use crate::address::{network, octets};
use crate::limits::{per_minute, take};

/// Attempts per minute for one login from one address or one known device.
const PER_LOGIN: u32 = 10;
/// Attempts per minute from one address, whatever the logins.
const PER_ADDRESS: u32 = 60;
/// Where attempts of strangers are counted.
const STRANGERS: &str = "sign-in";
/// Where attempts on known devices are: strangers, however many, do not fill it up.
const DEVICES: &str = "sign-in:devices";

/// Counts attempts. Logins and addresses are hashed, and forgotten within minutes.
///
/// There is no limit for a login alone: with one, anybody who knows a login could keep its owner out.
#[derive(Debug)]
pub(super) struct Attempts(Arc<dyn Quota>);

impl Attempts {
    pub(super) fn new(quota: Arc<dyn Quota>) -> Self {
        Self(quota)
    }

    /// Counts an attempt by a stranger to sign in. Answers how long to wait where there were too many.
    ///
    /// # Errors
    /// Where the quota cannot be asked.
    pub(super) async fn check(
        &self,
        login: &str,
        ip: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Option<Duration>> {
        // Who connects from nowhere, as embedded programs may, counts as one address.
        let address = octets(network(ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))));
        let limits = [
            per_minute(QuotaKey::of(&[b"address", &address]), PER_ADDRESS),
            per_minute(QuotaKey::of(&[b"login", &address, login.as_bytes()]), PER_LOGIN),
        ];
        take(&*self.0, STRANGERS, &limits, now).await
    }

    /// Counts an attempt on a device from which `user` has signed in before: strangers cannot use it up. Answers how long
    /// to wait where there were too many.
    ///
    /// # Errors
    /// Where the quota cannot be asked.
    pub(super) async fn check_known(
        &self,
        user: UserId,
        device: &Device,
        now: Timestamp,
    ) -> Result<Option<Duration>> {
        let key = QuotaKey::of(&[b"device", user.as_uuid().as_bytes(), &device.nonce]);
        take(&*self.0, DEVICES, &[per_minute(key, PER_LOGIN)], now).await
    }
}

#[cfg(test)]
mod tests {
    use fastlead_core::quota::LocalQuota;
    use fastlead_core::time::{epoch, plus_seconds};

    use super::*;

    /// Whether somebody at this address may try this login.
    async fn may(attempts: &Attempts, login: &str, last: u8) -> bool {
        let ip = Some(IpAddr::from([192, 0, 2, last]));
        attempts.check(login, ip, epoch()).await.unwrap().is_none()
    }

    #[tokio::test]
    async fn nobody_uses_up_the_attempts_of_another_address() {
        let attempts = Attempts::new(Arc::new(LocalQuota::new()));
        for _ in 0..10 {
            assert!(may(&attempts, "anna", 1).await);
        }
        assert!(!may(&attempts, "anna", 1).await);
        assert!(may(&attempts, "anna", 2).await);
        for number in 0..59 {
            assert!(may(&attempts, &format!("user{number}"), 2).await, "{number}");
        }
        assert!(!may(&attempts, "somebody", 2).await);
        assert!(may(&attempts, "anna", 3).await);
    }

    #[tokio::test]
    async fn strangers_use_up_no_attempts_of_a_known_device() {
        let attempts = Attempts::new(Arc::new(LocalQuota::new()));
        let user = UserId::from_uuid(uuid::Uuid::from_u128(1));
        let may = async |fill, second| {
            let now = plus_seconds(epoch(), second);
            attempts.check_known(user, &Device { nonce: [fill; 16] }, now).await.unwrap().is_none()
        };
        for _ in 0..10 {
            assert!(may(1, 0).await);
        }
        assert!(!may(1, 0).await);
        assert!(may(2, 0).await);
        assert!(may(1, 6).await && !may(1, 6).await);
    }
}
