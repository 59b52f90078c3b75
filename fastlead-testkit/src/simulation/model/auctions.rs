//! Auctions as they are seen from outside: who was asked until when, what bidders have answered, and who
//! may have the lead for that.

use std::collections::BTreeSet;

use fastlead_core::decide::{Event, LeadState, LeadStatus, Offer, Reason, TraceStep, Verdict};
use fastlead_core::delivery::DeliveryState;
use fastlead_core::id::DeliveryId;
use fastlead_core::message::Response;
use fastlead_core::money::{Currency, Money};
use fastlead_core::policy::{Policy, RouteRule, Strategy};
use fastlead_core::port::{Guard, Settled, Transition};
use fastlead_core::time::{Timestamp, plus_seconds};

use super::{Checked, Model};

/// For how many seconds bids are waited for where the rule does not say.
const PING_SECS: u64 = 5;

/// The last auction of a lead.
#[derive(Debug, Clone)]
pub(super) struct Auction {
    rule: u32,
    ends_at: Timestamp,
    asked: BTreeSet<String>,
    /// In the order of arrival.
    bids: Vec<(String, Option<Money>)>,
    open: bool,
}

impl Auction {
    /// What a bidder pays; `None` where it has not bid enough, or in another currency.
    fn bid(&self, name: &str, rule: &RouteRule) -> Option<i64> {
        let currency = rule.floor.map_or(Currency::RUB, |floor| floor.currency);
        let least = rule.floor.map_or(1, |floor| floor.minor);
        let bid = self.bids.iter().find(|(target, _)| target == name)?.1?;
        (bid.currency == currency && bid.minor >= least).then_some(bid.minor)
    }
}

/// What a target pays that is asked whether it takes a lead: its bid where that counts, or else the price of
/// the policy.
pub(super) fn price(policy: &Policy, auction: Option<&Auction>, name: &str) -> i64 {
    let bid = auction.and_then(|auction| auction.bid(name, bidding(policy, Some(auction.rule), name)?));
    let price = || policy.targets.get(name).and_then(|target| target.price).map_or(0, |price| price.minor);
    bid.unwrap_or_else(price)
}

/// The rule of this number where it asks this target for bids.
fn bidding<'a>(policy: &'a Policy, number: Option<u32>, name: &str) -> Option<&'a RouteRule> {
    let rule = policy.route.rules.get(usize::try_from(number?).ok()?)?;
    (rule.strategy == Strategy::PingPost && rule.targets.iter().any(|target| target == name)).then_some(rule)
}

impl Model {
    /// A bidder has answered a ping, with `None` where that is no bid.
    pub(in super::super) fn bidder_answers(&mut self, ping: DeliveryId, bid: Option<Money>) {
        self.answered.entry(ping).or_default().push(bid);
    }

    /// What a transition says of auctions and those who bid is so.
    pub(super) fn auction_fits(&mut self, transition: &Transition) -> Checked {
        if transition.guard == Guard::Append {
            return Ok(());
        }
        let id = transition.lead_id;
        if transition.event == Event::PolicyChanged {
            // Its rules are numbered anew, and bids for those of an earlier policy count no more.
            self.auctions.remove(&id);
        }
        let known = self.leads.get(&id);
        let before = known.map_or_else(LeadState::default, |lead| lead.state.clone());
        let reference = transition.trace.policy;
        let Some(policy) = self.policies.get(&reference).cloned() else { return Ok(()) };
        self.bid_counts(transition)?;
        self.auction_goes_on(transition, &before, &policy)?;
        let after = &transition.state;
        for offer in after.offers.iter().skip(before.offers.len()) {
            // Whoever answers by itself is not chosen.
            if let Some(rule) = bidding(&policy, offer.rule, &offer.target)
                && !matches!(transition.event, Event::Responded { response: Response::Accept, .. })
            {
                self.has_won(transition, &before, offer, rule)?;
            }
        }
        for sale in after.sales.iter().skip(before.sales.len()) {
            // Whoever gets it without being asked pays the price of the policy.
            let asked = matches!(transition.event, Event::Responded { .. });
            let auction = self.auctions.get(&id).filter(|_| asked);
            let right = price(&policy, auction, &sale.target);
            let paid = sale.price.map_or(0, |price| price.minor);
            if paid != right {
                return Err(format!("{} has {id} for {paid}, and its price is {right}", sale.target));
            }
            let money = sale.holds.iter().filter(|hold| hold.key.as_str().starts_with("money:"));
            if let Some(hold) = money.clone().find(|hold| hold.amount != paid) {
                let (target, key) = (&sale.target, &hold.key);
                return Err(format!("{target} pays {paid} for {id}, and `{key}` counts {}", hold.amount));
            }
        }
        Ok(())
    }

