//! The workers: claim what is due, work on it, sleep until the next moment.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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
use crate::decide::{Event, TimerName};
use crate::error::Result;
use crate::id::ChannelId;
use crate::port::{ChannelRoom, ClaimRequest, LeasedTimer, NextDue};
use crate::time::{Timestamp, plus};

/// How many timers are claimed at a time.
const TIMER_BATCH: u32 = 64;
/// How many inbound events are claimed at a time.
const INBOUND_BATCH: u32 = 64;
/// How often all channels are looked at, for what other engines have made due or have left behind.
const SURVEY_EVERY: Duration = Duration::from_secs(30);
/// How long the dispatcher rests after the store has failed.
const STORE_REST: Duration = Duration::from_millis(500);
/// How long the dispatcher rests where it finds nothing to claim of what is said to be due.
const FRUITLESS_REST: Duration = Duration::from_millis(5);

/// What a round of the dispatcher has done.
struct Round {
    /// When it began.
    at: Timestamp,
    /// Channels that were claimed from, and have nothing more that is due.
    looked_at: Vec<ChannelId>,
    /// When all channels are looked at again.
    next_survey: Option<Timestamp>,
}

impl Engine {
    /// Works until `stop` is cancelled, then finishes what is under way and returns.
    ///
    /// Only one of these runs in an engine at a time; other processes may run theirs on the same store.
    pub async fn run(&self, stop: CancellationToken) {
        self.inner.running.store(true, Ordering::Release);
        self.look_after_all_queues();
        let follower = {
            let engine = self.clone();
            AbortOnDropHandle::new(tokio::spawn(async move { engine.follow().await }))
        };
        let mut pollers = HashMap::new();
        let mut generation = self.inner.generation.subscribe();
        self.start_pollers(&mut pollers);
        let mut fruitless = 0_u32;
        let mut survey_at = Some(self.now());
        while !stop.is_cancelled() {
            if generation.has_changed().unwrap_or(false) {
                generation.mark_unchanged();
                self.start_pollers(&mut pollers);
            }
            self.inner.asleep_until.store(i64::MAX, Ordering::Release);
            let at = self.now();
            match self.round(at, &mut survey_at).await {
                Ok((true, _)) => fruitless = 0,
                Ok((false, looked_at)) => {
                    let round = Round { at, looked_at, next_survey: survey_at };
                    fruitless = self.rest(&stop, round, fruitless).await;
                }
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
        let polled: Vec<ChannelId> = pollers.keys().copied().collect();
        drop((pollers, follower));
        self.leave_polling(&polled).await;
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.inner.tasks.reopen();
    }

    /// One round of the dispatcher.
    async fn round(
        &self,
        now: Timestamp,
        survey_at: &mut Option<Timestamp>,
    ) -> Result<(bool, Vec<ChannelId>)> {
        self.look_after_queues_put_off(now);
        if survey_at.is_some_and(|at| at <= now) {
            self.survey(now).await?;
            *survey_at = self.inner.follow_every.map(|follow| plus(now, follow.max(SURVEY_EVERY)));
        }
        self.claim_once(now, self.inner.agenda.take(now)).await
    }

    /// Sleeps until something becomes due or somebody wakes us. Answers how often in a row it did not sleep.
    async fn rest(&self, stop: &CancellationToken, round: Round, fruitless: u32) -> u32 {
        let now = self.now();
        let next = match self.inner.store.next_due(now, &round.looked_at).await {
            Ok(NextDue { channels, others }) => {
                self.inner.agenda.plan(&round.looked_at, &channels);
                self.inner.agenda.next().into_iter().chain(others).min()
            }
            Err(error) => {
                tracing::error!(%error, "the next moment cannot be read; looking again soon");
                self.inner.agenda.add(round.looked_at);
                Some(plus(now, STORE_REST))
            }
        };
        // What has become due since the claim is claimed at once. Should the store call something due that it
        // does not give, this must not become a busy loop.
        if next.is_some_and(|next| next <= now) && round.at < now {
            if fruitless > 8 {
                #[allow(
                    clippy::disallowed_methods,
                    reason = "a clock that stands still would never wake it"
                )]
                tokio::time::sleep(FRUITLESS_REST).await;
            }
            return fruitless + 1;
        }
        let mut until = next.map_or(Timestamp::MAX_UTC, |next| next.max(plus(now, Duration::from_millis(1))));
        for moment in round.next_survey.into_iter().chain(self.inner.put_off.until()) {
            until = until.min(moment);
        }
        self.inner.asleep_until.store(until.timestamp_millis(), Ordering::Release);
        tokio::select! {
            biased;
            () = self.inner.wake.notified() => {}
            () = self.inner.clock.sleep_until(until), if until < Timestamp::MAX_UTC => {}
            () = stop.cancelled() => {}
        }
        0
    }

