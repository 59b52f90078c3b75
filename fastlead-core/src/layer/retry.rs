//! Another try within seconds. Minutes and hours belong to the durable schedule.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::frame::{Around, impl_layer};
use super::operation::{Operation, Wrapped, call};
use crate::error::{Error, ErrorKind, Result, RetryHint};
use crate::time::{Clock, plus};

/// A provider that asks for a longer pause than this is left to the durable schedule.
const LONGEST_RATE_LIMIT_PAUSE: Duration = Duration::from_secs(1);

/// How often and how soon to try again while the caller waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPolicy {
    /// How many attempts in all, the first included. 1 never tries again. Default 3.
    pub max_attempts: NonZeroU32,
    /// The pause before the second attempt, in milliseconds; it doubles with every further one. Default 250.
    pub base_delay_millis: u64,
    /// The longest pause, in milliseconds; a provider that asks for a longer one is not tried again here.
    /// Default 2000.
    pub max_delay_millis: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: NonZeroU32::MIN.saturating_add(2),
            base_delay_millis: 250,
            max_delay_millis: 2_000,
        }
    }
}

impl RetryPolicy {
    /// The pause after the failed attempt number `attempt` (1 for the first); `None` where the
    /// error is not for this layer or the attempts are used up.
    ///
    /// Tried again is what is [`RetryHint::Safe`], or [`RetryHint::IfIdempotent`] for an
    /// `idempotent` operation, of the kinds unavailable and timeout; and a rate limit that names a
    /// pause of at most one second. The pause grows by up to a half, never shrinks, and depends
    /// only on `reference` and `attempt`.
    pub fn pause(&self, error: &Error, idempotent: bool, reference: &str, attempt: u32) -> Option<Duration> {
        if attempt >= self.max_attempts.get() {
            return None;
        }
        let named = match error.retry() {
            RetryHint::Safe { after } => after,
            RetryHint::IfIdempotent { after } if idempotent => after,
            _ => return None,
        };
        match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Timeout => {}
            ErrorKind::RateLimited if named.is_some_and(|pause| pause <= LONGEST_RATE_LIMIT_PAUSE) => {}
            _ => return None,
        }
        let longest = Duration::from_millis(self.max_delay_millis);
        if named.is_some_and(|pause| pause > longest) {
            return None;
        }
        let doubled = 2_u64.saturating_pow(attempt.saturating_sub(1));
        let backoff = Duration::from_millis(self.base_delay_millis.saturating_mul(doubled)).min(longest);
        let pause = named.map_or(backoff, |named| named.max(backoff));
        Some(pause + pause.mul_f64(0.5 * fraction(reference, attempt)))
    }
}

/// A number in `0..=1` that depends only on the arguments.
fn fraction(reference: &str, attempt: u32) -> f64 {
    let hash = Sha256::new().chain_update(reference).chain_update(attempt.to_be_bytes()).finalize();
    let number = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    f64::from(number) / f64::from(u32::MAX)
}

/// Tries again by a [`RetryPolicy`], as long as the next attempt begins within a budget.
///
/// What comes out tells the truth about all attempts: after an attempt with unknown outcome a later
/// "certainly not" becomes unknown too, and where a circuit breaker refuses a further attempt the
/// error of the last real one is returned.
#[derive(Debug, Clone)]
pub struct RetryLayer {
    policy: RetryPolicy,
    budget: Duration,
    clock: Arc<dyn Clock>,
}

impl RetryLayer {
    /// Retries by `policy`; no attempt begins later than `budget` after the first.
    pub fn new(policy: RetryPolicy, budget: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { policy, budget, clock }
    }
}

impl_layer!(RetryLayer);

