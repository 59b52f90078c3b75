//! The one pure function that decides, and the values it works on.

mod auction;
mod candidate;
mod capture;
mod confirm;
mod counter;
mod disposable;
mod ends;
mod event;
mod facts;
mod hold;
mod ladder;
mod needs;
mod patience;
mod period;
mod respond;
mod revive;
mod route;
mod screen;
mod snapshot;
mod state;
mod strategy;
mod trace;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use auction::{Auction, Bid};
pub use confirm::Confirmation;
pub use counter::{Counter, CounterId, CounterKey};
pub use event::{Deliver, Effect, Event, TimerName, UniqueKey, Via};
pub use facts::{CapLevel, Facts, Needs, PreviousOwner, RuleQueue, TargetFacts};
pub use needs::needs;
pub use snapshot::{ChannelFacts, Snapshot};
pub use state::{Hold, HoldKind, LeadScore, LeadState, LeadStatus, Offer, Sale};
pub use trace::{FullCap, Reason, Trace, TraceStep, Verdict};

use period::Periods;

use crate::delivery::{Body, DeliverySpec, Purpose, RetrySchedule};
use crate::id::{LeadId, ProjectId, SourceId, WorkspaceId};
use crate::lead::Capture;
use crate::message::{Locale, MessageClass, Recipient};
use crate::person::PersonKey;
use crate::policy::{ConditionInput, History, LeadEventType, Policy, PolicyRef, SourceFacts, Target};
use crate::time::{Timestamp, plus_seconds};

/// The lead that an event is about, as far as decisions may look at it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The lead.
    pub lead_id: LeadId,
    /// Its tenant.
    pub workspace_id: WorkspaceId,
    /// Its project.
    pub project_id: ProjectId,
    /// Its source.
    pub source_id: SourceId,
    /// What policies may know of the source.
    pub source: SourceFacts<'a>,
    /// What was captured first. For [`Event::Captured`] the event's own capture.
    pub capture: &'a Capture,
}

impl<'a> Subject<'a> {
    /// Whose lead it is: in whose name it is counted.
    fn person(&self) -> Option<PersonKey> {
        match &self.capture.person {
            Some(person) => Some(person.main.clone()),
            None => PersonKey::of(self.project_id, &self.capture.contact),
        }
    }

    /// Under which other keys the same person has a history.
    fn merged(&self) -> &'a [PersonKey] {
        self.capture.person.as_deref().map_or(&[], |person| &person.merged)
    }
}

/// What was decided, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What shall happen, in order.
    pub effects: Vec<Effect>,
    /// Why.
    pub trace: Trace,
}

/// Decides what an event means for a lead.
///
/// Total and pure: it never panics, blocks or reads a clock, and the same arguments give the same
/// bytes. Nothing has happened until the effects are committed.
pub fn decide(
    policy: &Policy,
    policy_ref: PolicyRef,
    subject: Subject<'_>,
    state: &LeadState,
    snapshot: &Snapshot,
    event: &Event,
    now: Timestamp,
) -> Decision {
    let capture = if let Event::Captured(capture) = event { &**capture } else { subject.capture };
    let subject = Subject { capture, ..subject };
    let moved;
    let state = if *event == Event::PolicyChanged && state.queued_at.is_some() {
        let mut without_rules = state.clone();
        without_rules.forget_rules();
        moved = without_rules;
        &moved
    } else {
        state
    };
    let mut decider = Decider {
        policy,
        policy_ref,
        subject,
        state,
        snapshot,
        now,
        input: condition_input(policy, subject, state, &snapshot.facts, now),
        periods: Periods::at(now),
        bids: Vec::new(),
        effects: Vec::with_capacity(8),
        trace: Trace::new(policy_ref),
    };
    match event {
        Event::Captured(capture) => decider.captured(capture),
        Event::DeliveryEnded { delivery_id, target, channel_id, state, .. } => {
            decider.delivery_ended(*delivery_id, target.as_deref(), *channel_id, *state);
        }
        Event::Revived { delivery_id, purpose } => decider.revived(*delivery_id, purpose),
        Event::TimerFired { timer } => {
            decider.effects.push(Effect::Fired { timer: *timer });
            decider.timer_fired(*timer);
        }
        Event::Responded { target, response, via } => decider.responded(target, *response, via),
        Event::Answered { target, bid } => decider.answered(target, *bid),
        Event::Reviewed { approved } => decider.reviewed(*approved),
        Event::Confirmed { .. } => decider.confirmed(),
        Event::SlotFree => decider.try_queued(),
        Event::PolicyChanged => decider.policy_changed(),
        Event::Returned { target, reason } => decider.returned(target, reason),
        Event::Closed => decider.closed(),
        Event::Erased => decider.erased(),
    }
    decider.release();
    let Decider { effects, mut trace, .. } = decider;
    if !snapshot.facts.is_empty() {
        trace.facts = Some(Arc::clone(&snapshot.facts));
    }
    Decision { effects, trace }
}

