//! The layers in their one order.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tower_layer::Layer;
use tower_service::Service;

use super::attempt_timeout::AttemptTimeoutLayer;
use super::begin::BeginLayer;
use super::breaker::{BreakerHandle, BreakerPolicy, CircuitBreakerLayer};
use super::channel::LayeredChannel;
use super::concurrency::ConcurrencyLayer;
use super::deadline::DeadlineLayer;
use super::frame::Layered;
use super::observe::ObserveLayer;
use super::operation::{Operation, Wrapped};
use super::rate_limit::{AccountQuota, RateLimitLayer};
use super::retry::{RetryLayer, RetryPolicy};
use super::trace::TraceLayer;
use crate::channel::{Capabilities, Channel, Rate};
use crate::error::{Error, ErrorKind, Result};
use crate::port::Quota;
use crate::quota::LocalQuota;
use crate::time::Clock;

/// How one channel account is used with care: how long to wait for it, when to try again within
/// seconds, when to leave it alone, and how fast to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResiliencePolicy {
    /// How long one operation may take in all, waits and short retries included, in milliseconds.
    /// Default 30000.
    pub total_deadline_millis: NonZeroU64,
    /// How long one request to the provider may take, in milliseconds. At most the total. A channel whose own
    /// timeouts are longer takes those, and its total is longer by as much. Default 10000.
    pub attempt_timeout_millis: NonZeroU64,
    /// Other tries within seconds.
    pub retry: RetryPolicy,
    /// When the account counts as down.
    pub breaker: BreakerPolicy,
    /// How fast to go.
    pub rate: RatePolicy,
    /// How many requests may be under way at once. Default: what the channel declares.
    pub max_in_flight: Option<NonZeroU32>,
}

/// How fast to use a channel account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RatePolicy {
    /// The rate of the whole account. Default: what the channel declares.
    pub account: Option<Rate>,
    /// The rate to one recipient. Default: what the channel declares.
    pub recipient: Option<Rate>,
    /// A permit that comes within this time is waited for, in milliseconds; else the operation
    /// goes back to the durable schedule. At most the total deadline. Default 1000.
    pub max_wait_millis: u64,
}

impl Default for RatePolicy {
    fn default() -> Self {
        Self { account: None, recipient: None, max_wait_millis: 1_000 }
    }
}

const fn millis(value: u64) -> NonZeroU64 {
    NonZeroU64::MIN.saturating_add(value - 1)
}

impl Default for ResiliencePolicy {
    fn default() -> Self {
        Self {
            total_deadline_millis: millis(30_000),
            attempt_timeout_millis: millis(10_000),
            retry: RetryPolicy::default(),
            breaker: BreakerPolicy::default(),
            rate: RatePolicy::default(),
            max_in_flight: None,
        }
    }
}

/// What an account allows by itself; a policy may say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The rate of the whole account.
    pub account_rate: Option<Rate>,
    /// The rate to one recipient.
    pub recipient_rate: Option<Rate>,
    /// How many requests may be under way at once.
    pub max_in_flight: NonZeroU32,
    /// How long one request may take by the account's own configuration.
    pub attempt_timeout: Option<Duration>,
}

impl From<&Capabilities> for Limits {
    fn from(capabilities: &Capabilities) -> Self {
        Self {
            account_rate: capabilities.account_rate,
            recipient_rate: capabilities.recipient_rate,
            max_in_flight: NonZeroU32::new(capabilities.max_in_flight).unwrap_or(NonZeroU32::MIN),
            attempt_timeout: capabilities.attempt_timeout_millis.map(Duration::from_millis),
        }
    }
}

impl ResiliencePolicy {
    /// Says what cannot be meant.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the first field at fault.
    pub fn validate(&self) -> Result<()> {
        let total = self.total_deadline_millis.get();
        let rate_is_empty =
            |rate: Option<Rate>| rate.is_some_and(|rate| rate.permits == 0 || rate.per_millis == 0);
        let faults = [
            (
                self.attempt_timeout_millis.get() > total,
                "attempt_timeout_millis",
                "above total_deadline_millis",
            ),
            (self.rate.max_wait_millis > total, "rate.max_wait_millis", "above total_deadline_millis"),
            (
                self.retry.base_delay_millis > self.retry.max_delay_millis,
                "retry.base_delay_millis",
                "above retry.max_delay_millis",
            ),
            (self.breaker.min_requests > self.breaker.sample, "breaker.min_requests", "above breaker.sample"),
            (
                !(1..=100).contains(&self.breaker.failure_percent),
                "breaker.failure_percent",
                "outside of 1 to 100",
            ),
            (rate_is_empty(self.rate.account), "rate.account", "a rate of nothing"),
            (rate_is_empty(self.rate.recipient), "rate.recipient", "a rate of nothing"),
        ];
        match faults.into_iter().find(|(wrong, ..)| *wrong) {
            None => Ok(()),
            Some((_, field, fault)) => Err(Error::new(ErrorKind::Config, format!("{field} is {fault}"))),
        }
    }

    /// How long one operation may take in all.
    pub const fn total_deadline(&self) -> Duration {
        Duration::from_millis(self.total_deadline_millis.get())
    }

    /// How long one request to the provider may take.
    pub const fn attempt_timeout(&self) -> Duration {
        Duration::from_millis(self.attempt_timeout_millis.get())
    }

    /// How long one request to an account with these limits may take: the policy's time, or the
    /// account's own where that is longer. A mail server may think for minutes about a message that it
    /// has received (RFC 5321 section 4.5.3.2.6), and what is cut off there may have been sent.
    pub fn attempt_timeout_for(&self, limits: &Limits) -> Duration {
        limits.attempt_timeout.unwrap_or_default().max(self.attempt_timeout())
    }

