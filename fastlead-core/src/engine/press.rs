//! Pressed buttons: those that answer an offer, and those that mean nothing here.

use super::Engine;
use super::apply::Applied;
use super::transition::Extras;
use crate::channel::{Channel, MessageReference, Peer, ResponseTokenText};
use crate::decide::{Event, Via};
use crate::delivery::{Body, DeliverySpec, NewDelivery, Purpose, RetrySchedule, Scope};
use crate::error::Result;
use crate::id::{DeliveryId, LeadId};
use crate::message::{Content, InteractionReply, Locale, MessageClass, Recipient, Response};
use crate::port::InboundRecord;
use crate::time::plus_seconds;
use crate::words;

/// Seconds within which a press is answered, or not at all: providers forget it soon.
const REPLY_TTL_SECS: u64 = 30;

impl Engine {
    /// Acts upon a pressed button. Returns whether the event was finished in the decision's own transaction.
    ///
    /// # Behavior
    /// * A press that answers nothing, because the button is not ours or its delivery or lead is forgotten, is answered
    ///   all the same: until then the messenger shows whoever has pressed that something is being done.
    pub(super) async fn pressed(
        &self,
        record: &InboundRecord,
        token: Option<&ResponseTokenText>,
        from: &Peer,
        via: Via,
    ) -> Result<bool> {
        if let Some((scope, lead, target, response)) = self.pressed_offer(record, token).await? {
            let event = Event::Responded { target, response, via: via.clone() };
            let extras = || Extras { inbound: Some(record.reference()), ..Extras::default() };
            match self.apply(scope.workspace_id, lead, event, extras).await? {
                Applied::Done(_) | Applied::Before => return Ok(true),
                // Another worker has the event: the press is answered there.
                Applied::LeaseLost => return Ok(false),
                Applied::NoLead => {}
            }
        }
        self.answer_stray_press(record, token, from, via).await?;
        Ok(false)
    }

    /// The offer that a press answers, with its lead and target; `None` where it answers none that is known here.
    async fn pressed_offer(
        &self,
        record: &InboundRecord,
        token: Option<&ResponseTokenText>,
    ) -> Result<Option<(Scope, LeadId, String, Response)>> {
        let Some(token) = token.and_then(ResponseTokenText::decode) else { return Ok(None) };
        let message = MessageReference::Delivery(token.delivery_id);
        let Some(delivery) = self.inner.store.find_delivery(record.channel_id, &message).await? else {
            return Ok(None);
        };
        let (Some(lead), Purpose::Offer { target, .. }) = (delivery.lead_id, delivery.spec.purpose) else {
            return Ok(None);
        };
        Ok(Some((delivery.scope, lead, target, token.response)))
    }

    async fn answer_stray_press(
        &self,
        record: &InboundRecord,
        token: Option<&ResponseTokenText>,
        from: &Peer,
        via: Via,
    ) -> Result<()> {
        let Via::Button { channel_id, interaction_id, chat, message, .. } = via else { return Ok(()) };
        let directory = self.directory();
        let Some(channel) = directory.channel(channel_id) else { return Ok(()) };
        let now = self.now();
        let expires_at = plus_seconds(record.received_at, REPLY_TTL_SECS);
        if !channel.channel.capabilities().interaction_replies || expires_at <= now {
            return Ok(());
        }
        let mine = directory.projects().filter(|project| project.workspace_id == channel.workspace_id);
        let Some(project_id) = mine.map(|project| project.id).min() else {
            tracing::warn!(channel = %channel_id, "a press cannot be answered: its workspace has no project");
            return Ok(());
        };
        let english = from.language.as_deref().is_some_and(|language| language.starts_with("en"));
        let locale = if english { Locale::En } else { Locale::Ru };
        let content = Content::InteractionReply(InteractionReply {
            interaction_id,
            text: words::reply(locale, words::Reply::NothingToAnswer).to_owned(),
            // What another program has written is left as it is.
            closes: message.filter(|_| token.and_then(ResponseTokenText::decode).is_some()),
        });
        let reply = NewDelivery {
            id: DeliveryId::generate(&*self.inner.ids, now),
            scope: Scope { workspace_id: channel.workspace_id, project_id },
            lead_id: None,
            channel_id,
            created_at: now,
            due_at: now,
            expires_at,
            order_key: None,
            spec: DeliverySpec {
                purpose: Purpose::InteractionReply,
                recipient: Recipient::Chat(chat),
                body: Body::Fixed(content),
                class: MessageClass::Service,
                retry: RetrySchedule::default(),
                overflow: crate::text::Overflow::default(),
                policy: None,
            },
            lease: None,
        };
        self.enqueue(vec![reply]).await
    }
}
