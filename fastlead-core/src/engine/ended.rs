//! What has become of an offer is said under the messages that show it.

use std::collections::HashSet;

use super::Engine;
use super::content::{LeadFacts, contents};
use super::directory::{ActiveChannel, ActivePolicy, Directory};
use super::transition::{Owner, Prepared};
use crate::channel::{MessageReference, TextLimit};
use crate::decide::{Deliver, Effect, Event, LeadState, Via};
use crate::delivery::{Body, Delivery, DeliverySpec, DeliveryState, Purpose};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{DeliveryId, LeadId, WorkspaceId};
use crate::message::{ButtonAction, Content, Edit, Locale, MessageClass, Text};
use crate::secret::Pii;
use crate::text::{Overflow, fit};
use crate::time::{Timestamp, plus_seconds};
use crate::words::{self, Fate, Who};

/// Whose offers a decision ends.
pub(super) struct Ending {
    taken: Option<String>,
    declined: Option<String>,
    /// The target whose button was pressed, and by whom.
    pressed: Option<(String, Pii<String>)>,
    /// Also those of everybody else, where the lead waits for nobody any more.
    all: bool,
    /// Whether nothing of the lead may be seen any more, whatever was said of its offers before.
    erased: bool,
}

impl Ending {
    /// `None` where the decision ends no offer; `after` is the state that it leads to. An offer that has lapsed
    /// can still be accepted while the lead waits, so it is not over.
    pub(super) fn of(event: &Event, effects: &[Effect], after: &LeadState) -> Option<Self> {
        let pressed = match event {
            Event::Responded { target, via: Via::Button { by: Some(by), .. }, .. } => {
                Some((target.clone(), by.clone()))
            }
            _ => None,
        };
        let erased = matches!(event, Event::Erased);
        let mut ending = Self { taken: None, declined: None, pressed, all: false, erased };
        for effect in effects {
            match effect {
                Effect::Assign { target, .. } => ending.taken = Some(target.clone()),
                Effect::Decline { target } => ending.declined = Some(target.clone()),
                Effect::CancelOffers => ending.all = !after.waits(),
                _ => {}
            }
        }
        (ending.taken.is_some() || ending.declined.is_some() || ending.all || erased).then_some(ending)
    }

    /// What is said to the target of this name.
    fn fate<'a>(&'a self, target: &str, name: &'a str) -> Option<Fate<'a>> {
        let is = |whom: &Option<String>| whom.as_deref() == Some(target);
        let pressed = self.pressed.as_ref().filter(|(whose, _)| whose == target);
        let who = Who { target: name, person: pressed.map(|(_, by)| by.expose().as_str()) };
        if self.erased {
            Some(Fate::Erased)
        } else if is(&self.taken) {
            Some(Fate::Taken(who))
        } else if is(&self.declined) {
            Some(Fate::Declined(who))
        } else {
            self.all.then_some(Fate::Over)
        }
    }
}

/// What a delivery that ends an offer has to show.
pub(super) enum Shown {
    /// The message with its last line, or why it cannot be put together.
    Message(Result<Content>),
    /// The offer itself is just being sent.
    NotYet,
    /// The offer was not sent.
    Never,
}

/// Whether somebody may see the buttons of this delivery, now or in a moment.
fn may_be_seen(offer: &Delivery) -> bool {
    matches!(offer.spec.body, Body::Template { offer_buttons: true, .. }) && is_out(offer)
}

/// Whether somebody may see what this delivery says, now or in a moment.
fn is_out(delivery: &Delivery) -> bool {
    use DeliveryState::{Ambiguous, AwaitingReceipt, Delivered, Sending, Sent};
    matches!(delivery.state, Sending | AwaitingReceipt | Delivered | Sent | Ambiguous)
}

