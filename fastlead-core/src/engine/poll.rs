//! Asking providers for news, where they do not call us, and saying so where that fails.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::task::AbortOnDropHandle;

use super::Engine;
use super::directory::ActiveChannel;
use crate::channel::{Channel, Poller};
use crate::delivery::{Body, DeliverySpec, NewDelivery, Purpose, Scope};
use crate::error::{Error, ErrorKind, Result, RetryHint};
use crate::id::{ChannelId, DeliveryId};
use crate::layer::BreakerState;
use crate::message::{Content, MessageClass};
use crate::port::LeaseAnswer;
use crate::time::{Timestamp, plus, plus_seconds};
use crate::words;

/// How long polling rests after it has failed or has brought only what was there before.
const POLL_REST: Duration = Duration::from_secs(5);
/// A question that waits longer than this may be joined by that of another engine.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// For how long polling goes well before trouble counts as over: a poll that succeeds between two failures may only
/// have come in the pause of another poller.
const QUIET: Duration = Duration::from_secs(60);
/// How long trouble that may pass by itself lasts before its owner is told: the old version of a program may still poll
/// while the new one starts.
const PATIENCE: Duration = Duration::from_secs(120);

/// Trouble of a channel that asks its provider for news: presses, messages and receipts do not come, or only some.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PollingTrouble {
    /// Moment of the first failure.
    pub since: Timestamp,
    /// Kind of the last failure.
    pub kind: ErrorKind,
    /// What the last failure says, without credentials and personal data.
    pub message: String,
    /// The provider's own code.
    pub provider_code: Option<String>,
}

impl PollingTrouble {
    /// Returns the same as an error of the operation `poll`.
    pub fn to_error(&self) -> Error {
        let error = Error::new(self.kind, self.message.clone()).with_operation("poll");
        match &self.provider_code {
            Some(code) => error.with_provider_code(code.clone()),
            None => error,
        }
    }
}

/// Health of a channel's polling.
#[derive(Debug, Default)]
pub(super) struct PollingHealth(Mutex<Option<Episode>>);

#[derive(Debug)]
struct Episode {
    trouble: PollingTrouble,
    last: Timestamp,
    told: bool,
}

impl PollingHealth {
    fn lock(&self) -> MutexGuard<'_, Option<Episode>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn trouble(&self) -> Option<PollingTrouble> {
        self.lock().as_ref().map(|episode| episode.trouble.clone())
    }

    fn succeeded(&self, now: Timestamp) {
        let mut episode = self.lock();
        if episode.as_ref().is_some_and(|episode| plus(episode.last, QUIET) <= now) {
            *episode = None;
        }
    }

    /// Notes a failure. Returns whether it is time to tell the owner, once for each stretch of trouble.
    fn failed(&self, error: &Error, now: Timestamp) -> bool {
        let mut held = self.lock();
        let since = held.as_ref().map_or(now, |episode| episode.trouble.since);
        let told = held.as_ref().is_some_and(|episode| episode.told);
        let trouble = PollingTrouble {
            since,
            kind: error.kind(),
            message: error.message().to_owned(),
            provider_code: error.provider_code().map(str::to_owned),
        };
        let tell = !told && (error.retry() == RetryHint::Never || plus(since, PATIENCE) <= now);
        *held = Some(Episode { trouble, last: now, told: told || tell });
        tell
    }
}

/// A cursor as it is stored: that of one account, so that another one does not go on from it.
#[derive(Debug, Serialize, Deserialize)]
struct StoredCursor {
    account: String,
    cursor: String,
}

/// The cursor of this account. What an older version has stored does not say whose it is and is not used: events that come
/// again are recognised.
fn own_cursor(stored: Option<&str>, account: &str) -> Option<String> {
    let stored: StoredCursor = serde_json::from_str(stored?).ok()?;
    (stored.account == account).then_some(stored.cursor)
}

fn lease_name(channel: ChannelId) -> String {
    format!("poll:{channel}")
}

