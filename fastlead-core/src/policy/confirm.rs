//! The visitor is asked to say once more that they want this: double opt-in.

use serde::{Deserialize, Serialize};

use super::{Condition, ReplyTo, Screening};

/// Leads whose visitor is asked to confirm by opening a link.
///
/// A lead that `spam`, `score` or `review` keeps back is not asked: a person looks at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// Leads for which this holds are asked. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// How the visitor is asked: by the first of these whose address the lead has.
    pub ask: Vec<ConfirmBy>,
    /// Within how many seconds the visitor must confirm. Default 24 hours.
    #[serde(default = "day", deserialize_with = "crate::duration::seconds")]
    #[schemars(with = "crate::duration::Seconds")]
    pub within_secs: u64,
    /// Whether the lead waits for the confirmation. Default `when_confirmed`.
    #[serde(default)]
    pub hand_out: HandOut,
    /// What becomes of a lead that waits and is not confirmed in time, or that cannot be asked: `accept`,
    /// `review`, or `{"reject": CODE}`. Default `{"reject": "unconfirmed"}`.
    #[serde(default = "refused")]
    pub then: Screening,
}

/// One way to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmBy {
    /// The name of the channel instance.
    pub channel: String,
    /// Which of the lead's addresses.
    pub to: ReplyTo,
    /// Name of the template, which shows the link as `{{ confirm.url }}`.
    pub template: String,
}

/// When a lead is handed out whose visitor is asked to confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HandOut {
    /// Not before the visitor has confirmed.
    #[default]
    WhenConfirmed,
    /// At once. Advertising to the visitor waits for the confirmation.
    AtOnce,
}

const fn day() -> u64 {
    86_400
}

fn refused() -> Screening {
    Screening::Reject("unconfirmed".to_owned())
}
