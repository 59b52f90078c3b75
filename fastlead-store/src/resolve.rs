//! Which members of a group may be applied. Pure: facts in, verdicts out.

use std::collections::{BTreeSet, HashMap, HashSet};

use fastlead_core::decide::{Counter, CounterId, UniqueKey};
use fastlead_core::delivery::DeliveryState;
use fastlead_core::id::{ChannelId, DeliveryId, EventId, LeadId, LeaseToken, SourceId, TimerId, WorkspaceId};
use fastlead_core::port::{
    BeginOutcome, Beginning, CaptureAnswer, Guard, IdempotencyRecord, Posting, Refusal, Reservation, Settled,
    Settlement, Suppression, Transition, UnreadableRow,
};
use fastlead_core::time::Timestamp;

use crate::known_ledger::KnownLedger;

/// What the database says about everything that a group names.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Version and scope check of the leads that exist.
    pub(crate) leads: HashMap<LeadId, (u64, uuid::Uuid, uuid::Uuid)>,
    /// Live and dead unique keys.
    pub(crate) unique: HashMap<UniqueKey, (LeadId, i64)>,
    /// Idempotency keys.
    pub(crate) idempotency: HashMap<(SourceId, [u8; 16]), Used>,
    /// Deliveries that are leased, or whose last attempt has no recorded outcome.
    pub(crate) held: HashMap<DeliveryId, Held>,
    /// Lease tokens of timers.
    pub(crate) timers: HashMap<uuid::Uuid, LeaseToken>,
    /// Channels that are not paused.
    pub(crate) active: HashSet<ChannelId>,
    /// Inbound events that wait.
    pub(crate) inbound: HashSet<(ChannelId, String)>,
    /// Events that are in some lead's history already.
    pub(crate) events: HashSet<EventId>,
    /// What counters say, the changes of earlier members included.
    pub(crate) counters: HashMap<CounterId, Counter>,
    /// Where the deliveries stand that receipts are about.
    pub(crate) states: HashMap<DeliveryId, DeliveryState>,
    /// Suppressions of addresses, by their keys.
    pub(crate) suppressed: HashMap<[u8; 16], Suppression>,
    /// What is there and cannot be read: who needs it gets no verdict.
    pub(crate) unread: HashMap<(Named, uuid::Uuid), UnreadableRow>,
}

/// What members name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Named {
    Lead,
    Delivery,
    Idempotency,
    Suppression,
}

/// Who works on a delivery.
#[derive(Debug)]
pub(crate) struct Held {
    /// Lease that holds.
    pub(crate) lease: Option<LeaseToken>,
    /// Lease under which the last attempt was begun, where nobody has recorded its outcome under it.
    pub(crate) begun_by: Option<LeaseToken>,
    pub(crate) state: DeliveryState,
    pub(crate) uncertain: bool,
    /// Whether its lead has no use for it.
    pub(crate) unwanted: bool,
    /// Whether its channel is paused.
    pub(crate) paused: bool,
}

impl Held {
    /// Whether an outcome that was learned under `token` counts: see [`fastlead_core::port::Store::settle`].
    fn may_settle(&self, token: LeaseToken, outcome: &Settled) -> bool {
        self.lease == Some(token)
            || (self.begun_by == Some(token) && outcome.is_news_of(self.state, self.uncertain))
    }
}

/// An idempotency key that was used.
#[derive(Debug)]
pub(crate) struct Used {
    pub(crate) request: [u8; 16],
    pub(crate) answer: CaptureAnswer,
    pub(crate) until: i64,
}

/// What earlier members of the same group have taken.
#[derive(Debug, Default)]
struct Taken {
    leads: HashSet<LeadId>,
    events: HashSet<EventId>,
    unique: HashSet<UniqueKey>,
    idempotency: HashSet<(SourceId, [u8; 16])>,
    deliveries: HashSet<DeliveryId>,
    timers: HashSet<TimerId>,
    inbound: HashSet<(ChannelId, String)>,
    counters: BTreeSet<CounterId>,
}

/// Decides member after member, in the order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    facts: Facts,
    taken: Taken,
    ledger: KnownLedger,
}

impl Resolver {
    pub(crate) fn new(facts: Facts, ledger: KnownLedger) -> Self {
        Self { facts, taken: Taken::default(), ledger }
    }

    /// What is known of the ledger, and what members have posted.
    pub(crate) const fn ledger(&self) -> &KnownLedger {
        &self.ledger
    }

    /// Makes postings that belong to no lead.
    pub(crate) fn post(&mut self, workspace: WorkspaceId, postings: &[Posting]) -> Result<(), Refusal> {
        let plan = self.ledger.plan(workspace, postings)?;
        self.ledger.apply(workspace, &plan);
        Ok(())
    }

