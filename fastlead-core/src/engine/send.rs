//! One leased delivery: send it or ask about it, and record what came of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::announce::{Announcement, Stage};
use super::answer::{Bid, bid};
use super::apply::Applied;
use super::aside::without_unreadable_lead;
use super::content::{LeadFacts, contents};
use super::directory::ActiveChannel;
use super::ended::Shown;
use super::outcome::{self, Outcome, Recovery};
use super::transition::Extras;
use super::{Change, Engine};
use crate::channel::{Channel, Lookup, SentReference};
use crate::decide::{Event, Via};
use crate::delivery::{
    Attempt, AttemptError, AttemptOperation, Body, Delivery, DeliverySpec, DeliveryState, Lease,
    LeasedDelivery, NewDelivery, Phase, Purpose,
};
use crate::error::{Error, ErrorKind, Result};
use crate::id::DeliveryId;
use crate::layer::{BeforeAttempt, SharedSend};
use crate::message::{Content, MessageClass, OutboundMessage, Part, Response};
use crate::money::Money;
use crate::policy::DeliveryRules;
use crate::port::{AccountPause, SetAside, SettleOutcome, Settled, Settlement};
use crate::secret::Pii;
use crate::time::{Timestamp, plus_seconds};
use crate::words;

impl Engine {
    /// Works on a leased delivery. Errors end in the log: the lease runs out and another try is made.
    pub(super) async fn work(
        &self,
        leased: LeasedDelivery,
        channel: &Arc<ActiveChannel>,
        lead: Option<LeadFacts>,
    ) {
        let (id, workspace, token) =
            (leased.delivery.id, leased.delivery.scope.workspace_id, leased.lease.token);
        // Whoever works on it tells its outcome also after the lease: see `Store::settle`. Where it is settled and due
        // again, its lease is good; where the lease had run out, the store says so before anything is sent.
        let _mine = self.inner.in_flight.enter(id).await;
        if let Err(error) = self.try_work(leased, channel, lead).await {
            if self.leave_alone(Some(workspace), SetAside::Delivery(id, token), &error).await {
                return;
            }
            tracing::error!(delivery = %id, %error, "delivery could not be recorded; its lease will run out");
            // Nobody knows when it is due now: the dispatcher looks when the place is given back.
            channel.backlog.store(true, Ordering::Release);
        }
    }

    async fn try_work(
        &self,
        leased: LeasedDelivery,
        channel: &Arc<ActiveChannel>,
        lead: Option<LeadFacts>,
    ) -> Result<()> {
        let LeasedDelivery { delivery, phase, lease } = &leased;
        let now = self.now();
        let mut answer = None;
        let hold = match delivery.order_key {
            Some(_) => Some(self.hold_secs(delivery).await?),
            None => None,
        };
        let worked = match phase {
            Phase::Send if delivery.expires_at <= now => {
                Some((outcome::expired(delivery, &channel.capabilities, now), None))
            }
            Phase::Send => self.send(delivery, *lease, channel, lead, &mut answer).await?,
            Phase::Confirm => Some(self.ask(delivery, channel, delivery.uncertain).await?),
            // The same edit once more changes nothing.
            Phase::Recover
                if matches!(delivery.spec.body, Body::OfferEnded { .. }) && delivery.expires_at > now =>
            {
                let again = Delivery { state: DeliveryState::Pending, uncertain: false, ..delivery.clone() };
                self.send(&again, *lease, channel, lead, &mut answer).await?
            }
            Phase::Recover => match outcome::after_crash(&channel.capabilities, delivery, now) {
                Recovery::SendAgain => {
                    // The attempt that was cut off counts and may have arrived, and this is another one.
                    let again =
                        Delivery { state: DeliveryState::Pending, uncertain: true, ..delivery.clone() };
                    self.send(&again, *lease, channel, lead, &mut answer).await?
                }
                Recovery::Ask => Some(self.ask(delivery, channel, true).await?),
                Recovery::End(outcome) => Some((outcome, None)),
            },
        };
        let Some((mut outcome, attempt)) = worked else {
            tracing::info!(delivery = %delivery.id, "cancelled or taken over before anything was sent");
            return Ok(());
        };
        if matches!(delivery.spec.purpose, Purpose::Ping { .. }) {
            outcome = outcome::asked(outcome);
        }
        if matches!(delivery.spec.body, Body::OfferEnded { .. }) {
            outcome = outcome::changed(outcome);
        }
        if let Some(seconds) = hold {
            let sent = attempt.as_ref().filter(|attempt| attempt.operation == AttemptOperation::Send);
            let before = delivery.last_attempt_at.unwrap_or(delivery.created_at);
            let attempted_at = sent.map_or(before, |attempt| attempt.started_at);
            outcome = outcome::held_for(outcome, seconds, attempted_at, self.now());
        }
        if let Some(Attempt { operation: AttemptOperation::Send, error, .. }) = &attempt
            && channel.has_failed_for_days(error.as_ref().map(|error| error.kind), self.now())
        {
            outcome.pause = outcome.pause.or(Some(ErrorKind::Unavailable));
        }
        let at = self.now();
        let settlement = Settlement {
            delivery_id: delivery.id,
            token: lease.token,
            at,
            outcome: outcome.settled.clone(),
            attempt,
            pause: outcome.pause.map(|cause| self.account_pause(delivery, channel, cause, at)),
        };
        self.record(delivery, channel, &outcome, settlement, answer.as_ref()).await
    }

