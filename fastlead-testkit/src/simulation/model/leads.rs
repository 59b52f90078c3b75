//! Leads: each decision is made again, and what follows from it is what the engine asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use fastlead_core::decide::{Decision, Effect, Event, Hold, HoldKind, LeadState, LeadStatus, TimerName};
use fastlead_core::delivery::Scope;
use fastlead_core::id::{LeadId, SourceId};
use fastlead_core::lead::Capture;
use fastlead_core::policy::{Policy, PolicyRef};
use fastlead_core::port::{CommitOutcome, Guard, Refusal, Reservation, Revival, Transition};
use fastlead_core::time::Timestamp;

use super::super::mirror::Decided;
use super::takes::{Since, Take};
use super::{Checked, Model, Replayed, auctions, counters, decide_again, takes};

/// Within how many seconds those who wait go on by a policy that was published: every engine looks at the log of changes
/// every few minutes, and a failing store can cost several looks.
const HEARS_WITHIN_SECS: i64 = 2_400;

/// A lead as the fold of its events.
#[derive(Debug, Clone)]
pub(in super::super) struct Lead {
    pub scope: Scope,
    pub source: SourceId,
    pub policy: PolicyRef,
    pub capture: Arc<Capture>,
    pub state: LeadState,
    pub(super) taken: BTreeMap<String, Since>,
    takes: Vec<Take>,
}

impl Model {
    /// The store has answered a commit.
    pub(in super::super) fn committed(
        &mut self,
        transition: &Transition,
        outcome: &CommitOutcome,
    ) -> Checked {
        match outcome {
            CommitOutcome::Applied => self.applied(transition),
            CommitOutcome::Refused(refusal) => self.refused(transition, refusal),
        }
    }

    fn applied(&mut self, transition: &Transition) -> Checked {
        self.guarded(transition)?;
        self.auction_fits(transition)?;
        if let Some(hold) = kept_by_nobody(&transition.state) {
            let (id, status) = (transition.lead_id, transition.state.status.as_str());
            return Err(format!("{id} is {status}, and nobody can give {} back", hold.key));
        }
        let (before, decision) = self.made_again(transition)?;
        self.follows(transition, &decision)?;
        if let Some(all) = &mut self.decided {
            let (lead, source) = (transition.lead_id, transition.source_id);
            let (event, decision) = (transition.event.clone(), decision.clone());
            all.push(Decided { lead, source, at: transition.at, event, decision });
        }
        if let Some(settlement) = &transition.settlement {
            self.settled(settlement)?;
        }
        if let Some(receipt) = &transition.receipt {
            self.told(receipt, true, transition.at)?;
        }
        if let Some((timer, token)) = transition.fired {
            self.timer_fired(timer, token)?;
        }
        if let Some(inbound) = &transition.inbound
            && !self.acts_upon(inbound)
        {
            return Err(format!("`{}` was acted upon twice", inbound.provider_event_id));
        }
        self.timers_set(transition);
        if transition.cancel_offers {
            self.offers_cancelled(transition.lead_id, transition.at);
        }
        if let Some(revival) = &transition.revive {
            self.revived(revival, transition.at)?;
        }
        for delivery in &transition.deliveries {
            self.added(delivery)?;
        }
        let nets = counters::net(&decision.effects);
        Self::reservations_fit(transition, &nets)?;
        let after = if transition.guard == Guard::Append { before.clone() } else { transition.state.clone() };
        self.count(&nets, (&before, &after), (transition.scope.project_id, transition.at))?;
        self.refusals.remove(&transition.lead_id);
        if transition.guard == Guard::Append {
            return Ok(());
        }
        self.change_lead(transition, after, &decision)?;
        self.is_alive(transition.lead_id)
    }

