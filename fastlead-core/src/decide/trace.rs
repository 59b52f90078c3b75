//! Why: every rule and candidate that a decision looked at, and what came of it.

use serde::{Deserialize, Serialize};

use crate::policy::PolicyRef;

/// The reasons of one decision. It names rules, targets and channels, and no personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Trace {
    /// The policy that decided.
    pub policy: PolicyRef,
    /// What was looked at, in order.
    pub steps: Vec<TraceStep>,
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
}

impl Trace {
    /// No reasons yet.
    pub const fn new(policy: PolicyRef) -> Self {
        Self { policy, steps: Vec::new() }
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
        });
    }
}
