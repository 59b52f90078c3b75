//! Stands between the engine and the store: lets it wait, fail and be cut off at every call, and checks
//! what both say against the second account.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use fastlead_core::channel::MessageReference;
use fastlead_core::decide::{Counter, CounterId, LeadStatus, UniqueKey};
use fastlead_core::delivery::{Delivery, DeliveryState, NewDelivery, Scope};
use fastlead_core::erasure::PersonAddresses;
use fastlead_core::id::{ChannelId, DeliveryId, LeadId, LeaseToken, WorkspaceId};
use fastlead_core::parts::SentPart;
use fastlead_core::port::{
    BeginOutcome, Beginning, ChannelStatus, ClaimRequest, Claimed, CommitOutcome, Erased, Erasure,
    InboundBatch, InboundRecord, InboundRef, LeadRecord, LeaseAnswer, Leases, NamedLease, NextDue, Receipt,
    Recovery, Refusal, Revival, SetAside, SettleOutcome, Settlement, Store, Transition,
};
use fastlead_core::time::{Clock, Timestamp};
use fastlead_core::{Error, ErrorKind, Result, RetryHint, async_trait};

use tokio::sync::Notify;

use super::chance::Chance;
use super::people;
use super::world::World;
use crate::conformance::store::FullStore;

/// A store that is watched, as one engine sees it.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    pub store: Arc<dyn FullStore>,
    pub world: Arc<World>,
    pub chance: Arc<Mutex<Chance>>,
    pub gate: Arc<Gate>,
    /// By which name the engine takes leases.
    pub holder: Arc<OnceLock<LeaseToken>>,
    /// What goes wrong where rates are asked.
    pub rates: Arc<Mutex<Chance>>,
}

/// Whether an engine goes on. One that stands still does so at its next call of the store.
#[derive(Debug)]
pub(super) struct Gate {
    open: AtomicBool,
    opened: Notify,
}

impl Gate {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { open: AtomicBool::new(true), opened: Notify::new() })
    }

    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
    }

    pub(super) fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
        self.opened.notify_waiters();
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) async fn pass(&self) {
        while !self.is_open() {
            self.opened.notified().await;
        }
    }
}

impl Watch {
    pub(super) fn new(store: Arc<dyn FullStore>, world: &Arc<World>) -> Self {
        let chance = Arc::new(Mutex::new(Chance::new(world.setting.seed, "store")));
        let rates = Arc::new(Mutex::new(Chance::new(world.setting.seed, "rates")));
        Self { store, world: Arc::clone(world), chance, gate: Gate::new(), holder: Arc::default(), rates }
    }

    fn draw(&self, below: u64) -> u64 {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner).below(below)
    }

    /// Lets others go on for a while: here the process may die. Where something is broken, nobody goes on.
    pub(super) async fn turn(&self) {
        if self.world.is_stopped() {
            std::future::pending::<()>().await;
        }
        if self.world.setting.quiet {
            return;
        }
        for _ in 0..self.draw(3) {
            tokio::task::yield_now().await;
        }
        self.gate.pass().await;
    }

    /// The same store for another engine.
    pub(super) fn of_another(&self) -> Self {
        Self { gate: Gate::new(), holder: Arc::default(), ..self.clone() }
    }

    /// Fails now and then, before or after the work was done.
    fn trouble(&self, retry: RetryHint, operation: &'static str) -> Result<()> {
        if self.draw(100) >= self.world.setting.store_trouble {
            return Ok(());
        }
        self.world.note(format_args!("the store fails in {operation}"));
        Err(Error::new(ErrorKind::Storage, "as the simulation has it")
            .with_retry(retry)
            .with_operation(operation))
    }

    /// A settlement may have paused its channel.
    fn paused(&self, settlement: &Settlement) {
        let Some(pause) = &settlement.pause else { return };
        let status = ChannelStatus::Paused { reason: pause.reason.clone(), since: settlement.at };
        if !self.world.model().has_status(pause.channel_id, &status, self.now()) {
            return;
        }
        self.world.note(format_args!("{} paused: {}", pause.channel_id, pause.reason));
        for notice in &pause.notices {
            let checked = self.world.model().added(notice);
            self.world.check(checked);
        }
        people::account_at_fault(&self.world, pause.channel_id);
    }

    /// The answer of a store, as one step.
    pub(super) fn at_once<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        match self.world.patience.wait(call) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => {
                self.world.broken(format!("the store fails by itself: {error}"));
                Err(error)
            }
            None => {
                self.world.broken("the store does not answer at once, and nobody waits for it");
                Err(Error::new(ErrorKind::Storage, "the store does not answer at once"))
            }
        }
    }
}