    /// What a transition says must still be true is true.
    fn guarded(&mut self, transition: &Transition) -> Checked {
        let id = transition.lead_id;
        let known = self.leads.get(&id);
        let fits = match transition.guard {
            Guard::New => known.is_none(),
            Guard::Version(version) => known.is_some_and(|lead| lead.state.version == version),
            Guard::Append => known.is_some(),
        };
        if !fits {
            return Err(format!("{id} was changed under {:?}, which does not hold", transition.guard));
        }
        for reservation in &transition.reservations {
            let Reservation::Unique { key, until } = reservation else { continue };
            if let Some((holder, _)) =
                self.unique.get(key).filter(|(holder, end)| *end > transition.at && *holder != id)
            {
                return Err(format!("{id} is a duplicate of {holder} and was taken in"));
            }
            self.unique.insert(*key, (id, *until));
        }
        if let Some(record) = &transition.idempotency {
            let key = (transition.source_id, record.key);
            if self.idempotency.get(&key).is_some_and(|used| used.until > transition.at) {
                return Err(format!("{id}: a key that was used made another lead"));
            }
            self.idempotency.insert(key, record.clone());
        }
        Ok(())
    }

    fn refused(&mut self, transition: &Transition, refusal: &Refusal) -> Checked {
        let id = transition.lead_id;
        if let Refusal::CapFull { id, counter } = refusal {
            return self.is_full(transition, *id, counter);
        }
        let known = self.leads.get(&id);
        let right = match refusal {
            Refusal::Duplicate(of) => transition.reservations.iter().any(|asked| {
                let Reservation::Unique { key, .. } = asked else { return false };
                self.unique.get(key).is_some_and(|(holder, end)| holder == of && *end > transition.at)
            }),
            Refusal::Stale => match transition.guard {
                Guard::New => known.is_some(),
                Guard::Version(version) => known.is_none_or(|lead| lead.state.version != version),
                Guard::Append => known.is_none(),
            },
            Refusal::Replayed(answer) => transition.idempotency.as_ref().is_some_and(|record| {
                let used = self.idempotency.get(&(transition.source_id, record.key));
                used.is_some_and(|used| used.request == record.request && used.answer == *answer)
            }),
            _ => true,
        };
        if right { Ok(()) } else { Err(format!("{id} was refused with {refusal:?}, which is not so")) }
    }

    /// Makes the decision again. Answers the state before it, and the decision.
    fn made_again(&mut self, transition: &Transition) -> Result<(LeadState, Decision), String> {
        let id = transition.lead_id;
        let Some(policy) = self.policies.get(&transition.trace.policy) else {
            return Err(format!("{id} was decided upon by a policy that was never published"));
        };
        let Some(source) = self.sources.get(&transition.source_id) else {
            return Err(format!("{id} comes from a source that does not exist"));
        };
        let known = self.leads.get(&id).filter(|_| matches!(transition.guard, Guard::Version(_)));
        let pinned = known.is_none_or(|lead| lead.policy == transition.trace.policy);
        if !pinned && transition.event != Event::PolicyChanged {
            return Err(format!(
                "{id} was decided upon by another version than the one that it is pinned to"
            ));
        }
        let before = known.map_or_else(LeadState::default, |lead| lead.state.clone());
        let capture = match (&transition.event, known) {
            (Event::Captured(capture), _) => Arc::new(Capture::clone(capture)),
            (_, Some(lead)) => Arc::clone(&lead.capture),
            _ => return Err(format!("{id} does not begin with a capture")),
        };
        let replayed = Replayed {
            policy,
            lead_id: id,
            scope: transition.scope,
            source,
            capture: &capture,
            state: &before,
            event: &transition.event,
            at: transition.at,
            trace: &transition.trace,
        };
        let decision = decide_again(replayed, &self.channels);
        self.decisions += 1;
        if decision.trace != transition.trace {
            let steps = decision.trace.steps.iter().zip(&transition.trace.steps);
            let differs = steps.clone().position(|(again, first)| again != first).unwrap_or(0);
            return Err(format!(
                "{id}: made again, the decision upon `{}` differs at its step {differs}: {:?} instead of {:?}",
                transition.event.kind(),
                decision.trace.steps.get(differs),
                transition.trace.steps.get(differs),
            ));
        }
        Ok((before, decision))
    }

