//! Where a lead stands: the fold of everything that was decided about it.

use serde::{Deserialize, Serialize};

use super::{Effect, TimerName};
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
    /// Who has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<String>,
    /// Which timers run, and until when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timers: Vec<(TimerName, Timestamp)>,
}

/// Where a lead stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LeadStatus {
    /// Nothing was decided yet.
    #[default]
    New,
    /// It waits for somebody to accept it.
    Open,
    /// Somebody has it.
    Accepted,
    /// It was refused.
    Rejected {
        /// Stable machine-readable reason.
        code: String,
    },
    /// The ladder has ended. It can still be accepted.
    Unanswered,
}

impl LeadStatus {
    /// `new`, `open`, `accepted`, `rejected` or `unanswered`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Rejected { .. } => "rejected",
            Self::Unanswered => "unanswered",
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
    /// Whether the target has declined.
    pub declined: bool,
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
            Effect::Offer { target, step, deliveries } => {
                self.offers.push(Offer {
                    target: target.clone(),
                    step: *step,
                    alive: *deliveries,
                    declined: false,
                });
            }
            Effect::Assign { target } => {
                self.status = LeadStatus::Accepted;
                self.assigned_to = Some(target.clone());
            }
            Effect::Decline { target } => {
                for offer in self.offers.iter_mut().filter(|offer| offer.target == *target) {
                    offer.declined = true;
                }
            }
            Effect::OfferLost { target } => {
                let lost =
                    self.offers.iter_mut().rev().find(|offer| offer.target == *target && offer.alive > 0);
                if let Some(offer) = lost {
                    offer.alive -= 1;
                }
            }
            Effect::SetTimer { timer, due_at } => {
                self.timers.retain(|(name, _)| name != timer);
                self.timers.push((*timer, *due_at));
            }
            Effect::ClearTimers => self.timers.clear(),
            Effect::GiveUp => self.status = LeadStatus::Unanswered,
            Effect::Duplicate { .. }
            | Effect::ReserveUnique { .. }
            | Effect::Deliver(_)
            | Effect::CancelOffers
            | Effect::Announce { .. } => {}
        }
    }

    /// Whether the lead still waits for somebody.
    pub fn waits(&self) -> bool {
        matches!(self.status, LeadStatus::Open | LeadStatus::Unanswered)
    }

    /// Whether anybody who was offered the lead may still answer.
    pub fn somebody_may_answer(&self) -> bool {
        self.offers.iter().any(|offer| offer.alive > 0 && !offer.declined)
    }

    /// The rung of the ladder that comes next, from 0.
    pub fn next_rung(&self) -> u32 {
        self.offers.iter().map(|offer| offer.step).max().unwrap_or(0)
    }
}
