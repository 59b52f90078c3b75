//! Where a lead stands: the fold of everything that was decided about it.

use serde::{Deserialize, Serialize};

use super::auction::Auction;
use super::confirm::Confirmation;
use super::counter::CounterKey;
use super::{Effect, TimerName};
use crate::id::DeliveryId;
use crate::money::Money;
use crate::time::Timestamp;

/// The state of a lead. Only [`LeadState::apply`] changes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeadState {
    /// How many decisions have changed it.
    pub version: u64,
    /// Where it stands.
    pub status: LeadStatus,
    /// Who was offered it, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<Offer>,
    /// Who has it; the last, where several have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<String>,
    /// Everybody who has or had it, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sales: Vec<Sale>,
    /// Which timers run, and until when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timers: Vec<(TimerName, Timestamp)>,
    /// How many rungs of the ladder were taken.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rung: u32,
    /// Since when it waits in the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_at: Option<Timestamp>,
    /// Bids that are or were waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auction: Option<Auction>,
    /// What the visitor was asked to confirm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<Confirmation>,
    /// Its score, where the policy has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<LeadScore>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What it takes from counters by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// The points that a lead was given, and when: they fade by the policy's half-life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadScore {
    /// How many.
    pub points: i64,
    /// When.
    pub at: Timestamp,
}

/// Where a lead stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LeadStatus {
    /// Nothing was decided yet.
    #[default]
    New,
    /// A person looks at it before it is handed out.
    Review,
    /// The visitor has not confirmed yet.
    Unconfirmed,
    /// Bids for it are waited for.
    Auction,
    /// It waits for somebody to accept it.
    Open,
    /// It waits for somebody who works and has room. It can be accepted.
    Queued,
    /// Somebody has it.
    Accepted,
    /// It was refused.
    Rejected {
        /// Stable machine-readable reason.
        code: String,
    },
    /// The ladder has ended. It can still be accepted.
    Unanswered,
    /// Everybody who had it has given it back.
    Returned,
    /// The work on it is done.
    Closed,
}

impl LeadStatus {
    /// The names of all statuses, as [`LeadStatus::as_str`] has them.
    pub const NAMES: [&str; 11] = [
        "new",
        "review",
        "unconfirmed",
        "auction",
        "open",
        "queued",
        "accepted",
        "rejected",
        "unanswered",
        "returned",
        "closed",
    ];

    /// `new`, `review`, `unconfirmed`, `auction`, `open`, `queued`, `accepted`, `rejected`, `unanswered`, `returned` or `closed`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Review => "review",
            Self::Unconfirmed => "unconfirmed",
            Self::Auction => "auction",
            Self::Open => "open",
            Self::Queued => "queued",
            Self::Accepted => "accepted",
            Self::Rejected { .. } => "rejected",
            Self::Unanswered => "unanswered",
            Self::Returned => "returned",
            Self::Closed => "closed",
        }
    }
}

/// A lead offered to a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The target's name.
    pub target: String,
    /// 0 for the route, then the rungs of the ladder from 1.
    pub step: u32,
    /// How many deliveries that carry it may still arrive or have arrived.
    pub alive: u32,
    /// Deliveries that have ended without arriving, each once, however often that is said. One that is tried again is
    /// alive again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<DeliveryId>,
    /// Whether the target has declined.
    pub declined: bool,
    /// Whether the time for the answer has run out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lapsed: bool,
    /// The rule of the route that chose the target; `None` for a rung, and for a rule of an earlier policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<u32>,
    /// What it takes from counters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
}

impl Offer {
    /// Whether its target may be expected to answer.
    pub const fn waits(&self) -> bool {
        self.alive > 0 && !self.declined && !self.lapsed
    }
}

/// A lead that a target has or had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// The target's name.
    pub target: String,
    /// When it accepted.
    pub at: Timestamp,
    /// What it pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// Why it gave the lead back, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<String>,
    /// What it takes from counters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
}

/// What a lead takes from a counter. The sum of the holds of all leads is the counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The counter.
    pub key: CounterKey,
    /// How much.
    pub amount: i64,
    /// For how long.
    pub kind: HoldKind,
    /// From when on it holds nothing, where the counter's name outlives its window: what the counter says then was taken
    /// by somebody else, and is not given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Hold {
    /// Whether it still holds something at `now`.
    pub fn lives(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// For how long something is held. Everything is given back when the lead is returned, but for the
/// dedupe of a buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HoldKind {
    /// A cap, in leads or in money: until the offer ends without acceptance.
    Cap,
    /// A place among the open leads: until the offer ends or the lead is closed.
    Place,
    /// A share: the offer counts, whatever is answered.
    Share,
    /// The person is sold to this buyer: until the offer ends without acceptance.
    Person,
    /// A place in the queue of a rule: until the lead leaves it.
    Queue,
}

impl LeadState {
    /// The state after `effects` of one decision.
    #[must_use]
    pub fn apply(mut self, effects: &[Effect]) -> Self {
        for effect in effects {
            self.apply_one(effect);
        }
        self.version += 1;
        self
    }

