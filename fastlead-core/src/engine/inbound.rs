//! What providers bring back: receipts, pressed buttons, messages.

use std::net::IpAddr;
use std::sync::Arc;

use super::Engine;
use super::apply::Applied;
use super::aside::without_unreadable_lead;
use super::directory::ActiveChannel;
use super::transition::Extras;
use crate::channel::{Channel, InboundEvent, InboundKind, MessageReference, ReceiptStatus};
use crate::decide::{Event, LeadState, Via};
use crate::delivery::{Attempt, AttemptError, AttemptOperation, Delivery, DeliveryState, Purpose};
use crate::error::{Error, ErrorKind, Result, RetryHint};
use crate::id::{ChannelId, LeadId, WorkspaceId};
use crate::message::Response;
use crate::port::{InboundBatch, InboundRecord, LeasedInbound, Receipt};
use crate::secret::Pii;
use crate::time::plus_seconds;
use crate::webhook::{WebhookReply, WebhookRequest};

/// What a batch of inbound events came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ingested {
    /// Events that were new.
    pub new: usize,
    /// Events that this channel had brought before.
    pub repeated: usize,
}

/// What an answer to an offer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseOutcome {
    /// The lead's state after the answer.
    Decided(Box<LeadState>),
    /// There is no such lead in this workspace.
    NotFound,
}

/// How long an event rests that could not be acted upon, in seconds, by how often that was so: at last an hour.
const REST_SECS: [u64; 5] = [5, 30, 120, 600, 3_600];

