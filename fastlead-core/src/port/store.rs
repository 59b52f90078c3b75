//! The engine's store: decisions in one transaction, work under leases.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::decide::{Counter, CounterId, Event, LeadState, TimerName, Trace, UniqueKey};
use crate::delivery::{Attempt, Delivery, DeliveryState, Lease, LeasedDelivery, NewDelivery, Scope};
use crate::erasure::PersonAddresses;
use crate::error::Result;
use crate::id::{
    AccountId, ChannelId, DeliveryId, EventId, LeadId, LeaseToken, PostingId, ProjectId, SourceId, TimerId,
    WorkspaceId,
};
use crate::lead::Capture;
use crate::money::Money;
use crate::parts::SentPart;
use crate::policy::PolicyRef;
use crate::port::{
    BeginOutcome, Beginning, InboundBatch, InboundRecord, InboundRef, LeasedInbound, Leases, Posting,
    PostingFault, Recovery, SetAside,
};
use crate::time::Timestamp;

/// Where leads, their work and its outcomes live.
///
/// # Behavior
/// * What an `Ok` reports is durable: it survives the death of the process at the next instant.
/// * `commit` and `settle` are atomic and linearizable against each other, on one node and, where
///   the store is shared, across nodes. A store may group concurrent calls into one transaction;
///   one bad member never fails the others.
/// * Futures may be dropped at any await point; the operation then has either happened or not.
///
/// The engine asks it; a program hands one over. `fastlead-store` has two, and `fastlead_testkit::store_conformance!` tells whether
/// another keeps the contract.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use fastlead_core::engine::{Engine, EngineBuilder};
/// use fastlead_core::port::{Addresses, Catalog, ChangeLog, Identities, Store};
///
/// fn on<S: Store + Catalog + Addresses + Identities + ChangeLog>(store: S) -> EngineBuilder {
///     Engine::builder(Arc::new(store))
/// }
/// ```
#[async_trait]
pub trait Store: Leases + Debug + Send + Sync + 'static {
    /// Applies a decision: the event, the new state and all its work, in one transaction.
    ///
    /// # Behavior
    /// * Checks in this order, and refuses at the first that fails, changing nothing: the
    ///   settlement's lease; the receipt; the revival; the inbound event; the fired timer's lease; the idempotency key; the
    ///   guard; the reservations; the postings, in their order.
    /// * Counters of concurrent transitions are settled in one order: those within the limit pass.
    /// * Two transitions that would both pass alone but not together: exactly one passes.
    /// * [`Refusal::Contended`] says that another one is being decided right now; committing the
    ///   same transition again will get a definite answer.
    /// * Postings follow the rules of [`Ledger::post`](super::Ledger::post), among the postings of all transitions and of
    ///   all calls of it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] where a posting is malformed (see [`Posting::check`]): nothing is looked at;
    /// [`crate::ErrorKind::Unreadable`] where something that the transition names is stored and cannot be read;
    /// [`crate::ErrorKind::Storage`] with `Never` where nothing was changed for certain,
    /// `IfIdempotent` where the outcome of the transaction is unknown;
    /// [`crate::ErrorKind::Overloaded`] where there is no room in the queue.
    async fn commit(&self, transition: Transition) -> Result<CommitOutcome>;

    /// Records what became of a leased delivery.
    ///
    /// # Behavior
    /// * Refused with [`SettleOutcome::LeaseLost`] unless the delivery is leased with this token: a worker that wakes
    ///   after its lease cannot overwrite the one that took over.
    /// * An outcome that is known is not thrown away. A worker whose attempt was the last to begin may settle after its
    ///   lease as long as nobody else has found out what became of it: while the delivery is
    ///   [`DeliveryState::Sending`], while its unknown outcome is asked about, or when it has ended as
    ///   [`DeliveryState::Ambiguous`] and the outcome is no [`Settled::Retry`] and not itself uncertain. It counts once.
    /// * A delivery that is [`Delivery::unwanted`] is never made due again: [`Settled::Retry`] ends it as
    ///   [`DeliveryState::Cancelled`], with the reason `partly_sent` where parts of it were accepted, or as
    ///   [`DeliveryState::Ambiguous`] with the reason `outcome_unknown` where an attempt may have arrived.
    /// * [`Settlement::pause`] is applied with it.
    async fn settle(&self, settlement: Settlement) -> Result<SettleOutcome>;

    /// Says that an attempt at a leased delivery begins now, right before the first byte goes out.
    ///
    /// # Behavior
    /// * On success the delivery is [`DeliveryState::Sending`], the attempt is counted and stamped with `at`:
    ///   whoever finds it so after a crash knows that it may have been sent. Under a lease without this, it
    ///   was not.
    /// * The lease lasts until [`Beginning::until`] at the least, however long the message has waited for its turn and
    ///   whether or not the lease had run out: nobody else finds it before this attempt is over.
    /// * Refused with [`BeginOutcome::LeaseLost`] unless the delivery is leased with this token: it was
    ///   cancelled, or another worker has taken over. Nothing may be sent then.
    /// * Refused with [`BeginOutcome::Unwanted`] where the delivery is [`Delivery::unwanted`], and with
    ///   [`BeginOutcome::Paused`] where the catalog says that its channel is paused.
    /// * Refused with [`BeginOutcome::Suppressed`] where a suppression of the address holds that covers the class of the
    ///   message: what the law asks is asked here, in the transaction after which the message goes out, and not of a
    ///   copy in memory. A suppression that cannot be read covers everything.
    async fn begin(&self, beginning: Beginning) -> Result<BeginOutcome>;

    /// Adds deliveries that belong to no decision: notices and messages sent by hand.
    async fn enqueue(&self, deliveries: Vec<NewDelivery>) -> Result<()>;

    /// Leases due work.
    ///
    /// # Behavior
    /// * For each channel asked for, at most as many deliveries as its [`ChannelRoom`] says. Other channels'
    ///   backlogs do not matter.
    /// * What is to be sent or found out comes before receipts that are owed ([`Delivery::owes_receipt`]), and of
    ///   each the longest due first; see [`ChannelRoom`] for the exception. The answer has the same order.
    /// * A delivery whose [`NewDelivery::order_key`] has an earlier one that [`Delivery::holds_back`] is not claimed.
    /// * Claiming begins nothing: the state stays, and [`crate::delivery::LeasedDelivery::phase`] follows from it.
    ///   What was being sent when its lease ran out is claimed with [`crate::delivery::Phase::Recover`].
    /// * Work claimed is leased to nobody else until `lease.until`.
    /// * Inbound events that nobody has acted upon are claimed when they are due or their lease has run out, those that
    ///   have waited longest first.
    /// * What cannot be read is not in the answer, is set aside as by [`Self::set_aside`], and hinders nothing else.
    async fn claim(&self, request: ClaimRequest) -> Result<Claimed>;

    /// Leaves work alone that cannot be done because something that it needs cannot be read. `workspace` says whose it
    /// is, where that is known, and `because` what cannot be read, without what stands in it.
    ///
    /// # Behavior
    /// * It is not claimed and not listed as pending any more, and holds back nothing that stands behind it in its
    ///   order. Its state stays.
    /// * It is given back when the store is opened the next time: a newer program may be able to read it.
    /// * Nothing happens where the lease is not held, or the event was acted upon.
    async fn set_aside(&self, workspace: Option<WorkspaceId>, work: SetAside, because: &str) -> Result<()>;

    /// Returns the next moments after `now` at which something becomes due or a lease runs out on each of `channels`,
    /// and at which a timer or an inbound event becomes due. `now` itself where something is claimable already.
    async fn next_due(&self, now: Timestamp, channels: &[ChannelId]) -> Result<NextDue>;

    /// What counters say at `now`, in the order of `ids`. One that does not exist, or is forgotten, says
    /// nothing.
    async fn counters(&self, ids: Vec<CounterId>, now: Timestamp) -> Result<Vec<Counter>>;

    /// A lead that holds one of these keys at `now`: the holder of the first that is held.
    async fn holder(&self, keys: Vec<UniqueKey>, now: Timestamp) -> Result<Option<LeadId>>;

    /// Leads of a project that wait in the queue, those with an id after `after`, oldest first.
    ///
    /// # Behavior
    /// * A lead waits where its [`LeadState::status`] is [`crate::decide::LeadStatus::Queued`].
    async fn waiting(&self, scope: Scope, after: Option<LeadId>, limit: u32) -> Result<Vec<LeadId>>;

    /// A lead with its state and first capture.
    async fn lead(&self, workspace: WorkspaceId, lead: LeadId) -> Result<Option<LeadRecord>>;

    /// One delivery.
    async fn delivery(&self, workspace: WorkspaceId, delivery: DeliveryId) -> Result<Option<Delivery>>;

    /// All deliveries of a lead, in the order of their ids.
    async fn deliveries_of(&self, workspace: WorkspaceId, lead: LeadId) -> Result<Vec<Delivery>>;

    /// The delivery that a receipt or a pressed button names.
    ///
    /// # Behavior
    /// * The provider's id of each part of a split text finds it, not only that of the last one.
    async fn find_delivery(
        &self,
        channel: ChannelId,
        message: &crate::channel::MessageReference,
    ) -> Result<Option<Delivery>>;

    /// The parts of a split text that the provider has accepted, by index; none where the text was not split.
    async fn parts_of(&self, delivery: DeliveryId) -> Result<Vec<SentPart>>;

    /// Makes a delivery that has failed, expired or is ambiguous due at once, with a new lifetime.
    ///
    /// # Behavior
    /// * What was ambiguous stays [`Delivery::uncertain`]: it may have arrived, whatever becomes of the new attempts.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`]; [`crate::ErrorKind::Conflict`] where it has not ended so.
    async fn retry(
        &self,
        workspace: WorkspaceId,
        delivery: DeliveryId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Delivery>;

    /// What a channel has failed to deliver, at most `limit` deliveries, oldest first; those after `after` in that order.
    ///
    /// # Behavior
    /// * The order is that of the moments at which they were asked for, and then of their ids.
    async fn lost(
        &self,
        workspace: WorkspaceId,
        recovery: Recovery,
        after: Option<(Timestamp, DeliveryId)>,
        limit: u32,
    ) -> Result<Vec<Delivery>>;

    /// Records a receipt that no decision follows from. One that a decision follows from is recorded with it:
    /// [`Transition::receipt`].
    ///
    /// # Behavior
    /// * Changes the delivery where [`DeliveryState::is_changed_by`] says so; a lease on it ends then.
    /// * Answers the state afterwards, and whether this call changed it.
    /// * Of a [`Receipt::part`] it is recorded that it has arrived; the delivery has once all its parts are sent and each
    ///   of them has. A part that has failed fails the delivery.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] where there is no such delivery.
    async fn record_receipt(&self, receipt: Receipt) -> Result<(DeliveryState, bool)>;

    /// Keeps what a provider sent until it has been acted upon.
    ///
    /// # Behavior
    /// * Events that this channel has brought before (by `provider_event_id`) are left out of the answer.
    /// * The cursor is stored in the same transaction.
    /// * New records are leased with [`InboundBatch::lease`], so that whoever has recorded them acts upon them at once
    ///   and nobody else does before the lease has run out.
    async fn record_inbound(&self, batch: InboundBatch) -> Result<Vec<InboundRecord>>;

    /// Marks an inbound event as acted upon: it needs no (further) action.
    async fn finish_inbound(&self, inbound: InboundRef) -> Result<()>;

    /// Gives an inbound event that could not be acted upon back: it can be claimed again at `due_at`.
    ///
    /// # Behavior
    /// * Changes nothing where the event is not leased with `token` any more, or was acted upon.
    async fn put_off_inbound(&self, inbound: InboundRef, token: LeaseToken, due_at: Timestamp) -> Result<()>;

    /// The leads of a workspace that were captured, once or again, with one of these addresses. Reads all captures of
    /// the workspace.
    async fn leads_of(&self, workspace: WorkspaceId, person: &PersonAddresses) -> Result<Vec<LeadId>>;

    /// Takes a person's data out of everything that is stored, in one transaction.
    ///
    /// # Behavior
    /// * Of the leads named: their events ([`Event::erase`]) and deliveries ([`DeliverySpec::erase`]), and the unique keys
    ///   that they hold. Of the person named: deliveries of no lead, inbound events, links of identities, and the addresses of suppressions, which themselves hold on.
    /// * A delivery that lost what it needs is not sent: it ends as [`DeliveryState::Cancelled`] with the reason `erased`, or is
    ///   [`Delivery::unwanted`] where it is just being sent.
    /// * A row that cannot be read loses all that it says.
    /// * What was deleted or replaced leaves no copy in the store's files: see [`Erased::log_emptied`].
    /// * Idempotent.
    ///
    /// [`DeliverySpec::erase`]: crate::delivery::DeliverySpec::erase
    async fn erase(&self, erasure: Erasure) -> Result<Erased>;

    /// Where polling of a channel goes on.
    async fn poll_cursor(&self, channel: ChannelId) -> Result<Option<String>>;

    /// What time it is by the store's own clock; `None` for a store that has none, because all that use it run on one
    /// machine.
    ///
    /// # Behavior
    /// * Engines put their clocks right by it when they are built and whenever they catch up, so that leases and due moments
    ///   mean the same to all, though the clocks of their machines are minutes apart.
    /// * An engine's moments are wrong by what its clock was put forward or back since: a store with a clock of its own claims
    ///   work and ends leases by that, and counts the length of a lease from there.
    async fn time(&self) -> Result<Option<Timestamp>>;
}