    /// For how many seconds a delivery of unknown outcome holds back those behind it.
    ///
    /// # Errors
    /// Where its policy cannot be read.
    async fn hold_secs(&self, delivery: &Delivery) -> Result<u64> {
        Ok(match delivery.spec.policy {
            Some(reference) => self.policy(reference).await?.policy.delivery.ordered_wait_secs,
            None => DeliveryRules::default().ordered_wait_secs,
        })
    }

    /// Hands the next part to the channel. `None` where the delivery turned out not to be ours any more.
    ///
    /// # Errors
    /// Where the store failed before anything was sent.
    async fn send(
        &self,
        delivery: &Delivery,
        lease: Lease,
        channel: &Arc<ActiveChannel>,
        lead: Option<LeadFacts>,
        answer: &mut Option<Pii<serde_json::Value>>,
    ) -> Result<Option<(Outcome, Option<Attempt>)>> {
        let recipient = match self.destination(delivery) {
            Ok(recipient) => recipient,
            Err(reason) => {
                let ended = outcome::suppressed(delivery, &channel.capabilities, &reason, self.now());
                return Ok(Some((ended, None)));
            }
        };
        let prepared = match &delivery.spec.body {
            Body::OfferEnded { offer, line, instead } => {
                let shown = (*offer, line.expose().as_str(), *instead);
                match self.ended_offer(delivery, shown, channel, lead).await? {
                    Shown::Message(content) => content.map(|content| (content, Part::WHOLE)),
                    Shown::NotYet => {
                        return Ok(Some((outcome::waits_for_another(delivery, self.now()), None)));
                    }
                    Shown::Never => return Ok(Some((outcome::not_shown(), None))),
                }
            }
            _ => self.parts(delivery, channel, lead).await?,
        };
        let started_at = self.now();
        let shared = Arc::new(delivery.clone());
        let announcement =
            Arc::new(Announcement::new(self.clone(), Arc::clone(channel), shared, lease.token));
        let before = delivery;
        let delivery = &Delivery { attempts: delivery.attempts + 1, ..delivery.clone() };
        let (content, part) = match prepared {
            Ok(ready) => ready,
            Err(error) => {
                let outcome = outcome::refused(delivery, &channel.capabilities, &error, started_at);
                let attempt = attempt(
                    delivery,
                    AttemptOperation::Send,
                    Part::WHOLE,
                    started_at,
                    started_at,
                    outcome.verdict,
                );
                let attempt = Attempt { error: Some(AttemptError::from(&error)), ..attempt };
                return Ok(Some((outcome, Some(attempt))));
            }
        };
        let message = Arc::new(OutboundMessage {
            delivery_id: delivery.id,
            attempt: delivery.attempts.max(1),
            part,
            recipient,
            content,
            class: delivery.spec.class,
            attempted_at: started_at,
            expires_at: Some(delivery.expires_at),
        });
        let told = Arc::clone(&announcement) as Arc<dyn BeforeAttempt>;
        let SharedSend { result, may_have_arrived } = channel.channel.send_shared(message, Some(told)).await;
        let (result, may_have_arrived) = match &delivery.spec.body {
            Body::OfferEnded { .. } => (result.map_err(outcome::harmless_again), false),
            _ => (result, may_have_arrived),
        };
        let begun = match announcement.stage() {
            Stage::Begun => true,
            Stage::Waiting => false,
            // The store ends it.
            Stage::Unwanted | Stage::TooLate => {
                return Ok(Some((outcome::deferred(before, self.now()), None)));
            }
            Stage::Paused => {
                // It goes on where that is not known here, else it would be claimed again at once, and again.
                self.catch_up_later().await;
                return Ok(Some((outcome::paused(before, self.now()), None)));
            }
            Stage::Suppressed(reason) => {
                let ended = outcome::suppressed(before, &channel.capabilities, &reason, self.now());
                return Ok(Some((ended, None)));
            }
            Stage::LeaseLost => return Ok(None),
            Stage::StoreFailed => {
                let failed = Error::new(ErrorKind::Storage, "an attempt could not be begun");
                return Err(result.err().unwrap_or(failed));
            }
        };
        let ended_at = self.now();
        let known = Delivery { uncertain: delivery.uncertain || may_have_arrived, ..delivery.clone() };
        let outcome = outcome::after_send(&known, &channel.capabilities, part, &result, begun, ended_at);
        let attempt = attempt(delivery, AttemptOperation::Send, part, started_at, ended_at, outcome.verdict);
        if let Ok(receipt) = &result {
            answer.clone_from(&receipt.answer);
        }
        let attempt = match &result {
            Ok(receipt) => Attempt {
                provider_message_id: receipt.provider_message_id.clone(),
                segments: receipt.segments,
                cost: receipt.cost.clone(),
                ..attempt
            },
            Err(error) => Attempt { error: Some(AttemptError::from(error)), ..attempt },
        };
        Ok(Some((outcome, Some(attempt))))
    }

