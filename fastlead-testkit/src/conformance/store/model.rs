//! Random histories against a model that is small enough to be obviously right.
//!
//! After every step the store's deliveries are the model's: none is lost and none is there that
//! nobody asked for. A claim brings exactly as much as the model says can be claimed, so nothing is
//! leased to two. What has ended changes by a receipt only. A unique key has one holder.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fastlead_core::decide::UniqueKey;
use fastlead_core::delivery::{Delivery, DeliveryState, NewDelivery, OrderKey, Phase};
use fastlead_core::id::{DeliveryId, LeadId, LeaseToken};
use fastlead_core::port::{
    BeginOutcome, Beginning, ChannelRoom, ClaimRequest, CommitOutcome, DeliveryFilter, Guard, PageRequest,
    Receipt, Refusal, Reservation, SettleOutcome, Transition,
};
use fastlead_core::time::Timestamp;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::known::Known;
use super::operations::{Operation, Wanted, Worked, history};
use super::sample::{Tenant, at, attempt, awaiting, begin, commit, ended, retry, settlement};
use super::{FullStore, StoreHarness};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

/// How many histories are tried. The seed is fixed: every run tries the same ones.
const CASES: u32 = 256;

/// For how long a lead holds its unique key.
pub(super) const WINDOW_SECS: u64 = 120;

/// Random histories of commits, claims, settlements, receipts and passing time fit the model.
pub async fn random_histories_fit_the_model<H: StoreHarness>() -> Outcome {
    let (harness, store, tenant) = begin::<H>().await?;
    let runtime = tokio::runtime::Handle::current();
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let run = move || {
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        // Shrinking runs more histories than there are cases; each has a number of its own.
        let numbers = AtomicU64::new(0);
        runner.run(&history(), |operations| {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            let case = Case::run(&*store, Arc::clone(&tenant.ids), number, operations);
            runtime.block_on(case).map_err(|violation| TestCaseError::fail(violation.to_string()))
        })
    };
    let result = tokio::task::spawn_blocking(run).await;
    drop(harness);
    match result {
        Ok(Ok(())) => Ok(Verdict::Held),
        Ok(Err(TestError::Fail(reason, operations))) => {
            Err(Violation::new(format!("{reason}; the shortest such history: {operations:#?}")))
        }
        Ok(Err(TestError::Abort(reason))) => Err(Violation::new(format!("gave up: {reason}"))),
        Err(error) => Err(Violation::new(format!("the store panicked: {error}"))),
    }
}

/// One history on a tenant of its own.
struct Case<'a> {
    store: &'a dyn FullStore,
    tenant: Tenant,
    number: u64,
    seconds: u64,
    leads: Vec<(LeadId, u64)>,
    keys: HashMap<u8, (LeadId, Timestamp)>,
    deliveries: BTreeMap<DeliveryId, Known>,
    /// Every lease that was ever given.
    leases: Vec<(DeliveryId, LeaseToken)>,
}

impl<'a> Case<'a> {
    async fn run(
        store: &'a dyn FullStore,
        ids: Arc<fastlead_core::id::SeededIds>,
        number: u64,
        operations: Vec<Operation>,
    ) -> Result<(), Violation> {
        let mut case = Self {
            store,
            tenant: Tenant::new(store, ids).await?,
            number,
            seconds: 0,
            leads: Vec::new(),
            keys: HashMap::new(),
            deliveries: BTreeMap::new(),
            leases: Vec::new(),
        };
        for operation in operations {
            match operation {
                Operation::Capture { key, deliveries } => case.capture(key, &deliveries).await?,
                Operation::Decide { lead, stale, cancel_offers, deliveries } => {
                    case.decide(lead, stale, cancel_offers, &deliveries).await?;
                }
                Operation::Claim { limits } => case.claim(limits).await.map(drop)?,
                Operation::Begin { lease } => case.begin(lease).await?,
                Operation::Settle { lease, result } => case.settle_one(lease, &result).await?,
                Operation::Receipt { delivery, arrived } => case.receipt(delivery, arrived).await?,
                Operation::Advance { seconds } => case.seconds += seconds,
            }
            case.compare().await?;
        }
        case.finish().await
    }

    fn now(&self) -> Timestamp {
        at(self.seconds)
    }