impl Engine {
    /// The deliveries of a lead, where `event` may end offers that somebody sees. They are read before the decision:
    /// between it and its commit nothing may be waited for, because others already count on what it frees. The
    /// guard of the transition sees to it that no other decision adds one meanwhile.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub(super) async fn shown_offers(
        &self,
        lead: (WorkspaceId, LeadId),
        state: &LeadState,
        event: &Event,
        directory: &Directory,
    ) -> Result<Vec<Delivery>> {
        let (workspace, lead) = lead;
        let edits = directory.channels_of(workspace).any(|channel| channel.capabilities.edits);
        // A lead that leaves the queue is offered; that ends no offer.
        if !edits || state.offers.is_empty() || matches!(event, Event::SlotFree | Event::PolicyChanged) {
            return Ok(Vec::new());
        }
        self.inner.store.deliveries_of(workspace, lead).await
    }

    /// Adds to a transition what shall be said under the messages of offers that it ends.
    pub(super) fn end_offers(
        &self,
        (ending, deliveries): (&Ending, &[Delivery]),
        policy: &ActivePolicy,
        owner: &Owner,
        directory: &Directory,
        prepared: &mut Prepared,
        now: Timestamp,
    ) {
        let ended: HashSet<DeliveryId> = deliveries
            .iter()
            .filter_map(|delivery| match delivery.spec.body {
                Body::OfferEnded { offer, .. } => Some(offer),
                _ => None,
            })
            .collect();
        let rules = &policy.policy;
        let concerned = |offer: &&Delivery| if ending.erased { is_out(offer) } else { may_be_seen(offer) };
        for offer in deliveries.iter().filter(concerned) {
            let Purpose::Offer { target, .. } = &offer.spec.purpose else { continue };
            if !directory.channel(offer.channel_id).is_some_and(|channel| channel.capabilities.edits) {
                continue;
            }
            // Who reads it has left the policy perhaps, and must not see what was erased either.
            let reader = rules.targets.get(target);
            if reader.is_none() && !ending.erased {
                continue;
            }
            let name = reader.map_or(target.as_str(), |reader| &reader.display_name);
            let Some(fate) = ending.fate(target, name) else { continue };
            if fate == Fate::Over && ended.contains(&offer.id) {
                continue;
            }
            let zone = reader.and_then(|reader| reader.timezone).unwrap_or(rules.timezone);
            let locale = reader.map_or(Locale::Ru, |reader| reader.locale);
            let line = Pii::new(words::offer_ended(locale, fate, zone.local(now)));
            let deliver = Deliver {
                channel_id: offer.channel_id,
                expires_at: plus_seconds(now, rules.delivery.ttl_secs),
                ordered: false,
                spec: DeliverySpec {
                    purpose: Purpose::OfferEnded { target: target.clone() },
                    recipient: offer.spec.recipient.clone(),
                    body: Body::OfferEnded { offer: offer.id, line, instead: ending.erased },
                    class: MessageClass::Service,
                    retry: rules.delivery.retry.clone(),
                    overflow: offer.spec.overflow,
                    policy: offer.spec.policy,
                },
            };
            let (new, at_once) = self.new_delivery(owner.scope, owner.lead_id, deliver, directory, now);
            match at_once {
                Some(at_once) => prepared.immediate.push(at_once),
                None => prepared.later.delivery(new.channel_id, now),
            }
            prepared.transition.deliveries.push(new);
        }
    }

    /// The message of an offer as it shall be from now on.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub(super) async fn ended_offer(
        &self,
        delivery: &Delivery,
        (offer, line, instead): (DeliveryId, &str, bool),
        channel: &ActiveChannel,
        lead: Option<LeadFacts>,
    ) -> Result<Shown> {
        let reference = MessageReference::Delivery(offer);
        let Some(offer) = self.inner.store.find_delivery(channel.id, &reference).await? else {
            return Ok(Shown::Never);
        };
        let is_accepted = offer.state == DeliveryState::AwaitingReceipt && !offer.uncertain;
        if !offer.state.is_terminal() && !is_accepted {
            return Ok(Shown::NotYet);
        }
        let Some(message_id) = offer.provider_message_id.clone() else { return Ok(Shown::Never) };
        if instead {
            let edit = Edit { message_id, text: Text::plain(line) };
            return Ok(Shown::Message(Ok(Content::Edit(edit))));
        }
        let lead = match (lead, delivery.lead_id) {
            (None, Some(id)) => self.lead_facts(delivery, id).await?,
            (lead, _) => lead,
        };
        let policy = match offer.spec.policy {
            Some(reference) => Some(self.policy(reference).await?),
            None => None,
        };
        let capabilities = &channel.capabilities;
        let parts = contents(
            &offer,
            lead.as_ref(),
            policy.as_deref(),
            &self.directory(),
            self.inner.links.as_deref(),
            capabilities,
        );
        // The buttons are under the last part, and the id is that of the last part.
        let last = parts.and_then(|parts| match parts.into_iter().next_back() {
            Some(Content::Text(text)) => with_last_line(text, line, capabilities.text_max),
            _ => Err(Error::new(ErrorKind::Internal, "an offer is no text").with_operation("render")),
        });
        Ok(Shown::Message(last.map(|text| Content::Edit(Edit { message_id, text }))))
    }
}

/// The text with another line and without the buttons that respond. A text that would be too long is cut: the
/// line says more than its end.
fn with_last_line(mut text: Text, line: &str, limit: Option<TextLimit>) -> Result<Text> {
    text.buttons.retain(|button| matches!(button.action, ButtonAction::Open(_)));
    if let Some(limit) = limit {
        let taken = u32::try_from(limit.unit.measure(line) + 2).unwrap_or(u32::MAX);
        let room = TextLimit { max: limit.max.saturating_sub(taken), ..limit };
        text = fit(&text, Some(room), Overflow::Truncate, 1)?.pop().unwrap_or(text);
    }
    text.plain = Pii::new(format!("{}\n\n{line}", text.plain.expose()));
    let shown = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.html = text.html.map(|html| Pii::new(format!("{}<br><br><i>{shown}</i>", html.expose())));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::TextUnit;
    use crate::message::{Button, Response};

    #[test]
    fn the_line_stays_where_the_text_has_no_room_for_it() {
        let respond = Button { label: "Accept".to_owned(), action: ButtonAction::Respond(Response::Accept) };
        let page = "https://example.com".to_owned().try_into().unwrap();
        let open = Button { label: "Open".to_owned(), action: ButtonAction::Open(page) };
        let text = Text {
            html: Some("<b>Anna</b>".into()),
            buttons: vec![respond, open.clone()],
            ..Text::plain("Anna")
        };
        let room = |max| Some(TextLimit { max, unit: TextUnit::Chars });
        let whole = with_last_line(text.clone(), "Taken: A & B", room(100)).unwrap();
        assert_eq!(whole.plain.expose(), "Anna\n\nTaken: A & B");
        assert_eq!(whole.html.unwrap().expose(), "<b>Anna</b><br><br><i>Taken: A &amp; B</i>");
        assert_eq!(whole.buttons, [open]);
        // A name that somebody has given themselves is no markup.
        let named = with_last_line(text.clone(), "Accepted by <b>A</b> & <i", room(100)).unwrap();
        assert!(named.html.unwrap().expose().ends_with("by &lt;b&gt;A&lt;/b&gt; &amp; &lt;i</i>"));
        let cut = with_last_line(Text::plain("x".repeat(100)), "Taken", room(100)).unwrap();
        let plain = cut.plain.expose();
        assert!(plain.ends_with("\n\nTaken") && plain.chars().count() <= 100, "{plain}");
    }
}