impl Engine {
    /// Takes a provider's request: verifies it, keeps its events durably, answers as the provider
    /// wants, and acts.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where the channel takes no webhooks; those of the receiver; those of the store.
    pub async fn webhook(&self, channel: ChannelId, request: WebhookRequest<'_>) -> Result<WebhookReply> {
        let directory = self.directory();
        let active = directory.channel(channel).map(Arc::clone);
        let active = active.ok_or_else(|| Error::new(ErrorKind::NotFound, "no such channel"))?;
        let receiver = active.channel.webhook();
        let receiver =
            receiver.ok_or_else(|| Error::new(ErrorKind::NotFound, "this channel takes no webhooks"))?;
        let verified = receiver.verify(request)?;
        if verified.must_confirm() {
            let message = "this provider does not sign; its events must be confirmed by fetching, which is not supported here";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let batch = receiver.parse(&verified)?;
        self.ingest(&active, batch.events, None).await?;
        Ok(batch.reply)
    }

    /// Keeps inbound events durably, then acts upon the new ones.
    ///
    /// # Behavior
    /// * Goes on to its end once it was polled, also where the caller is dropped: see [`Engine`].
    /// * What cannot be acted upon now is tried again by [`Engine::run`], of this or another process.
    ///
    /// # Errors
    /// Where they could not be stored; nothing was acted upon then.
    pub async fn ingest(
        &self,
        channel: &Arc<ActiveChannel>,
        events: Vec<InboundEvent>,
        cursor: Option<String>,
    ) -> Result<Ingested> {
        let (channel_id, at) = (channel.id, self.now());
        let batch = InboundBatch { channel_id, events, cursor, at, lease: self.new_lease(at) };
        self.detached(move |engine| async move { engine.take_up(batch).await }).await
    }

    async fn take_up(&self, batch: InboundBatch) -> Result<Ingested> {
        let (count, token) = (batch.events.len(), batch.lease.token);
        let recorded = self.inner.store.record_inbound(batch).await;
        if recorded.is_err() {
            // Nobody knows whether there is new work, so the dispatcher looks when the lease has run out.
            self.inner.wake.notify_one();
        }
        let new = recorded?;
        let ingested = Ingested { new: new.len(), repeated: count.saturating_sub(new.len()) };
        for record in new {
            self.act_or_put_off(LeasedInbound { record, token, tries: 0 }).await;
        }
        Ok(ingested)
    }

    /// Answers an offer by hand.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where the policy that decides on the lead has no such target: nothing is decided then.
    /// Where the decision could not be stored.
    pub async fn respond(
        &self,
        workspace: WorkspaceId,
        lead: LeadId,
        target: &str,
        response: Response,
    ) -> Result<ResponseOutcome> {
        if !self.knows_target(workspace, lead, target).await? {
            return Ok(ResponseOutcome::NotFound);
        }
        let event = Event::Responded { target: target.to_owned(), response, via: Via::Api };
        self.told(workspace, lead, event).await
    }

    /// Returns whether there is such a lead.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where the policy that decides on the lead has no such target, and the lead was never offered to
    /// one; those of the store.
    async fn knows_target(&self, workspace: WorkspaceId, lead: LeadId, target: &str) -> Result<bool> {
        let Some(record) = self.inner.store.lead(workspace, lead).await? else { return Ok(false) };
        let policy = self.policy(record.policy).await?;
        // Whom an earlier policy offered it to may answer, and is told what that is worth.
        let was_told = record.state.offers.iter().any(|offer| offer.target == target);
        if was_told || policy.policy.targets.contains_key(target) {
            return Ok(true);
        }
        let known: Vec<&str> = policy.policy.targets.keys().take(20).map(String::as_str).collect();
        let message =
            format!("target: the policy of the lead has no target of this name; it has {}", known.join(", "));
        Err(Error::new(ErrorKind::NotFound, message).with_operation("respond"))
    }

    /// Says that the work on a lead is done: its target has room again.
    ///
    /// # Errors
    /// Where the decision could not be stored.
    pub async fn close(&self, workspace: WorkspaceId, lead: LeadId) -> Result<ResponseOutcome> {
        self.told(workspace, lead, Event::Closed).await
    }

    /// Gives a lead back for a buyer, for one of the policy's reasons. Whether it was taken back, and why
    /// not, stands in the lead's history.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where the policy that decides on the lead has no such target: nothing is decided then.
    /// Where the decision could not be stored.
    pub async fn give_back(
        &self,
        workspace: WorkspaceId,
        lead: LeadId,
        target: &str,
        reason: &str,
    ) -> Result<ResponseOutcome> {
        if !self.knows_target(workspace, lead, target).await? {
            return Ok(ResponseOutcome::NotFound);
        }
        let event = Event::Returned { target: target.to_owned(), reason: reason.to_owned() };
        self.told(workspace, lead, event).await
    }

    /// Says what a person thinks of a lead that was kept for review.
    ///
    /// # Errors
    /// Where the decision could not be stored.
    pub async fn review(
        &self,
        workspace: WorkspaceId,
        lead: LeadId,
        approved: bool,
    ) -> Result<ResponseOutcome> {
        self.told(workspace, lead, Event::Reviewed { approved }).await
    }

    /// The visitor has confirmed a lead: by the link of [`ConfirmLinks`](crate::port::ConfirmLinks), or in the words
    /// of somebody who has spoken to them. `ip` and `user_agent` are kept as evidence.
    ///
    /// # Errors
    /// Where the decision could not be stored.
    pub async fn confirm(
        &self,
        workspace: WorkspaceId,
        lead: LeadId,
        ip: Option<Pii<IpAddr>>,
        user_agent: Option<Pii<String>>,
    ) -> Result<ResponseOutcome> {
        self.told(workspace, lead, Event::Confirmed { ip, user_agent }).await
    }

    async fn told(&self, workspace: WorkspaceId, lead: LeadId, event: Event) -> Result<ResponseOutcome> {
        let decided = self.detached(move |engine| async move {
            engine.apply(workspace, lead, event, Extras::default).await
        });
        match decided.await? {
            Applied::Done(state) => Ok(ResponseOutcome::Decided(state)),
            Applied::NoLead | Applied::LeaseLost | Applied::Before => Ok(ResponseOutcome::NotFound),
        }
    }

    /// Acts upon claimed events in the order in which they came. One that fails holds up no other.
    pub(super) async fn act_upon(&self, claimed: Vec<LeasedInbound>) {
        for leased in claimed {
            self.act_or_put_off(leased).await;
        }
    }

    async fn act_or_put_off(&self, leased: LeasedInbound) {
        let LeasedInbound { record, token, tries } = leased;
        let Err(error) = self.act(&record).await else { return };
        if self.inbound_failed(&record, &error).await {
            return;
        }
        let last = REST_SECS.len() - 1;
        let rest = REST_SECS[usize::try_from(tries).unwrap_or(last).min(last)];
        tracing::error!(channel = %record.channel_id, %error, tries, rest, "inbound event could not be acted upon; it is tried again");
        let due_at = plus_seconds(self.now(), rest);
        match self.inner.store.put_off_inbound(record.reference(), token, due_at).await {
            Ok(()) => self.wake_by(due_at),
            Err(error) => {
                tracing::error!(channel = %record.channel_id, %error, "inbound event could not be put off; its lease will run out");
                self.inner.wake.notify_one();
            }
        }
    }

    async fn act(&self, record: &InboundRecord) -> Result<()> {
        let reference = record.reference();
        let finished = match &record.event.kind {
            InboundKind::Interaction { interaction_id, token, from, message } => {
                let via = Via::Button {
                    channel_id: record.channel_id,
                    interaction_id: interaction_id.clone(),
                    chat: from.chat.clone(),
                    message: message.clone(),
                    by: from.display_name.clone(),
                };
                self.pressed(record, token.as_ref(), from, via).await?
            }
            InboundKind::Receipt { message, status } => self.receipt(record, message, status).await?,
            InboundKind::Blocked { .. } | InboundKind::Unblocked { .. } | InboundKind::ChatMoved { .. } => {
                self.address_changed(record).await?;
                false
            }
            InboundKind::Message { from, text } => {
                self.wrote(record, from, text).await?;
                false
            }
            InboundKind::PhoneShared { from, phone } => {
                self.phone_shared(record, from, phone).await?;
                false
            }
            // Kept for people to read: a person who comes through a link says who they are, and asks for nothing.
            InboundKind::Started { .. } => false,
        };
        if finished {
            return Ok(());
        }
        self.inner.store.finish_inbound(reference).await
    }

    async fn address_changed(&self, record: &InboundRecord) -> Result<()> {
        let directory = self.directory();
        let Some(channel) = directory.channel(record.channel_id) else { return Ok(()) };
        match &record.event.kind {
            InboundKind::Blocked { from } => self.blocked(channel, from).await,
            InboundKind::Unblocked { from } => self.unblocked(channel, from).await,
            InboundKind::ChatMoved { from_chat, to_chat } => {
                self.chat_moved(channel, from_chat, to_chat).await
            }
            _ => Ok(()),
        }
    }

    /// Index of the part of a split text that a receipt names; `None` where it names the whole message.
    async fn part_named(&self, delivery: &Delivery, message: &MessageReference) -> Result<Option<u32>> {
        let MessageReference::Provider(id) = message else { return Ok(None) };
        let underway = matches!(delivery.state, DeliveryState::Pending | DeliveryState::Sending);
        if delivery.parts_sent < 2 && !(underway && delivery.parts_sent == 1) {
            return Ok(None);
        }
        let parts = self.inner.store.parts_of(delivery.id).await?;
        Ok(parts.iter().find(|part| part.ids.contains(id)).map(|part| part.index))
    }

    /// Answers whether the event was finished in the decision's own transaction.
    async fn receipt(
        &self,
        record: &InboundRecord,
        message: &MessageReference,
        status: &ReceiptStatus,
    ) -> Result<bool> {
        let (state, reason, error) = match status {
            ReceiptStatus::Delivered | ReceiptStatus::Read => (DeliveryState::Delivered, None, None),
            ReceiptStatus::Failed(failure) => {
                let error = AttemptError {
                    kind: ErrorKind::Unavailable,
                    retry: RetryHint::Never,
                    provider_code: failure.provider_code.clone(),
                    message: "the provider reports that the message did not arrive".to_owned(),
                };
                (DeliveryState::Failed, Some(failure.reason.code().to_owned()), Some(error))
            }
            ReceiptStatus::InTransit => return Ok(false),
        };
        let Some(delivery) = self.inner.store.find_delivery(record.channel_id, message).await? else {
            tracing::info!(channel = %record.channel_id, "a receipt names a message that is not known here");
            return Ok(false);
        };
        let part = self.part_named(&delivery, message).await?;
        let named = match message {
            MessageReference::Provider(id) => Some(id.clone()),
            MessageReference::Delivery(_) => None,
        };
        let attempt = Attempt {
            number: delivery.attempts,
            part: part.unwrap_or(0),
            operation: AttemptOperation::Receipt,
            started_at: record.event.occurred_at,
            micros: 0,
            error,
            provider_message_id: named.or_else(|| delivery.provider_message_id.clone()),
            segments: None,
            cost: None,
            verdict: state.as_str().to_owned(),
        };
        let told = Receipt { delivery_id: delivery.id, state, reason: reason.clone(), part, attempt };
        let decides = match (&delivery.spec.purpose, delivery.lead_id) {
            _ if !state.is_failure() => None,
            (Purpose::Offer { target, .. }, Some(lead)) => Some((lead, Some(target.clone()))),
            (Purpose::AutoReply | Purpose::Confirmation | Purpose::Webhook, Some(lead)) => Some((lead, None)),
            _ => None,
        };
        let finished = match decides {
            // The receipt and what follows from it are one transaction: neither is there without the other.
            Some((lead, target)) => {
                let (delivery_id, channel_id) = (delivery.id, delivery.channel_id);
                let event = Event::DeliveryEnded { delivery_id, target, channel_id, state, reason };
                let extras = || Extras {
                    receipt: Some(told.clone()),
                    inbound: Some(record.reference()),
                    ..Extras::default()
                };
                let applied = self.apply(delivery.scope.workspace_id, lead, event, extras).await;
                match without_unreadable_lead(applied)? {
                    Applied::Done(_) => true,
                    Applied::Before | Applied::LeaseLost => return Ok(false),
                    Applied::NoLead => {
                        self.inner.store.record_receipt(told).await?;
                        false
                    }
                }
            }
            None => {
                let (_, changed) = self.inner.store.record_receipt(told).await?;
                if !changed {
                    return Ok(false);
                }
                false
            }
        };
        if delivery.order_key.is_some() {
            // The next one to the same recipient need not wait any more.
            self.wake_channel(delivery.channel_id);
        }
        self.announce(super::Change::Delivery {
            workspace_id: delivery.scope.workspace_id,
            delivery_id: delivery.id,
            lead_id: delivery.lead_id,
            verdict: state.as_str(),
        });
        Ok(finished)
    }
}