    /// Asks the store for the next moment of every channel: what others have made due, or have left behind, is not
    /// on the agenda.
    async fn survey(&self, now: Timestamp) -> Result<()> {
        let directory = self.directory();
        let channels: Vec<ChannelId> =
            directory.channels().filter(|channel| !channel.is_paused()).map(|channel| channel.id).collect();
        let next = self.inner.store.next_due(now, &channels).await?;
        self.inner.agenda.plan(&channels, &next.channels);
        Ok(())
    }

    /// Claims and starts what is due on the channels of the agenda, and timers. Answers whether there may be more
    /// at once, and which channels have nothing more that is due.
    async fn claim_once(
        &self,
        now: Timestamp,
        on_agenda: BTreeSet<ChannelId>,
    ) -> Result<(bool, Vec<ChannelId>)> {
        let mut taken: BTreeMap<ChannelId, (Arc<ActiveChannel>, Vec<OwnedSemaphorePermit>, ChannelRoom)> =
            BTreeMap::new();
        let mut more = false;
        let directory = self.directory();
        for id in on_agenda {
            // What is paused or not there comes back to the agenda when it goes on.
            let Some(channel) = directory.channel(id).filter(|channel| !channel.is_paused()) else {
                continue;
            };
            if channel.permits.available_permits() == 0 && channel.wake_when_free() == 0 {
                continue;
            }
            let mut permits = Vec::new();
            while let Ok(permit) = Arc::clone(&channel.permits).try_acquire_owned() {
                permits.push(permit);
            }
            if permits.is_empty() {
                more |= self.look_again(channel);
                continue;
            }
            channel.backlog.store(false, Ordering::Release);
            let room = channel.room(u32::try_from(permits.len()).unwrap_or(u32::MAX));
            taken.insert(id, (Arc::clone(channel), permits, room));
        }
        let request = ClaimRequest {
            now,
            lease: self.new_lease(now),
            channels: taken.values().map(|(_, _, room)| *room).collect(),
            timers: TIMER_BATCH,
            inbound: INBOUND_BATCH,
        };
        let claimed = match self.inner.store.claim(request).await {
            Ok(claimed) => claimed,
            Err(error) => {
                self.inner.agenda.add(taken.into_keys());
                return Err(error);
            }
        };
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
        let mut looked_at = Vec::with_capacity(taken.len());
        for (id, (channel, _, room)) in &taken {
            let [checks, others] = counts.get(id).copied().unwrap_or_default();
            if channel.was_claimed(room, checks, others) {
                more |= self.look_again(channel);
            } else {
                looked_at.push(*id);
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
        Ok((more, looked_at))
    }

    /// Puts a channel with more work on the agenda, now or when it has room. Answers whether it has room now.
    fn look_again(&self, channel: &ActiveChannel) -> bool {
        let has_room = channel.wake_when_free() > 0;
        if has_room {
            self.inner.agenda.add([channel.id]);
        }
        has_room
    }

    /// Gives room back, and wakes the dispatcher where work waits for it.
    pub(super) fn release(&self, channel: &ActiveChannel, permit: OwnedSemaphorePermit) {
        drop(permit);
        // A place that somebody has waited for is taken already; the last of them wakes the dispatcher, which would
        // find no room before.
        if channel.is_free() && channel.backlog.resume() {
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
}