/// What is erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Whose.
    pub workspace_id: WorkspaceId,
    /// The leads.
    pub leads: Vec<LeadId>,
    /// The person.
    pub person: PersonAddresses,
    /// When.
    pub at: Timestamp,
}

/// What [`Store::erase`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Erased {
    /// Leads whose history was changed.
    pub leads: u64,
    /// Deliveries that have lost an address or a text.
    pub deliveries: u64,
    /// Inbound events that were deleted.
    pub inbound: u64,
    /// Links between accounts and phone numbers that were deleted.
    pub links: u64,
    /// Suppressions and moved addresses that have lost their address.
    pub addresses: u64,
    /// Whether no log that stands beside the main file holds an older copy. Where a reader was in the way, it is
    /// overwritten as work goes on.
    pub log_emptied: bool,
}

/// A decision to be applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// Whose lead.
    pub scope: Scope,
    /// Its source.
    pub source_id: SourceId,
    /// The lead: a new one, or the one whose state changes.
    pub lead_id: LeadId,
    /// What must still be true.
    pub guard: Guard,
    /// The id under which the event is kept. For a new lead it is the lead's own UUID.
    pub event_id: EventId,
    /// What happened.
    pub event: Event,
    /// Who made it happen.
    pub actor: Actor,
    /// When it was decided.
    pub at: Timestamp,
    /// Why it was decided so. Names the policy, which the lead is pinned to from then on.
    pub trace: Trace,
    /// The state after the decision. Ignored with [`Guard::Append`].
    pub state: LeadState,
    /// Deliveries to be made.
    pub deliveries: Vec<NewDelivery>,
    /// Whether offers of the lead that are under way are unwanted from now on. Those that are pending end: as
    /// `cancelled`, or as `ambiguous` with the reason `outcome_unknown` where an earlier attempt may have arrived.
    /// Those that are being sent or asked about are not made due again: see [`Store::settle`].
    pub cancel_offers: bool,
    /// Delivery that is tried again.
    pub revive: Option<Revival>,
    /// Whether all timers of the lead are cleared, before new ones are set.
    pub clear_timers: bool,
    /// Timers to be set; one replaces another of the same name.
    pub timers: Vec<NewTimer>,
    /// What nobody else may have.
    pub reservations: Vec<Reservation>,
    /// Postings of the workspace's ledger that are made with the decision, or not at all.
    pub postings: Vec<Posting>,
    /// The caller's idempotency key, and the answer to repeat.
    pub idempotency: Option<IdempotencyRecord>,
    /// The end of a delivery that is the event, recorded in the same transaction.
    pub settlement: Option<Settlement>,
    /// The receipt that is the event, recorded in the same transaction.
    pub receipt: Option<Receipt>,
    /// The inbound event that is acted upon.
    pub inbound: Option<InboundRef>,
    /// The timer that fired, cleared in the same transaction. Guarded by its lease token.
    pub fired: Option<(TimerId, LeaseToken)>,
}