impl Engine {
    pub(super) fn start_pollers(&self, pollers: &mut HashMap<ChannelId, AbortOnDropHandle<()>>) {
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

    /// Another engine need not wait for the ends of the leases.
    pub(super) async fn leave_polling(&self, channels: &[ChannelId]) {
        for id in channels {
            if let Err(error) = self.end_lease(&lease_name(*id)).await {
                tracing::warn!(channel = %id, %error, "another engine polls only when the lease has ended");
                return;
            }
        }
    }

    /// Brings in a channel's news until the channel is gone.
    async fn poll(&self, id: ChannelId) {
        // Whether the stored cursor is left aside, because the provider cannot go on from it.
        let mut anew = false;
        loop {
            let directory = self.directory();
            let Some(channel) = directory.channel(id).map(Arc::clone) else { return };
            let Some(poller) = channel.channel.poller() else { return };
            if let BreakerState::Open { until } = channel.channel.breaker_state() {
                // The account is in trouble, and is not asked meanwhile.
                self.inner.clock.sleep_until(until).await;
                continue;
            }
            let length = self.inner.poll_wait.min(LONGEST_WAIT) + self.inner.lease;
            let until = plus(self.now(), length);
            match self.take_lease(&lease_name(id), length).await {
                Ok(LeaseAnswer::Taken) if self.now() < until => {}
                // It has ended before the answer came.
                Ok(LeaseAnswer::Taken) => continue,
                Ok(LeaseAnswer::Held { until }) => {
                    let look = self.inner.follow_every.unwrap_or_default().max(POLL_REST);
                    self.inner.clock.sleep_until(until.min(plus(self.now(), look))).await;
                    continue;
                }
                Err(error) => {
                    tracing::error!(channel = %id, %error, "it cannot be known whether another engine polls");
                    self.inner.clock.sleep_until(plus(self.now(), POLL_REST)).await;
                    continue;
                }
            }
            let rest = match self.poll_once(&channel, poller, anew).await {
                Ok(brought_nothing) => {
                    anew = false;
                    channel.polling.succeeded(self.now());
                    brought_nothing
                }
                Err(error) => {
                    anew = error.kind() == ErrorKind::Invalid;
                    self.polling_failed(&channel, &error).await;
                    true
                }
            };
            if rest {
                self.inner.clock.sleep_until(plus(self.now(), POLL_REST)).await;
            }
        }
    }

    /// Asks once. Returns whether the next question would be answered at once with nothing new.
    async fn poll_once(&self, channel: &Arc<ActiveChannel>, poller: &dyn Poller, anew: bool) -> Result<bool> {
        let account = poller.account();
        let stored = self.inner.store.poll_cursor(channel.id).await?;
        let cursor = own_cursor(stored.as_deref(), &account).filter(|_| !anew);
        let batch = tokio::select! {
            biased;
            // Its account may be another one now, whose news wait.
            () = self.until_replaced(channel) => return Ok(false),
            batch = poller.poll(cursor.as_deref(), self.inner.poll_wait, self.now()) => batch?,
        };
        let moved = batch.cursor.is_some() && batch.cursor != cursor;
        let next = match batch.cursor.filter(|_| moved) {
            Some(cursor) => {
                let stored = serde_json::to_string(&StoredCursor { account, cursor });
                Some(stored.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?)
            }
            None => None,
        };
        let came = !batch.events.is_empty();
        if !came && next.is_none() {
            return Ok(false);
        }
        let ingested = self.ingest(channel, batch.events, next).await?;
        Ok(came && !moved && ingested.new == 0)
    }

    /// Waits until the channel is gone or another one has its place.
    async fn until_replaced(&self, channel: &Arc<ActiveChannel>) {
        let mut generation = self.inner.generation.subscribe();
        while self.directory().channel(channel.id).is_some_and(|now| Arc::ptr_eq(now, channel)) {
            if generation.changed().await.is_err() {
                return;
            }
        }
    }

    async fn polling_failed(&self, channel: &Arc<ActiveChannel>, error: &Error) {
        let tell = channel.polling.failed(error, self.now());
        tracing::warn!(channel = %channel.id, %error, "polling failed; trying again");
        if tell && let Err(error) = self.tell_of_polling(channel, error.kind()).await {
            tracing::error!(channel = %channel.id, %error, "the owner could not be told that polling fails");
        }
    }

    /// Tells those whom the workspace's policies name for alerts, over other channels where there are any.
    async fn tell_of_polling(&self, channel: &ActiveChannel, cause: ErrorKind) -> Result<()> {
        let directory = self.directory();
        let now = self.now();
        let snapshot = directory.snapshot(channel.workspace_id);
        let mine = directory.projects().filter(|project| project.workspace_id == channel.workspace_id);
        let mut told = BTreeSet::new();
        let (mut elsewhere, mut here) = (Vec::new(), Vec::new());
        for project in mine {
            let Some(active) = directory.current_policy(project.id) else { continue };
            let rules = &active.policy;
            for target in rules.alerts.iter().filter_map(|name| rules.targets.get(name)) {
                for destination in &target.destinations {
                    let Some(facts) = snapshot.channels.get(&destination.channel) else { continue };
                    let address =
                        crate::port::AddressKey::of(channel.workspace_id, facts.id, &destination.recipient);
                    if !told.insert((facts.id, address)) {
                        continue;
                    }
                    let text = words::polling_failed(target.locale, &channel.name, cause);
                    let notice = NewDelivery {
                        id: DeliveryId::generate(&*self.inner.ids, now),
                        scope: Scope { workspace_id: channel.workspace_id, project_id: project.id },
                        lead_id: None,
                        channel_id: facts.id,
                        created_at: now,
                        due_at: now,
                        expires_at: plus_seconds(now, rules.delivery.ttl_secs),
                        order_key: None,
                        spec: DeliverySpec {
                            purpose: Purpose::Notice,
                            recipient: destination.recipient.clone(),
                            body: Body::Fixed(Content::Text(text)),
                            class: MessageClass::Service,
                            retry: rules.delivery.retry.clone(),
                            overflow: rules.delivery.overflow,
                            policy: None,
                        },
                        lease: None,
                    };
                    if facts.id == channel.id { here.push(notice) } else { elsewhere.push(notice) }
                }
            }
        }
        let notices = if elsewhere.is_empty() { here } else { elsewhere };
        if notices.is_empty() {
            tracing::warn!(channel = %channel.id, "nobody can be told that polling fails: no policy has an alert target");
            return Ok(());
        }
        self.enqueue(notices).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::epoch;

    fn conflict() -> Error {
        Error::new(ErrorKind::Conflict, "another poller").with_retry(RetryHint::SAFE)
    }

    #[test]
    fn an_owner_is_told_once_of_each_stretch_of_trouble() {
        let at = |seconds| plus_seconds(epoch(), seconds);
        let health = PollingHealth::default();
        // A handover of a minute is nobody's business.
        assert!(!health.failed(&conflict(), at(0)) && !health.failed(&conflict(), at(60)));
        // A success between two failures does not end it.
        health.succeeded(at(70));
        assert_eq!(health.trouble().map(|trouble| trouble.since), Some(at(0)));
        assert!(health.failed(&conflict(), at(125)) && !health.failed(&conflict(), at(130)));
        health.succeeded(at(190));
        assert_eq!(health.trouble(), None);
        // What stays so until somebody does something is told at once.
        let wrong = Error::new(ErrorKind::Config, "a webhook is set").with_retry(RetryHint::Never);
        assert!(health.failed(&wrong, at(1_000)) && !health.failed(&wrong, at(2_000)));
    }

    #[test]
    fn a_cursor_is_that_of_its_account() {
        let stored = serde_json::to_string(&StoredCursor { account: "1".to_owned(), cursor: "7".to_owned() });
        let stored = stored.unwrap();
        assert_eq!(own_cursor(Some(&stored), "1").as_deref(), Some("7"));
        for (stored, account) in [(Some(stored.as_str()), "2"), (Some("7"), "1"), (None, "1")] {
            assert_eq!(own_cursor(stored, account), None);
        }
    }
}
