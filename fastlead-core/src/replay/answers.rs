//! What targets answer in a backtest: what they answered then, or what is assumed.

use std::collections::HashMap;

use serde::Serialize;

use super::Step;
use crate::decide::{Effect, Event, LeadState, Via};
use crate::id::LeadId;
use crate::message::Response;
use crate::money::Money;
use crate::policy::Policy;
use crate::time::{Timestamp, plus_seconds};

/// What is assumed where the past does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Assumptions {
    /// After how many seconds a target accepts an offer that it did not have then, and a visitor confirms who was
    /// not asked to then.
    pub answer_secs: u64,
    /// After how many seconds the work on an accepted lead is done.
    pub close_secs: u64,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self { answer_secs: 60, close_secs: 86_400 }
    }
}

/// What targets did with a lead.
#[derive(Debug)]
struct Past {
    /// Of each target that had an offer: when it accepted, if it did.
    offered: Vec<(String, Option<Timestamp>)>,
    declined: Vec<String>,
    /// Of each target that was asked for a bid: what it bid.
    bids: Vec<(String, Option<Money>)>,
    /// Whether the visitor was asked to confirm and did not.
    unconfirmed: bool,
}

/// What targets answer.
#[derive(Debug, Default)]
pub(super) struct Answers {
    assumed: Assumptions,
    past: HashMap<LeadId, Past>,
    /// What targets pay by the policy: what is bid by those who were not asked then.
    prices: HashMap<String, Money>,
}

impl Answers {
    pub(super) fn new(assumed: Assumptions, policy: &Policy) -> Self {
        let prices = policy.targets.iter().filter_map(|(name, target)| Some((name.clone(), target.price?)));
        Self { assumed, past: HashMap::new(), prices: prices.collect() }
    }

    /// Remembers what targets did with a lead, for as long as it is on its way.
    pub(super) fn remember(&mut self, lead: LeadId, state: &LeadState) {
        let sold = |target: &str| state.sales.iter().find(|sale| sale.target == target).map(|sale| sale.at);
        let unconfirmed = state.confirmation.is_some_and(|asked| asked.at.is_none());
        let mut past = Past { offered: Vec::new(), declined: Vec::new(), bids: Vec::new(), unconfirmed };
        for offer in &state.offers {
            past.offered.push((offer.target.clone(), sold(&offer.target)));
            if offer.declined {
                past.declined.push(offer.target.clone());
            }
        }
        if let Some(auction) = &state.auction {
            let bid =
                |name: &String| auction.bids.iter().find(|bid| bid.target == *name).and_then(|bid| bid.bid);
            past.bids = auction.asked.iter().map(|name| (name.clone(), bid(name))).collect();
        }
        if !past.offered.is_empty() || !past.bids.is_empty() || past.unconfirmed {
            self.past.insert(lead, past);
        }
    }

    pub(super) fn forget(&mut self, lead: LeadId) {
        self.past.remove(&lead);
    }

    /// What follows from a decision.
    pub(super) fn to(&self, step: &Step<'_>) -> Vec<(Timestamp, Event)> {
        let mut events = Vec::new();
        let mut closes = !step.before.sales.is_empty();
        for effect in &step.decision.effects {
            match effect {
                Effect::Offer { target, deliveries: 1.., .. } => {
                    events.extend(self.answer(step.lead_id, target, step.at));
                }
                Effect::Auction { asked, .. } => {
                    events.extend(asked.iter().map(|target| self.bid(step.lead_id, target, step.at)));
                }
                Effect::AskToConfirm { .. }
                    if !self.past.get(&step.lead_id).is_some_and(|past| past.unconfirmed) =>
                {
                    let at = plus_seconds(step.at, self.assumed.answer_secs);
                    events.push((at, Event::Confirmed { ip: None, user_agent: None }));
                }
                Effect::Assign { at, .. } if !closes => {
                    closes = true;
                    events.push((plus_seconds(*at, self.assumed.close_secs), Event::Closed));
                }
                _ => {}
            }
        }
        events
    }

    /// Bids come at once.
    fn bid(&self, lead: LeadId, target: &str, asked_at: Timestamp) -> (Timestamp, Event) {
        let past = self.past.get(&lead);
        let then = past.and_then(|past| past.bids.iter().find(|(name, _)| name == target));
        let bid = match then {
            Some((_, bid)) => *bid,
            None => self.prices.get(target).copied(),
        };
        (asked_at, Event::Answered { target: target.to_owned(), bid })
    }

    fn answer(&self, lead: LeadId, target: &str, offered_at: Timestamp) -> Option<(Timestamp, Event)> {
        let later = plus_seconds(offered_at, self.assumed.answer_secs);
        let past = self.past.get(&lead);
        let then = past.and_then(|past| past.offered.iter().find(|(name, _)| name == target));
        let declined = past.is_some_and(|past| past.declined.iter().any(|name| name == target));
        let (at, response) = match then {
            _ if declined => (later, Response::Decline),
            // Whoever did not answer then does not answer now.
            Some((_, None)) => return None,
            Some((_, Some(accepted_at))) if *accepted_at >= offered_at => (*accepted_at, Response::Accept),
            _ => (later, Response::Accept),
        };
        Some((at, Event::Responded { target: target.to_owned(), response, via: Via::Api }))
    }
}
