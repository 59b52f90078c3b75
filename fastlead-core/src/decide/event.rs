//! What happens to a lead, and what shall happen because of it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::auction::Bid;
use super::counter::CounterKey;
use super::state::Hold;
use crate::delivery::{DeliverySpec, DeliveryState, Purpose};
use crate::id::{ChannelId, DeliveryId, LeadId};
use crate::lead::Capture;
use crate::message::Response;
use crate::money::Money;
use crate::policy::{DedupeScope, LeadEventType};
use crate::secret::Pii;
use crate::time::Timestamp;

/// Something that happened to a lead. Kept for ever, in the order it was decided upon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Somebody left their contact, for the first time or again.
    Captured(Box<Capture>),
    /// A delivery that concerns the lead has ended badly.
    DeliveryEnded {
        /// Which one.
        delivery_id: DeliveryId,
        /// The target it was for, where it was an offer.
        target: Option<String>,
        /// The channel it went over.
        channel_id: ChannelId,
        /// How it ended.
        state: DeliveryState,
        /// Why: a stable code.
        reason: Option<String>,
    },
    /// Somebody wants a delivery that has ended without arriving to be tried again.
    Revived {
        /// Which one.
        delivery_id: DeliveryId,
        /// What it is for.
        purpose: Purpose,
    },
    /// A timer's moment has come.
    TimerFired {
        /// Which one.
        timer: TimerName,
    },
    /// A target has answered an offer.
    Responded {
        /// Which target.
        target: String,
        /// What it answered.
        response: Response,
        /// How the answer came.
        via: Via,
    },
    /// A target that was asked for a bid has answered, or could not be asked.
    Answered {
        /// Which target.
        target: String,
        /// What it pays; `None` where it makes no bid.
        bid: Option<Money>,
    },
    /// A person has looked at a lead that was kept for review.
    Reviewed {
        /// Whether it is handed out.
        approved: bool,
    },
    /// The visitor has confirmed that they want this.
    Confirmed {
        /// From which address, as evidence.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ip: Option<Pii<IpAddr>>,
        /// With which client, as evidence.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_agent: Option<Pii<String>>,
    },
    /// Somebody may have room again for a lead that waits in the queue.
    SlotFree,
    /// Another version of the policy decides on a lead that waits in the queue from now on: the one that decides this.
    PolicyChanged,
    /// A buyer gives the lead back.
    Returned {
        /// Which target.
        target: String,
        /// Why: a reason of the policy.
        reason: String,
    },
    /// The work on the lead is done.
    Closed,
    /// The person's data are taken out of all that was stored: they have asked for it, or may be kept no longer.
    Erased,
}

impl Event {
    /// Stable name of the kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Captured(_) => "captured",
            Self::DeliveryEnded { .. } => "delivery_ended",
            Self::Revived { .. } => "revived",
            Self::TimerFired { .. } => "timer_fired",
            Self::Responded { .. } => "responded",
            Self::Answered { .. } => "answered",
            Self::Reviewed { .. } => "reviewed",
            Self::Confirmed { .. } => "confirmed",
            Self::SlotFree => "slot_free",
            Self::PolicyChanged => "policy_changed",
            Self::Returned { .. } => "returned",
            Self::Closed => "closed",
            Self::Erased => "erased",
        }
    }
}

/// How an answer came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Via {
    /// A pressed button.
    Button {
        /// The channel that brought it.
        channel_id: ChannelId,
        /// The provider's id of the press, to answer it.
        interaction_id: String,
        /// Where the answer to the press goes.
        chat: Pii<String>,
        /// The message that the button was under, where the provider says it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<crate::message::PressedMessage>,
        /// What whoever pressed it is called there: in a chat of several people the target's name does not say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Pii<String>>,
    },
    /// The operator API.
    Api,
    /// The program that was offered the lead has said so at once.
    Answer,
}

/// The name of a timer, unique within its lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TimerName {
    /// The rung of the ladder with this index, from 0.
    Escalate(u32),
    /// The end of the ladder.
    Unanswered,
    /// The time for the answer to the offer with this index, from 0.
    Offer(u32),
    /// The time for all answers that a rule of the route waits for.
    Group,
    /// Somebody may have room again, or the lead has waited long enough.
    Queue,
    /// The time in which somebody must have looked at the lead.
    Review,
    /// The time in which the visitor must have confirmed.
    Confirm,
    /// The time for bids.
    AuctionEnds,
}

