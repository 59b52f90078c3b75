//! A channel behind all the layers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tower_service::Service;

use super::breaker::BreakerState;
use super::operation::{Account, BeforeAttempt, ChannelService, Operation as _, SendMessage};
use super::policy::{Limits, ResiliencePolicy, Resilient};
use super::question::{Ask, Check, LayeredRegistration};
use super::rate_limit::AccountQuota;
use crate::channel::{Capabilities, Channel, ChannelInfo, Lookup, Poller, SendReceipt, SentReference};
use crate::error::{Result, RetryHint};
use crate::message::OutboundMessage;
use crate::port::Quota;
use crate::time::Clock;
use crate::webhook::{WebhookReceiver, WebhookRegistration};

/// What came of [`LayeredChannel::send_shared`].
#[derive(Debug)]
pub struct SharedSend {
    /// What the last request came to, or why there was none.
    pub result: Result<SendReceipt>,
    /// Whether one of the requests may have been acted upon. A later one can be refused all the same, so the error
    /// alone does not tell.
    pub may_have_arrived: bool,
}

/// A channel whose `send`, `lookup`, `check` and registration go through all the layers. Clones are cheap and share the
/// state of the layers. Info, capabilities, webhook and poller are those of the channel inside.
///
/// Questions are not asked again within seconds. `check` and the registration's `status` are answered also while the
/// circuit breaker is open: a person wants to know whether the account works again.
#[derive(Debug, Clone)]
pub struct LayeredChannel {
    inner: Arc<dyn Channel>,
    service: Resilient<ChannelService>,
    account: Arc<Account>,
    idempotent: bool,
    rate_limited: bool,
    total: Duration,
    registration: Option<LayeredRegistration>,
}

impl LayeredChannel {
    pub(super) fn new(
        policy: &ResiliencePolicy,
        inner: Arc<dyn Channel>,
        clock: Arc<dyn Clock>,
        quota: Arc<dyn Quota>,
    ) -> Self {
        let capabilities = inner.capabilities();
        let info = inner.info();
        let account = Arc::new(Account { kind: info.kind, instance: info.id.to_string() });
        let service = ChannelService::new(Arc::clone(&inner));
        let limits = Limits::from(&capabilities);
        let rates =
            [policy.rate.account.or(limits.account_rate), policy.rate.recipient.or(limits.recipient_rate)];
        let service = policy.stack(service, &limits, &clock, AccountQuota::shared(quota, &account));
        let registration = inner
            .registration()
            .map(|_| LayeredRegistration { service: service.clone(), account: Arc::clone(&account) });
        Self {
            rate_limited: rates.iter().any(Option::is_some),
            service,
            account,
            idempotent: capabilities.idempotent_send,
            total: policy.total_deadline_for(&limits),
            registration,
            inner,
        }
    }

    /// What the channel's circuit breaker shows now.
    pub fn breaker_state(&self) -> BreakerState {
        self.service.breaker().state()
    }

    /// [`Channel::send`] for a message that is shared already, without copying it. `before` is told right
    /// before each request to the provider. Errors are those of the channel inside, of the layers and of `before`.
    pub async fn send_shared(
        &self,
        message: Arc<OutboundMessage>,
        before: Option<Arc<dyn BeforeAttempt>>,
    ) -> SharedSend {
        let operation = SendMessage::new(message, Arc::clone(&self.account), self.idempotent);
        let operation = match before {
            Some(before) => operation.announced_to(before),
            None => operation,
        };
        let progress = operation.progress().clone();
        let result = Service::<SendMessage>::call(&mut self.service.clone(), operation).await;
        let may_have_arrived = match &result {
            Ok(_) => true,
            Err(error) => {
                progress.is_outcome_unknown() || matches!(error.retry(), RetryHint::IfIdempotent { .. })
            }
        };
        SharedSend { result, may_have_arrived }
    }