#[async_trait]
impl Store for Watch {
    async fn commit(&self, mut transition: Transition) -> Result<CommitOutcome> {
        if let Some(bend) = self.world.setting.bend {
            bend(&mut transition);
        }
        self.turn().await;
        self.trouble(RetryHint::Never, "commit")?;
        let outcome = self.at_once(self.store.commit(transition.clone()))?;
        let (lead, kind) = (transition.lead_id, transition.event.kind());
        match &outcome {
            CommitOutcome::Applied => {
                let status = transition.state.status.as_str();
                self.world.note(format_args!("{lead} {kind} -> {status}{}", Told(&transition)));
            }
            CommitOutcome::Refused(refusal) => {
                let refused = match refusal {
                    Refusal::CapFull { id, counter } => {
                        let model = self.world.model();
                        let key = model.key(*id).map(ToString::to_string);
                        format!("`{}` is full at {}", key.unwrap_or_default(), counter.value)
                    }
                    other => format!("{other:?}"),
                };
                self.world.note(format_args!("{lead} {kind} refused: {refused}"));
            }
        }
        self.world.model().reaches(&transition, &outcome);
        let checked = self.world.model().committed(&transition, &outcome);
        self.world.check(checked);
        if outcome == CommitOutcome::Applied {
            people::heard(&self.world, &transition);
            transition.settlement.iter().for_each(|settlement| self.paused(settlement));
        }
        self.trouble(RetryHint::UNKNOWN, "commit")?;
        self.turn().await;
        Ok(outcome)
    }

    async fn settle(&self, settlement: Settlement) -> Result<SettleOutcome> {
        self.turn().await;
        self.trouble(RetryHint::Never, "settle")?;
        let outcome = self.at_once(self.store.settle(settlement.clone()))?;
        self.world
            .note(format_args!("settle {}: {:?} {outcome:?}", settlement.delivery_id, settlement.outcome));
        if outcome == SettleOutcome::Settled {
            self.world.model().reaches_end(&settlement);
            let checked = self.world.model().settled(&settlement);
            self.world.check(checked);
            self.paused(&settlement);
        }
        self.trouble(RetryHint::UNKNOWN, "settle")?;
        self.turn().await;
        Ok(outcome)
    }

    async fn begin(&self, beginning: Beginning) -> Result<BeginOutcome> {
        self.turn().await;
        self.trouble(RetryHint::Never, "begin")?;
        let outcome = self.at_once(self.store.begin(beginning))?;
        if outcome == BeginOutcome::Begun {
            let checked = self.world.model().begun(&beginning);
            self.world.check(checked);
        }
        self.trouble(RetryHint::UNKNOWN, "begin")?;
        self.turn().await;
        Ok(outcome)
    }

