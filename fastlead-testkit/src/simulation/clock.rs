//! A clock that moves when nothing else does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use fastlead_core::async_trait;
use fastlead_core::time::{Clock, Timestamp, plus};
use tokio::sync::oneshot;

/// Unlike a manual clock it knows who waits for which moment, so that time can go from one of them to
/// the next.
#[derive(Debug)]
pub(super) struct SimClock {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    next: u64,
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
}

impl SimClock {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { state: Mutex::new(State { now, next: 0, sleepers: BTreeMap::new() }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next moment that somebody waits for.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let mut state = self.lock();
        while let Some(first) = state.sleepers.first_entry() {
            if !first.get().is_closed() {
                // Whoever waits until the end of time waits for something else.
                return Some(first.key().0).filter(|moment| *moment < Timestamp::MAX_UTC);
            }
            first.remove();
        }
        None
    }

    /// Goes on to `moment`, and wakes those who waited for it in the order in which they lay down.
    pub(super) fn advance(&self, moment: Timestamp) {
        let mut state = self.lock();
        state.now = state.now.max(moment);
        while let Some(first) = state.sleepers.first_entry() {
            if first.key().0 > moment {
                break;
            }
            // An error means that nobody waits any more.
            let _gone = first.remove().send(());
        }
    }
}

/// The next whole millisecond. Stores keep no less, so that nobody is to see what one of them would forget.
fn whole(moment: Timestamp) -> Timestamp {
    let below = moment.timestamp_subsec_nanos() % 1_000_000;
    let rest = if below == 0 { 0 } else { 1_000_000 - below };
    plus(moment, Duration::from_nanos(u64::from(rest)))
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    async fn sleep_until(&self, moment: Timestamp) {
        let moment = whole(moment);
        let woken = {
            let mut state = self.lock();
            if moment <= state.now {
                return;
            }
            let (sender, receiver) = oneshot::channel();
            let number = state.next;
            state.next += 1;
            state.sleepers.insert((moment, number), sender);
            receiver
        };
        // The clock outlives everybody who sleeps by it.
        let _woken = woken.await;
    }
}

/// The clock of one machine, which is so many seconds ahead of the others.
#[derive(Debug)]
pub(super) struct Skewed {
    pub clock: Arc<SimClock>,
    pub ahead_secs: i64,
}

#[async_trait]
impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        self.clock.now() + TimeDelta::seconds(self.ahead_secs)
    }

    async fn sleep_until(&self, moment: Timestamp) {
        let moment = moment.checked_sub_signed(TimeDelta::seconds(self.ahead_secs));
        self.clock.sleep_until(moment.unwrap_or(Timestamp::MAX_UTC)).await;
    }
}
