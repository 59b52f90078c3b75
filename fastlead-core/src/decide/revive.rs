//! A delivery that has ended without arriving may be tried again while what it says is still true.

use super::{Decider, Effect, LeadStatus, Reason, Verdict};
use crate::delivery::Purpose;
use crate::id::DeliveryId;
use crate::time::{Timestamp, plus_seconds};

impl Decider<'_> {
    /// Tries a delivery again, or says why that is too late.
    pub(super) fn revived(&mut self, delivery: DeliveryId, purpose: &Purpose) {
        let subject = match purpose {
            Purpose::Offer { target, .. } | Purpose::Ping { target } | Purpose::OfferEnded { target } => {
                Some(target.as_str())
            }
            _ => None,
        };
        match self.still_true(purpose) {
            Ok(until) => {
                self.trace.note("revive", subject, Verdict::Chosen, None);
                let ttl_secs = self.policy.delivery.ttl_secs;
                let lifetime = plus_seconds(self.now, ttl_secs);
                let expires_at = until.map_or(lifetime, |until| until.min(lifetime));
                self.effects.push(Effect::Revive { delivery, expires_at });
            }
            Err(reason) => self.trace.note("revive", subject, Verdict::Refused, reason),
        }
    }

    /// Until when the message is worth sending, where its lifetime does not say; or why it is not.
    fn still_true(&self, purpose: &Purpose) -> Result<Option<Timestamp>, Reason> {
        let state = self.state;
        match purpose {
            Purpose::Offer { target, .. } => {
                let offer = state.offers.iter().rev().find(|offer| offer.target == *target);
                if offer.is_some_and(|offer| offer.declined) {
                    return Err(Reason::DeclinedBefore);
                }
                if matches!(
                    state.status,
                    LeadStatus::Closed | LeadStatus::Returned | LeadStatus::Rejected { .. }
                ) {
                    return Err(Reason::NotWaiting);
                }
                self.too_late(target).map_or(Ok(None), Err)
            }
            Purpose::Ping { target } => {
                let asked =
                    state.auction.as_ref().filter(|auction| !auction.closed && auction.ends_at > self.now);
                let Some(auction) = asked else { return Err(Reason::TooLate) };
                let answered = auction.bids.iter().any(|bid| bid.target == *target);
                if answered { Err(Reason::TooLate) } else { Ok(Some(auction.ends_at)) }
            }
            Purpose::Confirmation => {
                let asked = state.confirmation.filter(|asked| asked.at.is_none() && asked.until > self.now);
                asked.map(|asked| Some(asked.until)).ok_or(Reason::TooLate)
            }
            Purpose::AutoReply => {
                let over = matches!(state.status, LeadStatus::Closed | LeadStatus::Rejected { .. });
                if over { Err(Reason::NotWaiting) } else { Ok(None) }
            }
            // Providers forget a press within seconds.
            Purpose::InteractionReply => Err(Reason::TooLate),
            // What has happened stays true.
            Purpose::Webhook | Purpose::OfferEnded { .. } | Purpose::Notice | Purpose::Manual => Ok(None),
        }
    }
}
