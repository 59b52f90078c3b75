//! The moment as a value. Nothing below the edge reads a clock by itself.

use std::fmt;
use std::sync::Mutex;

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

/// Whether a moment that somebody names is of a year from 1970 to 2199. Whatever lies outside is a mistake, and no calendar
/// computes with the years at the ends of what a moment can hold.
pub fn is_plausible(moment: Timestamp) -> bool {
    (1970..=2199).contains(&moment.year())
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
pub fn plus(moment: Timestamp, duration: std::time::Duration) -> Timestamp {
    TimeDelta::from_std(duration)
        .ok()
        .and_then(|delta| moment.checked_add_signed(delta))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Tells the time and waits for a moment.
#[async_trait::async_trait]
pub trait Clock: fmt::Debug + Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// Returns when `now()` has reached `moment`; at once if it has already.
    async fn sleep_until(&self, moment: Timestamp);
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

#[async_trait::async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Utc::now()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        // The monotonic timer may run a little ahead of the wall clock, hence the loop.
        loop {
            match (moment - Utc::now()).to_std() {
                Ok(left) if !left.is_zero() => tokio::time::sleep(left).await,
                _ => return,
            }
        }
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
    pub fn advance(&self, by: std::time::Duration) {
        self.set(plus(self.now(), by));
    }

    /// Puts the clock to `moment`.
    pub fn set(&self, moment: Timestamp) {
        let sender = self.sender.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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