impl Transition {
    /// The first decision about a new lead, which asks for nothing: no deliveries, timers or reservations. The event
    /// is kept under the lead's own UUID, as something that the visitor did.
    pub fn new_lead(
        scope: Scope,
        source_id: SourceId,
        lead_id: LeadId,
        event: Event,
        at: Timestamp,
        trace: Trace,
        state: LeadState,
    ) -> Self {
        Self {
            scope,
            source_id,
            lead_id,
            guard: Guard::New,
            event_id: EventId::from_uuid(lead_id.as_uuid()),
            event,
            actor: Actor::Visitor,
            at,
            trace,
            state,
            deliveries: Vec::new(),
            cancel_offers: false,
            revive: None,
            clear_timers: false,
            timers: Vec::new(),
            reservations: Vec::new(),
            postings: Vec::new(),
            idempotency: None,
            settlement: None,
            receipt: None,
            inbound: None,
            fired: None,
        }
    }
}

/// What must still be true of the lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// It does not exist.
    New,
    /// Its state has this version.
    Version(u64),
    /// It exists; the event is added to its history and its state stays.
    Append,
}

/// Something that only one lead may have, or only so many.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reservation {
    /// A counter goes up, where it stays within its limit, or down. At most one of a transition's
    /// reservations names a counter.
    Counter {
        /// Which.
        id: CounterId,
        /// By how much. It never goes below 0.
        amount: i64,
        /// Its highest value: checked where `amount` is above 0.
        limit: Option<i64>,
        /// What is noted with it, instead of what was noted before.
        note: Option<String>,
        /// From which moment on it is 0 again and may be forgotten; `None` leaves that as it was.
        until: Option<Timestamp>,
    },
    /// No other lead may hold the key before `until`.
    Unique {
        /// The key.
        key: UniqueKey,
        /// When it is free again.
        until: Timestamp,
    },
}