struct Decider<'a> {
    policy: &'a Policy,
    policy_ref: PolicyRef,
    subject: Subject<'a>,
    state: &'a LeadState,
    snapshot: &'a Snapshot,
    now: Timestamp,
    input: ConditionInput<'a>,
    periods: Periods,
    /// The bids of the auction that this decision is about.
    bids: Vec<Bid>,
    effects: Vec<Effect>,
    trace: Trace,
}

/// What conditions are asked about.
fn condition_input<'a>(
    policy: &Policy,
    subject: Subject<'a>,
    state: &LeadState,
    facts: &'a Facts,
    now: Timestamp,
) -> ConditionInput<'a> {
    let mut input = ConditionInput::new(subject.capture);
    input.source = Some(subject.source);
    input.local_time = Some(policy.timezone.local(now));
    input.is_open = policy.hours.as_ref().map(|hours| hours.is_open(now, policy.timezone));
    let last_owner = facts.owner.as_ref().map(|owner| owner.target.as_str());
    input.score = policy
        .score
        .as_ref()
        .zip(state.score)
        .map(|(score, have)| score.left(have.points, (now - have.at).num_seconds()));
    input.history = facts.earlier.map(|leads| History { leads, last_owner });
    input
}

/// How a target hears of a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OfferStyle {
    /// As a text with buttons.
    Buttons,
    /// As a text without: there is nothing to answer.
    News,
    /// Programs that answer get the data of the lead.
    Data,
}

/// Where a message goes, before its body is added.
struct Address<'a> {
    rule: &'a str,
    channel: &'a str,
    recipient: Recipient,
    retry: Option<&'a RetrySchedule>,
}

