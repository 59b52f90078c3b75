//! Keeps to the rates that a provider allows, for the account and for each recipient, and to the delays that it names.

mod hold;
#[cfg_attr(not(feature = "rate-limit"), path = "unlimited.rs")]
mod limiter;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::hold::Holds;
use self::limiter::Limiter;
use super::frame::{Around, impl_layer};
use super::operation::{Operation, RecipientKey, Wrapped, call};
use crate::channel::Rate;
use crate::error::{Error, ErrorKind, Result, RetryHint};
use crate::time::{Clock, Timestamp, plus};

/// Waits for a permit of the account and one of the recipient where that is short; else refuses
/// with [`ErrorKind::RateLimited`], which is [`RetryHint::Safe`] and says when to come back.
///
/// Where the provider refuses with [`ErrorKind::RateLimited`] and names a delay, nobody else goes to that recipient
/// before it is over, and where it refuses two recipients, nobody goes at all: they get [`ErrorKind::Paused`], so that
/// no attempt of theirs counts. Else each message would ask by itself, and a provider that bans whoever goes on asking
/// would be asked by all of them.
///
/// A permit is taken from both or from neither, so that a busy recipient does not use up the account.
/// One layer has one set of limits: everything it wraps shares it. At most 65,536 recipients are
/// remembered; where so many are busy at once, others are refused until some have recovered.
///
/// Without the cargo feature `rate-limit` only the delays that a provider names are kept, and the engine refuses a channel that
/// has a rate.
#[derive(Debug, Clone)]
pub struct RateLimitLayer {
    gate: Arc<Mutex<Gate>>,
    max_wait: Duration,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Gate {
    limiter: Limiter,
    holds: Holds,
}

/// Why an operation has to wait, and how long.
struct Wait {
    left: Duration,
    kind: ErrorKind,
    why: &'static str,
}

impl Gate {
    fn pass(&mut self, recipient: Option<RecipientKey>, now: Timestamp) -> Result<(), Wait> {
        if let Some(left) = self.holds.left(recipient, now) {
            return Err(Wait { left, kind: ErrorKind::Paused, why: "the provider has asked to wait" });
        }
        let why = "the channel's rate is used up";
        self.limiter.take(recipient).map_err(|left| Wait { left, kind: ErrorKind::RateLimited, why })
    }
}

impl RateLimitLayer {
    /// Keeps to the rate of the `account` and of each `recipient`; `None` has no limit. Nobody
    /// waits longer than `max_wait`.
    pub fn new(
        account: Option<Rate>,
        recipient: Option<Rate>,
        max_wait: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let limiter = Limiter::new(account, recipient, Arc::clone(&clock));
        Self { gate: Arc::new(Mutex::new(Gate { limiter, holds: Holds::default() })), max_wait, clock }
    }