    /// Whether a message may have to wait for a rate before it goes out.
    pub const fn is_rate_limited(&self) -> bool {
        self.rate_limited
    }

    /// How long one send may take in all.
    pub const fn total_deadline(&self) -> Duration {
        self.total
    }
}

#[async_trait]
impl Channel for LayeredChannel {
    fn info(&self) -> &ChannelInfo {
        self.inner.info()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt> {
        self.send_shared(Arc::new(message.clone()), None).await.result
    }

    async fn check(&self) -> Result<()> {
        Service::<Ask<Check>>::call(&mut self.service.clone(), Ask::new(Check, &self.account)).await
    }

    async fn lookup(&self, sent: &SentReference) -> Result<Lookup> {
        Service::<Ask<SentReference>>::call(&mut self.service.clone(), Ask::new(sent.clone(), &self.account))
            .await
    }

    fn webhook(&self) -> Option<&dyn WebhookReceiver> {
        self.inner.webhook()
    }

    fn registration(&self) -> Option<&dyn WebhookRegistration> {
        self.registration.as_ref().map(|registration| registration as &dyn WebhookRegistration)
    }

    fn poller(&self) -> Option<&dyn Poller> {
        self.inner.poller()
    }
}

/// The composed order, seen from outside.
#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use futures_util::FutureExt;

    use super::*;
    use crate::channel::Rate;
    use crate::error::{Error, ErrorKind};
    use crate::layer::scripted::*;
    use crate::time::ManualClock;

    fn wrapped(
        policy: ResiliencePolicy,
        script: impl IntoIterator<Item = impl Into<Script>>,
        adapt: impl FnOnce(&mut Capabilities),
    ) -> (LayeredChannel, Scripted, Arc<ManualClock>) {
        policy.validate().unwrap();
        let clock = manual_clock();
        let sends = Scripted::with_clock(script, &clock);
        let mut capabilities = Capabilities::default();
        adapt(&mut capabilities);
        let channel = policy.wrap(ScriptedChannel::new(&sends, capabilities), shared(&clock));
        (channel, sends, clock)
    }

    fn policy(json: &str) -> ResiliencePolicy {
        serde_json::from_str(json).unwrap()
    }

    fn unchanged(_: &mut Capabilities) {}

    /// Runs to the end, moving the clock whenever the operation waits.
    fn run<T>(work: impl Future<Output = T>, clock: &ManualClock) -> T {
        let mut work = Box::pin(work);
        for _ in 0..10_000 {
            match (&mut work).now_or_never() {
                Some(result) => return result,
                None => clock.advance(Duration::from_millis(10)),
            }
        }
        panic!("never ends");
    }

    #[test]
    fn it_is_the_channel_that_it_wraps() {
        let (channel, sends, _clock) =
            wrapped(ResiliencePolicy::default(), [Script::Succeed], |capabilities| capabilities.html = true);
        assert_eq!(channel.info().kind, "scripted");
        assert!(channel.capabilities().html);
        assert!(channel.webhook().is_none() && channel.poller().is_none());
        let receipt = ready(channel.send(&message_to("1"))).unwrap();
        assert_eq!(receipt, SendReceipt::accepted("1"));
        assert_eq!(sends.calls(), 1);
        let shared: Arc<dyn Channel> = Arc::new(channel.clone());
        assert!(ready(shared.send(&message_to("1"))).is_ok());
    }