    /// A bid that counts was made, by whom it is said, in time and for the first time.
    fn bid_counts(&mut self, transition: &Transition) -> Checked {
        let Event::Answered { target, bid } = &transition.event else { return Ok(()) };
        let id = transition.lead_id;
        if let Some(settlement) = &transition.settlement
            && let Settled::Ended { state, .. } = &settlement.outcome
        {
            let answers = self.answered.get(&settlement.delivery_id);
            let last = answers.and_then(|answers| answers.last().copied());
            let told = bid.is_none() || answers.is_some_and(|answers| answers.contains(bid));
            // An answer that came before the process died is lost; one that has just come is not.
            let heard = settlement.attempt.as_ref().is_some_and(|attempt| attempt.error.is_none());
            let lost = heard
                && matches!(state, DeliveryState::Delivered | DeliveryState::Sent)
                && settlement.attempt.as_ref().is_some_and(|attempt| {
                    attempt.operation == fastlead_core::delivery::AttemptOperation::Send
                })
                && last.is_some_and(|last| last != *bid);
            if !told || lost {
                return Err(format!(
                    "{target} is said to bid {bid:?} for {id}, and has answered {answers:?}"
                ));
            }
        }
        // What closes an auction can open another, so that the bids themselves are not there any more.
        let late = |step: &TraceStep| step.rule == "auction.bid" && step.verdict != Verdict::Passed;
        let Some(auction) = self.auctions.get_mut(&id).filter(|_| !transition.trace.steps.iter().any(late))
        else {
            return Ok(());
        };
        if transition.at >= auction.ends_at || !auction.open {
            return Err(format!("{target} bids {bid:?} for {id} too late, and it counts"));
        }
        if !auction.asked.contains(target) || auction.bids.iter().any(|(name, _)| name == target) {
            return Err(format!("{target} bids for {id} unasked or again, and it counts"));
        }
        auction.bids.push((target.clone(), *bid));
        Ok(())
    }

    /// Auctions begin with their rule's time, keep their bids, and end when they end.
    fn auction_goes_on(&mut self, transition: &Transition, before: &LeadState, policy: &Policy) -> Checked {
        let id = transition.lead_id;
        let Some(after) = &transition.state.auction else { return Ok(()) };
        let which = |auction: &fastlead_core::decide::Auction| (auction.rule, auction.ends_at);
        let opened = before.auction.as_ref().map(which) != Some(which(after));
        if let Some(auction) = self.auctions.get_mut(&id).filter(|auction| auction.open)
            && (after.closed || opened)
        {
            let all = auction.asked.len() == auction.bids.len();
            if !all && transition.at < auction.ends_at {
                return Err(format!("{id} was sold before its bids have come"));
            }
            auction.open = false;
        }
        if opened {
            let rule = usize::try_from(after.rule).ok().and_then(|number| policy.route.rules.get(number));
            let seconds = rule.and_then(|rule| rule.ping_timeout_secs).unwrap_or(PING_SECS);
            let auction = Auction {
                rule: after.rule,
                ends_at: plus_seconds(transition.at, seconds),
                asked: after.asked.iter().cloned().collect(),
                bids: Vec::new(),
                open: true,
            };
            if after.ends_at != auction.ends_at {
                return Err(format!(
                    "bids for {id} end at {}, and not at {}",
                    after.ends_at, auction.ends_at
                ));
            }
            let before = self.auctions.insert(id, auction);
            if let Some(before) = before.filter(|before| before.rule >= after.rule) {
                return Err(format!("{id} is put up for bids by rule {} after {}", after.rule, before.rule));
            }
        }
        let Some(auction) = self.auctions.get(&id) else {
            return Err(format!("{id} was sold by an auction that was never held"));
        };
        let kept = after.bids.iter().map(|bid| (&bid.target, &bid.bid));
        if !kept.eq(auction.bids.iter().map(|(target, bid)| (target, bid))) {
            return Err(format!(
                "{id} is said to have the bids {:?}, and has {:?}",
                after.bids, auction.bids
            ));
        }
        if auction.open != (transition.state.status == LeadStatus::Auction) {
            let status = transition.state.status.as_str();
            return Err(format!("{id} is {status}, and bids are waited for: {}", auction.open));
        }
        Ok(())
    }