    /// State, timers and deliveries of a transition are what its decision says.
    fn follows(&self, transition: &Transition, decision: &Decision) -> Checked {
        let id = transition.lead_id;
        let kind = transition.event.kind();
        let before = self.leads.get(&id).filter(|_| matches!(transition.guard, Guard::Version(_)));
        let before = before.map_or_else(LeadState::default, |lead| lead.state.clone());
        if transition.guard != Guard::Append && before.apply(&decision.effects) != transition.state {
            return Err(format!("{id}: the state after `{kind}` is not what the decision says"));
        }
        let mut deliveries = transition.deliveries.iter();
        let mut timers: Vec<(TimerName, _)> = Vec::new();
        let (mut clears, mut cancels, mut revives) = (false, false, None);
        for effect in &decision.effects {
            match effect {
                Effect::Deliver(deliver) => {
                    let same = deliveries.next().is_some_and(|new| {
                        (new.channel_id, new.expires_at, &new.spec)
                            == (deliver.channel_id, deliver.expires_at, &deliver.spec)
                            && new.order_key.is_some() == deliver.ordered
                            && new.lead_id == Some(id)
                    });
                    if !same {
                        return Err(format!(
                            "{id}: a delivery that follows from `{kind}` is missing or another one"
                        ));
                    }
                }
                Effect::SetTimer { timer, due_at } => timers.push((*timer, *due_at)),
                Effect::ClearTimers => {
                    clears = true;
                    timers.clear();
                }
                Effect::CancelOffers => cancels = true,
                Effect::Revive { delivery, expires_at } => {
                    revives = Some(Revival { delivery_id: *delivery, expires_at: *expires_at });
                }
                _ => {}
            }
        }
        let set: Vec<_> = transition.timers.iter().map(|timer| (timer.name, timer.due_at)).collect();
        if deliveries.next().is_some()
            || (clears, cancels, revives)
                != (transition.clear_timers, transition.cancel_offers, transition.revive)
            || timers != set
        {
            return Err(format!("{id}: more or less is done after `{kind}` than the decision says"));
        }
        Ok(())
    }

    fn change_lead(&mut self, transition: &Transition, after: LeadState, decision: &Decision) -> Checked {
        let id = transition.lead_id;
        if let (Guard::New, Event::Captured(capture)) = (transition.guard, &transition.event) {
            let lead = Lead {
                scope: transition.scope,
                source: transition.source_id,
                policy: transition.trace.policy,
                capture: Arc::new(Capture::clone(capture)),
                state: LeadState::default(),
                taken: BTreeMap::new(),
                takes: Vec::new(),
            };
            self.leads.insert(id, lead);
        }
        let (Some(lead), Some(source)) = (self.leads.get_mut(&id), self.sources.get(&transition.source_id))
        else {
            return Err(format!("{id} does not exist"));
        };
        lead.policy = transition.trace.policy;
        let Some(policy) = self.policies.get(&lead.policy) else { return Ok(()) };
        let auction = self.auctions.get(&id);
        let price = |name: &str, forced: bool| auctions::price(policy, auction.filter(|_| !forced), name);
        lead.taken = takes::taken(&lead.taken, &after, &decision.effects, transition.at, price);
        lead.state = after;
        let takes = lead.takes(policy, &source.key);
        let before = std::mem::replace(&mut lead.takes, takes);
        let sold = sold_within_limits(id, &lead.state, policy);
        let counted = self.takes.change(&before, &lead.takes);
        counted.map_err(|(place, what)| {
            let same =
                self.leads.iter().filter(|(_, lead)| lead.takes.iter().any(|take| take.place == place));
            let leads: Vec<String> = same.map(|(id, _)| id.to_string()).collect();
            format!("{id}: {what}: {}", leads.join(", "))
        })?;
        sold
    }

