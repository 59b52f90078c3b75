//! Whether it came as expected.

use std::collections::BTreeMap;
use std::fmt::Debug;

use fastlead_core::decide::{Decision, Effect, LeadState, Reason, TimerName};
use fastlead_core::port::CaptureVerdict;
use fastlead_core::time::Timestamp;

use super::case::Expected;
use fastlead_core::duration::in_words;

/// What a step has come to.
pub(super) struct Outcome<'a> {
    pub(super) verdict: Option<&'a CaptureVerdict>,
    pub(super) state: &'a LeadState,
    pub(super) timers: &'a [(TimerName, Timestamp)],
    /// The decisions about the lead in this step.
    pub(super) decisions: &'a [Decision],
    pub(super) now: Timestamp,
}

/// Collects what differs.
struct Differences(Vec<String>);

impl Differences {
    fn compare<T: PartialEq + Debug>(&mut self, what: &str, expected: &T, got: &T) {
        if expected != got {
            self.0.push(format!("{what}: expected {expected:?}, got {got:?}"));
        }
    }
}

/// What is not as expected.
pub(super) fn differences(expected: &Expected, outcome: &Outcome<'_>) -> Vec<String> {
    let mut found = Differences(Vec::new());
    let state = outcome.state;
    if let Some(decision) = &expected.decision {
        let got = match outcome.verdict {
            None => "nothing was captured",
            Some(CaptureVerdict::Accepted) => "accepted",
            Some(CaptureVerdict::Duplicate) => "duplicate",
            Some(CaptureVerdict::Rejected { .. }) => "rejected",
        };
        found.compare("decision", &decision.as_str(), &got);
    }
    if let Some(code) = &expected.code {
        let got = match outcome.verdict {
            Some(CaptureVerdict::Rejected { code }) => code.as_str(),
            _ => "none",
        };
        found.compare("code", &code.as_str(), &got);
    }
    if let Some(status) = &expected.status {
        found.compare("status", &status.as_str(), &state.status.as_str());
    }
    if let Some(owner) = &expected.owner {
        found.compare("owner", &owner.as_str(), &state.assigned_to.as_deref().unwrap_or("nobody"));
    }
    if let Some(offered) = &expected.offered {
        let got: Vec<String> = state.offers.iter().map(|offer| offer.target.clone()).collect();
        found.compare("offered", offered, &got);
    }
    if let Some(told) = &expected.told {
        let effects = outcome.decisions.iter().flat_map(|decision| &decision.effects);
        let got = effects.filter_map(|effect| match effect {
            Effect::Offer { target, .. } | Effect::Remind { target, .. } => Some(target.clone()),
            _ => None,
        });
        found.compare("told", told, &got.collect());
    }
    if let Some(tags) = &expected.tags {
        found.compare("tags", tags, &state.tags);
    }
    for (target, reason) in &expected.reasons {
        let got = reasons(outcome.decisions, target);
        if !got.contains(reason) {
            let got = if got.is_empty() { "none".to_owned() } else { got.join(", ") };
            found.0.push(format!("reasons.{target}: expected {reason}, got {got}"));
        }
    }
    if let Some(timers) = &expected.timers {
        let got: BTreeMap<String, String> = outcome
            .timers
            .iter()
            .map(|(name, at)| {
                let left = u64::try_from((*at - outcome.now).num_seconds()).unwrap_or(0);
                (timer_name(*name), in_words(left))
            })
            .collect();
        found.compare("timers", timers, &got);
    }
    found.0
}

/// The name of a timer in cases, rungs and offers counted from 1.
fn timer_name(name: TimerName) -> String {
    match name {
        TimerName::Escalate(rung) => format!("escalate {}", rung + 1),
        TimerName::Offer(offer) => format!("offer {}", offer + 1),
        TimerName::Unanswered => "unanswered".to_owned(),
        TimerName::Group => "group".to_owned(),
        TimerName::Queue => "queue".to_owned(),
        TimerName::Review => "review".to_owned(),
        TimerName::Confirm => "confirm".to_owned(),
        TimerName::AuctionEnds => "bids".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// The reasons that decisions give for or against a target, as stable codes.
fn reasons(decisions: &[Decision], target: &str) -> Vec<String> {
    let steps = decisions.iter().flat_map(|decision| &decision.trace.steps);
    let about = steps.filter(|step| {
        step.subject.as_deref() == Some(target) || step.candidates.iter().any(|name| name == target)
    });
    about.filter_map(|step| step.reason).filter_map(code).collect()
}

fn code(reason: Reason) -> Option<String> {
    serde_json::to_value(reason).ok()?.as_str().map(str::to_owned)
}