    /// How long one operation with such an account may take in all: longer than the policy says by as
    /// much as one request is.
    pub fn total_deadline_for(&self, limits: &Limits) -> Duration {
        let longer = self.attempt_timeout_for(limits).saturating_sub(self.attempt_timeout());
        self.total_deadline().saturating_add(longer)
    }

    /// `channel` behind all the layers. What the policy leaves open comes from the channel's capabilities. Its permits are
    /// counted for this channel alone.
    pub fn wrap(&self, channel: Arc<dyn Channel>, clock: Arc<dyn Clock>) -> LayeredChannel {
        self.wrap_counted_in(channel, clock, Arc::new(LocalQuota::new()))
    }

    /// The same with permits that are counted in `quota`, under the channel's id.
    pub fn wrap_counted_in(
        &self,
        channel: Arc<dyn Channel>,
        clock: Arc<dyn Clock>,
        quota: Arc<dyn Quota>,
    ) -> LayeredChannel {
        LayeredChannel::new(self, channel, clock, quota)
    }

    /// Any service behind all the layers, in the one order: trace, observe, total deadline, short
    /// retry, circuit breaker, rate limit, concurrency, begin, attempt timeout, `service`.
    pub fn stack<S>(
        &self,
        service: S,
        limits: &Limits,
        clock: &Arc<dyn Clock>,
        quota: AccountQuota,
    ) -> Resilient<S> {
        let clock = || Arc::clone(clock);
        let attempt = AttemptTimeoutLayer::new(self.attempt_timeout_for(limits), clock()).layer(service);
        let places = self.max_in_flight.unwrap_or(limits.max_in_flight);
        let concurrency = ConcurrencyLayer::new(places).layer(BeginLayer.layer(attempt));
        let account = self.rate.account.or(limits.account_rate);
        let recipient = self.rate.recipient.or(limits.recipient_rate);
        let max_wait = Duration::from_millis(self.rate.max_wait_millis);
        let rate = RateLimitLayer::new(account, recipient, max_wait, clock());
        let rate = rate.counted_in(quota).layer(concurrency);
        let breaker_layer = CircuitBreakerLayer::new(self.breaker, clock());
        let breaker = breaker_layer.layer(rate);
        let total = self.total_deadline_for(limits);
        let retry = RetryLayer::new(self.retry, total, clock()).layer(breaker);
        let deadline = DeadlineLayer::new(total, clock()).layer(retry);
        let observe = ObserveLayer::new(clock()).layer(deadline);
        Resilient { service: TraceLayer.layer(observe), breaker: breaker_layer.handle() }
    }
}

type Attempt<S> = Layered<BeginLayer, Layered<AttemptTimeoutLayer, S>>;
type Bounded<S> = Layered<RateLimitLayer, Layered<ConcurrencyLayer, Attempt<S>>>;
type Tried<S> = Layered<DeadlineLayer, Layered<RetryLayer, Layered<CircuitBreakerLayer, Bounded<S>>>>;
type Stack<S> = Layered<TraceLayer, Layered<ObserveLayer, Tried<S>>>;

/// A service behind all the layers. Only [`ResiliencePolicy::stack`] makes it, so that the order is
/// always the same.
#[derive(Debug, Clone)]
pub struct Resilient<S> {
    service: Stack<S>,
    breaker: BreakerHandle,
}

impl<S> Resilient<S> {
    /// A view of the circuit breaker.
    pub const fn breaker(&self) -> &BreakerHandle {
        &self.breaker
    }
}

impl<S, Op> Service<Op> for Resilient<S>
where
    Op: Operation,
    S: Wrapped<Op>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = <Stack<S> as Service<Op>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        Service::<Op>::poll_ready(&mut self.service, context)
    }

    fn call(&mut self, operation: Op) -> Self::Future {
        self.service.call(operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_document_is_the_default_and_a_typo_is_refused() {
        let policy: ResiliencePolicy = serde_json::from_str("{}").unwrap();
        assert_eq!(policy, ResiliencePolicy::default());
        assert!(policy.validate().is_ok());
        assert!(serde_json::from_str::<ResiliencePolicy>(r#"{"timeout": 1}"#).is_err());
        assert!(serde_json::from_str::<ResiliencePolicy>(r#"{"total_deadline_millis": 0}"#).is_err());
        let json = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<ResiliencePolicy>(&json).unwrap(), policy);
    }

    #[test]
    fn faults_are_named() {
        for (json, message) in [
            (
                r#"{"attempt_timeout_millis": 30001}"#,
                "wrong configuration: attempt_timeout_millis is above total_deadline_millis",
            ),
            (
                r#"{"rate": {"max_wait_millis": 30001}}"#,
                "wrong configuration: rate.max_wait_millis is above total_deadline_millis",
            ),
            (
                r#"{"retry": {"base_delay_millis": 2001}}"#,
                "wrong configuration: retry.base_delay_millis is above retry.max_delay_millis",
            ),
            (
                r#"{"breaker": {"min_requests": 21}}"#,
                "wrong configuration: breaker.min_requests is above breaker.sample",
            ),
            (
                r#"{"breaker": {"failure_percent": 101}}"#,
                "wrong configuration: breaker.failure_percent is outside of 1 to 100",
            ),
            (
                r#"{"rate": {"account": {"permits": 0, "per_millis": 1000}}}"#,
                "wrong configuration: rate.account is a rate of nothing",
            ),
        ] {
            let policy: ResiliencePolicy = serde_json::from_str(json).unwrap();
            assert_eq!(policy.validate().unwrap_err().to_string(), message);
        }
    }
}