    /// Whoever is offered a lead for its bid has bid, most of those who can have it, and nobody else has it
    /// or is offered it by the same rule.
    fn has_won(
        &self,
        transition: &Transition,
        before: &LeadState,
        offer: &Offer,
        rule: &RouteRule,
    ) -> Checked {
        let (id, winner) = (transition.lead_id, &offer.target);
        let auction = self.auctions.get(&id).filter(|auction| Some(auction.rule) == offer.rule);
        let Some((auction, bid)) = auction.and_then(|auction| Some((auction, auction.bid(winner, rule)?)))
        else {
            return Err(format!("{winner} is offered {id}, and has made no bid that counts"));
        };
        let left_out = |name: &str| {
            let stays_out = |reason: Reason| {
                !matches!(
                    reason,
                    Reason::OthersFirst | Reason::NoBid | Reason::BelowFloor | Reason::AskedForBid
                )
            };
            let about = |subject: &str| subject == name;
            let offered = before.offers.iter().any(|offer| offer.target == name);
            offered
                || transition.trace.steps.iter().any(|step| {
                    step.rule.starts_with("route")
                        && step.reason.is_some_and(stays_out)
                        && (step.subject.as_deref().is_some_and(about)
                            || step.candidates.iter().any(|name| about(name)))
                })
        };
        let owner = |step: &TraceStep| {
            step.reason == Some(Reason::PreviousOwner) && step.subject.as_ref() == Some(winner)
        };
        let sticky = rule.sticky.is_some() && transition.trace.steps.iter().any(owner);
        for (name, _) in auction.bids.iter().filter(|_| !sticky).filter(|(name, _)| name != winner) {
            if let Some(higher) = auction.bid(name, rule).filter(|other| *other > bid)
                && !left_out(name)
            {
                return Err(format!("{winner} is offered {id} for {bid}, and {name} has bid {higher}"));
            }
        }
        let rival = transition
            .state
            .offers
            .iter()
            .find(|other| other.rule == offer.rule && other.target != *winner && other.waits());
        if let Some(rival) = rival {
            return Err(format!("{winner} is offered {id} while it is offered to {}", rival.target));
        }
        Ok(())
    }