    /// Takes a delivery for a settlement, where it may be settled.
    pub(crate) fn settle(&mut self, settlement: &Settlement) -> Result<(), Refusal> {
        let id = settlement.delivery_id;
        let mine = self.may_settle(settlement) && self.taken.deliveries.insert(id);
        if mine { Ok(()) } else { Err(Refusal::LeaseLost) }
    }

    fn may_settle(&self, settlement: &Settlement) -> bool {
        let held = self.facts.held.get(&settlement.delivery_id);
        held.is_some_and(|held| held.may_settle(settlement.token, &settlement.outcome))
    }

    /// Takes a delivery for the beginning of an attempt, where its lease holds, its channel is not paused, and its address
    /// is not suppressed.
    pub(crate) fn begin(&mut self, beginning: &Beginning) -> BeginOutcome {
        let held = self.facts.held.get(&beginning.delivery_id);
        let Some(held) = held.filter(|held| held.lease == Some(beginning.token)) else {
            return BeginOutcome::LeaseLost;
        };
        if held.unwanted {
            BeginOutcome::Unwanted
        } else if held.paused {
            BeginOutcome::Paused
        } else if let Some(reason) = self.suppression(beginning) {
            BeginOutcome::Suppressed(reason)
        } else if self.taken.deliveries.insert(beginning.delivery_id) {
            BeginOutcome::Begun
        } else {
            BeginOutcome::LeaseLost
        }
    }

    /// Returns why nothing may be sent to the address. A suppression that cannot be read forbids everything.
    fn suppression(&self, beginning: &Beginning) -> Option<String> {
        let address = beginning.address?.0;
        if self.facts.unread.contains_key(&(Named::Suppression, uuid::Uuid::from_bytes(address))) {
            return Some(Suppression::UNREADABLE.to_owned());
        }
        let held = self.facts.suppressed.get(&address)?;
        held.scope.covers(beginning.class).then(|| held.reason.clone())
    }

    /// Takes a channel to pause it. Returns whether nobody has paused it before.
    pub(crate) fn pause(&mut self, channel: ChannelId) -> bool {
        self.facts.active.remove(&channel)
    }

    /// Something that the transition names and that cannot be read.
    pub(crate) fn unread(&self, transition: &Transition) -> Option<&UnreadableRow> {
        let posted = self.ledger.unread(transition.scope.workspace_id, &transition.postings);
        if posted.is_some() || self.facts.unread.is_empty() {
            return posted;
        }
        let lead = Some((Named::Lead, transition.lead_id.as_uuid()));
        let told = transition.receipt.as_ref().map(|told| (Named::Delivery, told.delivery_id.as_uuid()));
        let again = transition.revive.map(|revival| (Named::Delivery, revival.delivery_id.as_uuid()));
        let key = transition.idempotency.as_ref();
        let key = key.map(|record| (Named::Idempotency, uuid::Uuid::from_bytes(record.key)));
        [lead, told, again, key].into_iter().flatten().find_map(|named| self.facts.unread.get(&named))
    }

    /// `Ok` takes everything that the transition needs.
    pub(crate) fn commit(&mut self, transition: &Transition) -> Result<(), Refusal> {
        self.check(transition)?;
        self.post(transition.scope.workspace_id, &transition.postings)?;
        let taken = &mut self.taken;
        if !matches!(transition.guard, Guard::Append) {
            taken.leads.insert(transition.lead_id);
        }
        taken.events.insert(transition.event_id);
        taken.deliveries.extend(transition.settlement.as_ref().map(|settlement| settlement.delivery_id));
        taken.deliveries.extend(transition.receipt.as_ref().map(|receipt| receipt.delivery_id));
        taken.deliveries.extend(transition.revive.map(|revival| revival.delivery_id));
        taken.timers.extend(transition.fired.map(|(timer, _)| timer));
        let inbound = transition.inbound.as_ref();
        taken.inbound.extend(inbound.map(|inbound| (inbound.channel_id, inbound.provider_event_id.clone())));
        taken
            .idempotency
            .extend(transition.idempotency.as_ref().map(|record| (transition.source_id, record.key)));
        taken.unique.extend(unique_keys(transition));
        for reservation in &transition.reservations {
            if let Reservation::Counter { id, amount, note, until, .. } = reservation {
                let counter = self.facts.counters.remove(id).unwrap_or_default();
                let counter = counter.changed(*amount, note.as_deref(), *until, transition.at);
                self.facts.counters.insert(*id, counter);
                self.taken.counters.insert(*id);
            }
        }
        Ok(())
    }