/// A timer to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewTimer {
    /// Its id.
    pub id: TimerId,
    /// Its name within the lead.
    pub name: TimerName,
    /// Its moment.
    pub due_at: Timestamp,
}

/// A caller's idempotency key within a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// SHA-256 of the key, first 16 bytes.
    pub key: [u8; 16],
    /// SHA-256 of the request, first 16 bytes: the same key with another request is refused.
    pub request: [u8; 16],
    /// What is answered, now and on every repetition.
    pub answer: CaptureAnswer,
    /// When the key is forgotten.
    pub until: Timestamp,
}

/// What a caller is told of a capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CaptureAnswer {
    /// The lead; for a duplicate the one that was there before.
    pub lead_id: LeadId,
    /// What was decided.
    #[serde(flatten)]
    pub verdict: CaptureVerdict,
}

/// What was decided upon a capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum CaptureVerdict {
    /// Taken in.
    Accepted,
    /// Belongs to a lead that was there before.
    Duplicate,
    /// Refused by a rule of the policy.
    Rejected {
        /// Stable machine-readable reason.
        code: String,
    },
}

/// The answer to [`Store::commit`].
#[derive(Debug, Clone, PartialEq)]
pub enum CommitOutcome {
    /// Everything is on disk.
    Applied,
    /// Nothing was changed.
    Refused(Refusal),
}