    #[test]
    fn retry_is_outside_of_the_breaker_and_does_not_retry_its_refusal() {
        let retry =
            policy(r#"{"retry": {"max_attempts": 5}, "breaker": {"min_requests": 2, "open_secs": 30}}"#);
        let (channel, sends, clock) = wrapped(retry, (0..9).map(|_| Err(unavailable())), unchanged);
        let error = run(channel.send(&message_to("1")), &clock).unwrap_err();
        // The second failure opened the breaker; the third attempt was refused and is not reported.
        assert_eq!(sends.calls(), 2);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.retry().after().unwrap() > Duration::from_secs(28), "{:?}", error.retry());
        assert!(matches!(channel.breaker_state(), BreakerState::Open { .. }));

        let error = ready(channel.send(&message_to("1"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Paused);
        assert_eq!(sends.calls(), 2);
    }

    #[test]
    fn a_wait_for_the_rate_is_not_counted_by_the_attempt_timeout() {
        let slow = policy(
            r#"{"attempt_timeout_millis": 500,
                "rate": {"recipient": {"permits": 1, "per_millis": 900}}, "breaker": {"min_requests": 1}}"#,
        );
        let script = [Script::Succeed, Script::After(Duration::from_millis(400))];
        let (channel, sends, clock) = wrapped(slow, script, unchanged);
        assert!(ready(channel.send(&message_to("1"))).is_ok());
        assert!(run(channel.send(&message_to("1")), &clock).is_ok());
        assert_eq!(sends.called_at_millis(), [0, 900]);
    }

    #[test]
    fn a_refusal_by_the_rate_says_nothing_about_the_provider() {
        let strict = policy(r#"{"breaker": {"min_requests": 1, "failure_percent": 1}}"#);
        let (channel, sends, _clock) = wrapped(strict, [Script::Succeed], |capabilities| {
            capabilities.recipient_rate = Some(Rate::per_minute(1));
        });
        assert!(ready(channel.send(&message_to("1"))).is_ok());
        let error = ready(channel.send(&message_to("1"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(error.retry(), RetryHint::Safe { after: Some(Duration::from_secs(60)) });
        assert_eq!((sends.calls(), channel.breaker_state()), (1, BreakerState::Closed));
    }

    #[test]
    fn who_waits_for_a_rate_holds_no_place() {
        let narrow =
            policy(r#"{"max_in_flight": 1, "rate": {"recipient": {"permits": 1, "per_millis": 900}}}"#);
        let (channel, sends, clock) = wrapped(narrow, [Script::Succeed], unchanged);
        assert!(ready(channel.send(&message_to("1"))).is_ok());
        let message = message_to("1");
        let mut waiting = channel.send(&message);
        pending(&mut waiting);
        assert!(ready(channel.send(&message_to("2"))).is_ok());
        clock.advance(Duration::from_millis(900));
        assert!(ready(waiting).is_ok());
        assert_eq!(sends.calls(), 3);
    }

    #[test]
    fn an_attempt_timeout_is_retried_only_with_a_key_and_counts_against_the_provider() {
        for (idempotent, calls) in [(false, 1), (true, 3)] {
            let hanging = (0..9).map(|_| Script::Hang);
            let quick = policy(r#"{"attempt_timeout_millis": 1000, "breaker": {"min_requests": 3}}"#);
            let (channel, sends, clock) = wrapped(quick, hanging, |c| c.idempotent_send = idempotent);
            let error = run(channel.send(&message_to("1")), &clock).unwrap_err();
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, RetryHint::UNKNOWN));
            assert_eq!(sends.calls(), calls);
            let open = matches!(channel.breaker_state(), BreakerState::Open { .. });
            assert_eq!(open, idempotent);
        }
    }

    #[test]
    fn the_deadline_holds_for_everything_inside() {
        let patient =
            policy(r#"{"total_deadline_millis": 2000, "attempt_timeout_millis": 2000, "max_in_flight": 1}"#);
        let (channel, sends, clock) = wrapped(patient, [Script::Hang, Script::Hang], unchanged);
        let message = message_to("1");
        let mut first = channel.send(&message);
        pending(&mut first);
        clock.advance(Duration::from_millis(500));
        let mut second = channel.send(&message);
        pending(&mut second);

        // The first was on the wire: nobody knows. It makes room for the second, not for the third.
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(ready(first).unwrap_err().retry(), RetryHint::UNKNOWN);
        let mut third = channel.send(&message);
        pending(&mut second);
        pending(&mut third);
        clock.advance(Duration::from_millis(500));
        assert_eq!(ready(second).unwrap_err().retry(), RetryHint::UNKNOWN);
        assert_eq!(sends.calls(), 2);
        drop(third);
    }

    #[test]
    fn waiting_for_a_place_until_the_deadline_is_safe_to_repeat() {
        let patient =
            policy(r#"{"total_deadline_millis": 2000, "attempt_timeout_millis": 2000, "max_in_flight": 1}"#);
        let (channel, sends, clock) = wrapped(patient, [Script::Hang], unchanged);
        let message = message_to("1");
        let (mut first, mut second) = (channel.send(&message), channel.send(&message));
        pending(&mut first);
        pending(&mut second);
        clock.advance(Duration::from_millis(2_000));
        let error = ready(second).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, RetryHint::SAFE));
        assert_eq!(sends.calls(), 1);
    }

    #[test]
    fn a_channel_that_thinks_for_minutes_is_waited_for() {
        let slow = || [Script::After(Duration::from_secs(90))];
        let (hurried, sends, clock) = wrapped(ResiliencePolicy::default(), slow(), unchanged);
        assert_eq!(hurried.total_deadline(), Duration::from_secs(30));
        let error = run(hurried.send(&message_to("1")), &clock).unwrap_err();
        assert_eq!((error.kind(), sends.calls()), (ErrorKind::Timeout, 1));

        let (patient, _sends, clock) = wrapped(ResiliencePolicy::default(), slow(), |declared| {
            declared.attempt_timeout_millis = Some(100_000);
        });
        assert_eq!(patient.total_deadline(), Duration::from_secs(120));
        assert!(run(patient.send(&message_to("1")), &clock).is_ok());

        // A shorter time than the policy's changes nothing.
        let (usual, _sends, _clock) = wrapped(ResiliencePolicy::default(), slow(), |declared| {
            declared.attempt_timeout_millis = Some(1_000);
        });
        assert_eq!(usual.total_deadline(), Duration::from_secs(30));
    }

    #[test]
    fn the_policy_overrides_what_the_channel_declares() {
        let one = policy(r#"{"max_in_flight": 1}"#);
        assert_eq!(one.max_in_flight, Some(NonZeroU32::MIN));
        for (policy, under_way) in [(ResiliencePolicy::default(), 2), (one, 1)] {
            let hanging = [Script::Hang, Script::Hang, Script::Hang];
            let (channel, sends, _clock) = wrapped(policy, hanging, |c| c.max_in_flight = 2);
            let message = message_to("1");
            let mut all: Vec<_> = (0..3).map(|_| channel.send(&message)).collect();
            all.iter_mut().for_each(pending);
            assert_eq!(sends.calls(), under_way);
        }
    }

    #[test]
    fn a_refusal_after_an_unknown_outcome_says_that_it_may_have_arrived() {
        let refused = || Error::new(ErrorKind::Recipient, "no").with_retry(RetryHint::Never);
        let unknown = || unavailable().with_retry(RetryHint::UNKNOWN);
        for (script, may_have_arrived) in
            [(vec![Err(unknown()), Err(refused())], true), (vec![Err(unavailable()), Err(refused())], false)]
        {
            let calls = script.len();
            let (channel, sends, clock) =
                wrapped(ResiliencePolicy::default(), script, |declared| declared.idempotent_send = true);
            let sent = run(channel.send_shared(Arc::new(message_to("1")), None), &clock);
            assert_eq!((sent.result.unwrap_err().kind(), sends.calls()), (ErrorKind::Recipient, calls));
            assert_eq!(sent.may_have_arrived, may_have_arrived);
        }
    }

    #[test]
    fn clones_share_the_breaker() {
        let strict = policy(r#"{"retry": {"max_attempts": 1}, "breaker": {"min_requests": 1}}"#);
        let (channel, _sends, _clock) = wrapped(strict, [Err(unavailable())], unchanged);
        let clone = channel.clone();
        assert!(ready(channel.send(&message_to("1"))).is_err());
        assert!(matches!(clone.breaker_state(), BreakerState::Open { .. }));
    }

    fn sent() -> SentReference {
        let message = message_to("1");
        SentReference {
            delivery_id: message.delivery_id,
            part: message.part,
            provider_message_id: None,
            recipient: message.recipient,
            attempted_at: message.attempted_at,
            now: message.attempted_at,
        }
    }

    #[test]
    fn a_persons_questions_pass_an_open_breaker_and_say_nothing_for_others() {
        let strict = policy(r#"{"retry": {"max_attempts": 1}, "breaker": {"min_requests": 1}}"#);
        let script = [Script::Fail(unavailable()), Script::Succeed];
        let (channel, sends, _clock) = wrapped(strict, script, unchanged);
        assert!(ready(channel.send(&message_to("1"))).is_err());
        assert!(ready(channel.check()).is_ok());
        let registration = channel.registration().expect("it has one");
        assert!(ready(registration.status()).is_ok());
        assert_eq!(sends.calls(), 3);
        assert!(matches!(channel.breaker_state(), BreakerState::Open { .. }));

        // Nobody waits for the answers to these.
        let error = ready(channel.lookup(&sent())).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Paused, "lookup"));
        assert!(error.retry().after().is_some());
        assert_eq!(
            ready(registration.register("https://example.com/h")).unwrap_err().kind(),
            ErrorKind::Paused
        );
        assert_eq!(ready(registration.unregister()).unwrap_err().kind(), ErrorKind::Paused);
        assert_eq!(sends.calls(), 3);
    }

    #[test]
    fn a_question_that_gets_no_answer_may_be_asked_again_and_is_not_asked_twice_here() {
        let (channel, sends, clock) = wrapped(ResiliencePolicy::default(), [Script::Hang], unchanged);
        let error: Error = run(channel.check(), &clock).unwrap_err();
        assert_eq!(
            (error.kind(), error.retry(), error.operation()),
            (ErrorKind::Timeout, RetryHint::SAFE, "check")
        );
        assert_eq!(sends.calls(), 1);
    }

    /// An account in trouble gets no burst of questions.
    #[test]
    fn questions_take_permits_and_places_and_count_against_the_provider() {
        let (channel, sends, _clock) = wrapped(ResiliencePolicy::default(), [Script::Succeed], |c| {
            c.account_rate = Some(Rate::per_minute(20))
        });
        assert!(ready(channel.send(&message_to("1"))).is_ok());
        let asked = (0..20).take_while(|_| ready(channel.lookup(&sent())).is_ok()).count();
        assert!((1..20).contains(&asked), "{asked}");
        let refused = [
            ready(channel.lookup(&sent())).unwrap_err(),
            ready(channel.check()).unwrap_err(),
            ready(channel.registration().expect("it has one").status()).unwrap_err(),
        ];
        for error in refused {
            assert_eq!(error.kind(), ErrorKind::RateLimited, "{error}");
        }
        assert_eq!(sends.calls(), 1 + asked);

        let narrow = policy(r#"{"max_in_flight": 1}"#);
        let (channel, sends, _clock) = wrapped(narrow, [Script::Hang, Script::Hang], unchanged);
        let (first, second) = (sent(), sent());
        let (mut first, mut second) = (channel.lookup(&first), channel.lookup(&second));
        pending(&mut first);
        pending(&mut second);
        assert_eq!(sends.calls(), 1);

        let strict = policy(r#"{"breaker": {"min_requests": 2}}"#);
        let (channel, _sends, _clock) = wrapped(strict, [Err(unavailable()), Err(unavailable())], unchanged);
        assert!(ready(channel.lookup(&sent())).is_err());
        assert!(ready(channel.lookup(&sent())).is_err());
        assert!(matches!(channel.breaker_state(), BreakerState::Open { .. }));
    }
}
