//! The time of the store, by which all engines on it go, whatever the clocks of their machines say.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{SubsecRound, TimeDelta};
use tokio::sync::Notify;

use super::Engine;
use crate::error::Result;
use crate::time::{Clock, Timestamp};

/// An answer that was waited for longer says too little of the moment at which it was given.
const LONGEST_QUESTION: Duration = Duration::from_secs(1);
/// How often the store is asked anew because its answer took too long.
const QUESTIONS: usize = 4;

/// A clock that is put right by the store's.
#[derive(Debug)]
pub(super) struct StoreTime {
    own: Arc<dyn Clock>,
    /// By how many milliseconds the store's clock is ahead of the own one.
    ahead: AtomicI64,
    put_right: Notify,
}

impl StoreTime {
    pub(super) fn new(own: Arc<dyn Clock>) -> Self {
        Self { own, ahead: AtomicI64::new(0), put_right: Notify::new() }
    }

    fn exact(&self) -> Timestamp {
        self.own.now().checked_add_signed(self.ahead()).unwrap_or(Timestamp::MAX_UTC)
    }

    fn ahead(&self) -> TimeDelta {
        TimeDelta::milliseconds(self.ahead.load(Ordering::Acquire))
    }

    /// The store said `theirs` when the own clock went from `asked` to `answered`. Answers whether that was quick enough
    /// to say anything.
    fn learn(&self, asked: Timestamp, theirs: Timestamp, answered: Timestamp) -> bool {
        let took = answered - asked;
        if took < TimeDelta::zero() || took.to_std().is_ok_and(|took| took > LONGEST_QUESTION) {
            return false;
        }
        let ahead = (theirs - (asked + took / 2)).num_milliseconds();
        if self.ahead.swap(ahead, Ordering::AcqRel) != ahead {
            self.put_right.notify_waiters();
        }
        true
    }
}

#[async_trait::async_trait]
impl Clock for StoreTime {
    /// In whole milliseconds, which is what stores keep: an answer tells no other moment than a later reading.
    fn now(&self) -> Timestamp {
        self.exact().trunc_subsecs(3)
    }

    async fn sleep_until(&self, moment: Timestamp) {
        // Whoever wakes sees a moment that is not before the one that was waited for.
        let whole = moment.trunc_subsecs(3);
        let next = whole.checked_add_signed(TimeDelta::milliseconds(1)).unwrap_or(Timestamp::MAX_UTC);
        let moment = if whole == moment { moment } else { next };
        loop {
            let put_right = self.put_right.notified();
            tokio::pin!(put_right);
            put_right.as_mut().enable();
            if self.exact() >= moment {
                return;
            }
            let by_own = moment.checked_sub_signed(self.ahead()).unwrap_or(Timestamp::MAX_UTC);
            tokio::select! {
                biased;
                () = self.own.sleep_until(by_own) => {}
                () = put_right => {}
            }
        }
    }
}

impl Engine {
    /// Puts the engine's clock right by the store's, where the store has one.
    ///
    /// # Errors
    /// Where the store cannot be asked.
    pub(super) async fn tell_time(&self) -> Result<()> {
        let time = &self.inner.store_time;
        for _ in 0..QUESTIONS {
            let asked = time.own.now();
            let Some(theirs) = self.inner.store.time().await? else { return Ok(()) };
            if time.learn(asked, theirs, time.own.now()) {
                return Ok(());
            }
        }
        tracing::warn!("the store takes too long to say what time it is; going on by what it said before");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ManualClock, epoch, plus_seconds};

    #[tokio::test]
    async fn sleepers_go_by_the_stores_clock_also_when_it_is_learned_while_they_sleep() {
        let own = Arc::new(ManualClock::new(plus_seconds(epoch(), 1_000)));
        let time = Arc::new(StoreTime::new(Arc::clone(&own) as Arc<dyn Clock>));
        let due = plus_seconds(epoch(), 1_300);
        let asleep = tokio::spawn({
            let time = Arc::clone(&time);
            async move {
                time.sleep_until(due).await;
                time.now()
            }
        });
        tokio::task::yield_now().await;
        // The store is four minutes ahead: only a minute is left.
        assert!(time.learn(own.now(), plus_seconds(epoch(), 1_240), own.now()));
        assert_eq!(time.now(), plus_seconds(epoch(), 1_240));
        tokio::task::yield_now().await;
        assert!(!asleep.is_finished());
        own.advance(Duration::from_secs(60));
        assert_eq!(asleep.await.unwrap(), due);
        // Behind: nobody wakes early.
        assert!(time.learn(own.now(), epoch(), own.now()));
        let early = tokio::spawn(async move { time.sleep_until(due).await });
        tokio::task::yield_now().await;
        assert!(!early.is_finished());
        early.abort();
    }

    #[tokio::test]
    async fn whoever_wakes_sees_the_moment_that_was_waited_for() {
        let own = Arc::new(ManualClock::new(epoch() + TimeDelta::microseconds(1_700)));
        let time = StoreTime::new(Arc::clone(&own) as Arc<dyn Clock>);
        assert_eq!(time.now(), epoch() + TimeDelta::milliseconds(1));
        // It has come, and cannot be seen in whole milliseconds yet.
        let due = epoch() + TimeDelta::microseconds(1_500);
        let mut asleep = std::pin::pin!(time.sleep_until(due));
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        assert!(Future::poll(asleep.as_mut(), &mut context).is_pending());
        own.advance(Duration::from_micros(300));
        asleep.await;
        assert!(time.now() >= due);
    }

    #[test]
    fn an_answer_that_took_too_long_says_nothing() {
        let time = StoreTime::new(Arc::new(ManualClock::new(epoch())));
        let asked = plus_seconds(epoch(), 10);
        assert!(!time.learn(asked, plus_seconds(epoch(), 100), plus_seconds(asked, 5)));
        assert!(!time.learn(asked, plus_seconds(epoch(), 100), epoch()));
        assert_eq!(time.now(), epoch());
        // Half of what it took had passed when it was given.
        assert!(time.learn(asked, plus_seconds(epoch(), 100), plus_seconds(asked, 1)));
        assert_eq!(time.now(), epoch() + TimeDelta::milliseconds(89_500));
    }
}