/// Why a transition was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Another transition of the same group stands in the way; commit again.
    Contended,
    /// The lead's version has moved, or a new lead exists already; read it and decide again.
    Stale,
    /// Another lead holds a unique key; decide again knowing so.
    Duplicate(LeadId),
    /// A counter would go beyond its limit; decide again knowing its value.
    CapFull {
        /// Which.
        id: CounterId,
        /// What it says, those of this group who came before included.
        counter: Counter,
    },
    /// The idempotency key was used for the same request: repeat the answer.
    Replayed(CaptureAnswer),
    /// The idempotency key was used for another request.
    KeyReused,
    /// The receipt changes nothing any more.
    ReceiptStale,
    /// The inbound event was acted upon before.
    InboundDone,
    /// The delivery to be revived has not ended as failed, expired or ambiguous.
    NotRevivable,
    /// The settled delivery or fired timer is leased to somebody else, or to nobody.
    LeaseLost,
    /// An account would go below what its credit allows.
    Short {
        /// Which.
        account: AccountId,
        /// What could be taken from it: its balance and its credit, those of this group and of this commit who came before
        /// included. Below zero only where [`Ledger::set_credit`](super::Ledger::set_credit) was refused.
        available: Money,
    },
    /// Another posting is stored under this id.
    PostingReused(PostingId),
    /// A posting cannot be made as the ledger stands.
    Unpostable {
        /// Which.
        posting: PostingId,
        /// What of it cannot be, such as `postings[0].entries[1].account`.
        field: String,
        /// Why.
        fault: PostingFault,
    },
}

