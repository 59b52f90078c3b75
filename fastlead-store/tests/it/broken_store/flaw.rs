//! A store with one flaw: everything goes to a good one, and one thing is done wrong on the way.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use fastlead_core::channel::{InboundEvent, MessageReference};
use fastlead_core::decide::{Counter, CounterId, LeadState, LeadStatus, UniqueKey};
use fastlead_core::delivery::{Delivery, DeliveryState, LeasedDelivery, NewDelivery, Scope};
use fastlead_core::erasure::PersonAddresses;
use fastlead_core::error::{Error, ErrorKind, Result};
use fastlead_core::id::{ChannelId, DeliveryId, LeadId, LeaseToken, WorkspaceId};
use fastlead_core::message::MessageClass;
use fastlead_core::parts::SentPart;
use fastlead_core::port::{
    BeginOutcome, Beginning, ChannelRoom, ClaimRequest, Claimed, CommitOutcome, Erased, Erasure, Guard,
    InboundBatch, InboundRecord, InboundRef, Journal as _, LeadFilter, LeadRecord, LeaseAnswer,
    LeasedInbound, Leases, Ledger as _, NamedLease, NextDue, PageRequest, Receipt, Recovery, Reservation,
    SetAside, SettleOutcome, Settled, Settlement, Store, Transition, UnreadableRow,
};
use fastlead_core::{async_trait, time::Timestamp};
use fastlead_store::MemoryStore;