impl Around for RetryLayer {
    async fn around<S, Op>(self, inner: S, operation: Op) -> Result<S::Response>
    where
        Op: Operation,
        S: Wrapped<Op>,
    {
        if operation.is_question() {
            return call(inner, operation).await;
        }
        let Self { policy, budget, clock } = self;
        let end = plus(clock.now(), budget);
        let mut earlier = None;
        let mut attempt = 1;
        loop {
            let error = match call(inner.clone(), operation.clone()).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let reference = operation.reference().to_string();
            let pause = policy.pause(&error, operation.is_idempotent(), &reference, attempt);
            let error = of_all_attempts(earlier.take(), error);
            if matches!(error.retry(), RetryHint::IfIdempotent { .. }) {
                operation.progress().outcome_is_unknown();
            }
            let Some(next) = pause.map(|pause| plus(clock.now(), pause)).filter(|next| *next < end) else {
                return Err(error);
            };
            {
                let _waiting = operation.progress().wait();
                clock.sleep_until(next).await;
            }
            earlier = Some(error);
            attempt += 1;
        }
    }
}

fn of_all_attempts(earlier: Option<Error>, latest: Error) -> Error {
    let Some(earlier) = earlier else { return latest };
    let named = latest.retry().after();
    if latest.kind() == ErrorKind::Paused {
        let after = named.or(earlier.retry().after());
        let retry = match earlier.retry() {
            RetryHint::Never => RetryHint::Never,
            RetryHint::Safe { .. } => RetryHint::Safe { after },
            RetryHint::IfIdempotent { .. } => RetryHint::IfIdempotent { after },
        };
        return earlier.with_retry(retry);
    }
    match (earlier.retry(), latest.retry()) {
        (RetryHint::IfIdempotent { .. }, RetryHint::Safe { .. }) => {
            latest.with_retry(RetryHint::IfIdempotent { after: named })
        }
        _ => latest,
    }
}

#[cfg(test)]
mod tests {
    use tower_layer::Layer;
    use tower_service::Service;

    use super::*;
    use crate::layer::scripted::*;
    use crate::time::ManualClock;

    const BUDGET: Duration = Duration::from_secs(30);

    fn limited(after_millis: u64) -> Error {
        let after = Some(Duration::from_millis(after_millis));
        Error::new(ErrorKind::RateLimited, "slow down").with_retry(RetryHint::Safe { after })
    }

    #[test]
    fn only_what_is_safe_and_short_is_tried_again_here() {
        let policy = RetryPolicy::default();
        let after = |secs| RetryHint::Safe { after: Some(Duration::from_secs(secs)) };
        for (error, idempotent, expected) in [
            (unavailable(), false, true),
            (reset(), false, false),
            (reset(), true, true),
            (Error::new(ErrorKind::Timeout, "late").with_retry(RetryHint::UNKNOWN), true, true),
            (Error::new(ErrorKind::Unavailable, "down").with_retry(after(2)), false, true),
            (Error::new(ErrorKind::Unavailable, "down").with_retry(after(3)), false, false),
            (Error::new(ErrorKind::Unavailable, "down"), true, false),
            (limited(1000), false, true),
            (limited(1001), false, false),
            (Error::new(ErrorKind::RateLimited, "slow down").with_retry(RetryHint::SAFE), false, false),
            (Error::new(ErrorKind::Paused, "open").with_retry(after(1)), false, false),
            (Error::new(ErrorKind::Protocol, "what").with_retry(RetryHint::SAFE), false, false),
            (Error::new(ErrorKind::Recipient, "blocked"), true, false),
        ] {
            let pause = policy.pause(&error, idempotent, "dlv_1", 1);
            assert_eq!(pause.is_some(), expected, "{error} {:?} {idempotent}", error.retry());
        }
        assert_eq!(policy.pause(&unavailable(), false, "dlv_1", 3), None);
    }

    #[test]
    fn pauses_double_and_jitter_is_only_added_and_repeats() {
        let policy = RetryPolicy { max_attempts: NonZeroU32::MAX, ..RetryPolicy::default() };
        for reference in ["dlv_1", "dlv_2", "dlv_3"] {
            for (attempt, least) in [(1, 250), (2, 500), (3, 1_000), (4, 2_000), (5, 2_000), (200, 2_000)] {
                let pause = policy.pause(&unavailable(), false, reference, attempt).unwrap();
                assert_eq!(Some(pause), policy.pause(&unavailable(), false, reference, attempt));
                let least = Duration::from_millis(least);
                assert!(pause >= least && pause <= least.mul_f64(1.5), "{attempt}: {pause:?}");
            }
        }
        let pause = |reference| policy.pause(&unavailable(), false, reference, 1);
        assert_ne!(pause("dlv_1"), pause("dlv_2"));
        assert!(policy.pause(&limited(900), false, "dlv_1", 1).unwrap() >= Duration::from_millis(900));
    }

