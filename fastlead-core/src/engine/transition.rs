//! A decision becomes a transition: ids, leases and reservations are added.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::OwnedSemaphorePermit;

use super::directory::{ActiveChannel, Directory};
use super::{Engine, content::LeadFacts};
use crate::actor::Actor;
use crate::decide::{Decision, Deliver, Effect, Event, LeadState};
use crate::delivery::{Delivery, DeliveryState, Lease, LeasedDelivery, NewDelivery, OrderKey, Phase, Scope};
use crate::error::Result;
use crate::id::{ChannelId, DeliveryId, EventId, LeadId, LeaseToken, SourceId, TimerId, WorkspaceId};
use crate::port::{
    CommitOutcome, Guard, IdempotencyRecord, InboundRef, NewTimer, Receipt, Reservation, Revival, Settlement,
    Transition,
};
use crate::time::{Timestamp, plus};

/// What a transition carries besides the decision.
#[derive(Debug, Default)]
pub(super) struct Extras {
    pub actor: Actor,
    pub counters: Vec<Reservation>,
    pub idempotency: Option<IdempotencyRecord>,
    pub settlement: Option<Settlement>,
    pub receipt: Option<Receipt>,
    pub inbound: Option<InboundRef>,
    pub fired: Option<(TimerId, LeaseToken)>,
}

/// Whose transition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub scope: Scope,
    pub source_id: SourceId,
    pub lead_id: LeadId,
    pub event_id: EventId,
    pub guard: Guard,
}

/// A delivery that this process sends at once when the commit has succeeded.
pub(super) struct Immediate {
    pub leased: LeasedDelivery,
    pub place: Place,
}

/// Room for one send over a channel. However it is given back, whoever waits for room hears of it.
pub(super) struct Place {
    engine: Engine,
    channel: Arc<ActiveChannel>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.engine.release(&self.channel, permit);
        }
    }
}

/// Work that the dispatcher finds in the store once a transition is there.
#[derive(Debug, Default)]
pub(super) struct Later {
    /// The earliest moment of it.
    wake_by: Option<Timestamp>,
    /// The channels of deliveries that are due. What was put on the agenda before the commit may have been looked at, and
    /// taken off again, before it was there.
    channels: BTreeSet<ChannelId>,
    /// Whether a delivery was revived, on one of the workspace's channels.
    revived: bool,
}

impl Later {
    fn wake(&mut self, moment: Timestamp) {
        self.wake_by = Some(self.wake_by.map_or(moment, |have| have.min(moment)));
    }

    /// Adds a delivery that is due at once.
    pub(super) fn delivery(&mut self, channel: ChannelId, now: Timestamp) {
        self.channels.insert(channel);
        self.wake(now);
    }
}

/// A transition and what to do once it is on disk.
pub(super) struct Prepared {
    pub transition: Transition,
    pub immediate: Vec<Immediate>,
    /// What the dispatcher has to know of work that is not done at once.
    pub later: Later,
}

impl Engine {
    pub(super) fn prepare(
        &self,
        owner: Owner,
        event: Event,
        (state, decision): (LeadState, Decision),
        extras: Extras,
        directory: &Directory,
        now: Timestamp,
    ) -> Prepared {
        let Owner { scope, source_id, lead_id, event_id, guard } = owner;
        let mut transition = Transition {
            scope,
            source_id,
            lead_id,
            guard,
            event_id,
            event,
            actor: extras.actor,
            at: now,
            trace: decision.trace,
            state,
            deliveries: Vec::new(),
            cancel_offers: false,
            revive: None,
            clear_timers: false,
            timers: Vec::new(),
            reservations: extras.counters,
            postings: Vec::new(),
            idempotency: extras.idempotency,
            settlement: extras.settlement,
            receipt: extras.receipt,
            inbound: extras.inbound,
            fired: extras.fired,
        };
        let mut immediate = Vec::new();
        let mut later = Later::default();
        for effect in decision.effects {
            match effect {
                Effect::Deliver(deliver) => {
                    let (new, at_once) = self.new_delivery(scope, lead_id, *deliver, directory, now);
                    match at_once {
                        Some(at_once) => immediate.push(at_once),
                        None => later.delivery(new.channel_id, now),
                    }
                    transition.deliveries.push(new);
                }
                Effect::SetTimer { timer, due_at } => {
                    later.wake(due_at);
                    let id = TimerId::generate(&*self.inner.ids, now);
                    transition.timers.push(NewTimer { id, name: timer, due_at });
                }
                Effect::ReserveUnique { keys, until, .. } => {
                    transition
                        .reservations
                        .extend(keys.into_iter().map(|key| Reservation::Unique { key, until }));
                }
                Effect::CancelOffers => transition.cancel_offers = true,
                Effect::Revive { delivery, expires_at } => {
                    later.revived = true;
                    transition.revive = Some(Revival { delivery_id: delivery, expires_at });
                }
                Effect::ClearTimers => {
                    transition.clear_timers = true;
                    transition.timers.clear();
                }
                // Counters are changed by the extras, the state by itself; the extras name the timer that fired.
                Effect::Accept
                | Effect::Fired { .. }
                | Effect::Reject { .. }
                | Effect::Duplicate { .. }
                | Effect::Offer { .. }
                | Effect::Assign { .. }
                | Effect::Decline { .. }
                | Effect::OfferLost { .. }
                | Effect::Remind { .. }
                | Effect::Lapse { .. }
                | Effect::Hold { .. }
                | Effect::Reserve { .. }
                | Effect::Release { .. }
                | Effect::Note { .. }
                | Effect::Queue { .. }
                | Effect::Auction { .. }
                | Effect::Bid { .. }
                | Effect::CloseAuction
                | Effect::Review
                | Effect::AskToConfirm { .. }
                | Effect::Confirm { .. }
                | Effect::Score { .. }
                | Effect::Tag { .. }
                | Effect::Repin
                | Effect::Climb { .. }
                | Effect::Return { .. }
                | Effect::Close
                | Effect::GiveUp
                | Effect::Announce { .. } => {}
            }
        }
        Prepared { transition, immediate, later }
    }

