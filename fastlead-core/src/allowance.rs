//! How much of something is allowed: the arithmetic of rates, without a clock and without a place where it is kept.

use std::num::NonZeroU32;
use std::time::Duration;

use chrono::DateTime;

use crate::channel::Rate;
use crate::time::Timestamp;

/// Longest period of a rate; longer ones count as this.
const LONGEST_PERIOD: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// So much burst at once, and one more every `spacing`: the generic cell rate algorithm (GCRA,
/// [ITU-T I.371](https://www.itu.int/rec/T-REC-I.371), annex A).
///
/// ```
/// use std::time::Duration;
///
/// use fastlead_core::allowance::Allowance;
/// use fastlead_core::channel::Rate;
/// use fastlead_core::time::{epoch, plus_seconds};
///
/// let second = Allowance::within(Rate::per_second(1));
/// let first = second.take(None, epoch()).expect("nothing was taken before");
/// assert_eq!(second.take(Some(first), epoch()), Err(Duration::from_secs(1)));
/// assert!(second.take(Some(first), plus_seconds(epoch(), 1)).is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Allowance {
    burst: NonZeroU32,
    /// At least a nanosecond.
    spacing: Duration,
}

/// Moment at which everything that was taken from an allowance has come back, in nanoseconds since the Unix epoch: all that
/// needs to be kept of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arrival(pub i64);

impl Arrival {
    /// Clocks of engines that share an allowance differ by less than this. What lies further in the future than can be
    /// was taken before a clock was set back, and is forgotten.
    pub const SKEW: Duration = Duration::from_secs(60);

    /// The moment itself, rounded down to a nanosecond.
    pub fn moment(self) -> Timestamp {
        DateTime::from_timestamp_nanos(self.0)
    }

    /// Whether it says nothing any more to anybody whose clock is right to within [`Self::SKEW`], so that it need not be
    /// kept.
    pub fn is_past(self, now: Timestamp) -> bool {
        i128::from(self.0) + nanos(Self::SKEW) <= i128::from(since_epoch(now))
    }
}

impl Allowance {
    /// Never more than [`Rate::permits`] in any period of [`Rate::per_millis`]: a tenth of them, and one, at once, the
    /// others evenly spaced.
    ///
    /// With `burst` permits at once and one more every `spacing`, a period holds at most
    /// `burst + ceil(period / spacing) - 1` of them; the spacing is chosen so that this is the number of permits.
    pub fn within(rate: Rate) -> Self {
        let permits = rate.permits.max(1);
        let burst =
            NonZeroU32::MIN.saturating_add(permits / 10).min(NonZeroU32::MIN.saturating_add(permits - 1));
        let gaps = u128::from(permits - burst.get() + 1);
        let period = Duration::from_millis(rate.per_millis.max(1)).min(LONGEST_PERIOD);
        Self { burst, spacing: duration(period.as_nanos().div_ceil(gaps)) }
    }

    /// All permits of `rate` at once, where none were taken for a whole period, and one back every `period / permits`:
    /// up to twice as many as the rate says in the first period, which is what people are allowed who come seldom.
    pub fn refilling(rate: Rate) -> Self {
        let burst = NonZeroU32::new(rate.permits).unwrap_or(NonZeroU32::MIN);
        let period = Duration::from_millis(rate.per_millis.max(1)).min(LONGEST_PERIOD);
        Self { burst, spacing: duration(period.as_nanos() / u128::from(burst.get())) }
    }

    /// How many permits there are at once.
    pub const fn burst(self) -> NonZeroU32 {
        self.burst
    }

    /// How long it takes until one permit is back.
    pub const fn spacing(self) -> Duration {
        self.spacing
    }

    /// Takes one permit at `now`. `kept` is what the last one that was taken has left, where it is known.
    ///
    /// A clock that goes back makes no permits: who asks by an earlier one waits until the later one's are back. Only what
    /// lies further ahead than [`Arrival::SKEW`] beyond all that could have been taken is forgotten.
    ///
    /// # Errors
    /// How long it takes until there is a permit.
    pub fn take(self, kept: Option<Arrival>, now: Timestamp) -> Result<Arrival, Duration> {
        let now = i128::from(since_epoch(now));
        let spacing = nanos(self.spacing);
        let tolerance = spacing * i128::from(self.burst.get() - 1);
        let kept = kept.map(|kept| i128::from(kept.0));
        let kept = kept.filter(|kept| *kept <= now + tolerance + spacing + nanos(Arrival::SKEW));
        let arrival = kept.unwrap_or(now).max(now);
        match arrival - tolerance - now {
            wait if wait > 0 => Err(duration(wait.unsigned_abs())),
            _ => Ok(Arrival(i64::try_from(arrival + spacing).unwrap_or(i64::MAX))),
        }
    }
}