    /// Runs to the end, moving the clock whenever the operation waits.
    fn run(service: &Scripted, clock: &Arc<ManualClock>, idempotent: bool, budget: Duration) -> Result<()> {
        let layer = RetryLayer::new(RetryPolicy::default(), budget, shared(clock));
        let mut send = layer.layer(service.clone()).call(operation_to("1", idempotent));
        for _ in 0..10_000 {
            match futures_util::FutureExt::now_or_never(&mut send) {
                Some(result) => return result.map(|_| ()),
                None => clock.advance(Duration::from_millis(10)),
            }
        }
        panic!("never ends");
    }

    #[test]
    fn tries_again_after_pauses_until_it_works() {
        let clock = manual_clock();
        let service = Scripted::with_clock([Err(unavailable()), Err(unavailable()), Ok(())], &clock);
        assert!(run(&service, &clock, false, BUDGET).is_ok());
        let at = service.called_at_millis();
        assert_eq!(at.len(), 3);
        assert!((250..=385).contains(&(at[1] - at[0])), "{at:?}");
        assert!((500..=760).contains(&(at[2] - at[1])), "{at:?}");
    }

    #[test]
    fn gives_up_after_the_last_attempt_with_its_error() {
        let clock = manual_clock();
        let service = Scripted::with_clock((0..9).map(|_| Err(unavailable())), &clock);
        let error = run(&service, &clock, false, BUDGET).unwrap_err();
        assert_eq!(
            (error.kind(), error.retry(), service.calls()),
            (ErrorKind::Unavailable, RetryHint::SAFE, 3)
        );
    }

    #[test]
    fn an_unknown_outcome_is_tried_again_only_with_a_key() {
        for (idempotent, calls) in [(false, 1), (true, 2)] {
            let clock = manual_clock();
            let service = Scripted::with_clock([Err(reset()), Ok(())], &clock);
            assert_eq!(run(&service, &clock, idempotent, BUDGET).is_ok(), idempotent);
            assert_eq!(service.calls(), calls);
        }
    }

    #[test]
    fn an_unknown_outcome_is_not_forgotten() {
        let clock = manual_clock();
        let service = Scripted::with_clock([Err(reset()), Err(limited(5_000))], &clock);
        let error = run(&service, &clock, true, BUDGET).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(error.retry(), RetryHint::IfIdempotent { after: Some(Duration::from_secs(5)) });
    }

    #[test]
    fn a_refused_retry_reports_the_attempt_before() {
        let clock = manual_clock();
        let after = Some(Duration::from_secs(30));
        let paused = Error::new(ErrorKind::Paused, "open").with_retry(RetryHint::Safe { after });
        let service = Scripted::with_clock([Err(unavailable()), Err(paused)], &clock);
        let error = run(&service, &clock, false, BUDGET).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, RetryHint::Safe { after }));
        assert_eq!(service.calls(), 2);
    }

    #[test]
    fn no_attempt_begins_after_the_budget() {
        let clock = manual_clock();
        let service = Scripted::with_clock((0..9).map(|_| Err(unavailable())), &clock);
        let error = run(&service, &clock, false, Duration::from_millis(400)).unwrap_err();
        assert_eq!((error.kind(), service.calls()), (ErrorKind::Unavailable, 2));
    }

    #[test]
    fn a_pause_is_a_wait() {
        let clock = manual_clock();
        for (error, safe) in [(unavailable(), true), (reset(), false)] {
            let service = Scripted::with_clock([Err(error)], &clock);
            let send = operation_to("1", true);
            let layer = RetryLayer::new(RetryPolicy::default(), BUDGET, shared(&clock));
            let mut running = layer.layer(service).call(send.clone());
            pending(&mut running);
            assert_eq!(send.progress().provider_did_not_act(), safe);
        }
    }
}