/// What is asked of [`Store::claim`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The present moment.
    pub now: Timestamp,
    /// The lease to take.
    pub lease: Lease,
    /// The channels that have room.
    pub channels: Vec<ChannelRoom>,
    /// How many timers can be taken.
    pub timers: u32,
    /// How many inbound events can be taken.
    pub inbound: u32,
}

/// How many deliveries of one channel can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelRoom {
    /// The channel.
    pub channel_id: ChannelId,
    /// How many in all.
    pub limit: u32,
    /// At most how many of them are receipts that are owed. These get what the others leave.
    pub checks: u32,
    /// How many of those come before everything else, so that a channel that is never idle asks for its receipts
    /// too.
    pub checks_first: u32,
}

impl ChannelRoom {
    /// Room for `limit` deliveries of any kind, receipts that are owed last.
    pub const fn new(channel_id: ChannelId, limit: u32) -> Self {
        Self { channel_id, limit, checks: limit, checks_first: 0 }
    }
}

/// The answer to [`Store::next_due`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NextDue {
    /// Next moment of each channel that has open work, in no order.
    pub channels: Vec<(ChannelId, Timestamp)>,
    /// Next moment of all timers and all inbound events.
    pub others: Option<Timestamp>,
}

impl NextDue {
    /// Returns the earliest of all moments.
    pub fn earliest(&self) -> Option<Timestamp> {
        self.channels.iter().map(|(_, moment)| *moment).chain(self.others).min()
    }
}

/// What [`Store::claim`] leased.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Claimed {
    /// Deliveries.
    pub deliveries: Vec<LeasedDelivery>,
    /// Timers.
    pub timers: Vec<LeasedTimer>,
    /// Inbound events that are to be acted upon, oldest first.
    pub inbound: Vec<LeasedInbound>,
}

/// A timer under a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeasedTimer {
    /// Its id.
    pub id: TimerId,
    /// Whose lead.
    pub scope: Scope,
    /// The lead.
    pub lead_id: LeadId,
    /// Its name.
    pub name: TimerName,
    /// Its moment.
    pub due_at: Timestamp,
    /// The lease.
    pub token: LeaseToken,
}

/// What a provider reports of a message that it had accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which delivery.
    pub delivery_id: DeliveryId,
    /// What is reported: [`DeliveryState::Delivered`] or [`DeliveryState::Failed`].
    pub state: DeliveryState,
    /// Why it failed: a stable code.
    pub reason: Option<String>,
    /// Index of the part of a split text that it is about; `None` where it is about the whole message. The same as in
    /// [`Self::attempt`].
    pub part: Option<u32>,
    /// For the record.
    pub attempt: Attempt,
}

