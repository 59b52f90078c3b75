//! The one pure function that decides, and the values it works on.

mod capture;
mod event;
mod ladder;
mod respond;
mod snapshot;
mod state;
mod trace;

use serde::{Deserialize, Serialize};

pub use event::{Deliver, Effect, Event, TimerName, UniqueKey, Via};
pub use snapshot::{ChannelFacts, Needs, Snapshot};
pub use state::{LeadState, LeadStatus, Offer};
pub use trace::{Reason, Trace, TraceStep, Verdict};

use crate::delivery::{Body, DeliverySpec, Purpose, RetrySchedule};
use crate::id::{LeadId, ProjectId, SourceId, WorkspaceId};
use crate::lead::Capture;
use crate::message::{Locale, MessageClass, Recipient};
use crate::policy::{LeadEventType, Policy, PolicyRef};
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
    /// What was captured first. For [`Event::Captured`] the event's own capture.
    pub capture: &'a Capture,
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
    let mut decider = Decider {
        policy,
        policy_ref,
        subject,
        state,
        snapshot,
        now,
        effects: Vec::with_capacity(8),
        trace: Trace::new(policy_ref),
    };
    match event {
        Event::Captured(capture) => decider.captured(capture),
        Event::DeliveryEnded { target, channel_id, state, .. } => {
            decider.delivery_ended(target.as_deref(), *channel_id, *state);
        }
        Event::TimerFired { timer } => decider.timer_fired(*timer),
        Event::Responded { target, response, via } => decider.responded(target, *response, via),
    }
    Decision { effects: decider.effects, trace: decider.trace }
}

struct Decider<'a> {
    policy: &'a Policy,
    policy_ref: PolicyRef,
    subject: Subject<'a>,
    state: &'a LeadState,
    snapshot: &'a Snapshot,
    now: Timestamp,
    effects: Vec<Effect>,
    trace: Trace,
}

/// Where a message goes, before its body is added.
struct Address<'a> {
    rule: &'a str,
    channel: &'a str,
    recipient: Recipient,
    retry: Option<&'a RetrySchedule>,
}

impl Decider<'_> {
    /// Offers the lead to `targets`, over every destination that each has.
    fn offer(&mut self, rule: &str, targets: &[String], template: &str, step: u32) {
        for (index, name) in targets.iter().enumerate() {
            let rule = format!("{rule}.targets[{index}]");
            let Some(target) = self.policy.targets.get(name) else {
                self.trace.note(rule, Some(name), Verdict::Skipped, Reason::TargetMissing);
                continue;
            };
            let declined = self.state.offers.iter().any(|offer| offer.target == *name && offer.declined);
            if declined {
                self.trace.note(rule, Some(name), Verdict::Skipped, Reason::DeclinedBefore);
                continue;
            }
            self.trace.note(rule.clone(), Some(name), Verdict::Chosen, None);
            let before = self.effects.len();
            let ttl = self.policy.delivery.ttl_secs;
            for (index, destination) in target.destinations.iter().enumerate() {
                let address = Address {
                    rule: &format!("{rule}.destinations[{index}]"),
                    channel: &destination.channel,
                    recipient: destination.recipient.clone(),
                    retry: destination.retry.as_ref(),
                };
                let body =
                    Body::Template { name: template.to_owned(), locale: target.locale, offer_buttons: true };
                self.deliver(
                    address,
                    Purpose::Offer { target: name.clone(), step },
                    body,
                    MessageClass::Service,
                    ttl,
                );
            }
            let deliveries = u32::try_from(self.effects.len() - before).unwrap_or(u32::MAX);
            self.effects.push(Effect::Offer { target: name.clone(), step, deliveries });
        }
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
        for (index, name) in self.policy.alerts.iter().enumerate() {
            let rule = format!("alerts[{index}]");
            let Some(target) = self.policy.targets.get(name) else {
                self.trace.note(rule, Some(name), Verdict::Skipped, Reason::TargetMissing);
                continue;
            };
            for destination in &target.destinations {
                let same = self
                    .snapshot
                    .channels
                    .get(&destination.channel)
                    .is_some_and(|facts| Some(facts.id) == about);
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