    fn apply_one(&mut self, effect: &Effect) {
        match effect {
            Effect::Accept => self.status = LeadStatus::Open,
            Effect::Reject { code } => self.status = LeadStatus::Rejected { code: code.clone() },
            Effect::Offer { target, step, deliveries, rule, holds } => {
                if matches!(self.status, LeadStatus::Queued | LeadStatus::Returned) {
                    self.status = LeadStatus::Open;
                }
                self.leave_queue();
                self.offers.push(Offer {
                    target: target.clone(),
                    step: *step,
                    alive: *deliveries,
                    lost: Vec::new(),
                    declined: false,
                    lapsed: false,
                    rule: *rule,
                    holds: holds.clone(),
                });
            }
            Effect::Remind { target, deliveries, .. } => {
                if let Some(offer) =
                    self.offers.iter_mut().rev().find(|offer| offer.target == *target && offer.waits())
                {
                    offer.alive += deliveries;
                }
            }
            Effect::Assign { target, at, price } => self.assign(target, *at, *price),
            Effect::Decline { target } => {
                for offer in self.offers.iter_mut().filter(|offer| offer.target == *target) {
                    offer.declined = true;
                    offer.holds.retain(after_offer);
                }
            }
            Effect::Lapse { offer } => {
                let index = usize::try_from(*offer).unwrap_or(usize::MAX);
                if let Some(offer) = self.offers.get_mut(index) {
                    offer.lapsed = true;
                    self.end_offer(index);
                }
            }
            Effect::OfferLost { target, delivery } => self.lose(target, *delivery),
            Effect::Revive { delivery, .. } => {
                if let Some(offer) = self.offers.iter_mut().find(|offer| offer.lost.contains(delivery)) {
                    offer.lost.retain(|lost| lost != delivery);
                    offer.alive += 1;
                }
            }
            Effect::CancelOffers => self.lapse_all(),
            Effect::SetTimer { timer, due_at } => {
                self.timers.retain(|(name, _)| name != timer);
                self.timers.push((*timer, *due_at));
            }
            Effect::Fired { timer } => self.timers.retain(|(name, _)| name != timer),
            Effect::ClearTimers => self.timers.clear(),
            Effect::GiveUp => {
                self.status = LeadStatus::Unanswered;
                self.leave_queue();
                self.lapse_all();
            }
            Effect::Queue { at, hold, .. } => {
                self.status = LeadStatus::Queued;
                self.queued_at.get_or_insert(*at);
                self.holds.extend(hold.clone());
            }
            Effect::Repin => {
                self.forget_rules();
                self.holds.retain(|hold| hold.kind != HoldKind::Queue);
            }
            Effect::Climb { rung } => self.rung = rung + 1,
            Effect::Auction { rule, ends_at, asked } => {
                self.leave_queue();
                self.status = LeadStatus::Auction;
                self.auction = Some(Auction {
                    rule: *rule,
                    ends_at: *ends_at,
                    asked: asked.clone(),
                    bids: Vec::new(),
                    closed: false,
                });
            }
            Effect::Bid { bid } => {
                if let Some(auction) = &mut self.auction {
                    auction.bids.push(bid.clone());
                }
            }
            Effect::CloseAuction => {
                self.status = LeadStatus::Open;
                if let Some(auction) = &mut self.auction {
                    auction.closed = true;
                }
            }
            Effect::Review => self.status = LeadStatus::Review,
            Effect::AskToConfirm { until, waits } => {
                self.confirmation = Some(Confirmation { until: *until, at: None });
                if *waits {
                    self.status = LeadStatus::Unconfirmed;
                }
            }
            Effect::Confirm { at } => {
                if let Some(confirmation) = &mut self.confirmation {
                    confirmation.at = Some(*at);
                }
            }
            Effect::Score { points, at } => self.score = Some(LeadScore { points: *points, at: *at }),
            Effect::Tag { tag } => self.tags.push(tag.clone()),
            Effect::Hold { holds } => self.holds.extend(holds.iter().cloned()),
            Effect::Return { target, reason, last } => self.give_back(target, reason, *last),
            Effect::Close => {
                self.status = LeadStatus::Closed;
                self.leave_queue();
                self.lapse_all();
                for sale in &mut self.sales {
                    sale.holds.retain(|hold| hold.kind != HoldKind::Place);
                }
            }
            Effect::Duplicate { .. }
            | Effect::ReserveUnique { .. }
            | Effect::Reserve { .. }
            | Effect::Release { .. }
            | Effect::Note { .. }
            | Effect::Deliver(_)
            | Effect::Announce { .. } => {}
        }
    }

    fn assign(&mut self, target: &str, at: Timestamp, price: Option<Money>) {
        self.status = LeadStatus::Accepted;
        self.assigned_to = Some(target.to_owned());
        self.leave_queue();
        let mut holds = Vec::new();
        for offer in self.offers.iter_mut().filter(|offer| offer.target == target) {
            holds.append(&mut offer.holds);
        }
        self.sales.push(Sale { target: target.to_owned(), at, price, returned: None, holds });
    }