/// What shall happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// The lead is taken in.
    Accept,
    /// The lead is refused.
    Reject {
        /// Stable machine-readable reason.
        code: String,
    },
    /// The capture belongs to a lead that is there already.
    Duplicate {
        /// That lead.
        of: LeadId,
    },
    /// No other lead may have one of these keys before the window ends: decided at commit.
    ReserveUnique {
        /// Among which leads.
        scope: DedupeScope,
        /// What must be unique.
        keys: Vec<UniqueKey>,
        /// When the reservation ends.
        until: Timestamp,
    },
    /// A target is offered the lead.
    Offer {
        /// Its name.
        target: String,
        /// 0 for the route, then the rungs of the ladder from 1.
        step: u32,
        /// How many deliveries carry the offer.
        deliveries: u32,
        /// The rule of the route that chose it; `None` for a rung.
        rule: Option<u32>,
        /// What the offer takes from counters until it lapses.
        holds: Vec<Hold>,
    },
    /// A target that has an offer is told again.
    Remind {
        /// Its name.
        target: String,
        /// The rung, from 1.
        step: u32,
        /// How many deliveries carry the reminder.
        deliveries: u32,
    },
    /// The time for an offer has run out. Its target may still accept while nobody else has the lead.
    Lapse {
        /// The index of the offer, from 0.
        offer: u32,
    },
    /// What the lead itself takes from counters, however often it is offered.
    Hold {
        /// That.
        holds: Vec<Hold>,
    },
    /// A counter goes up, where that does not lead beyond its limit: decided at commit.
    Reserve {
        /// Which.
        key: CounterKey,
        /// By how much.
        amount: i64,
        /// Its highest value. `None`: it has none.
        limit: Option<i64>,
        /// When it can be forgotten.
        until: Option<Timestamp>,
    },
    /// A counter goes down by what was taken before.
    Release {
        /// Which.
        key: CounterKey,
        /// By how much.
        amount: i64,
    },
    /// A name is noted with a counter, which goes up by one.
    Note {
        /// Which.
        key: CounterKey,
        /// The name of a target.
        name: String,
        /// When it can be forgotten.
        until: Option<Timestamp>,
    },
    /// The lead waits until somebody has room.
    Queue {
        /// Since when.
        at: Timestamp,
        /// The place in the queue, where it is a new one.
        hold: Option<Hold>,
        /// Whether it waits only because others wait before it.
        behind: bool,
    },
    /// Bids are waited for.
    Auction {
        /// The rule of the route.
        rule: u32,
        /// Until when.
        ends_at: Timestamp,
        /// Of whom.
        asked: Vec<String>,
    },
    /// A bid has come in time.
    Bid {
        /// That.
        bid: Bid,
    },
    /// No more bids are waited for.
    CloseAuction,
    /// The lead is kept for a person to look at.
    Review,
    /// The visitor is asked to confirm.
    AskToConfirm {
        /// Before which moment.
        until: Timestamp,
        /// Whether the lead waits for it.
        waits: bool,
    },
    /// The visitor has confirmed.
    Confirm {
        /// When.
        at: Timestamp,
    },
    /// The lead is given points.
    Score {
        /// How many.
        points: i64,
        /// When.
        at: Timestamp,
    },
    /// The lead is given a tag.
    Tag {
        /// That.
        tag: String,
    },
    /// From now on the policy decides by which this was decided. Numbers of the rules of an earlier one mean nothing.
    Repin,
    /// A rung of the ladder was taken.
    Climb {
        /// Its index, from 0.
        rung: u32,
    },
    /// A message must be sent.
    Deliver(Box<Deliver>),
    /// Deliveries that offer the lead and have not been sent are not wanted any more.
    CancelOffers,
    /// A timer is set, instead of an older one of the same name.
    SetTimer {
        /// Its name.
        timer: TimerName,
        /// Its moment.
        due_at: Timestamp,
    },
    /// A timer's moment has come, so that it does not run any more.
    Fired {
        /// Its name.
        timer: TimerName,
    },
    /// All timers of the lead are cleared.
    ClearTimers,
    /// A target has the lead.
    Assign {
        /// Its name.
        target: String,
        /// When.
        at: Timestamp,
        /// What it pays.
        price: Option<Money>,
    },
    /// A target has given the lead back.
    Return {
        /// Its name.
        target: String,
        /// Why: a reason of the policy.
        reason: String,
        /// Whether nobody else has it or is offered it.
        last: bool,
    },
    /// The work on the lead is done.
    Close,
    /// A target does not want the lead.
    Decline {
        /// Its name.
        target: String,
    },
    /// One offer's delivery has failed.
    OfferLost {
        /// The target.
        target: String,
        /// The delivery.
        delivery: DeliveryId,
    },
    /// A delivery that had ended without arriving is tried again.
    Revive {
        /// Which one.
        delivery: DeliveryId,
        /// Not after this moment.
        expires_at: Timestamp,
    },
    /// The ladder has ended and nobody has accepted.
    GiveUp,
    /// Something that programs may be told of.
    Announce {
        /// What.
        event: LeadEventType,
    },
}

/// A message that must be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deliver {
    /// The channel instance.
    pub channel_id: ChannelId,
    /// Not after this moment.
    pub expires_at: Timestamp,
    /// Whether it keeps its order with others to the same recipient.
    pub ordered: bool,
    /// Everything else.
    pub spec: DeliverySpec,
}

/// 16 bytes that are equal when two captures are the same by a dedupe rule, and tell nothing else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UniqueKey(pub [u8; 16]);

impl std::fmt::Debug for UniqueKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UniqueKey({})", hex::encode(self.0))
    }
}

impl Serialize for UniqueKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for UniqueKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut key = [0; 16];
        hex::decode_to_slice(text, &mut key).map_err(serde::de::Error::custom)?;
        Ok(Self(key))
    }
}