impl Decider<'_> {
    /// Offers the lead to a target, over every destination that it has.
    fn tell(
        &mut self,
        path: &str,
        name: &str,
        target: &Target,
        (template, step, ttl_secs): (&str, u32, u64),
        rule: Option<u32>,
        holds: Vec<Hold>,
    ) {
        let as_data = rule.and_then(|rule| self.policy.route.rule(rule)).is_some_and(route::Chosen::as_data);
        let style = if as_data { OfferStyle::Data } else { OfferStyle::Buttons };
        let deliveries = self.send_offer(path, name, target, (template, step, ttl_secs), style);
        self.effects.push(Effect::Offer { target: name.to_owned(), step, deliveries, rule, holds });
    }

    /// Adds the deliveries of an offer. Answers how many.
    fn send_offer(
        &mut self,
        path: &str,
        name: &str,
        target: &Target,
        (template, step, ttl_secs): (&str, u32, u64),
        style: OfferStyle,
    ) -> u32 {
        let mut deliveries = 0;
        for (index, destination) in target.destinations.iter().enumerate() {
            let address = Address {
                rule: &format!("{path}.destinations[{index}]"),
                channel: &destination.channel,
                recipient: destination.recipient.clone(),
                retry: destination.retry.as_ref(),
            };
            let body = if style == OfferStyle::Data && self.answers(&destination.channel) {
                Body::LeadEvent { event_type: "lead.offered".to_owned(), occurred_at: self.now }
            } else {
                let offer_buttons = style != OfferStyle::News;
                Body::Template { name: template.to_owned(), locale: target.locale, offer_buttons }
            };
            let purpose = Purpose::Offer { target: name.to_owned(), step };
            deliveries += u32::from(self.deliver(address, purpose, body, MessageClass::Service, ttl_secs));
        }
        deliveries
    }

    /// Adds a delivery unless its channel is gone. Answers whether it was added.
    fn deliver(
        &mut self,
        address: Address<'_>,
        purpose: Purpose,
        body: Body,
        class: MessageClass,
        ttl_secs: u64,
    ) -> bool {
        let Address { rule, channel, recipient, retry } = address;
        let Some(facts) = self.snapshot.channels.get(channel) else {
            self.trace.note(rule, Some(channel), Verdict::Skipped, Reason::ChannelMissing);
            return false;
        };
        let reason = facts.paused.then_some(Reason::ChannelPaused);
        self.trace.note(rule, Some(channel), Verdict::Chosen, reason);
        let rules = &self.policy.delivery;
        self.effects.push(Effect::Deliver(Box::new(Deliver {
            channel_id: facts.id,
            expires_at: plus_seconds(self.now, ttl_secs),
            ordered: rules.ordered,
            spec: DeliverySpec {
                purpose,
                recipient,
                body,
                class,
                retry: retry.unwrap_or(&rules.retry).clone(),
                overflow: rules.overflow,
                policy: Some(self.policy_ref),
            },
        })));
        true
    }

    /// Tells the programs that have subscribed.
    fn announce(&mut self, event: LeadEventType) {
        self.effects.push(Effect::Announce { event });
        for (index, webhook) in self.policy.webhooks.iter().enumerate() {
            if !webhook.events.contains(&event) {
                continue;
            }
            let address = Address {
                rule: &format!("webhooks[{index}]"),
                channel: &webhook.channel,
                recipient: Recipient::Endpoint,
                retry: webhook.retry.as_ref(),
            };
            let body = Body::LeadEvent { event_type: event.as_str().to_owned(), occurred_at: self.now };
            // A program wants to know even late: four times the lifetime of a message to a person.
            let ttl = self.policy.delivery.ttl_secs.saturating_mul(4);
            self.deliver(address, Purpose::Webhook, body, MessageClass::Service, ttl);
        }
    }

    /// Tells the owners of trouble, over channels other than the one in trouble.
    fn alert(&mut self, about: Option<crate::id::ChannelId>, text: impl Fn(Locale) -> crate::message::Text) {
        let policy = self.policy;
        self.notice("alerts", &policy.alerts, about, text);
    }

    /// Tells targets something that asks for no answer, over channels other than `but`.
    fn notice(
        &mut self,
        field: &str,
        names: &[String],
        but: Option<crate::id::ChannelId>,
        text: impl Fn(Locale) -> crate::message::Text,
    ) {
        for (index, name) in names.iter().enumerate() {
            let rule = format!("{field}[{index}]");
            let Some(target) = self.policy.targets.get(name) else {
                self.trace.note(rule, Some(name), Verdict::Skipped, Reason::TargetMissing);
                continue;
            };
            for destination in &target.destinations {
                let same = self
                    .snapshot
                    .channels
                    .get(&destination.channel)
                    .is_some_and(|facts| Some(facts.id) == but);
                if same {
                    self.trace.note(
                        rule.clone(),
                        Some(&destination.channel),
                        Verdict::Skipped,
                        Reason::SameChannel,
                    );
                    continue;
                }
                let address = Address {
                    rule: &rule,
                    channel: &destination.channel,
                    recipient: destination.recipient.clone(),
                    retry: destination.retry.as_ref(),
                };
                let body = Body::Fixed(crate::message::Content::Text(text(target.locale)));
                self.deliver(
                    address,
                    Purpose::Notice,
                    body,
                    MessageClass::Service,
                    self.policy.delivery.ttl_secs,
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