    /// One of a target's deliveries has ended without arriving.
    fn lose(&mut self, target: &str, delivery: DeliveryId) {
        let mut mine = self.offers.iter().filter(|offer| offer.target == target);
        if mine.any(|offer| offer.lost.contains(&delivery)) {
            return;
        }
        let alive = self.offers.iter().rposition(|offer| offer.target == target && offer.alive > 0);
        let Some((index, offer)) = alive.and_then(|index| Some((index, self.offers.get_mut(index)?))) else {
            return;
        };
        offer.alive -= 1;
        offer.lost.push(delivery);
        if offer.alive == 0 {
            self.end_offer(index);
        }
    }

    fn give_back(&mut self, target: &str, reason: &str, last: bool) {
        if let Some(sale) = self.sales.iter_mut().rev().find(|sale| sale.is_of(target)) {
            sale.returned = Some(reason.to_owned());
            sale.holds.retain(|hold| hold.kind == HoldKind::Person);
        }
        // Nobody waits for an answer to the offers by which the target had it.
        for offer in self.offers.iter_mut().filter(|offer| offer.target == target) {
            offer.lapsed = true;
            offer.holds.retain(after_offer);
        }
        self.assigned_to = self.owners().last().map(str::to_owned);
        if self.assigned_to.is_none() {
            // Others to whom it could also have been sold may still answer.
            let others = self.somebody_may_answer();
            self.status = if others { LeadStatus::Open } else { LeadStatus::Returned };
        }
        if last {
            self.holds.clear();
        }
    }

    /// An offer has ended without acceptance. What it holds goes on to another offer by which its target can
    /// still answer, or is held no more.
    fn end_offer(&mut self, index: usize) {
        let Some(offer) = self.offers.get_mut(index) else { return };
        let target = offer.target.clone();
        let (kept, left): (Vec<Hold>, Vec<Hold>) =
            std::mem::take(&mut offer.holds).into_iter().partition(after_offer);
        offer.holds = kept;
        if let Some(other) = self.offers.iter_mut().find(|offer| offer.target == target && offer.waits()) {
            other.holds.extend(left);
        }
    }

    fn leave_queue(&mut self) {
        self.queued_at = None;
        self.holds.retain(|hold| hold.kind != HoldKind::Queue);
    }

    /// Another policy numbers its rules in another way.
    pub(super) fn forget_rules(&mut self) {
        for offer in &mut self.offers {
            offer.rule = None;
        }
        self.auction = None;
    }

    fn lapse_all(&mut self) {
        for offer in &mut self.offers {
            offer.lapsed = true;
            offer.holds.retain(after_offer);
        }
    }

    /// Whether the lead still waits for somebody.
    pub fn waits(&self) -> bool {
        matches!(self.status, LeadStatus::Open | LeadStatus::Unanswered | LeadStatus::Queued)
    }

    /// Whether anybody who was offered the lead may still answer.
    pub fn somebody_may_answer(&self) -> bool {
        self.offers.iter().any(Offer::waits)
    }

    /// The rung of the ladder that comes next, from 0.
    pub fn next_rung(&self) -> u32 {
        self.offers.iter().map(|offer| offer.step).max().unwrap_or(0).max(self.rung)
    }

    /// The targets that have the lead, oldest first.
    pub fn owners(&self) -> impl Iterator<Item = &str> {
        self.sales.iter().filter(|sale| sale.returned.is_none()).map(|sale| sale.target.as_str())
    }

    /// The rule of the route that the lead was last offered or put up for bids by. Rules are tried in order and
    /// never again from an earlier one, so it is the last of them all.
    pub(super) fn rule(&self) -> Option<u32> {
        let offered = self.offers.iter().filter_map(|offer| offer.rule);
        offered.chain(self.auction.as_ref().map(|auction| auction.rule)).max()
    }

    /// Whether an offer to the target holds a place, so that it need not take one anew.
    pub(super) fn holds_for(&self, target: &str) -> bool {
        self.held_for(target).next().is_some()
    }

    /// What offers to the target hold until they end.
    pub(super) fn held_for(&self, target: &str) -> impl Iterator<Item = &Hold> {
        let offers = self.offers.iter().filter(move |offer| offer.target == target);
        offers.flat_map(|offer| &offer.holds).filter(|hold| !after_offer(hold))
    }

    /// Everything that it takes from counters.
    pub(crate) fn all_holds(&self) -> impl Iterator<Item = &Hold> {
        let offers = self.offers.iter().flat_map(|offer| &offer.holds);
        let sales = self.sales.iter().flat_map(|sale| &sale.holds);
        self.holds.iter().chain(offers).chain(sales)
    }
}

impl Sale {
    /// Whether this target has the lead by it.
    pub fn is_of(&self, target: &str) -> bool {
        self.returned.is_none() && self.target == target
    }
}

/// What an offer goes on holding when it has ended without acceptance.
fn after_offer(hold: &Hold) -> bool {
    hold.kind == HoldKind::Share
}
