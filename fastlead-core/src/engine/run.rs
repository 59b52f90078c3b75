//! The workers: claim what is due, work on it, sleep until the next moment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Engine;
use super::apply::Applied;
use super::directory::ActiveChannel;
use super::transition::Extras;
use crate::channel::Channel;
use crate::decide::{Event, TimerName};
use crate::error::Result;
use crate::id::ChannelId;
use crate::port::{ChannelRoom, ClaimRequest, LeasedTimer};
use crate::time::{Timestamp, plus};

/// How many timers are claimed at a time.
const TIMER_BATCH: u32 = 64;
/// How many inbound events are claimed at a time.
const INBOUND_BATCH: u32 = 64;
/// How long the dispatcher rests after the store has failed.
const STORE_REST: Duration = Duration::from_millis(500);
/// How long the dispatcher rests where it finds nothing to claim of what is said to be due.
const FRUITLESS_REST: Duration = Duration::from_millis(5);
/// How long a poll waits at the provider.
const POLL_WAIT: Duration = Duration::from_secs(25);
/// How long polling rests after it has failed.
const POLL_REST: Duration = Duration::from_secs(5);

impl Engine {
    /// Works until `stop` is cancelled, then finishes what is under way and returns.
    ///
    /// Only one of these runs in an engine at a time; other processes may run theirs on the same store.
    pub async fn run(&self, stop: CancellationToken) {
        self.inner.running.store(true, Ordering::Release);
        self.look_after_all_queues();
        let mut pollers = HashMap::new();
        let mut generation = self.inner.generation.subscribe();
        self.start_pollers(&mut pollers);
        let mut fruitless = 0_u32;
        while !stop.is_cancelled() {
            if generation.has_changed().unwrap_or(false) {
                generation.mark_unchanged();
                self.start_pollers(&mut pollers);
            }
            self.inner.asleep_until.store(i64::MAX, Ordering::Release);
            let claimed_at = self.now();
            match self.claim_once(claimed_at).await {
                Ok(true) => fruitless = 0,
                Ok(false) => fruitless = self.rest(&stop, claimed_at, fruitless).await,
                Err(error) => {
                    tracing::error!(%error, "work cannot be claimed; trying again");
                    let until = plus(self.now(), STORE_REST);
                    tokio::select! {
                        biased;
                        () = self.inner.clock.sleep_until(until) => {}
                        () = stop.cancelled() => {}
                    }
                }
            }
        }
        self.inner.running.store(false, Ordering::Release);
        drop(pollers);
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.inner.tasks.reopen();
    }

