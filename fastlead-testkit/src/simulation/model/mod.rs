//! What must hold, checked at every operation of the store against a second account of everything.
//!
//! The account is kept from what the engine asks and the store answers. Decisions are made again from
//! the events, and counters are the fold of their effects; nothing is taken from the store on trust.

mod again;
mod auctions;
mod counters;
mod deliveries;
mod inbound;
mod leads;
mod leases;
mod rates;
mod reached;
mod rest;
mod takes;
mod timers;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fastlead_core::decide::{ChannelFacts, Counter, CounterId, CounterKey, UniqueKey};
use fastlead_core::delivery::OrderKey;
use fastlead_core::id::{ChannelId, DeliveryId, LeadId, LeaseToken, SourceId, TimerId};
use fastlead_core::money::Money;
use fastlead_core::policy::{Policy, PolicyRef};
use fastlead_core::port::{
    ChannelRecord, ChannelStatus, IdempotencyRecord, InboundRef, PolicyRecord, Source,
};
use fastlead_core::time::Timestamp;

use super::mirror::Decided;

pub(super) use again::{Replayed, decide_again};
pub(super) use deliveries::Carried;
pub(super) use leads::Lead;

/// What is wrong, in words.
pub(super) type Checked = Result<(), String>;

/// The second account.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub policies: HashMap<PolicyRef, Arc<Policy>>,
    pub sources: HashMap<SourceId, Source>,
    /// Whether a channel is paused is not known here.
    pub channels: BTreeMap<String, ChannelFacts>,
    paused: BTreeSet<ChannelId>,
    /// Since when what was held back can go on: by channel, and by key of order.
    resumed_at: HashMap<ChannelId, Timestamp>,
    freed_at: HashMap<OrderKey, Timestamp>,
    pub leads: BTreeMap<LeadId, Lead>,
    pub counters: BTreeMap<CounterKey, Counter>,
    keys: HashMap<CounterId, CounterKey>,
    /// How often each lead was refused for a full counter since its last decision.
    refusals: HashMap<LeadId, u32>,
    /// When each counter of a period ends.
    ends: BTreeMap<CounterKey, Timestamp>,
    /// The sum of what all leads hold.
    held: BTreeMap<CounterKey, i64>,
    takes: takes::Takes,
    /// The last auction of each lead.
    auctions: BTreeMap<LeadId, auctions::Auction>,
    /// What bidders have answered to each ping, oldest first.
    answered: HashMap<DeliveryId, Vec<Option<Money>>>,
    unique: HashMap<UniqueKey, (LeadId, Timestamp)>,
    idempotency: HashMap<(SourceId, [u8; 16]), IdempotencyRecord>,
    timers: BTreeMap<TimerId, timers::Timer>,
    pub deliveries: BTreeMap<DeliveryId, Carried>,
    inbound: HashMap<InboundRef, inbound::Inbound>,
    /// What has happened at providers that are asked for news.
    happened: BTreeSet<(ChannelId, String)>,
    /// Who has which lease by name, and until when.
    leases: HashMap<String, (LeaseToken, Timestamp)>,
    /// Rates and holds of accounts, by the scope in which they are counted.
    accounts: rates::Accounts,
    /// Every decision, where they are kept.
    pub decided: Option<Vec<Decided>>,
    /// What has happened at least once, see [`Report::reached`](super::Report::reached).
    pub reached: BTreeSet<String>,
    /// How many decisions were made again.
    pub decisions: u64,
    /// The policy that was published last, and when.
    pub published: Option<(PolicyRef, Timestamp)>,
    /// Since when the engine works.
    pub up_since: Option<Timestamp>,
}

impl Model {
    pub(super) fn knows_policy(&mut self, record: &PolicyRecord, now: Timestamp) {
        self.policies.insert(record.reference, Arc::clone(&record.policy));
        if self.published.is_none_or(|(known, _)| known != record.reference) {
            self.published = Some((record.reference, now));
        }
    }

    pub(super) fn knows_source(&mut self, source: &Source) {
        self.sources.insert(source.id, source.clone());
    }

    /// `answers`: whether it brings back what the other side answers.
    pub(super) fn knows_channel(&mut self, record: &ChannelRecord, answers: bool) {
        let facts = ChannelFacts { id: record.id, paused: false, answers };
        self.channels.insert(record.name.clone(), facts);
    }

    /// Answers whether the channel was working before and is paused now.
    pub(super) fn has_status(&mut self, channel: ChannelId, status: &ChannelStatus, now: Timestamp) -> bool {
        if status.is_paused() {
            self.paused.insert(channel)
        } else {
            self.paused.remove(&channel);
            self.resumed_at.insert(channel, now);
            false
        }
    }

    pub(super) fn is_paused(&self, channel: ChannelId) -> bool {
        self.paused.contains(&channel)
    }

    /// Nothing that is due is left lying.
    pub(super) fn nothing_is_forgotten(&self, now: Timestamp) -> Checked {
        let Some(up_since) = self.up_since else { return Ok(()) };
        self.no_timer_is_forgotten(now, up_since)?;
        self.no_event_is_forgotten(now, up_since)?;
        self.no_delivery_is_forgotten(now, up_since)?;
        self.nobody_waits_by_an_old_policy(now, up_since)
    }
}