    fn channel_id(&self, channel: usize) -> fastlead_core::id::ChannelId {
        if channel == 0 { self.tenant.channel } else { self.tenant.other_channel }
    }

    fn new_deliveries(&self, lead: LeadId, wanted: &[Wanted]) -> Vec<(usize, NewDelivery)> {
        let new = |wanted: &Wanted| {
            // A key of order never spans channels or histories.
            let order = wanted.order.map(|order| {
                let parts = [order, u8::from(wanted.channel == 0)];
                OrderKey(self.bytes(u64::from(u16::from_be_bytes(parts))))
            });
            let delivery = NewDelivery {
                channel_id: self.channel_id(wanted.channel),
                due_at: at(self.seconds + wanted.delay),
                order_key: order,
                lease: wanted.leased.then(|| self.tenant.lease(self.now())),
                ..self.tenant.delivery(Some(lead), self.now())
            };
            (wanted.channel, delivery)
        };
        wanted.iter().map(new).collect()
    }

    fn bytes(&self, name: u64) -> [u8; 16] {
        (u128::from(self.number) << 64 | u128::from(name)).to_be_bytes()
    }

    fn add(&mut self, lead: LeadId, new: &[(usize, NewDelivery)]) {
        for (channel, new) in new {
            self.leases.extend(new.lease.map(|lease| (new.id, lease.token)));
            self.deliveries.insert(new.id, Known::new(lead, *channel, new));
        }
    }

    async fn capture(&mut self, key: Option<u8>, wanted: &[Wanted]) -> Result<(), Violation> {
        let (now, lead) = (self.now(), self.tenant.lead_id());
        let until = at(self.seconds + WINDOW_SECS);
        let reservation = |key: u8| Reservation::Unique { key: UniqueKey(self.bytes(u64::from(key))), until };
        let new = self.new_deliveries(lead, wanted);
        let transition = Transition {
            reservations: key.map(reservation).into_iter().collect(),
            deliveries: new.iter().map(|(_, new)| new.clone()).collect(),
            ..self.tenant.capture(lead, now)
        };
        let holder = key.and_then(|key| self.keys.get(&key)).filter(|(_, until)| *until > now);
        let expected = holder
            .map_or(CommitOutcome::Applied, |(lead, _)| CommitOutcome::Refused(Refusal::Duplicate(*lead)));
        let outcome = commit(self.store, transition).await?;
        ensure!(outcome == expected, "a capture: expected {expected:?}, got {outcome:?}");
        if outcome == CommitOutcome::Applied {
            self.keys.extend(key.map(|key| (key, (lead, until))));
            self.leads.push((lead, 1));
            self.add(lead, &new);
        }
        Ok(())
    }

    async fn decide(
        &mut self,
        pick: usize,
        stale: bool,
        cancel: bool,
        wanted: &[Wanted],
    ) -> Result<(), Violation> {
        let Some(index) = pick.checked_rem(self.leads.len()) else { return Ok(()) };
        let (lead, version) = self.leads[index];
        let new = self.new_deliveries(lead, wanted);
        let guard = Guard::Version(if stale { version - 1 } else { version });
        let transition = Transition {
            guard,
            cancel_offers: cancel,
            deliveries: new.iter().map(|(_, new)| new.clone()).collect(),
            ..self.tenant.decide(lead, version, self.now())
        };
        let expected = if stale { CommitOutcome::Refused(Refusal::Stale) } else { CommitOutcome::Applied };
        let outcome = commit(self.store, transition).await?;
        ensure!(outcome == expected, "a decision: expected {expected:?}, got {outcome:?}");
        if stale {
            return Ok(());
        }
        self.leads[index].1 = version + 1;
        let open = |known: &&mut Known| known.lead == lead && !known.state.is_terminal();
        for known in self.deliveries.values_mut().filter(open).filter(|_| cancel) {
            known.unwanted = true;
            if known.state == DeliveryState::Pending {
                known.state = DeliveryState::Cancelled;
                known.lease = None;
            }
        }
        self.add(lead, &new);
        Ok(())
    }

