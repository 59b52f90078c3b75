//! The moment as a value. Nothing below the edge reads a clock by itself.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use tokio::sync::watch;

/// A moment in UTC. Stores keep it as whole milliseconds since the Unix epoch.
pub type Timestamp = DateTime<Utc>;

/// 1970-01-01T00:00:00Z.
pub const fn epoch() -> Timestamp {
    DateTime::UNIX_EPOCH
}

/// The moment that is `millis` milliseconds after the Unix epoch; values that no calendar holds
/// become the nearest one that does.
pub fn from_millis(millis: i64) -> Timestamp {
    DateTime::from_timestamp_millis(millis).unwrap_or(if millis < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    })
}

/// Whether a moment that somebody names is of a year from 1970 to 9999. Whatever lies outside is a mistake, and no calendar
/// computes with the years at the ends of what a moment can hold.
pub fn is_plausible(moment: Timestamp) -> bool {
    (1970..=9999).contains(&moment.year())
}

/// `moment` plus `seconds`, or the last moment there is.
pub fn plus_seconds(moment: Timestamp, seconds: u64) -> Timestamp {
    i64::try_from(seconds)
        .ok()
        .and_then(TimeDelta::try_seconds)
        .and_then(|delta| moment.checked_add_signed(delta))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// `moment` plus `duration`, or the last moment there is.
pub fn plus(moment: Timestamp, duration: Duration) -> Timestamp {
    TimeDelta::from_std(duration)
        .ok()
        .and_then(|delta| moment.checked_add_signed(delta))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Tells the time and waits for a moment.
///
/// ```
/// use std::time::Duration;
///
/// use fastlead_core::time::{Clock, ManualClock, epoch};
///
/// let clock = ManualClock::new(epoch());
/// clock.advance(Duration::from_secs(60));
/// assert_eq!((clock.now() - epoch()).num_seconds(), 60);
/// ```
#[async_trait::async_trait]
pub trait Clock: fmt::Debug + Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// Returns when `now()` has reached `moment`; at once if it has already.
    async fn sleep_until(&self, moment: Timestamp);
}

/// Longest sleep before the clock is read again: the machine's clock may be put forward meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// The machine's clock, which goes on where the machine's is put back.
///
/// # Behavior
/// * Never goes back within a process. While the machine's clock is behind what was told, moments pass at half their
///   speed until it has caught up: a retry in 5 s comes after 10 s at the latest, though the clock was put back by a
///   day.
/// * Follows the machine's clock at once where that is put forward; sleepers notice within 10 s.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

/// The last moment that was told, and when that was.
static TOLD: Mutex<Told> = Mutex::new(Told(None));

/// Last moment told, with the reading of the monotonic clock.
#[derive(Debug)]
struct Told(Option<(Timestamp, Instant)>);

impl Told {
    /// Tells the moment that is not before the last one, from readings of both clocks.
    fn tell(&mut self, wall: Timestamp, tick: Instant) -> Timestamp {
        let least = self.0.map(|(told, at)| plus(told, tick.saturating_duration_since(at) / 2));
        let now = least.map_or(wall, |least| least.max(wall));
        self.0 = Some((now, tick));
        now
    }
}

/// Sleeps until `now` has reached `moment`, and reads it again at least every [`LONGEST_SLEEP`].
#[allow(clippy::disallowed_methods, reason = "this is how the machine's clock waits")]
async fn sleep_by(now: impl Fn() -> Timestamp + Send, moment: Timestamp) {
    // The monotonic timer may run a little ahead of the wall clock, hence the loop.
    loop {
        match (moment - now()).to_std() {
            Ok(left) if !left.is_zero() => tokio::time::sleep(left.min(LONGEST_SLEEP)).await,
            _ => return,
        }
    }
}

#[async_trait::async_trait]
impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        told.tell(Utc::now(), Instant::now())
    }

    async fn sleep_until(&self, moment: Timestamp) {
        sleep_by(|| self.now(), moment).await;
    }
}

/// A clock that only moves when a test moves it.
#[derive(Debug)]
pub struct ManualClock {
    sender: Mutex<watch::Sender<Timestamp>>,
    receiver: watch::Receiver<Timestamp>,
}

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: Timestamp) -> Self {
        let (sender, receiver) = watch::channel(start);
        Self { sender: Mutex::new(sender), receiver }
    }

    /// Moves the clock forward and wakes whoever waited for a moment that has come.
    pub fn advance(&self, by: Duration) {
        self.set(plus(self.now(), by));
    }

    /// Puts the clock to `moment`.
    pub fn set(&self, moment: Timestamp) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.send_replace(moment);
    }
}

#[async_trait::async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.receiver.borrow()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        let mut receiver = self.receiver.clone();
        // An error means the clock itself is gone, and then nobody is left to wait for.
        let _gone = receiver.wait_for(|now| *now >= moment).await;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn a_clock_that_steps_back_delays_a_retry_by_its_own_length_at_most() {
        let (mut told, start) = (Told(None), Instant::now());
        let wall = from_millis(1_795_597_200_000);
        let due = plus_seconds(told.tell(wall, start), 5);
        let back = |seconds: u64| plus_seconds(wall, seconds) - TimeDelta::seconds(DAY);
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(told.tell(back(4), after(4)) < due);
        assert!(told.tell(back(10), after(10)) >= due);
        // It has caught up after two days, and goes with the machine's clock again.
        let days = |days: u64| days * DAY.unsigned_abs();
        let told_then = told.tell(back(days(2)), after(days(2)));
        assert!(told_then - back(days(2)) < TimeDelta::seconds(1), "{told_then}");
        assert_eq!(told.tell(back(days(3)), after(days(3))), back(days(3)));
    }

    proptest! {
        #[test]
        fn it_never_goes_back_and_never_stands_still(
            steps in prop::collection::vec((0_u64..100_000, -200_000_i64..200_000), 1..50),
        ) {
            let (mut told, mut tick, mut wall) = (Told(None), Instant::now(), from_millis(1_795_597_200_000));
            let mut last = told.tell(wall, tick);
            for (millis, jump) in steps {
                let passed = Duration::from_millis(millis);
                tick += passed;
                wall = plus(wall, passed) + TimeDelta::seconds(jump);
                let now = told.tell(wall, tick);
                prop_assert!(now >= plus(last, passed / 2) && now >= wall);
                prop_assert!(now == wall || now == plus(last, passed / 2));
                last = now;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_sleeps_notices_that_the_clock_was_put_forward() {
        let (start, began) = (epoch(), tokio::time::Instant::now());
        let wall = || {
            let passed = began.elapsed();
            let jump = if passed > Duration::from_secs(3) { 3_600 } else { 0 };
            plus_seconds(plus(start, passed), jump)
        };
        sleep_by(wall, plus_seconds(start, 3_600)).await;
        assert!(began.elapsed() <= LONGEST_SLEEP + Duration::from_secs(1), "{:?}", began.elapsed());
    }
}
