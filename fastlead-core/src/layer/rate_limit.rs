//! Keeps to the rates that a provider allows, for the account and for each recipient, and to the delays that it names.

use std::sync::Arc;
use std::time::Duration;

use super::frame::{Around, impl_layer};
use super::operation::{Account, Operation, Wrapped, call};
use crate::allowance::Allowance;
use crate::channel::Rate;
use crate::error::{Error, ErrorKind, Result, RetryHint};
use crate::port::{Quota, QuotaAnswer, QuotaHold, QuotaKey, QuotaLimit, QuotaRequest};
use crate::quota::LocalQuota;
use crate::time::{Clock, plus};

/// Waits for a permit of the account and one of the recipient where that is short; else refuses
/// with [`ErrorKind::RateLimited`], which is [`RetryHint::Safe`] and says when to come back.
///
/// Where the provider refuses with [`ErrorKind::RateLimited`] and names a delay, nobody else goes to that recipient
/// before it is over, and where it refuses two recipients, nobody goes at all: they get [`ErrorKind::Paused`], so that
/// no attempt of theirs counts. Else each message would ask by itself, and a provider that bans whoever goes on asking
/// would be asked by all of them.
///
/// A permit is taken from both or from neither, so that a busy recipient does not use up the account.
/// Permits are counted in an [`AccountQuota`]: everything that one layer wraps shares it, and so do all engines that
/// share its [`Quota`]. Where that cannot be asked, nothing is sent, and the error is [`RetryHint::Safe`].
#[derive(Debug, Clone)]
pub struct RateLimitLayer {
    account: Option<Allowance>,
    recipient: Option<Allowance>,
    quota: AccountQuota,
    max_wait: Duration,
    clock: Arc<dyn Clock>,
}

/// Where the permits of one account are counted.
#[derive(Debug, Clone)]
pub struct AccountQuota {
    quota: Arc<dyn Quota>,
    scope: Arc<str>,
}

impl AccountQuota {
    /// Permits that are shared with nobody.
    pub fn alone() -> Self {
        Self { quota: Arc::new(LocalQuota::new()), scope: "account".into() }
    }

    /// Permits of an account that are shared with everybody who counts the same account in `quota`.
    pub fn shared(quota: Arc<dyn Quota>, account: &Account) -> Self {
        Self { quota, scope: format!("account:{}", account.instance).into() }
    }
}

impl RateLimitLayer {
    /// Keeps to the rate of the `account` and of each `recipient`; `None` has no limit. Nobody
    /// waits longer than `max_wait`. Permits are those of this layer alone, unless [`Self::counted_in`] says otherwise.
    pub fn new(
        account: Option<Rate>,
        recipient: Option<Rate>,
        max_wait: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            account: account.map(Allowance::within),
            recipient: recipient.map(Allowance::within),
            quota: AccountQuota::alone(),
            max_wait,
            clock,
        }
    }

    /// Counts permits there.
    #[must_use]
    pub fn counted_in(mut self, quota: AccountQuota) -> Self {
        self.quota = quota;
        self
    }

    async fn permit<Op: Operation>(&self, operation: &Op, recipient: Option<QuotaKey>) -> Result<()> {
        let _waiting = operation.progress().wait();
        let end = plus(self.clock.now(), self.max_wait);
        let account = QuotaLimit { key: QuotaKey::SCOPE, allowance: self.account };
        let key = recipient.unwrap_or(QuotaKey::SCOPE);
        let limits = [account, QuotaLimit { key, allowance: self.recipient }];
        let limits = if recipient.is_some() { &limits[..] } else { &limits[..1] };
        loop {
            let now = self.clock.now();
            let request = QuotaRequest { scope: &self.quota.scope, limits, now };
            let answer =
                self.quota.quota.take(request).await.map_err(|error| cannot_ask(error, operation))?;
            let (left, kind, why) = match answer {
                QuotaAnswer::Granted => return Ok(()),
                QuotaAnswer::Wait { left } => (left, ErrorKind::RateLimited, "the channel's rate is used up"),
                QuotaAnswer::Held { left } => (left, ErrorKind::Paused, "the provider has asked to wait"),
            };
            let next = plus(now, left);
            if next > end {
                return Err(Error::new(kind, why)
                    .with_retry(RetryHint::Safe { after: Some(left) })
                    .with_adapter(operation.account().kind)
                    .with_operation(Op::NAME));
            }
            self.clock.sleep_until(next).await;
        }
    }

    /// Notes that the provider wants to be left alone.
    async fn hold(&self, recipient: Option<QuotaKey>, delay: Duration) {
        let key = recipient.unwrap_or(QuotaKey::SCOPE);
        let hold = QuotaHold { scope: &self.quota.scope, key, delay, now: self.clock.now() };
        if let Err(error) = self.quota.quota.hold(hold).await {
            // Whoever has sent hears of the provider's refusal, and others will hear it themselves.
            tracing::warn!(%error, scope = %self.quota.scope, "others cannot be told to wait");
        }
    }
}

