//! The two limits of an account, taken together. It is told when to look at the clock and never waits.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::state::{NotKeyed, StateStore};
use governor::{NotUntil, Quota, RateLimiter};

use crate::channel::Rate;
use crate::layer::operation::RecipientKey;
use crate::time::Clock;

/// How many recipients are remembered before those whose limit has recovered are dropped.
const CLEAN_AT: usize = 1_024;
/// How many recipients are remembered at most; beyond that nobody new is let through.
const MAX_RECIPIENTS: usize = 65_536;
/// Longer periods are taken as this one.
const LONGEST_PERIOD: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A limit for the account and one for each recipient.
///
/// Never more than [`Rate::permits`] pass in any period of [`Rate::per_millis`]: a tenth of them,
/// and one, at once, the others evenly spaced.
#[derive(Debug)]
pub(super) struct Limiter {
    account: Option<AccountLimit>,
    recipient: Option<RecipientLimit>,
    rates: (Option<Rate>, Option<Rate>),
    clock: Moments,
    clean_at: usize,
}

type Limit<K, S> = RateLimiter<K, S, Moments, NoOpMiddleware<Nanos>>;
type RecipientLimit = Limit<RecipientKey, HashMapStateStore<RecipientKey>>;

#[derive(Debug)]
struct AccountLimit {
    limit: Limit<NotKeyed, Revocable>,
    state: Revocable,
}

impl Limiter {
    pub(super) fn new(account: Option<Rate>, recipient: Option<Rate>, clock: Arc<dyn Clock>) -> Self {
        let clock = Moments(clock);
        let mut limiter =
            Self { account: None, recipient: None, rates: (account, recipient), clock, clean_at: CLEAN_AT };
        limiter.start_anew();
        limiter
    }

    /// Takes a permit of the account and one of the recipient, or neither and says how long to
    /// wait before asking again.
    pub(super) fn take(&mut self, recipient: Option<RecipientKey>) -> Result<(), Duration> {
        let refused = match self.try_take(recipient) {
            Ok(()) => return Ok(()),
            Err(wait) => wait,
        };
        // No honest wait is longer than a whole period: the clock was set back.
        if refused <= self.longest_period() {
            return Err(refused);
        }
        self.start_anew();
        self.try_take(recipient)
    }

    fn try_take(&mut self, recipient: Option<RecipientKey>) -> Result<(), Duration> {
        let wait = |refusal: NotUntil<Nanos>| refusal.wait_time_from(self.clock.now());
        let before = self.account.as_ref().map(|account| account.state.get());
        if let Some(account) = &self.account {
            account.limit.check().map_err(wait)?;
        }
        let (Some(limit), Some(key)) = (&self.recipient, recipient) else { return Ok(()) };
        let outcome = if limit.len() >= self.clean_at {
            limit.retain_recent();
            self.clean_at = CLEAN_AT.max(limit.len() * 2).min(MAX_RECIPIENTS);
            if limit.len() < MAX_RECIPIENTS {
                limit.check_key(&key).map_err(wait)
            } else {
                Err(self.rates.1.map_or(Duration::ZERO, period))
            }
        } else {
            limit.check_key(&key).map_err(wait)
        };
        if let (Err(_), Some(account), Some(before)) = (&outcome, &self.account, before) {
            account.state.set(before);
        }
        outcome
    }

    fn longest_period(&self) -> Duration {
        let (account, recipient) = self.rates;
        account.map(period).max(recipient.map(period)).unwrap_or_default()
    }

    fn start_anew(&mut self) {
        let (account, recipient) = self.rates;
        self.account = account.map(|rate| {
            let state = Revocable::default();
            AccountLimit { limit: RateLimiter::new(quota(rate), state.clone(), self.clock.clone()), state }
        });
        self.recipient =
            recipient.map(|rate| RateLimiter::hashmap_with_clock(quota(rate), self.clock.clone()));
        self.clean_at = CLEAN_AT;
    }
}

fn period(rate: Rate) -> Duration {
    Duration::from_millis(rate.per_millis.max(1)).min(LONGEST_PERIOD)
}

/// With `burst` permits at once and one more every `spacing`, a period holds at most
/// `burst + ceil(period / spacing) - 1` of them; the spacing is chosen so that this is `permits`.
fn quota(rate: Rate) -> Quota {
    let permits = rate.permits.max(1);
    let burst = NonZeroU32::MIN.saturating_add(permits / 10).min(NonZeroU32::MIN.saturating_add(permits - 1));
    let gaps = u128::from(permits - burst.get() + 1);
    let spacing = period(rate).as_nanos().div_ceil(gaps);
    let spacing = Duration::from_nanos(u64::try_from(spacing).unwrap_or(u64::MAX));
    // `with_period` refuses zero only, and the spacing is at least a nanosecond.
    Quota::with_period(spacing).unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN)).allow_burst(burst)
}

/// Our clock as `governor` wants it: nanoseconds since the Unix epoch.
#[derive(Debug, Clone)]
struct Moments(Arc<dyn Clock>);

impl GovernorClock for Moments {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let nanos = self.0.now().timestamp_nanos_opt().and_then(|nanos| u64::try_from(nanos).ok());
        Nanos::from(nanos.unwrap_or(0))
    }
}

/// The state of one limit, which can be put back where a permit was taken in vain.
#[derive(Debug, Clone, Default)]
struct Revocable(Arc<Mutex<Option<Nanos>>>);