    fn claimable(&self, channel: usize) -> HashMap<DeliveryId, Phase> {
        let first_of_its_key = |id: &DeliveryId, known: &Known| {
            known.state != DeliveryState::Pending
                || known.order.is_none()
                || self.deliveries.iter().all(|(other_id, other)| {
                    other.order != known.order
                        || other.state.is_terminal()
                        || other.owes_receipt()
                        || (other.created_at, other_id) >= (known.created_at, id)
                })
        };
        self.deliveries
            .iter()
            .filter(|(id, known)| known.channel == channel && first_of_its_key(id, known))
            .filter_map(|(id, known)| known.claimable(self.now()).map(|phase| (*id, phase)))
            .collect()
    }

    async fn claim(&mut self, limits: [u32; 2]) -> Result<Vec<(DeliveryId, LeaseToken)>, Violation> {
        let (now, lease) = (self.now(), self.tenant.lease(self.now()));
        let room = |channel: usize| ChannelRoom::new(self.channel_id(channel), limits[channel]);
        let channels = vec![room(0), room(1)];
        let claimed =
            self.store.claim(ClaimRequest { now, lease, channels, timers: 0, inbound: 0 }).await?.deliveries;
        let mut given = Vec::new();
        for (channel, limit) in limits.into_iter().enumerate() {
            let claimable = self.claimable(channel);
            let of_channel: Vec<_> = claimed
                .iter()
                .filter(|leased| leased.delivery.channel_id == self.channel_id(channel))
                .collect();
            let wanted = claimable.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
            ensure!(
                of_channel.len() == wanted,
                "with a limit of {limit} and {} claimable, a claim brought {}",
                claimable.len(),
                of_channel.len()
            );
            let owes = |id: &DeliveryId| self.deliveries.get(id).is_some_and(Known::owes_receipt);
            let (owed, others): (Vec<DeliveryId>, Vec<DeliveryId>) =
                claimable.keys().partition(|id| owes(id));
            let brought = of_channel.iter().filter(|leased| owed.contains(&leased.delivery.id)).count();
            ensure!(
                brought == wanted.saturating_sub(others.len()),
                "of {wanted} deliveries {brought} owe a receipt, and {} others were claimable",
                others.len()
            );
            for leased in of_channel {
                let id = leased.delivery.id;
                let phase = claimable.get(&id);
                ensure!(
                    phase == Some(&leased.phase),
                    "expected {id} in phase {phase:?}, claimed in {:?}",
                    leased.phase
                );
                ensure!(leased.lease == lease, "claimed with another lease than was asked for");
                ensure!(!given.contains(&(id, lease.token)), "one claim brought {id} twice");
                given.push((id, lease.token));
            }
        }
        ensure!(given.len() == claimed.len(), "a claim brought work of a channel that was not asked for");
        for (id, _) in &given {
            let Some(known) = self.deliveries.get_mut(id) else { continue };
            known.lease = Some(lease);
        }
        self.leases.extend(&given);
        Ok(given)
    }

    async fn begin(&mut self, pick: usize) -> Result<(), Violation> {
        let Some(index) = pick.checked_rem(self.leases.len()) else { return Ok(()) };
        let (delivery_id, token) = self.leases[index];
        let answer = self.store.begin(Beginning::new(delivery_id, token, self.now())).await?;
        let Some(known) = self.deliveries.get_mut(&delivery_id) else { return Ok(()) };
        let held = known.lease.is_some_and(|lease| lease.token == token);
        let expected = match held {
            false => BeginOutcome::LeaseLost,
            true if known.unwanted => BeginOutcome::Unwanted,
            true => BeginOutcome::Begun,
        };
        ensure!(answer == expected, "beginning {delivery_id}: expected {expected:?}, got {answer:?}");
        if expected == BeginOutcome::Begun {
            known.state = DeliveryState::Sending;
            known.begun_by = Some(token);
            known.attempts += 1;
        }
        Ok(())
    }

    async fn settle_one(&mut self, pick: usize, result: &Worked) -> Result<(), Violation> {
        let Some(index) = pick.checked_rem(self.leases.len()) else { return Ok(()) };
        let (id, token) = self.leases[index];
        self.settle(id, token, result).await
    }