/// Nothing was sent. Whether a permit was taken is not known, which costs one at the most.
fn cannot_ask<Op: Operation>(error: Error, operation: &Op) -> Error {
    Error::new(ErrorKind::Storage, "it cannot be asked whether the rate allows it; nothing was sent")
        .with_retry(RetryHint::SAFE)
        .with_adapter(operation.account().kind)
        .with_operation(Op::NAME)
        .with_source(error)
}

impl_layer!(RateLimitLayer);

impl Around for RateLimitLayer {
    async fn around<S, Op>(self, inner: S, operation: Op) -> Result<S::Response>
    where
        Op: Operation,
        S: Wrapped<Op>,
    {
        let recipient = operation.recipient();
        self.permit(&operation, recipient).await?;
        let result = call(inner, operation).await;
        if let Err(error) = &result
            && error.kind() == ErrorKind::RateLimited
            && let Some(delay) = error.retry().after()
        {
            self.hold(recipient, delay).await;
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

    const NOTHING: [Script; 0] = [];

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

    #[test]
    fn clones_and_layers_share_the_limit() {
        let clock = manual_clock();
        let service = Scripted::with_clock(NOTHING, &clock);
        let layer = RateLimitLayer::new(Some(Rate::per_minute(1)), None, Duration::ZERO, shared(&clock));
        assert!(ready(layer.layer(service.clone()).call(operation_to("a", false))).is_ok());
        assert!(ready(layer.clone().layer(service).call(operation_to("b", false))).is_err());
    }

    /// A quota that cannot be asked, and notes that it was.
    #[derive(Debug)]
    struct OutOfOrder;

    #[async_trait::async_trait]
    impl Quota for OutOfOrder {
        async fn take(&self, request: QuotaRequest<'_>) -> Result<QuotaAnswer> {
            match request.scope {
                "account:granted" => Ok(QuotaAnswer::Granted),
                _ => Err(Error::new(ErrorKind::Storage, "the disk is full")),
            }
        }

        async fn hold(&self, _: QuotaHold<'_>) -> Result<()> {
            Err(Error::new(ErrorKind::Storage, "the disk is full"))
        }
    }

    #[test]
    fn nothing_is_sent_where_the_quota_cannot_be_asked() {
        let clock = manual_clock();
        let after = RetryHint::Safe { after: Some(Duration::from_secs(9)) };
        let refused = Error::new(ErrorKind::RateLimited, "too many requests").with_retry(after);
        let service = Scripted::with_clock([Err(refused)], &clock);
        let counted_as = |instance: &str| {
            let account = Account { kind: "scripted", instance: instance.to_owned() };
            RateLimitLayer::new(None, None, Duration::ZERO, shared(&clock))
                .counted_in(AccountQuota::shared(Arc::new(OutOfOrder), &account))
        };
        let error = ready(counted_as("asked").layer(service.clone()).call(operation_to("a", false)));
        let error = error.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Storage, RetryHint::SAFE));
        assert_eq!(service.calls(), 0);
        // Whoever was refused hears of that, and not of the trouble to tell others.
        let error = ready(counted_as("granted").layer(service.clone()).call(operation_to("a", false)));
        assert_eq!(error.unwrap_err().kind(), ErrorKind::RateLimited);
    }

    #[test]
    fn layers_that_share_a_quota_share_the_limit_of_an_account() {
        let clock = manual_clock();
        let service = Scripted::with_clock(NOTHING, &clock);
        let quota: Arc<dyn Quota> = Arc::new(LocalQuota::new());
        let mut sent = 0;
        for instance in ["one", "one", "other"] {
            let account = Account { kind: "scripted", instance: instance.to_owned() };
            let layer = RateLimitLayer::new(Some(Rate::per_minute(1)), None, Duration::ZERO, shared(&clock))
                .counted_in(AccountQuota::shared(Arc::clone(&quota), &account));
            sent += u32::from(ready(layer.layer(service.clone()).call(operation_to("a", false))).is_ok());
        }
        assert_eq!(sent, 2);
    }
}
