//! Ping-post: everybody is asked for a bid at once, and the highest has the lead.

use serde::{Deserialize, Serialize};

use super::candidate::Candidate;
use super::route::Chosen;
use super::{Address, Decider, Effect, LeadStatus, Reason, TimerName, Verdict};
use crate::delivery::{Body, Purpose};
use crate::message::MessageClass;
use crate::money::{Currency, Money};
use crate::policy::{RouteRule, Target};
use crate::time::{Timestamp, plus_seconds};

/// For how many seconds bids are waited for where the rule does not say.
const PING_SECS: u64 = 5;

/// Bids that are or were waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Auction {
    /// The rule of the route.
    pub rule: u32,
    /// A bid that comes at this moment or later is too late.
    pub ends_at: Timestamp,
    /// Who was asked.
    pub asked: Vec<String>,
    /// Who has answered, in the order of arrival.
    #[serde(default)]
    pub bids: Vec<Bid>,
    /// Whether it has ended.
    #[serde(default)]
    pub closed: bool,
}

/// An answer to a ping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bid {
    /// The target's name.
    pub target: String,
    /// What it pays; `None` where it does not want the lead or could not be asked.
    pub bid: Option<Money>,
}

impl<'a> Decider<'a> {
    /// Asks every one of `asked` for a bid.
    pub(super) fn open_auction(&mut self, number: u32, asked: Vec<Candidate<'a>>) {
        let policy = self.policy;
        let Some(rule) = policy.route.rule(number) else { return };
        let seconds = rule.ping_timeout_secs.unwrap_or(PING_SECS);
        let ends_at = plus_seconds(self.now, seconds);
        let path = self.rule_path(usize::try_from(number).unwrap_or(usize::MAX));
        let mut names = Vec::with_capacity(asked.len());
        for Candidate { index, name, target, .. } in asked {
            let path = format!("{path}.targets[{index}]");
            self.trace.note(path.clone(), Some(name), Verdict::Scheduled, Reason::AskedForBid);
            self.ping(&path, name, target, rule, seconds);
            names.push(name.to_owned());
        }
        self.effects.push(Effect::Auction { rule: number, ends_at, asked: names });
        self.effects.push(Effect::SetTimer { timer: TimerName::AuctionEnds, due_at: ends_at });
    }

    fn ping(&mut self, path: &str, name: &str, target: &'a Target, rule: &RouteRule, ttl_secs: u64) {
        // Seconds count: what cannot be asked now is not asked again.
        let once = crate::delivery::RetrySchedule { delays_secs: Vec::new() };
        for (index, destination) in target.destinations.iter().enumerate() {
            if !self.answers(&destination.channel) {
                continue;
            }
            let address = Address {
                rule: &format!("{path}.destinations[{index}]"),
                channel: &destination.channel,
                recipient: destination.recipient.clone(),
                retry: Some(&once),
            };
            let body = Body::Ping { fields: rule.ping_fields.clone(), floor: rule.floor };
            let purpose = Purpose::Ping { target: name.to_owned() };
            if self.deliver(address, purpose, body, MessageClass::Service, ttl_secs) {
                // One answer is enough, and two would be two bids.
                return;
            }
        }
    }

    /// Whether a channel brings back what the other side answers.
    pub(super) fn answers(&self, channel: &str) -> bool {
        self.snapshot.channels.get(channel).is_some_and(|facts| facts.answers)
    }

    /// A bid has come, or the word that there is none.
    pub(super) fn answered(&mut self, name: &str, bid: Option<Money>) {
        let open = self.state.auction.as_ref().filter(|_| self.state.status == LeadStatus::Auction);
        let Some(auction) = open.filter(|auction| !auction.closed && self.now < auction.ends_at) else {
            self.trace.note("auction.bid", Some(name), Verdict::Refused, Reason::TooLate);
            return;
        };
        let asked = auction.asked.iter().any(|asked| asked == name);
        if !asked || auction.bids.iter().any(|bid| bid.target == name) {
            self.trace.note("auction.bid", Some(name), Verdict::Skipped, Reason::OfferClosed);
            return;
        }
        let reason = if bid.is_some() { Reason::Answered } else { Reason::NoBid };
        self.trace.note("auction.bid", Some(name), Verdict::Passed, reason);
        let bid = Bid { target: name.to_owned(), bid };
        self.effects.push(Effect::Bid { bid: bid.clone() });
        let complete = auction.bids.len() + 1 >= auction.asked.len();
        self.bids = auction.bids.iter().cloned().chain([bid]).collect();
        if complete {
            self.close_auction();
        }
    }

    /// The time for bids has run out.
    pub(super) fn auction_ended(&mut self) {
        match &self.state.auction {
            Some(auction) if self.state.status == LeadStatus::Auction => {
                self.bids.clone_from(&auction.bids);
                self.close_auction();
            }
            _ => self.trace.note("auction", None, Verdict::Skipped, Reason::NotWaiting),
        }
    }

    fn close_auction(&mut self) {
        if !self.ladder_runs() {
            self.effects.push(Effect::ClearTimers);
        }
        self.effects.push(Effect::CloseAuction);
        self.find_another();
    }

    /// Whether bids for this rule are known already, so that nobody is asked again.
    pub(super) fn has_bids(&self, number: u32) -> bool {
        self.state.auction.as_ref().is_some_and(|auction| auction.rule == number)
    }

    /// What a target has bid, or why that does not count. `None` where it was not asked or has not answered.
    fn bid_of(&self, name: &str) -> Option<Result<Money, Reason>> {
        let auction = self.state.auction.as_ref()?;
        let bids = if self.bids.is_empty() { &auction.bids } else { &self.bids };
        let bid = bids.iter().find(|bid| bid.target == name)?.bid;
        let floor = self.policy.route.rule(auction.rule).and_then(|rule| rule.floor);
        let currency = floor.map_or(Currency::RUB, |floor| floor.currency);
        let least = floor.map_or(1, |floor| floor.minor.max(1));
        Some(match bid.filter(|bid| bid.currency == currency) {
            None => Err(Reason::NoBid),
            Some(bid) if bid.minor < least => Err(Reason::BelowFloor),
            Some(bid) => Ok(bid),
        })
    }

    /// Leaves out whoever has not bid enough, and puts the highest bid first.
    pub(super) fn highest(&self, candidates: &mut [Candidate<'a>]) -> Vec<usize> {
        let mut best: Option<(i64, usize)> = None;
        for (place, candidate) in candidates.iter_mut().enumerate() {
            // Nobody is waited for who has made no bid, and will not be asked again.
            let may_take = candidate.out.is_none_or(|out| out.wait().is_some());
            match self.bid_of(candidate.name).unwrap_or(Err(Reason::NoBid)) {
                Err(reason) if may_take => candidate.out = Some(reason.into()),
                _ if candidate.out.is_some() => {}
                Ok(bid) if best.is_none_or(|(most, _)| bid.minor > most) => best = Some((bid.minor, place)),
                _ => {}
            }
        }
        best.map(|(_, place)| place).into_iter().collect()
    }

    /// What a target pays that is asked, by whatever rule or rung: its bid where that counts, or else the price
    /// of the policy.
    pub(super) fn price_of(&self, name: &str, target: &Target) -> Option<Money> {
        self.bid_of(name).and_then(Result::ok).or(target.price)
    }
}

impl Chosen<'_> {
    /// Whether a program is offered the lead, which gets it as data.
    pub(super) fn as_data(rule: &RouteRule) -> bool {
        rule.strategy == crate::policy::Strategy::PingPost
    }
}