macro_rules! flaws {
    ($($name:ident)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Flaw { $($name),* }

        impl Flaw {
            /// By number.
            pub(super) const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

flaws! {
    None
    IgnoresLeaseTokens
    ForgetsUniqueKeys
    ForgetsIdempotencyKeys
    ForgetsLimits
    KeepsWhatIsGivenBack
    RemembersWhatIsGivenBackLate
    ForgetsWhoWaits
    LosesDeliveries
    LeasesTwice
    AsksBeforeSending
    StarvesReceipts
    ForgetsOrder
    WaitsForReceipts
    NeverLeavesTheOrder
    SettlesBeforeDeciding
    SkipsTheVersion
    KeepsTheFirstPolicy
    FiresTimersAgain
    RetriesAtOnce
    DropsLateOutcomes
    RevivesTheUnwanted
    TellsNobodyOfAPause
    BeginsWhilePaused
    LumpsMoments
    LoadsEverybody
    SendsToTheSuppressed
    TakesEverythingForAdvertising
    ForgetsTheLifted
    ForgetsRemovals
    KeepsStatusToItself
    PausesInSilence
    PublishesInSilence
    TurnsChangesRound
    SkipsChanges
    ForgetsUnknownOutcomes
    BelievesLateFailures
    ReadsTwoMoments
    BelievesOnePart
    ForgetsPartIds
    BeginsNothing
    BeginsForAnybody
    KeepsTheShortLease
    DropsReceipts
    ForgetsTooMuch
    ForgetsSuppressions
    LetsAdvertisingIn
    LinksAgain
    KeepsTheFirstNumber
    KeepsLinks
    RepeatsEvents
    ActsTwice
    LeasesNoEvents
    ForgetsWhatIsPutOff
    SharesTheLimit
    ShowsEveryLead
    FindsOnEveryChannel
    SkipsBetweenPages
    MiscountsLeads
    ErasesLeadsOnly
    KeepsWhatIsErased
    ErasesEverybody
    OrdersByClock
    SkipsPositions
    ForgetsActors
    RecoversTheAmbiguous
    KeepsDrafts
    ForgetsDocuments
    ResumesWhenPut
    SealsOver
    ReplacesSettings
    KeepsRevokedKeys
    KeepsEndedSessions
    EndsTheKeptSession
    NotesNoUse
    ForgetsDisabledUsers
    ReplacesWhatHasChanged
    ForgetsEverythingOnRestart
    ForgetsTimers
    TracesByChance
    LengthensAuctions
    TurnsBidsRound
    ForgetsBids
    ReopensAuctions
    LosesNews
    ForgetsCursors
    FailsTheBatch
    HidesTheUnreadable
    NeverSetsAside
    BalancesTheUnbalanced
    PostsTwice
    TakesAnyForTheSame
    LeasesToAll
    EndsTheLeasesOfOthers
    KeepsLeases
    ForgetsRates
    RatesForEachEngine
    LumpsScopes
    LumpsKeys
    TakesByHalf
    WaitsTooShort
    BelievesClocksThatGoBack
    WaitsForWrongClocks
    ForgetsHolds
    ShortensHolds
    HoldsOneByOne
    ForgetsTheFloor
    LooksBeforePosting
    SwallowsFaults
    ReversesAnything
    ReopensAccounts
    KeepsCredit
    PostsBeforeDeciding
    DecidesBeforePosting
    PostsByHalf
    ShowsEveryAccount
    ListsOldestFirst
}

#[derive(Debug, Clone)]
pub(crate) struct BrokenStore {
    pub(super) inner: MemoryStore,
    pub(super) flaw: Flaw,
    pub(super) seen: Arc<Mutex<Seen>>,
}

/// What a flaw needs to know of what went by.
#[derive(Debug, Default)]
pub(super) struct Seen {
    tokens: HashMap<DeliveryId, LeaseToken>,
    owners: HashMap<LeadId, WorkspaceId>,
    last_claimed: Option<LeasedDelivery>,
    last_event: Option<LeasedInbound>,
    commits: u64,
    pub(super) claims: Vec<Vec<ChannelId>>,
    pub(super) channels: Vec<ChannelId>,
    pub(super) keys: Vec<fastlead_core::port::ApiKeyRecord>,
    pub(super) settings: HashMap<String, Vec<u8>>,
    damaged: HashSet<DeliveryId>,
    pub(super) money: super::money::Seen,
    pub(super) rates: super::rates::Seen,
    /// Leads that are gone, though their timers are not.
    gone: HashSet<LeadId>,
    /// Where it is closed, nobody learns which delivery a message belongs to.
    gate: Option<Arc<tokio::sync::Semaphore>>,
}

/// What a provider calls a message that this store cannot look for.
pub(crate) const LOST_PAGE: &str = "lost-page";

impl BrokenStore {
    pub(crate) fn new(flaw: Flaw) -> Self {
        Self { inner: MemoryStore::new(), flaw, seen: Arc::default() }
    }

    /// The channels that each claim has named.
    pub(crate) fn claims(&self) -> Vec<Vec<ChannelId>> {
        self.seen.lock().unwrap().claims.clone()
    }

    pub(super) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    /// Memory has no rows that could be damaged: these are taken for such.
    pub(super) fn damage(&self, delivery: DeliveryId) {
        self.seen.lock().unwrap().damaged.insert(delivery);
    }

    /// Takes a lead away and leaves its timers.
    pub(crate) fn lose(&self, lead: LeadId) {
        self.seen.lock().unwrap().gone.insert(lead);
    }

    /// Lets everybody wait who asks which delivery a message belongs to, until the gate gets permits.
    pub(crate) fn close_the_gate(&self) -> Arc<tokio::sync::Semaphore> {
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        self.seen.lock().unwrap().gate = Some(Arc::clone(&gate));
        gate
    }

    /// The row of a delivery that counts as damaged.
    pub(super) fn unread(&self, delivery: &Delivery) -> Option<UnreadableRow> {
        let damaged = self.seen.lock().unwrap().damaged.contains(&delivery.id);
        let row = || UnreadableRow::new("deliveries", delivery.id.to_string(), "deliveries.spec");
        damaged.then(|| row().of(Some(delivery.scope.workspace_id)))
    }

    /// What is claimed without what cannot be read, which is set aside.
    async fn without_unread(&self, mut claimed: Claimed) -> Result<Claimed> {
        for leased in std::mem::take(&mut claimed.deliveries) {
            let Some(row) = self.unread(&leased.delivery) else {
                claimed.deliveries.push(leased);
                continue;
            };
            if self.has(Flaw::FailsTheBatch) {
                return Err(row.into());
            }
            let work = SetAside::Delivery(leased.delivery.id, leased.lease.token);
            self.inner.set_aside(row.workspace_id, work, &row.column).await?;
        }
        Ok(claimed)
    }

    fn added(&self, deliveries: &mut [NewDelivery]) {
        let mut seen = self.seen.lock().unwrap();
        for delivery in deliveries {
            seen.tokens.extend(delivery.lease.map(|lease| (delivery.id, lease.token)));
            if self.has(Flaw::ForgetsOrder) {
                delivery.order_key = None;
            }
        }
    }

    /// What is stored of an auction is read as something else.
    fn misread(&self, state: &mut LeadState) {
        let Some(auction) = &mut state.auction else { return };
        match self.flaw {
            Flaw::LengthensAuctions => auction.ends_at += TimeDelta::hours(1),
            Flaw::TurnsBidsRound => {
                let amounts: Vec<_> = auction.bids.iter().rev().map(|bid| bid.bid).collect();
                for (bid, amount) in auction.bids.iter_mut().zip(amounts) {
                    bid.bid = amount;
                }
            }
            Flaw::ForgetsBids => auction.bids.clear(),
            Flaw::ReopensAuctions if auction.closed && state.sales.is_empty() => {
                auction.closed = false;
                state.status = LeadStatus::Auction;
            }
            _ => {}
        }
    }

    fn worsen(&self, settlement: &mut Settlement) {
        if self.has(Flaw::IgnoresLeaseTokens)
            && let Some(token) = self.seen.lock().unwrap().tokens.get(&settlement.delivery_id)
        {
            settlement.token = *token;
        }
        if self.has(Flaw::TellsNobodyOfAPause) {
            settlement.pause.iter_mut().for_each(|pause| pause.notices.clear());
        }
        if self.has(Flaw::RetriesAtOnce)
            && let Settled::Retry { due_at, .. } = &mut settlement.outcome
        {
            *due_at = settlement.at;
        }
        if self.has(Flaw::WaitsForReceipts)
            && let Settled::Await { uncertain, .. } = &mut settlement.outcome
        {
            *uncertain = true;
        }
        if self.has(Flaw::NeverLeavesTheOrder)
            && let Settled::Await { frees_order, .. } = &mut settlement.outcome
        {
            *frees_order = false;
        }
        if self.has(Flaw::ForgetsUnknownOutcomes)
            && let Settled::Retry { uncertain, .. } = &mut settlement.outcome
        {
            *uncertain = false;
        }
    }
}

#[async_trait]
impl Store for BrokenStore {
    async fn commit(&self, mut transition: Transition) -> Result<CommitOutcome> {
        self.added(&mut transition.deliveries);
        let scope = transition.scope;
        let asked = std::mem::take(&mut transition.postings);
        let (workspace, postings) = match self.before_posting(scope.workspace_id, asked).await? {
            Ok(worsened) => worsened,
            Err(answer) => return Ok(answer),
        };
        let mut after = Vec::new();
        match self.flaw {
            Flaw::PostsBeforeDeciding if !postings.is_empty() => {
                let outcome = self.inner.post(workspace, postings).await?;
                if outcome != CommitOutcome::Applied {
                    return Ok(outcome);
                }
            }
            Flaw::DecidesBeforePosting => after = postings,
            _ => transition.postings = postings,
        }
        if transition.guard == Guard::New {
            self.seen.lock().unwrap().owners.insert(transition.lead_id, transition.scope.workspace_id);
        }
        if let Some(settlement) = &mut transition.settlement {
            self.worsen(settlement);
        }
        match self.flaw {
            Flaw::ForgetsUniqueKeys => {
                transition.reservations.retain(|taken| !matches!(taken, Reservation::Unique { .. }));
            }
            Flaw::ForgetsLimits => {
                for reservation in &mut transition.reservations {
                    if let Reservation::Counter { limit, .. } = reservation {
                        *limit = None;
                    }
                }
            }
            Flaw::KeepsWhatIsGivenBack => transition
                .reservations
                .retain(|taken| !matches!(taken, Reservation::Counter { amount, .. } if *amount < 0)),
            Flaw::RemembersWhatIsGivenBackLate => {
                for reservation in &mut transition.reservations {
                    if let Reservation::Counter { amount: ..0, note, .. } = reservation {
                        *note = Some(String::new());
                    }
                }
            }
            Flaw::ForgetsIdempotencyKeys => transition.idempotency = None,
            Flaw::LosesDeliveries => drop(transition.deliveries.pop()),
            Flaw::FiresTimersAgain => transition.fired = None,
            Flaw::ForgetsTimers => drop(transition.timers.pop()),
            Flaw::TracesByChance => {
                // As if the decision had looked at something that is not among its arguments.
                let mut seen = self.seen.lock().unwrap();
                seen.commits += 1;
                if seen.commits.is_multiple_of(3) {
                    drop(transition.trace.steps.pop());
                }
            }
            Flaw::ActsTwice => transition.inbound = None,
            Flaw::DropsReceipts => transition.receipt = None,
            Flaw::SettlesBeforeDeciding => {
                if let Some(settlement) = transition.settlement.take() {
                    self.inner.settle(settlement).await?;
                }
            }
            Flaw::SkipsTheVersion => {
                let lead = self.inner.lead(transition.scope.workspace_id, transition.lead_id).await?;
                if let (Guard::Version(version), Some(lead)) = (&mut transition.guard, lead) {
                    *version = lead.state.version;
                }
            }
            _ => {}
        }
        let outcome = self.inner.commit(transition).await?;
        if outcome == CommitOutcome::Applied && !after.is_empty() {
            return self.inner.post(workspace, after).await;
        }
        Ok(self.after_posting(outcome))
    }

    async fn settle(&self, mut settlement: Settlement) -> Result<SettleOutcome> {
        self.worsen(&mut settlement);
        let id = settlement.delivery_id;
        if self.has(Flaw::DropsLateOutcomes) {
            let seen = self.seen.lock().unwrap();
            if seen.tokens.get(&id).is_some_and(|token| *token != settlement.token) {
                return Ok(SettleOutcome::LeaseLost);
            }
        }
        let retried = matches!(settlement.outcome, Settled::Retry { .. });
        let outcome = self.inner.settle(settlement).await;
        if retried && self.has(Flaw::RevivesTheUnwanted) {
            let channels = self.seen.lock().unwrap().channels.clone();
            for channel in channels {
                let found = self.inner.find_delivery(channel, &MessageReference::Delivery(id)).await?;
                if let Some(found) = found.filter(|found| found.state == DeliveryState::Cancelled) {
                    let again = NewDelivery {
                        id,
                        scope: found.scope,
                        lead_id: found.lead_id,
                        channel_id: channel,
                        created_at: found.created_at,
                        due_at: found.created_at,
                        expires_at: found.expires_at,
                        order_key: None,
                        spec: found.spec,
                        lease: None,
                    };
                    self.inner.enqueue(vec![again]).await?;
                }
            }
        }
        outcome
    }

    async fn begin(&self, mut beginning: Beginning) -> Result<BeginOutcome> {
        if self.has(Flaw::BeginsNothing) {
            return Ok(BeginOutcome::Begun);
        }
        if self.has(Flaw::BeginsForAnybody)
            && let Some(token) = self.seen.lock().unwrap().tokens.get(&beginning.delivery_id)
        {
            beginning.token = *token;
        }
        if self.has(Flaw::KeepsTheShortLease) {
            beginning.until = beginning.at;
        }
        if self.has(Flaw::SendsToTheSuppressed) {
            beginning.address = None;
        }
        if self.has(Flaw::TakesEverythingForAdvertising) {
            beginning.class = MessageClass::Advertising;
        }
        let outcome = self.inner.begin(beginning).await?;
        let allowed = self.has(Flaw::BeginsWhilePaused) && outcome == BeginOutcome::Paused;
        Ok(if allowed { BeginOutcome::Begun } else { outcome })
    }

    async fn enqueue(&self, mut deliveries: Vec<NewDelivery>) -> Result<()> {
        self.added(&mut deliveries);
        self.inner.enqueue(deliveries).await
    }

    async fn claim(&self, mut request: ClaimRequest) -> Result<Claimed> {
        let named = request.channels.iter().map(|room| room.channel_id).collect();
        self.seen.lock().unwrap().claims.push(named);
        if self.has(Flaw::SharesTheLimit)
            && let Some(first) = request.channels.first().copied()
        {
            let mut left = first.limit;
            let mut all = Claimed::default();
            for room in std::mem::take(&mut request.channels) {
                let room = ChannelRoom { limit: left, ..room };
                let one = ClaimRequest { channels: vec![room], ..request.clone() };
                let claimed = self.inner.claim(one).await?;
                left = left.saturating_sub(u32::try_from(claimed.deliveries.len()).unwrap_or(u32::MAX));
                all.deliveries.extend(claimed.deliveries);
                all.timers.extend(claimed.timers);
                all.inbound.extend(claimed.inbound);
            }
            return Ok(all);
        }
        if self.has(Flaw::AsksBeforeSending) {
            for room in &mut request.channels {
                (room.checks, room.checks_first) = (room.limit, room.limit);
            }
        }
        if self.has(Flaw::StarvesReceipts) {
            for room in &mut request.channels {
                room.checks_first = 0;
            }
        }
        let claimed = self.inner.claim(request).await?;
        let mut claimed = self.without_unread(claimed).await?;
        let mut seen = self.seen.lock().unwrap();
        for leased in &claimed.deliveries {
            seen.tokens.insert(leased.delivery.id, leased.lease.token);
        }
        if self.has(Flaw::LeasesTwice) && !claimed.inbound.is_empty() {
            let last = claimed.inbound.first().cloned();
            claimed.inbound.extend(std::mem::replace(&mut seen.last_event, last));
        }
        let last = claimed.deliveries.first().cloned();
        if self.has(Flaw::LeasesTwice) && last.is_some() {
            claimed.deliveries.extend(seen.last_claimed.take());
            seen.last_claimed = last;
        }
        Ok(claimed)
    }

    async fn set_aside(&self, workspace: Option<WorkspaceId>, work: SetAside, because: &str) -> Result<()> {
        if self.has(Flaw::NeverSetsAside) {
            return Ok(());
        }
        self.inner.set_aside(workspace, work, because).await
    }

    async fn next_due(&self, now: Timestamp, channels: &[ChannelId]) -> Result<NextDue> {
        let mut next = self.inner.next_due(now, channels).await?;
        if self.has(Flaw::LumpsMoments)
            && let Some(earliest) = next.earliest()
        {
            next.channels = channels.iter().map(|channel| (*channel, earliest)).collect();
        }
        Ok(next)
    }

    async fn counters(&self, ids: Vec<CounterId>, now: Timestamp) -> Result<Vec<Counter>> {
        self.inner.counters(ids, now).await
    }

    async fn holder(&self, keys: Vec<UniqueKey>, now: Timestamp) -> Result<Option<LeadId>> {
        self.inner.holder(keys, now).await
    }

    async fn waiting(&self, scope: Scope, after: Option<LeadId>, limit: u32) -> Result<Vec<LeadId>> {
        if self.has(Flaw::ForgetsWhoWaits) {
            return self.inner.waiting(scope, None, limit).await;
        }
        self.inner.waiting(scope, after, limit).await
    }

    async fn lead(&self, mut workspace: WorkspaceId, lead: LeadId) -> Result<Option<LeadRecord>> {
        if self.has(Flaw::ShowsEveryLead)
            && let Some(owner) = self.seen.lock().unwrap().owners.get(&lead)
        {
            workspace = *owner;
        }
        if self.seen.lock().unwrap().gone.contains(&lead) {
            return Ok(None);
        }
        let mut record = self.inner.lead(workspace, lead).await?;
        if let Some(record) = &mut record {
            self.misread(&mut record.state);
            if self.has(Flaw::KeepsTheFirstPolicy) {
                let history = self.inner.events(workspace, lead, PageRequest::default()).await?;
                record.policy = history.items.first().map_or(record.policy, |event| event.trace.policy);
            }
        }
        Ok(record)
    }

    async fn delivery(&self, workspace: WorkspaceId, delivery: DeliveryId) -> Result<Option<Delivery>> {
        let found = self.inner.delivery(workspace, delivery).await?;
        match found.as_ref().and_then(|delivery| self.unread(delivery)) {
            Some(row) => Err(row.into()),
            None => Ok(found),
        }
    }

    async fn deliveries_of(&self, workspace: WorkspaceId, lead: LeadId) -> Result<Vec<Delivery>> {
        self.inner.deliveries_of(workspace, lead).await
    }

    async fn find_delivery(
        &self,
        channel: ChannelId,
        message: &MessageReference,
    ) -> Result<Option<Delivery>> {
        let gate = self.seen.lock().unwrap().gate.clone();
        if let Some(gate) = gate {
            drop(gate.acquire().await);
        }
        if matches!(message, MessageReference::Provider(id) if id == LOST_PAGE) {
            return Err(Error::new(ErrorKind::Storage, "a page of the index cannot be read"));
        }
        let mut found = self.inner.find_delivery(channel, message).await?;
        if let (true, MessageReference::Provider(id)) = (self.has(Flaw::ForgetsPartIds), message) {
            found = found.filter(|found| found.provider_message_id.as_ref() == Some(id));
        }
        if found.is_some() || !self.has(Flaw::FindsOnEveryChannel) {
            return Ok(found);
        }
        let channels = self.seen.lock().unwrap().channels.clone();
        for channel in channels {
            if let Some(found) = self.inner.find_delivery(channel, message).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn retry(
        &self,
        workspace: WorkspaceId,
        delivery: DeliveryId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Delivery> {
        self.inner.retry(workspace, delivery, now, expires_at).await
    }

    async fn lost(
        &self,
        workspace: WorkspaceId,
        recovery: Recovery,
        after: Option<(Timestamp, DeliveryId)>,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        let ambiguous = recovery.ambiguous || self.has(Flaw::RecoversTheAmbiguous);
        let recovery = Recovery { ambiguous, ..recovery };
        self.inner.lost(workspace, recovery, after, limit).await
    }

    async fn record_receipt(&self, mut receipt: Receipt) -> Result<(DeliveryState, bool)> {
        if self.has(Flaw::BelievesOnePart) {
            receipt.part = None;
        }
        let state = receipt.state;
        let answer = self.inner.record_receipt(receipt).await?;
        let late = self.has(Flaw::BelievesLateFailures) && answer == (DeliveryState::Delivered, false);
        Ok(if late { (state, true) } else { answer })
    }

    async fn record_inbound(&self, mut batch: InboundBatch) -> Result<Vec<InboundRecord>> {
        if self.has(Flaw::LosesNews) && batch.cursor.is_some() {
            batch.events.pop();
        }
        if self.has(Flaw::LeasesNoEvents) {
            batch.lease.until = batch.at;
        }
        let record = |event: &InboundEvent| InboundRecord {
            channel_id: batch.channel_id,
            event: event.clone(),
            received_at: batch.at,
        };
        let all: Vec<_> = batch.events.iter().map(record).collect();
        let new = self.inner.record_inbound(batch).await?;
        Ok(if self.has(Flaw::RepeatsEvents) { all } else { new })
    }

    async fn finish_inbound(&self, inbound: InboundRef) -> Result<()> {
        self.inner.finish_inbound(inbound).await
    }

    async fn put_off_inbound(&self, inbound: InboundRef, token: LeaseToken, due_at: Timestamp) -> Result<()> {
        if self.has(Flaw::ForgetsWhatIsPutOff) {
            return self.inner.finish_inbound(inbound).await;
        }
        self.inner.put_off_inbound(inbound, token, due_at).await
    }

    async fn leads_of(&self, workspace: WorkspaceId, person: &PersonAddresses) -> Result<Vec<LeadId>> {
        self.inner.leads_of(workspace, person).await
    }

    async fn erase(&self, mut erasure: Erasure) -> Result<Erased> {
        if self.has(Flaw::ErasesLeadsOnly) {
            erasure.person = PersonAddresses::default();
        }
        if self.has(Flaw::KeepsWhatIsErased) {
            erasure.leads.clear();
        }
        if self.has(Flaw::ErasesEverybody) {
            erasure.leads = self
                .inner
                .leads(erasure.workspace_id, LeadFilter::default(), PageRequest::default())
                .await?
                .items
                .iter()
                .map(|lead| lead.id)
                .collect();
        }
        self.inner.erase(erasure).await
    }

    async fn parts_of(&self, delivery: DeliveryId) -> Result<Vec<SentPart>> {
        self.inner.parts_of(delivery).await
    }

    async fn time(&self) -> Result<Option<Timestamp>> {
        self.inner.time().await
    }

    async fn poll_cursor(&self, channel: ChannelId) -> Result<Option<String>> {
        if self.has(Flaw::ForgetsCursors) {
            return Ok(None);
        }
        self.inner.poll_cursor(channel).await
    }
}

#[async_trait]
impl Leases for BrokenStore {
    async fn take_lease(&self, lease: NamedLease) -> Result<LeaseAnswer> {
        let answer = self.inner.take_lease(lease).await?;
        Ok(if self.has(Flaw::LeasesToAll) { LeaseAnswer::Taken } else { answer })
    }

    async fn end_lease(&self, name: &str, holder: LeaseToken) -> Result<()> {
        if self.has(Flaw::KeepsLeases) {
            return Ok(());
        }
        if self.has(Flaw::EndsTheLeasesOfOthers) {
            // Those of the check.
            for other in [1, 2] {
                self.inner.end_lease(name, LeaseToken::from_uuid(uuid::Uuid::from_u128(other))).await?;
            }
            return Ok(());
        }
        self.inner.end_lease(name, holder).await
    }
}
