//! Why: every rule and candidate that a decision looked at, and what came of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use crate::policy::{Cap, PolicyRef};
use crate::schedule::{Per, Weekdays};

/// The reasons of one decision. It names rules, targets and channels, and no personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Trace {
    /// The policy that decided.
    pub policy: PolicyRef,
    /// What was looked at, in order.
    pub steps: Vec<TraceStep>,
    /// The levels of counters and the history that the decision saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Arc<Facts>>,
}

/// One thing that a decision looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TraceStep {
    /// Where in the policy, such as `accept[0]` or `route.targets[1]`.
    pub rule: String,
    /// What it was about: a target, a channel, a reason code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What came of it.
    pub verdict: Verdict,
    /// Why, as a stable code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The candidates that it was about, where there were several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
    /// The cap that has no room, where that is the reason. Absent in what older versions have stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<FullCap>,
}

/// Which of a target's or the project's caps has no room: no two of them are alike in all of this on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FullCap {
    /// The period.
    pub per: Per,
    /// The days on which it holds. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<Weekdays>,
    /// The key of the only source that it counts. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// What came of a rule or candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// The rule did not object.
    Passed,
    /// The rule decided against the lead.
    Refused,
    /// The candidate was chosen.
    Chosen,
    /// The candidate was left out.
    Skipped,
    /// Something was put off until later.
    Scheduled,
}

/// Why, as a stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The condition of an accept rule held.
    ConditionHeld,
    /// Another lead holds the dedupe key.
    DuplicateKey,
    /// The lead has no value for any field that dedupe compares.
    NothingToCompare,
    /// The lead has no phone number.
    NoPhone,
    /// The lead has no e-mail address.
    NoEmail,
    /// The person has not agreed to advertising.
    NoAdvertisingConsent,
    /// The visitor has not confirmed yet.
    Unconfirmed,
    /// The channel instance does not exist any more.
    ChannelMissing,
    /// The channel is paused: the message waits for it, within its lifetime.
    ChannelPaused,
    /// The alert is about this very channel.
    SameChannel,
    /// The target is not in the policy.
    TargetMissing,
    /// The lead is not waiting for anybody any more.
    NotWaiting,
    /// Somebody else has accepted before.
    TakenBefore,
    /// The target has declined before.
    DeclinedBefore,
    /// The policy has no further rung.
    LadderEnded,
    /// Nobody who was told can answer any more, so the next rung comes at once.
    NobodyLeft,
    /// Others who were told can still answer.
    OthersMayAnswer,
    /// An accepted answer.
    Answered,
    /// The rule's own condition does not hold for this lead.
    ConditionFailed,
    /// The target was offered this lead before.
    OfferedBefore,
    /// The target lacks a skill that the rule needs.
    SkillMissing,
    /// The target had a lead of this person not long ago.
    BoughtBefore,
    /// The target is away.
    Away,
    /// The target does not work at this time.
    OffHours,
    /// The target has as many open leads as it can have.
    CapacityFull,
    /// The number of leads in a period is reached.
    CapFull,
    /// The money for leads in a period is spent.
    BudgetFull,
    /// The target's weight is 0.
    NoWeight,
    /// Another candidate comes before this one by the rule's strategy.
    OthersFirst,
    /// The target had this person's last lead.
    PreviousOwner,
    /// Whoever had the person's last lead is away for too long, or that is too long ago.
    OwnerTooLong,
    /// What the target has missed is not made up for: it starts at the level of the others.
    StartsLevel,
    /// Whoever has missed leads makes up for them slowly, and this one is the others'.
    CatchesUpSlowly,
    /// The target had this person's last lead and does not work now: the lead waits for it.
    OwnerLater,
    /// The rule's strategy puts it first.
    ByStrategy,
    /// The rule has nobody for this lead, so the next rule is tried.
    NextRule,
    /// The rule sends what it cannot place to this target.
    OverflowTarget,
    /// The rule refuses what it cannot place.
    OverflowReject,
    /// The lead waits until somebody has room or works.
    Waits,
    /// Others have waited longer for this rule, so the lead waits behind them.
    OthersWait,
    /// The lead has waited as long as it may.
    WaitedEnough,
    /// The lead waits until somebody who can take it works.
    WaitsForOpening,
    /// The time for the answer has run out.
    TimedOut,
    /// The offer it is about is not open any more.
    OfferClosed,
    /// The lead may be sold to this target alone, and somebody else has it.
    Exclusive,
    /// The target is asked for a bid.
    AskedForBid,
    /// The target has made no bid, or one in another currency.
    NoBid,
    /// The bid is below the floor.
    BelowFloor,
    /// The answer came when bids were not waited for any more.
    TooLate,
    /// None of the target's channels brings back what it answers.
    CannotAnswer,
    /// The capture shows a sign of spam.
    LooksLikeSpam,
    /// The person has left as many leads as one may on a day.
    TooManyOfPerson,
    /// The score is within this band.
    ScoreReached,
    /// This program has no enricher of that name.
    EnricherMissing,
    /// The enricher has failed.
    EnricherFailed,
    /// The policy takes no returns, or not for this reason.
    ReturnNotAllowed,
    /// It is too late to return the lead.
    ReturnTooLate,
    /// The target does not have the lead.
    NotTheirs,
}

