//! Leads that nobody has accepted and whose time runs out soon.

use crate::decide::TimerName;
use crate::id::{ProjectId, TimerId};
use crate::port::{Cursor, LeadSummary};
use crate::time::Timestamp;

/// Which leads at risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RiskFilter {
    /// Only of this project.
    pub project_id: Option<ProjectId>,
    /// Those whose time runs out until then, this moment included. What is overdue counts too.
    pub until: Timestamp,
}

/// A lead that nobody has accepted, and the timer that runs out first.
#[derive(Debug, Clone, PartialEq)]
pub struct LeadAtRisk {
    /// The lead.
    pub lead: LeadSummary,
    /// What happens then.
    pub timer: TimerName,
    /// When.
    pub due_at: Timestamp,
    /// The targets that were offered the lead and may still answer, oldest first.
    pub waits_for: Vec<String>,
}

/// Whether somebody is late when this timer fires: a step of the ladder and its end, the time for answers, the time
/// for a review. Bids that are waited for, a queue and a visitor who has not confirmed are no manager's delay.
pub const fn is_deadline(timer: TimerName) -> bool {
    !matches!(timer, TimerName::Queue | TimerName::Confirm | TimerName::AuctionEnds)
}

/// The place of a timer in the list of leads at risk: its moment in milliseconds, then the last ten bytes of its id.
pub fn place_at_risk(due_at: Timestamp, timer: TimerId) -> Cursor {
    let millis = u64::try_from(due_at.timestamp_millis()).unwrap_or(0).min((1 << 48) - 1).to_be_bytes();
    let mut bytes = *timer.as_uuid().as_bytes();
    bytes[..6].copy_from_slice(&millis[2..]);
    Cursor(uuid::Uuid::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RandomIds;
    use crate::time::from_millis;

    #[test]
    fn a_place_is_ordered_as_the_list() {
        let (early, late) = (from_millis(1_795_597_200_000), from_millis(1_795_597_200_001));
        let (one, two) = (TimerId::generate(&RandomIds, late), TimerId::generate(&RandomIds, early));
        assert!(place_at_risk(early, one).0 < place_at_risk(late, two).0);
        let place = place_at_risk(late, one).0;
        assert_eq!(place.as_bytes()[..6], late.timestamp_millis().to_be_bytes()[2..]);
        assert_eq!(place.as_bytes()[6..], one.as_uuid().as_bytes()[6..]);
    }
}