    /// A panic elsewhere leaves a state behind that is still good.
    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn permit<Op: Operation>(&self, operation: &Op) -> Result<()> {
        let recipient = operation.recipient();
        let end = plus(self.clock.now(), self.max_wait);
        loop {
            let now = self.clock.now();
            let passed = self.gate().pass(recipient, now);
            let Err(wait) = passed else { return Ok(()) };
            let next = plus(now, wait.left);
            if next > end {
                return Err(Error::new(wait.kind, wait.why)
                    .with_retry(RetryHint::Safe { after: Some(wait.left) })
                    .with_adapter(operation.account().kind)
                    .with_operation(Op::NAME));
            }
            let _waiting = operation.progress().wait();
            self.clock.sleep_until(next).await;
        }
    }
}

impl_layer!(RateLimitLayer);

impl Around for RateLimitLayer {
    async fn around<S, Op>(self, inner: S, operation: Op) -> Result<S::Response>
    where
        Op: Operation,
        S: Wrapped<Op>,
    {
        self.permit(&operation).await?;
        let recipient = operation.recipient();
        let result = call(inner, operation).await;
        if let Err(error) = &result
            && error.kind() == ErrorKind::RateLimited
            && let Some(delay) = error.retry().after()
        {
            self.gate().holds.note(recipient, delay, self.clock.now());
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use tower_layer::Layer;
    use tower_service::Service;

    use super::*;
    use crate::layer::scripted::{Script, Scripted, manual_clock, operation_to, pending, ready, shared};

    #[cfg(feature = "rate-limit")]
    const NOTHING: [Script; 0] = [];

    #[cfg(feature = "rate-limit")]
    #[test]
    fn a_short_wait_is_waited_for_and_a_long_one_is_handed_back() {
        let clock = manual_clock();
        let service = Scripted::with_clock(NOTHING, &clock);
        let rate = Some(Rate { permits: 1, per_millis: 800 });
        let layer = RateLimitLayer::new(None, rate, Duration::from_secs(1), shared(&clock));
        let mut limited = layer.layer(service.clone());

        assert!(ready(limited.call(operation_to("a", false))).is_ok());
        let waiting = operation_to("a", false);
        let mut second = limited.call(waiting.clone());
        pending(&mut second);
        assert!(waiting.progress().provider_did_not_act());
        assert!(ready(limited.call(operation_to("b", false))).is_ok());
        clock.advance(Duration::from_millis(800));
        assert!(ready(second).is_ok());
        assert_eq!(service.called_at_millis(), [0, 0, 800]);

        let slow =
            RateLimitLayer::new(None, Some(Rate::per_minute(20)), Duration::from_secs(1), shared(&clock));
        let mut limited = slow.layer(service.clone());
        for _ in 0..3 {
            assert!(ready(limited.call(operation_to("a", false))).is_ok());
        }
        let error = ready(limited.call(operation_to("a", false))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        let RetryHint::Safe { after: Some(after) } = error.retry() else { panic!("{error}") };
        assert!((Duration::from_secs(3)..Duration::from_secs(4)).contains(&after), "{after:?}");
        assert_eq!(service.calls(), 6);
    }

    #[cfg(feature = "rate-limit")]
    #[test]
    fn the_wait_is_bounded_also_where_others_are_quicker() {
        let clock = manual_clock();
        let service = Scripted::with_clock(NOTHING, &clock);
        let rate = Some(Rate { permits: 1, per_millis: 400 });
        let layer = RateLimitLayer::new(rate, None, Duration::from_secs(1), shared(&clock));
        let mut limited = layer.layer(service.clone());
        assert!(ready(limited.call(operation_to("a", false))).is_ok());
        let mut waiting: Vec<_> = (0..5).map(|_| limited.call(operation_to("a", false))).collect();
        waiting.iter_mut().for_each(pending);
        let (mut sent, mut refused) = (0, 0);
        for _ in 0..3 {
            clock.advance(Duration::from_millis(400));
            waiting.retain_mut(|send| match futures_util::FutureExt::now_or_never(send) {
                None => true,
                Some(Ok(_)) => {
                    sent += 1;
                    false
                }
                Some(Err(error)) => {
                    assert_eq!(error.kind(), ErrorKind::RateLimited);
                    refused += 1;
                    false
                }
            });
        }
        assert_eq!((sent, refused, waiting.len()), (2, 3, 0));
    }

    /// [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md):
    /// a sender slows down for the endpoint that has said 429, and not for one message.
    #[test]
    fn a_named_delay_holds_all_that_go_there_and_costs_them_nothing() {
        let clock = manual_clock();
        let after = RetryHint::Safe { after: Some(Duration::from_secs(86_400)) };
        let refused = || Error::new(ErrorKind::RateLimited, "too many requests").with_retry(after);
        let service = Scripted::with_clock([Err(refused())], &clock);
        let layer = RateLimitLayer::new(None, None, Duration::from_secs(1), shared(&clock));
        let mut held = layer.layer(service.clone());
        assert_eq!(ready(held.call(operation_to("crm", true))).unwrap_err().kind(), ErrorKind::RateLimited);
        for _ in 0..12 {
            let error = ready(held.call(operation_to("crm", true))).unwrap_err();
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Paused, after));
        }
        assert_eq!(service.calls(), 1, "twelve others did not go into the ban");
        assert!(ready(held.call(operation_to("another", true))).is_ok());
        clock.advance(Duration::from_secs(86_400));
        assert!(ready(held.call(operation_to("crm", true))).is_ok());
    }

    #[cfg(feature = "rate-limit")]
    #[test]
    fn clones_and_layers_share_the_limit() {
        let clock = manual_clock();
        let service = Scripted::with_clock(NOTHING, &clock);
        let layer = RateLimitLayer::new(Some(Rate::per_minute(1)), None, Duration::ZERO, shared(&clock));
        assert!(ready(layer.layer(service.clone()).call(operation_to("a", false))).is_ok());
        assert!(ready(layer.clone().layer(service).call(operation_to("b", false))).is_err());
    }
}