    /// The content of the next part, and which part it is. The inner error refuses the content; the
    /// outer one says that it could not be put together now.
    async fn parts(
        &self,
        delivery: &Delivery,
        channel: &ActiveChannel,
        lead: Option<LeadFacts>,
    ) -> Result<Result<(Content, Part)>> {
        let needs_lead =
            matches!(delivery.spec.body, Body::Template { .. } | Body::LeadEvent { .. } | Body::Ping { .. });
        let lead = match (lead, delivery.lead_id) {
            (Some(lead), _) => Some(lead),
            (None, Some(id)) if needs_lead => self.lead_facts(delivery, id).await?,
            _ => None,
        };
        let policy = match delivery.spec.policy {
            Some(reference) if needs_lead => Some(self.policy(reference).await?),
            _ => None,
        };
        let directory = self.directory();
        let parts = contents(
            delivery,
            lead.as_ref(),
            policy.as_deref(),
            &directory,
            self.inner.links.as_deref(),
            &channel.capabilities,
        );
        Ok(parts.and_then(|parts| {
            let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
            let index = delivery.parts_sent.min(count.saturating_sub(1));
            let content = parts.into_iter().nth(usize::try_from(index).unwrap_or(0));
            content
                .map(|content| (content, Part { index, count }))
                .ok_or_else(|| Error::new(ErrorKind::Content, "the text is empty").with_operation("render"))
        }))
    }

    pub(super) async fn lead_facts(
        &self,
        delivery: &Delivery,
        id: crate::id::LeadId,
    ) -> Result<Option<LeadFacts>> {
        let record = self.inner.store.lead(delivery.scope.workspace_id, id).await?;
        Ok(record.map(|record| LeadFacts {
            id,
            project_id: record.scope.project_id,
            source_id: record.source_id,
            created_at: record.created_at,
            capture: Arc::new(record.capture),
        }))
    }

    async fn ask(
        &self,
        delivery: &Delivery,
        channel: &ActiveChannel,
        uncertain: bool,
    ) -> Result<(Outcome, Option<Attempt>)> {
        let started_at = self.now();
        // An unknown outcome is that of the next part, and others may follow it; no answer has come, so there is no id.
        // Receipts are owed of all parts.
        let asked = if uncertain {
            let alone = Part { index: delivery.parts_sent, count: delivery.parts_sent + 1 };
            let part = self.parts(delivery, channel, None).await?.map_or(alone, |(_, part)| part);
            vec![(part, None)]
        } else {
            self.owed_parts(delivery).await?
        };
        let (mut part, mut result) = (Part::WHOLE, Ok(Lookup::Unknown));
        for (index, id) in asked {
            let reference = SentReference {
                delivery_id: delivery.id,
                part: index,
                provider_message_id: id,
                recipient: delivery.spec.recipient.clone(),
                attempted_at: delivery.last_attempt_at.unwrap_or(delivery.created_at),
                now: self.now(),
            };
            part = index;
            result = channel.channel.lookup(&reference).await;
            // The message has arrived when the last of them has; the first that has not decides.
            if !matches!(result, Ok(Lookup::Delivered)) {
                break;
            }
        }
        let ended_at = self.now();
        let outcome =
            outcome::after_lookup(delivery, &channel.capabilities, uncertain, part, &result, ended_at);
        let attempt =
            attempt(delivery, AttemptOperation::Lookup, part, started_at, ended_at, outcome.verdict);
        let provider_message_id = match &result {
            Ok(Lookup::Accepted { provider_message_id }) => provider_message_id.clone(),
            _ => None,
        };
        let error = result.as_ref().err().map(AttemptError::from);
        Ok((outcome, Some(Attempt { error, provider_message_id, ..attempt })))
    }