impl Revocable {
    fn get(&self) -> Option<Nanos> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: Option<Nanos>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl StateStore for Revocable {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (outcome, next) = decide(*state)?;
        *state = Some(next);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layer::scripted::{manual_clock, shared};
    use crate::time::{ManualClock, epoch, plus_seconds};

    fn key(chat: &str) -> Option<RecipientKey> {
        Some(RecipientKey::of(&chat))
    }

    fn limiter(account: Option<Rate>, recipient: Option<Rate>) -> (Limiter, Arc<ManualClock>) {
        let clock = manual_clock();
        (Limiter::new(account, recipient, shared(&clock)), clock)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_a_second_to_each_recipient() {
        let (mut limiter, clock) = limiter(None, Some(Rate::per_second(1)));
        assert_eq!(limiter.take(key("a")), Ok(()));
        assert_eq!(limiter.take(key("a")), Err(SECOND));
        assert_eq!(limiter.take(key("b")), Ok(()));
        clock.advance(Duration::from_millis(400));
        assert_eq!(limiter.take(key("a")), Err(Duration::from_millis(600)));
        clock.advance(Duration::from_millis(600));
        assert_eq!(limiter.take(key("a")), Ok(()));
        assert_eq!(limiter.take(None), Ok(()));
    }

    #[test]
    fn a_recipient_that_must_wait_costs_the_account_nothing() {
        let (mut limiter, _clock) = limiter(Some(Rate::per_second(10)), Some(Rate::per_second(1)));
        assert_eq!(limiter.take(key("a")), Ok(()));
        for _ in 0..100 {
            assert!(limiter.take(key("a")).is_err());
        }
        assert_eq!(limiter.take(key("b")), Ok(()));
        assert!(limiter.take(key("c")).is_err(), "two at once is the burst of ten a second");
    }

    #[test]
    fn without_rates_everything_passes() {
        let (mut limiter, _clock) = limiter(None, None);
        assert!((0..1_000).all(|_| limiter.take(key("a")).is_ok()));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_block() {
        let clock = Arc::new(ManualClock::new(plus_seconds(epoch(), 7_200)));
        let mut limiter = Limiter::new(Some(Rate::per_second(1)), Some(Rate::per_second(1)), shared(&clock));
        clock.set(plus_seconds(epoch(), 10_000));
        assert_eq!(limiter.take(key("a")), Ok(()));
        clock.set(plus_seconds(epoch(), 8_000));
        assert_eq!(limiter.take(key("a")), Ok(()));
        assert_eq!(limiter.take(key("a")), Err(SECOND));
        clock.set(epoch());
        assert_eq!(limiter.take(key("a")), Ok(()));
        assert_eq!(limiter.take(key("a")), Err(SECOND));
    }

    #[test]
    fn recipients_are_forgotten_and_bounded() {
        let (mut limiter, clock) = limiter(None, Some(Rate::per_second(1)));
        let remembered = |limiter: &Limiter| limiter.recipient.as_ref().unwrap().len();
        for round in 0..20 {
            for recipient in 0..500 {
                assert!(limiter.take(key(&format!("{round}-{recipient}"))).is_ok());
            }
            clock.advance(Duration::from_secs(2));
        }
        assert!(remembered(&limiter) <= 2 * CLEAN_AT, "{}", remembered(&limiter));

        let refused = (0..70_000).find_map(|recipient| limiter.take(key(&recipient.to_string())).err());
        assert_eq!(refused, Some(SECOND));
        assert!(remembered(&limiter) <= MAX_RECIPIENTS);
    }

    #[test]
    fn senseless_rates_do_no_harm() {
        for rate in [
            Rate { permits: 0, per_millis: 0 },
            Rate { permits: u32::MAX, per_millis: 1 },
            Rate { permits: 1, per_millis: u64::MAX },
            Rate { permits: u32::MAX, per_millis: u64::MAX },
        ] {
            let (mut limiter, _clock) = limiter(Some(rate), Some(rate));
            assert_eq!(limiter.take(key("a")), Ok(()), "{rate:?}");
        }
    }

    proptest! {
        #[test]
        fn no_period_holds_more_than_the_permits(
            permits in 1_u32..60,
            per_millis in 1_u64..5_000,
            steps in proptest::collection::vec(0_u64..400, 1..300),
        ) {
            let rate = Rate { permits, per_millis };
            let (mut limiter, clock) = limiter(Some(rate), None);
            let mut passed = Vec::new();
            for step in steps {
                clock.advance(Duration::from_millis(step));
                while limiter.take(None).is_ok() {
                    passed.push((clock.now() - epoch()).num_milliseconds());
                }
            }
            let period = i64::try_from(per_millis).unwrap();
            for (first, start) in passed.iter().enumerate() {
                let held = passed[first..].iter().take_while(|at| **at - start < period).count();
                prop_assert!(held <= permits as usize, "{held} in one period");
            }
        }

        #[test]
        fn who_waits_as_told_gets_through(permits in 1_u32..60, per_millis in 1_u64..5_000) {
            let (mut limiter, clock) = limiter(Some(Rate { permits, per_millis }), None);
            for _ in 0..permits * 2 {
                if let Err(wait) = limiter.take(None) {
                    prop_assert!(wait <= Duration::from_millis(per_millis));
                    clock.advance(wait);
                    prop_assert_eq!(limiter.take(None), Ok(()));
                }
            }
        }
    }
}
