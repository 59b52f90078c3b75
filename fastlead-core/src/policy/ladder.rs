//! What happens while nobody accepts.

use serde::{Deserialize, Serialize};

use super::Condition;

/// One rung of the ladder: what happens when nobody has accepted. An acceptance ends the ladder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EscalationStep {
    /// How many seconds after the step before (the first: after the first offer).
    #[serde(deserialize_with = "crate::duration::seconds")]
    #[schemars(with = "crate::duration::Seconds")]
    pub after_secs: u64,
    /// The step is taken for leads for which this holds when its moment comes. Absent: for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// Which seconds count. Default `wall`.
    #[serde(default, skip_serializing_if = "is_wall")]
    pub clock: LadderClock,
    /// What is done. Default `offer`.
    #[serde(default, skip_serializing_if = "is_offer")]
    pub action: LadderAction,
    /// Names of the targets that are told now. With `remind` the default is whoever has an offer, with
    /// `reassign` the next of the route's rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// Name of the template.
    pub template: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_wall(clock: &LadderClock) -> bool {
    *clock == LadderClock::Wall
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_offer(action: &LadderAction) -> bool {
    *action == LadderAction::Offer
}

/// Which seconds count until a rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LadderClock {
    /// All.
    #[default]
    Wall,
    /// Those in the policy's `hours`.
    Business,
}

/// What a rung does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LadderAction {
    /// The targets are offered the lead too.
    #[default]
    Offer,
    /// Whoever has an offer is told again, and the targets that are named are told.
    Remind,
    /// The offers made so far lapse, and the lead is offered to others.
    Reassign,
    /// The first of the targets has the lead, without being asked. Caps do not stop this.
    Fallback,
}