    /// Whether leads were sold by ping-post.
    pub(in super::super) fn auctions_held(&self) -> u64 {
        self.auctions.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fastlead_core::decide::{Bid, Trace};
    use fastlead_core::delivery::{Attempt, AttemptOperation, Scope};
    use fastlead_core::engine::stable_uuid;
    use fastlead_core::id::{EventId, LeadId, LeaseToken, PolicyId, ProjectId, SourceId, WorkspaceId};
    use fastlead_core::policy::PolicyRef;
    use fastlead_core::port::Settlement;
    use fastlead_core::time::epoch;
    use serde_json::json;

    use super::*;

    const A: &str = "a";
    const B: &str = "b";

    fn uuid(what: &str) -> uuid::Uuid {
        stable_uuid("test", what)
    }

    fn ping() -> DeliveryId {
        DeliveryId::from_uuid(uuid("ping"))
    }

    fn rub(minor: i64) -> Option<Money> {
        Some(Money::new(minor, Currency::RUB))
    }

    /// `a` and `b` were asked at the epoch, for five seconds.
    fn model() -> Model {
        let policy = json!({
            "targets": {
                A: {"display_name": A, "destinations": [{"channel": "market", "recipient": {"chat": A}}]},
                B: {"display_name": B, "destinations": [{"channel": "market", "recipient": {"chat": B}}]},
            },
            "route": {"strategy": "ping_post", "targets": [A, B], "template": "t"},
            "templates": {"t": {"ru": {"plain": "x"}}},
        });
        let mut model = Model::default();
        model.policies.insert(reference(), Arc::new(serde_json::from_value(policy).unwrap()));
        let asked = BTreeSet::from([A.to_owned(), B.to_owned()]);
        let ends_at = plus_seconds(epoch(), 5);
        model.auctions.insert(lead(), Auction { rule: 0, ends_at, asked, bids: Vec::new(), open: true });
        model
    }

    fn lead() -> LeadId {
        LeadId::from_uuid(uuid("lead"))
    }

    fn reference() -> PolicyRef {
        PolicyRef { id: PolicyId::from_uuid(uuid("policy")), version: 1 }
    }

    /// The decision upon an answer of `target` after so many seconds, which counts.
    fn answered(target: &str, bid: Option<Money>, seconds: u64) -> Transition {
        let at = plus_seconds(epoch(), seconds);
        let attempt = Attempt {
            number: 1,
            part: 0,
            operation: AttemptOperation::Send,
            started_at: at,
            micros: 0,
            error: None,
            provider_message_id: None,
            segments: None,
            cost: None,
            verdict: String::new(),
        };
        Transition {
            guard: Guard::Version(1),
            event_id: EventId::from_uuid(uuid("event")),
            settlement: Some(Settlement {
                delivery_id: ping(),
                token: LeaseToken::from_uuid(uuid("token")),
                at,
                outcome: Settled::Ended {
                    state: DeliveryState::Sent,
                    reason: None,
                    provider_message_id: None,
                },
                attempt: Some(attempt),
                pause: None,
            }),
            ..Transition::new_lead(
                Scope {
                    workspace_id: WorkspaceId::from_uuid(uuid("workspace")),
                    project_id: ProjectId::from_uuid(uuid("project")),
                },
                SourceId::from_uuid(uuid("source")),
                lead(),
                Event::Answered { target: target.to_owned(), bid },
                at,
                Trace::new(reference()),
                LeadState::default(),
            )
        }
    }

    fn counts(target: &str, said: Option<Money>, heard: Option<Money>, seconds: u64) -> String {
        let mut model = model();
        model.bidder_answers(ping(), said);
        model.bid_counts(&answered(target, heard, seconds)).err().unwrap_or_default()
    }

    #[test]
    fn a_bid_counts_once_in_time_as_it_was_made_by_whoever_was_asked() {
        assert_eq!(counts(A, rub(5), rub(5), 4), "");
        assert!(counts(A, rub(5), rub(5), 5).contains("too late"));
        assert!(counts(A, rub(5), rub(6), 4).contains("has answered"));
        assert!(counts(A, rub(5), None, 4).contains("has answered"));
        assert!(counts("c", rub(5), rub(5), 4).contains("unasked"));
        let mut twice = model();
        twice.bidder_answers(ping(), rub(5));
        twice.bid_counts(&answered(A, rub(5), 1)).unwrap();
        assert!(twice.bid_counts(&answered(A, rub(5), 2)).unwrap_err().contains("again"));
    }

    /// What is wrong where the lead is offered to these for their bids: 5 of `a`, 7 of `b`.
    fn offered(names: &[&str]) -> String {
        let mut model = model();
        for (name, bid) in [(A, rub(5)), (B, rub(7))] {
            model.bidder_answers(ping(), bid);
            model.bid_counts(&answered(name, bid, 1)).unwrap();
        }
        let mut transition = answered(B, rub(7), 1);
        transition.event = Event::SlotFree;
        let bid = |(name, bid): &(String, Option<Money>)| Bid { target: name.clone(), bid: *bid };
        let bids = model.auctions[&lead()].bids.iter().map(bid).collect();
        let ends_at = plus_seconds(epoch(), 5);
        let asked = vec![A.to_owned(), B.to_owned()];
        let mut before = LeadState { status: LeadStatus::Auction, ..LeadState::default() };
        let auction = fastlead_core::decide::Auction { rule: 0, ends_at, asked, bids, closed: false };
        before.auction = Some(auction);
        let mut after = before.clone();
        after.status = LeadStatus::Open;
        after.auction.as_mut().unwrap().closed = true;
        for name in names {
            let offer =
                json!({"target": name, "step": 0, "alive": 1, "declined": false, "lapsed": false, "rule": 0});
            after.offers.push(serde_json::from_value(offer).unwrap());
        }
        transition.state = after;
        let policy = Arc::clone(&model.policies[&reference()]);
        let fits = model.auction_goes_on(&transition, &before, &policy).and_then(|()| {
            let rule = &policy.route.rules[0];
            transition
                .state
                .offers
                .iter()
                .try_for_each(|offer| model.has_won(&transition, &before, offer, rule))
        });
        fits.err().unwrap_or_default()
    }

    #[test]
    fn the_highest_bid_alone_is_offered_the_lead() {
        assert_eq!(offered(&[B]), "");
        assert!(offered(&[A]).contains("b has bid 7"));
        assert!(offered(&[B, A]).contains("while it is offered to a"));
    }
}
