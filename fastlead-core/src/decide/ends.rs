//! What ends a lead after it was accepted: it is returned, or the work on it is done.

use super::{Decider, Effect, LeadStatus, Reason, Verdict};
use crate::policy::LeadEventType;
use crate::time::plus_seconds;

impl Decider<'_> {
    pub(super) fn returned(&mut self, target: &str, reason: &str) {
        let allowed = self
            .policy
            .returns
            .as_ref()
            .filter(|returns| returns.reasons.iter().any(|allowed| allowed == reason));
        let sale = self.state.sales.iter().rev().find(|sale| sale.is_of(target));
        let refused = match (allowed, sale) {
            (None, _) => Some(Reason::ReturnNotAllowed),
            (_, None) => Some(Reason::NotTheirs),
            (Some(returns), Some(sale)) => {
                let days = u64::from(returns.within_days);
                (plus_seconds(sale.at, days * 86_400) < self.now).then_some(Reason::ReturnTooLate)
            }
        };
        if let Some(reason) = refused {
            self.trace.note("returns", Some(target), Verdict::Refused, reason);
            return;
        }
        self.trace.note("returns", Some(target), Verdict::Chosen, None);
        let owned = self.state.owners().filter(|owner| *owner != target).count() > 0;
        // Offers by which others can still have it go on.
        let asked = self.state.offers.iter().any(|offer| offer.waits() && offer.target != target);
        let others = owned || asked;
        let resell = allowed.is_some_and(|returns| returns.resell) && !others;
        let plan = resell.then(|| self.plan(self.state.rule().unwrap_or(0)));
        let place = self.effects.len();
        let placed = plan.is_some_and(|plan| self.carry_out(plan));
        let given_back =
            Effect::Return { target: target.to_owned(), reason: reason.to_owned(), last: !others && !placed };
        self.effects.insert(place, given_back);
        if asked && !owned && !placed {
            // It waits for those who were asked beside the buyer, and the ladder goes on.
            self.next_rung_timer();
        }
        self.announce(LeadEventType::Returned);
    }

    pub(super) fn closed(&mut self) {
        if matches!(self.state.status, LeadStatus::New | LeadStatus::Closed | LeadStatus::Rejected { .. }) {
            self.trace.note("close", None, Verdict::Skipped, Reason::NotWaiting);
            return;
        }
        self.trace.note("close", None, Verdict::Chosen, None);
        self.effects.extend([Effect::ClearTimers, Effect::CancelOffers, Effect::Close]);
        self.announce(LeadEventType::Closed);
    }

    /// The time for an answer has run out for those to whom a lead could still have been sold.
    pub(super) fn lapse_unsold(&mut self, number: u32) {
        let first = usize::try_from(number).unwrap_or(usize::MAX);
        let offers = self.state.offers.iter().enumerate().skip(first);
        let lapsing = offers
            .filter(|(_, offer)| offer.waits() && !self.state.owners().any(|owner| owner == offer.target))
            .map(|(index, offer)| (index, offer.target.clone()))
            .collect();
        self.lapse(lapsing);
    }
}