impl Reason {
    /// Whether a target that is left out for this reason may take the lead later.
    pub(super) const fn wait(self) -> Option<Wait> {
        match self {
            Self::Away | Self::OffHours => Some(Wait::Hours),
            Self::CapacityFull | Self::CapFull | Self::BudgetFull => Some(Wait::Room),
            _ => None,
        }
    }
}

/// Why somebody is left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Out<'a> {
    /// As a stable code.
    pub reason: Reason,
    /// The cap that has no room, where that is the reason.
    pub cap: Option<&'a Cap>,
}

impl From<Reason> for Out<'_> {
    fn from(reason: Reason) -> Self {
        Self { reason, cap: None }
    }
}

impl Out<'_> {
    /// What must be waited for, where it may take the lead later.
    pub(super) fn wait(self) -> Option<Wait> {
        self.reason.wait()
    }

    /// Whether both are told in the same words.
    pub(super) fn is_like(self, other: Out<'_>) -> bool {
        fn told(cap: &Cap) -> (Per, Option<Weekdays>, Option<&str>) {
            (cap.per, cap.days, cap.source.as_deref())
        }
        self.reason == other.reason && self.cap.map(told) == other.cap.map(told)
    }
}

/// What a candidate must be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// It does not work now.
    Hours,
    /// It has no room.
    Room,
}

impl From<&Cap> for FullCap {
    fn from(cap: &Cap) -> Self {
        Self { per: cap.per, days: cap.days, source: cap.source.clone() }
    }
}

impl Trace {
    /// No reasons yet.
    pub const fn new(policy: PolicyRef) -> Self {
        Self { policy, steps: Vec::new(), facts: None }
    }

    pub(super) fn note(
        &mut self,
        rule: impl Into<String>,
        subject: Option<&str>,
        verdict: Verdict,
        reason: impl Into<Option<Reason>>,
    ) {
        self.steps.push(TraceStep {
            rule: rule.into(),
            subject: subject.map(str::to_owned),
            verdict,
            reason: reason.into(),
            candidates: Vec::new(),
            cap: None,
        });
    }

    /// Somebody is left out.
    pub(super) fn note_out(
        &mut self,
        rule: impl Into<String>,
        subject: Option<&str>,
        verdict: Verdict,
        out: Out<'_>,
    ) {
        self.note(rule, subject, verdict, out.reason);
        if let Some(step) = self.steps.last_mut() {
            step.cap = out.cap.map(FullCap::from);
        }
    }

    /// Several candidates are left out at once.
    pub(super) fn note_all_out(&mut self, rule: &str, candidates: Vec<String>, out: Out<'_>) {
        self.note_out(rule, None, Verdict::Skipped, out);
        if let Some(step) = self.steps.last_mut() {
            step.candidates = candidates;
        }
    }
}