    /// Whoever waits in a queue when a policy is published goes on by it.
    pub(super) fn nobody_waits_by_an_old_policy(&self, now: Timestamp, up_since: Timestamp) -> Checked {
        let Some((newest, at)) = self.published else { return Ok(()) };
        let since = now - TimeDelta::seconds(HEARS_WITHIN_SECS);
        if at.max(up_since) > since {
            return Ok(());
        }
        let waits = |lead: &Lead| {
            lead.state.queued_at.is_some_and(|queued_at| queued_at <= since) && lead.policy != newest
        };
        match self.leads.iter().find(|(_, lead)| waits(lead)) {
            None => Ok(()),
            Some((id, lead)) => Err(format!(
                "{id} waits by version {} of the policy, and version {} was published at {at}",
                lead.policy.version, newest.version
            )),
        }
    }

    /// A lead that waits in a queue has a timer that ends its wait.
    fn queue_has_an_end(&self, id: LeadId, lead: &Lead) -> Checked {
        let queued = lead.state.holds.iter().any(|hold| hold.kind == HoldKind::Queue);
        if queued && self.timers_of(id).next().is_none() {
            return Err(format!("{id} has a place in a queue and no timer that ends it: {:?}", lead.state));
        }
        Ok(())
    }

    /// A lead has ended, or somebody can answer it, or something will happen to it by itself.
    pub(super) fn is_alive(&self, id: LeadId) -> Checked {
        let Some(lead) = self.leads.get(&id) else { return Err(format!("{id} does not exist")) };
        let timer = |wanted: TimerName| self.timers_of(id).any(|timer| timer.name == wanted);
        let ladder = self.policies.get(&lead.policy).is_some_and(|policy| !policy.escalation.is_empty());
        let well = match &lead.state.status {
            LeadStatus::New => false,
            LeadStatus::Review => timer(TimerName::Review),
            LeadStatus::Auction => timer(TimerName::AuctionEnds),
            LeadStatus::Queued => self.timers_of(id).next().is_some(),
            LeadStatus::Open => {
                let answerable = lead.state.somebody_may_answer() || self.open_deliveries(id) > 0;
                self.timers_of(id).next().is_some() || (!ladder && answerable)
            }
            _ => true,
        };
        let over = matches!(
            lead.state.status,
            LeadStatus::Returned | LeadStatus::Closed | LeadStatus::Rejected { .. }
        );
        let offers = lead.state.offers.iter().flat_map(|offer| &offer.holds);
        let sales = lead.state.sales.iter().flat_map(|sale| &sale.holds);
        let place = |hold: &&Hold| matches!(hold.kind, HoldKind::Place | HoldKind::Queue);
        if over && let Some(hold) = offers.chain(sales).chain(&lead.state.holds).find(place) {
            let status = lead.state.status.as_str();
            return Err(format!("{id} is {status} and holds {} for ever", hold.key));
        }
        self.queue_has_an_end(id, lead)?;
        if well {
            return Ok(());
        }
        let status = lead.state.status.as_str();
        Err(format!("{id} is {status}, and nothing will ever happen to it: {:?}", lead.state))
    }
}

/// A place that is held and that no timer and no person can end. A place is given back by the answer to an offer that
/// still waits, by its timer, and by closing or returning a lead that was sold; not by an offer or a sale that has ended.
fn kept_by_nobody(state: &LeadState) -> Option<&Hold> {
    let kept = |hold: &&Hold| hold.kind == HoldKind::Place;
    let offers = state.offers.iter().filter(|offer| !offer.waits()).flat_map(|offer| &offer.holds);
    let sales = state.sales.iter().filter(|sale| sale.returned.is_some()).flat_map(|sale| &sale.holds);
    offers.chain(sales).find(kept)
}

/// No more targets have a lead than may have it.
fn sold_within_limits(id: LeadId, state: &LeadState, policy: &Policy) -> Checked {
    let owners: Vec<&str> = state.owners().collect();
    let limits = policy.route.rules.iter().map(|rule| rule.sell_limit.unwrap_or(1));
    let limit = usize::try_from(limits.max().unwrap_or(1)).unwrap_or(usize::MAX);
    if owners.len() > limit {
        return Err(format!("{id} has {} owners, and {limit} may have it", owners.len()));
    }
    Ok(())
}
