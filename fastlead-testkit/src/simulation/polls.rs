//! News that is fetched: a provider keeps it until a later cursor is asked for, and repeats it until then.

use std::collections::BTreeMap;
use std::time::Duration;

use fastlead_core::channel::{Channel as _, InboundEvent, PollBatch, Poller};
use fastlead_core::port::InboundRef;
use fastlead_core::time::{Clock, Timestamp, plus};
use fastlead_core::{Error, ErrorKind, Result, RetryHint, async_trait};
use tokio::sync::Notify;

use super::chance::Chance;
use super::provider::Account;

/// What a provider keeps for whoever asks.
#[derive(Debug)]
pub(super) struct Updates {
    chance: Chance,
    next: u64,
    kept: BTreeMap<u64, InboundEvent>,
    /// The last that was acknowledged: it is brought again now and then.
    acknowledged: Option<InboundEvent>,
}

impl Updates {
    pub(super) const fn new(chance: Chance) -> Self {
        Self { chance, next: 1, kept: BTreeMap::new(), acknowledged: None }
    }

    /// The first few from `cursor` on, not always in their order.
    fn batch(&mut self, cursor: u64) -> Option<PollBatch> {
        let most = self.chance.pick([1, 2, 100]);
        let found: Vec<(u64, InboundEvent)> =
            self.kept.range(cursor..).take(most).map(|(number, event)| (*number, event.clone())).collect();
        let (last, _) = found.last()?;
        let cursor = Some((last + 1).to_string());
        let mut events: Vec<InboundEvent> = found.into_iter().map(|(_, event)| event).collect();
        if self.chance.percent(30) {
            events.reverse();
        }
        if self.chance.percent(15) {
            events.extend(self.acknowledged.clone());
        }
        Some(PollBatch { events, cursor })
    }
}

impl Account {
    /// Something happens at the provider, which whoever asks next hears of.
    pub(super) fn arrives(&self, event: InboundEvent) {
        let (updates, news) = self.updates();
        let mut updates = updates.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let number = updates.next;
        updates.next += 1;
        updates.kept.insert(number, event);
        // Several engines may ask.
        news.notify_waiters();
    }

    /// Everything before `cursor` has arrived, says whoever asks for it.
    fn acknowledge(&self, updates: &mut Updates, cursor: u64) {
        while let Some(first) = updates.kept.first_entry().filter(|first| *first.key() < cursor) {
            let event = first.remove();
            let inbound =
                InboundRef { channel_id: self.info().id, provider_event_id: event.provider_event_id.clone() };
            let recorded = self.world().model().is_recorded(&inbound);
            self.world().check(recorded);
            updates.acknowledged = Some(event);
        }
    }
}

/// An hour of nothing but asking for news would be thousands of steps, so the engine of a simulation asks without an
/// end: a poll that brings nothing goes on until it does.
#[async_trait]
impl Poller for Account {
    fn account(&self) -> String {
        self.line().name.clone()
    }

    async fn poll(&self, cursor: Option<&str>, wait: Duration, now: Timestamp) -> Result<PollBatch> {
        let invalid = || Error::new(ErrorKind::Invalid, "the cursor is not one of this provider");
        let cursor: u64 = match cursor {
            Some(cursor) => cursor.parse().map_err(|_| invalid())?,
            None => 0,
        };
        let (updates, news) = self.updates();
        let (batch, wait, fails) = loop {
            let notified = news.notified();
            {
                let mut updates = updates.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                self.acknowledge(&mut updates, cursor);
                if let Some(batch) = updates.batch(cursor) {
                    let slow = updates.chance.percent(self.line().slow);
                    let most = if slow { 9_000 } else { 400 };
                    let wait = Duration::from_millis(updates.chance.between(1, most));
                    break (batch, wait, updates.chance.percent(self.line().trouble / 2));
                }
            }
            tokio::select! {
                biased;
                () = notified => {}
                () = self.world().clock.sleep_until(plus(now, wait)) => return Ok(PollBatch::default()),
            }
        };
        let clock = &self.world().clock;
        clock.sleep_until(plus(clock.now(), wait)).await;
        if fails {
            return Err(
                Error::new(ErrorKind::Unavailable, "as the simulation has it").with_retry(RetryHint::SAFE)
            );
        }
        self.world().note(format_args!(
            "{} brings {} news after {cursor}",
            self.line().name,
            batch.events.len()
        ));
        Ok(batch)
    }
}

/// Where news is kept, and who waits for it.
pub(super) type Kept = (std::sync::Mutex<Updates>, Notify);