/// Delivery that has failed, expired or is ambiguous, and is tried again.
///
/// # Behavior
/// * It is due at the moment of the decision, with a new schedule and without a lease. What was ambiguous stays
///   [`Delivery::uncertain`]. It is wanted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revival {
    /// Which one.
    pub delivery_id: DeliveryId,
    /// Not after this moment.
    pub expires_at: Timestamp,
}

/// What became of a leased delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// Which one.
    pub delivery_id: DeliveryId,
    /// The lease under which it was worked on.
    pub token: LeaseToken,
    /// The moment.
    pub at: Timestamp,
    /// Where it stands now.
    pub outcome: Settled,
    /// For the record; absent where nothing was attempted.
    pub attempt: Option<Attempt>,
    /// Pause of the channel, where its account is at fault.
    pub pause: Option<AccountPause>,
}

/// Pause of a channel whose account is at fault, and what its owners are told.
///
/// # Behavior
/// * Applied with the settlement, in one transaction. Where the channel is paused already nothing is changed and nobody
///   is told once more.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountPause {
    /// The channel.
    pub channel_id: ChannelId,
    /// Why: the code of the error.
    pub reason: String,
    /// Messages to the owners, over other channels.
    pub notices: Vec<NewDelivery>,
}

/// Where a delivery stands after work on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It has ended. Where it is [`DeliveryState::Sent`] or [`DeliveryState::Delivered`], the part of the settlement's
    /// attempt counts as accepted too.
    Ended {
        /// A terminal state.
        state: DeliveryState,
        /// Why: a stable code.
        reason: Option<String>,
        /// The provider's id, where known.
        provider_message_id: Option<String>,
    },
    /// It is tried again.
    Retry {
        /// When.
        due_at: Timestamp,
        /// Why: a stable code.
        reason: String,
        /// Whether an attempt that was begun counts against the schedule.
        counted: bool,
        /// How many parts of a split text the provider has accepted so far.
        parts_sent: u32,
        /// Whether an earlier attempt may have arrived all the same; the next one says so by its key.
        uncertain: bool,
    },
    /// The provider owes a receipt, or must be asked about an unknown outcome.
    Await {
        /// When to ask.
        check_at: Timestamp,
        /// The provider's id, where known.
        provider_message_id: Option<String>,
        /// Whether it is unknown that the provider has the message at all.
        uncertain: bool,
        /// How many parts of a split text the provider has accepted so far.
        parts_sent: u32,
        /// Whether those behind it in its order wait for it no longer: it leaves the order, whatever becomes of it.
        frees_order: bool,
    },
}

impl Settled {
    /// Whether this outcome of the last attempt, learned after its lease, says more than what others have found out
    /// meanwhile about a delivery that stands in `state`.
    pub const fn is_news_of(&self, state: DeliveryState, uncertain: bool) -> bool {
        let certain = !matches!(self, Self::Retry { .. } | Self::Await { uncertain: true, .. });
        match state {
            DeliveryState::Sending => true,
            DeliveryState::AwaitingReceipt => uncertain && certain,
            DeliveryState::Ambiguous => certain,
            _ => false,
        }
    }
}

/// The answer to [`Store::settle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettleOutcome {
    /// On disk.
    Settled,
    /// Leased to somebody else, or to nobody; nothing was changed.
    LeaseLost,
}

/// A lead as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct LeadRecord {
    /// Its id.
    pub id: LeadId,
    /// Whose it is.
    pub scope: Scope,
    /// Its source.
    pub source_id: SourceId,
    /// When it was captured.
    pub created_at: Timestamp,
    /// The policy version that decided last ([`Transition::trace`]), and decides on.
    pub policy: PolicyRef,
    /// What was captured first.
    pub capture: Capture,
    /// Where it stands.
    pub state: LeadState,
}

impl LeadRecord {
    /// The project that the lead belongs to.
    pub const fn project_id(&self) -> ProjectId {
        self.scope.project_id
    }
}