    /// The parts of an accepted message whose receipts are owed, each with the provider's id, the last part last.
    async fn owed_parts(&self, delivery: &Delivery) -> Result<Vec<(Part, Option<String>)>> {
        let count = delivery.parts_sent.max(1);
        let last = (Part { index: count - 1, count }, delivery.provider_message_id.clone());
        if count == 1 {
            return Ok(vec![last]);
        }
        let parts = self.inner.store.parts_of(delivery.id).await?;
        let owed = parts
            .into_iter()
            .filter(|part| part.index + 1 < count && part.told != Some(DeliveryState::Delivered));
        let owed = owed.map(|mut part| (Part { index: part.index, count }, part.ids.pop()));
        Ok(owed.chain([last]).collect())
    }

    /// Makes the outcome durable; where the policy must hear of it, together with what follows.
    async fn record(
        &self,
        delivery: &Delivery,
        channel: &Arc<ActiveChannel>,
        outcome: &Outcome,
        settlement: Settlement,
        answer: Option<&Pii<serde_json::Value>>,
    ) -> Result<()> {
        let event = heard(delivery, &settlement, answer.map(Pii::expose));
        let settled = match (event, delivery.lead_id) {
            (Some(event), Some(lead_id)) => {
                let extras = || Extras { settlement: Some(settlement.clone()), ..Extras::default() };
                let applied = self.apply(delivery.scope.workspace_id, lead_id, event, extras).await;
                match without_unreadable_lead(applied)? {
                    Applied::Done(_) => SettleOutcome::Settled,
                    Applied::NoLead => self.settle(&settlement).await?,
                    Applied::LeaseLost | Applied::Before => SettleOutcome::LeaseLost,
                }
            }
            _ => self.settle(&settlement).await?,
        };
        if settled == SettleOutcome::Settled
            && let Some(pause) = &settlement.pause
        {
            self.follow_pause(channel, pause).await;
        }
        if settled == SettleOutcome::LeaseLost {
            tracing::warn!(delivery = %delivery.id, "another worker has taken this delivery over; this outcome is dropped");
            return Ok(());
        }
        match &settlement.outcome {
            Settled::Retry { due_at: moment, .. } | Settled::Await { check_at: moment, .. } => {
                channel.backlog.store(true, Ordering::Release);
                self.wake_by(*moment);
            }
            // The next one to the same recipient need not wait any more.
            Settled::Ended { .. } if delivery.order_key.is_some() => {
                channel.backlog.store(true, Ordering::Release);
            }
            Settled::Ended { .. } => {}
        }
        crate::meter::delivery(outcome.verdict);
        self.announce(Change::Delivery {
            workspace_id: delivery.scope.workspace_id,
            delivery_id: delivery.id,
            lead_id: delivery.lead_id,
            verdict: outcome.verdict,
        });
        Ok(())
    }

    /// The pause of a channel whose account is at fault, and what its owners are told over other channels.
    fn account_pause(
        &self,
        delivery: &Delivery,
        channel: &ActiveChannel,
        cause: ErrorKind,
        now: Timestamp,
    ) -> AccountPause {
        let directory = self.directory();
        let mut notices = Vec::new();
        if let Some(policy) = directory.current_policy(delivery.scope.project_id) {
            let snapshot = directory.snapshot(channel.workspace_id);
            for target in policy.policy.alerts.iter().filter_map(|name| policy.policy.targets.get(name)) {
                for destination in &target.destinations {
                    let Some(facts) = snapshot.channels.get(&destination.channel) else { continue };
                    if facts.id == channel.id {
                        continue;
                    }
                    let text = words::channel_paused(target.locale, &channel.name, cause);
                    notices.push(NewDelivery {
                        id: DeliveryId::generate(&*self.inner.ids, now),
                        scope: delivery.scope,
                        lead_id: None,
                        channel_id: facts.id,
                        created_at: now,
                        due_at: now,
                        expires_at: plus_seconds(now, policy.policy.delivery.ttl_secs),
                        order_key: None,
                        spec: DeliverySpec {
                            purpose: Purpose::Notice,
                            recipient: destination.recipient.clone(),
                            body: Body::Fixed(Content::Text(text)),
                            class: MessageClass::Service,
                            retry: policy.policy.delivery.retry.clone(),
                            overflow: policy.policy.delivery.overflow,
                            policy: None,
                        },
                        lease: None,
                    });
                }
            }
        }
        AccountPause { channel_id: channel.id, reason: cause.code().to_owned(), notices }
    }