    async fn settle(&mut self, id: DeliveryId, token: LeaseToken, result: &Worked) -> Result<(), Violation> {
        let (now, soon) = (self.now(), |delay| at(self.seconds + delay));
        let outcome = match *result {
            Worked::Ended(state) => ended(state),
            Worked::Retry { delay, counted } => retry(soon(delay), counted),
            Worked::Await { delay, uncertain } => awaiting(soon(delay), uncertain),
        };
        let due_at = match *result {
            Worked::Ended(_) => None,
            Worked::Retry { delay, .. } | Worked::Await { delay, .. } => Some(soon(delay)),
        };
        let answer = self.store.settle(settlement(id, token, now, outcome.clone())).await?;
        let Some(known) = self.deliveries.get_mut(&id) else { return Ok(()) };
        let held = known.may_settle(token, &outcome);
        let expected = if held { SettleOutcome::Settled } else { SettleOutcome::LeaseLost };
        ensure!(answer == expected, "settling {id}: expected {expected:?}, got {answer:?}");
        if held {
            known.lease = None;
            known.begun_by = known.begun_by.filter(|begun_by| *begun_by != token);
            known.due_at = due_at.unwrap_or(known.due_at);
            match *result {
                Worked::Ended(state) => (known.state, known.uncertain) = (state, false),
                Worked::Retry { counted, .. } => {
                    known.uncertain = false;
                    let back = known.state == DeliveryState::Sending && !counted;
                    known.state =
                        if known.unwanted { DeliveryState::Cancelled } else { DeliveryState::Pending };
                    known.attempts = known.attempts.saturating_sub(u32::from(back));
                }
                Worked::Await { uncertain, .. } => {
                    (known.state, known.uncertain) = (DeliveryState::AwaitingReceipt, uncertain);
                }
            }
        }
        Ok(())
    }

    async fn receipt(&mut self, pick: usize, arrived: bool) -> Result<(), Violation> {
        use DeliveryState::{Ambiguous, AwaitingReceipt, Delivered, Failed, Sent};

        let now = self.now();
        let mut candidates: Vec<_> = self
            .deliveries
            .iter_mut()
            .filter(|(_, known)| known.lease.is_none())
            .filter(|(_, known)| {
                matches!(known.state, AwaitingReceipt | Sent | Failed | Ambiguous | Delivered)
            })
            .collect();
        let Some(index) = pick.checked_rem(candidates.len()) else { return Ok(()) };
        let (id, known) = &mut candidates[index];
        let told = if arrived { Delivered } else { Failed };
        let wanted = if known.state == Delivered { Delivered } else { told };
        let attempt = attempt(1, now, "receipt");
        let receipt = Receipt { delivery_id: **id, state: told, reason: None, part: None, attempt };
        let answer = self.store.record_receipt(receipt).await?;
        let expected = (wanted, wanted != known.state);
        ensure!(answer == expected, "a receipt for {id}: expected {expected:?}, got {answer:?}");
        known.state = wanted;
        Ok(())
    }

    /// The store's deliveries are the model's.
    async fn compare(&self) -> Result<(), Violation> {
        let page = PageRequest { after: None, limit: 500 };
        let workspace = self.tenant.scope.workspace_id;
        let stored = self.store.deliveries(workspace, DeliveryFilter::default(), page).await?.items;
        ensure!(
            stored.len() == self.deliveries.len(),
            "{} deliveries are stored, {} were asked for",
            stored.len(),
            self.deliveries.len()
        );
        for Delivery { id, state, attempts, due_at, .. } in stored {
            let Some(known) = self.deliveries.get(&id) else {
                return Err(Violation::new(format!("{id} is stored and nobody asked for it")));
            };
            ensure!(state == known.state, "{id} is stored as {state:?}; the model says {:?}", known.state);
            ensure!(
                attempts == known.attempts,
                "{id} has {attempts} attempts; the model says {}",
                known.attempts
            );
            ensure!(
                state.is_terminal() || due_at == known.due_at,
                "{id} is due at {due_at}; the model says {}",
                known.due_at
            );
        }
        Ok(())
    }

    /// All that is left can be worked off: nothing is stuck.
    async fn finish(mut self) -> Result<(), Violation> {
        while self.deliveries.values().any(|known| !known.state.is_terminal()) {
            self.seconds += 1_000;
            let given = self.claim([500, 500]).await?;
            ensure!(!given.is_empty(), "unfinished deliveries are left, and none of them is ever claimed");
            for (id, token) in given {
                self.settle(id, token, &Worked::Ended(DeliveryState::Delivered)).await?;
            }
            self.compare().await?;
        }
        Ok(())
    }
}
