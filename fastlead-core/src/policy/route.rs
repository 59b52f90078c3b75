//! Who gets a lead: rules in order, each with a strategy.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Condition, Field};
use crate::money::Money;
use crate::schedule::Per;

/// Who gets a lead: one rule, or several in order. The first whose condition holds is used.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The rules.
    pub rules: Vec<RouteRule>,
}

impl Route {
    /// Every one of `targets` at once; the first that accepts has the lead.
    pub fn broadcast(targets: Vec<String>, template: String) -> Self {
        Self { rules: vec![RouteRule { targets, template, ..RouteRule::default() }] }
    }

    /// The rule with this index.
    pub fn rule(&self, index: u32) -> Option<&RouteRule> {
        usize::try_from(index).ok().and_then(|index| self.rules.get(index))
    }
}

impl Serialize for Route {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.rules.as_slice() {
            [rule] => rule.serialize(serializer),
            rules => rules.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Route {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

/// Not an untagged enum: that would hide which field is wrong.
struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = Route;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rule, or a list of rules")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Route, A::Error> {
        RouteRule::deserialize(MapAccessDeserializer::new(map)).map(|rule| Route { rules: vec![rule] })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Route, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(|rules| Route { rules })
    }
}

impl schemars::JsonSchema for Route {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Route".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let rule = generator.subschema_for::<RouteRule>();
        schemars::json_schema!({
            "description": "Who gets a lead: one rule, or several in order.",
            "anyOf": [rule, {"type": "array", "items": rule}],
        })
    }
}

/// One rule of a route.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteRule {
    /// The rule is used for leads for which this holds. Absent: for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// How targets are chosen.
    pub strategy: Strategy,
    /// Names of targets.
    pub targets: Vec<String>,
    /// Name of the template of the offer.
    pub template: String,
    /// Only targets that have all of these skills are chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs_skills: Vec<String>,
    /// Whoever had the person's last lead is chosen again. Absent: that does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// What happens when nobody works who could take the lead. Default `queue`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub off_hours: OffHours,
    /// What happens when everybody who works has no room. Default `queue`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub overflow: Overflow,
    /// For how many seconds a lead may wait in the queue; then the ladder begins. Default 24 hours.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::duration::optional_seconds"
    )]
    #[schemars(with = "Option<crate::duration::Seconds>")]
    pub queue_secs: Option<u64>,
    /// How many seconds a target has for its answer before the next one is chosen. Absent: it has no
    /// limit. With `broadcast`, for all at once.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::duration::optional_seconds"
    )]
    #[schemars(with = "Option<crate::duration::Seconds>")]
    pub offer_timeout_secs: Option<u64>,
    /// After how many seconds the rule gives up and the ladder goes on. Absent: when it has nobody left.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::duration::optional_seconds"
    )]
    #[schemars(with = "Option<crate::duration::Seconds>")]
    pub group_timeout_secs: Option<u64>,
    /// `broadcast`: how many targets may have the lead. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sell_limit: Option<u32>,
    /// `broadcast`: targets that have the lead alone or not at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclusive: Vec<String>,
    /// `weighted`: the period in which shares are counted. Default `month`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Per>,
    /// `weighted`: what becomes of the leads that a target has missed while it was away, closed or full. Default `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up: Option<CatchUp>,
    /// `ping_post`: the least bid that is taken, in minor units. Default: any above zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Money>,
    /// `ping_post`: what is told of a lead before it is sold, such as `fields.city`. Default: the country of
    /// the phone and the language alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ping_fields: Vec<Field>,
    /// `ping_post`: how many seconds bids are waited for. Default 5.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::duration::optional_seconds"
    )]
    #[schemars(with = "Option<crate::duration::Seconds>")]
    pub ping_timeout_secs: Option<u64>,
}

impl RouteRule {
    /// Whether leads may have to wait for this rule.
    pub fn queues(&self) -> bool {
        matches!(self.overflow, Overflow::Queue | Overflow::Target(_))
            || matches!(self.off_hours, OffHours::Queue | OffHours::Target(_))
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How targets are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Strategy {
    /// All at once; the first to accept have it.
    #[default]
    Broadcast,
    /// The one that has waited longest since it was last offered a lead.
    RoundRobin,
    /// The one that is furthest below its share.
    Weighted,
    /// One after the other, in the order of the list.
    Waterfall,
    /// All are asked for a bid at once; the highest has it.
    PingPost,
}

impl Strategy {
    /// `broadcast`, `round_robin`, `weighted`, `waterfall` or `ping_post`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::RoundRobin => "round_robin",
            Self::Weighted => "weighted",
            Self::Waterfall => "waterfall",
            Self::PingPost => "ping_post",
        }
    }
}

/// What becomes of the leads that a target has missed, with the strategy `weighted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CatchUp {
    /// They are the others': whoever comes back starts at their level.
    #[default]
    None,
    /// They are made up for slowly: half of the leads that would be the others' are those of who is behind, until they
    /// are level or the window ends.
    Slow,
}

/// Whoever had the person's last lead is chosen again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sticky {
    /// Not where they will not work for longer than this many seconds. Whoever works again sooner is waited for. Default:
    /// for as long as a lead may wait for the rule.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::duration::optional_seconds"
    )]
    #[schemars(with = "Option<crate::duration::Seconds>")]
    pub unless_away_secs: Option<u64>,
    /// Not where they accepted that lead longer ago than this many seconds. Default: one year.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::duration::optional_seconds"
    )]
    #[schemars(with = "Option<crate::duration::Seconds>")]
    pub within_secs: Option<u64>,
}

/// What happens when nobody works who could take the lead.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OffHours {
    /// The lead waits until somebody works.
    #[default]
    Queue,
    /// The next rule is tried.
    Skip,
    /// Working hours do not matter: the lead is offered at once.
    Ignore,
    /// This target gets it; where it has no room, the lead waits.
    Target(String),
}

/// What happens when everybody who works has no room.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Overflow {
    /// The lead waits until somebody has room; the oldest comes first.
    #[default]
    Queue,
    /// The next rule is tried, also when everybody has refused or is left out for good.
    Next,
    /// This target gets it; where it has no room either, the lead waits.
    Target(String),
    /// The lead is refused with this code: 1 to 64 of `a-z`, `0-9` and `_`.
    Reject(String),
}