    /// Commits a transition. Where the store has failed nobody knows whether there is new work, so the
    /// dispatcher looks.
    pub(super) async fn commit(&self, transition: Transition) -> Result<CommitOutcome> {
        let workspace = transition.scope.workspace_id;
        let outcome = self.inner.store.commit(transition).await;
        if outcome.is_err() {
            self.wake_workspace(workspace);
        }
        outcome
    }

    /// Tells the dispatcher of work that a commit has made.
    pub(super) fn see_to(&self, workspace: WorkspaceId, later: Later) {
        self.inner.agenda.add(later.channels);
        if later.revived {
            self.wake_workspace(workspace);
        }
        if let Some(moment) = later.wake_by {
            self.wake_by(moment);
        }
    }

    pub(super) fn new_delivery(
        &self,
        scope: Scope,
        lead_id: LeadId,
        deliver: Deliver,
        directory: &Directory,
        now: Timestamp,
    ) -> (NewDelivery, Option<Immediate>) {
        let Deliver { channel_id, expires_at, ordered, spec } = deliver;
        let order_key = ordered.then(|| OrderKey::of(channel_id, &spec.recipient));
        let mut new = NewDelivery {
            id: DeliveryId::generate(&*self.inner.ids, now),
            scope,
            lead_id: Some(lead_id),
            channel_id,
            created_at: now,
            due_at: now,
            expires_at,
            order_key,
            spec,
            lease: None,
        };
        let Some(channel) = directory.channel(channel_id) else { return (new, None) };
        let running = self.inner.running.load(Ordering::Acquire);
        if !running || channel.is_paused() || order_key.is_some() {
            channel.backlog.store(true, Ordering::Release);
            return (new, None);
        }
        // A lease is taken only together with room to work on it at once.
        let Ok(permit) = Arc::clone(&channel.permits).try_acquire_owned() else {
            channel.backlog.store(true, Ordering::Release);
            return (new, None);
        };
        let lease = self.new_lease(now);
        new.lease = Some(lease);
        let leased = LeasedDelivery { delivery: as_stored(&new), phase: Phase::Send, lease };
        let place = Place { engine: self.clone(), channel: Arc::clone(channel), permit: Some(permit) };
        (new, Some(Immediate { leased, place }))
    }

    pub(super) fn new_lease(&self, now: Timestamp) -> Lease {
        Lease { token: LeaseToken::generate(&*self.inner.ids, now), until: plus(now, self.inner.lease) }
    }

    /// Starts what was leased with a commit that has succeeded.
    pub(super) fn start(&self, immediate: Vec<Immediate>, lead: Option<&LeadFacts>) {
        for Immediate { leased, place } in immediate {
            let lead = lead.cloned();
            self.inner.tasks.spawn(async move { place.engine.work(leased, &place.channel, lead).await });
        }
    }
}

/// The delivery as the store keeps it after the insert.
fn as_stored(new: &NewDelivery) -> Delivery {
    Delivery {
        id: new.id,
        scope: new.scope,
        lead_id: new.lead_id,
        channel_id: new.channel_id,
        spec: new.spec.clone(),
        state: DeliveryState::Pending,
        reason: None,
        created_at: new.created_at,
        due_at: new.due_at,
        expires_at: new.expires_at,
        updated_at: new.created_at,
        attempts: 0,
        parts_sent: 0,
        checks: 0,
        uncertain: false,
        last_attempt_at: None,
        provider_message_id: None,
        order_key: new.order_key,
        unwanted: false,
    }
}
