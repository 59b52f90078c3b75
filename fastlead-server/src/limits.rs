//! How much a source takes: per source, and per source and address. Counted where the engine counts its rates.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fastlead_core::Result;
use fastlead_core::allowance::Allowance;
use fastlead_core::channel::Rate;
use fastlead_core::id::{ChannelId, SourceId};
use fastlead_core::port::{Quota, QuotaAnswer, QuotaKey, QuotaLimit, QuotaRequest, SourceLimits};
use fastlead_core::time::Timestamp;

use crate::address::{network, octets};

/// Test messages per minute over one channel.
const TESTS_PER_MINUTE: u32 = 5;

/// Takes a permit of each limit. Answers how long to wait where there is none.
///
/// # Errors
/// Where the quota cannot be asked.
pub(crate) async fn take(
    quota: &dyn Quota,
    scope: &str,
    limits: &[QuotaLimit],
    now: Timestamp,
) -> Result<Option<Duration>> {
    Ok(match quota.take(QuotaRequest { scope, limits, now }).await? {
        QuotaAnswer::Granted => None,
        QuotaAnswer::Wait { left } | QuotaAnswer::Held { left } => Some(left),
    })
}

/// So many at once, where there were none for a minute, and as many every minute.
pub(crate) fn per_minute(key: QuotaKey, count: u32) -> QuotaLimit {
    QuotaLimit { key, allowance: Some(Allowance::refilling(Rate::per_minute(count))) }
}

/// Counts captures of the sources that have limits.
#[derive(Debug)]
pub struct CaptureLimits(Arc<dyn Quota>);

/// Who sends a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// A visitor, with the address where it is known.
    Visitor(Option<IpAddr>),
    /// A program with an API key of the source's workspace. All its leads come from one address.
    Authenticated,
}

impl CaptureLimits {
    /// Counts in `quota`.
    pub fn new(quota: Arc<dyn Quota>) -> Self {
        Self(quota)
    }

    /// Counts a capture. Answers how long to wait where it is not taken now, which then counts for nothing.
    ///
    /// # Errors
    /// Where the quota cannot be asked.
    pub async fn check(
        &self,
        source: SourceId,
        limits: &SourceLimits,
        sender: Sender,
        now: Timestamp,
    ) -> Result<Option<Duration>> {
        // Another number begins anew, so it is a part of the key.
        let limit = |name: &[u8], count: u32| {
            (count > 0).then(|| per_minute(QuotaKey::of(&[name, &count.to_le_bytes()]), count))
        };
        let own = match sender {
            Sender::Visitor(Some(ip)) if limits.per_ip_per_minute > 0 => {
                let count = limits.per_ip_per_minute;
                let key = QuotaKey::of(&[b"visitor", &count.to_le_bytes(), &octets(network(ip))]);
                Some(per_minute(key, count))
            }
            Sender::Visitor(_) => None,
            Sender::Authenticated => limit(b"authenticated", limits.authenticated_per_minute),
        };
        let all = limit(b"all", limits.per_minute);
        let taken = match (own, all) {
            (None, None) => return Ok(None),
            (Some(one), None) | (None, Some(one)) => vec![one],
            (Some(own), Some(all)) => vec![own, all],
        };
        take(&*self.0, &format!("capture:{source}"), &taken, now).await
    }
}

/// How many test messages a channel carries: they cost money, and somebody receives them.
#[derive(Debug)]
pub struct TestLimits(Arc<dyn Quota>);

impl TestLimits {
    /// Counts in `quota`.
    pub fn new(quota: Arc<dyn Quota>) -> Self {
        Self(quota)
    }

    /// Counts a test message. Answers how long to wait where it is one too many.
    ///
    /// # Errors
    /// Where the quota cannot be asked.
    pub(crate) async fn check(&self, channel: ChannelId, now: Timestamp) -> Result<Option<Duration>> {
        let limits = [per_minute(QuotaKey::SCOPE, TESTS_PER_MINUTE)];
        take(&*self.0, &format!("test:{channel}"), &limits, now).await
    }
}

#[cfg(test)]
mod tests {
    use fastlead_core::quota::LocalQuota;
    use fastlead_core::time::{epoch, plus_seconds};

    use super::*;

    struct Captures(CaptureLimits, SourceLimits);

    impl Captures {
        fn new(limits: SourceLimits) -> Self {
            Self(CaptureLimits::new(Arc::new(LocalQuota::new())), limits)
        }

        /// Whether a capture is taken after so many seconds.
        async fn take(&self, sender: Sender, second: u64) -> bool {
            let source = SourceId::from_uuid(uuid::Uuid::from_u128(1));
            let wait = self.0.check(source, &self.1, sender, plus_seconds(epoch(), second)).await;
            wait.unwrap().is_none()
        }
    }

    fn ip(last: u8) -> Sender {
        Sender::Visitor(Some(IpAddr::from([127, 0, 0, last])))
    }

    #[tokio::test]
    async fn an_address_has_its_own_limit() {
        let limits = SourceLimits { per_ip_per_minute: 2, per_minute: 3, ..SourceLimits::default() };
        let captures = Captures::new(limits);
        for (last, taken) in [(1, true), (1, true), (1, false), (2, true), (3, false)] {
            assert_eq!(captures.take(ip(last), 0).await, taken, "{last}");
        }
        // What was refused for the source as a whole has cost the address nothing.
        assert!(captures.take(ip(3), 20).await && captures.take(ip(3), 40).await);
    }

    #[tokio::test]
    async fn who_authenticates_is_not_counted_by_address() {
        let limits =
            SourceLimits { per_ip_per_minute: 1, authenticated_per_minute: 3, ..SourceLimits::default() };
        let captures = Captures::new(limits);
        assert!(captures.take(ip(1), 0).await);
        assert!(!captures.take(ip(1), 0).await);
        for _ in 0..3 {
            assert!(captures.take(Sender::Authenticated, 0).await);
        }
        assert!(!captures.take(Sender::Authenticated, 0).await);
    }

    #[tokio::test]
    async fn a_subscriber_with_many_addresses_is_one_visitor() {
        let limits = SourceLimits { per_ip_per_minute: 1, per_minute: 0, ..SourceLimits::default() };
        let captures = Captures::new(limits);
        for (ip, taken) in [
            ("2001:db8::1", true),
            ("2001:db8::2", false),
            ("2001:db8:0:1::1", true),
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", false),
        ] {
            let sender = Sender::Visitor(Some(ip.parse().unwrap()));
            assert_eq!(captures.take(sender, 0).await, taken, "{ip}");
        }
    }

    #[tokio::test]
    async fn two_servers_that_share_a_quota_share_the_limits() {
        let quota: Arc<dyn Quota> = Arc::new(LocalQuota::new());
        let servers = [CaptureLimits::new(Arc::clone(&quota)), CaptureLimits::new(quota)];
        let source = SourceId::from_uuid(uuid::Uuid::from_u128(1));
        let limits = SourceLimits { per_minute: 3, ..SourceLimits::default() };
        let mut taken = 0;
        for number in 0..8 {
            let sender = Sender::Visitor(None);
            let wait = servers[number % 2].check(source, &limits, sender, epoch()).await.unwrap();
            taken += u32::from(wait.is_none());
        }
        assert_eq!(taken, 3);
    }
}
