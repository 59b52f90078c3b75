//! How much a source takes: per source, and per source and address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastlead_core::id::{ChannelId, SourceId};
use fastlead_core::port::SourceLimits;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::address::network;

/// The limiters of the sources that have limits.
#[derive(Debug, Default)]
pub struct CaptureLimits {
    sources: Mutex<HashMap<SourceId, Arc<Limiters>>>,
}

#[derive(Debug)]
struct Limiters {
    limits: SourceLimits,
    all: Option<DefaultDirectRateLimiter>,
    authenticated: Option<DefaultDirectRateLimiter>,
    per_ip: Option<DefaultKeyedRateLimiter<IpAddr>>,
}

/// Who sends a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// A visitor, with the address where it is known.
    Visitor(Option<IpAddr>),
    /// A program with an API key of the source's workspace. All its leads come from one address.
    Authenticated,
}

fn wait(limiter: Option<&DefaultDirectRateLimiter>) -> Result<(), Duration> {
    let Some(limiter) = limiter else { return Ok(()) };
    limiter.check().map_err(|not_yet| not_yet.wait_time_from(DefaultClock::default().now()))
}

/// Addresses remembered per source before idle ones are forgotten.
const REMEMBERED: usize = 10_000;

impl CaptureLimits {
    /// Whether another capture is taken now.
    ///
    /// # Errors
    /// How long to wait.
    pub fn check(&self, source: SourceId, limits: &SourceLimits, sender: Sender) -> Result<(), Duration> {
        if limits.per_minute == 0 && limits.per_ip_per_minute == 0 && limits.authenticated_per_minute == 0 {
            return Ok(());
        }
        let limiters = self.limiters(source, limits);
        match sender {
            Sender::Visitor(Some(ip)) => {
                if let Some(per_ip) = &limiters.per_ip {
                    if per_ip.len() > REMEMBERED {
                        per_ip.retain_recent();
                    }
                    per_ip
                        .check_key(&network(ip))
                        .map_err(|not_yet| not_yet.wait_time_from(DefaultClock::default().now()))?;
                }
            }
            Sender::Visitor(None) => {}
            Sender::Authenticated => wait(limiters.authenticated.as_ref())?,
        }
        wait(limiters.all.as_ref())
    }

    fn limiters(&self, source: SourceId, limits: &SourceLimits) -> Arc<Limiters> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        match sources.get(&source) {
            Some(limiters) if limiters.limits == *limits => Arc::clone(limiters),
            _ => {
                let quota = |per_minute| NonZeroU32::new(per_minute).map(Quota::per_minute);
                let limiters = Arc::new(Limiters {
                    limits: limits.clone(),
                    all: quota(limits.per_minute).map(RateLimiter::direct),
                    authenticated: quota(limits.authenticated_per_minute).map(RateLimiter::direct),
                    per_ip: quota(limits.per_ip_per_minute).map(RateLimiter::keyed),
                });
                sources.insert(source, Arc::clone(&limiters));
                limiters
            }
        }
    }
}

/// Test messages per minute over one channel.
const TESTS_PER_MINUTE: Quota = Quota::per_minute(match NonZeroU32::new(5) {
    Some(count) => count,
    None => NonZeroU32::MIN,
});

/// How many test messages a channel carries: they cost money, and somebody receives them.
#[derive(Debug)]
pub struct TestLimits(DefaultKeyedRateLimiter<ChannelId>);

impl Default for TestLimits {
    fn default() -> Self {
        Self(RateLimiter::keyed(TESTS_PER_MINUTE))
    }
}

impl TestLimits {
    /// Counts a test message.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) fn check(&self, channel: ChannelId) -> Result<(), Duration> {
        self.0.check_key(&channel).map_err(|not_yet| not_yet.wait_time_from(DefaultClock::default().now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_own_limit() {
        let limits = CaptureLimits::default();
        let source = SourceId::from_uuid(uuid::Uuid::from_u128(1));
        let settings = SourceLimits { per_ip_per_minute: 2, per_minute: 3, ..SourceLimits::default() };
        let ip = |last| Sender::Visitor(Some(IpAddr::from([127, 0, 0, last])));
        assert!(limits.check(source, &settings, ip(1)).is_ok());
        assert!(limits.check(source, &settings, ip(1)).is_ok());
        assert!(limits.check(source, &settings, ip(1)).is_err());
        assert!(limits.check(source, &settings, ip(2)).is_ok());
        assert!(limits.check(source, &settings, ip(3)).is_err());
    }

    #[test]
    fn who_authenticates_is_not_counted_by_address() {
        let limits = CaptureLimits::default();
        let source = SourceId::from_uuid(uuid::Uuid::from_u128(1));
        let settings =
            SourceLimits { per_ip_per_minute: 1, authenticated_per_minute: 3, ..SourceLimits::default() };
        let visitor = Sender::Visitor(Some(IpAddr::from([127, 0, 0, 1])));
        assert!(limits.check(source, &settings, visitor).is_ok());
        assert!(limits.check(source, &settings, visitor).is_err());
        for _ in 0..3 {
            assert!(limits.check(source, &settings, Sender::Authenticated).is_ok());
        }
        assert!(limits.check(source, &settings, Sender::Authenticated).is_err());
    }

    #[test]
    fn a_subscriber_with_many_addresses_is_one_visitor() {
        let limits = CaptureLimits::default();
        let source = SourceId::from_uuid(uuid::Uuid::from_u128(1));
        let settings = SourceLimits { per_ip_per_minute: 1, per_minute: 0, ..SourceLimits::default() };
        let check = |ip: &str| limits.check(source, &settings, Sender::Visitor(Some(ip.parse().unwrap())));
        assert!(check("2001:db8::1").is_ok());
        assert!(check("2001:db8::2").is_err());
        assert!(check("2001:db8:0:1::1").is_ok());
        assert!(check("192.0.2.1").is_ok());
        assert!(check("::ffff:192.0.2.1").is_err());
    }
}