    async fn enqueue(&self, deliveries: Vec<NewDelivery>) -> Result<()> {
        self.turn().await;
        self.trouble(RetryHint::Never, "enqueue")?;
        self.at_once(self.store.enqueue(deliveries.clone()))?;
        for delivery in &deliveries {
            let checked = self.world.model().added(delivery);
            self.world.check(checked);
        }
        self.turn().await;
        Ok(())
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claimed> {
        self.turn().await;
        self.trouble(RetryHint::Never, "claim")?;
        let (now, lease) = (request.now, request.lease);
        if now > self.world.now() {
            self.world.broken(format!("an engine claims what is due at {now}, which is still to come"));
        }
        let mut claimed = self.at_once(self.store.claim(request))?;
        // In one order, because none is promised within one answer.
        claimed.deliveries.sort_by_key(|leased| leased.delivery.id);
        claimed.timers.sort_by_key(|leased| leased.id);
        for leased in &claimed.deliveries {
            self.world.note(format_args!("claim {} for {:?}", leased.delivery.id, leased.phase));
            let checked = self.world.model().leased(leased, now);
            self.world.check(checked);
        }
        for leased in &claimed.timers {
            self.world.note(format_args!("claim {:?} of {}", leased.name, leased.lead_id));
            let checked = self.world.model().timer_leased(leased, lease, now);
            self.world.check(checked);
        }
        for leased in &claimed.inbound {
            self.world.note(format_args!("claim event `{}`", leased.record.event.provider_event_id));
            let checked = self.world.model().event_leased(leased, lease, now);
            self.world.check(checked);
        }
        self.trouble(RetryHint::UNKNOWN, "claim")?;
        self.turn().await;
        Ok(claimed)
    }

    async fn set_aside(&self, workspace: Option<WorkspaceId>, work: SetAside, because: &str) -> Result<()> {
        self.world.broken(format!("something that was stored cannot be read: {because}"));
        self.at_once(self.store.set_aside(workspace, work, because))
    }

    async fn next_due(&self, now: Timestamp, channels: &[ChannelId]) -> Result<NextDue> {
        self.at_once(self.store.next_due(now, channels))
    }

    async fn counters(&self, ids: Vec<CounterId>, now: Timestamp) -> Result<Vec<Counter>> {
        self.turn().await;
        self.trouble(RetryHint::Never, "counters")?;
        let said = self.at_once(self.store.counters(ids.clone(), now))?;
        let checked = self.world.model().counters_fit(&ids, &said, now);
        self.world.check(checked);
        self.turn().await;
        Ok(said)
    }

    async fn holder(&self, keys: Vec<UniqueKey>, now: Timestamp) -> Result<Option<LeadId>> {
        self.turn().await;
        self.at_once(self.store.holder(keys, now))
    }

    async fn waiting(&self, scope: Scope, after: Option<LeadId>, limit: u32) -> Result<Vec<LeadId>> {
        self.turn().await;
        self.trouble(RetryHint::Never, "waiting")?;
        let waiting = self.at_once(self.store.waiting(scope, after, limit))?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let right: Vec<LeadId> = {
            let model = self.world.model();
            let queued = model.leads.iter().filter(|(id, lead)| {
                lead.scope == scope && lead.state.status == LeadStatus::Queued && Some(**id) > after
            });
            queued.map(|(id, _)| *id).take(limit).collect()
        };
        if waiting != right {
            self.world.broken(format!("{waiting:?} are said to wait, and {right:?} do"));
        }
        self.turn().await;
        Ok(waiting)
    }

    async fn lead(&self, workspace: WorkspaceId, lead: LeadId) -> Result<Option<LeadRecord>> {
        self.turn().await;
        self.trouble(RetryHint::Never, "lead")?;
        self.at_once(self.store.lead(workspace, lead))
    }

    async fn delivery(&self, workspace: WorkspaceId, delivery: DeliveryId) -> Result<Option<Delivery>> {
        self.at_once(self.store.delivery(workspace, delivery))
    }

    async fn deliveries_of(&self, workspace: WorkspaceId, lead: LeadId) -> Result<Vec<Delivery>> {
        self.turn().await;
        self.at_once(self.store.deliveries_of(workspace, lead))
    }

    async fn find_delivery(
        &self,
        channel: ChannelId,
        message: &MessageReference,
    ) -> Result<Option<Delivery>> {
        self.turn().await;
        self.at_once(self.store.find_delivery(channel, message))
    }

    async fn retry(
        &self,
        workspace: WorkspaceId,
        delivery_id: DeliveryId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Delivery> {
        self.turn().await;
        self.trouble(RetryHint::Never, "retry")?;
        let due = self.store.retry(workspace, delivery_id, now, expires_at);
        // What has ended otherwise meanwhile is a conflict, and no fault of the store.
        let due = match self.world.patience.wait(due) {
            Some(Err(error)) if error.kind() == ErrorKind::Conflict => return Err(error),
            Some(answer) => self.at_once(std::future::ready(answer))?,
            None => return self.at_once(std::future::pending()),
        };
        let checked = self.world.model().revived(&Revival { delivery_id, expires_at }, now);
        self.world.check(checked);
        self.turn().await;
        Ok(due)
    }

    async fn lost(
        &self,
        workspace: WorkspaceId,
        recovery: Recovery,
        after: Option<(Timestamp, DeliveryId)>,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        self.turn().await;
        self.at_once(self.store.lost(workspace, recovery, after, limit))
    }

    async fn record_receipt(&self, receipt: Receipt) -> Result<(DeliveryState, bool)> {
        self.turn().await;
        self.trouble(RetryHint::Never, "record receipt")?;
        let answer = self.at_once(self.store.record_receipt(receipt.clone()))?;
        let checked = self.world.model().told(&receipt, answer.1, self.now());
        self.world.check(checked);
        self.turn().await;
        Ok(answer)
    }

    async fn record_inbound(&self, batch: InboundBatch) -> Result<Vec<InboundRecord>> {
        self.turn().await;
        self.trouble(RetryHint::Never, "record inbound")?;
        let lease = batch.lease;
        let new = self.at_once(self.store.record_inbound(batch))?;
        for record in &new {
            let checked = self.world.model().recorded(record.reference(), lease);
            self.world.check(checked);
        }
        self.trouble(RetryHint::UNKNOWN, "record inbound")?;
        self.turn().await;
        Ok(new)
    }

    async fn finish_inbound(&self, inbound: InboundRef) -> Result<()> {
        self.turn().await;
        self.trouble(RetryHint::Never, "finish inbound")?;
        self.at_once(self.store.finish_inbound(inbound.clone()))?;
        let checked = self.world.model().finished(&inbound);
        self.world.check(checked);
        self.turn().await;
        Ok(())
    }

    async fn put_off_inbound(&self, inbound: InboundRef, token: LeaseToken, due_at: Timestamp) -> Result<()> {
        self.turn().await;
        self.trouble(RetryHint::Never, "put off inbound")?;
        self.at_once(self.store.put_off_inbound(inbound.clone(), token, due_at))?;
        self.world.note(format_args!("`{}` is put off until {due_at}", inbound.provider_event_id));
        self.world.model().put_off(&inbound, token, due_at);
        self.turn().await;
        Ok(())
    }

    async fn leads_of(&self, workspace: WorkspaceId, person: &PersonAddresses) -> Result<Vec<LeadId>> {
        self.at_once(self.store.leads_of(workspace, person))
    }

    async fn erase(&self, erasure: Erasure) -> Result<Erased> {
        self.at_once(self.store.erase(erasure))
    }

    async fn parts_of(&self, delivery: DeliveryId) -> Result<Vec<SentPart>> {
        self.at_once(self.store.parts_of(delivery))
    }

    async fn time(&self) -> Result<Option<Timestamp>> {
        // Never in trouble: it is asked in all seeds alike.
        let told = !self.world.setting.untold_time;
        Ok(told.then(|| self.world.now()))
    }

    async fn poll_cursor(&self, channel: ChannelId) -> Result<Option<String>> {
        // The provider is asked next, and nothing is waited for before.
        let name = format!("poll:{channel}");
        let held = self.world.model().lease_is_held(&name, self.holder.get().copied(), self.now());
        self.world.check(held);
        self.at_once(self.store.poll_cursor(channel))
    }
}

impl Watch {
    pub(super) fn now(&self) -> Timestamp {
        self.world.clock.now()
    }
}

/// Who was offered a lead, and how much work a decision makes.
struct Told<'a>(&'a Transition);

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for offer in &self.0.state.offers {
            let how = match offer {
                offer if offer.declined => "declined",
                offer if offer.lapsed => "lapsed",
                offer if offer.alive == 0 => "lost",
                _ => "waits",
            };
            write!(f, ", {} {how}", offer.target)?;
        }
        match (self.0.deliveries.len(), self.0.timers.len()) {
            (0, 0) => Ok(()),
            (deliveries, timers) => write!(f, "; {deliveries} deliveries, {timers} timers"),
        }
    }
}

#[async_trait]
impl Leases for Watch {
    async fn take_lease(&self, lease: NamedLease) -> Result<LeaseAnswer> {
        self.turn().await;
        self.trouble(RetryHint::Never, "take_lease")?;
        let _same = self.holder.get_or_init(|| lease.holder);
        let answer = self.at_once(self.store.take_lease(lease.clone()))?;
        let checked = self.world.model().lease_taken(&lease, answer);
        self.world.check(checked);
        self.trouble(RetryHint::UNKNOWN, "take_lease")?;
        self.turn().await;
        Ok(answer)
    }

    async fn end_lease(&self, name: &str, holder: LeaseToken) -> Result<()> {
        self.at_once(self.store.end_lease(name, holder))?;
        self.world.model().lease_ended(name, holder);
        Ok(())
    }
}
