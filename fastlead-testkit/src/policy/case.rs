//! How cases are written down.

use std::collections::BTreeMap;

use fastlead_core::money::Money;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseFile {
    /// The policy's file, beside this one.
    pub(super) policy: Option<String>,
    pub(super) cases: Vec<Case>,
}

/// What happens to a policy that has no history, step by step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
}

/// One step: the clock moves, something happens, something is expected.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Step {
    /// A moment: local time of the policy such as `2026-11-25 12:00`, or RFC 3339.
    pub(super) at: Option<String>,
    /// So much later than the step before.
    pub(super) after: Option<String>,
    /// A capture, with `source` (a key, default `site`) and `times` (so many leads of different people).
    pub(super) capture: Option<Map<String, Value>>,
    /// A target accepts.
    pub(super) accept: Option<String>,
    /// A target declines.
    pub(super) decline: Option<String>,
    /// What targets that were asked for a bid answer; `null` for no bid.
    pub(super) bids: BTreeMap<String, Option<Money>>,
    /// The message to a target cannot be delivered.
    pub(super) lost: Option<String>,
    /// A buyer gives the lead back.
    #[serde(rename = "return")]
    pub(super) give_back: Option<GivenBack>,
    /// A person has looked at the lead: whether it is handed out.
    pub(super) review: Option<bool>,
    /// The visitor confirms.
    pub(super) confirm: bool,
    /// The work on the lead is done.
    pub(super) close: bool,
    /// Which lead, from 1 in the order of capture. Default: the last.
    pub(super) lead: Option<usize>,
    /// What is expected then.
    pub(super) expect: Option<Expected>,
}

/// A lead that is given back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenBack {
    pub(super) target: String,
    pub(super) reason: String,
}

/// What is expected. What is left out does not matter.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Expected {
    /// What the caller was told: `accepted`, `duplicate` or `rejected`.
    pub(super) decision: Option<String>,
    /// With which code it was rejected.
    pub(super) code: Option<String>,
    /// Where the lead stands.
    pub(super) status: Option<String>,
    /// Who was told in this step, in order.
    pub(super) told: Option<Vec<String>>,
    /// Who was offered the lead so far, in order.
    pub(super) offered: Option<Vec<String>>,
    /// Who has the lead; `nobody`.
    pub(super) owner: Option<String>,
    /// For targets: a reason that this step gives for or against them.
    pub(super) reasons: BTreeMap<String, String>,
    /// The timers that are set, by name, each with the time that is left.
    pub(super) timers: Option<BTreeMap<String, String>>,
    /// Which tags the lead has.
    pub(super) tags: Option<Vec<String>>,
}