    /// Records an outcome. Where the store has failed, the notices of a pause may be there all the same.
    async fn settle(&self, settlement: &Settlement) -> Result<SettleOutcome> {
        let settled = self.inner.store.settle(settlement.clone()).await;
        if settled.is_err()
            && let Some(pause) = &settlement.pause
        {
            self.look_for_notices(pause);
        }
        settled
    }

    fn look_for_notices(&self, pause: &AccountPause) {
        self.inner.agenda.add(pause.notices.iter().map(|notice| notice.channel_id));
        self.inner.wake.notify_one();
    }

    /// Applies a pause that is on disk with its settlement.
    async fn follow_pause(&self, channel: &ActiveChannel, pause: &AccountPause) {
        let was_paused = channel.is_paused();
        self.catch_up_later().await;
        if !was_paused {
            tracing::warn!(channel = %channel.id, cause = pause.reason, "channel paused");
            if pause.notices.is_empty() {
                tracing::warn!(channel = %channel.id, "nobody can be told: the policy has no alert target on another channel");
            }
        }
        self.look_for_notices(pause);
    }

    /// Stores deliveries that belong to no decision, and wakes the workers.
    ///
    /// # Behavior
    /// * Goes on to its end once it was polled, also where the caller is dropped: see [`Engine`].
    ///
    /// # Errors
    /// Where they could not be stored.
    pub async fn enqueue(&self, deliveries: Vec<NewDelivery>) -> Result<()> {
        self.detached(move |engine| async move {
            let channels: BTreeSet<_> = deliveries.iter().map(|delivery| delivery.channel_id).collect();
            let stored = engine.inner.store.enqueue(deliveries).await;
            engine.inner.agenda.add(channels);
            engine.inner.wake.notify_one();
            stored
        })
        .await
    }
}

fn attempt(
    delivery: &Delivery,
    operation: AttemptOperation,
    part: Part,
    started_at: Timestamp,
    ended_at: Timestamp,
    verdict: &str,
) -> Attempt {
    Attempt {
        number: delivery.attempts.max(1),
        part: part.index,
        operation,
        started_at,
        micros: (ended_at - started_at)
            .num_microseconds()
            .and_then(|micros| u64::try_from(micros).ok())
            .unwrap_or(0),
        error: None,
        provider_message_id: None,
        segments: None,
        cost: None,
        verdict: verdict.to_owned(),
    }
}

/// What the policy hears of the end of work on a delivery, if anything: bad ends, and answers.
fn heard(delivery: &Delivery, settlement: &Settlement, answer: Option<&serde_json::Value>) -> Option<Event> {
    let failed = match &settlement.outcome {
        Settled::Ended { state, reason, .. } if state.is_failure() => Some((*state, reason.clone())),
        _ => None,
    };
    let ended = matches!(settlement.outcome, Settled::Ended { .. });
    match (&delivery.spec.purpose, failed) {
        (Purpose::Ping { target }, failed) if ended => {
            let bid =
                if failed.is_some() { None } else { answer.and_then(|answer| offered(delivery, answer)) };
            Some(Event::Answered { target: target.clone(), bid })
        }
        (
            purpose @ (Purpose::Offer { .. } | Purpose::AutoReply | Purpose::Confirmation | Purpose::Webhook),
            Some((state, reason)),
        ) => {
            let target = match purpose {
                Purpose::Offer { target, .. } => Some(target.clone()),
                _ => None,
            };
            let (delivery_id, channel_id) = (delivery.id, delivery.channel_id);
            Some(Event::DeliveryEnded { delivery_id, target, channel_id, state, reason })
        }
        (Purpose::Offer { target, .. }, None) => {
            let accepts = answer?.get("accept")?.as_bool()?;
            let response = if accepts { Response::Accept } else { Response::Decline };
            Some(Event::Responded { target: target.clone(), response, via: Via::Answer })
        }
        _ => None,
    }
}

/// The bid that an answer makes. One that cannot be read is none, and somebody has to mend the partner's program.
fn offered(delivery: &Delivery, answer: &serde_json::Value) -> Option<Money> {
    match bid(answer) {
        Bid::Offered(money) => Some(money),
        Bid::None => None,
        Bid::Unreadable(fault) => {
            tracing::warn!(delivery = %delivery.id, channel = %delivery.channel_id, %fault, "a bid cannot be read");
            None
        }
    }
}
