//! Who can be told about a lead, and how much of it they can take.

use serde::{Deserialize, Serialize};

use crate::delivery::RetrySchedule;
use crate::message::{Locale, Recipient};
use crate::money::Money;
use crate::schedule::{Per, Weekday, Weekdays, WorkingHours, Zone};

/// Somebody who can be told about a lead: a manager, a team chat, a buyer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// What people call it.
    pub display_name: String,
    /// The language it reads.
    #[serde(default)]
    pub locale: Locale,
    /// Where it is told. Each destination gets the message.
    pub destinations: Vec<Destination>,
    /// Its IANA time zone, such as `Asia/Yekaterinburg`. Default: the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<Zone>,
    /// When it works. Absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<WorkingHours>,
    /// When it is away: on holiday, ill.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub away: Vec<Away>,
    /// Its part in the strategy `weighted`, relative to the others'. 0 takes nothing. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// The local date since which it takes part. In the strategy `weighted` a newcomer starts at the
    /// level of the others instead of catching up. Default: it was always there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_since: Option<chrono::NaiveDate>,
    /// What it can do, such as `english` or `implants`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
    /// How many leads it can have open at once, offered or accepted and not closed. Absent: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// How many leads, and for how much money, it takes in a period of its own time zone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<Cap>,
    /// What it pays for a lead, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// For how many seconds it gets no second lead of the same person. Absent: it may.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::duration::optional_seconds"
    )]
    #[schemars(with = "Option<crate::duration::Seconds>")]
    pub dedupe_secs: Option<u64>,
}

/// An address on a channel instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// The name of the channel instance.
    pub channel: String,
    /// The address there.
    pub recipient: Recipient,
    /// Instead of the project's retry schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetrySchedule>,
}

/// Days on which a target takes nothing, in its own time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Away {
    /// The first day.
    pub from: chrono::NaiveDate,
    /// The last day.
    pub to: chrono::NaiveDate,
}

/// A limit for a period. It has a number of leads, an amount of money, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// The period, which begins and ends at local midnight, or at the full hour.
    pub per: Per,
    /// Most leads in it. 0, for none, only on some `days`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Most money for leads in it, in minor units of the target's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<i64>,
    /// The local days on which it holds, such as `mon-fri`, for a cap per hour or day. On others it neither limits nor
    /// counts. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<Weekdays>,
    /// Only leads of the source with this key count. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Cap {
    /// Whether leads of the source with this key count.
    pub fn concerns(&self, source: &str) -> bool {
        self.source.as_deref().is_none_or(|only| only == source)
    }

    /// Whether it holds on such a day.
    pub fn holds_on(&self, day: Weekday) -> bool {
        self.days.is_none_or(|days| days.contains(day))
    }
}