/// Nanoseconds since the Unix epoch; the nearest that can be said for years before 1677 and after 2262.
fn since_epoch(moment: Timestamp) -> i64 {
    let nearest = if moment.timestamp() < 0 { i64::MIN } else { i64::MAX };
    moment.timestamp_nanos_opt().unwrap_or(nearest)
}

fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

/// At least a nanosecond.
fn duration(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX).max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::{epoch, plus, plus_seconds};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn senseless_rates_do_no_harm() {
        for rate in [
            Rate { permits: 0, per_millis: 0 },
            Rate { permits: u32::MAX, per_millis: 1 },
            Rate { permits: 1, per_millis: u64::MAX },
            Rate { permits: u32::MAX, per_millis: u64::MAX },
        ] {
            for allowance in [Allowance::within(rate), Allowance::refilling(rate)] {
                for now in
                    [epoch(), plus_seconds(epoch(), 2_000_000_000), Timestamp::MAX_UTC, Timestamp::MIN_UTC]
                {
                    let taken = allowance.take(None, now);
                    assert!(taken.is_ok(), "{rate:?} {now}");
                    assert!(
                        allowance.take(taken.ok(), now).is_ok_and(|_| true) || allowance.burst().get() == 1
                    );
                }
            }
        }
    }

    #[test]
    fn who_comes_seldom_has_all_permits_at_once() {
        let ten = Allowance::refilling(Rate::per_minute(10));
        let mut kept = None;
        for number in 0..10 {
            kept = Some(ten.take(kept, epoch()).unwrap_or_else(|wait| panic!("{number}: {wait:?}")));
        }
        assert_eq!(ten.take(kept, epoch()), Err(Duration::from_secs(6)));
        assert!(ten.take(kept, plus_seconds(epoch(), 6)).is_ok());
    }

    #[test]
    fn a_clock_that_goes_back_makes_no_permits_and_one_that_was_set_back_does_not_block() {
        let second = Allowance::within(Rate::per_second(1));
        let later = plus_seconds(epoch(), 10_000);
        let kept = second.take(None, later).ok();
        // 30 s behind: another engine.
        assert_eq!(second.take(kept, later - Duration::from_secs(30)), Err(31 * SECOND));
        assert_eq!(second.take(kept, later - Duration::from_secs(60)), Err(61 * SECOND));
        // 2,000 s behind: the clock was set back.
        let again = second.take(kept, plus_seconds(epoch(), 8_000)).unwrap();
        assert_eq!(second.take(Some(again), plus_seconds(epoch(), 8_000)), Err(SECOND));
    }

    #[test]
    fn what_is_past_says_nothing() {
        let second = Allowance::within(Rate::per_second(1));
        let kept = second.take(None, epoch()).unwrap();
        assert_eq!(kept.moment(), plus_seconds(epoch(), 1));
        assert!(!kept.is_past(plus_seconds(epoch(), 60)) && kept.is_past(plus_seconds(epoch(), 61)));
        let skewed = plus_seconds(epoch(), 61) - Arrival::SKEW;
        assert_eq!(second.take(Some(kept), skewed), second.take(None, skewed));
    }

    proptest! {
        #[test]
        fn no_period_holds_more_than_the_permits(
            permits in 1_u32..60,
            per_millis in 1_u64..5_000,
            steps in proptest::collection::vec(0_u64..400, 1..300),
        ) {
            let allowance = Allowance::within(Rate { permits, per_millis });
            let (mut now, mut kept, mut passed) = (epoch(), None, Vec::new());
            for step in steps {
                now = plus(now, Duration::from_millis(step));
                while let Ok(taken) = allowance.take(kept, now) {
                    kept = Some(taken);
                    passed.push((now - epoch()).num_milliseconds());
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
            let allowance = Allowance::within(Rate { permits, per_millis });
            let (mut now, mut kept) = (epoch(), None);
            for _ in 0..permits * 2 {
                match allowance.take(kept, now) {
                    Ok(taken) => kept = Some(taken),
                    Err(wait) => {
                        prop_assert!(wait <= Duration::from_millis(per_millis));
                        let early = plus(now, wait.saturating_sub(Duration::from_nanos(1)));
                        prop_assert!(allowance.take(kept, early).is_err());
                        now = plus(now, wait);
                        kept = Some(allowance.take(kept, now).unwrap());
                    }
                }
            }
        }
    }
}