    /// The counters that members have changed, as they are after all of them. What was given back of nothing makes
    /// none.
    pub(crate) fn counters(&self) -> impl Iterator<Item = (CounterId, &Counter)> {
        let changed = self.taken.counters.iter().filter_map(|id| Some((*id, self.facts.counters.get(id)?)));
        changed.filter(|(_, counter)| !counter.is_nothing())
    }

    fn check(&self, transition: &Transition) -> Result<(), Refusal> {
        let contended = |taken: bool| if taken { Err(Refusal::Contended) } else { Ok(()) };
        if let Some(settlement) = &transition.settlement
            && (!self.may_settle(settlement) || self.taken.deliveries.contains(&settlement.delivery_id))
        {
            return Err(Refusal::LeaseLost);
        }
        if let Some(receipt) = &transition.receipt {
            let state = self.facts.states.get(&receipt.delivery_id);
            if !state.is_some_and(|state| state.is_changed_by(receipt.state)) {
                return Err(Refusal::ReceiptStale);
            }
            contended(self.taken.deliveries.contains(&receipt.delivery_id))?;
        }
        if let Some(revival) = &transition.revive {
            let state = self.facts.states.get(&revival.delivery_id);
            if !state.is_some_and(|state| state.is_revivable()) {
                return Err(Refusal::NotRevivable);
            }
            contended(self.taken.deliveries.contains(&revival.delivery_id))?;
        }
        if let Some(inbound) = &transition.inbound {
            let key = (inbound.channel_id, inbound.provider_event_id.clone());
            if !self.facts.inbound.contains(&key) {
                return Err(Refusal::InboundDone);
            }
            contended(self.taken.inbound.contains(&key))?;
        }
        if let Some((timer, token)) = &transition.fired
            && (self.facts.timers.get(&timer.as_uuid()) != Some(token) || self.taken.timers.contains(timer))
        {
            return Err(Refusal::LeaseLost);
        }
        if let Some(record) = &transition.idempotency {
            let key = (transition.source_id, record.key);
            if let Some(refusal) = self.replayed(&key, record, transition.at) {
                return Err(refusal);
            }
            contended(self.taken.idempotency.contains(&key))?;
        }
        let lead = self.facts.leads.get(&transition.lead_id).filter(|(_, workspace, project)| {
            *workspace == transition.scope.workspace_id.as_uuid()
                && *project == transition.scope.project_id.as_uuid()
        });
        let fits = match transition.guard {
            Guard::New => !self.facts.leads.contains_key(&transition.lead_id),
            Guard::Version(version) => lead.is_some_and(|(have, ..)| *have == version),
            Guard::Append => lead.is_some(),
        };
        if !fits || self.facts.events.contains(&transition.event_id) {
            return Err(Refusal::Stale);
        }
        contended(
            !matches!(transition.guard, Guard::Append) && self.taken.leads.contains(&transition.lead_id),
        )?;
        contended(self.taken.events.contains(&transition.event_id))?;
        for key in unique_keys(transition) {
            if let Some((lead, until)) = self.facts.unique.get(&key)
                && *until > transition.at.timestamp_millis()
                && *lead != transition.lead_id
            {
                return Err(Refusal::Duplicate(*lead));
            }
            contended(self.taken.unique.contains(&key))?;
        }
        transition
            .reservations
            .iter()
            .find_map(|reservation| self.over(reservation, transition.at))
            .map_or(Ok(()), Err)
    }

    /// Who comes first in the group is within the limit.
    fn over(&self, reservation: &Reservation, at: Timestamp) -> Option<Refusal> {
        let Reservation::Counter { id, amount, limit: Some(limit), .. } = reservation else { return None };
        let counter = self.facts.counters.get(id).cloned().unwrap_or_default().at(at);
        let over = *amount > 0 && counter.value.saturating_add(*amount) > *limit;
        over.then_some(Refusal::CapFull { id: *id, counter })
    }

    fn replayed(
        &self,
        key: &(SourceId, [u8; 16]),
        record: &IdempotencyRecord,
        at: Timestamp,
    ) -> Option<Refusal> {
        let used = self.facts.idempotency.get(key)?;
        if used.until <= at.timestamp_millis() {
            return None;
        }
        Some(if used.request == record.request {
            Refusal::Replayed(used.answer.clone())
        } else {
            Refusal::KeyReused
        })
    }
}

pub(crate) fn counter_ids(transition: &Transition) -> impl Iterator<Item = CounterId> {
    transition.reservations.iter().filter_map(|reservation| match reservation {
        Reservation::Counter { id, .. } => Some(*id),
        _ => None,
    })
}

pub(crate) fn unique_keys(transition: &Transition) -> impl Iterator<Item = UniqueKey> {
    transition.reservations.iter().filter_map(|reservation| match reservation {
        Reservation::Unique { key, .. } => Some(*key),
        _ => None,
    })
}