    /// Sleeps until something becomes due or somebody wakes us. Answers how often in a row it did not sleep.
    async fn rest(&self, stop: &CancellationToken, claimed_at: Timestamp, fruitless: u32) -> u32 {
        let now = self.now();
        let channels: Vec<ChannelId> = self.claimable().iter().map(|(channel, _)| channel.id).collect();
        let next = match self.inner.store.next_due(now, &channels).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(%error, "the next moment cannot be read; looking again soon");
                Some(plus(now, STORE_REST))
            }
        };
        // What has become due since the claim is claimed at once. Should the store call something due that it
        // does not give, this must not become a busy loop.
        if next.is_some_and(|next| next <= now) && claimed_at < now {
            if fruitless > 8 {
                tokio::time::sleep(FRUITLESS_REST).await;
            }
            return fruitless + 1;
        }
        let until = next.map_or(Timestamp::MAX_UTC, |next| next.max(plus(now, Duration::from_millis(1))));
        self.inner.asleep_until.store(until.timestamp_millis(), Ordering::Release);
        tokio::select! {
            biased;
            () = self.inner.wake.notified() => {}
            () = self.inner.clock.sleep_until(until), if until < Timestamp::MAX_UTC => {}
            () = stop.cancelled() => {}
        }
        0
    }

    /// The channels that have room, each with how many places are free.
    fn claimable(&self) -> Vec<(Arc<ActiveChannel>, u32)> {
        let room = |channel: &Arc<ActiveChannel>| {
            if channel.is_paused() {
                return None;
            }
            let mut free = channel.permits.available_permits();
            if free == 0 {
                free = channel.wake_when_free();
            }
            let free = u32::try_from(free).unwrap_or(u32::MAX);
            (free > 0).then(|| (Arc::clone(channel), free))
        };
        self.directory().channels().filter_map(room).collect()
    }

    /// Claims and starts what is due. Answers whether there may be more at once.
    async fn claim_once(&self, now: Timestamp) -> Result<bool> {
        let mut taken: BTreeMap<ChannelId, (Arc<ActiveChannel>, Vec<OwnedSemaphorePermit>, ChannelRoom)> =
            BTreeMap::new();
        let mut more = false;
        for (channel, free) in self.claimable() {
            let mut permits = Vec::new();
            while u32::try_from(permits.len()).unwrap_or(u32::MAX) < free {
                match Arc::clone(&channel.permits).try_acquire_owned() {
                    Ok(permit) => permits.push(permit),
                    Err(_) => break,
                }
            }
            if permits.is_empty() {
                more |= channel.wake_when_free() > 0;
                continue;
            }
            channel.backlog.store(false, Ordering::Release);
            let room = channel.room(u32::try_from(permits.len()).unwrap_or(u32::MAX));
            taken.insert(channel.id, (channel, permits, room));
        }
        let request = ClaimRequest {
            now,
            lease: self.new_lease(now),
            channels: taken.values().map(|(_, _, room)| *room).collect(),
            timers: TIMER_BATCH,
            inbound: INBOUND_BATCH,
        };
        let claimed = self.inner.store.claim(request).await?;
        let mut counts: HashMap<ChannelId, [u32; 2]> = HashMap::new();
        let full = |taken: usize, batch: u32| taken >= usize::try_from(batch).unwrap_or(usize::MAX);
        more |= full(claimed.timers.len(), TIMER_BATCH) || full(claimed.inbound.len(), INBOUND_BATCH);
        for leased in claimed.deliveries {
            let Some((channel, permits, _)) = taken.get_mut(&leased.delivery.channel_id) else { continue };
            let [checks, others] = counts.entry(channel.id).or_default();
            *(if leased.delivery.owes_receipt() { checks } else { others }) += 1;
            let channel = Arc::clone(channel);
            let permit = permits.pop();
            let engine = self.clone();
            self.inner.tasks.spawn(async move {
                let permit = match permit {
                    Some(permit) => permit,
                    // The semaphore is never closed.
                    None => match Arc::clone(&channel.permits).acquire_owned().await {
                        Ok(permit) => permit,
                        Err(_) => return,
                    },
                };
                engine.work(leased, &channel, None).await;
                engine.release(&channel, permit);
            });
        }
        for (id, (channel, _, room)) in &taken {
            let [checks, others] = counts.get(id).copied().unwrap_or_default();
            if channel.was_claimed(room, checks, others) {
                more |= channel.wake_when_free() > 0;
            }
        }
        drop(taken);
        if !claimed.inbound.is_empty() {
            let engine = self.clone();
            self.inner.tasks.spawn(async move { engine.act_upon(claimed.inbound).await });
        }
        for timer in claimed.timers {
            let engine = self.clone();
            self.inner.tasks.spawn(async move { engine.fire(timer).await });
        }
        Ok(more)
    }

    /// Gives room back, and wakes the dispatcher where work waits for it.
    pub(super) fn release(&self, channel: &ActiveChannel, permit: OwnedSemaphorePermit) {
        drop(permit);
        // A place that somebody has waited for is taken already; the last of them wakes the dispatcher, which would
        // find no room before.
        if channel.is_free() && channel.backlog.swap(false, Ordering::AcqRel) {
            self.inner.wake.notify_one();
        }
    }

    async fn fire(&self, timer: LeasedTimer) {
        if timer.name == TimerName::Queue {
            if let Err(error) = self.queue_timer(timer).await {
                self.timer_failed(&timer, &error).await;
            }
            return;
        }
        let event = Event::TimerFired { timer: timer.name };
        let extras = || Extras { fired: Some((timer.id, timer.token)), ..Extras::default() };
        let applied = self.apply(timer.scope.workspace_id, timer.lead_id, event, extras).await;
        if let Ok(Applied::NoLead) = &applied {
            self.timer_of_nobody(&timer).await;
        }
        if let Err(error) = applied {
            self.timer_failed(&timer, &error).await;
        }
    }

    fn start_pollers(&self, pollers: &mut HashMap<ChannelId, AbortOnDropHandle<()>>) {
        let directory = self.directory();
        pollers.retain(|id, handle| !handle.is_finished() && directory.channel(*id).is_some());
        for channel in directory.channels().filter(|channel| channel.channel.poller().is_some()) {
            pollers.entry(channel.id).or_insert_with(|| {
                let engine = self.clone();
                let id = channel.id;
                AbortOnDropHandle::new(tokio::spawn(async move { engine.poll(id).await }))
            });
        }
    }

    /// Brings in a channel's news until the channel is gone.
    async fn poll(&self, id: ChannelId) {
        loop {
            let directory = self.directory();
            let Some(channel) = directory.channel(id).map(Arc::clone) else { return };
            let Some(poller) = channel.channel.poller() else { return };
            let news = async {
                let cursor = self.inner.store.poll_cursor(id).await?;
                let batch = poller.poll(cursor.as_deref(), POLL_WAIT, self.now()).await?;
                if !batch.events.is_empty() || batch.cursor.is_some() {
                    self.ingest(&channel, batch.events, batch.cursor).await?;
                }
                Ok::<_, crate::error::Error>(())
            };
            if let Err(error) = news.await {
                tracing::warn!(channel = %id, %error, "polling failed; trying again");
                self.inner.clock.sleep_until(plus(self.now(), POLL_REST)).await;
            }
        }
    }
}
